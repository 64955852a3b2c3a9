//! Credentials encrypted at rest.

use std::sync::Arc;

use archstone_token::{CredentialCipher, CredentialError, KeyRing, KeySet};
use chrono::Utc;

use crate::golden::{GOLDEN, keys};

const SECRET: &str = r#"{"access": "a", "secret": "s3cr3t ☂"}"#;

#[test]
fn a_credential_comes_back_and_names_its_key() {
    let cipher = CredentialCipher::new(keys());
    let encrypted = cipher.encrypt(SECRET, Utc::now());
    assert_eq!(*cipher.decrypt(&encrypted.encrypted_blob).unwrap(), SECRET);
    // printf %s "$(cat 1)" | sha1sum
    assert_eq!(
        encrypted.key_hash,
        "9dbc73b6cf08c49c7232eccc76265936c6526877"
    );
    assert_eq!(encrypted.key_hash, cipher.primary_key_hash());
}

#[test]
fn keystones_cipher_and_ours_read_each_other() {
    let cipher = CredentialCipher::new(keys());
    let fernet = fernet::Fernet::new(&GOLDEN.keys["1"]).unwrap();
    let ours = cipher.encrypt(SECRET, Utc::now()).encrypted_blob;
    assert_eq!(fernet.decrypt(&ours).unwrap(), SECRET.as_bytes());
    let theirs = fernet.encrypt(SECRET.as_bytes());
    assert_eq!(*cipher.decrypt(&theirs).unwrap(), SECRET);
}

#[test]
fn an_older_key_still_decrypts() {
    let older = fernet::Fernet::new(&GOLDEN.keys["0"]).unwrap();
    let blob = older.encrypt(SECRET.as_bytes());
    assert_eq!(
        *CredentialCipher::new(keys()).decrypt(&blob).unwrap(),
        SECRET
    );
}

#[test]
fn without_its_key_a_credential_stays_closed() {
    let stranger = KeySet::from_base64([fernet::Fernet::generate_key()]).unwrap();
    let stranger = CredentialCipher::new(Arc::new(KeyRing::fixed(stranger)));
    let encrypted = CredentialCipher::new(keys()).encrypt(SECRET, Utc::now());
    assert_eq!(
        stranger.decrypt(&encrypted.encrypted_blob),
        Err(CredentialError::Undecryptable)
    );
}

#[test]
fn bytes_that_are_not_text_are_refused() {
    let fernet = fernet::Fernet::new(&GOLDEN.keys["1"]).unwrap();
    assert_eq!(
        CredentialCipher::new(keys()).decrypt(&fernet.encrypt(&[0xff])),
        Err(CredentialError::NotText)
    );
}
