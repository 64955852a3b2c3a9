//! Actions that need one more role: the first authorizer, to be changed into yours.
//!
//! It is asked about what policy already allows, and can only say no.

use archstone_plugin::{Authorizer, ConfigError, Decision, Description, Question};
use serde::Deserialize;
use serde_json::json;

struct Plugin;

/// What the operator configures; see `settings.json`.
#[derive(Deserialize)]
struct Config {
    /// The beginnings of the names of policy's rules: `identity:delete_`.
    actions: Vec<String>,
    /// The role that they need besides what policy asks for.
    role: String,
}

impl Authorizer for Plugin {
    type Config = Config;

    fn describe() -> Description {
        Description::new(
            "{{name}}",
            env!("CARGO_PKG_VERSION"),
            "Some actions need one more role",
        )
        .config_schema(json!({
            "type": "object",
            "properties": {
                "actions": {"type": "array", "minItems": 1, "items": {"type": "string"}},
                "role": {"type": "string", "minLength": 1},
            },
            "required": ["actions", "role"],
            "additionalProperties": false,
        }))
    }

    fn check(config: &Config) -> Result<(), ConfigError> {
        // What would stop everybody at everything, the operator too, is a mistake.
        match config.actions.iter().any(String::is_empty) {
            true => Err(ConfigError::at("/actions", "all actions begin with nothing")),
            false => Ok(()),
        }
    }

    fn decide(config: Config, question: Question) -> Decision {
        let begins = |beginning: &String| question.action.starts_with(beginning.as_str());
        if !config.actions.iter().any(begins) {
            return Decision::Allow;
        }
        let mut roles = question.credentials["roles"].as_array().into_iter().flatten();
        match roles.any(|role| *role == *config.role) {
            true => Decision::Allow,
            // For the audit log only.
            false => Decision::Deny(format!("they lack the role {}", config.role)),
        }
    }
}

archstone_plugin::export_authorizer!(Plugin);
