//! This cloud as an identity provider: assertions for clouds that believe it, and its metadata.

use archstone_identity::Voucher;
use archstone_model::{id::ServiceProviderId, secret::Secret};
use axum::{
    extract::State,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    body::Body,
    error::{ApiError, Result},
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(assertion, no_assertion))
        .routes(routes!(enhanced_assertion, no_enhanced_assertion))
        .routes(routes!(metadata))
}

/// Exchanges a user's own token for a project for a SAML assertion.
#[utoipa::path(post, path = "/auth/OS-FEDERATION/saml2", tag = "federation", security(()),
    request_body = AssertionRequest,
    responses((status = 200, body = String, content_type = "text/xml",
        headers(("X-Sp-Url" = String), ("X-Auth-Url" = String))),
        (status = 401), (status = 403), (status = 404)))]
async fn assertion(State(app): State<App>, Body(request): Body<AssertionRequest>) -> Result {
    let auth = request.auth;
    let voucher = app
        .identity
        .vouch(
            auth.identity.token.id.expose(),
            &auth.scope.service_provider.id,
        )
        .await?;
    answer(voucher)
}

/// As `/auth/OS-FEDERATION/saml2`, in the envelope that an enhanced client posts.
#[utoipa::path(post, path = "/auth/OS-FEDERATION/saml2/ecp", tag = "federation", security(()),
    request_body = AssertionRequest,
    responses((status = 200, body = String, content_type = "text/xml",
        headers(("X-Sp-Url" = String), ("X-Auth-Url" = String))),
        (status = 401), (status = 403), (status = 404)))]
async fn enhanced_assertion(
    State(app): State<App>,
    Body(request): Body<AssertionRequest>,
) -> Result {
    let auth = request.auth;
    let voucher = app
        .identity
        .vouch_to_enhanced_client(
            auth.identity.token.id.expose(),
            &auth.scope.service_provider.id,
        )
        .await?;
    answer(voucher)
}

/// Assertions are asked for by `POST`.
#[utoipa::path(get, path = "/auth/OS-FEDERATION/saml2", tag = "federation", security(()),
    responses((status = 405)))]
async fn no_assertion() -> ApiError {
    ApiError::only("POST")
}

/// Assertions are asked for by `POST`.
#[utoipa::path(get, path = "/auth/OS-FEDERATION/saml2/ecp", tag = "federation", security(()),
    responses((status = 405)))]
async fn no_enhanced_assertion() -> ApiError {
    ApiError::only("POST")
}

/// What this cloud says of itself as an identity provider: the operator's file, as it stands.
#[utoipa::path(get, path = "/OS-FEDERATION/saml2/metadata", tag = "federation", security(()),
    responses((status = 200, body = String, content_type = "text/xml")))]
async fn metadata(State(app): State<App>) -> Result {
    let path = &app.options.saml_metadata;
    let metadata = tokio::fs::read(path).await.map_err(|error| {
        archstone_identity::Error::internal(format!("cannot read {}: {error}", path.display()))
    })?;
    Ok(([(header::CONTENT_TYPE, "text/xml")], metadata).into_response())
}

/// The assertion, with where the client takes it.
fn answer(voucher: Voucher) -> Result {
    let provider = &voucher.service_provider;
    let mut response: Response = (
        [(header::CONTENT_TYPE, "text/xml")],
        // Handing the assertion to its user is what this answer is for.
        voucher.document.expose().to_owned(),
    )
        .into_response();
    for (name, url) in [
        ("x-sp-url", &provider.sp_url),
        ("x-auth-url", &provider.auth_url),
    ] {
        let value = HeaderValue::from_bytes(url.as_bytes()).map_err(|_| {
            archstone_identity::Error::internal(format!(
                "a URL of service provider {} cannot be sent in a header",
                provider.id
            ))
        })?;
        response
            .headers_mut()
            .insert(HeaderName::from_static(name), value);
    }
    Ok(response)
}

#[derive(Debug, Deserialize, ToSchema)]
struct AssertionRequest {
    auth: AssertionAuth,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AssertionAuth {
    identity: AssertionIdentity,
    scope: AssertionScope,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AssertionIdentity {
    token: GivenToken,
    /// Not looked at: it is always the token.
    #[serde(default, rename = "methods")]
    #[schema(nullable = false)]
    _methods: Option<Vec<serde_json::Value>>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GivenToken {
    #[schema(value_type = String)]
    id: Secret,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AssertionScope {
    service_provider: NamedServiceProvider,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NamedServiceProvider {
    #[schema(value_type = String)]
    id: ServiceProviderId,
}
