//! Version discovery: `/` and `/v3`, as JSON or JSON Home, and the OpenAPI document. `/` names
//! Keystone's version alone unless the operator says otherwise; `/v4` tells of itself.

use std::sync::LazyLock;

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{ApiError, App, json_home, json_home::JsonHome, links::BaseUrl, routes};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(versions))
        .routes(routes!(version))
        .routes(routes!(openapi))
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "versions", security(()),
    responses((status = 200, body = Object)))]
async fn openapi() -> Response {
    // Anybody may ask for it, and it is the largest answer there is: it is written once.
    static DOCUMENT: LazyLock<serde_json::Result<Bytes>> =
        LazyLock::new(|| serde_json::to_vec(&routes::document()).map(Bytes::from));
    match &*DOCUMENT {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text.clone()).into_response(),
        Err(error) => ApiError::from(archstone_identity::Error::internal(error)).into_response(),
    }
}

/// Which API versions this endpoint serves.
#[utoipa::path(get, path = "/", tag = "versions", security(()), responses(
    (status = 300, body = Versions,
        headers(("Location" = String, description = "The root of the newest version"))),
    (status = 200, body = JsonHome, content_type = "application/json-home",
        description = "For who accepts nothing else as gladly"),
))]
async fn versions(State(app): State<App>, base_url: BaseUrl, headers: HeaderMap) -> Response {
    if json_home::is_wanted(&headers) {
        return json_home::document("/v3");
    }
    let v4 = app.options.announce_v4.then(|| Version::v4(&base_url));
    let values = v4.into_iter().chain([Version::v3(&base_url)]).collect();
    let body = Versions {
        versions: VersionValues { values },
    };
    let mut response = (StatusCode::MULTIPLE_CHOICES, Json(body)).into_response();
    if let Ok(location) = HeaderValue::from_str(&base_url.v3("")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// What this version of the API is.
#[utoipa::path(get, path = "/v3", tag = "versions", security(()), responses((
    status = 200, content((VersionEnvelope = "application/json"), (JsonHome = "application/json-home")),
)))]
async fn version(base_url: BaseUrl, headers: HeaderMap) -> Response {
    if json_home::is_wanted(&headers) {
        return json_home::document("");
    }
    let version = Version::v3(&base_url);
    Json(VersionEnvelope { version }).into_response()
}

#[derive(Serialize, ToSchema)]
struct Versions {
    versions: VersionValues,
}

#[derive(Serialize, ToSchema)]
struct VersionValues {
    values: Vec<Version>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct VersionEnvelope {
    pub(crate) version: Version,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Version {
    id: &'static str,
    status: &'static str,
    updated: &'static str,
    #[schema(value_type = Vec<VersionLink>)]
    links: [VersionLink; 1],
    #[serde(rename = "media-types")]
    #[schema(value_type = Vec<MediaType>)]
    media_types: [MediaType; 1],
}

#[derive(Serialize, ToSchema)]
struct VersionLink {
    rel: &'static str,
    href: String,
}

#[derive(Serialize, ToSchema)]
struct MediaType {
    base: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
}

impl Version {
    fn v3(base_url: &BaseUrl) -> Self {
        Self {
            id: "v3.14",
            status: "stable",
            updated: "2020-04-07T00:00:00Z",
            links: [VersionLink {
                rel: "self",
                href: base_url.v3(""),
            }],
            media_types: [MediaType {
                base: "application/json",
                kind: "application/vnd.openstack.identity-v3+json",
            }],
        }
    }

    pub(crate) fn v4(base_url: &BaseUrl) -> Self {
        Self {
            id: "v4.0",
            status: "experimental",
            updated: "2026-11-01T00:00:00Z",
            links: [VersionLink {
                rel: "self",
                href: base_url.v4(""),
            }],
            media_types: [MediaType {
                base: "application/json",
                kind: "application/vnd.openstack.identity-v4+json",
            }],
        }
    }
}
