//! Version discovery: `/` and `/v3`, as JSON or JSON Home, and the OpenAPI document.

use axum::{
    Json, Router,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{App, json_home, links::BaseUrl};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(versions))
        .routes(routes!(version))
}

/// Serves the OpenAPI document of everything else.
pub(crate) fn openapi_route(document: utoipa::openapi::OpenApi) -> Router<App> {
    Router::new().route("/openapi.json", get(async move || Json(document)))
}

/// Which API versions this endpoint serves.
#[utoipa::path(get, path = "/", tag = "versions", responses((status = 300, description = "The versions")))]
async fn versions(base_url: BaseUrl, headers: HeaderMap) -> Response {
    if json_home::is_wanted(&headers) {
        return json_home::document("/v3");
    }
    let body = json!({ "versions": { "values": [description(&base_url)] } });
    let mut response = (StatusCode::MULTIPLE_CHOICES, Json(body)).into_response();
    if let Ok(location) = HeaderValue::from_str(&base_url.v3("")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// What this version of the API is.
#[utoipa::path(get, path = "/v3", tag = "versions", responses((status = 200, description = "The version")))]
async fn version(base_url: BaseUrl, headers: HeaderMap) -> Response {
    if json_home::is_wanted(&headers) {
        return json_home::document("");
    }
    Json(json!({ "version": description(&base_url) })).into_response()
}

fn description(base_url: &BaseUrl) -> Value {
    json!({
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{ "rel": "self", "href": base_url.v3("") }],
        "media-types": [{
            "base": "application/json",
            "type": "application/vnd.openstack.identity-v3+json",
        }],
    })
}
