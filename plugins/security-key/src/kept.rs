//! What is kept of a key from one login to the next.

use archstone_plugin::Enrollment;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base64url::Base64Url;

/// An enrolled key. Its name is its credential id, in base64url.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// A COSE key.
    pub public_key: Base64Url,
    /// How often the key signed, by its own count. Zero if it does not count.
    pub counter: u32,
    /// It knew its user when it was enrolled.
    pub user_verified: bool,
    pub backup_eligible: bool,
    pub backed_up: bool,
    /// Its model.
    pub aaguid: String,
    /// How it proved who made it: `none`, `packed` or `fido-u2f`.
    pub attestation: String,
    /// How a browser reaches it: `usb`, `internal` ...
    #[serde(default)]
    pub transports: Vec<String>,
}

impl Kept {
    /// Reads what was kept; nothing, if that was not made here.
    pub fn of(enrollment: &Enrollment) -> Option<Self> {
        serde_json::from_value(enrollment.data.clone()).ok()
    }

    pub fn to_value(&self) -> Value {
        // A struct of texts and numbers is always JSON.
        serde_json::to_value(self).unwrap_or_default()
    }
}
