//! Makes tokens: one JSON object a line in, in the form of `archstone token inspect`,
//! one token a line out.
//!
//! `cargo run -p archstone-token --example seal -- token /etc/keystone/fernet-keys < decoded.jsonl`
//!
//! The first argument says what to make: `token`, `receipt`, or their reverse,
//! `open-token` and `open-receipt`.
#![allow(clippy::print_stdout)]

use std::{error::Error, io, sync::Arc};

use archstone_token::{
    AuthMethods, DecodedReceipt, DecodedToken, FernetTokens, KeyPurpose, KeyRepository, KeyRing,
    Receipts,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(action), Some(directory)) = (arguments.next(), arguments.next()) else {
        return Err("usage: seal token|receipt|open-token|open-receipt KEY_DIRECTORY".into());
    };
    let keys = KeyRing::load(KeyRepository::new(directory, KeyPurpose::Tokens))?;
    let keys = Arc::new(keys);
    let methods = AuthMethods::default();
    for line in io::stdin().lines() {
        println!("{}", answer(&action, &line?, &keys, &methods)?);
    }
    Ok(())
}

fn answer(
    action: &str,
    line: &str,
    keys: &Arc<KeyRing>,
    methods: &AuthMethods,
) -> Result<String, Box<dyn Error>> {
    let tokens = FernetTokens::new(keys.clone());
    let receipts = Receipts::new(keys.clone());
    Ok(match action {
        "token" => {
            let token = serde_json::from_str::<DecodedToken>(line)?.into_token(methods)?;
            tokens.seal(&token.payload, token.issued_at)
        }
        "receipt" => {
            let receipt = serde_json::from_str::<DecodedReceipt>(line)?.into_receipt(methods);
            receipts.seal(&receipt.payload, receipt.issued_at)
        }
        "open-token" => serde_json::to_string(&DecodedToken::new(&tokens.open(line)?, methods))?,
        "open-receipt" => {
            serde_json::to_string(&DecodedReceipt::new(&receipts.open(line)?, methods))?
        }
        _ => return Err(format!("unknown action {action}").into()),
    })
}
