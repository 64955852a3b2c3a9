//! The first plugin: whoever knows the PIN may say who they are.
//!
//! Not for production: one PIN for everybody proves little. It shows a configuration with a secret,
//! a payload, and an assertion.

use archstone_plugin::{
    Assertion, AuthMethod, ConfigError, Denial, Description, Outcome, Step, secrets, signatures,
};
use serde::Deserialize;
use serde_json::json;

struct Hello;

#[derive(Deserialize)]
struct Config {
    #[serde(default = "hello")]
    greeting: String,
}

fn hello() -> String {
    "hello".to_owned()
}

/// `{"name": "ada", "pin": "1234"}`
#[derive(Deserialize)]
struct Payload {
    name: String,
    pin: String,
}

impl AuthMethod for Hello {
    type Config = Config;

    fn describe() -> Description {
        Description::new(
            "hello",
            env!("CARGO_PKG_VERSION"),
            "An example: everybody who knows the PIN",
        )
        .config_schema(json!({
            "type": "object",
            "properties": {
                "greeting": {"type": "string"},
                "pin": {"type": "string", "minLength": 4},
            },
            "required": ["pin"],
            "additionalProperties": false,
        }))
        .secret_fields(["pin"])
    }

    fn check(config: &Config) -> Result<(), ConfigError> {
        if config.greeting.trim().is_empty() {
            return Err(ConfigError::at(
                "/greeting",
                "a greeting has to say something",
            ));
        }
        Ok(())
    }

    fn authenticate(config: Config, step: Step) -> Result<Outcome, Denial> {
        let sent: Payload = step.payload()?;
        let pin = secrets::get("pin").ok_or_else(|| Denial::unavailable("no PIN is configured"))?;
        if !signatures::equal(sent.pin.as_bytes(), pin.as_bytes()) {
            return Err(Denial::rejected("the PIN is wrong"));
        }
        let greeting = format!("{}, {}", config.greeting, sent.name);
        let assertion = Assertion::of(sent.name).claims(json!({"greeting": greeting}));
        Ok(Outcome::Asserted(assertion))
    }
}

archstone_plugin::export!(Hello);
