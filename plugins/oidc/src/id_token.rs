//! Whether an ID token is one for us (OpenID Connect Core section 3.1.3.7).

use archstone_issuer::{Algorithm, Claims, Expected, Jwt};
use archstone_plugin::{Denial, Reason, clock, signatures};
use data_encoding::BASE64URL_NOPAD;

use crate::{config::Config, provider::Provider};

/// What is known of the login that an ID token is from.
#[derive(Debug, Default)]
pub struct Login<'a> {
    /// What the request said.
    pub nonce: Option<&'a str>,
    /// What came with it.
    pub access_token: Option<&'a str>,
    /// Whether the request said how, and how long ago, somebody may have logged in.
    pub insist: bool,
}

/// The claims of an ID token for us.
pub fn verify(provider: &Provider, token: &str, login: &Login) -> Result<Claims, Denial> {
    let jwt = provider.open_as_agreed(token)?;
    if !matches!(jwt.kind().as_str(), "" | "jwt") {
        return Err(Denial::rejected("this is no ID token"));
    }
    check(&provider.config, &jwt.claims, login, clock::now().as_secs())?;
    if let Some(access_token) = login.access_token {
        check_access_token(&jwt, access_token)?;
    }
    Ok(jwt.claims)
}

/// Holds the claims against our configuration and the login.
pub fn check(config: &Config, claims: &Claims, login: &Login, now: u64) -> Result<(), Denial> {
    claims.check(&Expected {
        now,
        leeway: config.leeway_seconds,
        issuer: Some(&config.issuer),
        audiences: std::slice::from_ref(&config.client_id),
        max_age: None,
        required: &["iat".to_owned()],
    })?;
    claims.subject()?;
    if claims.contains("events") {
        return Err(Denial::rejected("this is no ID token"));
    }
    check_party(config, claims)?;
    if let Some(nonce) = login.nonce
        && claims.text("nonce") != Some(nonce)
    {
        return Err(Denial::rejected("the ID token is of another login"));
    }
    match login.insist {
        true => check_way(config, claims, now),
        false => Ok(()),
    }
}

/// Others whom the token is for have to be trusted, and it was made for us.
fn check_party(config: &Config, claims: &Claims) -> Result<(), Denial> {
    let known = |audience: &str| {
        let trusted = &config.trusted_audiences;
        audience == config.client_id || trusted.iter().any(|trusted| trusted == audience)
    };
    if !claims.audiences().into_iter().all(known) {
        let detail = "the ID token is also for somebody who is not trusted";
        return Err(Denial::rejected(detail));
    }
    match claims.get("azp") {
        None => Ok(()),
        Some(party) if party.as_str().is_some_and(known) => Ok(()),
        Some(_) => Err(Denial::rejected("the ID token was made for another client")),
    }
}

/// How and when somebody logged in.
fn check_way(config: &Config, claims: &Claims, now: u64) -> Result<(), Denial> {
    let acr = claims.text("acr").unwrap_or_default();
    if !config.acr_values.is_empty() && !config.acr_values.iter().any(|value| value == acr) {
        return Err(Denial::rejected("they logged in in another way (`acr`)"));
    }
    let Some(max_age) = config.max_age_seconds else {
        return Ok(());
    };
    let since = claims
        .time("auth_time")?
        .ok_or_else(|| Denial::rejected("the ID token has no `auth_time`"))?;
    let until = since
        .saturating_add(max_age)
        .saturating_add(config.leeway_seconds);
    match until < now {
        true => Err(Denial::new(Reason::Expired, "they logged in too long ago")),
        false => Ok(()),
    }
}

/// Whether the access token is the one that the ID token was made with (section 3.1.3.8).
fn check_access_token(jwt: &Jwt, access_token: &str) -> Result<(), Denial> {
    let Some(said) = jwt.claims.get("at_hash") else {
        return Ok(());
    };
    let right = Algorithm::hash(jwt.algorithm()).is_some_and(|hash| {
        let digest = signatures::digest(hash, access_token.as_bytes());
        let half = BASE64URL_NOPAD.encode(&digest[..digest.len() / 2]);
        said.as_str() == Some(&half)
    });
    match right {
        true => Ok(()),
        false => Err(Denial::rejected("the access token is another one")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::tests::config;

    const NOW: u64 = 1_800_000_000;

    fn said(settings: Value, changes: Value) -> String {
        let mut claims = json!({
            "iss": "https://id.example",
            "sub": "ada",
            "aud": "archstone",
            "nonce": "n",
            "iat": NOW,
            "exp": NOW + 300,
        });
        if let (Some(claims), Value::Object(changes)) = (claims.as_object_mut(), changes) {
            claims.extend(changes);
        }
        let claims = Claims::read(claims.to_string().as_bytes()).unwrap();
        let login = Login {
            nonce: Some("n"),
            access_token: None,
            insist: true,
        };
        match check(&config(settings), &claims, &login, NOW) {
            Ok(()) => "good".to_owned(),
            Err(denial) => denial.detail().to_owned(),
        }
    }

    #[test]
    fn a_good_token_passes() {
        let with = json!({"azp": "archstone", "aud": ["archstone"]});
        assert_eq!(said(json!({}), json!({})), "good");
        assert_eq!(said(json!({}), with), "good");
    }

    #[test]
    fn a_token_of_another_login_is_refused() {
        for nonce in [json!("m"), json!(null), json!(7)] {
            let said = said(json!({}), json!({"nonce": nonce}));
            assert!(said.contains("another login"), "{said}");
        }
    }

    #[test]
    fn other_parties_have_to_be_trusted() {
        let both = json!({"aud": ["archstone", "shop"]});
        assert!(said(json!({}), both.clone()).contains("not trusted"));
        assert_eq!(said(json!({"trusted_audiences": ["shop"]}), both), "good");
        let made_for = json!({"azp": "shop"});
        assert!(said(json!({}), made_for).contains("another client"));
        assert!(said(json!({}), json!({"azp": 7})).contains("another client"));
    }

    #[test]
    fn what_was_asked_for_is_insisted_on() {
        let strong = json!({"acr_values": ["mfa"]});
        assert!(said(strong.clone(), json!({})).contains("acr"));
        assert!(said(strong.clone(), json!({"acr": "pwd"})).contains("acr"));
        assert_eq!(said(strong, json!({"acr": "mfa"})), "good");
        let fresh = json!({"max_age_seconds": 100});
        assert!(said(fresh.clone(), json!({})).contains("auth_time"));
        let late = json!({"auth_time": NOW - 161});
        assert!(said(fresh.clone(), late).contains("too long ago"));
        assert_eq!(said(fresh, json!({"auth_time": NOW - 160})), "good");
    }

    #[test]
    fn a_logout_token_is_no_id_token() {
        let events = json!({"events": {}});
        assert!(said(json!({}), events).contains("no ID token"));
    }
}
