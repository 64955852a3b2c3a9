//! Digests, message authentication codes and signatures, done by the host.

use crate::bindings::archstone::plugin::signatures;
pub use crate::bindings::archstone::plugin::signatures::{
    Hash, JwsAlgorithm, JwsError, SignatureAlgorithm, VerifiedJws,
};

/// The digest of some bytes.
pub fn digest(hash: Hash, data: &[u8]) -> Vec<u8> {
    signatures::digest(hash, data)
}

/// The HMAC (RFC 2104) of some bytes.
pub fn hmac(hash: Hash, key: &[u8], data: &[u8]) -> Vec<u8> {
    signatures::hmac(hash, key, data)
}

/// Whether two byte strings are the same, in a time that does not tell where they differ.
pub fn equal(left: &[u8], right: &[u8]) -> bool {
    signatures::equal(left, right)
}

/// Verifies a JSON Web Signature in its compact form with a JWK set. Claims are not looked at.
///
/// # Errors
/// [`JwsError`] says why it does not hold.
pub fn verify_jws(jws: &str, keys: &str, accept: &[JwsAlgorithm]) -> Result<VerifiedJws, JwsError> {
    signatures::verify_jws(jws, keys, accept)
}

/// Whether a bare signature holds. Keys and signatures are written as certificates have them.
pub fn verify(algorithm: SignatureAlgorithm, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    signatures::verify(algorithm, key, message, signature)
}
