//! The provider's notice that somebody logged out (OpenID Connect Back-Channel Logout 1.0).

use std::time::Duration;

use archstone_issuer::{Claims, Expected, state_key};
use archstone_plugin::{Denial, Parameters, Reason, clock, state};
use serde_json::Value;

use crate::{config::Config, provider::Provider};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// How old a notice may be.
const LIFETIME: u64 = 300;

/// The subject that a notice is about.
pub fn ended(provider: &Provider, form: &Parameters) -> Result<String, Denial> {
    let token = form
        .get("logout_token")
        .ok_or_else(|| Denial::malformed("there is no `logout_token`"))?;
    let jwt = provider.open_as_agreed(token)?;
    if !matches!(jwt.kind().as_str(), "" | "jwt" | "logout+jwt") {
        return Err(Denial::rejected("this is no logout token"));
    }
    let config = &provider.config;
    let name = check(config, &jwt.claims, clock::now().as_secs())?;
    let subject = subject(&jwt.claims)?;
    let outlives = Duration::from_secs(LIFETIME + 2 * config.leeway_seconds);
    match state::put_if_absent(&state_key("logged-out", &name), "", outlives)? {
        true => Ok(subject),
        false => Err(Denial::new(Reason::Replayed, "the notice came before")),
    }
}

/// Holds the claims against section 2.6, and gives the notice's name (`jti`).
fn check(config: &Config, claims: &Claims, now: u64) -> Result<String, Denial> {
    claims.check(&Expected {
        now,
        leeway: config.leeway_seconds,
        issuer: Some(&config.issuer),
        audiences: std::slice::from_ref(&config.client_id),
        max_age: Some(LIFETIME),
        required: &[],
    })?;
    let is_logout = claims
        .get("events")
        .and_then(|events| events.get(EVENT))
        .is_some_and(Value::is_object);
    if !is_logout || claims.contains("nonce") {
        return Err(Denial::rejected("this is no logout token"));
    }
    match claims.text("jti") {
        Some(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => Err(Denial::rejected("the logout token has no `jti`")),
    }
}

/// Sessions are known by their subject here, not by the provider's name for them (`sid`).
fn subject(claims: &Claims) -> Result<String, Denial> {
    match claims.contains("sub") {
        true => claims.subject().map(str::to_owned),
        false => Err(Denial::rejected("the logout token names no `sub`")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::tests::config;

    const NOW: u64 = 1_800_000_000;

    fn said(changes: Value) -> String {
        let mut claims = json!({
            "iss": "https://id.example",
            "sub": "ada",
            "aud": "archstone",
            "iat": NOW,
            "exp": NOW + 120,
            "jti": "once",
            "events": {EVENT: {}},
        });
        if let (Some(claims), Value::Object(changes)) = (claims.as_object_mut(), changes) {
            claims.extend(changes);
        }
        let claims = Claims::read(claims.to_string().as_bytes()).unwrap();
        match check(&config(json!({})), &claims, NOW) {
            Ok(name) => name,
            Err(denial) => denial.detail().to_owned(),
        }
    }

    #[test]
    fn only_a_logout_token_ends_sessions() {
        assert_eq!(said(json!({})), "once");
        for (changes, fault) in [
            (json!({"events": {}}), "no logout token"),
            (json!({"events": {EVENT: true}}), "no logout token"),
            (json!({"events": [EVENT]}), "no logout token"),
            (json!({"nonce": "n"}), "no logout token"),
            (json!({"jti": ""}), "no `jti`"),
            (json!({"jti": 1}), "no `jti`"),
            (json!({"aud": "shop"}), "another audience"),
            (json!({"iss": "https://eve.example"}), "another issuer"),
            (json!({"iat": NOW - 361}), "too long ago"),
            (json!({"exp": NOW - 60}), "expired"),
        ] {
            let said = said(changes.clone());
            assert!(said.contains(fault), "{changes}: {said}");
        }
    }
}
