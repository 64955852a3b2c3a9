//! The HTTP room: routers, request and response bodies, Keystone's error shape, the OpenAPI
//! document. Handlers parse, ask [`archstone_identity`], and render; they decide nothing.

mod application_credentials;
mod assertion;
mod assignments;
mod auth;
mod body;
mod body_limit;
mod caller;
mod catalog;
mod credentials;
mod domain_configs;
mod domains;
mod draining;
mod ec2_credentials;
mod ec2_tokens;
mod endpoint_filters;
mod error;
mod federated_login;
mod groups;
mod health;
mod identity_providers;
mod json_home;
mod limits;
mod links;
mod malformed_urls;
mod mappings;
mod oauth1;
mod oauth1_grants;
mod oauth2;
mod openapi;
mod policies;
mod project_tags;
mod projects;
mod query;
mod request_id;
mod resource;
mod retired;
mod revocations;
mod roles;
mod routes;
mod saml;
mod service_providers;
mod time;
mod token_body;
mod trusts;
mod user_view;
mod users;
mod v4;
mod versions;

use std::{path::PathBuf, sync::Arc};

use archstone_identity::Identity;
use axum::{
    Router,
    http::{HeaderValue, Method, header},
    middleware,
    response::{IntoResponse, Response},
};
use tower_http::{catch_panic::CatchPanicLayer, normalize_path::NormalizePath};

pub use crate::{
    assertion::TrustedProxies,
    draining::Draining,
    error::ApiError,
    federated_login::CallbackPage,
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
    /// Whose word about identity providers counts; nobody's unless it is set.
    pub trusted_proxies: Option<TrustedProxies>,
    /// `[federation] trusted_dashboard`: where a single sign-on may send a token.
    pub trusted_dashboards: Vec<String>,
    /// `[federation] sso_callback_template`
    pub callback_page: CallbackPage,
    /// `[saml] idp_metadata_path`
    pub saml_metadata: PathBuf,
    /// `[archstone] passkey_method`: the method that `/v4` enrols security keys in.
    pub passkey_method: String,
    /// `[archstone] announce_v4`: whether `/` names `/v4` besides Keystone's version.
    pub announce_v4: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            public_endpoint: None,
            max_request_body_size: 114_688,
            trusted_proxies: None,
            trusted_dashboards: Vec::new(),
            callback_page: CallbackPage::default(),
            saml_metadata: PathBuf::from("/etc/keystone/saml2_idp_metadata.xml"),
            passkey_method: "security-key".to_owned(),
            announce_v4: false,
        }
    }
}

/// What handlers share.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) identity: Arc<Identity>,
    pub(crate) options: Arc<Options>,
    pub(crate) draining: Draining,
}

/// The whole HTTP service, which says when it is about to stop.
pub fn service(identity: Arc<Identity>, options: Options, draining: Draining) -> Router {
    let app = App {
        identity,
        options: Arc::new(options),
        draining,
    };
    let (router, openapi) = routes::documented().split_for_parts();
    let router = routes::with_unserved(router, &openapi)
        .fallback(async || ApiError::unknown_url())
        .method_not_allowed_fallback(options_or_refusal)
        .layer(CatchPanicLayer::custom(answer_panic))
        .layer(middleware::from_fn_with_state(
            app.clone(),
            body_limit::limit,
        ))
        .layer(middleware::from_fn_with_state(
            app.clone(),
            request_id::frame,
        ))
        .with_state(app);
    // Slashes at the end of a path are taken off before it is routed.
    Router::new()
        .fallback_service(NormalizePath::trim_trailing_slash(router))
        .layer(middleware::map_response(with_options_allowed))
}

/// Every path answers `OPTIONS`, which no route names.
async fn with_options_allowed(mut response: Response) -> Response {
    let allowed = response.headers().get(header::ALLOW).and_then(|allowed| {
        let allowed = allowed.to_str().ok()?;
        (!allowed.contains("OPTIONS")).then(|| format!("{allowed},OPTIONS"))
    });
    if let Some(Ok(allowed)) = allowed.map(HeaderValue::try_from) {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

/// What a path answers to methods that it does not have. The router adds which ones it has.
async fn options_or_refusal(method: Method) -> Response {
    if method == Method::OPTIONS {
        return ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], "").into_response();
    }
    ApiError::method_not_allowed().into_response()
}

/// A panic is a bug; the client still gets an answer in the usual shape, without its text.
fn answer_panic(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a handler panicked");
    ApiError::from(archstone_identity::Error::internal("a handler panicked")).into_response()
}
