//! Security keys and passkeys (Web Authentication Level 3, a W3C recommendation): keys that never
//! leave a device, and sign for the pages of one relying party only.
//!
//! A key is enrolled by `navigator.credentials.create`, and logs in by `navigator.credentials.get`.
//! Messages are the specification's JSON (`publicKey`), answers its JSON too (`credential`).

mod assertion;
mod attestation;
mod authenticator_data;
mod base64url;
mod ceremony;
mod certificates;
mod client_data;
mod configuration;
mod kept;
mod public_key;
mod registration;
mod signatures;

use archstone_plugin::{
    Challenge, ConfigError, Denial, Description, EnrollableMethod, EnrolledOutcome, EnrolledStep,
    Enrolling, Enrollment, EnrollmentAnswer, Proof, Reason,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{assertion::Question, base64url::Base64Url, configuration::Config};

struct SecurityKey;

/// What is remembered of a question.
#[derive(Serialize, Deserialize)]
struct Memory {
    challenge: Base64Url,
    #[serde(default)]
    discoverable: bool,
}

impl Memory {
    fn of(memory: &Value) -> Result<Self, Denial> {
        Self::deserialize(memory).map_err(|_| Denial::unavailable("the memory is none of this"))
    }
}

/// `{"credential": ...}`
#[derive(Deserialize)]
struct Payload<T> {
    credential: T,
}

impl EnrollableMethod for SecurityKey {
    type Config = Config;

    fn describe() -> Description {
        Description::new(
            "security-key",
            env!("CARGO_PKG_VERSION"),
            "Security keys and passkeys (WebAuthn)",
        )
        .proves(Proof::Account)
        .config_schema(Config::schema())
    }

    fn check(config: &Config) -> Result<(), ConfigError> {
        config.check()
    }

    fn begin_enrollment(config: Config, enrolling: Enrolling) -> Result<Challenge, Denial> {
        let Enrolling {
            account,
            label,
            enrolled,
        } = enrolling;
        let challenge = configuration::challenge();
        let options = registration::options(&config, &account, &label, &enrolled, &challenge);
        Ok(asked(&config, options, challenge, false))
    }

    fn complete_enrollment(config: Config, answer: EnrollmentAnswer) -> Result<Enrollment, Denial> {
        let Payload { credential } = answer.payload()?;
        let Memory { challenge, .. } = Memory::of(&answer.memory)?;
        registration::verify(&config, &challenge, credential)
    }

    fn named_in(payload: Value) -> Option<String> {
        let payload = Payload::<assertion::Answer>::deserialize(payload).ok()?;
        Some(payload.credential.name())
    }

    fn authenticate(config: Config, step: EnrolledStep) -> Result<EnrolledOutcome, Denial> {
        let Some(memory) = &step.memory else {
            if step.account.is_some() && step.enrolled.is_empty() {
                let detail = "the user has no security key";
                return Err(Denial::new(Reason::NotEnrolled, detail));
            }
            let challenge = configuration::challenge();
            let options = assertion::options(&config, &step.enrolled, &challenge);
            let discoverable = step.account.is_none();
            let challenge = asked(&config, options, challenge, discoverable);
            return Ok(EnrolledOutcome::Challenged(challenge));
        };
        let Memory {
            challenge,
            discoverable,
        } = Memory::of(memory)?;
        let Payload { credential } = step.payload()?;
        let account = step
            .account
            .as_ref()
            .ok_or_else(|| Denial::rejected("the key is nobody's"))?;
        let question = Question {
            challenge: &challenge,
            discoverable,
        };
        assertion::verify(&config, question, account, &step.enrolled, &credential)
            .map(EnrolledOutcome::Verified)
    }
}

/// What the browser is asked, and what is remembered of it.
fn asked(config: &Config, options: Value, challenge: Base64Url, discoverable: bool) -> Challenge {
    let memory = Memory {
        challenge,
        discoverable,
    };
    // A struct of a text and a boolean is always JSON.
    let memory = serde_json::to_value(memory).unwrap_or_default();
    Challenge::new(json!({"publicKey": options}), memory, config.timeout())
}

archstone_plugin::export_enrollable_method!(SecurityKey);
