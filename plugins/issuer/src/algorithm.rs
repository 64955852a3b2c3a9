//! The signature algorithms that a configuration can name.

use archstone_plugin::signatures::{Hash, JwsAlgorithm};
use serde::Deserialize;

/// An algorithm by its name in RFC 7518 or RFC 8037.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

/// All of them, by name: for a schema.
pub const ALGORITHMS: [&str; 9] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA",
];

impl Algorithm {
    /// All of them. None is symmetric: a public key can never be taken for a shared one.
    pub fn all() -> Vec<Self> {
        use Algorithm::*;
        vec![
            RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA,
        ]
    }

    pub(crate) fn to_wire(self) -> JwsAlgorithm {
        match self {
            Self::RS256 => JwsAlgorithm::Rs256,
            Self::RS384 => JwsAlgorithm::Rs384,
            Self::RS512 => JwsAlgorithm::Rs512,
            Self::PS256 => JwsAlgorithm::Ps256,
            Self::PS384 => JwsAlgorithm::Ps384,
            Self::PS512 => JwsAlgorithm::Ps512,
            Self::ES256 => JwsAlgorithm::Es256,
            Self::ES384 => JwsAlgorithm::Es384,
            Self::EdDSA => JwsAlgorithm::Eddsa,
        }
    }

    /// The hash that `at_hash` is made with, by the name in a token's header (OpenID Connect Core
    /// section 3.1.3.6).
    pub fn hash(name: &str) -> Option<Hash> {
        match name {
            "RS256" | "PS256" | "ES256" => Some(Hash::Sha256),
            "RS384" | "PS384" | "ES384" => Some(Hash::Sha384),
            "RS512" | "PS512" | "EdDSA" | "Ed25519" => Some(Hash::Sha512),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_one_and_nothing_symmetric_is() {
        for name in ALGORITHMS {
            let read: Algorithm = serde_json::from_value(name.into()).unwrap();
            assert!(Algorithm::all().contains(&read));
            assert!(Algorithm::hash(name).is_some());
        }
        for name in ["none", "HS256", "ES512"] {
            assert!(serde_json::from_value::<Algorithm>(name.into()).is_err());
            assert!(Algorithm::hash(name).is_none());
        }
    }
}
