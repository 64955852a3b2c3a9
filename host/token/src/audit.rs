//! Audit ids: 16 random bytes that follow a token through logs and revocations.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::CryptoRng;
use thiserror::Error;

/// One audit id, shown as 22 characters of URL-safe base64.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AuditId([u8; 16]);

impl AuditId {
    /// A fresh random id.
    pub fn random() -> Self {
        Self::random_from(&mut rand::rng())
    }

    /// A fresh id drawn from `rng`.
    pub fn random_from(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for AuditId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for AuditId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuditId({self})")
    }
}

/// The text is not 22 characters of URL-safe base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an audit id is 22 characters of URL-safe base64")]
pub struct InvalidAuditId;

impl FromStr for AuditId {
    type Err = InvalidAuditId;

    fn from_str(text: &str) -> Result<Self, InvalidAuditId> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidAuditId)?;
        bytes.try_into().map(Self).map_err(|_| InvalidAuditId)
    }
}

/// A token's own audit id and, if it was made from another token, the id of the
/// first token of that chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AuditIds {
    pub own: AuditId,
    pub parent: Option<AuditId>,
}

impl AuditIds {
    /// The ids of a token that starts a chain.
    pub const fn first(own: AuditId) -> Self {
        Self { own, parent: None }
    }

    /// The ids of a token made from `self`: the chain keeps its first id.
    pub fn next(&self, own: AuditId) -> Self {
        Self {
            own,
            parent: Some(self.chain()),
        }
    }

    /// The id that all tokens of the chain share (`audit_chain_id` in revocations).
    pub fn chain(&self) -> AuditId {
        self.parent.unwrap_or(self.own)
    }

    /// In the order of the API's `audit_ids`: own, then the parent if there is one.
    pub fn iter(&self) -> impl Iterator<Item = AuditId> {
        [Some(self.own), self.parent].into_iter().flatten()
    }
}
