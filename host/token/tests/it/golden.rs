//! Tokens and a receipt made by Keystone 30's own formatters.

use std::sync::{Arc, LazyLock};

use archstone_token::{
    AuthMethods, DecodedReceipt, DecodedToken, FernetTokens, KeyRing, KeySet, Receipts,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::{CryptoRng, RngCore};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
pub struct Golden {
    pub auth_methods_default: Vec<String>,
    pub keys: std::collections::BTreeMap<String, String>,
    pub tokens: Vec<GoldenToken>,
}

#[derive(Deserialize)]
pub struct GoldenToken {
    pub name: String,
    pub version: Option<u64>,
    pub token: String,
    pub decoded: Value,
}

pub static GOLDEN: LazyLock<Golden> =
    LazyLock::new(|| serde_json::from_str(include_str!("golden-tokens.json")).unwrap());

pub fn keys() -> Arc<KeyRing> {
    let primary_first = GOLDEN.keys.values().rev();
    Arc::new(KeyRing::fixed(KeySet::from_base64(primary_first).unwrap()))
}

pub fn tokens() -> FernetTokens {
    FernetTokens::new(keys())
}

/// Golden tokens, without the receipt.
pub fn golden_tokens() -> impl Iterator<Item = &'static GoldenToken> {
    GOLDEN
        .tokens
        .iter()
        .filter(|golden| golden.version.is_some())
}

pub fn golden_receipt() -> &'static GoldenToken {
    let mut receipts = GOLDEN
        .tokens
        .iter()
        .filter(|golden| golden.version.is_none());
    receipts.next().unwrap()
}

/// Plays back the initialization vector of a token that was sealed before.
struct Replay([u8; 16]);

impl Replay {
    fn vector_of(token: &str) -> Self {
        let bytes = URL_SAFE_NO_PAD.decode(token).unwrap();
        Self(bytes[9..25].try_into().unwrap())
    }
}

impl RngCore for Replay {
    fn next_u32(&mut self) -> u32 {
        unreachable!("sealing draws bytes")
    }
    fn next_u64(&mut self) -> u64 {
        unreachable!("sealing draws bytes")
    }
    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.copy_from_slice(&self.0);
    }
}
impl CryptoRng for Replay {}

#[test]
fn the_default_methods_are_keystones() {
    let defaults = AuthMethods::default();
    let names: Vec<&str> = defaults.configured().collect();
    assert_eq!(names, GOLDEN.auth_methods_default);
}

#[test]
fn keystones_tokens_open_to_what_keystone_put_in() {
    for golden in golden_tokens() {
        let opened = tokens().open(&golden.token).unwrap();
        let decoded = DecodedToken::new(&opened, &AuthMethods::default());
        assert_eq!(Some(opened.payload.kind.version()), golden.version);
        assert_eq!(
            serde_json::to_value(&decoded).unwrap(),
            golden.decoded,
            "{}",
            golden.name
        );
    }
}

#[test]
fn the_same_contents_seal_to_the_same_token_bit_for_bit() {
    for golden in golden_tokens() {
        let decoded: DecodedToken = serde_json::from_value(golden.decoded.clone()).unwrap();
        let token = decoded.into_token(&AuthMethods::default()).unwrap();
        let mut vector = Replay::vector_of(&golden.token);
        let sealed = tokens().seal_with(&token.payload, token.issued_at, &mut vector);
        assert_eq!(sealed, golden.token, "{}", golden.name);
    }
}

#[test]
fn keystones_receipt_opens_and_seals_again_bit_for_bit() {
    let golden = golden_receipt();
    let receipts = Receipts::new(keys());
    let opened = receipts.open(&golden.token).unwrap();
    let decoded = DecodedReceipt::new(&opened, &AuthMethods::default());
    assert_eq!(serde_json::to_value(&decoded).unwrap(), golden.decoded);

    let receipt = decoded.into_receipt(&AuthMethods::default());
    let mut vector = Replay::vector_of(&golden.token);
    let sealed = receipts.seal_with(&receipt.payload, receipt.issued_at, &mut vector);
    assert_eq!(sealed, golden.token);
}

#[test]
fn an_independent_fernet_opens_our_tokens() {
    let golden = golden_tokens().next().unwrap();
    let opened = tokens().open(&golden.token).unwrap();
    let ours = tokens().seal(&opened.payload, opened.issued_at);
    let theirs = fernet::Fernet::new(&GOLDEN.keys["1"]).unwrap();
    assert_eq!(theirs.decrypt(&ours).unwrap(), opened.payload.encode());
    assert_eq!(
        theirs.decrypt(&golden.token).unwrap(),
        opened.payload.encode()
    );
}
