//! `/healthcheck`: alive, and ready to answer (the database answers).

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(ready))
        .routes(routes!(live))
}

/// Whether this server can answer requests.
#[utoipa::path(get, path = "/healthcheck", tag = "operations", responses(
    (status = 200, description = "Ready"),
    (status = 503, description = "Not ready; `reasons` says why"),
))]
async fn ready(State(app): State<App>) -> Response {
    match app.identity.ready().await {
        Ok(()) => Json(json!({ "status": "ready" })).into_response(),
        Err(error) => {
            tracing::warn!(reason = error.reason().unwrap_or_default(), "not ready");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                Json(json!({ "status": "unavailable", "reasons": [error.to_string()] })),
            )
                .into_response()
        }
    }
}

/// Whether this process runs at all.
#[utoipa::path(get, path = "/healthcheck/live", tag = "operations", responses((status = 200, description = "Alive")))]
async fn live() -> Response {
    Json(json!({ "status": "alive" })).into_response()
}
