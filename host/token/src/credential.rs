//! Encryption of credential blobs at rest (`[credential] key_repository`), readable
//! by Keystone's Fernet credential provider and reading what it wrote.

use std::sync::Arc;

use base64::{
    Engine,
    engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD},
};
use chrono::{DateTime, Utc};
use rand::CryptoRng;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{KeyRepositoryError, KeyRing};

/// More than the `credential.encrypted_blob` column holds.
const MAX_BLOB: usize = 1024 * 1024;

/// The columns `encrypted_blob` and `key_hash` of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptedCredential {
    pub encrypted_blob: String,
    pub key_hash: String,
}

/// Why a credential cannot be decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CredentialError {
    #[error(
        "no key of [credential] key_repository decrypts this credential; restore the key it was encrypted with (its key_hash is the SHA-1 of the key file), or re-encrypt it on a server that still has that key"
    )]
    Undecryptable,
    #[error("the decrypted credential is not text")]
    NotText,
}

/// Encrypts with the primary key, decrypts with any.
#[derive(Clone, Debug)]
pub struct CredentialCipher {
    keys: Arc<KeyRing>,
}

impl CredentialCipher {
    pub fn new(keys: Arc<KeyRing>) -> Self {
        Self { keys }
    }

    /// Takes up keys that changed on disk, and says whether they did.
    ///
    /// # Errors
    /// Those of [`KeyRing::reload_if_changed`]; the keys in use stay in use.
    pub fn reload_if_changed(&self) -> Result<bool, KeyRepositoryError> {
        self.keys.reload_if_changed()
    }

    /// Encrypts `blob` with the primary key.
    pub fn encrypt(&self, blob: &str, now: DateTime<Utc>) -> EncryptedCredential {
        self.encrypt_with(blob, now, &mut rand::rng())
    }

    /// [`encrypt`](Self::encrypt) with the initialization vector drawn from `rng`.
    pub fn encrypt_with(
        &self,
        blob: &str,
        now: DateTime<Utc>,
        rng: &mut impl CryptoRng,
    ) -> EncryptedCredential {
        let keys = self.keys.current();
        EncryptedCredential {
            encrypted_blob: URL_SAFE.encode(keys.seal(blob.as_bytes(), now, rng)),
            key_hash: keys.primary_hash(),
        }
    }

    /// Decrypts a stored blob with whichever active key encrypted it.
    ///
    /// # Errors
    /// [`CredentialError`] if none did, or the contents are not UTF-8.
    pub fn decrypt(&self, encrypted_blob: &str) -> Result<Zeroizing<String>, CredentialError> {
        let keys = self.keys.current();
        let plaintext = keys
            .open(encrypted_blob, MAX_BLOB)
            .map_err(|_| CredentialError::Undecryptable)?
            .into_secret();
        let text = str::from_utf8(&plaintext).map_err(|_| CredentialError::NotText)?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    /// Something that nobody can tell who has no key, and that is the same for the same text as
    /// long as the primary key is.
    pub fn pseudonym(&self, of: &str) -> String {
        let digest = self.keys.current().digest(&format!("pseudonym {of}"));
        URL_SAFE_NO_PAD.encode(digest)
    }

    /// The `key_hash` of credentials encrypted with the current primary key. Any other
    /// value in the table is a credential that must be re-encrypted before rotation.
    pub fn primary_key_hash(&self) -> String {
        self.keys.current().primary_hash()
    }
}
