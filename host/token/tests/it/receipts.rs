//! Receipts of an unfinished multi-factor authentication.

use archstone_token::{Methods, OpenedReceipt, ReceiptPayload, Receipts};
use chrono::DateTime;
use proptest::prelude::*;

use crate::golden::{golden_receipt, keys};

proptest! {
    #[test]
    fn a_sealed_receipt_opens_to_the_same(
        user_id in "([0-9a-f]{32}|\\PC{0,64})",
        methods: u64,
        seconds in 0..253_402_300_799_i64,
    ) {
        let payload = ReceiptPayload {
            user_id,
            methods: Methods::from_bits(methods),
            expires_at: DateTime::from_timestamp(seconds, 0).unwrap(),
        };
        let issued_at = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let receipts = Receipts::new(keys());
        let opened = receipts.open(&receipts.seal(&payload, issued_at));
        prop_assert_eq!(opened, Ok(OpenedReceipt { payload, issued_at }));
    }
}

#[test]
fn an_altered_receipt_is_refused() {
    let receipt = &golden_receipt().token;
    for position in 0..receipt.len() {
        let mut altered = receipt.clone().into_bytes();
        altered[position] = if altered[position] == b'A' {
            b'B'
        } else {
            b'A'
        };
        let altered = str::from_utf8(&altered).unwrap();
        assert!(altered == receipt || Receipts::new(keys()).open(altered).is_err());
    }
}
