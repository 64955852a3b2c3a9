//! The `links` of every entity and list, under the URL by which the client reached us.

use std::fmt;

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{HeaderMap, header, request::Parts},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{App, error::ApiError};

/// The public root of this server, without a trailing slash and without `/v3`.
#[derive(Debug, Clone)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// `[DEFAULT] public_endpoint` where it is set, otherwise what the client's `Host` says.
    pub(crate) fn of(public_endpoint: Option<&str>, headers: &HeaderMap) -> Self {
        let url = match public_endpoint {
            Some(url) => url.trim_end_matches('/').trim_end_matches("/v3").to_owned(),
            None => {
                let host = headers
                    .get(header::HOST)
                    .and_then(|host| host.to_str().ok())
                    .filter(|host| {
                        !host.is_empty()
                            && host.bytes().all(|b| {
                                b.is_ascii_alphanumeric()
                                    || matches!(b, b'.' | b'-' | b':' | b'[' | b']' | b'_')
                            })
                    })
                    .unwrap_or("localhost");
                format!("http://{host}")
            }
        };
        Self(url)
    }

    /// The URL of a v3 path such as `users/42`.
    pub fn v3(&self, path: impl fmt::Display) -> String {
        format!("{}/v3/{path}", self.0)
    }

    /// The URL of a v4 path such as `connectors/42`.
    pub fn v4(&self, path: impl fmt::Display) -> String {
        format!("{}/v4/{path}", self.0)
    }

    /// `{"self": ...}` of one entity.
    pub fn self_link(&self, path: impl fmt::Display) -> SelfLink {
        SelfLink::to(self.v3(path))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<S> FromRequestParts<S> for BaseUrl
where
    App: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let app = App::from_ref(state);
        Ok(Self::of(
            app.options.public_endpoint.as_deref(),
            &parts.headers,
        ))
    }
}

/// The link of an entity to itself.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SelfLink {
    #[serde(rename = "self")]
    itself: String,
}

impl SelfLink {
    pub(crate) fn to(itself: String) -> Self {
        Self { itself }
    }
}

/// The links of a list. `next` is set where the list was cut short.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ListLinks {
    pub next: Option<String>,
    #[serde(rename = "self")]
    pub itself: String,
    pub previous: Option<String>,
}

impl ListLinks {
    /// The links of a list that is complete.
    pub fn complete(itself: String) -> Self {
        Self {
            next: None,
            itself,
            previous: None,
        }
    }
}
