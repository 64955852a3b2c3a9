//! `/healthcheck`: alive, and ready to answer (the database answers, and the server is to stay).

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(ready))
        .routes(routes!(live))
}

/// Whether this server can answer requests.
#[utoipa::path(get, path = "/healthcheck", tag = "operations", security(()), responses(
    (status = 200, body = Health, description = "Ready"),
    (status = 503, body = Health, description = "Not ready; `reasons` says why"),
))]
async fn ready(State(app): State<App>) -> Response {
    if app.draining.has_begun() {
        return unavailable("This server is about to stop.".to_owned());
    }
    match app.identity.ready().await {
        Ok(()) => Json(Health::new("ready")).into_response(),
        Err(error) => {
            tracing::warn!(reason = error.reason().unwrap_or_default(), "not ready");
            unavailable(error.to_string())
        }
    }
}

fn unavailable(reason: String) -> Response {
    let health = Health {
        reasons: vec![reason],
        ..Health::new("unavailable")
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(health)).into_response()
}

/// Whether this process runs at all.
#[utoipa::path(get, path = "/healthcheck/live", tag = "operations", security(()),
    responses((status = 200, body = Health, description = "Alive")))]
async fn live() -> Response {
    Json(Health::new("alive")).into_response()
}

#[derive(Serialize, ToSchema)]
struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    reasons: Vec<String>,
}

impl Health {
    fn new(status: &'static str) -> Self {
        Self {
            status,
            reasons: Vec::new(),
        }
    }
}
