//! A PIN of one's own: the first plugin, to be changed into yours.
//!
//! A user's PINs are their credentials of type `{{name}}`, which the server keeps encrypted. Whoever
//! sends one of them is that user. After a few wrong ones, the method pauses for this user.

use std::time::Duration;

use archstone_plugin::{
    AuthMethod, Capability, Denial, Description, Outcome, Proof, Reason, Step, credentials, log,
    signatures, state,
};
use serde::Deserialize;
use serde_json::json;

const CREDENTIAL: &str = "{{name}}";
const PAUSE: Duration = Duration::from_secs(15 * 60);

struct Plugin;

/// What the operator configures; see `settings.json`.
#[derive(Deserialize)]
struct Config {
    #[serde(default = "five")]
    tries: u8,
}

fn five() -> u8 {
    5
}

/// What the client sends. The host reads `user` beside it, and finds that user.
#[derive(Deserialize)]
struct Payload {
    pin: String,
}

impl AuthMethod for Plugin {
    type Config = Config;

    fn describe() -> Description {
        Description::new(
            "{{name}}",
            env!("CARGO_PKG_VERSION"),
            "A PIN of one's own",
        )
        // The host finds the user; this plugin says whether they are who they claim to be.
        .proves(Proof::Account)
        // The operator has to grant these, by type.
        .needs([Capability::Credentials])
        .config_schema(json!({
            "type": "object",
            "properties": {"tries": {"type": "integer", "minimum": 1, "maximum": 20}},
            "additionalProperties": false,
        }))
    }

    fn authenticate(config: Config, step: Step) -> Result<Outcome, Denial> {
        let sent: Payload = step.payload()?;
        let user = &step.account()?.handle;
        let pins = credentials::of_type(CREDENTIAL)?;
        if pins.is_empty() {
            return Err(Denial::new(Reason::NotEnrolled, "the user has no PIN"));
        }
        // A try is claimed before it is looked at: of two at once, on any node, each claims its own.
        let tries: Vec<String> = (0..config.tries).map(|try_| format!("{user}/{try_}")).collect();
        if !claim_one(&tries)? {
            log::warn("a user has tried too many PINs");
            return Err(Denial::rejected("too many wrong PINs"));
        }
        let right = pins
            .iter()
            .any(|pin| signatures::equal(sent.pin.as_bytes(), pin.blob.as_bytes()));
        if !right {
            return Err(Denial::rejected("the PIN is wrong"));
        }
        for try_ in &tries {
            state::take(try_)?;
        }
        Ok(Outcome::Verified)
    }
}

fn claim_one(tries: &[String]) -> Result<bool, Denial> {
    for try_ in tries {
        if state::put_if_absent(try_, "claimed", PAUSE)? {
            return Ok(true);
        }
    }
    Ok(false)
}

archstone_plugin::export!(Plugin);
