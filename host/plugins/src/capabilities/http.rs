//! `http`: requests to the origins an operator granted.
//!
//! Three checks, each on its own enough to keep a plugin away from what is not granted: the URL's
//! origin, the host when it is an address, and every address a name resolves to at the moment it is
//! connected to.

use std::{
    collections::BTreeSet,
    fmt, fs,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use ipnet::IpNet;
use percent_encoding::percent_decode_str;
use reqwest::{
    Certificate, Client, Method,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use url::{Host, Url};

use crate::{
    HttpGrant, Origin, PrepareError,
    address::may_connect,
    bindings::archstone::plugin::http::{self, HttpError, Request, Response},
    call::Call,
    capabilities::CALLS,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Headers that belong to the connection, or would make a proxy or server read the request as
/// another one.
const HOSTS_HEADERS: [&str; 12] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "upgrade",
    "te",
    "trailer",
    "expect",
    "proxy-authorization",
    "proxy-connection",
    "forwarded",
];

/// A pooled client that reaches what one plugin was granted.
#[derive(Debug)]
pub(crate) struct HttpClient {
    client: Client,
    grant: HttpGrant,
    /// Origins that a connector's owner named. Networks that are not public are out of their
    /// reach, whatever the operator allows for origins of its own.
    named: BTreeSet<Origin>,
}

impl HttpClient {
    /// # Errors
    /// [`PrepareError::BadSettings`] if the CA file cannot be read or is none.
    pub fn new(grant: HttpGrant, named: BTreeSet<Origin>) -> Result<Self, PrepareError> {
        let refused = |reason: String| PrepareError::BadSettings { reason };
        let mut builder = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(Duration::from_millis(grant.timeout_ms))
            .user_agent(concat!("archstone/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(CheckedResolver {
                hosts: grant.origins.iter().filter_map(Origin::host).collect(),
                allowed: grant.private_networks.clone(),
            }));
        if let Some(path) = &grant.ca_file {
            let certificates = fs::read(path)
                .map_err(|error| error.to_string())
                .and_then(|pem| {
                    Certificate::from_pem_bundle(&pem).map_err(|error| error.to_string())
                })
                .map_err(|error| refused(format!("`grant.http.ca_file`: {error}")))?;
            builder = builder.tls_certs_merge(certificates);
        }
        super::install_tls_provider();
        let client = builder
            .build()
            .map_err(|error| refused(format!("`grant.http`: {error}")))?;
        Ok(Self {
            client,
            grant,
            named,
        })
    }

    pub fn max_requests(&self) -> u32 {
        self.grant.max_requests
    }

    fn request(&self, request: Request) -> Result<reqwest::Request, HttpError> {
        let invalid = |what: &str| HttpError::Invalid(what.to_owned());
        let method = Method::from_bytes(request.method.as_bytes())
            .ok()
            .filter(|method| *method != Method::CONNECT && *method != Method::TRACE)
            .ok_or_else(|| invalid("this method cannot be used"))?;
        let url = Url::parse(&request.url).map_err(|_| invalid("this is no absolute URL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid(
                "a URL with a user name; use the Authorization header",
            ));
        }
        let origin = Origin::of(&url).ok_or_else(|| invalid("this is no http or https URL"))?;
        let networks = if self.grant.origins.contains(&origin) {
            self.grant.private_networks.as_slice()
        } else if self.named.contains(&origin) {
            &[]
        } else {
            return Err(HttpError::OriginNotGranted);
        };
        let address = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            _ => None,
        };
        if address.is_some_and(|address| !may_connect(address, networks)) {
            return Err(HttpError::AddressNotAllowed);
        }
        let mut built = reqwest::Request::new(method, url);
        *built.headers_mut() = headers(request.headers)?;
        if !request.body.is_empty() {
            *built.body_mut() = Some(request.body.into());
        }
        Ok(built)
    }

    async fn send(&self, request: Request) -> Result<Response, HttpError> {
        let request = self.request(request)?;
        let mut answer = self.client.execute(request).await.map_err(failure)?;
        let most = self.grant.max_response_bytes;
        if answer
            .content_length()
            .is_some_and(|length| length > most as u64)
        {
            return Err(HttpError::TooLarge);
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failure)? {
            if body.len() + chunk.len() > most {
                return Err(HttpError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let headers = answer.headers().iter().filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        });
        Ok(Response {
            status: answer.status().as_u16(),
            headers: headers.collect(),
            body,
        })
    }
}

impl http::Host for Call {
    async fn send(&mut self, request: Request) -> Result<Response, HttpError> {
        let Some(left) = self.requests_left.checked_sub(1) else {
            return Err(HttpError::TooMany);
        };
        self.requests_left = left;
        let Some(client) = &self.granted.http else {
            return Err(HttpError::OriginNotGranted);
        };
        let traced = tracing::enabled!(target: CALLS, tracing::Level::TRACE);
        let told = traced.then(|| self.told(&request));
        let began = Instant::now();
        let answer = client.send(request).await;
        if let Some(told) = told {
            let took = began.elapsed().as_millis();
            let outcome = match &answer {
                Ok(answer) => format!("{}, {} bytes", answer.status, answer.body.len()),
                Err(error) => error.to_string(),
            };
            tracing::trace!(target: CALLS, plugin = self.granted.method, "http {told}: {outcome} ({took} ms)");
        }
        answer.inspect_err(|error| {
            tracing::debug!(plugin = self.granted.method, %error, "a plugin's request failed");
        })
    }
}

impl Call {
    /// A request as it may be told: without its query, and without the plugin's secrets, which some
    /// servers want in the path.
    fn told(&self, request: &Request) -> String {
        let place = match Url::parse(&request.url) {
            Ok(url) => {
                let path = percent_decode_str(url.path()).decode_utf8_lossy();
                format!("{}{path}", url.origin().ascii_serialization())
            }
            Err(_) => "no URL".to_owned(),
        };
        let secrets = self.granted.secrets.values();
        let hidden = secrets
            .map(|secret| secret.expose()) // to keep them out of the text
            .filter(|secret| !secret.is_empty())
            .fold(place, |place, secret| place.replace(secret, "[secret]"));
        let method = request.method.escape_debug();
        format!("{method} {}", hidden.escape_debug())
    }
}

fn headers(pairs: Vec<(String, String)>) -> Result<HeaderMap, HttpError> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let wrong = || HttpError::Invalid(format!("the header `{name}` cannot be sent"));
        let name: HeaderName = name.parse().map_err(|_| wrong())?;
        if HOSTS_HEADERS.contains(&name.as_str()) || name.as_str().starts_with("x-forwarded-") {
            return Err(wrong());
        }
        let mut value: HeaderValue = value.parse().map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

/// What a plugin is told of a failure: where it happened, not what is there.
fn failure(error: reqwest::Error) -> HttpError {
    let refused = std::iter::successors(Some(&error as &dyn std::error::Error), |error| {
        error.source()
    })
    .any(|error| error.is::<AddressRefused>());
    if refused {
        HttpError::AddressNotAllowed
    } else if error.is_timeout() {
        HttpError::TimedOut
    } else if error.is_connect() {
        HttpError::Failed("connect".to_owned())
    } else if error.is_body() || error.is_decode() {
        HttpError::Failed("body".to_owned())
    } else {
        HttpError::Failed("request".to_owned())
    }
}

/// None of a name's addresses may be connected to.
#[derive(Debug)]
struct AddressRefused;

impl fmt::Display for AddressRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name has no address that may be connected to")
    }
}

impl std::error::Error for AddressRefused {}

/// Resolves names with the system's resolver and gives only addresses that may be connected to.
/// The connector connects to these and asks nobody again.
struct CheckedResolver {
    /// The hosts that may have an address in the networks below.
    hosts: BTreeSet<String>,
    allowed: Vec<IpNet>,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = match self.hosts.contains(name.as_str()) {
            true => self.allowed.clone(),
            false => Vec::new(),
        };
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let fit: Vec<SocketAddr> = found
                .filter(|address| may_connect(address.ip(), &allowed))
                .collect();
            match fit.is_empty() {
                true => Err(AddressRefused.into()),
                false => Ok(Box::new(fit.into_iter()) as Addrs),
            }
        })
    }
}
