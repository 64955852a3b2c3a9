//! Logging in by a key: what the browser is asked (WebAuthn section 5.5), and what is checked of
//! the answer (section 7.2).

use archstone_plugin::{Account, Denial, Enrollment, Verified, log};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    authenticator_data::AuthenticatorData,
    base64url::Base64Url,
    ceremony::{check_authenticator, descriptor},
    client_data::{self, Ceremony},
    configuration::Config,
    kept::Kept,
    public_key::PublicKey,
    signatures::sha256,
};

/// `PublicKeyCredentialRequestOptionsJSON`. With no keys to allow, the browser offers those that it
/// finds.
pub fn options(config: &Config, allowed: &[Enrollment], challenge: &Base64Url) -> Value {
    json!({
        "challenge": challenge,
        "timeout": config.timeout().as_millis() as u64,
        "rpId": config.rp_id,
        "allowCredentials": allowed.iter().map(descriptor).collect::<Vec<_>>(),
        "userVerification": config.user_verification,
    })
}

/// `AuthenticationResponseJSON`, as far as it is looked at.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    raw_id: Base64Url,
    response: Response,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    #[serde(rename = "clientDataJSON")]
    client_data: Base64Url,
    authenticator_data: Base64Url,
    signature: Base64Url,
    user_handle: Option<Base64Url>,
}

impl Answer {
    /// The name of the key that it says it comes from.
    pub fn name(&self) -> String {
        Base64Url::encode(&self.raw_id.0)
    }
}

/// What was asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    pub challenge: &'a Base64Url,
    /// The client named nobody, so the key has to.
    pub discoverable: bool,
}

/// Which key proved it, and what to keep of it, if the answer holds.
pub fn verify(
    config: &Config,
    question: Question<'_>,
    account: &Account,
    enrolled: &[Enrollment],
    answer: &Answer,
) -> Result<Verified, Denial> {
    let name = answer.name();
    let enrollment = enrolled
        .iter()
        .find(|enrollment| enrollment.name == name)
        .ok_or_else(|| Denial::rejected("the key is none of the user's"))?;
    let mut kept = Kept::of(enrollment)
        .ok_or_else(|| Denial::rejected("what is kept of the key cannot be read"))?;
    let response = &answer.response;
    match &response.user_handle {
        Some(handle) if handle.0 == account.handle.as_bytes() => {}
        None if !question.discoverable => {}
        _ => return Err(Denial::rejected("the key says that it is somebody else's")),
    }
    let client_data = &response.client_data.0;
    client_data::check(client_data, Ceremony::Assertion, question.challenge, config)?;
    let data = AuthenticatorData::read(&response.authenticator_data.0)
        .ok_or_else(|| Denial::malformed("the authenticator data is none"))?;
    check_authenticator(config, &data, kept.user_verified)?;
    if data.flags.backup_eligible() != kept.backup_eligible {
        return Err(Denial::rejected("the key changed whether it can be copied"));
    }
    let signed = [
        response.authenticator_data.0.as_slice(),
        &sha256(client_data),
    ]
    .concat();
    let holds = PublicKey::from_cose(&kept.public_key.0)
        .is_some_and(|key| key.verifies(&signed, &response.signature.0));
    if !holds {
        return Err(Denial::rejected("the signature does not hold"));
    }
    if (data.counter, kept.counter) != (0, 0) && data.counter <= kept.counter {
        log::warn("a security key counts backwards: there may be a copy of it");
        return Err(Denial::rejected(format!(
            "the key counted {} before and {} now: there may be a copy of it",
            kept.counter, data.counter
        )));
    }
    let before = (kept.counter, kept.backed_up);
    kept.counter = data.counter;
    kept.backed_up = data.flags.backed_up();
    let changed = before != (kept.counter, kept.backed_up);
    Ok(Verified {
        name,
        data: changed.then(|| kept.to_value()),
    })
}
