//! Bytes in JSON, as WebAuthn has them: base64url without padding (RFC 4648 section 5).

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base64Url(pub Vec<u8>);

impl Base64Url {
    pub fn encode(bytes: &[u8]) -> String {
        BASE64URL_NOPAD.encode(bytes)
    }
}

impl Serialize for Base64Url {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Self::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // Some clients pad.
        BASE64URL_NOPAD
            .decode(text.trim_end_matches('=').as_bytes())
            .map(Self)
            .map_err(|_| D::Error::custom("not base64url"))
    }
}
