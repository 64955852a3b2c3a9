//! The active Fernet keys of a repository: one to seal with, all to open with.

use std::fmt;

use chrono::{DateTime, Utc};
use rand::CryptoRng;
use sha1::{Digest, Sha1};
use thiserror::Error;

use crate::{
    TokenError,
    fernet::{Envelope, FernetKey, Opened},
    time,
};

/// Why a key is refused. Never carries the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidKey {
    #[error("a Fernet key is 32 bytes in URL-safe base64")]
    WrongForm,
    #[error("this is the null key (32 zero bytes), which everyone knows")]
    Null,
    #[error("there is no key")]
    Missing,
}

/// One numbered key.
pub(crate) struct NumberedKey {
    number: u64,
    key: FernetKey,
    hash: [u8; 20],
}

impl NumberedKey {
    /// Reads the text of a key file.
    pub(crate) fn parse(number: u64, text: &str) -> Result<Self, InvalidKey> {
        Ok(Self {
            number,
            key: FernetKey::from_base64(text.trim_ascii())?,
            hash: Sha1::digest(text).into(),
        })
    }
}

/// The active keys, never empty. Prints as key numbers only; wiped on drop.
pub struct KeySet {
    primary: NumberedKey,
    /// Opens older tokens, and those of nodes that have rotated ahead of this one.
    others: Vec<NumberedKey>,
}

impl KeySet {
    /// Keys in base64, the primary first, as a repository with descending numbers.
    ///
    /// # Errors
    /// [`InvalidKey`] if there is none, or one is malformed or null.
    pub fn from_base64<K: AsRef<str>>(
        keys: impl IntoIterator<Item = K, IntoIter: ExactSizeIterator>,
    ) -> Result<Self, InvalidKey> {
        let keys = keys.into_iter();
        let numbers = (0..keys.len() as u64).rev();
        let numbered = numbers
            .zip(keys)
            .map(|(number, key)| NumberedKey::parse(number, key.as_ref()))
            .collect::<Result<_, _>>()?;
        Self::new(numbered).ok_or(InvalidKey::Missing)
    }

    /// The highest number becomes the primary. `None` if there are no keys.
    pub(crate) fn new(mut keys: Vec<NumberedKey>) -> Option<Self> {
        keys.sort_by_key(|key| std::cmp::Reverse(key.number));
        let mut keys = keys.into_iter();
        Some(Self {
            primary: keys.next()?,
            others: keys.collect(),
        })
    }

    /// Key numbers, the primary's first.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.iter().map(|key| key.number)
    }

    /// SHA-1 of the primary key's file in hex: the `key_hash` of Keystone's
    /// credentials, which tells with which key a credential was encrypted.
    pub fn primary_hash(&self) -> String {
        self.primary
            .hash
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// The primary key's HMAC of a text.
    pub(crate) fn digest(&self, text: &str) -> [u8; 32] {
        self.primary.key.digest(text)
    }

    /// A Fernet token before base64.
    pub(crate) fn seal(
        &self,
        plaintext: &[u8],
        now: DateTime<Utc>,
        rng: &mut impl CryptoRng,
    ) -> Vec<u8> {
        let mut iv = [0; 16];
        rng.fill_bytes(&mut iv);
        self.primary.key.seal(plaintext, time::to_seconds(now), iv)
    }

    /// Opens a Fernet token of at most `limit` characters.
    pub(crate) fn open(&self, token: &str, limit: usize) -> Result<Opened, TokenError> {
        let length = token.len();
        if length > limit {
            return Err(TokenError::TooLong { length, limit });
        }
        Envelope::parse(token.as_bytes())
            .map_err(|_| TokenError::WrongForm)?
            .open(self.iter().map(|key| &key.key))
            .ok_or(TokenError::NotRecognized)
    }

    fn iter(&self) -> impl Iterator<Item = &NumberedKey> {
        std::iter::once(&self.primary).chain(&self.others)
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySet")
            .field("numbers", &self.numbers().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
