//! What the operator says: who the relying party is, and which keys are good enough.

use std::time::Duration;

use archstone_plugin::ConfigError;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::base64url::Base64Url;

#[derive(Debug, Deserialize)]
pub struct Config {
    /// The domain that keys are for.
    pub rp_id: String,
    pub rp_name: String,
    /// The pages where keys may be used.
    pub origins: Vec<String>,
    #[serde(default)]
    pub user_verification: UserVerification,
    #[serde(default)]
    pub discoverable: Discoverable,
    #[serde(default)]
    pub attestation: Attestation,
    /// PEM certificates of makers of security keys.
    #[serde(default)]
    pub attestation_roots: Vec<String>,
    /// The models that may be used; any, if empty.
    #[serde(default)]
    pub models: Vec<String>,
    #[serde(default = "five_minutes")]
    timeout_seconds: u32,
}

fn five_minutes() -> u32 {
    300
}

/// Whether a key has to know who uses it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum UserVerification {
    #[default]
    Required,
    /// Only a key that knew its user when it was enrolled has to from then on.
    Preferred,
}

/// Whether a key has to be found without a user's name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Discoverable {
    Required,
    #[default]
    Preferred,
    Discouraged,
}

/// Whether a key has to prove who made it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Attestation {
    #[default]
    None,
    /// By a certificate that leads to one of `attestation_roots`.
    Required,
}

impl Config {
    /// JSON Schema of the above.
    pub fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "rp_id": {
                    "type": "string",
                    "minLength": 1,
                    "description": "The domain that keys are for. Keys of another are useless",
                },
                "rp_name": {"type": "string", "minLength": 1, "maxLength": 64},
                "origins": {
                    "type": "array",
                    "items": {"type": "string", "minLength": 1},
                    "minItems": 1,
                    "description": "The origins of the pages where keys are used",
                },
                "user_verification": {"enum": ["required", "preferred"], "default": "required"},
                "discoverable": {
                    "enum": ["required", "preferred", "discouraged"],
                    "default": "preferred",
                },
                "attestation": {"enum": ["none", "required"], "default": "none"},
                "attestation_roots": {
                    "type": "array",
                    "items": {"type": "string"},
                    "description": "PEM certificates of the makers to trust",
                },
                "models": {
                    "type": "array",
                    "items": {
                        "type": "string",
                        "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
                    },
                    "description": "The AAGUIDs of the models that may be used",
                },
                "timeout_seconds": {"type": "integer", "minimum": 30, "maximum": 600},
            },
            "required": ["rp_id", "rp_name", "origins"],
            "additionalProperties": false,
        })
    }

    /// What the schema cannot say.
    pub fn check(&self) -> Result<(), ConfigError> {
        for (index, pem) in self.attestation_roots.iter().enumerate() {
            if certificate(pem).is_none() {
                return Err(ConfigError::at(
                    format!("/attestation_roots/{index}"),
                    "this is no certificate in PEM",
                ));
            }
        }
        let is_required = self.attestation == Attestation::Required;
        if is_required && self.attestation_roots.is_empty() {
            return Err(ConfigError::at(
                "/attestation_roots",
                "attestation is required, and there is nobody to trust: name certificates of makers",
            ));
        }
        if !is_required && !self.models.is_empty() {
            return Err(ConfigError::at(
                "/models",
                "a key's model is worth nothing unless it is attested: set `attestation` to `required`",
            ));
        }
        Ok(())
    }

    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds.into())
    }

    /// The certificates of makers.
    pub fn roots(&self) -> Vec<CertificateDer<'static>> {
        self.attestation_roots
            .iter()
            .filter_map(|pem| certificate(pem))
            .collect()
    }
}

fn certificate(pem: &str) -> Option<CertificateDer<'static>> {
    CertificateDer::from_pem_slice(pem.as_bytes()).ok()
}

/// An AAGUID as people write it.
pub fn model(aaguid: [u8; 16]) -> String {
    let digits = data_encoding::HEXLOWER.encode(&aaguid);
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
    parts.map(|part| &digits[part]).join("-")
}

/// What a key is asked to sign.
pub fn challenge() -> Base64Url {
    Base64Url(archstone_plugin::random::bytes(32))
}
