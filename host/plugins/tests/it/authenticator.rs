//! A security key and its browser, in software: what `navigator.credentials` would answer.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ciborium::{Value as Cbor, cbor};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair as CaKey,
};
use ring::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    rsa,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    },
};
use serde_json::{Value, json};

pub const RP_ID: &str = "id.example";
pub const ORIGIN: &str = "https://id.example";

const USER_PRESENT: u8 = 1;
pub const USER_VERIFIED: u8 = 1 << 2;
pub const BACKUP_ELIGIBLE: u8 = 1 << 3;
pub const BACKED_UP: u8 = 1 << 4;
const ATTESTED: u8 = 1 << 6;

/// The keys of RSA are slow to make.
const RSA_KEY: &[u8] = include_bytes!("rsa.pk8");

pub enum Key {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(rsa::KeyPair),
}

impl Key {
    pub fn es256() -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        Self::Es256(ecdsa(key.as_ref()))
    }

    pub fn eddsa() -> Self {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::EdDsa(Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap())
    }

    pub fn rs256() -> Self {
        Self::Rs256(rsa::KeyPair::from_pkcs8(RSA_KEY).unwrap())
    }

    fn algorithm(&self) -> i64 {
        match self {
            Self::Es256(_) => -7,
            Self::EdDsa(_) => -8,
            Self::Rs256(_) => -257,
        }
    }

    fn cose(&self) -> Vec<u8> {
        let bytes = |bytes: &[u8]| Cbor::Bytes(bytes.to_vec());
        let key = match self {
            Self::Es256(key) => {
                let point = key.public_key().as_ref();
                let (x, y) = (bytes(&point[1..33]), bytes(&point[33..]));
                cbor!({1 => 2, 3 => -7, -1 => 1, -2 => x, -3 => y})
            }
            Self::EdDsa(key) => {
                let x = bytes(key.public_key().as_ref());
                cbor!({1 => 1, 3 => -8, -1 => 6, -2 => x})
            }
            Self::Rs256(key) => {
                let key = rsa::PublicKeyComponents::<Vec<u8>>::from(key.public());
                cbor!({1 => 3, 3 => -257, -1 => bytes(&key.n), -2 => bytes(&key.e)})
            }
        };
        encoded(&key.unwrap())
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Es256(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::EdDsa(key) => key.sign(message).as_ref().to_vec(),
            Self::Rs256(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .unwrap();
                signature
            }
        }
    }
}

fn ecdsa(pkcs8: &[u8]) -> EcdsaKeyPair {
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8, &SystemRandom::new()).unwrap()
}

/// How a new key proves where it comes from.
pub enum Attestation {
    None,
    /// By itself.
    Own,
    Packed(Maker),
    U2f(Maker),
}

/// Somebody who makes security keys: a certificate authority, and a certificate for a model.
pub struct Maker {
    /// PEM
    pub root: String,
    leaf: Vec<u8>,
    leaf_key: EcdsaKeyPair,
}

impl Maker {
    pub fn new(model: [u8; 16]) -> Self {
        Self::of(model, |_| {})
    }

    /// With a certificate that is changed before it is signed.
    pub fn of(model: [u8; 16], change: impl FnOnce(&mut CertificateParams)) -> Self {
        let ca_key = CaKey::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.distinguished_name.push(DnType::CommonName, "Maker");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = ca.self_signed(&ca_key).unwrap().pem();

        let leaf_key = CaKey::generate().unwrap();
        let mut leaf = CertificateParams::new(Vec::new()).unwrap();
        for (kind, text) in [
            (DnType::CountryName, "SE"),
            (DnType::OrganizationName, "Maker"),
            (DnType::OrganizationalUnitName, "Authenticator Attestation"),
            (DnType::CommonName, "Model"),
        ] {
            leaf.distinguished_name.push(kind, text);
        }
        leaf.is_ca = IsCa::ExplicitNoCa;
        let content = [&[4, 16], model.as_slice()].concat();
        leaf.custom_extensions
            .push(CustomExtension::from_oid_content(
                &[1, 3, 6, 1, 4, 1, 45724, 1, 1, 4],
                content,
            ));
        change(&mut leaf);
        let issuer = Issuer::new(ca, ca_key);
        Self {
            root,
            leaf: leaf.signed_by(&leaf_key, &issuer).unwrap().der().to_vec(),
            leaf_key: ecdsa(&leaf_key.serialize_der()),
        }
    }
}

pub struct Authenticator {
    pub key: Key,
    pub id: Vec<u8>,
    pub model: [u8; 16],
    pub flags: u8,
    pub counter: u32,
    pub origin: String,
    pub rp_id: String,
    /// What it was told at its registration.
    pub user_handle: Option<Vec<u8>>,
    pub attestation: Attestation,
}

impl Authenticator {
    pub fn new(key: Key) -> Self {
        let id = ring::rand::generate::<[u8; 16]>(&SystemRandom::new());
        Self {
            key,
            id: id.unwrap().expose().to_vec(),
            model: [0; 16],
            flags: USER_PRESENT | USER_VERIFIED,
            counter: 0,
            origin: ORIGIN.to_owned(),
            rp_id: RP_ID.to_owned(),
            user_handle: None,
            attestation: Attestation::None,
        }
    }

    /// `navigator.credentials.create`
    pub fn create(&mut self, options: &Value) -> Value {
        let user_id = options["user"]["id"].as_str().unwrap();
        self.user_handle = Some(URL_SAFE_NO_PAD.decode(user_id).unwrap());
        let client_data = self.client_data("webauthn.create", options);
        let public_key = self.key.cose();
        let length = (self.id.len() as u16).to_be_bytes();
        let attested = [&self.model, length.as_slice(), &self.id, &public_key].concat();
        let data = [self.data(self.flags | ATTESTED), attested].concat();
        let (format, statement) = self.attest(&data, &client_data);
        let data = Cbor::Bytes(data);
        let object = cbor!({"fmt" => format, "attStmt" => statement, "authData" => data});
        json!({
            "id": URL_SAFE_NO_PAD.encode(&self.id),
            "rawId": URL_SAFE_NO_PAD.encode(&self.id),
            "type": "public-key",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": URL_SAFE_NO_PAD.encode(client_data),
                "attestationObject": URL_SAFE_NO_PAD.encode(encoded(&object.unwrap())),
                "transports": ["usb", "unheard-of"],
            },
        })
    }

    /// `navigator.credentials.get`
    pub fn get(&mut self, options: &Value) -> Value {
        let client_data = self.client_data("webauthn.get", options);
        let data = self.data(self.flags);
        let signed = [data.as_slice(), &sha256(&client_data)].concat();
        json!({
            "id": URL_SAFE_NO_PAD.encode(&self.id),
            "rawId": URL_SAFE_NO_PAD.encode(&self.id),
            "type": "public-key",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": URL_SAFE_NO_PAD.encode(client_data),
                "authenticatorData": URL_SAFE_NO_PAD.encode(data),
                "signature": URL_SAFE_NO_PAD.encode(self.key.sign(&signed)),
                "userHandle": self.user_handle.as_ref().map(|id| URL_SAFE_NO_PAD.encode(id)),
            },
        })
    }

    fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        json!({
            "type": kind,
            "challenge": options["challenge"],
            "origin": self.origin,
            "crossOrigin": false,
        })
        .to_string()
        .into_bytes()
    }

    fn data(&self, flags: u8) -> Vec<u8> {
        let hash = sha256(self.rp_id.as_bytes());
        [hash.as_slice(), &[flags], &self.counter.to_be_bytes()].concat()
    }

    fn attest(&self, data: &[u8], client_data: &[u8]) -> (&'static str, Cbor) {
        let hash = sha256(client_data);
        let signed = [data, &hash].concat();
        let by = |maker: &Maker, message: &[u8]| {
            let signature = maker.leaf_key.sign(&SystemRandom::new(), message).unwrap();
            (
                Cbor::Bytes(signature.as_ref().to_vec()),
                Cbor::Array(vec![Cbor::Bytes(maker.leaf.clone())]),
            )
        };
        let (format, statement) = match &self.attestation {
            Attestation::None => ("none", cbor!({})),
            Attestation::Own => {
                let signature = Cbor::Bytes(self.key.sign(&signed));
                let algorithm = self.key.algorithm();
                ("packed", cbor!({"alg" => algorithm, "sig" => signature}))
            }
            Attestation::Packed(maker) => {
                let (signature, path) = by(maker, &signed);
                (
                    "packed",
                    cbor!({"alg" => -7, "sig" => signature, "x5c" => path}),
                )
            }
            Attestation::U2f(maker) => {
                let Key::Es256(key) = &self.key else {
                    panic!("U2F keys are on P-256");
                };
                let point = key.public_key().as_ref();
                let hash_of_id = sha256(self.rp_id.as_bytes());
                let signed = [&[0], hash_of_id.as_slice(), &hash, &self.id, point].concat();
                let (signature, path) = by(maker, &signed);
                ("fido-u2f", cbor!({"sig" => signature, "x5c" => path}))
            }
        };
        (format, statement.unwrap())
    }
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

fn encoded(value: &Cbor) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}
