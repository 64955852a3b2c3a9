//! Connections to the servers an operator granted, and those kept open between calls.
//!
//! The same checks as for `http`, each on its own enough: the server must be granted, and so must
//! every address at the moment it is connected to.

use std::{
    collections::BTreeSet,
    fmt, fs,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::FutureExt;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{PrepareError, Reach, StreamGrant, StreamServer, address::may_connect};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const READ_AT_ONCE: usize = 64 << 10;
/// How many connections one plugin keeps, under all labels together.
const KEPT: usize = 16;
const KEPT_FOR: Duration = Duration::from_secs(60);
/// A connection is not kept again once it is this old, so that a change of servers is noticed.
const OLDEST: Duration = Duration::from_secs(600);
const LONGEST_LABEL: usize = 64;

/// Reaches what one plugin was granted.
pub(crate) struct StreamClient {
    grant: StreamGrant,
    servers: BTreeSet<StreamServer>,
    tls: Arc<ClientConfig>,
    kept: Mutex<Vec<Kept>>,
}

impl fmt::Debug for StreamClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamClient")
            .field("grant", &self.grant)
            .finish_non_exhaustive()
    }
}

/// An open connection.
#[derive(Debug)]
pub struct Line {
    host: String,
    opened_at: Instant,
    carrier: Carrier,
}

#[derive(Debug)]
enum Carrier {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// It broke while it was being encrypted.
    Broken,
}

struct Kept {
    label: String,
    since: Instant,
    line: Line,
}

/// Why bytes did not get through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamFailure {
    Invalid(&'static str),
    ServerNotGranted,
    AddressNotAllowed,
    TimedOut,
    /// Where it happened, not what is there.
    Failed(&'static str),
}

impl StreamClient {
    /// # Errors
    /// [`PrepareError::BadSettings`] if a CA file cannot be read or is none.
    pub fn new(grant: &StreamGrant, reach: &Reach) -> Result<Self, PrepareError> {
        super::super::install_tls_provider();
        let ca_file = reach.ca_file.as_deref().or(grant.ca_file.as_deref());
        let tls = tls_config(ca_file).map_err(|reason| PrepareError::BadSettings { reason })?;
        Ok(Self {
            servers: match &grant.servers {
                // Both must agree, where both say something.
                Some(listed) if !reach.servers.is_empty() => {
                    listed.intersection(&reach.servers).cloned().collect()
                }
                Some(listed) => listed.clone(),
                None => reach.servers.clone(),
            },
            grant: grant.clone(),
            tls: Arc::new(tls),
            kept: Mutex::default(),
        })
    }

    pub fn max_connections(&self) -> u32 {
        self.grant.max_connections
    }

    pub fn max_bytes(&self) -> usize {
        self.grant.max_bytes
    }

    pub async fn open(&self, host: &str, port: u16, tls: bool) -> Result<Line, StreamFailure> {
        let server = StreamServer::new(host, port);
        if !self.servers.contains(&server) {
            return Err(StreamFailure::ServerNotGranted);
        }
        let socket = self.connect(host, port).await?;
        let mut line = Line {
            host: host.to_owned(),
            opened_at: Instant::now(),
            carrier: Carrier::Plain(socket),
        };
        if tls {
            self.start_tls(&mut line).await?;
        }
        Ok(line)
    }

    pub async fn start_tls(&self, line: &mut Line) -> Result<(), StreamFailure> {
        let mut socket = match std::mem::replace(&mut line.carrier, Carrier::Broken) {
            Carrier::Plain(socket) => socket,
            other => {
                line.carrier = other;
                return Err(StreamFailure::Invalid(
                    "this connection is encrypted already",
                ));
            }
        };
        if socket.read(&mut [0]).now_or_never().is_some() {
            return Err(StreamFailure::Invalid(
                "there are bytes that were not read, or the server closed the connection",
            ));
        }
        let name = ServerName::try_from(line.host.clone())
            .map_err(|_| StreamFailure::Invalid("this host has no name for TLS"))?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let encrypted = timeout(self.patience(), connector.connect(name, socket)).await;
        let encrypted = encrypted.map_err(|_| StreamFailure::TimedOut)?;
        let encrypted = encrypted.map_err(|_| StreamFailure::Failed("tls"))?;
        line.carrier = Carrier::Tls(Box::new(encrypted));
        Ok(())
    }

    pub async fn write(&self, line: &mut Line, bytes: &[u8]) -> Result<(), StreamFailure> {
        let work = async {
            match &mut line.carrier {
                Carrier::Plain(socket) => socket.write_all(bytes).await,
                Carrier::Tls(stream) => {
                    stream.write_all(bytes).await?;
                    stream.flush().await
                }
                Carrier::Broken => Err(std::io::ErrorKind::NotConnected.into()),
            }
        };
        let written = timeout(self.patience(), work).await;
        let written = written.map_err(|_| StreamFailure::TimedOut)?;
        written.map_err(|_| StreamFailure::Failed("write"))
    }

    pub async fn read(&self, line: &mut Line) -> Result<Vec<u8>, StreamFailure> {
        let mut bytes = vec![0; READ_AT_ONCE];
        let read = timeout(self.patience(), line.carrier.read(&mut bytes)).await;
        let read = read.map_err(|_| StreamFailure::TimedOut)?;
        bytes.truncate(read.map_err(|_| StreamFailure::Failed("read"))?);
        Ok(bytes)
    }

    /// Keeps a connection, if it is in order and there is room.
    pub fn keep(&self, mut line: Line, label: String) {
        let good = label.len() <= LONGEST_LABEL
            && line.opened_at.elapsed() < OLDEST
            && line.carrier.is_idle();
        if good {
            let mut kept = self.kept();
            kept.retain(Kept::is_fresh);
            if kept.len() < KEPT {
                kept.push(Kept {
                    label,
                    since: Instant::now(),
                    line,
                });
            }
        }
    }

    /// The connection that was last kept under this label, if one is still in order.
    pub fn take(&self, label: &str) -> Option<Line> {
        let mut kept = self.kept();
        kept.retain(Kept::is_fresh);
        while let Some(place) = kept.iter().rposition(|kept| kept.label == label) {
            let mut line = kept.remove(place).line;
            if line.carrier.is_idle() {
                return Some(line);
            }
        }
        None
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(self.grant.timeout_ms)
    }

    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, StreamFailure> {
        let limit = CONNECT_TIMEOUT.min(self.patience());
        let work = async {
            let found = tokio::net::lookup_host((host, port)).await;
            let found = found.map_err(|_| StreamFailure::Failed("name"))?;
            let fit: Vec<SocketAddr> = found
                .filter(|address| may_connect(address.ip(), &self.grant.private_networks))
                .collect();
            if fit.is_empty() {
                return Err(StreamFailure::AddressNotAllowed);
            }
            let socket = TcpStream::connect(fit.as_slice()).await;
            socket.map_err(|_| StreamFailure::Failed("connect"))
        };
        let socket = timeout(limit, work).await;
        let socket = socket.map_err(|_| StreamFailure::TimedOut)??;
        // Requests are short, and each waits for its answer.
        let _ = socket.set_nodelay(true);
        Ok(socket)
    }
}

impl Kept {
    fn is_fresh(&self) -> bool {
        self.since.elapsed() < KEPT_FOR
    }
}

impl Carrier {
    async fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(into).await,
            Self::Tls(stream) => stream.read(into).await,
            Self::Broken => Err(std::io::ErrorKind::NotConnected.into()),
        }
    }

    /// Whether the server has neither said anything nor hung up.
    fn is_idle(&mut self) -> bool {
        self.read(&mut [0]).now_or_never().is_none()
    }
}

/// With a CA file, what that vouches for and nothing else; what the system trusts otherwise.
fn tls_config(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder();
    let Some(path) = ca_file else {
        let builder = builder.with_platform_verifier();
        let builder = builder.map_err(|error| format!("TLS: {error}"))?;
        return Ok(builder.with_no_client_auth());
    };
    let wrong = |reason: String| format!("the file of certificates {}: {reason}", path.display());
    let pem = fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(wrong("it holds no certificate".to_owned()));
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
