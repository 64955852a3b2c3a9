//! The fuzzer's entry function over a fixed corpus of mutations, so that every test
//! run exercises it.

#[path = "../../../../tests/fuzz/decoder.rs"]
mod decoder;

use archstone_token::ReceiptPayload;
use rand::{Rng, RngCore, SeedableRng, rngs::StdRng};

use crate::golden::{GOLDEN, golden_tokens, tokens};

const ROUNDS: usize = 400;

#[test]
fn mutated_token_texts_are_all_refused() {
    let mut rng = StdRng::seed_from_u64(1);
    for golden in &GOLDEN.tokens {
        assert!(decoder::decode(golden.token.as_bytes()).as_text);
        for _ in 0..ROUNDS {
            let mutant = mutate(golden.token.as_bytes(), &mut rng);
            let accepted = decoder::decode(&mutant).as_text;
            assert!(!accepted || mutant.trim_ascii() == golden.token.as_bytes());
        }
    }
}

#[test]
fn mutated_authentic_contents_never_panic() {
    let mut rng = StdRng::seed_from_u64(2);
    let mut seeds: Vec<Vec<u8>> = golden_tokens()
        .map(|golden| tokens().open(&golden.token).unwrap().payload.encode())
        .collect();
    let payload = tokens().open(&GOLDEN.tokens[0].token).unwrap().payload;
    let receipt = ReceiptPayload {
        user_id: payload.user_id,
        methods: payload.methods,
        expires_at: payload.expires_at,
    };
    seeds.push(receipt.encode());
    let (mut read, mut refused) = (0, 0);
    for seed in &seeds {
        for _ in 0..ROUNDS * 5 {
            let accepted = decoder::decode(&mutate(seed, &mut rng));
            match accepted.as_token_payload || accepted.as_receipt_payload {
                true => read += 1,
                false => refused += 1,
            }
        }
    }
    assert!(
        read > 1_000 && refused > 1_000,
        "{read} read, {refused} refused"
    );
}

#[test]
fn random_bytes_never_panic() {
    let mut rng = StdRng::seed_from_u64(3);
    for _ in 0..50_000 {
        let mut bytes = vec![0; rng.random_range(0..200)];
        rng.fill_bytes(&mut bytes);
        assert!(!decoder::decode(&bytes).as_text);
    }
}

/// One to four small changes: a flipped bit, another byte, a cut, a doubled or an
/// inserted stretch, an interesting MessagePack marker.
fn mutate(seed: &[u8], rng: &mut StdRng) -> Vec<u8> {
    const MARKERS: [u8; 12] = [
        0x00, 0x7f, 0x80, 0x9f, 0xc0, 0xc1, 0xc4, 0xc6, 0xcb, 0xcf, 0xdb, 0xdd,
    ];
    let mut bytes = seed.to_vec();
    for _ in 0..rng.random_range(1..=4) {
        if bytes.is_empty() {
            break;
        }
        let at = rng.random_range(0..bytes.len());
        match rng.random_range(0..6) {
            0 => bytes[at] ^= 1 << rng.random_range(0..8),
            1 => bytes[at] = rng.random(),
            2 => bytes.truncate(at),
            3 => bytes.extend_from_within(at..),
            4 => bytes.insert(at, rng.random()),
            _ => bytes[at] = MARKERS[rng.random_range(0..MARKERS.len())],
        }
    }
    bytes
}
