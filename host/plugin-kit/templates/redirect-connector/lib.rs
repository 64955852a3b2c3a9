//! Logins at an OAuth 2.0 service that tells who somebody is (RFC 6749, with RFC 7636), as many do
//! that are no OpenID providers: the first connector, to be changed into yours.
//!
//! Many connectors run on this plugin, each with a configuration of its own: a service, and this
//! cloud's registration there.

use std::time::Duration;

use archstone_plugin::{
    Assertion, Beginning, Begun, Capability, Completed, Completion, ConfigError, Denial,
    Description, Parameters, RedirectConnector, Way,
    http::Request,
    random, secrets,
    signatures::{self, Hash},
};
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(600);

struct Plugin;

/// What the owner of a connector configures, without `client_secret`; see `connector.json`.
#[derive(Deserialize)]
struct Config {
    authorization_endpoint: String,
    token_endpoint: String,
    /// Answers who a token is of, in JSON.
    user_endpoint: String,
    /// The member of that answer which never changes.
    #[serde(default = "id")]
    subject: String,
    client_id: String,
    scope: Option<String>,
}

fn id() -> String {
    "id".to_owned()
}

/// What is remembered while somebody is away.
#[derive(Deserialize)]
struct Memory {
    verifier: String,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
}

impl RedirectConnector for Plugin {
    type Config = Config;

    fn describe() -> Description {
        Description::new(
            "{{name}}",
            env!("CARGO_PKG_VERSION"),
            "Logins at an OAuth 2.0 service that tells who somebody is",
        )
        .needs([Capability::Http])
        .config_schema(json!({
            "type": "object",
            "properties": {
                "authorization_endpoint": {"type": "string", "pattern": "^https?://"},
                "token_endpoint": {"type": "string", "pattern": "^https?://"},
                "user_endpoint": {"type": "string", "pattern": "^https?://"},
                "subject": {"type": "string", "minLength": 1},
                "client_id": {"type": "string", "minLength": 1},
                "client_secret": {"type": "string", "minLength": 1},
                "scope": {"type": "string"},
            },
            "required": [
                "authorization_endpoint", "token_endpoint", "user_endpoint", "client_id",
                "client_secret",
            ],
            "additionalProperties": false,
        }))
        // The host keeps it apart and never shows it; `secrets::get` has it.
        .secret_fields(["client_secret"])
        // The servers that are talked to, so that the operator's rule for connectors is kept.
        .server_fields(["token_endpoint", "user_endpoint"])
    }

    fn check(config: &Config) -> Result<(), ConfigError> {
        if config.authorization_endpoint.contains(['?', '#']) {
            let message = "write the address without a query; parameters are added to it";
            return Err(ConfigError::at("/authorization_endpoint", message));
        }
        Ok(())
    }

    fn begin(config: Config, beginning: Beginning) -> Result<Begun, Denial> {
        if beginning.way != Way::Browser {
            return Err(Denial::unavailable("logins here need a browser"));
        }
        // Whoever intercepts the code cannot use it without the verifier (RFC 7636).
        let verifier = BASE64URL_NOPAD.encode(&random::bytes(32));
        let challenge = signatures::digest(Hash::Sha256, verifier.as_bytes());
        let query = form(&[
            ("response_type", "code"),
            ("client_id", &config.client_id),
            ("redirect_uri", &beginning.redirect_uri),
            ("state", &beginning.state),
            ("scope", config.scope.as_deref().unwrap_or_default()),
            ("code_challenge", &BASE64URL_NOPAD.encode(&challenge)),
            ("code_challenge_method", "S256"),
        ]);
        Ok(Begun::Redirect {
            location: format!("{}?{query}", config.authorization_endpoint),
            memory: json!({"verifier": verifier}),
            expires_in: PATIENCE,
        })
    }

    fn complete(config: Config, came: Completion) -> Result<Completed, Denial> {
        let memory = Memory::deserialize(&came.memory)
            .map_err(|_| Denial::unavailable("the memory is not what was remembered"))?;
        let code = came
            .parameters
            .get("code")
            .ok_or_else(|| Denial::rejected("the service sent no code"))?;
        let secret = secrets::get("client_secret")
            .ok_or_else(|| Denial::unavailable("there is no client_secret"))?;
        let token: Token = answer(
            Request::post(&config.token_endpoint)
                .header("content-type", "application/x-www-form-urlencoded")
                .header("accept", "application/json")
                .body(form(&[
                    ("grant_type", "authorization_code"),
                    ("code", code),
                    ("redirect_uri", &came.redirect_uri),
                    ("client_id", &config.client_id),
                    ("client_secret", &secret),
                    ("code_verifier", &memory.verifier),
                ])),
        )?;
        let user: Value = answer(
            Request::get(&config.user_endpoint)
                .header("accept", "application/json")
                .header("authorization", format!("Bearer {}", token.access_token)),
        )?;
        let subject = match &user[&config.subject] {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return Err(Denial::unavailable("the service does not say who it is")),
        };
        // All that the service says is what the operator's mapping rules see.
        Ok(Completed::Asserted(Assertion::of(subject).claims(user)))
    }

    fn present(_config: Config, _token: String) -> Result<Assertion, Denial> {
        // Whom such a token was given to cannot be told: another client could show it here.
        Err(Denial::rejected("tokens of this service prove nothing here"))
    }

    fn logout(_config: Config, _form: Parameters) -> Result<String, Denial> {
        Err(Denial::rejected("this service gives no notice of logouts"))
    }
}

/// Sends a request, and reads a good answer.
fn answer<T: serde::de::DeserializeOwned>(request: Request) -> Result<T, Denial> {
    let answer = request.send()?;
    match answer.status() {
        200 => answer.json(),
        400..500 => Err(Denial::rejected(format!("the service answered {}", answer.status()))),
        other => Err(Denial::unavailable(format!("the service answered {other}"))),
    }
}

/// Parameters as a form or a query has them. Empty ones are left out.
fn form(parameters: &[(&str, &str)]) -> String {
    let sent = parameters.iter().filter(|(_, value)| !value.is_empty());
    let pairs: Vec<String> = sent
        .map(|(name, value)| format!("{name}={}", escaped(value)))
        .collect();
    pairs.join("&")
}

fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

archstone_plugin::export_redirect_connector!(Plugin);
