//! Workloads with signed tokens (JWT) of an issuer whose keys are known: the first connector, to be
//! changed into yours.
//!
//! Many connectors run on this plugin, each with a configuration of its own: an issuer, its keys,
//! and what the tokens have to be meant for.

use archstone_plugin::{
    Assertion, ConfigError, Denial, Description, Reason, TokenConnector, clock,
    signatures::{self, JwsAlgorithm},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// The caller decides which algorithms are good, never the token.
const ALGORITHMS: [JwsAlgorithm; 3] = [
    JwsAlgorithm::Eddsa,
    JwsAlgorithm::Es256,
    JwsAlgorithm::Rs256,
];

struct Plugin;

/// What the owner of a connector configures; see `connector.json`.
#[derive(Deserialize)]
struct Config {
    issuer: String,
    audience: String,
    /// A JWK set: the issuer's public keys.
    jwks: Value,
}

/// What of a token's claims is looked at here.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    sub: String,
    exp: u64,
}

/// One, or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn has(&self, wanted: &str) -> bool {
        match self {
            Self::One(one) => one == wanted,
            Self::Several(several) => several.iter().any(|one| one == wanted),
        }
    }
}

impl TokenConnector for Plugin {
    type Config = Config;

    fn describe() -> Description {
        Description::new(
            "{{name}}",
            env!("CARGO_PKG_VERSION"),
            "Workloads with tokens of an issuer whose keys are known",
        )
        .config_schema(json!({
            "type": "object",
            "properties": {
                "issuer": {"type": "string", "minLength": 1},
                "audience": {"type": "string", "minLength": 1},
                "jwks": {"type": "object", "required": ["keys"]},
            },
            "required": ["issuer", "audience", "jwks"],
            "additionalProperties": false,
        }))
    }

    fn check(config: &Config) -> Result<(), ConfigError> {
        // What the schema cannot say.
        match config.jwks["keys"].as_array() {
            Some(keys) if !keys.is_empty() => Ok(()),
            _ => Err(ConfigError::at("/jwks/keys", "there is no key in the set")),
        }
    }

    fn present(config: Config, token: String) -> Result<Assertion, Denial> {
        let signed = signatures::verify_jws(&token, &config.jwks.to_string(), &ALGORITHMS)
            .map_err(|error| Denial::rejected(format!("the token's signature: {error:?}")))?;
        let all: Value = serde_json::from_slice(&signed.payload)
            .map_err(|_| Denial::malformed("the token's claims are no JSON"))?;
        let claims = Claims::deserialize(&all)
            .map_err(|_| Denial::malformed("the token lacks `iss`, `aud`, `sub` or `exp`"))?;
        if claims.iss != config.issuer || !claims.aud.has(&config.audience) {
            return Err(Denial::rejected("the token is another issuer's, or for others"));
        }
        if claims.exp <= clock::now().as_secs() {
            return Err(Denial::new(Reason::Expired, "the token has expired"));
        }
        // The claims are what the operator's mapping rules see.
        Ok(Assertion::of(claims.sub).claims(all))
    }
}

archstone_plugin::export_token_connector!(Plugin);
