//! Makes and opens tokens line by line, with the keys of a repository.
//!
//! `cargo run -p archstone-token --example seal -- token /etc/keystone/fernet-keys < decoded.jsonl`
//!
//! `token`, `receipt` and `credential` read JSON (of `archstone token inspect`, of a
//! receipt, a string) and write what Keystone can read; `open-token`, `open-receipt` and
//! `open-credential` are the reverse. `rotate` rotates the repository and reads nothing.
//! For `jws` and `open-jws`, the directory holds `private/` and `public/`.
#![allow(clippy::print_stdout)]

use std::{error::Error, io, num::NonZeroUsize, path::Path, sync::Arc};

use archstone_token::{
    AuthMethods, CredentialCipher, DecodedReceipt, DecodedToken, FernetTokens, JwsKeyRepository,
    JwsTokens, KeyPurpose, KeyRepository, KeyRing, Receipts,
};
use chrono::Utc;
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(action), Some(directory)) = (arguments.next(), arguments.next()) else {
        return Err("usage: seal ACTION KEY_DIRECTORY".into());
    };
    if action.ends_with("jws") {
        return jws(&action, &directory);
    }
    let repository = KeyRepository::new(directory, KeyPurpose::Tokens);
    if action == "rotate" {
        let keys = NonZeroUsize::MIN.saturating_add(4);
        println!("{}", repository.rotate(keys)?.primary);
        return Ok(());
    }
    let keys = Arc::new(KeyRing::load(repository)?);
    for line in io::stdin().lines() {
        println!("{}", answer(&action, &line?, &keys)?);
    }
    Ok(())
}

fn jws(action: &str, directory: &str) -> Result<(), Box<dyn Error>> {
    let methods = AuthMethods::default();
    let directory = Path::new(directory);
    let repository = JwsKeyRepository {
        private_directory: directory.join("private"),
        public_directory: directory.join("public"),
    };
    let tokens = JwsTokens::load(repository, methods.clone())?;
    for line in io::stdin().lines() {
        let line = line?;
        if action == "jws" {
            let token = serde_json::from_str::<DecodedToken>(&line)?.into_token(&methods)?;
            println!("{}", tokens.seal(&token.payload, token.issued_at)?);
        } else {
            let opened = DecodedToken::new(&tokens.open(&line)?, &methods);
            println!("{}", serde_json::to_string(&opened)?);
        }
    }
    Ok(())
}

fn answer(action: &str, line: &str, keys: &Arc<KeyRing>) -> Result<String, Box<dyn Error>> {
    let methods = &AuthMethods::default();
    let tokens = FernetTokens::new(keys.clone());
    let receipts = Receipts::new(keys.clone());
    let credentials = CredentialCipher::new(keys.clone());
    Ok(match action {
        "token" => {
            let token = serde_json::from_str::<DecodedToken>(line)?.into_token(methods)?;
            tokens.seal(&token.payload, token.issued_at)
        }
        "open-token" => serde_json::to_string(&DecodedToken::new(&tokens.open(line)?, methods))?,
        "receipt" => {
            let receipt = serde_json::from_str::<DecodedReceipt>(line)?.into_receipt(methods);
            receipts.seal(&receipt.payload, receipt.issued_at)
        }
        "open-receipt" => {
            serde_json::to_string(&DecodedReceipt::new(&receipts.open(line)?, methods))?
        }
        "credential" => {
            let encrypted = credentials.encrypt(&serde_json::from_str::<String>(line)?, Utc::now());
            let (blob, hash) = (encrypted.encrypted_blob, encrypted.key_hash);
            json!({"encrypted_blob": blob, "key_hash": hash}).to_string()
        }
        "open-credential" => credentials.decrypt(line)?.to_string(),
        _ => return Err(format!("unknown action {action}").into()),
    })
}
