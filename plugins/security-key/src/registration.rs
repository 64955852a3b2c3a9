//! Enrolling a key: what the browser is asked (WebAuthn section 5.4), and what is checked of the
//! answer (section 7.1).

use archstone_plugin::{Account, Denial, Enrollment, clock};
use coset::iana::EnumI64;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    attestation::{AttestationObject, Registration},
    authenticator_data::AuthenticatorData,
    base64url::Base64Url,
    ceremony::{check_authenticator, descriptor, transports_of},
    client_data::{self, Ceremony},
    configuration::{Attestation, Config, Discoverable, model},
    kept::Kept,
    public_key::{OFFERED, PublicKey},
    signatures::sha256,
};

/// The longest that a credential id may be.
const LONGEST_ID: usize = 1023;

/// `PublicKeyCredentialCreationOptionsJSON`
pub fn options(
    config: &Config,
    account: &Account,
    label: &str,
    enrolled: &[Enrollment],
    challenge: &Base64Url,
) -> Value {
    json!({
        "rp": {"id": config.rp_id, "name": config.rp_name},
        "user": {
            "id": Base64Url::encode(account.handle.as_bytes()),
            "name": label,
            "displayName": label,
        },
        "challenge": challenge,
        "pubKeyCredParams": OFFERED.map(|algorithm| json!({
            "type": "public-key",
            "alg": algorithm.to_i64(),
        })),
        "timeout": config.timeout().as_millis() as u64,
        "excludeCredentials": enrolled.iter().map(descriptor).collect::<Vec<_>>(),
        "authenticatorSelection": {
            "residentKey": config.discoverable,
            "requireResidentKey": config.discoverable == Discoverable::Required,
            "userVerification": config.user_verification,
        },
        "attestation": match config.attestation {
            Attestation::None => "none",
            Attestation::Required => "direct",
        },
    })
}

/// `RegistrationResponseJSON`, as far as it is looked at.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    response: Response,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    #[serde(rename = "clientDataJSON")]
    client_data: Base64Url,
    attestation_object: Base64Url,
    #[serde(default)]
    transports: Vec<String>,
}

/// The key to enrol, if the answer holds.
pub fn verify(
    config: &Config,
    challenge: &Base64Url,
    answer: Answer,
) -> Result<Enrollment, Denial> {
    let Response {
        client_data,
        attestation_object,
        transports,
    } = answer.response;
    client_data::check(&client_data.0, Ceremony::Registration, challenge, config)?;
    let object = AttestationObject::read(&attestation_object.0)
        .ok_or_else(|| Denial::malformed("the attestation object is none"))?;
    let data = AuthenticatorData::read(&object.authenticator_data)
        .ok_or_else(|| Denial::malformed("the authenticator data is none"))?;
    check_authenticator(config, &data, false)?;
    let credential = data
        .attested
        .as_ref()
        .filter(|credential| (1..=LONGEST_ID).contains(&credential.id.len()))
        .ok_or_else(|| Denial::malformed("there is no new key in the answer"))?;
    let public_key = PublicKey::from_cose(&credential.public_key)
        .ok_or_else(|| Denial::rejected("the key is none of those that were asked for"))?;
    let registration = Registration {
        data: &data,
        credential,
        public_key: &public_key,
        client_data_hash: &sha256(&client_data.0),
    };
    object.check(&registration, config, clock::now())?;
    let kept = Kept {
        public_key: Base64Url(credential.public_key.clone()),
        counter: data.counter,
        user_verified: data.flags.user_verified(),
        backup_eligible: data.flags.backup_eligible(),
        backed_up: data.flags.backed_up(),
        aaguid: model(credential.aaguid),
        attestation: object.format,
        transports: transports_of(transports),
    };
    Ok(Enrollment {
        name: Base64Url::encode(&credential.id),
        data: kept.to_value(),
    })
}
