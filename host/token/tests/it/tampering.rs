//! Tokens that are not ours, or no longer what we sealed.

use std::{sync::Arc, time::Instant};

use archstone_token::{
    DEFAULT_MAX_TOKEN_LENGTH, FernetTokens, InvalidKey, KeyRing, KeySet, PayloadError, Receipts,
    TokenError,
};

use crate::golden::{GOLDEN, golden_receipt, golden_tokens, keys, tokens};

const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#[test]
fn a_token_with_any_character_changed_is_refused() {
    for golden in golden_tokens() {
        for position in 0..golden.token.len() {
            let mut altered = golden.token.clone().into_bytes();
            let at = ALPHABET
                .iter()
                .position(|c| *c == altered[position])
                .unwrap();
            for bit in 0..6 {
                altered[position] = ALPHABET[at ^ (1 << bit)];
                let altered = str::from_utf8(&altered).unwrap();
                assert!(
                    tokens().open(altered).is_err(),
                    "{}: {position}",
                    golden.name
                );
            }
        }
    }
}

#[test]
fn a_token_cut_short_or_made_longer_is_refused() {
    let token = &golden_tokens().next().unwrap().token;
    for length in 0..token.len() {
        assert!(tokens().open(&token[..length]).is_err());
    }
    for stray in ["A", "AAAA", "\n", " ", "=A", "é", "\0"] {
        assert!(tokens().open(&format!("{token}{stray}")).is_err());
        assert!(tokens().open(&format!("{stray}{token}")).is_err());
    }
}

#[test]
fn padding_may_be_there_or_not() {
    let token = golden_tokens()
        .map(|golden| &golden.token)
        .find(|token| token.len() % 4 == 3)
        .unwrap();
    assert!(tokens().open(&format!("{token}=")).is_ok());
    assert!(tokens().open(&format!("{token}==")).is_err());
}

#[test]
fn a_token_sealed_with_a_key_we_do_not_have_is_not_recognized() {
    let stranger = fernet::Fernet::generate_key();
    let stranger = KeySet::from_base64([stranger]).unwrap();
    let stranger = FernetTokens::new(Arc::new(KeyRing::fixed(stranger)));
    for golden in golden_tokens() {
        assert_eq!(stranger.open(&golden.token), Err(TokenError::NotRecognized));
    }
}

#[test]
fn text_that_is_no_token_is_told_from_a_forgery() {
    for text in ["", "gAAAAA", "not a token", "a.b.c", &"A".repeat(204)] {
        assert_eq!(tokens().open(text), Err(TokenError::WrongForm));
    }
}

#[test]
fn a_megabyte_is_refused_without_reading_it() {
    let huge = "A".repeat(1_000_000);
    let started = Instant::now();
    for _ in 0..10_000 {
        assert_eq!(
            tokens().open(&huge),
            Err(TokenError::TooLong {
                length: 1_000_000,
                limit: DEFAULT_MAX_TOKEN_LENGTH
            })
        );
    }
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
}

#[test]
fn the_longest_token_is_configurable() {
    let token = &golden_tokens().next().unwrap().token;
    assert!(tokens().with_max_length(token.len()).open(token).is_ok());
    assert!(
        tokens()
            .with_max_length(token.len() - 1)
            .open(token)
            .is_err()
    );
}

#[test]
fn a_receipt_is_no_token_and_a_token_no_receipt() {
    assert!(matches!(
        tokens().open(&golden_receipt().token),
        Err(TokenError::Payload(PayloadError::Malformed(_)))
    ));
    for golden in golden_tokens() {
        assert!(matches!(
            Receipts::new(keys()).open(&golden.token),
            Err(TokenError::Payload(PayloadError::Malformed(_)))
        ));
    }
}

#[test]
fn authentic_rubbish_is_refused() {
    let sealer = fernet::Fernet::new(&GOLDEN.keys["1"]).unwrap();
    for rubbish in [&b""[..], b"\x93", b"\xc1", b"\x95\x00", &[0xff; 300]] {
        assert!(matches!(
            tokens().open(&sealer.encrypt(rubbish)),
            Err(TokenError::Payload(_))
        ));
    }
}

#[test]
fn a_null_or_malformed_key_is_refused() {
    let null = "A".repeat(43) + "=";
    assert_eq!(KeySet::from_base64([null]).unwrap_err(), InvalidKey::Null);
    for wrong in ["", "short", &"A".repeat(64), &"!".repeat(44)] {
        assert_eq!(
            KeySet::from_base64([wrong]).unwrap_err(),
            InvalidKey::WrongForm
        );
    }
    let none: [&str; 0] = [];
    assert_eq!(KeySet::from_base64(none).unwrap_err(), InvalidKey::Missing);
}

#[test]
fn keys_do_not_print() {
    let printed = format!("{:?}", tokens());
    assert!(printed.contains("numbers: [1, 0]"), "{printed}");
    for key in GOLDEN.keys.values() {
        assert!(!printed.contains(&key[..8]));
    }
}
