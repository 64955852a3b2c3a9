//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz token`
//!
//! Arbitrary bytes as a token's text and as the contents of an authentic one. The
//! fuzzer holds no key, so no text may ever be accepted.

#![no_main]

#[path = "../decoder.rs"]
mod decoder;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    assert!(
        !decoder::decode(data).as_text,
        "a forged token was accepted"
    );
});
