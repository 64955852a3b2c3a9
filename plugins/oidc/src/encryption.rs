//! Encrypted tokens: compact JWE (RFC 7516) with RSA-OAEP and AES, by the crates of RustCrypto.

use aes::{Aes128, Aes256};
use aes_gcm::{
    Aes128Gcm, Aes256Gcm,
    aead::{Aead, KeyInit, Payload},
};
use archstone_plugin::{Denial, secrets};
use cbc::cipher::{BlockModeDecrypt, KeyIvInit, block_padding::Pkcs7};
use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, Mac};
use rsa::{
    PrivateKey, pkcs1::DecodeRsaPrivateKey, pkcs8::DecodePrivateKey, rand_core::TryCryptoRng,
    traits::PublicKeyParts,
};
use serde::Deserialize;
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use crate::entropy::HostRandom;

/// Keys below this can be broken.
const FEWEST_BITS: u32 = 2048;

#[derive(Deserialize)]
struct Header {
    alg: Wrapping,
    enc: Encryption,
    zip: Option<serde_json::Value>,
    crit: Option<serde_json::Value>,
}

/// How the content's key is encrypted (RFC 7518 section 4.3).
#[derive(Debug, Clone, Copy, Deserialize)]
enum Wrapping {
    #[serde(rename = "RSA-OAEP")]
    OaepSha1,
    #[serde(rename = "RSA-OAEP-256")]
    OaepSha256,
}

/// How the content is encrypted (RFC 7518 section 5).
#[derive(Debug, Clone, Copy, Deserialize)]
enum Encryption {
    #[serde(rename = "A128GCM")]
    A128Gcm,
    #[serde(rename = "A256GCM")]
    A256Gcm,
    #[serde(rename = "A128CBC-HS256")]
    A128CbcHs256,
    #[serde(rename = "A256CBC-HS512")]
    A256CbcHs512,
}

/// The five parts of a token, decoded; the first as it is authenticated.
struct Parts<'a> {
    header: &'a str,
    key: Vec<u8>,
    vector: Vec<u8>,
    content: Vec<u8>,
    tag: Vec<u8>,
}

/// Whether this has the form of an encrypted token.
pub fn is_encrypted(token: &str) -> bool {
    token.bytes().filter(|byte| *byte == b'.').count() == 4
}

/// What is inside an encrypted token, by the configured key.
///
/// # Errors
/// A denial as rejected; which step failed is not told.
pub fn decrypt(token: &str) -> Result<String, Denial> {
    let pem = secrets::get("decryption_key")
        .ok_or_else(|| Denial::rejected("the token is encrypted, and there is no key for it"))?;
    let keys = private_keys(&pem);
    keys.iter()
        .find_map(|key| open(key, token, &mut HostRandom))
        .ok_or_else(|| Denial::rejected("the token is encrypted in a way or for a key not known"))
}

/// The RSA keys in a PEM text, PKCS#8 or PKCS#1, as far as they are good.
pub fn private_keys(pem: &str) -> Vec<PrivateKey> {
    const BEGIN: &str = "-----BEGIN";
    pem.split(BEGIN)
        .skip(1)
        .filter_map(|block| {
            let block = format!("{BEGIN}{}", block.trim_end());
            PrivateKey::from_pkcs8_pem(&block)
                .ok()
                .or_else(|| PrivateKey::from_pkcs1_pem(&block).ok())
        })
        .filter(|key| key.n().bit_width() >= FEWEST_BITS)
        .collect()
}

fn open<R: TryCryptoRng>(key: &PrivateKey, token: &str, random: &mut R) -> Option<String> {
    let (header, parts) = read(token)?;
    // A key of nobody's in place of one that does not open: whoever sent it learns from neither
    // the answer nor the time which part was wrong (RFC 7516 section 11.5).
    let mut content_key = vec![0; header.enc.key_bytes()];
    random.try_fill_bytes(&mut content_key).ok()?;
    let opened = match header.alg {
        Wrapping::OaepSha1 => key.oaep_decrypt_with_rng::<Sha1, _>(random, &parts.key),
        Wrapping::OaepSha256 => key.oaep_decrypt_with_rng::<Sha256, _>(random, &parts.key),
    };
    if let Ok(opened) = opened
        && opened.len() == content_key.len()
    {
        content_key = opened;
    }
    let content = match header.enc {
        Encryption::A128Gcm => gcm::<Aes128Gcm>(&content_key, &parts),
        Encryption::A256Gcm => gcm::<Aes256Gcm>(&content_key, &parts),
        Encryption::A128CbcHs256 => {
            cbc::<Hmac<Sha256>, cbc::Decryptor<Aes128>>(&content_key, &parts)
        }
        Encryption::A256CbcHs512 => {
            cbc::<Hmac<Sha512>, cbc::Decryptor<Aes256>>(&content_key, &parts)
        }
    };
    String::from_utf8(content?).ok()
}

impl Encryption {
    fn key_bytes(self) -> usize {
        match self {
            Self::A128Gcm => 16,
            Self::A256Gcm | Self::A128CbcHs256 => 32,
            Self::A256CbcHs512 => 64,
        }
    }
}

fn read(token: &str) -> Option<(Header, Parts<'_>)> {
    let decode = |part: &str| BASE64URL_NOPAD.decode(part.as_bytes()).ok();
    let mut parts = token.split('.');
    let header_text = parts.next()?;
    let header: Header = serde_json::from_slice(&decode(header_text)?).ok()?;
    // Neither compression nor an extension is understood.
    if header.zip.is_some() || header.crit.is_some() {
        return None;
    }
    let read = Parts {
        header: header_text,
        key: decode(parts.next()?)?,
        vector: decode(parts.next()?)?,
        content: decode(parts.next()?)?,
        tag: decode(parts.next()?)?,
    };
    parts.next().is_none().then_some((header, read))
}

/// AES-GCM (RFC 7518 section 5.3).
fn gcm<C: Aead + KeyInit>(key: &[u8], parts: &Parts) -> Option<Vec<u8>> {
    if parts.tag.len() != 16 {
        return None;
    }
    let sealed = [parts.content.as_slice(), &parts.tag].concat();
    let payload = Payload {
        msg: &sealed,
        aad: parts.header.as_bytes(),
    };
    let cipher = C::new_from_slice(key).ok()?;
    cipher
        .decrypt(parts.vector.as_slice().try_into().ok()?, payload)
        .ok()
}

/// AES-CBC with HMAC (RFC 7518 section 5.2.2.2): one half of the key for each, and half of the
/// code as the tag, which is looked at first.
fn cbc<M: Mac + hmac::KeyInit, C: BlockModeDecrypt + KeyIvInit>(
    key: &[u8],
    parts: &Parts,
) -> Option<Vec<u8>> {
    let (mac_key, content_key) = key.split_at(key.len() / 2);
    if parts.tag.len() != mac_key.len() {
        return None;
    }
    let header_bits = (parts.header.len() as u64) * 8;
    let mut mac = <M as hmac::KeyInit>::new_from_slice(mac_key).ok()?;
    mac.update(parts.header.as_bytes());
    mac.update(&parts.vector);
    mac.update(&parts.content);
    mac.update(&header_bits.to_be_bytes());
    mac.verify_truncated_left(&parts.tag).ok()?;
    C::new_from_slices(content_key, &parts.vector)
        .ok()?
        .decrypt_padded_vec::<Pkcs7>(&parts.content)
        .ok()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use rsa::rand_core::TryRng;

    use super::*;

    /// Made by the JavaScript library `jose`, one for each way, each saying which.
    const TOKENS: &str = include_str!("encryption/tokens.txt");
    const KEY: &str = include_str!("encryption/key.pem");

    /// No capability of the host's is there in a test; blinding does not change what comes out.
    struct Counting(u8);

    impl TryRng for Counting {
        type Error = Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            let mut bytes = [0; 4];
            self.try_fill_bytes(&mut bytes)?;
            Ok(u32::from_le_bytes(bytes))
        }

        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            let mut bytes = [0; 8];
            self.try_fill_bytes(&mut bytes)?;
            Ok(u64::from_le_bytes(bytes))
        }

        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
            for byte in bytes {
                self.0 = self.0.wrapping_mul(5).wrapping_add(3);
                *byte = self.0;
            }
            Ok(())
        }
    }

    impl TryCryptoRng for Counting {}

    fn opened(token: &str) -> Option<String> {
        open(&private_keys(KEY)[0], token, &mut Counting(1))
    }

    #[test]
    fn tokens_of_another_implementation_are_opened() {
        let texts: Vec<_> = TOKENS.lines().map(|token| opened(token).unwrap()).collect();
        assert_eq!(texts.len(), 6);
        assert_eq!(texts[0], "sealed with RSA-OAEP and A128GCM");
        assert_eq!(texts[5], "sealed with RSA-OAEP-256 and A256CBC-HS512");
    }

    #[test]
    fn a_changed_token_is_not_opened() {
        for token in TOKENS.lines() {
            let parts: Vec<_> = token.split('.').collect();
            for changed in 0..5 {
                let mut parts: Vec<_> = parts.iter().map(|part| part.to_string()).collect();
                let other = if parts[changed].starts_with('A') {
                    "B"
                } else {
                    "A"
                };
                parts[changed].replace_range(..1, other);
                assert_eq!(opened(&parts.join(".")), None, "part {changed}");
                parts[changed].clear();
                assert_eq!(opened(&parts.join(".")), None, "without part {changed}");
            }
            assert_eq!(opened(&format!("{token}.")), None);
        }
    }

    #[test]
    fn a_header_that_means_something_else_is_refused() {
        let token = TOKENS.lines().next().unwrap();
        let (_, rest) = token.split_once('.').unwrap();
        for header in [
            r#"{"alg":"RSA-OAEP","enc":"A128GCM","zip":"DEF"}"#,
            r#"{"alg":"RSA-OAEP","enc":"A128GCM","crit":["x"]}"#,
            r#"{"alg":"RSA1_5","enc":"A128GCM"}"#,
            r#"{"alg":"dir","enc":"A128GCM"}"#,
            "[]",
        ] {
            let header = BASE64URL_NOPAD.encode(header.as_bytes());
            assert!(read(&format!("{header}.{rest}")).is_none());
        }
    }

    #[test]
    fn keys_are_read_from_pem_one_or_more() {
        assert_eq!(private_keys(KEY).len(), 1);
        assert_eq!(private_keys(&format!("{KEY}\n{KEY}")).len(), 2);
        for none in [
            "",
            "secret",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        ] {
            assert!(private_keys(none).is_empty());
        }
    }
}
