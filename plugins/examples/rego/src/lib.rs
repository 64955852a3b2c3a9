//! An authorizer that asks nobody: it evaluates a policy in Rego, Open Policy Agent's language, here.
//! The policy sees `input.action`, `input.credentials` and `input.target`, as that of the example `opa`
//! does, and only `true` is a yes.

mod policy;

use archstone_plugin::{Authorizer, ConfigError, Decision, Description, Question};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::policy::{Answer, Policy};

struct Rego;

#[derive(Deserialize)]
struct Config {
    /// The policy's text, one module.
    policy: String,
    /// The rule that decides.
    #[serde(default = "rule")]
    rule: String,
    /// What the policy finds in `data`.
    #[serde(default = "nothing")]
    data: Value,
    /// The beginnings of the actions that are asked about; all, where there are none.
    #[serde(default)]
    actions: Vec<String>,
}

fn rule() -> String {
    "data.keystone.allow".to_owned()
}

fn nothing() -> Value {
    json!({})
}

impl Authorizer for Rego {
    type Config = Config;

    fn describe() -> Description {
        Description::new(
            "rego",
            env!("CARGO_PKG_VERSION"),
            "Evaluates a policy in Rego (Open Policy Agent's language)",
        )
        .config_schema(json!({
            "type": "object",
            "properties": {
                "policy": {
                    "type": "string",
                    "minLength": 1,
                    "description": "package keystone\n\nallow if input.action != \"identity:delete_user\"",
                },
                "rule": {"type": "string", "pattern": "^data\\."},
                "data": {"type": "object"},
                "actions": {"type": "array", "items": {"type": "string", "minLength": 1}},
            },
            "required": ["policy"],
            "additionalProperties": false,
        }))
    }

    fn check(config: &Config) -> Result<(), ConfigError> {
        let policy = Policy::read(&config.policy, &config.data)
            .map_err(|error| ConfigError::at("/policy", error))?;
        policy
            .check(&config.rule)
            .map_err(|error| ConfigError::at("/policy", error))
    }

    fn decide(config: Config, question: Question) -> Decision {
        let concerns = |beginning: &String| question.action.starts_with(beginning.as_str());
        if !config.actions.is_empty() && !config.actions.iter().any(concerns) {
            return Decision::Allow;
        }
        let input = json!({
            "action": question.action,
            "credentials": question.credentials,
            "target": question.target,
        });
        let answer = Policy::read(&config.policy, &config.data)
            .and_then(|policy| policy.evaluate(&config.rule, &input));
        match answer {
            Ok(Answer::Yes) => Decision::Allow,
            Ok(Answer::No) => Decision::Deny(format!("{} does not allow it", config.rule)),
            Err(error) => Decision::Unavailable(error),
        }
    }
}

archstone_plugin::export_authorizer!(Rego);
