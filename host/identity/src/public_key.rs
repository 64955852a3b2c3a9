//! Public keys as people have them, as JSON Web Keys (RFC 7517).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use x509_parser::{
    oid_registry::{
        OID_EC_P256, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_SIG_ED25519, asn1_rs::Oid,
    },
    pem::parse_x509_pem,
    prelude::FromDer,
    public_key::PublicKey,
    x509::SubjectPublicKeyInfo,
};

/// The curves of ECDSA by their identifiers, with the length of a coordinate.
const CURVES: [(Oid<'static>, &str, usize); 3] = [
    (OID_EC_P256, "P-256", 32),
    (OID_NIST_EC_P384, "P-384", 48),
    (OID_NIST_EC_P521, "P-521", 66),
];

/// Members of a JWK that are nobody else's business.
const PRIVATE: [&str; 2] = ["d", "k"];

/// Reads a public key in PEM (`PUBLIC KEY`), or a JWK as text. Nothing for anything else, and for
/// keys that are not public.
pub(crate) fn jwk(text: &str) -> Option<Value> {
    if let Ok(Value::Object(key)) = serde_json::from_str(text) {
        let public = key.contains_key("kty") && !PRIVATE.iter().any(|it| key.contains_key(*it));
        return public.then_some(Value::Object(key));
    }
    let (_, pem) = parse_x509_pem(text.as_bytes()).ok()?;
    let (rest, key) = SubjectPublicKeyInfo::from_der(&pem.contents).ok()?;
    if pem.label != "PUBLIC KEY" || !rest.is_empty() {
        return None;
    }
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    if key.algorithm.algorithm == OID_SIG_ED25519 {
        let x = encode(&key.subject_public_key.data);
        return Some(json!({"kty": "OKP", "crv": "Ed25519", "x": x}));
    }
    match key.parsed().ok()? {
        PublicKey::RSA(rsa) => {
            let number = |bytes: &[u8]| {
                let begin = bytes.iter().take_while(|byte| **byte == 0).count();
                encode(&bytes[begin..])
            };
            let (n, e) = (number(rsa.modulus), number(rsa.exponent));
            Some(json!({"kty": "RSA", "n": n, "e": e}))
        }
        PublicKey::EC(point) => {
            let curve = key.algorithm.parameters.as_ref()?.as_oid().ok()?;
            let (_, name, length) = CURVES.into_iter().find(|(oid, ..)| *oid == curve)?;
            // Both coordinates, as they are.
            let coordinates = point.data().strip_prefix(&[4])?;
            if coordinates.len() != 2 * length {
                return None;
            }
            let (x, y) = coordinates.split_at(length);
            Some(json!({"kty": "EC", "crv": name, "x": encode(x), "y": encode(y)}))
        }
        _ => None,
    }
}
