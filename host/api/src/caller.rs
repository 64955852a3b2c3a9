//! Who is asking: the extractor that turns `X-Auth-Token`, or a certificate, into a validated caller.

use archstone_identity::{
    Caller, DomainReference, Error, ProjectReference, RequestLine, RequestedScope,
};
use axum::{
    extract::{FromRef, FromRequestParts, OriginalUri},
    http::request::Parts,
};

use crate::{App, assertion::trusted, error::ApiError};

/// A caller whose token is valid, or whose certificate counts in its place. A handler that takes one
/// cannot run without.
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
        if token.is_none() {
            let variables = trusted(parts, &app)?;
            if let Some(issuer) = app.identity.trusted_issuer(&variables) {
                let scope = scope_in_headers(parts)?;
                let caller = app
                    .identity
                    .caller_by_certificate(issuer, &variables, &scope, request)
                    .await?;
                return Ok(Self(caller));
            }
        }
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

/// What a request without a token is for.
fn scope_in_headers(parts: &Parts) -> Result<RequestedScope, Error> {
    let given = |name| header(parts, name).filter(|text| !text.is_empty());
    let domain = |id, name| match (given(id), given(name)) {
        (Some(id), _) => Some(DomainReference::Id(id.into())),
        (None, Some(name)) => Some(DomainReference::Name(name.to_owned())),
        (None, None) => None,
    };
    if let Some(id) = given("x-project-id") {
        return Ok(RequestedScope::Project(ProjectReference::Id(id.into())));
    }
    if let Some(name) = given("x-project-name") {
        let domain = domain("x-project-domain-id", "x-project-domain-name").ok_or_else(|| {
            Error::invalid("Neither Project Domain ID nor Project Domain Name was provided.")
        })?;
        return Ok(RequestedScope::Project(ProjectReference::Name {
            name: name.to_owned(),
            domain,
        }));
    }
    domain("x-domain-id", "x-domain-name")
        .map(RequestedScope::Domain)
        .ok_or_else(|| Error::missing_attribute("project or domain", "scope"))
}

fn header<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    parts
        .headers
        .get(name)
        .and_then(|value| value.to_str().ok())
}
