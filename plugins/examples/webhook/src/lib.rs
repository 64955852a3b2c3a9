//! An event sink: posts audited events to a collector, as one JSON array for each batch.

use archstone_plugin::{Capability, Description, EventSink, Refusal, http::Request, secrets};
use serde::Deserialize;
use serde_json::{Value, json};

struct Webhook;

#[derive(Deserialize)]
struct Config {
    url: String,
}

impl EventSink for Webhook {
    type Config = Config;

    fn describe() -> Description {
        Description::new(
            "webhook",
            env!("CARGO_PKG_VERSION"),
            "Posts audited events to a collector",
        )
        .config_schema(json!({
            "type": "object",
            "properties": {
                "url": {"type": "string", "format": "uri"},
                "token": {"type": "string", "description": "Sent as a bearer token"},
            },
            "required": ["url"],
            "additionalProperties": false,
        }))
        .secret_fields(["token"])
        .server_fields(["url"])
        .needs([Capability::Http])
    }

    fn deliver(config: Config, events: Vec<Value>) -> Result<(), Refusal> {
        let mut request = Request::post(config.url)
            .header("content-type", "application/json")
            .body(Value::Array(events).to_string());
        if let Some(token) = secrets::get("token") {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answer = request
            .send()
            .map_err(|error| Refusal::for_now(format!("no answer: {error:?}")))?;
        match answer.status() {
            200..=299 => Ok(()),
            // What the collector will never take; all else may pass.
            status @ (400 | 413 | 422) => Err(Refusal::for_ever(format!(
                "the collector answered {status}"
            ))),
            status => Err(Refusal::for_now(format!("the collector answered {status}"))),
        }
    }
}

archstone_plugin::export_event_sink!(Webhook);
