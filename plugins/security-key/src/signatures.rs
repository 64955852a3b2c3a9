//! Digests and signatures: the host's, and ring's own in the tests, where there is no host.

pub use archstone_plugin::signatures::SignatureAlgorithm;

#[cfg(not(test))]
pub fn sha256(data: &[u8]) -> Vec<u8> {
    use archstone_plugin::signatures::{Hash, digest};
    digest(Hash::Sha256, data)
}

#[cfg(not(test))]
pub use archstone_plugin::signatures::verify;

#[cfg(test)]
pub fn sha256(data: &[u8]) -> Vec<u8> {
    ring::digest::digest(&ring::digest::SHA256, data)
        .as_ref()
        .to_vec()
}

#[cfg(test)]
pub fn verify(algorithm: SignatureAlgorithm, key: &[u8], message: &[u8], signed: &[u8]) -> bool {
    use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
    let algorithm: &'static dyn VerificationAlgorithm = match algorithm {
        SignatureAlgorithm::EcdsaP256Sha256 => &signature::ECDSA_P256_SHA256_ASN1,
        SignatureAlgorithm::EcdsaP256Sha384 => &signature::ECDSA_P256_SHA384_ASN1,
        SignatureAlgorithm::EcdsaP384Sha256 => &signature::ECDSA_P384_SHA256_ASN1,
        SignatureAlgorithm::EcdsaP384Sha384 => &signature::ECDSA_P384_SHA384_ASN1,
        SignatureAlgorithm::Ed25519 => &signature::ED25519,
        SignatureAlgorithm::RsaPkcs1Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        SignatureAlgorithm::RsaPkcs1Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        SignatureAlgorithm::RsaPkcs1Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
    };
    UnparsedPublicKey::new(algorithm, key)
        .verify(message, signed)
        .is_ok()
}
