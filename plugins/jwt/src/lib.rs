//! Workloads that show a JWT of their platform: CI jobs, service accounts of a cluster, SPIFFE
//! ids. The token's issuer is trusted for what the configuration binds, and for nothing else.

mod config;

use std::time::Duration;

use archstone_issuer::{Claims, Expected, Jwt, Keys, Metadata, kind, state_key};
use archstone_plugin::{
    Assertion, Capability, ConfigError, Denial, Description, Reason, TokenConnector, clock, state,
};
use config::{Config, Replay};
use serde_json::Value;

struct Workloads;

impl TokenConnector for Workloads {
    type Config = Config;

    fn describe() -> Description {
        Description::new(
            "jwt",
            env!("CARGO_PKG_VERSION"),
            "JSON Web Tokens of CI jobs, service accounts and other workloads",
        )
        .config_schema(config::schema())
        .server_fields(["issuer", "jwks_uri", "additional_servers"])
        .needs([Capability::Http])
    }

    fn check(config: &Config) -> Result<(), ConfigError> {
        config.check()?;
        if let Some(keys) = config.given_keys(None) {
            return keys.check().map_err(|denial| at("/keys", &denial));
        }
        let place = match config.jwks_uri {
            Some(_) => "/jwks_uri",
            None => "/issuer",
        };
        keys(config, None)
            .and_then(|keys| keys.check())
            .map_err(|denial| at(place, &denial))
    }

    fn present(config: Config, token: String) -> Result<Assertion, Denial> {
        // Cheap, and before anything is fetched for what cannot be a token of this issuer.
        let key_id = plausible(&token)?;
        let jwt = keys(&config, key_id.as_deref())?.verify(&token, &config.algorithms)?;
        let claims = jwt.claims;
        claims.check(&Expected {
            now: clock::now().as_secs(),
            leeway: config.leeway_seconds,
            issuer: config.issuer.as_deref(),
            audiences: &config.audiences,
            max_age: config.max_age_seconds,
            required: &config.required_claims,
        })?;
        if claims.contains("cnf") {
            let detail = "the token is bound to a key, and nobody showed that key";
            return Err(Denial::rejected(detail));
        }
        config.bound_claims.require(&claims)?;
        let subject = subject(&claims, &config.subject_claim)?;
        if config.replay == Replay::Refuse {
            claim(&token, &claims, config.leeway_seconds)?;
        }
        Ok(Assertion::of(subject).claims(Value::Object(claims.into_object())))
    }
}

/// Refuses what is no JWT, or is one for another purpose (RFC 8725 section 3.11); gives the `kid` that
/// it names.
fn plausible(token: &str) -> Result<Option<String>, Denial> {
    let header = Jwt::peek(token).ok_or_else(|| Denial::rejected("this is no JWT"))?;
    match kind(&header).as_str() {
        "" | "jwt" | "jose" | "at+jwt" => {
            let key_id = header.get("kid").and_then(Value::as_str);
            Ok(key_id.map(str::to_owned))
        }
        _ => Err(Denial::rejected("the token is for another purpose")),
    }
}

fn keys(config: &Config, key_id: Option<&str>) -> Result<Keys, Denial> {
    if let Some(given) = config.given_keys(key_id) {
        return Ok(given);
    }
    if let Some(address) = &config.jwks_uri {
        return Ok(Keys::At(address.clone()));
    }
    let issuer = config.issuer.as_deref().unwrap_or_default();
    let published = Metadata::of(issuer)?.jwks_uri;
    let address = published.ok_or_else(|| Denial::unavailable("the issuer publishes no keys"))?;
    Ok(Keys::At(address))
}

fn subject(claims: &Claims, path: &str) -> Result<String, Denial> {
    claims
        .at(path)
        .and_then(Value::as_str)
        .filter(|subject| (1..=255).contains(&subject.len()))
        .map(str::to_owned)
        .ok_or_else(|| Denial::rejected(format!("the token's `{path}` is no subject")))
}

/// The longest that `state` keeps anything.
const DAY: u64 = 24 * 60 * 60;

/// Claims a token for this login: nobody can use it, or another of the same `jti`, again.
fn claim(token: &str, claims: &Claims, leeway: u64) -> Result<(), Denial> {
    let ends = claims.time("exp")?.unwrap_or(0).saturating_add(leeway);
    let left = ends.saturating_sub(clock::now().as_secs()).max(1);
    if left > DAY {
        let detail = "the token lives for more than a day, too long to know it again";
        return Err(Denial::rejected(detail));
    }
    let name = match claims.text("jti") {
        Some(id) => format!("{} {id}", claims.text("iss").unwrap_or_default()),
        // Without the signature, which can be written in more than one way.
        None => token.rsplit_once('.').unwrap_or_default().0.to_owned(),
    };
    match state::put_if_absent(&state_key("used", &name), "", Duration::from_secs(left))? {
        true => Ok(()),
        false => Err(Denial::new(Reason::Replayed, "the token was used before")),
    }
}

fn at(pointer: &str, denial: &Denial) -> ConfigError {
    ConfigError::at(pointer, denial.detail())
}

archstone_plugin::export_token_connector!(Workloads);
