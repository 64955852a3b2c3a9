//! Routes that Keystone has without serving anything: what was for PKI tokens, which are no more,
//! and reads where there is nothing to read.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
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
        .routes(routes!(password))
}

/// Routes outside of `/v3`.
pub(crate) fn unversioned_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(static_files))
}

/// No password can be read. `POST` changes it.
#[utoipa::path(get, path = "/users/{user_id}/password", tag = "retired", security(()),
    params(("user_id" = String, Path)), responses((status = 405)))]
async fn password() -> impl IntoResponse {
    ([(header::ALLOW, "POST")], ApiError::method_not_allowed())
}

/// Files that belong to no API; there are none.
#[utoipa::path(get, path = "/static/{*filename}", tag = "retired", security(()),
    params(("filename" = String, Path)), responses((status = 404)))]
async fn static_files() -> ApiError {
    ApiError::unknown_url()
}

/// Once listed revoked PKI tokens; never does.
#[utoipa::path(get, path = "/auth/tokens/OS-PKI/revoked", tag = "retired", security(()),
    responses((status = 403), (status = 410)))]
async fn revoked_pki_tokens(State(app): State<App>) -> Result {
    Err(app.identity.revoked_pki_tokens().into())
}

/// Once gave the certificate of the authority; is gone.
#[utoipa::path(get, path = "/OS-SIMPLE-CERT/ca", tag = "retired", security(()), responses((status = 410)))]
async fn ca_certificate() -> ApiError {
    pki_is_gone()
}

/// Once gave the certificates that signed tokens; is gone.
#[utoipa::path(get, path = "/OS-SIMPLE-CERT/certificates", tag = "retired", security(()),
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
