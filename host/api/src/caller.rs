//! Who is asking: the extractor that turns `X-Auth-Token` into a validated caller.

use archstone_identity::{Caller, RequestLine};
use axum::{
    extract::{FromRef, FromRequestParts, OriginalUri},
    http::request::Parts,
};

use crate::{App, error::ApiError};

/// A caller whose token is valid. A handler that takes one cannot run without.
#[derive(Debug)]
pub struct Authenticated(pub Caller);

impl<S> FromRequestParts<S> for Authenticated
where
    App: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let app = App::from_ref(state);
        let token = header(parts, "x-auth-token");
        // A nested router sees only the end of the path.
        let uri = parts
            .extensions
            .get::<OriginalUri>()
            .map_or(&parts.uri, |original| &original.0);
        let request = RequestLine {
            method: parts.method.as_str(),
            path: uri.path().trim_end_matches('/'),
        };
        Ok(Self(app.identity.caller(token, request).await?))
    }
}

/// The subject of token operations: `X-Subject-Token`.
#[derive(Debug)]
pub struct SubjectToken(pub Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for SubjectToken {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(header(parts, "x-subject-token").map(str::to_owned)))
    }
}

fn header<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    parts
        .headers
        .get(name)
        .and_then(|value| value.to_str().ok())
}
