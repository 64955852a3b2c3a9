//! Serving connections: as many as fit, each only as long as its client keeps sending and reading, and all
//! that were begun to their end when the server stops.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use archstone_api::Draining;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::ConnectInfo,
    http::{HeaderValue, Request, header},
};
use hyper::{
    body::{Body as HttpBody, Frame, Incoming, SizeHint},
    server::conn::http1,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::Sleep,
};
use tower::ServiceExt;

use crate::stop::StopSignals;

/// How long a connection may take for a request's headers, and be idle before the next.
const LONGEST_HEADERS: Duration = Duration::from_secs(30);

/// How long a body may take, and the bytes a second that one may take longer for.
const LONGEST_BODY: Duration = Duration::from_secs(30);
const SLOWEST_BODY: u64 = 64 * 1024;

/// How long a client may take none of what it is answered. Less than a segment counts as nothing.
const LONGEST_UNREAD: Duration = Duration::from_secs(30);

/// How long idle connections stay once no more are accepted. What clients send every other moment comes
/// by then, and is told to be the last.
const LAST_CALL: Duration = Duration::from_millis(500);

/// How long requests under way may take to end when the server is asked to stop.
const LONGEST_GOODBYE: Duration = Duration::from_secs(30);

/// How long nothing is accepted after the system would give no more connections.
const PAUSE: Duration = Duration::from_millis(100);

/// What serves each connection.
pub(crate) struct Server {
    service: Router,
    http: http1::Builder,
    places: Arc<Semaphore>,
    connections: GracefulShutdown,
    /// Closed once no connection is left.
    open: watch::Sender<()>,
    draining: Draining,
}

impl Server {
    pub(crate) fn new(service: Router, most_connections: usize, draining: Draining) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(LONGEST_HEADERS);
        Self {
            service,
            http,
            places: Arc::new(Semaphore::new(most_connections)),
            connections: GracefulShutdown::new(),
            open: watch::Sender::new(()),
            draining,
        }
    }

    /// Serves until it is asked to stop, then for as long as others may take to notice that it says so,
    /// and ends what was begun by then. Who asks again does not want others to be waited for.
    pub(crate) async fn serve(
        self,
        listener: TcpListener,
        mut stop: StopSignals,
        drain_time: Duration,
    ) {
        tokio::select! {
            () = stop.next() => {}
            () = self.accept(&listener) => {}
        }
        self.draining.begin();
        if !drain_time.is_zero() {
            tracing::info!(
                seconds = drain_time.as_secs(),
                "stopping once others have noticed"
            );
            tokio::select! {
                () = stop.next() => {}
                () = tokio::time::sleep(drain_time) => {}
                () = self.accept(&listener) => {}
            }
        }
        if let Err(error) = self.accept_those_who_wait(listener) {
            tracing::warn!(%error, "clients that waited to be accepted were sent away");
        }
        // A request may be under way on a connection that looks idle from here.
        tokio::select! {
            () = self.open.closed() => {}
            () = tokio::time::sleep(LAST_CALL) => {}
        }
        tokio::select! {
            () = self.connections.shutdown() => {}
            () = tokio::time::sleep(LONGEST_GOODBYE) => {
                tracing::warn!("requests that did not end in time were cut off");
            }
        }
    }

    /// Accepts and serves for ever.
    async fn accept(&self, listener: &TcpListener) {
        loop {
            // Who finds no place waits outside, in the system's queue.
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, peer)) => self.attend(stream, peer, place),
                Err(error) => bear(&error).await,
            }
        }
    }

    /// Accepts who is in the system's queue, as far as there are places, and closes it.
    fn accept_those_who_wait(&self, listener: TcpListener) -> io::Result<()> {
        let listener = listener.into_std()?;
        while let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            let (stream, peer) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if is_of_the_connection(&error) => continue,
                Err(error) => return Err(error),
            };
            stream.set_nonblocking(true)?;
            self.attend(TcpStream::from_std(stream)?, peer, place);
        }
        Ok(())
    }

    /// Serves a connection beside everything else.
    fn attend(&self, stream: TcpStream, peer: SocketAddr, place: OwnedSemaphorePermit) {
        prepare(&stream);
        let service = answering(self.service.clone(), peer, self.draining.clone());
        let connection = self.http.serve_connection(TokioIo::new(stream), service);
        let connection = self.connections.watch(connection);
        let open = self.open.subscribe();
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, %peer, "a connection ended before its time");
            }
            drop((place, open));
        });
    }
}

/// Answers are small and go out at once, and who takes none of them for long is gone, or means no good. The
/// system sees to that: it knows what was taken, and it still holds what is left once a connection is closed.
fn prepare(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let prepared = socket
        .set_tcp_nodelay(true)
        .and_then(|()| socket.set_tcp_user_timeout(Some(LONGEST_UNREAD)));
    if let Err(error) = prepared {
        tracing::debug!(%error, "a connection is as the system makes it");
    }
}

/// Waits where accepting would fail again at once: the system is out of something.
async fn bear(error: &io::Error) {
    if !is_of_the_connection(error) {
        tracing::error!(%error, "no connection can be accepted");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether accepting failed for one client only.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

/// The service as one connection sees it. Answers of a server that is about to stop are the last on
/// their connection, so that clients go elsewhere with the next request.
fn answering(
    service: Router,
    peer: SocketAddr,
    draining: Draining,
) -> impl hyper::service::Service<
    Request<Incoming>,
    Response = axum::response::Response,
    Error = Infallible,
    Future: Send,
> {
    hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(in_time);
        request.extensions_mut().insert(ConnectInfo(peer));
        let answered = service.clone().oneshot(request);
        let draining = draining.clone();
        async move {
            let mut response = answered.await?;
            if draining.has_begun() {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            Ok(response)
        }
    })
}

/// A request's body, as long as it comes in time.
fn in_time(body: Incoming) -> Body {
    if body.is_end_stream() {
        return Body::empty();
    }
    let length = body.size_hint().upper().unwrap_or_default();
    let limit = LONGEST_BODY + Duration::from_secs(length / SLOWEST_BODY);
    Body::new(InTime {
        body,
        deadline: Box::pin(tokio::time::sleep(limit)),
    })
}

/// A body that fails where it is not there by a certain time.
struct InTime {
    body: Incoming,
    deadline: Pin<Box<Sleep>>,
}

impl HttpBody for InTime {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.deadline.as_mut().poll(context).is_ready() {
            let late = io::Error::new(io::ErrorKind::TimedOut, "the body did not come in time");
            return Poll::Ready(Some(Err(axum::Error::new(late))));
        }
        Pin::new(&mut self.body)
            .poll_frame(context)
            .map_err(axum::Error::new)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
