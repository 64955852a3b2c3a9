//! An issuer's keys: given in the configuration, or fetched, kept for a while, and fetched again
//! when a token names one that is not known.

use std::time::Duration;

use archstone_plugin::{
    Denial,
    http::{HttpError, Request},
    log,
    signatures::{self, JwsError},
    state,
};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value, json};

use crate::{Algorithm, Claims, state_key};

/// How long fetched keys are used without asking again. A key that an issuer takes away works for
/// so long; a new one works at once.
const KEPT_FOR: Duration = Duration::from_secs(300);

/// How often tokens with unknown keys can have the keys fetched again.
const FETCHED_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Where an issuer's keys are.
#[derive(Debug, Clone, PartialEq)]
pub enum Keys {
    /// A JWK set, as it stands.
    Given(String),
    /// The address of one.
    At(String),
}

/// A JWT whose signature holds.
#[derive(Debug, Clone)]
pub struct Jwt {
    pub header: Map<String, Value>,
    pub claims: Claims,
}

impl Jwt {
    /// `typ` in lower case, without `application/` (RFC 7515 section 4.1.9).
    pub fn kind(&self) -> String {
        kind(&self.header)
    }

    /// The name of the algorithm that it is signed with.
    pub fn algorithm(&self) -> &str {
        self.header
            .get("alg")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// The header of what looks like a JWT, signed or encrypted. Nothing about it is checked.
    pub fn peek(token: &str) -> Option<Map<String, Value>> {
        let (header, _) = token.split_once('.')?;
        let header = BASE64URL_NOPAD.decode(header.as_bytes()).ok()?;
        serde_json::from_slice(&header).ok()
    }
}

/// `typ` of a header, as [`Jwt::kind`] has it.
pub fn kind(header: &Map<String, Value>) -> String {
    let name = header.get("typ").and_then(Value::as_str).unwrap_or("");
    let name = name.to_ascii_lowercase();
    match name.strip_prefix("application/") {
        Some(rest) => rest.to_owned(),
        None => name,
    }
}

impl Keys {
    /// The JWT, if its signature holds by one of these keys.
    ///
    /// # Errors
    /// A denial as rejected, or as unavailable where the keys cannot be had.
    pub fn verify(&self, token: &str, accept: &[Algorithm]) -> Result<Jwt, Denial> {
        let accept: Vec<_> = accept.iter().map(|algorithm| algorithm.to_wire()).collect();
        let by = |keys: &str| signatures::verify_jws(token, keys, &accept);
        let held = match self {
            Self::Given(keys) => by(keys),
            Self::At(address) => match kept(address)? {
                None => by(&fetch(address)?),
                Some(keys) => match by(&keys) {
                    Err(error) if can_be_new_key(error, token) && may_fetch_again(address)? => {
                        by(&fetch(address)?)
                    }
                    held => held,
                },
            },
        };
        let verified = held.map_err(refused)?;
        let header = serde_json::from_str(&verified.header)
            .map_err(|_| Denial::rejected("the token's header is no JSON object"))?;
        Ok(Jwt {
            header,
            claims: Claims::read(&verified.payload)?,
        })
    }

    /// Whether the keys can be had: fetches them, if they are elsewhere.
    ///
    /// # Errors
    /// A denial as unavailable, with the reason.
    pub fn check(&self) -> Result<(), Denial> {
        match self {
            Self::Given(_) => Ok(()),
            Self::At(address) => fetch(address).map(drop),
        }
    }
}

fn kept(address: &str) -> Result<Option<String>, Denial> {
    Ok(state::get(&state_key("keys", address))?)
}

fn fetch(address: &str) -> Result<String, Denial> {
    let answer = Request::get(address)
        .header("Accept", "application/jwk-set+json, application/json")
        .send()
        .map_err(|error| unreachable_server("the issuer's keys", address, error))?;
    if answer.status() != 200 {
        return Err(Denial::unavailable(format!(
            "the issuer's keys: the answer has status {}",
            answer.status()
        )));
    }
    let keys = serde_json::from_slice(answer.body())
        .ok()
        .and_then(|set: Value| for_signatures(&set))
        .ok_or_else(|| Denial::unavailable("the issuer's keys: the answer is no JWK set"))?;
    if state::put(&state_key("keys", address), &keys, KEPT_FOR).is_err() {
        // Too many keys, or another node put them there at this moment.
        log::debug("the issuer's keys are not kept");
    }
    Ok(keys)
}

/// The denial for a server that cannot be reached, naming it: its owner has to know which one.
pub(crate) fn unreachable_server(what: &str, address: &str, error: HttpError) -> Denial {
    let denial = Denial::from(error);
    Denial::unavailable(format!("{what} at {address}: {}", denial.detail()))
}

/// Whether a token could be good by keys that are newer than those at hand.
fn can_be_new_key(error: JwsError, token: &str) -> bool {
    match error {
        JwsError::NoKey => true,
        // A token that names no key was tried with those that there were.
        JwsError::Forged => !Jwt::peek(token).is_some_and(|header| header.contains_key("kid")),
        _ => false,
    }
}

/// Forged tokens must not make a flood of requests.
fn may_fetch_again(address: &str) -> Result<bool, Denial> {
    let turn = state_key("fetched-again", address);
    Ok(state::put_if_absent(&turn, "", FETCHED_AGAIN_AFTER)?)
}

fn refused(error: JwsError) -> Denial {
    Denial::rejected(match error {
        JwsError::Malformed => "the token is no signed JWT",
        JwsError::AlgorithmNotAccepted => "the token is signed with another algorithm",
        JwsError::NoKey => "the issuer has no such key",
        JwsError::Forged => "the token's signature does not hold",
        JwsError::BadKeySet => return Denial::unavailable("the issuer's keys are no JWK set"),
    })
}

/// The public keys of a set that are for signatures, with what a signature needs of them. `jwt-svid`
/// is SPIFFE's word for that use.
pub fn for_signatures(set: &Value) -> Option<String> {
    let keys = set.get("keys")?.as_array()?.iter().filter_map(|key| {
        let purpose = key.get("use").and_then(Value::as_str);
        if !matches!(purpose, None | Some("sig" | "jwt-svid")) {
            return None;
        }
        let members = ["kty", "crv", "n", "e", "x", "y", "kid", "alg"];
        let needed: Map<String, Value> = members
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), key.get(name)?.clone())))
            .collect();
        needed.contains_key("kty").then_some(Value::Object(needed))
    });
    let keys: Vec<_> = keys.collect();
    Some(json!({"keys": keys}).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_signature_needs_is_kept_of_keys() {
        let set = json!({"keys": [
            {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "1", "use": "sig", "x5c": ["MIIC"]},
            {"kty": "EC", "crv": "P-256", "x": "a", "y": "b", "d": "private", "use": "jwt-svid"},
            {"kty": "RSA", "n": "AQAB", "e": "AQAB", "use": "enc"},
            {"kty": "RSA", "n": "AQAB", "e": "AQAB", "use": "x509-svid"},
            7,
        ]});
        let kept: Value = serde_json::from_str(&for_signatures(&set).unwrap()).unwrap();
        assert_eq!(
            kept,
            json!({"keys": [
                {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "1"},
                {"kty": "EC", "crv": "P-256", "x": "a", "y": "b"},
            ]})
        );
        assert_eq!(for_signatures(&json!({"keys": {}})), None);
        assert_eq!(for_signatures(&json!([])), None);
    }

    #[test]
    fn a_header_is_read_without_trust() {
        let header = |json: &str| format!("{}.e30.", BASE64URL_NOPAD.encode(json.as_bytes()));
        let peeked = Jwt::peek(&header(r#"{"typ":"application/AT+jwt"}"#)).unwrap();
        assert_eq!(kind(&peeked), "at+jwt");
        assert_eq!(kind(&Jwt::peek(&header("{}")).unwrap()), "");
        for garbage in ["", "abc", "a.b.c", "!.e30.", &header("[]")] {
            assert!(Jwt::peek(garbage).is_none(), "{garbage}");
        }
    }

    #[test]
    fn only_tokens_that_a_new_key_could_be_for_have_keys_fetched_again() {
        let token = |json: &str| format!("{}.e30.", BASE64URL_NOPAD.encode(json.as_bytes()));
        let (named, bare) = (token(r#"{"kid":"1"}"#), token("{}"));
        assert!(can_be_new_key(JwsError::NoKey, &named));
        assert!(can_be_new_key(JwsError::Forged, &bare));
        assert!(!can_be_new_key(JwsError::Forged, &named));
        assert!(!can_be_new_key(JwsError::AlgorithmNotAccepted, &bare));
        assert!(!can_be_new_key(JwsError::Malformed, &bare));
    }
}
