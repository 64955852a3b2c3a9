//! `signatures`: digests, HMAC, JSON Web Signatures and bare ones, by ring.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    digest, hmac,
    signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey},
};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;

use crate::{
    bindings::archstone::plugin::signatures::{
        self, Hash, JwsAlgorithm, JwsError, SignatureAlgorithm, VerifiedJws,
    },
    call::Call,
    capabilities::CALLS,
};

impl signatures::Host for Call {
    fn digest(&mut self, hash: Hash, data: Vec<u8>) -> Vec<u8> {
        tracing::trace!(target: CALLS, plugin = self.granted.method, "signatures digest ({hash:?}) of {} bytes", data.len());
        let algorithm = match hash {
            Hash::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha256 => &digest::SHA256,
            Hash::Sha384 => &digest::SHA384,
            Hash::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, &data).as_ref().to_vec()
    }

    fn hmac(&mut self, hash: Hash, key: Vec<u8>, data: Vec<u8>) -> Vec<u8> {
        tracing::trace!(target: CALLS, plugin = self.granted.method, "signatures hmac ({hash:?}) of {} bytes", data.len());
        let algorithm = match hash {
            Hash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha256 => hmac::HMAC_SHA256,
            Hash::Sha384 => hmac::HMAC_SHA384,
            Hash::Sha512 => hmac::HMAC_SHA512,
        };
        hmac::sign(&hmac::Key::new(algorithm, &key), &data)
            .as_ref()
            .to_vec()
    }

    fn equal(&mut self, left: Vec<u8>, right: Vec<u8>) -> bool {
        let equal = left.ct_eq(&right).into();
        tracing::trace!(target: CALLS, plugin = self.granted.method, "signatures equal: {equal}");
        equal
    }

    fn verify_jws(
        &mut self,
        jws: String,
        keys: String,
        accept: Vec<JwsAlgorithm>,
    ) -> Result<VerifiedJws, JwsError> {
        let verified = verify(&jws, &keys, &accept);
        tracing::trace!(target: CALLS, plugin = self.granted.method, "signatures verify-jws: {}", match &verified {
            Ok(_) => "holds".to_owned(),
            Err(error) => error.to_string(),
        });
        verified
    }

    fn verify(
        &mut self,
        algorithm: SignatureAlgorithm,
        key: Vec<u8>,
        message: Vec<u8>,
        signature: Vec<u8>,
    ) -> bool {
        UnparsedPublicKey::new(bare(algorithm), key)
            .verify(&message, &signature)
            .is_ok()
    }
}

/// Keys and signatures as certificates have them.
fn bare(algorithm: SignatureAlgorithm) -> &'static dyn signature::VerificationAlgorithm {
    match algorithm {
        SignatureAlgorithm::EcdsaP256Sha256 => &signature::ECDSA_P256_SHA256_ASN1,
        SignatureAlgorithm::EcdsaP256Sha384 => &signature::ECDSA_P256_SHA384_ASN1,
        SignatureAlgorithm::EcdsaP384Sha256 => &signature::ECDSA_P384_SHA256_ASN1,
        SignatureAlgorithm::EcdsaP384Sha384 => &signature::ECDSA_P384_SHA384_ASN1,
        SignatureAlgorithm::Ed25519 => &signature::ED25519,
        SignatureAlgorithm::RsaPkcs1Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        SignatureAlgorithm::RsaPkcs1Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        SignatureAlgorithm::RsaPkcs1Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
    }
}

/// Verifies a compact JWS (RFC 7515 section 5.2) with a JWK set (RFC 7517 section 5).
fn verify(jws: &str, keys: &str, accept: &[JwsAlgorithm]) -> Result<VerifiedJws, JwsError> {
    let mut parts = jws.split('.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(JwsError::Malformed);
    };
    let signed = &jws.as_bytes()[..header.len() + 1 + payload.len()];
    let header_text = String::from_utf8(decode(header)?).map_err(|_| JwsError::Malformed)?;
    let header: Map<String, Value> =
        serde_json::from_str(&header_text).map_err(|_| JwsError::Malformed)?;
    let payload = decode(payload)?;
    let signature = decode(signature)?;
    // Neither extension is understood here, and both must be (RFC 7515 4.1.11, RFC 7797 6).
    if header.contains_key("crit") || header.contains_key("b64") {
        return Err(JwsError::Malformed);
    }
    let algorithm = header
        .get("alg")
        .and_then(Value::as_str)
        .ok_or(JwsError::Malformed)?;
    let algorithm = algorithm_named(algorithm)
        .filter(|algorithm| accept.contains(algorithm))
        .ok_or(JwsError::AlgorithmNotAccepted)?;
    let key_id = match header.get("kid") {
        None => None,
        Some(Value::String(id)) => Some(id.as_str()),
        Some(_) => return Err(JwsError::Malformed),
    };

    let keys: Value = serde_json::from_str(keys).map_err(|_| JwsError::BadKeySet)?;
    let keys = keys
        .get("keys")
        .and_then(Value::as_array)
        .ok_or(JwsError::BadKeySet)?;
    let mut candidates = keys
        .iter()
        .filter(|key| suits(key, algorithm, key_id))
        .filter_map(|key| PublicKey::read(key, algorithm))
        .peekable();
    if candidates.peek().is_none() {
        return Err(JwsError::NoKey);
    }
    match candidates.any(|key| key.verifies(algorithm, signed, &signature)) {
        true => Ok(VerifiedJws {
            header: header_text,
            payload,
        }),
        false => Err(JwsError::Forged),
    }
}

fn decode(text: &str) -> Result<Vec<u8>, JwsError> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| JwsError::Malformed)
}

fn algorithm_named(name: &str) -> Option<JwsAlgorithm> {
    Some(match name {
        "RS256" => JwsAlgorithm::Rs256,
        "RS384" => JwsAlgorithm::Rs384,
        "RS512" => JwsAlgorithm::Rs512,
        "PS256" => JwsAlgorithm::Ps256,
        "PS384" => JwsAlgorithm::Ps384,
        "PS512" => JwsAlgorithm::Ps512,
        "ES256" => JwsAlgorithm::Es256,
        "ES384" => JwsAlgorithm::Es384,
        "EdDSA" => JwsAlgorithm::Eddsa,
        _ => return None,
    })
}

/// Whether a JWK may verify this: the right id, not meant for another use or algorithm.
fn suits(key: &Value, algorithm: JwsAlgorithm, key_id: Option<&str>) -> bool {
    let member = |name: &str| key.get(name).and_then(Value::as_str);
    key_id.is_none_or(|id| member("kid") == Some(id))
        && member("use").is_none_or(|purpose| purpose == "sig")
        && member("alg").is_none_or(|name| algorithm_named(name) == Some(algorithm))
}

enum PublicKey {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    Curve(Vec<u8>),
}

impl PublicKey {
    /// The key of a JWK, if it is one of the algorithm's kind.
    fn read(key: &Value, algorithm: JwsAlgorithm) -> Option<Self> {
        let member = |name: &str| key.get(name).and_then(Value::as_str);
        let bytes = |name: &str| decode(member(name)?).ok();
        let on_curve = |curve: &str, length: usize| {
            let right = member("kty") == Some("EC") && member("crv") == Some(curve);
            let (x, y) = (bytes("x")?, bytes("y")?);
            let whole = right && x.len() == length && y.len() == length;
            // An uncompressed point (SEC 1 section 2.3.3).
            whole.then(|| Self::Curve([&[4], x.as_slice(), &y].concat()))
        };
        match algorithm {
            JwsAlgorithm::Es256 => on_curve("P-256", 32),
            JwsAlgorithm::Es384 => on_curve("P-384", 48),
            JwsAlgorithm::Eddsa => {
                let right = member("kty") == Some("OKP") && member("crv") == Some("Ed25519");
                bytes("x").filter(|_| right).map(Self::Curve)
            }
            _ if member("kty") == Some("RSA") => Some(Self::Rsa(RsaPublicKeyComponents {
                n: without_leading_zeros(bytes("n")?),
                e: without_leading_zeros(bytes("e")?),
            })),
            _ => None,
        }
    }

    fn verifies(&self, algorithm: JwsAlgorithm, signed: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rsa(key) => rsa_parameters(algorithm)
                .is_some_and(|parameters| key.verify(parameters, signed, signature).is_ok()),
            Self::Curve(point) => curve(algorithm).is_some_and(|curve| {
                UnparsedPublicKey::new(curve, point)
                    .verify(signed, signature)
                    .is_ok()
            }),
        }
    }
}

fn without_leading_zeros(mut number: Vec<u8>) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.drain(..zeros);
    number
}

fn rsa_parameters(algorithm: JwsAlgorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        JwsAlgorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        JwsAlgorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        JwsAlgorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        JwsAlgorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        JwsAlgorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        JwsAlgorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        JwsAlgorithm::Es256 | JwsAlgorithm::Es384 | JwsAlgorithm::Eddsa => return None,
    })
}

fn curve(algorithm: JwsAlgorithm) -> Option<&'static dyn signature::VerificationAlgorithm> {
    Some(match algorithm {
        JwsAlgorithm::Es256 => &signature::ECDSA_P256_SHA256_FIXED,
        JwsAlgorithm::Es384 => &signature::ECDSA_P384_SHA384_FIXED,
        JwsAlgorithm::Eddsa => &signature::ED25519,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7515 appendix A.3 and RFC 8037 appendix A.4.
    const ES256: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    const ES256_KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
    const EDDSA: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    const EDDSA_KEYS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"one","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    #[test]
    fn signatures_of_the_specifications_hold() {
        let verified = verify(ES256, ES256_KEYS, &[JwsAlgorithm::Es256]).unwrap();
        assert!(verified.payload.starts_with(br#"{"iss":"joe""#));
        let verified = verify(EDDSA, EDDSA_KEYS, &[JwsAlgorithm::Eddsa]).unwrap();
        assert_eq!(verified.payload, b"Example of Ed25519 signing");
    }

    #[test]
    fn the_caller_and_not_the_token_picks_the_algorithm() {
        let refused = verify(ES256, ES256_KEYS, &[JwsAlgorithm::Rs256]);
        assert_eq!(refused.unwrap_err(), JwsError::AlgorithmNotAccepted);
        let none = format!("{}.e30.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#));
        let refused = verify(&none, ES256_KEYS, &[JwsAlgorithm::Es256]);
        assert_eq!(refused.unwrap_err(), JwsError::AlgorithmNotAccepted);
    }

    #[test]
    fn a_changed_payload_is_forged() {
        let mut parts: Vec<_> = ES256.split('.').map(str::to_owned).collect();
        parts[1] = URL_SAFE_NO_PAD.encode(r#"{"iss":"eve"}"#);
        let refused = verify(&parts.join("."), ES256_KEYS, &[JwsAlgorithm::Es256]);
        assert_eq!(refused.unwrap_err(), JwsError::Forged);
    }

    #[test]
    fn a_key_of_another_kind_or_id_or_use_does_not_count() {
        let refused = |keys: &str| verify(ES256, keys, &[JwsAlgorithm::Es256]).unwrap_err();
        assert_eq!(refused(EDDSA_KEYS), JwsError::NoKey);
        assert_eq!(refused(r#"{"keys":[]}"#), JwsError::NoKey);
        assert_eq!(refused("[]"), JwsError::BadKeySet);
        let for_encryption = ES256_KEYS.replace(r#""kty""#, r#""use":"enc","kty""#);
        assert_eq!(refused(&for_encryption), JwsError::NoKey);
    }

    #[test]
    fn a_header_that_must_be_understood_is_refused() {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","crit":["b64"],"b64":false}"#);
        let (_, rest) = ES256.split_once('.').unwrap();
        let refused = verify(
            &format!("{header}.{rest}"),
            ES256_KEYS,
            &[JwsAlgorithm::Es256],
        );
        assert_eq!(refused.unwrap_err(), JwsError::Malformed);
    }
}
