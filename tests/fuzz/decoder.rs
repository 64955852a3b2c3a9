//! Everything that untrusted bytes reach in the token crate, behind one function, for
//! the fuzzer and for the deterministic mutations of `cargo test`.

use std::sync::{Arc, LazyLock};

use archstone_token::{
    CredentialCipher, FernetTokens, KeyRing, KeySet, ReceiptPayload, Receipts, TokenPayload,
};

/// The keys of the golden tokens, primary first.
pub const KEYS: [&str; 2] = [
    "blJUVvlR2YuAnpzEzTrsSn1Gdf6XrIabzl2s1j97oAk=",
    "yhU8NoSc9wfYEfxEU3IIWon7e-BDGpS2C6gTXVky94o=",
];

static RING: LazyLock<Arc<KeyRing>> = LazyLock::new(|| {
    let keys = KeySet::from_base64(KEYS).expect("the keys are well-formed");
    Arc::new(KeyRing::fixed(keys))
});

/// What was accepted of one input.
#[derive(Debug, Default)]
pub struct Accepted {
    /// As the text of a token, receipt or credential.
    pub as_text: bool,
    /// As the contents of an authentic token.
    pub as_token_payload: bool,
    /// As the contents of an authentic receipt.
    pub as_receipt_payload: bool,
}

/// Feeds `data` to every decoder. Panics if one of them does, or if a payload that was
/// read is not read back the same after writing it.
pub fn decode(data: &[u8]) -> Accepted {
    let mut accepted = Accepted::default();
    if let Ok(text) = std::str::from_utf8(data) {
        accepted.as_text = FernetTokens::new(RING.clone()).open(text).is_ok()
            || Receipts::new(RING.clone()).open(text).is_ok()
            || CredentialCipher::new(RING.clone()).decrypt(text).is_ok();
    }
    if let Ok(payload) = TokenPayload::decode(data) {
        accepted.as_token_payload = true;
        assert_eq!(TokenPayload::decode(&payload.encode()), Ok(payload));
    }
    if let Ok(payload) = ReceiptPayload::decode(data) {
        accepted.as_receipt_payload = true;
        assert_eq!(ReceiptPayload::decode(&payload.encode()), Ok(payload));
    }
    accepted
}
