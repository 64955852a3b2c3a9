//! Time-based one-time passwords (RFC 6238), compatible with Keystone's method `totp`: six digits,
//! every 30 seconds, HMAC-SHA-1; secrets are the user's credentials of type `totp`, in base32.
//!
//! Beyond Keystone, a passcode works once (RFC 6238 section 5.2).

mod passcode;

use std::time::Duration;

use archstone_plugin::{
    AuthMethod, Capability, Denial, Description, Outcome, Proof, Reason, Step, clock, credentials,
    log, state,
};
use passcode::{PERIOD, SharedSecret, Window};
use serde::Deserialize;
use serde_json::json;

struct Totp;

#[derive(Deserialize)]
struct Config {
    /// How many passcodes before the present one still work.
    #[serde(default = "one")]
    included_previous_windows: u64,
}

fn one() -> u64 {
    1
}

/// `{"user": {"id": ..., "passcode": "123456"}}`. The host reads the rest of `user`.
#[derive(Deserialize)]
struct Payload {
    user: User,
    passcode: Option<String>,
}

#[derive(Deserialize)]
struct User {
    passcode: Option<String>,
}

impl Payload {
    fn passcode(self) -> Result<String, Denial> {
        let passcode = self.user.passcode.or(self.passcode);
        passcode.ok_or_else(|| Denial::malformed("there is no `passcode` in `user`"))
    }
}

impl AuthMethod for Totp {
    type Config = Config;

    fn describe() -> Description {
        Description::new(
            "totp",
            env!("CARGO_PKG_VERSION"),
            "Time-based one-time passwords (RFC 6238) against credentials of type totp",
        )
        .proves(Proof::Account)
        .needs([Capability::Credentials])
        .config_schema(json!({
            "type": "object",
            "properties": {
                "included_previous_windows": {
                    "type": "integer",
                    "minimum": 0,
                    "maximum": 10,
                    "default": 1,
                    "description": "How many passcodes before the present one still work",
                },
            },
            "additionalProperties": false,
        }))
    }

    fn authenticate(config: Config, step: Step) -> Result<Outcome, Denial> {
        let passcode = step.payload::<Payload>()?.passcode()?;
        let account = step.account()?;
        let enrolled = credentials::of_type("totp")?;
        if enrolled.is_empty() {
            let detail = "the user has no credential of type totp";
            return Err(Denial::new(Reason::NotEnrolled, detail));
        }

        let windows = Window::at(clock::now()).back_to(config.included_previous_windows);
        let (credential, window) = enrolled
            .iter()
            .find_map(|credential| {
                let Some(secret) = SharedSecret::from_base32(&credential.blob) else {
                    log::warn("a credential of type totp is no base32 text; it cannot be used");
                    return None;
                };
                let window = secret.window_of(&passcode, windows.clone())?;
                Some((credential, window))
            })
            .ok_or_else(|| Denial::rejected("the passcode fits none of the user's credentials"))?;

        let used = format!("{}/{}/{window}", account.handle, credential.handle);
        let outlives = PERIOD * (config.included_previous_windows as u32 + 2);
        claim(&used, outlives)?;
        Ok(Outcome::Verified)
    }
}

/// Claims a passcode for this login; nobody can claim it again while it would still work.
fn claim(passcode: &str, outlives: Duration) -> Result<(), Denial> {
    match state::put_if_absent(passcode, "used", outlives)? {
        true => Ok(()),
        false => Err(Denial::new(
            Reason::Replayed,
            "the passcode was used before",
        )),
    }
}

archstone_plugin::export!(Totp);
