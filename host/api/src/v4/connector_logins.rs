//! Logging in by a connector: by a token, by a browser, by a device, and being logged out.

use archstone_identity::{Arrival, DeviceProgress, Finished, Purpose, RequestedScope};
use archstone_model::{id::ConnectorId, secret::Secret};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Bearer, browser};
use crate::{
    App, auth,
    body::Body,
    error::{ApiError, Result},
    federated_login::take_to_dashboard,
    token_body::TokenEnvelope,
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(by_token))
        .routes(routes!(begin_by_device))
        .routes(routes!(continue_by_device))
        .routes(routes!(come_back))
        .routes(routes!(log_out))
}

/// Exchanges a token of the identity provider's, or of a workload's platform, for one of this cloud,
/// of the scope that is asked for.
#[utoipa::path(post, path = "/connectors/{connector_id}/token", tag = "connectors", security(()),
    params(("connector_id" = String, Path),
        ("Authorization" = String, Header, description = "`Bearer` and the token")),
    request_body = ScopeRequest,
    responses((status = 201, body = TokenEnvelope,
        headers(("X-Subject-Token" = String, description = "The token"))), (status = 401), (status = 403)))]
async fn by_token(
    State(app): State<App>,
    Path(id): Path<ConnectorId>,
    Bearer(token): Bearer,
    Body(request): Body<ScopeRequest>,
) -> Result {
    let scope = RequestedScope::from_body(request.scope.as_ref())?;
    let connector = app.identity.usable_connector(&id).await?;
    let issued = app
        .identity
        .log_in_by_token(&connector, &token, scope)
        .await?;
    auth::answer(&app, &issued, true).await
}

/// Begins a login of somebody who uses a browser elsewhere (RFC 8628).
#[utoipa::path(post, path = "/connectors/{connector_id}/device", tag = "connectors", security(()),
    params(("connector_id" = String, Path)),
    responses((status = 200, body = DeviceView), (status = 401), (status = 403)))]
async fn begin_by_device(
    State(app): State<App>,
    Path(id): Path<ConnectorId>,
) -> Result<Json<DeviceView>> {
    let connector = app.identity.usable_connector(&id).await?;
    let begun = app.identity.begin_device_login(&connector).await?;
    Ok(Json(DeviceView {
        message: begun.message,
        // Its client goes on with it.
        device_code: begun.device.expose().to_owned(),
        interval: begun.interval.as_secs(),
        expires_in: begun.expires_in.as_secs(),
    }))
}

/// Asks whether they have logged in: 202 while they have not.
#[utoipa::path(post, path = "/connectors/device", tag = "connectors", security(()),
    request_body = DeviceRequest,
    responses((status = 201, body = TokenEnvelope,
        headers(("X-Subject-Token" = String, description = "The token"))),
        (status = 202, body = PendingView), (status = 401), (status = 403)))]
async fn continue_by_device(State(app): State<App>, Body(request): Body<DeviceRequest>) -> Result {
    let scope = RequestedScope::from_body(request.scope.as_ref())?;
    let progress = app
        .identity
        .continue_device_login(&request.device_code, scope);
    match progress.await? {
        DeviceProgress::Finished(issued) => auth::answer(&app, &issued, true).await,
        DeviceProgress::Pending { interval } => {
            let interval = interval.as_secs();
            let headers = [(header::RETRY_AFTER, interval.to_string())];
            let body = Json(PendingView { interval });
            Ok((StatusCode::ACCEPTED, headers, body).into_response())
        }
    }
}

/// Where identity providers send browsers back to.
#[utoipa::path(get, path = "/federation/callback", tag = "connectors", security(()),
    params(("state" = Option<String>, Query), ("code" = Option<String>, Query)),
    responses((status = 200, body = String, content_type = "text/html",
        description = "The page that takes the token to the dashboard"), (status = 401), (status = 403)))]
async fn come_back(
    State(app): State<App>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result {
    let (state, parameters) = take_state(pairs(query.unwrap_or_default().as_bytes()))?;
    let arrival = Arrival {
        browser: Some(browser::shown(&headers, &state).unwrap_or_else(|| Secret::new(""))),
        state,
        parameters,
    };
    let Finished { issued, purpose } = app
        .identity
        .finish_login(arrival, RequestedScope::Default)
        .await?;
    match purpose {
        Purpose::Dashboard(dashboard) => take_to_dashboard(&app, &dashboard, &issued),
        Purpose::Token => auth::answer(&app, &issued, true).await,
    }
}

/// The identity provider's notice that somebody logged out there (OpenID Connect Back-Channel Logout
/// 1.0).
#[utoipa::path(post, path = "/connectors/{connector_id}/logout", tag = "connectors", security(()),
    params(("connector_id" = String, Path)),
    request_body(content = LogoutForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "Their sessions have ended; no body."), (status = 403)))]
async fn log_out(State(app): State<App>, Path(id): Path<ConnectorId>, form: Bytes) -> Result {
    let connector = app.identity.usable_connector(&id).await?;
    app.identity
        .log_out_by_notice(&connector, pairs(&form))
        .await?;
    Ok((StatusCode::OK, [(header::CACHE_CONTROL, "no-store")]).into_response())
}

/// The pairs of a query or a form. Bytes that make no text are replaced, so that everything is read.
fn pairs(encoded: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(encoded).into_owned().collect()
}

/// The one `state`, and the rest.
fn take_state(
    parameters: Vec<(String, String)>,
) -> Result<(String, Vec<(String, String)>), ApiError> {
    let (mut states, rest): (Vec<_>, Vec<_>) = parameters
        .into_iter()
        .partition(|(name, _)| name == "state");
    match (states.pop(), states.is_empty()) {
        (Some((_, state)), true) => Ok((state, rest)),
        _ => Err(ApiError::bad_request(
            "The request has no state, or more than one.",
        )),
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ScopeRequest {
    /// As in `POST /v3/auth/tokens`.
    #[schema(value_type = Option<Object>, nullable = false)]
    scope: Option<Value>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DeviceRequest {
    device_code: String,
    /// As in `POST /v3/auth/tokens`.
    #[schema(value_type = Option<Object>, nullable = false)]
    scope: Option<Value>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Device)]
struct DeviceView {
    /// For the person: `user_code`, `verification_uri` and the like.
    #[serde(flatten)]
    #[schema(ignore)]
    message: Map<String, Value>,
    /// What the client asks with.
    device_code: String,
    /// Seconds between two questions.
    interval: u64,
    /// Seconds that the person may take.
    expires_in: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Pending)]
struct PendingView {
    /// Seconds until the next question.
    interval: u64,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct LogoutForm {
    logout_token: String,
}
