//! Authentication receipts: proof of the methods passed so far, while others are
//! still required. <https://docs.openstack.org/api-ref/identity/v3/#multi-factor-authentication>

use std::sync::Arc;

use base64::Engine;
use chrono::{DateTime, Utc};
use rand::CryptoRng;

use crate::{
    DEFAULT_MAX_TOKEN_LENGTH, KeyRepositoryError, KeyRing, Methods, PayloadError, TokenError,
    fernet::BASE64,
    msgpack::{Reader, Writer},
    packed_id, time,
};

/// The contents of a receipt, apart from the time it was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptPayload {
    pub user_id: String,
    pub methods: Methods,
    /// Whole seconds; a fraction is dropped when the receipt is sealed.
    pub expires_at: DateTime<Utc>,
}

impl ReceiptPayload {
    /// The MessagePack form, byte for byte Keystone's.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(96);
        writer.array(3);
        packed_id::write(&mut writer, &self.user_id);
        writer.unsigned(self.methods.bits());
        writer.time(self.expires_at);
        writer.into_bytes()
    }

    /// Reads the MessagePack form.
    ///
    /// # Errors
    /// [`PayloadError::Malformed`] if anything departs from the layout.
    pub fn decode(plaintext: &[u8]) -> Result<Self, PayloadError> {
        let mut reader = Reader::new(plaintext);
        reader.array_of(3, "layout")?;
        let payload = Self {
            user_id: packed_id::read(&mut reader, "user id")?,
            methods: Methods::from_bits(reader.unsigned("methods")?),
            expires_at: reader.time("expiry")?,
        };
        reader.end()?;
        Ok(payload)
    }
}

/// A receipt that one of the active keys vouches for. It may have expired: that is
/// for the caller to judge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedReceipt {
    pub payload: ReceiptPayload,
    pub issued_at: DateTime<Utc>,
}

/// Seals and opens receipts with the keys of `[fernet_receipts] key_repository`.
#[derive(Clone, Debug)]
pub struct Receipts {
    keys: Arc<KeyRing>,
}

impl Receipts {
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

    /// Seals `payload` as issued at `now`, in whole seconds.
    pub fn seal(&self, payload: &ReceiptPayload, now: DateTime<Utc>) -> String {
        self.seal_with(payload, now, &mut rand::rng())
    }

    /// [`seal`](Self::seal) with the initialization vector drawn from `rng`.
    pub fn seal_with(
        &self,
        payload: &ReceiptPayload,
        now: DateTime<Utc>,
        rng: &mut impl CryptoRng,
    ) -> String {
        BASE64.encode(self.keys.current().seal(&payload.encode(), now, rng))
    }

    /// Opens a receipt that any of the active keys sealed, expired or not.
    ///
    /// # Errors
    /// [`TokenError`] says why it is not a receipt of ours.
    pub fn open(&self, receipt: &str) -> Result<OpenedReceipt, TokenError> {
        let keys = self.keys.current();
        let opened = keys.open(receipt, DEFAULT_MAX_TOKEN_LENGTH)?;
        Ok(OpenedReceipt {
            payload: ReceiptPayload::decode(opened.plaintext())?,
            issued_at: time::from_seconds(opened.seconds)?,
        })
    }
}
