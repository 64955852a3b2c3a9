//! Opening and sealing every kind of token, next to the floor: HMAC-SHA256, AES-128-CBC
//! and base64 over the same bytes with the keys' schedules worked out beforehand and no
//! allocation; and next to the `fernet` crate.
//!
//! `cargo bench -p archstone-benches --bench token`
#![allow(clippy::unwrap_used)]

use std::{hint::black_box, sync::Arc};

use aes::{
    Aes128Dec, Aes128Enc, Block,
    cipher::{BlockModeDecrypt, BlockModeEncrypt, InnerIvInit, KeyInit},
};
use archstone_token::{FernetTokens, KeyRing, KeySet, OpenedToken};
use base64::{
    Engine,
    engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD},
};
use criterion::{Criterion, criterion_group, criterion_main};
use hmac::{Hmac, Mac};
use rand::RngCore;
use serde_json::Value;
use sha2::Sha256;

const GOLDEN: &str = include_str!("../host/token/tests/it/golden-tokens.json");
/// The scope of most tokens in an OpenStack cloud, and the one the targets are set for.
const PROJECT: &str = "project uuid, uuid user";

fn golden() -> (Vec<String>, Vec<(String, String)>) {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let keys = ["1", "0"].map(|number| text(&golden["keys"][number]));
    let tokens = golden["tokens"].as_array().unwrap().iter();
    let tokens = tokens
        .filter(|token| token["name"].as_str().unwrap().ends_with(", uuid user"))
        .map(|token| (text(&token["name"]), text(&token["token"])));
    (keys.into(), tokens.collect())
}

fn archstone(criterion: &mut Criterion) {
    let (keys, golden) = golden();
    let keys = KeySet::from_base64(&keys).unwrap();
    let tokens = FernetTokens::new(Arc::new(KeyRing::fixed(keys)));
    let mut open = criterion.benchmark_group("open");
    for (name, token) in &golden {
        open.bench_function(name, |b| b.iter(|| tokens.open(black_box(token)).unwrap()));
    }
    open.finish();
    let mut seal = criterion.benchmark_group("seal");
    for (name, token) in &golden {
        let OpenedToken { payload, issued_at } = tokens.open(token).unwrap();
        seal.bench_function(name, |b| {
            b.iter(|| tokens.seal(black_box(&payload), issued_at));
        });
    }
    seal.finish();
}

fn floor(criterion: &mut Criterion) {
    let (keys, golden) = golden();
    let (_, token) = golden.iter().find(|(name, _)| name == PROJECT).unwrap();
    let key = URL_SAFE.decode(&keys[0]).unwrap();
    let signing: Hmac<Sha256> = KeyInit::new_from_slice(&key[..16]).unwrap();
    let decryption: Aes128Dec = KeyInit::new_from_slice(&key[16..]).unwrap();
    let encryption: Aes128Enc = KeyInit::new_from_slice(&key[16..]).unwrap();
    let iv: [u8; 16] = URL_SAFE_NO_PAD.decode(token).unwrap()[9..25]
        .try_into()
        .unwrap();

    let mut floor = criterion.benchmark_group("floor");
    floor.bench_function("open", |b| {
        let mut bytes = [0; 256];
        b.iter(|| {
            let length = URL_SAFE_NO_PAD
                .decode_slice(black_box(token), &mut bytes)
                .unwrap();
            let (message, tag) = bytes[..length].split_last_chunk_mut::<32>().unwrap();
            let mac = signing.clone().chain_update(&*message);
            mac.verify(&(*tag).into()).unwrap();
            let (blocks, _) = Block::slice_as_chunks_mut(&mut message[25..]);
            cbc::Decryptor::inner_iv_init(&decryption, &iv.into()).decrypt_blocks(blocks);
            black_box(bytes[25])
        });
    });
    floor.bench_function("seal", |b| {
        let mut bytes = URL_SAFE_NO_PAD.decode(token).unwrap();
        let mut text = [0; 512];
        b.iter(|| {
            let (message, tag) = bytes.split_last_chunk_mut::<32>().unwrap();
            let mut iv = [0; 16];
            rand::rng().fill_bytes(&mut iv);
            let (blocks, _) = Block::slice_as_chunks_mut(&mut message[25..]);
            cbc::Encryptor::inner_iv_init(&encryption, &iv.into()).encrypt_blocks(blocks);
            *tag = signing
                .clone()
                .chain_update(&*message)
                .finalize()
                .into_bytes()
                .into();
            URL_SAFE_NO_PAD.encode_slice(&bytes, &mut text).unwrap()
        });
    });
    floor.finish();
}

/// Without reading the payload, so a part of the work only.
fn fernet_crate(criterion: &mut Criterion) {
    let (keys, golden) = golden();
    let (_, token) = golden.iter().find(|(name, _)| name == PROJECT).unwrap();
    let keys = keys.iter().map(|key| fernet::Fernet::new(key).unwrap());
    let fernet = fernet::MultiFernet::new(keys.collect());
    let plaintext = fernet.decrypt(token).unwrap();
    let mut group = criterion.benchmark_group("fernet-crate");
    group.bench_function("open", |b| {
        b.iter(|| fernet.decrypt(black_box(token)).unwrap());
    });
    group.bench_function("seal", |b| {
        b.iter(|| fernet.encrypt(black_box(&plaintext)));
    });
    group.finish();
}

criterion_group!(benches, archstone, floor, fernet_crate);
criterion_main!(benches);
