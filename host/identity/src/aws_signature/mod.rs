//! AWS request signatures. A service that an AWS client asked hands on what the client signed; only
//! the secret key, which is kept here, tells whether the signature is right.

mod ec2;
mod s3;
mod version_4;

use archstone_model::secret::Secret;
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use serde_json::{Map, Value};
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq;

pub(crate) use self::{ec2::verify_ec2, s3::verify_s3};

/// The members of a signed request, as a service hands them on.
pub(crate) type SignedMembers = Map<String, Value>;

/// Why a signature is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidSignature {
    #[error("{0} is missing or malformed")]
    Malformed(&'static str),
    #[error("the signature version is not known")]
    UnknownVersion,
    #[error("the request's date is not that of its credential scope")]
    AnotherDate,
    #[error("the signature does not match")]
    Mismatch,
}

type Result<T, E = InvalidSignature> = std::result::Result<T, E>;

fn text<'a>(members: &'a SignedMembers, name: &'static str) -> Result<&'a str> {
    members
        .get(name)
        .and_then(Value::as_str)
        .ok_or(InvalidSignature::Malformed(name))
}

fn object<'a>(members: &'a SignedMembers, name: &'static str) -> Result<&'a SignedMembers> {
    members
        .get(name)
        .and_then(Value::as_object)
        .ok_or(InvalidSignature::Malformed(name))
}

/// The base64 of an HMAC-SHA1 under the secret key.
fn hmac_sha1_base64(secret: &Secret, message: &[u8]) -> Result<String> {
    // Keying the signature is what the secret is for.
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.expose().as_bytes())
        .map_err(|_| InvalidSignature::Malformed("secret"))?;
    mac.update(message);
    Ok(STANDARD.encode(mac.finalize().into_bytes()))
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> Result<[u8; 32]> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key).map_err(|_| InvalidSignature::Malformed("secret"))?;
    mac.update(message);
    Ok(mac.finalize().into_bytes().into())
}

/// Compares without telling by its time how much of the signature was right.
fn same(expected: &str, given: &str) -> bool {
    expected.as_bytes().ct_eq(given.as_bytes()).into()
}
