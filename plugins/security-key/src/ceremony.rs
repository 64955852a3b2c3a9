//! What registrations and assertions have in common.

use archstone_plugin::{Denial, Enrollment};
use serde_json::{Value, json};

use crate::{
    authenticator_data::AuthenticatorData,
    configuration::{Config, UserVerification},
    kept::Kept,
    signatures::sha256,
};

/// Refuses what was made for another relying party, without a user, or without one who is known
/// where that is needed. A key that once knew its user always has to.
pub fn check_authenticator(
    config: &Config,
    data: &AuthenticatorData,
    knew_its_user: bool,
) -> Result<(), Denial> {
    if data.rp_id_hash != sha256(config.rp_id.as_bytes()) {
        return Err(Denial::rejected("the key signed for another relying party"));
    }
    if !data.flags.user_present() {
        return Err(Denial::rejected("nobody touched the key"));
    }
    let has_to_know = knew_its_user || config.user_verification == UserVerification::Required;
    if has_to_know && !data.flags.user_verified() {
        return Err(Denial::rejected("the key did not verify its user"));
    }
    if data.flags.backed_up() && !data.flags.backup_eligible() {
        return Err(Denial::malformed("the key is copied, though it cannot be"));
    }
    Ok(())
}

/// `PublicKeyCredentialDescriptorJSON`
pub fn descriptor(enrollment: &Enrollment) -> Value {
    let mut descriptor = json!({"type": "public-key", "id": enrollment.name});
    let transports = Kept::of(enrollment).map(|kept| kept.transports);
    if let Some(transports) = transports.filter(|transports| !transports.is_empty()) {
        descriptor["transports"] = json!(transports);
    }
    descriptor
}

/// The transports that a browser names, as far as they are any.
pub fn transports_of(named: Vec<String>) -> Vec<String> {
    const KNOWN: [&str; 6] = ["ble", "hybrid", "internal", "nfc", "smart-card", "usb"];
    KNOWN
        .into_iter()
        .filter(|known| named.iter().any(|name| name == known))
        .map(str::to_owned)
        .collect()
}
