//! Signature version 4: a key that is good for one day, region and service.

use archstone_model::secret::Secret;
use sha2::{Digest, Sha256};

use super::{InvalidSignature, Result, hmac_sha256};
use crate::hex;

pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";
pub(super) const TERMINATOR: &str = "aws4_request";

/// What the key is derived for.
pub(super) struct KeyScope<'a> {
    pub(super) day: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
}

/// The hexadecimal signature of a string.
pub(super) fn sign(secret: &Secret, scope: &KeyScope<'_>, string: &[u8]) -> Result<String> {
    // Deriving the signing key is what the secret is for.
    let mut key = zeroize::Zeroizing::new(format!("AWS4{}", secret.expose()).into_bytes());
    for part in [scope.day, scope.region, scope.service, TERMINATOR] {
        key = zeroize::Zeroizing::new(hmac_sha256(&key, part.as_bytes())?.to_vec());
    }
    Ok(hex(&hmac_sha256(&key, string)?))
}

/// The string to sign of a canonical request.
pub(super) fn string_to_sign(date: &str, scope: &str, canonical_request: &str) -> String {
    let digest = hex(&Sha256::digest(canonical_request.as_bytes()));
    format!("{ALGORITHM}\n{date}\n{scope}\n{digest}")
}

impl<'a> KeyScope<'a> {
    /// Reads `day/region/service/aws4_request`.
    pub(super) fn read(scope: &'a str) -> Result<Self> {
        let mut parts = scope.split('/');
        let mut next = || {
            parts
                .next()
                .ok_or(InvalidSignature::Malformed("credential scope"))
        };
        let (day, region, service, terminator) = (next()?, next()?, next()?, next()?);
        if terminator != TERMINATOR || parts.next().is_some() {
            return Err(InvalidSignature::Malformed("credential scope"));
        }
        Ok(Self {
            day,
            region,
            service,
        })
    }
}
