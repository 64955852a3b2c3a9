//! A token that a client got from the provider by itself: an access token, as a JWT (RFC 9068), by
//! introspection (RFC 7662) or by the userinfo endpoint; or an ID token. Which of them are taken
//! is for the configuration.

use archstone_issuer::{Claims, Expected, Jwt};
use archstone_plugin::{Assertion, Denial, clock};

use crate::{
    assertion,
    client::{Answer, Form, refused},
    config::{AskUserinfo, BearerToken},
    id_token::{self, Login},
    provider::{Endpoint, Provider},
    userinfo,
};

/// Looks at a token.
pub fn present(provider: &Provider, token: &str) -> Result<Assertion, Denial> {
    let config = &provider.config;
    let signed = config.takes(BearerToken::Jwt) || config.takes(BearerToken::IdToken);
    if signed && Jwt::peek(token).is_some() {
        let (claims, is_access_token) = signed_by_provider(provider, token)?;
        let more = match config.userinfo == AskUserinfo::Always && is_access_token {
            true => userinfo::of(provider, token, claims.subject()?)?,
            false => None,
        };
        return assertion::of(config, claims, more);
    }
    let known = config.takes(BearerToken::Introspection)
        && provider.address(Endpoint::Introspection).is_some();
    if known {
        let claims = introspected(provider, token)?;
        let more = match config.userinfo {
            AskUserinfo::Always => userinfo::of(provider, token, claims.subject()?)?,
            _ => None,
        };
        return assertion::of(config, claims, more);
    }
    if config.takes(BearerToken::Userinfo) && provider.address(Endpoint::Userinfo).is_some() {
        let claims = userinfo::ask(provider, token)?
            .ok_or_else(|| Denial::rejected("the provider does not take the token"))?;
        return assertion::of(config, claims, None);
    }
    Err(Denial::rejected("tokens of this kind are not taken"))
}

/// The claims of a JWT of the provider's, and whether it is an access token.
fn signed_by_provider(provider: &Provider, token: &str) -> Result<(Claims, bool), Denial> {
    let config = &provider.config;
    let jwt = provider.open(token)?;
    let access_token = match jwt.kind().as_str() {
        "at+jwt" => Some(true),
        "" | "jwt" => None,
        _ => return Err(Denial::rejected("the token is for another purpose")),
    };
    let now = clock::now().as_secs();
    let claims = &jwt.claims;
    unbound(claims)?;
    let mut refused = Denial::rejected("tokens of this kind are not taken");
    if config.takes(BearerToken::IdToken) && access_token != Some(true) {
        match id_token::check(config, claims, &Login::default(), now) {
            Ok(()) => return Ok((jwt.claims, false)),
            Err(denial) => refused = denial,
        }
    }
    if config.takes(BearerToken::Jwt) {
        match check_access_token(provider, claims, now) {
            Ok(()) => return Ok((jwt.claims, true)),
            Err(denial) => refused = denial,
        }
    }
    Err(refused)
}

/// Whether this is an access token for us (RFC 9068 section 4).
fn check_access_token(provider: &Provider, claims: &Claims, now: u64) -> Result<(), Denial> {
    let config = &provider.config;
    claims.check(&Expected {
        now,
        leeway: config.leeway_seconds,
        issuer: Some(&config.issuer),
        audiences: &config.access_token_audiences(),
        max_age: None,
        required: &[],
    })?;
    if claims.contains("events") {
        return Err(Denial::rejected("the token is for another purpose"));
    }
    claims.subject().map(drop)
}

/// What the provider knows of a token.
fn introspected(provider: &Provider, token: &str) -> Result<Claims, Denial> {
    let form = Form::new()
        .with("token", token)
        .with("token_type_hint", "access_token");
    let answer = match provider.ask(Endpoint::Introspection, form)? {
        Answer::Good(answer) => answer,
        Answer::Refused(code) => return Err(refused(&code)),
    };
    let claims = Claims::read(answer.body())
        .map_err(|_| Denial::unavailable("the introspection is no JSON object"))?;
    let audiences = provider.config.access_token_audiences();
    let config = &provider.config;
    check_introspected(
        &claims,
        &config.issuer,
        &audiences,
        clock::now().as_secs(),
        config.leeway_seconds,
    )?;
    Ok(claims)
}

fn check_introspected(
    claims: &Claims,
    issuer: &str,
    audiences: &[String],
    now: u64,
    leeway: u64,
) -> Result<(), Denial> {
    if claims.get("active").and_then(serde_json::Value::as_bool) != Some(true) {
        return Err(Denial::rejected("the provider does not know the token"));
    }
    let ours = |name: &str| audiences.iter().any(|audience| audience == name);
    let meant = match claims.contains("aud") {
        true => claims.audiences().into_iter().any(ours),
        // Whom it was given to, where nothing says whom it is for.
        false => claims.text("client_id").is_some_and(ours),
    };
    if !meant {
        return Err(Denial::rejected("the token is for another audience"));
    }
    if claims.contains("iss") && claims.text("iss") != Some(issuer) {
        return Err(Denial::rejected("the token is of another issuer"));
    }
    let bearer = claims
        .text("token_type")
        .is_none_or(|kind| kind.eq_ignore_ascii_case("bearer"));
    if !bearer {
        return Err(Denial::rejected("the token is for another purpose"));
    }
    unbound(claims)?;
    let over = claims
        .time("exp")?
        .is_some_and(|ends| ends.saturating_add(leeway) <= now);
    match over {
        true => Err(Denial::rejected("the token has expired")),
        false => claims.subject().map(drop),
    }
}

/// A token that is bound to a key proves nothing without it (RFC 9449 section 7.1, RFC 8705).
fn unbound(claims: &Claims) -> Result<(), Denial> {
    match claims.contains("cnf") {
        false => Ok(()),
        true => Err(Denial::rejected(
            "the token is bound to a key, and nobody showed that key",
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn said(changes: Value) -> String {
        let mut claims = json!({"active": true, "sub": "ada", "client_id": "cli"});
        if let (Some(claims), Value::Object(changes)) = (claims.as_object_mut(), changes) {
            claims.extend(changes);
        }
        let claims = Claims::read(claims.to_string().as_bytes()).unwrap();
        let audiences = ["cli".to_owned()];
        match check_introspected(&claims, "https://id.example", &audiences, NOW, 60) {
            Ok(()) => "good".to_owned(),
            Err(denial) => denial.detail().to_owned(),
        }
    }

    #[test]
    fn what_introspection_may_say() {
        assert_eq!(said(json!({})), "good");
        assert_eq!(
            said(json!({"aud": ["x", "cli"], "client_id": "y", "exp": NOW})),
            "good"
        );
        for (changes, fault) in [
            (json!({"active": false}), "does not know"),
            (json!({"active": "true"}), "does not know"),
            (json!({"client_id": "shop"}), "another audience"),
            (json!({"aud": "shop"}), "another audience"),
            (json!({"iss": "https://eve.example"}), "another issuer"),
            (json!({"token_type": "DPoP"}), "another purpose"),
            (json!({"cnf": {"jkt": "x"}}), "bound to a key"),
            (json!({"exp": NOW - 60}), "expired"),
            (json!({"sub": ""}), "`sub`"),
        ] {
            let said = said(changes.clone());
            assert!(said.contains(fault), "{changes}: {said}");
        }
    }
}
