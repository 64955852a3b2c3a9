//! Sealing and opening tokens, in either of Keystone's formats.

use std::sync::Arc;

use base64::Engine;
use chrono::{DateTime, Utc};
use rand::CryptoRng;
use thiserror::Error;

use crate::{
    JwsKeyError, JwsTokens, KeyRepositoryError, KeyRing, TokenError, TokenPayload, fernet::BASE64,
    time,
};

/// Longer tokens are refused unread, unless configured otherwise. Room for some 500
/// federated groups, and what HTTP servers commonly take as one header.
pub const DEFAULT_MAX_TOKEN_LENGTH: usize = 16 * 1024;

/// A token that one of the active keys vouches for. It may have expired or been
/// revoked: that is for the caller to judge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedToken {
    pub payload: TokenPayload,
    pub issued_at: DateTime<Utc>,
}

/// The configured `[token] provider`.
#[derive(Debug)]
pub enum TokenSealer {
    Fernet(FernetTokens),
    Jws(JwsTokens),
}

impl TokenSealer {
    /// Seals `payload` as issued at `now`, in whole seconds.
    ///
    /// # Errors
    /// [`TokenError::NoSigningKey`] if this server has only public JWS keys; a Fernet
    /// token can always be sealed.
    pub fn seal(&self, payload: &TokenPayload, now: DateTime<Utc>) -> Result<String, TokenError> {
        match self {
            Self::Fernet(tokens) => Ok(tokens.seal(payload, now)),
            Self::Jws(tokens) => tokens.seal(payload, now),
        }
    }

    /// Opens a token, expired or not.
    ///
    /// # Errors
    /// [`TokenError`] says why it is not a token of ours.
    pub fn open(&self, token: &str) -> Result<OpenedToken, TokenError> {
        match self {
            Self::Fernet(tokens) => tokens.open(token),
            Self::Jws(tokens) => tokens.open(token),
        }
    }

    /// Loads the keys again if their files changed, and says whether it did. Cheap
    /// when nothing changed; call it on a timer.
    ///
    /// # Errors
    /// [`TokenKeysError`] if the keys cannot be loaded; those in use stay in use.
    pub fn reload_if_changed(&self) -> Result<bool, TokenKeysError> {
        match self {
            Self::Fernet(tokens) => Ok(tokens.keys.reload_if_changed()?),
            Self::Jws(tokens) => Ok(tokens.reload_if_changed()?),
        }
    }
}

/// Why the keys of the configured provider cannot be loaded.
#[derive(Debug, Error)]
pub enum TokenKeysError {
    #[error(transparent)]
    Fernet(#[from] KeyRepositoryError),
    #[error(transparent)]
    Jws(#[from] JwsKeyError),
}

/// Fernet tokens (`[token] provider = fernet`).
#[derive(Clone, Debug)]
pub struct FernetTokens {
    keys: Arc<KeyRing>,
    max_length: usize,
}

impl FernetTokens {
    pub fn new(keys: Arc<KeyRing>) -> Self {
        Self {
            keys,
            max_length: DEFAULT_MAX_TOKEN_LENGTH,
        }
    }

    /// Refuses tokens of more than `max_length` characters.
    pub fn with_max_length(self, max_length: usize) -> Self {
        Self { max_length, ..self }
    }

    /// Seals `payload` with the primary key, as issued at `now` in whole seconds.
    pub fn seal(&self, payload: &TokenPayload, now: DateTime<Utc>) -> String {
        self.seal_with(payload, now, &mut rand::rng())
    }

    /// [`seal`](Self::seal) with the initialization vector drawn from `rng`.
    pub fn seal_with(
        &self,
        payload: &TokenPayload,
        now: DateTime<Utc>,
        rng: &mut impl CryptoRng,
    ) -> String {
        BASE64.encode(self.keys.current().seal(&payload.encode(), now, rng))
    }

    /// Opens a token that any of the active keys sealed, expired or not.
    ///
    /// # Errors
    /// [`TokenError`] says why it is not a token of ours.
    pub fn open(&self, token: &str) -> Result<OpenedToken, TokenError> {
        let opened = self.keys.current().open(token, self.max_length)?;
        Ok(OpenedToken {
            payload: TokenPayload::decode(opened.plaintext())?,
            issued_at: time::from_seconds(opened.seconds)?,
        })
    }
}
