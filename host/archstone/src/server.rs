//! Serving connections: as many as fit, each only as long as its client keeps sending, and all that were
//! begun to their end when the server stops.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::ConnectInfo,
    http::Request,
};
use hyper::{
    body::{Body as HttpBody, Frame, Incoming, SizeHint},
    server::conn::http1,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::Sleep,
};
use tower::ServiceExt;

/// How long a connection may take for a request's headers, and be idle before the next.
const LONGEST_HEADERS: Duration = Duration::from_secs(30);

/// How long a body may take, and the bytes a second that one may take longer for.
const LONGEST_BODY: Duration = Duration::from_secs(30);
const SLOWEST_BODY: u64 = 64 * 1024;

/// How long requests under way may take to end when the server is asked to stop.
const LONGEST_GOODBYE: Duration = Duration::from_secs(30);

/// How long nothing is accepted after the system would give no more connections.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` ends, and what was begun by then.
pub(crate) async fn serve(
    listener: TcpListener,
    service: Router,
    most_connections: usize,
    stop: impl Future<Output = ()>,
) {
    let mut stop = pin!(stop);
    let places = Arc::new(Semaphore::new(most_connections));
    let connections = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(LONGEST_HEADERS);
    loop {
        // Who finds no place waits outside, in the system's queue.
        let arrival = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, (stream, peer)) = tokio::select! {
            () = &mut stop => break,
            (place, accepted) = arrival => match accepted {
                Ok(accepted) => (place, accepted),
                Err(error) => {
                    bear(&error).await;
                    continue;
                }
            },
        };
        let connection = http.serve_connection(io_of(stream), answering(service.clone(), peer));
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, %peer, "a connection ended before its time");
            }
            drop(place);
        });
    }
    drop(listener);
    tokio::select! {
        () = connections.shutdown() => {}
        () = tokio::time::sleep(LONGEST_GOODBYE) => {
            tracing::warn!("requests that did not end in time were cut off");
        }
    }
}

/// Answers are small and go out at once.
fn io_of(stream: TcpStream) -> TokioIo<TcpStream> {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection will delay small answers");
    }
    TokioIo::new(stream)
}

/// Waits where accepting would fail again at once: the system is out of something.
async fn bear(error: &io::Error) {
    let of_the_connection = matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    );
    if !of_the_connection {
        tracing::error!(%error, "no connection can be accepted");
        tokio::time::sleep(PAUSE).await;
    }
}

/// The service as one connection sees it.
fn answering(
    service: Router,
    peer: SocketAddr,
) -> impl hyper::service::Service<
    Request<Incoming>,
    Response = axum::response::Response,
    Error = Infallible,
    Future: Send,
> {
    hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(in_time);
        request.extensions_mut().insert(ConnectInfo(peer));
        service.clone().oneshot(request)
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
