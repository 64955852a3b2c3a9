//! The Fernet specification (<https://github.com/fernet/spec/blob/master/Spec.md>)
//! composed from the RustCrypto primitives it names. `docs/decisions/0004-fernet.md`
//! says why not a ready-made crate.
//!
//! ```text
//! 0x80 | seconds, 8 bytes big-endian | IV, 16 bytes | AES-128-CBC, PKCS #7 | HMAC-SHA256 of all before
//! ```
//!
//! A key is 16 bytes for signing followed by 16 bytes for encryption. The HMAC is
//! compared in constant time and before anything is decrypted.

use aes::{Aes128Dec, Aes128Enc, Block, cipher::BlockModeDecrypt, cipher::BlockModeEncrypt};
use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use cbc::cipher::{InnerIvInit, KeyInit, block_padding::Pkcs7};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::InvalidKey;

const VERSION: u8 = 0x80;
const TIMESTAMP: std::ops::Range<usize> = 1..9;
const IV: std::ops::Range<usize> = 9..25;
const BLOCK: usize = 16;
const TAG: usize = 32;
const SHORTEST: usize = IV.end + BLOCK + TAG;

/// URL-safe base64, written without padding and read with or without it. Stray
/// characters and stray trailing bits are refused, so a token has one spelling.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// One Fernet key with its schedules worked out. All of it is wiped on drop.
pub(crate) struct FernetKey {
    signing: Hmac<Sha256>,
    encrypt: Aes128Enc,
    decrypt: Aes128Dec,
}

/// The text is not the envelope of a Fernet token.
#[derive(Debug)]
pub(crate) struct WrongForm;

/// A token taken apart but not yet believed.
pub(crate) struct Envelope {
    bytes: Vec<u8>,
}

/// The contents of a token that a key has vouched for.
pub(crate) struct Opened {
    pub(crate) seconds: u64,
    bytes: Vec<u8>,
    plaintext_end: usize,
}

impl FernetKey {
    /// Reads the 32 bytes of a key in base64, the form of a key file.
    pub(crate) fn from_base64(text: &str) -> Result<Self, InvalidKey> {
        let mut bytes = Zeroizing::new([0; 48]);
        let length = BASE64
            .decode_slice(text, &mut *bytes)
            .map_err(|_| InvalidKey::WrongForm)?;
        match bytes.get(..length) {
            Some(key) if length == 32 && key.iter().all(|byte| *byte == 0) => Err(InvalidKey::Null),
            Some(key) if length == 32 => Self::from_bytes(key),
            _ => Err(InvalidKey::WrongForm),
        }
    }

    fn from_bytes(key: &[u8]) -> Result<Self, InvalidKey> {
        let (signing, encryption) = key.split_at(16);
        let wrong = |_| InvalidKey::WrongForm;
        Ok(Self {
            signing: KeyInit::new_from_slice(signing).map_err(wrong)?,
            encrypt: KeyInit::new_from_slice(encryption).map_err(wrong)?,
            decrypt: KeyInit::new_from_slice(encryption).map_err(wrong)?,
        })
    }

    /// Encrypts and signs `plaintext`; the result is the token before base64.
    pub(crate) fn seal(&self, plaintext: &[u8], seconds: u64, iv: [u8; BLOCK]) -> Vec<u8> {
        let padding = BLOCK - plaintext.len() % BLOCK;
        let mut token = Vec::with_capacity(IV.end + plaintext.len() + padding + TAG);
        token.push(VERSION);
        token.extend_from_slice(&seconds.to_be_bytes());
        token.extend_from_slice(&iv);
        token.extend_from_slice(plaintext);
        token.resize(token.len() + padding, padding as u8);
        if let Some(body) = token.get_mut(IV.end..) {
            let (blocks, _) = Block::slice_as_chunks_mut(body);
            cbc::Encryptor::inner_iv_init(&self.encrypt, &iv.into()).encrypt_blocks(blocks);
        }
        let tag = self.signing.clone().chain_update(&token).finalize();
        token.extend_from_slice(&tag.into_bytes());
        token
    }

    /// The HMAC of a text. It is that of no token: these begin with a byte that no text does.
    pub(crate) fn digest(&self, text: &str) -> [u8; TAG] {
        let mac = self.signing.clone().chain_update(text.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Whether this key signed the envelope.
    fn signed(&self, envelope: &Envelope) -> bool {
        let Some((message, tag)) = envelope.bytes.split_last_chunk::<TAG>() else {
            return false;
        };
        let mac = self.signing.clone().chain_update(message);
        mac.verify(&(*tag).into()).is_ok()
    }

    /// Decrypts an envelope that this key signed. `None` if its padding is wrong,
    /// which only a holder of the key can bring about.
    fn decrypt(&self, envelope: Envelope) -> Option<Opened> {
        let mut bytes = envelope.bytes;
        let seconds = u64::from_be_bytes(bytes.get(TIMESTAMP)?.try_into().ok()?);
        let iv: [u8; BLOCK] = bytes.get(IV)?.try_into().ok()?;
        let body_end = bytes.len().checked_sub(TAG)?;
        let plaintext = cbc::Decryptor::inner_iv_init(&self.decrypt, &iv.into())
            .decrypt_padded::<Pkcs7>(bytes.get_mut(IV.end..body_end)?)
            .ok()?;
        let plaintext_end = IV.end + plaintext.len();
        Some(Opened {
            seconds,
            bytes,
            plaintext_end,
        })
    }
}

impl Envelope {
    pub(crate) fn parse(token: &[u8]) -> Result<Self, WrongForm> {
        let mut bytes = Vec::with_capacity(token.len() / 4 * 3 + 3);
        BASE64
            .decode_vec(token, &mut bytes)
            .map_err(|_| WrongForm)?;
        let whole_blocks = bytes.len() >= SHORTEST && (bytes.len() - IV.end).is_multiple_of(BLOCK);
        if !whole_blocks || bytes.first() != Some(&VERSION) {
            return Err(WrongForm);
        }
        Ok(Self { bytes })
    }

    /// Opens the envelope with the first of `keys` that signed it.
    pub(crate) fn open<'a>(self, keys: impl IntoIterator<Item = &'a FernetKey>) -> Option<Opened> {
        let key = keys.into_iter().find(|key| key.signed(&self))?;
        key.decrypt(self)
    }
}

impl Opened {
    pub(crate) fn plaintext(&self) -> &[u8] {
        self.bytes
            .get(IV.end..self.plaintext_end)
            .unwrap_or_default()
    }

    /// The plaintext in memory that is wiped on drop, for secrets.
    pub(crate) fn into_secret(self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(self.bytes);
        bytes.truncate(self.plaintext_end);
        bytes.drain(..IV.end);
        bytes
    }
}
