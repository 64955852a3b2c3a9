//! Keys that sign: the first method that users enrol in, to be changed into yours.
//!
//! A user enrols the public part of an Ed25519 key, and shows that they have the other part by signing
//! what they are asked. They log in by signing again.

use std::time::Duration;

use archstone_plugin::{
    Challenge, Denial, Description, EnrollableMethod, EnrolledOutcome, EnrolledStep, Enrolling,
    Enrollment, EnrollmentAnswer, Proof, Reason, Verified, random,
    signatures::{self, SignatureAlgorithm},
};
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(300);
/// What is signed begins so, so that no signature made for anything else passes here.
const ENROLL: &str = "{{name}} enroll ";
const LOG_IN: &str = "{{name}} log in ";

struct Plugin;

#[derive(Deserialize)]
struct Config {}

/// What the client answers. The key names the enrollment.
#[derive(Deserialize)]
struct Answer {
    /// Base64url without padding, as the signature is.
    key: String,
    signature: String,
}

impl EnrollableMethod for Plugin {
    type Config = Config;

    fn describe() -> Description {
        Description::new(
            "{{name}}",
            env!("CARGO_PKG_VERSION"),
            "Keys that users enrol and sign with",
        )
        .proves(Proof::Account)
    }

    fn begin_enrollment(_config: Config, _enrolling: Enrolling) -> Result<Challenge, Denial> {
        Ok(question())
    }

    fn complete_enrollment(
        _config: Config,
        answer: EnrollmentAnswer,
    ) -> Result<Enrollment, Denial> {
        let sent: Answer = answer.payload()?;
        if !sent.signs(ENROLL, &answer.memory) {
            return Err(Denial::rejected("the signature does not hold"));
        }
        if answer.enrolled.iter().any(|one| one.name == sent.key) {
            return Err(Denial::rejected("the key is enrolled already"));
        }
        Ok(Enrollment {
            name: sent.key,
            data: json!({}),
        })
    }

    fn named_in(payload: Value) -> Option<String> {
        payload["key"].as_str().map(str::to_owned)
    }

    fn authenticate(_config: Config, step: EnrolledStep) -> Result<EnrolledOutcome, Denial> {
        let Some(memory) = &step.memory else {
            return Ok(EnrolledOutcome::Challenged(question()));
        };
        let sent: Answer = step.payload()?;
        if !step.enrolled.iter().any(|one| one.name == sent.key) {
            return Err(Denial::new(Reason::NotEnrolled, "the user has no such key"));
        }
        if !sent.signs(LOG_IN, memory) {
            return Err(Denial::rejected("the signature does not hold"));
        }
        Ok(EnrolledOutcome::Verified(Verified {
            name: sent.key,
            // Nothing of what is kept changes by a login.
            data: None,
        }))
    }
}

/// The host gives what is remembered back with the answer, once.
fn question() -> Challenge {
    let nonce = BASE64URL_NOPAD.encode(&random::bytes(32));
    let message = json!({"nonce": nonce});
    Challenge::new(message.clone(), message, PATIENCE)
}

impl Answer {
    /// Whether it signs what was asked, for this purpose.
    fn signs(&self, purpose: &str, memory: &Value) -> bool {
        let decoded = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).ok();
        let (Some(key), Some(signature), Some(nonce)) = (
            decoded(&self.key),
            decoded(&self.signature),
            memory["nonce"].as_str(),
        ) else {
            return false;
        };
        let signed = format!("{purpose}{nonce}");
        let algorithm = SignatureAlgorithm::Ed25519;
        signatures::verify(algorithm, &key, signed.as_bytes(), &signature)
    }
}

archstone_plugin::export_enrollable_method!(Plugin);
