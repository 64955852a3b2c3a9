//! `/v4` itself, which tells clients what this version of the API is.

use axum::Json;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    links::BaseUrl,
    versions::{Version, VersionEnvelope},
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show))
}

/// What this version of the API is.
#[utoipa::path(get, path = "", tag = "versions", security(()), responses((status = 200, body = VersionEnvelope)))]
async fn show(base_url: BaseUrl) -> Json<VersionEnvelope> {
    Json(VersionEnvelope {
        version: Version::v4(&base_url),
    })
}
