//! `X-Openstack-Request-Id` on every answer, and the span that every log line of a request is in.

use std::net::SocketAddr;

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::Response,
};
use tracing::Instrument;
use uuid::Uuid;

use crate::{App, error::add_challenge, links::BaseUrl};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");

/// The id of the request being served: `req-` and a UUID.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// Gives each request an id and a span, and finishes each answer with the headers that Keystone
/// sends: `X-Openstack-Request-Id`, `Vary: X-Auth-Token`, and the challenge of a 401.
pub(crate) async fn frame(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let id = RequestId(format!("req-{}", Uuid::new_v4()));
    let base_url = BaseUrl::of(app.options.public_endpoint.as_deref(), request.headers());
    let method = request.method().clone();
    let client = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|ConnectInfo(address)| address.ip().to_string());
    let span = tracing::info_span!(
        "request",
        request_id = %id.0,
        client,
        method = %method,
        path = %request.uri().path(),
    );
    request.extensions_mut().insert(id.clone());
    let started = std::time::Instant::now();
    let route = request
        .extensions()
        .get::<axum::extract::MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let mut response = next.run(request).instrument(span.clone()).await;
    let elapsed = started.elapsed();
    let status = response.status().as_u16();
    span.in_scope(|| {
        tracing::info!(status, duration_us = elapsed.as_micros() as u64, "answered");
    });
    let method = metered(&method);
    metrics::counter!("archstone_http_requests_total", "method" => method, "route" => route.clone(), "status" => status.to_string()).increment(1);
    metrics::histogram!("archstone_http_request_duration_seconds", "method" => method, "route" => route)
        .record(elapsed.as_secs_f64());
    add_challenge(&mut response, &base_url);
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        headers.insert(REQUEST_ID, value);
    }
    headers.append(header::VARY, HeaderValue::from_static("X-Auth-Token"));
    response
}

/// A method as a label: clients may make up others, and each would be a time series for ever.
fn metered(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
