//! Between the JSON of Web Authentication, which the plugin speaks, and the same things as the Rust
//! client `osc` writes them: members in snake case, values as names of Rust, and base64url with
//! padding.

use archstone_identity::Error;
use base64::{
    Engine,
    engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::error::{ApiError, Result};

/// A question of the plugin's: `{"publicKey": {...}}`.
pub(super) struct Question(Value);

impl Question {
    pub(super) fn of(message: &Map<String, Value>) -> Result<Self> {
        let options = message
            .get("publicKey")
            .filter(|options| options.is_object());
        options.cloned().map(Self).ok_or_else(not_webauthn)
    }

    /// The options as the specification writes them.
    pub(super) fn into_standard(self) -> Value {
        self.0
    }

    /// What is to be signed, as it is written.
    pub(super) fn challenge(&self) -> Result<String> {
        let challenge = self.0["challenge"].as_str().map(str::to_owned);
        challenge.ok_or_else(not_webauthn)
    }

    pub(super) fn for_creation(&self) -> Result<CreationOptions> {
        let options: StandardCreation = self.read()?;
        Ok(CreationOptions {
            attestation: named(options.attestation),
            authenticator_selection: AuthenticatorSelection {
                require_resident_key: options.authenticator_selection.require_resident_key,
                resident_key: named(options.authenticator_selection.resident_key),
                user_verification: verification(&options.authenticator_selection.user_verification),
            },
            challenge: padded(&options.challenge)?,
            exclude_credentials: descriptors(options.exclude_credentials)?,
            pub_key_cred_params: options
                .pub_key_cred_params
                .into_iter()
                .map(|parameter| KeyParameter {
                    alg: parameter.alg,
                    type_: parameter.r#type,
                })
                .collect(),
            rp: options.rp,
            timeout: options.timeout,
            user: UserEntity {
                display_name: options.user.display_name,
                id: padded(&options.user.id)?,
                name: options.user.name,
            },
        })
    }

    pub(super) fn for_request(&self) -> Result<RequestOptions> {
        let options: StandardRequest = self.read()?;
        Ok(RequestOptions {
            allow_credentials: descriptors(options.allow_credentials)?,
            challenge: padded(&options.challenge)?,
            rp_id: options.rp_id,
            timeout: options.timeout,
            user_verification: verification(&options.user_verification),
        })
    }

    fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T> {
        T::deserialize(&self.0).map_err(|_| not_webauthn())
    }
}

/// The challenge that an answer says it answers. Whether it does is the plugin's to find out.
pub(super) fn answered_challenge(credential: &Value) -> Result<String> {
    #[derive(Deserialize)]
    struct ClientData {
        challenge: String,
    }
    let written = credential["response"]["clientDataJSON"].as_str();
    let bytes = written.and_then(|text| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok());
    let said = bytes.and_then(|bytes| serde_json::from_slice::<ClientData>(&bytes).ok());
    said.map(|said| said.challenge)
        .ok_or_else(|| ApiError::bad_request("The answer has no client data of WebAuthn."))
}

/// The plugin that serves the method asks something else than WebAuthn does.
fn not_webauthn() -> ApiError {
    Error::internal("the method for passkeys does not speak WebAuthn").into()
}

/// `none` as `None`
fn named(word: String) -> String {
    let mut letters = word.chars();
    match letters.next() {
        Some(first) => first.to_ascii_uppercase().to_string() + letters.as_str(),
        None => word,
    }
}

fn verification(word: &str) -> String {
    match word {
        "required" => "Required",
        "discouraged" => "DiscouragedDoNotUse",
        _ => "Preferred",
    }
    .to_owned()
}

fn padded(text: &str) -> Result<String> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| not_webauthn())?;
    Ok(URL_SAFE.encode(bytes))
}

fn unpadded(text: &str) -> Result<String> {
    let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('='));
    let bytes = bytes.map_err(|_| ApiError::bad_request("The answer is not base64url."))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn descriptors(found: Vec<StandardDescriptor>) -> Result<Vec<Descriptor>> {
    found
        .into_iter()
        .map(|descriptor| {
            Ok(Descriptor {
                id: padded(&descriptor.id)?,
                transports: descriptor.transports.map(|transports| {
                    let known = transports.into_iter().filter(|one| one != "smart-card");
                    known.map(named).collect()
                }),
                type_: descriptor.r#type,
            })
        })
        .collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StandardCreation {
    rp: RelyingParty,
    user: StandardUser,
    challenge: String,
    pub_key_cred_params: Vec<StandardParameter>,
    timeout: Option<u32>,
    #[serde(default)]
    exclude_credentials: Vec<StandardDescriptor>,
    authenticator_selection: StandardSelection,
    attestation: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StandardUser {
    id: String,
    name: String,
    display_name: String,
}

#[derive(Deserialize)]
struct StandardParameter {
    r#type: String,
    alg: i64,
}

#[derive(Deserialize)]
struct StandardDescriptor {
    r#type: String,
    id: String,
    transports: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StandardSelection {
    resident_key: String,
    require_resident_key: bool,
    user_verification: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StandardRequest {
    challenge: String,
    timeout: Option<u32>,
    rp_id: String,
    #[serde(default)]
    allow_credentials: Vec<StandardDescriptor>,
    user_verification: String,
}

/// What a new key is to be like.
#[derive(Serialize, ToSchema)]
#[schema(as = PasskeyCreationOptions)]
pub(super) struct CreationOptions {
    attestation: String,
    authenticator_selection: AuthenticatorSelection,
    challenge: String,
    exclude_credentials: Vec<Descriptor>,
    pub_key_cred_params: Vec<KeyParameter>,
    rp: RelyingParty,
    timeout: Option<u32>,
    user: UserEntity,
}

/// What a key is to sign.
#[derive(Serialize, ToSchema)]
#[schema(as = PasskeyRequestOptions)]
pub(super) struct RequestOptions {
    allow_credentials: Vec<Descriptor>,
    challenge: String,
    rp_id: String,
    timeout: Option<u32>,
    user_verification: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = PasskeyAuthenticatorSelection)]
struct AuthenticatorSelection {
    require_resident_key: bool,
    resident_key: String,
    user_verification: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = PasskeyDescriptor)]
struct Descriptor {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    transports: Option<Vec<String>>,
    type_: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = PasskeyParameter)]
struct KeyParameter {
    alg: i64,
    type_: String,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = PasskeyRelyingParty)]
struct RelyingParty {
    id: String,
    name: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = PasskeyUser)]
struct UserEntity {
    display_name: String,
    id: String,
    name: String,
}

/// A new key as `osc` tells of it.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = PasskeyRegistration)]
pub(super) struct OscRegistration {
    #[schema(max_length = 64)]
    description: Option<String>,
    raw_id: String,
    response: OscAttestationResponse,
    type_: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = PasskeyAttestationResponse)]
struct OscAttestationResponse {
    attestation_object: String,
    client_data_json: String,
    transports: Option<Vec<String>>,
}

impl OscRegistration {
    /// `RegistrationResponseJSON`, and what the key is to be called.
    pub(super) fn into_standard(self) -> Result<(Value, Option<String>)> {
        let id = unpadded(&self.raw_id)?;
        let transports = self.response.transports.unwrap_or_default().into_iter();
        let transports: Vec<_> = transports.map(|one| one.to_ascii_lowercase()).collect();
        let credential = json!({
            "id": id,
            "rawId": id,
            "type": self.type_,
            "response": {
                "clientDataJSON": unpadded(&self.response.client_data_json)?,
                "attestationObject": unpadded(&self.response.attestation_object)?,
                "transports": transports,
            },
        });
        Ok((credential, self.description))
    }
}

/// What a key signed, as `osc` tells of it.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = PasskeyAssertion)]
pub(super) struct OscAssertion {
    raw_id: String,
    response: OscAssertionResponse,
    type_: String,
    user_id: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = PasskeyAssertionResponse)]
struct OscAssertionResponse {
    authenticator_data: String,
    client_data_json: String,
    signature: String,
    user_handle: Option<String>,
}

impl OscAssertion {
    /// `AuthenticationResponseJSON`, and whom it is said to be from.
    pub(super) fn into_standard(self) -> Result<(Value, Option<String>)> {
        let id = unpadded(&self.raw_id)?;
        let handle = self.response.user_handle.as_deref().map(unpadded);
        let credential = json!({
            "id": id,
            "rawId": id,
            "type": self.type_,
            "response": {
                "clientDataJSON": unpadded(&self.response.client_data_json)?,
                "authenticatorData": unpadded(&self.response.authenticator_data)?,
                "signature": unpadded(&self.response.signature)?,
                "userHandle": handle.transpose()?,
            },
        });
        Ok((credential, self.user_id))
    }
}
