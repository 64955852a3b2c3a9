//! `/v4/federation`: logins in the dialect of the Rust client (`osc`).

use archstone_identity::{Arrival, Purpose, RequestedScope};
use archstone_model::{
    connector::Connector,
    id::{ConnectorId, IdentityProviderId},
};
use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Bearer, browser::CALLBACK};
use crate::{
    App, auth,
    body::Body,
    error::{ApiError, Result},
    links::BaseUrl,
    token_body::TokenEnvelope,
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(begin))
        .routes(routes!(finish))
        .routes(routes!(exchange))
}

/// Begins a login whose browser comes back to the client.
#[utoipa::path(post, path = "/federation/identity_providers/{idp_id}/auth", tag = "federation",
    security(()), params(("idp_id" = String, Path)), request_body = BeginRequest,
    responses((status = 200, body = BegunView), (status = 401), (status = 403)))]
async fn begin(
    State(app): State<App>,
    Path(idp_id): Path<IdentityProviderId>,
    base_url: BaseUrl,
    Body(request): Body<BeginRequest>,
) -> Result<Json<BegunView>> {
    let connector = connector(&app, &idp_id).await?;
    let callback = base_url.v4(CALLBACK);
    let redirect_uri = request.redirect_uri.as_deref();
    let begun = app
        .identity
        .begin_login(&connector, &callback, redirect_uri, Purpose::Token)
        .await?;
    Ok(Json(BegunView {
        auth_url: begun.location,
    }))
}

/// Finishes it with what the browser came back with.
#[utoipa::path(post, path = "/federation/oidc/callback", tag = "federation", security(()),
    request_body = FinishRequest,
    responses((status = 201, body = TokenEnvelope,
        headers(("X-Subject-Token" = String, description = "The token"))), (status = 401), (status = 403)))]
async fn finish(State(app): State<App>, Body(request): Body<FinishRequest>) -> Result {
    let scope = RequestedScope::from_body(request.scope.as_ref())?;
    let mut parameters = vec![("code".to_owned(), request.code)];
    parameters.extend(request.iss.map(|iss| ("iss".to_owned(), iss)));
    let arrival = Arrival {
        state: request.state,
        parameters,
        browser: None,
    };
    let finished = app.identity.finish_login(arrival, scope).await?;
    auth::answer(&app, &finished.issued, true).await
}

/// Exchanges a workload's token. `Openstack-Mapping` names the identity provider, or its mapping.
#[utoipa::path(post, path = "/federation/identity_providers/{idp_id}/jwt", tag = "federation",
    security(()), params(("idp_id" = String, Path),
        ("Authorization" = String, Header, description = "`Bearer` and the token"),
        ("Openstack-Mapping" = Option<String>, Header)),
    responses((status = 201, body = TokenEnvelope,
        headers(("X-Subject-Token" = String, description = "The token"))), (status = 401), (status = 403)))]
async fn exchange(
    State(app): State<App>,
    Path(idp_id): Path<IdentityProviderId>,
    headers: HeaderMap,
    Bearer(token): Bearer,
) -> Result {
    let connector = connector(&app, &idp_id).await?;
    if let Some(named) = headers.get("openstack-mapping") {
        let known = [
            Some(connector.name.as_str()),
            Some(connector.mapping_id.as_str()),
            connector.mapping_name.as_deref(),
        ];
        let mut known = known.into_iter().flatten();
        if !known.any(|known| named.as_bytes() == known.as_bytes()) {
            return Err(ApiError::bad_request(
                "The identity provider has no mapping of the name in `Openstack-Mapping`.",
            ));
        }
    }
    let scope = RequestedScope::Default;
    let issued = app
        .identity
        .log_in_by_token(&connector, &token, scope)
        .await?;
    auth::answer(&app, &issued, true).await
}

/// A connector's identity provider has the connector's id.
async fn connector(app: &App, idp_id: &IdentityProviderId) -> Result<Connector, ApiError> {
    let id = ConnectorId::from(idp_id.as_str());
    Ok(app.identity.usable_connector(&id).await?)
}

#[derive(Deserialize, ToSchema)]
struct BeginRequest {
    /// Where the browser comes back to: one of the connector's `redirect_uris`.
    #[schema(nullable = false)]
    redirect_uri: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct BegunView {
    /// Where the browser goes.
    auth_url: String,
}

#[derive(Deserialize, ToSchema)]
struct FinishRequest {
    code: String,
    state: String,
    /// The issuer, where the provider names it (RFC 9207).
    #[schema(nullable = false)]
    iss: Option<String>,
    /// As in `POST /v3/auth/tokens`.
    #[schema(value_type = Option<Object>, nullable = false)]
    scope: Option<Value>,
}
