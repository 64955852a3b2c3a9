//! Audited events for a collector: the first event sink, to be changed into yours.
//!
//! The server hands events over in batches, in the order in which they happened. They are posted as
//! lines of JSON.

use archstone_plugin::{
    Capability, ConfigError, Description, EventSink, Refusal, http::Request, log, secrets,
};
use serde::Deserialize;
use serde_json::{Value, json};

struct Plugin;

/// What the operator configures, without `token`; see `settings.json`.
#[derive(Deserialize)]
struct Config {
    url: String,
    /// The only actions that are told; all, where there are none.
    #[serde(default)]
    actions: Vec<String>,
}

impl EventSink for Plugin {
    type Config = Config;

    fn describe() -> Description {
        Description::new(
            "{{name}}",
            env!("CARGO_PKG_VERSION"),
            "Posts audited events to a collector",
        )
        // The operator has to grant the collector's origin.
        .needs([Capability::Http])
        .config_schema(json!({
            "type": "object",
            "properties": {
                "url": {"type": "string", "pattern": "^https?://"},
                "token": {"type": "string", "minLength": 1},
                "actions": {"type": "array", "items": {"type": "string", "minLength": 1}},
            },
            "required": ["url"],
            "additionalProperties": false,
        }))
        // The host keeps it apart and never shows it; `secrets::get` has it.
        .secret_fields(["token"])
    }

    fn check(config: &Config) -> Result<(), ConfigError> {
        if config.url.contains('#') {
            return Err(ConfigError::at("/url", "a fragment is not sent to a server"));
        }
        Ok(())
    }

    fn deliver(config: Config, events: Vec<Value>) -> Result<(), Refusal> {
        let told = |event: &&Value| {
            config.actions.is_empty() || config.actions.iter().any(|one| event["action"] == **one)
        };
        let lines: String = events.iter().filter(told).map(|event| format!("{event}\n")).collect();
        if lines.is_empty() {
            return Ok(());
        }
        let mut request = Request::post(config.url)
            .header("content-type", "application/x-ndjson")
            .body(lines);
        if let Some(token) = secrets::get("token") {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answer = request
            .send()
            .map_err(|error| Refusal::for_now(format!("no answer: {error:?}")))?;
        match answer.status() {
            200..300 => Ok(()),
            // It will never take them, and the events after them have to go on.
            status @ (400 | 413 | 422) => {
                log::warn("the collector refuses events, which are lost");
                Err(Refusal::for_ever(format!("the collector answered {status}")))
            }
            status => Err(Refusal::for_now(format!("the collector answered {status}"))),
        }
    }
}

archstone_plugin::export_event_sink!(Plugin);
