//! What a login by a security key costs: the plugin's look at an assertion (fresh pooled instance,
//! call, drop, the question taken back from the state), next to the same verification done
//! natively, and to the signature alone.
//!
//! `cargo bench -p archstone-benches --bench security_key`
#![allow(clippy::unwrap_used)]

use std::{fs, hint::black_box, path::Path, sync::Arc};

use archstone_model::id::UserId;
use archstone_plugin_kit::build_plugins;
use archstone_plugins::{
    Enrollable, Enrolled, EnrolledOutcome, EnrolledStep, MemoryState, Registry, Runtime,
    RuntimeOptions, Settings,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use ring::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair,
        UnparsedPublicKey,
    },
};
use serde_json::{Value, json};
use tokio::runtime::Runtime as Tokio;

const RP_ID: &str = "id.example";
const ORIGIN: &str = "https://id.example";

/// A key on P-256, as most are.
struct Key {
    pair: EcdsaKeyPair,
    id: [u8; 32],
}

/// An answer to a question, and the question.
struct Signed {
    credential: Value,
    challenge: String,
}

impl Key {
    fn new() -> Self {
        let (random, kind) = (SystemRandom::new(), &ECDSA_P256_SHA256_ASN1_SIGNING);
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        Self {
            pair: EcdsaKeyPair::from_pkcs8(kind, pkcs8.as_ref(), &random).unwrap(),
            id: [7; 32],
        }
    }

    /// What is kept of it.
    fn enrolled(&self) -> Enrolled {
        let point = self.pair.public_key().as_ref();
        // {1: 2, 3: -7, -1: 1, -2: x, -3: y} in CBOR.
        let (x, y) = (&point[1..33], &point[33..]);
        let head = [0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32];
        let cose = [head.as_slice(), x, &[0x22, 0x58, 32], y].concat();
        let kept = json!({
            "public_key": BASE64.encode(cose),
            "counter": 0,
            "user_verified": true,
            "backup_eligible": false,
            "backed_up": false,
            "aaguid": "00000000-0000-0000-0000-000000000000",
            "attestation": "none",
        });
        Enrolled {
            name: BASE64.encode(self.id),
            data: kept.as_object().unwrap().clone(),
        }
    }

    fn sign(&self, challenge: &str) -> Signed {
        let client_data = json!({
            "type": "webauthn.get",
            "challenge": challenge,
            "origin": ORIGIN,
            "crossOrigin": false,
        });
        let client_data = client_data.to_string();
        let rp_id_hash = digest(&SHA256, RP_ID.as_bytes());
        let data = [rp_id_hash.as_ref(), &[0b101], &[0; 4]].concat();
        let client_data_hash = digest(&SHA256, client_data.as_bytes());
        let message = [data.as_slice(), client_data_hash.as_ref()].concat();
        let signature = self.pair.sign(&SystemRandom::new(), &message).unwrap();
        let id = BASE64.encode(self.id);
        Signed {
            challenge: challenge.to_owned(),
            credential: json!({
                "id": id,
                "rawId": id,
                "type": "public-key",
                "response": {
                    "clientDataJSON": BASE64.encode(client_data),
                    "authenticatorData": BASE64.encode(data),
                    "signature": BASE64.encode(signature),
                },
            }),
        }
    }
}

/// What the plugin does with an answer, natively.
fn verify(text: &str, challenge: &str, point: &[u8]) -> bool {
    let credential: Value = serde_json::from_str(text).unwrap();
    let member = |name: &str| {
        let text = credential["response"][name].as_str().unwrap();
        BASE64.decode(text).unwrap()
    };
    let (client_data, data) = (member("clientDataJSON"), member("authenticatorData"));
    let said: Value = serde_json::from_slice(&client_data).unwrap();
    let message = [data.as_slice(), digest(&SHA256, &client_data).as_ref()].concat();
    said["type"] == "webauthn.get"
        && said["challenge"] == challenge
        && said["origin"] == ORIGIN
        && data[..32] == *digest(&SHA256, RP_ID.as_bytes()).as_ref()
        && data[32] == 0b101
        && UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
            .verify(&message, &member("signature"))
            .is_ok()
}

fn method(tokio: &Tokio) -> Enrollable {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let built = build_plugins(&root).unwrap();
    let component = built
        .iter()
        .find(|path| path.ends_with("security-key.wasm"));
    let component = fs::read(component.unwrap()).unwrap();
    let settings = json!({"config": {"rp_id": RP_ID, "rp_name": "Example", "origins": [ORIGIN]}});
    let settings = Settings::from_json(settings.to_string().as_bytes()).unwrap();
    let _entered = tokio.enter();
    let options = RuntimeOptions::new(Arc::new(MemoryState::default()));
    let registry = Registry::new(Runtime::new(options).unwrap());
    let prepared = registry.prepare("security-key", component, settings);
    registry.publish(tokio.block_on(prepared).unwrap());
    registry.enrollable("security-key").unwrap()
}

fn assertions(criterion: &mut Criterion) {
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (method, key) = (method(&tokio), Key::new());
    let enrolled = key.enrolled();
    let step = |payload: Value, continuation: Option<String>| EnrolledStep {
        payload,
        user_id: Some(UserId::from("ada")),
        is_claimed: true,
        enrolled: vec![enrolled.clone()],
        continuation,
    };
    let ask = || {
        let asked = method.authenticate(step(json!({}), None));
        match tokio.block_on(asked).unwrap() {
            EnrolledOutcome::Challenged(challenge) => challenge,
            other => panic!("expected a challenge, got {other:?}"),
        }
    };
    let mut group = criterion.benchmark_group("security key");
    group.bench_function("call: the question", |b| b.iter(ask));
    group.bench_function("call: the answer", |b| {
        b.iter_batched(
            || {
                let challenge = ask();
                let asked = challenge.message["publicKey"]["challenge"]
                    .as_str()
                    .unwrap();
                let payload = json!({"credential": key.sign(asked).credential});
                step(payload, Some(challenge.continuation))
            },
            |step| {
                let outcome = tokio.block_on(method.authenticate(step)).unwrap();
                assert!(matches!(outcome, EnrolledOutcome::Verified(_)));
            },
            BatchSize::SmallInput,
        );
    });
    let signed = key.sign("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
    let text = signed.credential.to_string();
    let point = key.pair.public_key().as_ref();
    group.bench_function("native: the answer", |b| {
        b.iter(|| assert!(verify(black_box(&text), &signed.challenge, point)));
    });
    let message = [7; 69];
    let signature = key.pair.sign(&SystemRandom::new(), &message).unwrap();
    group.bench_function("native: the signature alone", |b| {
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point);
        b.iter(|| {
            public
                .verify(black_box(&message), signature.as_ref())
                .unwrap()
        });
    });
    group.finish();
}

criterion_group!(benches, assertions);
criterion_main!(benches);
