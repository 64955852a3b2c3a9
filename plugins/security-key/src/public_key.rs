//! The public keys of security keys: COSE keys (RFC 9052 section 7, WebAuthn section 5.8.5).

use ciborium::Value;
use coset::{
    CborSerializable, CoseKey, KeyType, Label, RegisteredLabelWithPrivate,
    iana::{Algorithm, EllipticCurve, EnumI64},
};
use pkcs1::{
    RsaPublicKeyRef,
    der::{Encode, asn1::UintRef},
};

use crate::signatures::{self, SignatureAlgorithm};

/// The algorithms that keys may be made for, the best first.
pub const OFFERED: [Algorithm; 3] = [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256];

/// A key that can be verified with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    pub algorithm: Algorithm,
    /// As certificates have it: for ECDSA, an uncompressed point.
    pub subject_public_key: Vec<u8>,
}

impl PublicKey {
    /// Reads a COSE key; nothing, if it is none of an offered algorithm.
    pub fn from_cose(bytes: &[u8]) -> Option<Self> {
        let key = CoseKey::from_slice(bytes).ok()?;
        let Some(RegisteredLabelWithPrivate::Assigned(algorithm)) = key.alg else {
            return None;
        };
        let parameter = |label: i64| {
            let found = key
                .params
                .iter()
                .find(|(name, _)| *name == Label::Int(label));
            found.map(|(_, value)| value)
        };
        let bytes = |label: i64| parameter(label)?.as_bytes();
        let on_curve = |curve: EllipticCurve| {
            parameter(-1).and_then(Value::as_integer) == Some(curve.to_i64().into())
        };
        let is = |kind| key.kty == KeyType::Assigned(kind);
        use coset::iana::KeyType::{EC2, OKP, RSA};
        let subject_public_key = match algorithm {
            Algorithm::ES256 if is(EC2) && on_curve(EllipticCurve::P_256) => {
                let (x, y) = (bytes(-2)?, bytes(-3)?);
                let whole = x.len() == 32 && y.len() == 32;
                whole.then(|| [&[4], x.as_slice(), y].concat())?
            }
            Algorithm::EdDSA if is(OKP) && on_curve(EllipticCurve::Ed25519) => {
                bytes(-2).filter(|x| x.len() == 32)?.clone()
            }
            Algorithm::RS256 if is(RSA) => {
                let key = RsaPublicKeyRef {
                    modulus: UintRef::new(bytes(-1)?).ok()?,
                    public_exponent: UintRef::new(bytes(-2)?).ok()?,
                };
                key.to_der().ok()?
            }
            _ => return None,
        };
        Some(Self {
            algorithm,
            subject_public_key,
        })
    }

    /// Whether the holder of the private key signed this.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let algorithm = match self.algorithm {
            Algorithm::ES256 => SignatureAlgorithm::EcdsaP256Sha256,
            Algorithm::EdDSA => SignatureAlgorithm::Ed25519,
            Algorithm::RS256 => SignatureAlgorithm::RsaPkcs1Sha256,
            _ => return false,
        };
        signatures::verify(algorithm, &self.subject_public_key, message, signature)
    }
}

#[cfg(test)]
mod tests {
    use ciborium::cbor;

    use super::*;

    fn cose(value: Value) -> Vec<u8> {
        let mut bytes = Vec::new();
        ciborium::into_writer(&value, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_key_on_p_256_is_an_uncompressed_point() {
        let (x, y) = (Value::Bytes(vec![1; 32]), Value::Bytes(vec![2; 32]));
        let key = cose(cbor!({1 => 2, 3 => -7, -1 => 1, -2 => x, -3 => y}).unwrap());
        let read = PublicKey::from_cose(&key).unwrap();
        assert_eq!(read.algorithm, Algorithm::ES256);
        assert_eq!(read.subject_public_key[0], 4);
        assert_eq!(read.subject_public_key.len(), 65);
    }

    #[test]
    fn a_key_whose_parts_do_not_fit_is_none() {
        let bytes = |length| Value::Bytes(vec![1; length]);
        let point = |kind: i64, algorithm: i64, curve: i64, x: usize, y: Value| {
            let key = cbor!({1 => kind, 3 => algorithm, -1 => curve, -2 => bytes(x), -3 => y});
            PublicKey::from_cose(&cose(key.unwrap()))
        };
        assert!(point(2, -7, 1, 32, bytes(32)).is_some());
        assert!(point(1, -7, 1, 32, bytes(32)).is_none(), "of another kind");
        assert!(
            point(2, -8, 1, 32, bytes(32)).is_none(),
            "for another algorithm"
        );
        assert!(point(2, -7, 2, 32, bytes(32)).is_none(), "on another curve");
        assert!(point(2, -7, 1, 31, bytes(32)).is_none(), "too short");
        assert!(
            point(2, -7, 1, 32, Value::Bool(true)).is_none(),
            "compressed"
        );
        assert!(PublicKey::from_cose(b"\xff").is_none());
        assert!(PublicKey::from_cose(b"").is_none());
    }

    #[test]
    fn an_rsa_key_is_written_as_certificates_have_it() {
        let (n, e) = (Value::Bytes(vec![0x81; 256]), Value::Bytes(vec![1, 0, 1]));
        let key = cose(cbor!({1 => 3, 3 => -257, -1 => n, -2 => e}).unwrap());
        let read = PublicKey::from_cose(&key).unwrap();
        // SEQUENCE, INTEGER of 257 bytes (a zero before the sign), INTEGER 65537.
        assert!(
            read.subject_public_key
                .starts_with(&[0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0])
        );
        assert!(read.subject_public_key.ends_with(&[2, 3, 1, 0, 1]));
    }
}
