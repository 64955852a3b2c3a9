//! The HTTP room: routers, request and response bodies, Keystone's error shape, the OpenAPI
//! document. Handlers parse, ask [`archstone_identity`], and render; they decide nothing.

mod application_credentials;
mod assignments;
mod auth;
mod body;
mod caller;
mod catalog;
mod credentials;
mod ec2_credentials;
mod ec2_tokens;
mod error;
mod groups;
mod health;
mod links;
mod oauth1;
mod oauth1_grants;
mod oauth2;
mod projects;
mod query;
mod request_id;
mod roles;
mod routes;
mod time;
mod users;
mod versions;

use std::sync::Arc;

use archstone_identity::Identity;
use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    response::{IntoResponse, Response},
};
use tower_http::catch_panic::CatchPanicLayer;

pub use crate::{
    error::ApiError,
    routes::{RouteState, RouteStatus, route_status},
};

/// Settings of the HTTP room.
#[derive(Debug, Clone)]
pub struct Options {
    /// `[DEFAULT] public_endpoint`: the URL that links start with, where the `Host` header is not
    /// to be believed.
    pub public_endpoint: Option<String>,
    /// `[oslo_middleware] max_request_body_size`, in bytes.
    pub max_request_body_size: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            public_endpoint: None,
            max_request_body_size: 114_688,
        }
    }
}

/// What handlers share.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) identity: Arc<Identity>,
    pub(crate) options: Arc<Options>,
}

/// The whole HTTP service.
pub fn service(identity: Arc<Identity>, options: Options) -> Router {
    let app = App {
        identity,
        options: Arc::new(options),
    };
    let (router, openapi) = routes::documented().split_for_parts();
    routes::with_unserved(router, &openapi)
        .merge(versions::openapi_route(openapi))
        .fallback(async || ApiError::unknown_url())
        .method_not_allowed_fallback(async || ApiError::method_not_allowed())
        .layer(CatchPanicLayer::custom(answer_panic))
        .layer(DefaultBodyLimit::max(app.options.max_request_body_size))
        .layer(middleware::from_fn_with_state(
            app.clone(),
            request_id::frame,
        ))
        .with_state(app)
}

/// A panic is a bug; the client still gets an answer in the usual shape, without its text.
fn answer_panic(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a handler panicked");
    ApiError::from(archstone_identity::Error::internal("a handler panicked")).into_response()
}
