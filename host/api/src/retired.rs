//! Routes that only say that what they were for is no more: lists of revoked PKI tokens, and the
//! certificates that signed them.

use axum::{extract::State, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    error::{ApiError, Result},
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(revoked_pki_tokens))
        .routes(routes!(ca_certificate))
        .routes(routes!(signing_certificates))
}

/// Once listed revoked PKI tokens; never does.
#[utoipa::path(get, path = "/auth/tokens/OS-PKI/revoked", tag = "retired",
    responses((status = 403), (status = 410)))]
async fn revoked_pki_tokens(State(app): State<App>) -> Result {
    Err(app.identity.revoked_pki_tokens().into())
}

/// Once gave the certificate of the authority; is gone.
#[utoipa::path(get, path = "/OS-SIMPLE-CERT/ca", tag = "retired", responses((status = 410)))]
async fn ca_certificate() -> ApiError {
    pki_is_gone()
}

/// Once gave the certificates that signed tokens; is gone.
#[utoipa::path(get, path = "/OS-SIMPLE-CERT/certificates", tag = "retired",
    responses((status = 410)))]
async fn signing_certificates() -> ApiError {
    pki_is_gone()
}

fn pki_is_gone() -> ApiError {
    ApiError::new(
        StatusCode::GONE,
        "This API is no longer available due to the removal of support for PKI tokens.",
    )
}
