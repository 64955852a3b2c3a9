//! An authorizer: asks a policy server that speaks as Open Policy Agent's data API does. What is asked
//! is `{"input": {"action", "credentials", "target"}}`, and only `{"result": true}` is a yes.

use archstone_plugin::{Authorizer, Capability, Decision, Description, Question, http::Request};
use serde::Deserialize;
use serde_json::{Value, json};

struct Opa;

#[derive(Deserialize)]
struct Config {
    url: String,
    /// The beginnings of the actions that are asked about; all, where there are none.
    #[serde(default)]
    actions: Vec<String>,
}

impl Authorizer for Opa {
    type Config = Config;

    fn describe() -> Description {
        Description::new(
            "opa",
            env!("CARGO_PKG_VERSION"),
            "Asks a policy server (Open Policy Agent's data API)",
        )
        .config_schema(json!({
            "type": "object",
            "properties": {
                "url": {
                    "type": "string",
                    "format": "uri",
                    "description": "https://opa.example/v1/data/keystone/allow",
                },
                "actions": {"type": "array", "items": {"type": "string", "minLength": 1}},
            },
            "required": ["url"],
            "additionalProperties": false,
        }))
        .server_fields(["url"])
        .needs([Capability::Http])
    }

    fn decide(config: Config, question: Question) -> Decision {
        let concerns = |beginning: &String| question.action.starts_with(beginning.as_str());
        if !config.actions.is_empty() && !config.actions.iter().any(concerns) {
            return Decision::Allow;
        }
        let input = json!({"input": {
            "action": question.action,
            "credentials": question.credentials,
            "target": question.target,
        }});
        let answer = Request::post(config.url)
            .header("content-type", "application/json")
            .body(input.to_string())
            .send();
        let answer = match answer {
            Ok(answer) if answer.status() == 200 => answer,
            Ok(answer) => {
                return Decision::Unavailable(format!("it answered {}", answer.status()));
            }
            Err(error) => return Decision::Unavailable(format!("no answer: {error:?}")),
        };
        match serde_json::from_slice::<Value>(answer.body()) {
            Ok(said) if said["result"] == true => Decision::Allow,
            Ok(_) => Decision::Deny("the policy server does not allow it".to_owned()),
            Err(_) => Decision::Unavailable("it did not answer with JSON".to_owned()),
        }
    }
}

archstone_plugin::export_authorizer!(Opa);
