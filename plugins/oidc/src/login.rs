//! The end of a login, however it began: from the provider's tokens to who it is.

use archstone_plugin::{Assertion, Denial};

use crate::{
    assertion,
    client::Tokens,
    config::AskUserinfo,
    id_token::{self, Login},
    provider::Provider,
    userinfo,
};

/// Who logged in. `nonce` is what the login began with, if it began in a browser.
pub fn proven(
    provider: &Provider,
    tokens: &Tokens,
    nonce: Option<&str>,
) -> Result<Assertion, Denial> {
    let id_token = tokens
        .id_token
        .as_ref()
        .ok_or_else(|| Denial::unavailable("the provider gives no ID token"))?;
    let login = Login {
        nonce,
        access_token: tokens.access_token.as_deref(),
        insist: true,
    };
    let claims = id_token::verify(provider, id_token, &login)?;
    let asked = provider.config.userinfo != AskUserinfo::Never;
    let more = match &tokens.access_token {
        Some(access_token) if asked => userinfo::of(provider, access_token, claims.subject()?)?,
        _ => None,
    };
    assertion::of(&provider.config, claims, more)
}
