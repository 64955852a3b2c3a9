//! What the host is told about somebody: the claims of their token and of the userinfo endpoint,
//! as one.

use archstone_issuer::Claims;
use archstone_plugin::{Assertion, Denial, log};
use serde_json::{Map, Value};

use crate::config::Config;

/// Claims that are about the token, and nobody's business any more.
const OF_THE_TOKEN: [&str; 5] = ["nonce", "at_hash", "c_hash", "s_hash", "jti"];

/// The assertion about a token's subject. What the token says goes before what the userinfo
/// endpoint says: the one is signed.
///
/// # Errors
/// A denial, where the token has no subject, or says something that the configuration rules out.
pub fn of(config: &Config, token: Claims, userinfo: Option<Claims>) -> Result<Assertion, Denial> {
    let subject = token.subject()?.to_owned();
    let claims = Claims::from(merged(config, token, userinfo));
    config.bound_claims.require(&claims)?;
    Ok(Assertion::of(subject).claims(Value::Object(claims.into_object())))
}

fn merged(config: &Config, token: Claims, userinfo: Option<Claims>) -> Map<String, Value> {
    let mut all = userinfo.map(Claims::into_object).unwrap_or_default();
    all.extend(token.into_object());
    all.retain(|name, _| !OF_THE_TOKEN.contains(&name.as_str()));
    let all = Claims::from(all);
    let groups = all.at(&config.groups_claim).and_then(texts);
    let elsewhere = all
        .get("_claim_names")
        .is_some_and(|names| names.get(&config.groups_claim).is_some());
    if groups.is_none() && elsewhere {
        log::warn("the provider has more groups than fit into a token, and gives none");
    }
    let mut all = all.into_object();
    match groups {
        Some(groups) => drop(all.insert("groups".to_owned(), groups)),
        // Something else of that name would be taken for groups.
        None => drop(all.remove("groups")),
    }
    all
}

/// A list of texts; one text is a list of one.
fn texts(value: &Value) -> Option<Value> {
    match value {
        Value::String(_) => Some(Value::Array(vec![value.clone()])),
        Value::Array(items) => Some(
            items
                .iter()
                .filter(|item| item.is_string())
                .cloned()
                .collect(),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::tests::config;

    fn claims(value: Value) -> Claims {
        Claims::read(value.to_string().as_bytes()).unwrap()
    }

    fn told(groups_claim: &str, token: Value, userinfo: Value) -> Value {
        let config = config(json!({"groups_claim": groups_claim}));
        let merged = merged(&config, claims(token), Some(claims(userinfo)));
        Value::Object(merged)
    }

    #[test]
    fn what_is_signed_goes_first() {
        let token = json!({"sub": "1", "email": "a@id.example", "nonce": "n", "at_hash": "h"});
        let userinfo = json!({"sub": "1", "email": "b@id.example", "name": "Ada", "iss": "eve"});
        assert_eq!(
            told("groups", token, userinfo),
            json!({"sub": "1", "email": "a@id.example", "name": "Ada", "iss": "eve"})
        );
    }

    #[test]
    fn who_is_not_bound_is_nobody() {
        let config =
            config(json!({"bound_claims": {"hd": "acme.example", "email_verified": true}}));
        let proven = |more: Value| {
            let token = claims(json!({"sub": "1", "hd": "acme.example"}));
            of(&config, token, Some(claims(more))).is_ok()
        };
        assert!(proven(json!({"email_verified": true})));
        assert!(!proven(json!({"email_verified": "true"})));
        assert!(!proven(json!({})));
        let token = claims(json!({"sub": "1", "hd": "x;acme.example", "email_verified": true}));
        assert!(of(&config, token, None).is_err());
    }

    #[test]
    fn groups_are_a_list_of_texts_wherever_they_come_from() {
        let token = json!({"realm_access": {"roles": ["a", 7, "b"]}, "groups": ["not these"]});
        let all = told("/realm_access/roles", token, json!({}));
        assert_eq!(all["groups"], json!(["a", "b"]));
        let all = told("team", json!({}), json!({"team": "red"}));
        assert_eq!(all["groups"], json!(["red"]));
        let all = told("team", json!({"groups": ["not these"]}), json!({}));
        assert_eq!(all.get("groups"), None);
    }
}
