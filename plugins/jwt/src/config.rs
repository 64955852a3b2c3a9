//! A connector's configuration.

use archstone_issuer::{ALGORITHMS, Algorithm, BoundClaims, Keys, for_signatures};
use archstone_plugin::ConfigError;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Deserialize)]
pub struct Config {
    /// What `iss` has to be. Its metadata name the keys, unless the next two do.
    pub issuer: Option<String>,
    pub jwks_uri: Option<String>,
    pub keys: Option<Value>,
    pub audiences: Vec<String>,
    #[serde(default = "Algorithm::all")]
    pub algorithms: Vec<Algorithm>,
    pub bound_claims: BoundClaims,
    #[serde(default)]
    pub required_claims: Vec<String>,
    #[serde(default = "sub")]
    pub subject_claim: String,
    pub max_age_seconds: Option<u64>,
    #[serde(default = "a_minute")]
    pub leeway_seconds: u64,
    #[serde(default)]
    pub replay: Replay,
}

/// Whether one token is good for many logins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Replay {
    #[default]
    Allow,
    Refuse,
}

fn sub() -> String {
    "sub".to_owned()
}

fn a_minute() -> u64 {
    60
}

impl Config {
    /// The keys, where they are part of the configuration. One that was given without a `kid` may be
    /// that of any token, whatever the token calls it.
    pub fn given_keys(&self, key_id: Option<&str>) -> Option<Keys> {
        let mut set = self.keys.clone()?;
        let keys = set.get_mut("keys").and_then(Value::as_array_mut);
        for key in keys.into_iter().flatten() {
            if let (Some(key), Some(key_id)) = (key.as_object_mut(), key_id) {
                key.entry("kid").or_insert_with(|| key_id.into());
            }
        }
        Some(Keys::Given(for_signatures(&set).unwrap_or_default()))
    }

    /// What the schema cannot say.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.bound_claims.check()?;
        if let Some(keys) = &self.keys {
            let usable = for_signatures(keys).is_some_and(|set| set != r#"{"keys":[]}"#);
            if !usable {
                let message = "no JWK set with a public key for signatures";
                return Err(ConfigError::at("/keys", message));
            }
        }
        Ok(())
    }
}

pub fn schema() -> Value {
    let text = json!({"type": "string", "minLength": 1});
    let texts = json!({"type": "array", "items": text, "minItems": 1});
    let url = json!({"type": "string", "pattern": "^https?://[^\\s#]+$"});
    json!({
        "type": "object",
        "properties": {
            "issuer": {
                "type": "string",
                "minLength": 1,
                "description": "What `iss` has to be; a URL with metadata unless `jwks_uri` or `keys` is given",
            },
            "jwks_uri": {
                "allOf": [url],
                "description": "Where the keys are, if the metadata are not to say so",
            },
            "keys": {
                "type": "object",
                "required": ["keys"],
                "description": "The keys themselves, a JWK set",
            },
            "audiences": {
                "allOf": [texts],
                "description": "What `aud` has to be, or to have: one of these",
            },
            "algorithms": {
                "type": "array",
                "items": {"enum": ALGORITHMS},
                "minItems": 1,
                "default": ALGORITHMS,
                "description": "The algorithms that tokens may be signed with",
            },
            "bound_claims": BoundClaims::schema(),
            "required_claims": {
                "allOf": [texts],
                "description": "Claims that have to be there, by name or JSON pointer",
            },
            "subject_claim": {
                "type": "string",
                "minLength": 1,
                "default": "sub",
                "description": "The claim that is the subject, by name or JSON pointer",
            },
            "max_age_seconds": {
                "type": "integer",
                "minimum": 1,
                "description": "How long ago a token may have been issued, whatever `exp` says",
            },
            "leeway_seconds": {
                "type": "integer",
                "minimum": 0,
                "maximum": 300,
                "default": 60,
                "description": "How far two clocks may be apart",
            },
            "replay": {
                "enum": ["allow", "refuse"],
                "default": "allow",
                "description": "Whether one token is good for more than one login",
            },
            "additional_servers": {
                "type": "array",
                "items": url,
                "description": "Servers besides the issuer's that the metadata name",
            },
        },
        "required": ["audiences", "bound_claims"],
        "anyOf": [{"required": ["issuer"]}, {"required": ["jwks_uri"]}, {"required": ["keys"]}],
        "additionalProperties": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(config: Value) -> Config {
        serde_json::from_value(config).unwrap()
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let config = read(json!({
            "issuer": "https://token.actions.githubusercontent.com",
            "audiences": ["archstone"],
            "bound_claims": {"repository": "org/*"},
        }));
        assert_eq!(config.algorithms, Algorithm::all());
        assert_eq!(config.subject_claim, "sub");
        assert_eq!(config.replay, Replay::Allow);
        assert_eq!(config.leeway_seconds, 60);
        assert!(config.given_keys(None).is_none());
    }

    #[test]
    fn a_regular_expression_has_to_be_one() {
        let config = read(json!({
            "keys": {"keys": []},
            "audiences": ["a"],
            "bound_claims": {"/a/b": {"regex": "("}},
        }));
        let error = config.check().unwrap_err();
        assert!(format!("{error:?}").contains("/bound_claims/~1a~1b"));
    }

    #[test]
    fn a_key_without_an_id_is_that_of_any_token() {
        let config = read(json!({
            "keys": {"keys": [
                {"kty": "OKP", "crv": "Ed25519", "x": "a"},
                {"kty": "OKP", "crv": "Ed25519", "x": "b", "kid": "2"},
            ]},
            "audiences": ["a"],
            "bound_claims": {"sub": "*"},
        }));
        let expected = json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "x": "a", "kid": "1"},
            {"kty": "OKP", "crv": "Ed25519", "x": "b", "kid": "2"},
        ]});
        let keys = config.given_keys(Some("1"));
        assert_eq!(keys, Some(Keys::Given(expected.to_string())));
    }

    #[test]
    fn keys_have_to_be_usable() {
        let with = |keys: Value| {
            read(json!({"keys": keys, "audiences": ["a"], "bound_claims": {"sub": "*"}})).check()
        };
        let key = json!({"kty": "OKP", "crv": "Ed25519", "x": "a"});
        assert_eq!(with(json!({"keys": [key]})), Ok(()));
        for unusable in [
            json!({"keys": []}),
            json!({"keys": [{"kty": "RSA", "use": "enc"}]}),
            json!({"keys": 1}),
        ] {
            assert!(with(unusable).is_err());
        }
    }
}
