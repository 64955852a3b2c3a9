//! A token of somebody else's in `Authorization: Bearer` (RFC 6750), to be shown to a connector.

use archstone_model::secret::Secret;
use axum::{
    extract::FromRequestParts,
    http::{StatusCode, header, request::Parts},
};

use crate::error::ApiError;

/// The bearer token of a request. The header itself is shown to nobody.
#[derive(Debug)]
pub(crate) struct Bearer(pub Secret);

impl<S: Send + Sync> FromRequestParts<S> for Bearer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let token = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .filter(|token| !token.is_empty());
        token.map(Secret::from).map(Self).ok_or_else(|| {
            ApiError::new(
                StatusCode::UNAUTHORIZED,
                "The request needs a token of the identity provider in `Authorization: Bearer`.",
            )
        })
    }
}
