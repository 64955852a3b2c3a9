//! For tests: a plugin of version 0.1.0 of the contract, on the generated bindings alone. It stays
//! as it is, so that the host goes on serving what was built against that version.

// The generator writes exports with as many parameters as their canonical form has.
#![allow(clippy::too_many_arguments)]

use serde_json::{Value, json};

use crate::archstone::plugin::{
    authentication::{Assertion, Denial, Reason},
    clock, http, log, random, secrets, signatures, state,
    types::{Capability, Proof},
};

wit_bindgen::generate!({
    path: "../../wit/0.1.0",
    world: "auth-method",
});

struct Plugin;

impl Guest for Plugin {
    fn describe() -> Description {
        Description {
            name: "contract-0-1".to_owned(),
            version: "1.0.0".to_owned(),
            summary: "For tests: built against version 0.1.0 of the contract".to_owned(),
            proves: Proof::Subject,
            config_schema: json!({"type": "object", "properties": {"pin": {"type": "string"}}})
                .to_string(),
            secret_fields: vec!["pin".to_owned()],
            capabilities: vec![Capability::Clock, Capability::State, Capability::Http],
        }
    }

    fn check(_config: String) -> Result<(), ConfigError> {
        match secrets::get("pin") {
            Some(pin) if pin.len() >= 4 => Ok(()),
            _ => Err(ConfigError {
                pointer: "/pin".to_owned(),
                message: "a PIN has four characters".to_owned(),
            }),
        }
    }

    /// Uses every capability once, and asserts what came of it.
    fn authenticate(step: Step) -> Outcome {
        let denied = |reason, detail: &str| {
            Outcome::Denied(Denial {
                reason,
                detail: detail.to_owned(),
            })
        };
        let Ok(sent) = serde_json::from_str::<Value>(&step.payload) else {
            return denied(Reason::Malformed, "no JSON");
        };
        let (Some(name), Some(pin)) = (sent["name"].as_str(), sent["pin"].as_str()) else {
            return denied(Reason::Malformed, "no name or PIN");
        };
        let right = secrets::get("pin").unwrap_or_default();
        if !signatures::equal(pin.as_bytes(), right.as_bytes()) {
            return denied(Reason::Rejected, "the PIN is wrong");
        }
        log::write(log::Level::Info, "somebody knows the PIN");
        let first = matches!(state::put_if_absent(name, "here", 60), Ok(true));
        let taken = state::take(name).ok().flatten();
        let fetched = http::send(&http::Request {
            method: "GET".to_owned(),
            url: "https://not-granted.example/".to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        });
        Outcome::Asserted(Assertion {
            subject: name.to_owned(),
            claims: json!({
                "now": clock::now().seconds,
                "random": random::bytes(8).len(),
                "first": first,
                "taken": taken,
                "refused": matches!(fetched, Err(http::HttpError::OriginNotGranted)),
                "digest": signatures::digest(signatures::Hash::Sha256, b"").len(),
            })
            .to_string(),
        })
    }
}

export!(Plugin);
