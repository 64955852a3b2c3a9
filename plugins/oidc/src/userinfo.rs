//! More claims about somebody, from the userinfo endpoint (OpenID Connect Core section 5.3).

use archstone_issuer::Claims;
use archstone_plugin::{
    Denial,
    http::{Request, Response},
};

use crate::provider::{Endpoint, Provider};

/// The claims about the subject, if there is an endpoint to ask.
///
/// # Errors
/// A denial, where the endpoint does not answer or speaks of somebody else.
pub fn of(
    provider: &Provider,
    access_token: &str,
    subject: &str,
) -> Result<Option<Claims>, Denial> {
    if provider.address(Endpoint::Userinfo).is_none() {
        return Ok(None);
    }
    let claims = ask(provider, access_token)?
        .ok_or_else(|| Denial::unavailable("the userinfo endpoint does not take the token"))?;
    match claims.text("sub") == Some(subject) {
        true => Ok(Some(claims)),
        // A token of somebody else's in place of theirs (section 5.3.2).
        false => Err(Denial::rejected("the userinfo is about somebody else")),
    }
}

/// The claims about whoever the token is for; nothing, if the endpoint does not take it.
pub fn ask(provider: &Provider, access_token: &str) -> Result<Option<Claims>, Denial> {
    let answer = Request::get(provider.need(Endpoint::Userinfo)?)
        .header("Accept", "application/json, application/jwt")
        .header("Authorization", format!("Bearer {access_token}"))
        .send()?;
    match answer.status() {
        200 => claims(provider, &answer).map(Some),
        400 | 401 | 403 => Ok(None),
        status => Err(Denial::unavailable(format!(
            "the userinfo endpoint answers with status {status}"
        ))),
    }
}

fn claims(provider: &Provider, answer: &Response) -> Result<Claims, Denial> {
    let kind = answer.header("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/jwt") {
        return Claims::read(answer.body())
            .map_err(|_| Denial::unavailable("the userinfo is no JSON object"));
    }
    let token = std::str::from_utf8(answer.body())
        .map_err(|_| Denial::unavailable("the userinfo is no JWT"))?;
    let claims = provider.open(token.trim())?.claims;
    // Those of a signed answer are there (section 5.3.2).
    let config = &provider.config;
    let ours = claims.text("iss") == Some(&config.issuer)
        && claims.audiences().contains(&config.client_id.as_str());
    match ours {
        true => Ok(claims),
        false => Err(Denial::rejected("the userinfo is not for us")),
    }
}
