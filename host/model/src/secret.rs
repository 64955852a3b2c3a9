//! A string that must never be printed: passwords, shared secrets, keys in text form.

use std::fmt;

use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// Text that is wiped when dropped and prints as `[redacted]`.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself. Name the reason at each call: this is where a leak would start.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// A secret sealed with the credential keys. Only the service layer opens it.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    pub text: String,
    /// SHA-1 of the key that sealed it, so that a key can be retired safely.
    pub key_hash: String,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(...)")
    }
}

/// What is sealed in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealedThing {
    Credential,
    ConnectorSecrets,
    PluginSettings,
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_secret_never_prints_itself() {
        assert_eq!(format!("{:?}", Secret::from("hunter2")), "[redacted]");
    }
}
