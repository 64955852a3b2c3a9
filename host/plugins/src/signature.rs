//! Signatures of artifacts: who vouches for a plugin. A signature is the artifact's last section, so
//! that a signed plugin is one file with one digest, wherever it is kept.
//!
//! The section is a custom one, `archstone-signature`: the key's id (32 bytes) and an Ed25519
//! signature (64 bytes) of everything before the section. Another signature may follow, over the
//! first one too.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::{
    rand::SystemRandom,
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer, pem::PemObject};
use thiserror::Error;

use crate::Digest;

/// A custom section (0) of 116 bytes, whose name has 19.
const HEADER: &[u8; 22] = b"\0\x74\x13archstone-signature";
const SIGNATURE: usize = 64;
const KEY: usize = 32;
const SECTION: usize = HEADER.len() + KEY + SIGNATURE;

/// What stands before an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410).
const SPKI: &[u8; 12] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

/// How a component begins: the magic number, the version, the layer.
const COMPONENT: &[u8; 8] = b"\0asm\x0d\0\x01\0";

/// Names a public key: its SHA-256 digest.
pub type KeyId = Digest;

/// Why an artifact is not loaded where plugins have to be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SignatureError {
    #[error("it is not signed; sign it with `archstone plugin sign COMPONENT --key FILE`")]
    Unsigned,

    #[error(
        "it was signed by the key {}, which is not among [archstone] plugin_signers; add that \
         public key there, or sign the component with a key that is there", .0.short()
    )]
    UnknownSigner(KeyId),

    #[error(
        "the signature of the key {} does not hold: the component was changed after it was signed; \
         get it again from who signed it", .0.short()
    )]
    Forged(KeyId),
}

/// Why keys cannot be used, or an artifact not signed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyError {
    #[error("cannot read {}: {source}", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },

    #[error("{} holds no Ed25519 public key in PEM", .path.display())]
    NoPublicKey { path: PathBuf },

    #[error("{} holds no Ed25519 private key in PEM (PKCS#8)", .path.display())]
    NoPrivateKey { path: PathBuf },

    #[error("there is no public key in {}", .path.display())]
    NoSigners { path: PathBuf },

    #[error("this is no component")]
    NoComponent,

    #[error("the system has no randomness to make a key of")]
    NoRandomness,
}

/// The public keys of those whose plugins are loaded.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Signers(BTreeMap<KeyId, [u8; KEY]>);

impl fmt::Debug for Signers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Signers {
    /// Reads public keys (PEM, as `openssl pkey -pubout` writes them): all in a file, or in the
    /// `*.pub` and `*.pem` files of a directory.
    ///
    /// # Errors
    /// [`KeyError`], if there is none, or a file holds something else.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let unreadable = |source| KeyError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let mut signers = Self::default();
        if !path.is_dir() {
            signers.read_file(path)?;
        } else {
            for entry in fs::read_dir(path).map_err(unreadable)? {
                let file = entry.map_err(unreadable)?.path();
                let ending = file.extension().and_then(|ending| ending.to_str());
                if matches!(ending, Some("pub" | "pem")) {
                    signers.read_file(&file)?;
                }
            }
        }
        match signers.0.is_empty() {
            true => Err(KeyError::NoSigners {
                path: path.to_owned(),
            }),
            false => Ok(signers),
        }
    }

    /// The keys' ids.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.0.keys().copied()
    }

    fn read_file(&mut self, path: &Path) -> Result<(), KeyError> {
        let none = || KeyError::NoPublicKey {
            path: path.to_owned(),
        };
        let text = fs::read(path).map_err(|source| KeyError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let before = self.0.len();
        for key in SubjectPublicKeyInfoDer::pem_slice_iter(&text) {
            let key = key.map_err(|_| none())?;
            let bytes = key.strip_prefix(SPKI).ok_or_else(none)?;
            self.0
                .insert(Digest::of(bytes), bytes.try_into().map_err(|_| none())?);
        }
        match self.0.len() > before || text.is_empty() {
            true => Ok(()),
            false => Err(none()),
        }
    }

    /// Who of these signed the artifact as it is. Signatures by others, on top of theirs, do no harm.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(&self, artifact: &[u8]) -> Result<KeyId, SignatureError> {
        let mut stranger = None;
        let mut rest = artifact;
        while let Some((signed, signature)) = Signature::take_last(rest) {
            let Some(key) = self.0.get(&signature.signer) else {
                stranger.get_or_insert(signature.signer);
                rest = signed;
                continue;
            };
            return match UnparsedPublicKey::new(&ED25519, key).verify(signed, signature.bytes) {
                Ok(()) => Ok(signature.signer),
                Err(_) => Err(SignatureError::Forged(signature.signer)),
            };
        }
        Err(stranger.map_or(SignatureError::Unsigned, SignatureError::UnknownSigner))
    }
}

/// Who claims to have signed an artifact, the last first. Nothing about it has been checked.
pub fn claimed_signers(artifact: &[u8]) -> Vec<KeyId> {
    let mut rest = artifact;
    std::iter::from_fn(|| {
        let (signed, signature) = Signature::take_last(rest)?;
        rest = signed;
        Some(signature.signer)
    })
    .collect()
}

struct Signature<'a> {
    signer: KeyId,
    bytes: &'a [u8],
}

impl<'a> Signature<'a> {
    /// The signature that an artifact ends with, and what is before it.
    fn take_last(artifact: &'a [u8]) -> Option<(&'a [u8], Self)> {
        let (signed, section) = artifact.split_at_checked(artifact.len().checked_sub(SECTION)?)?;
        let body = section.strip_prefix(HEADER)?;
        let (signer, bytes) = body.split_at_checked(KEY)?;
        let signer = Digest::from_bytes(signer.try_into().ok()?);
        Some((signed, Self { signer, bytes }))
    }
}

/// A private key that artifacts are signed with.
pub struct SigningKey(Ed25519KeyPair);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.id()).finish()
    }
}

/// A key that was just made, as the texts of its two files.
pub struct NewKey {
    pub id: KeyId,
    /// PKCS#8 in PEM. For its owner's eyes alone.
    pub private: archstone_model::secret::Secret,
    /// SubjectPublicKeyInfo in PEM.
    pub public: String,
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl SigningKey {
    /// Makes a key.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`].
    pub fn generate() -> Result<NewKey, KeyError> {
        let random = SystemRandom::new();
        let document =
            Ed25519KeyPair::generate_pkcs8(&random).map_err(|_| KeyError::NoRandomness)?;
        let key = Ed25519KeyPair::from_pkcs8(document.as_ref())
            .map(Self)
            .map_err(|_| KeyError::NoRandomness)?;
        let public = [SPKI, key.0.public_key().as_ref()].concat();
        Ok(NewKey {
            id: key.id(),
            private: pem("PRIVATE KEY", document.as_ref()).into(),
            public: pem("PUBLIC KEY", &public),
        })
    }

    /// Reads a private key: PKCS#8 in PEM, by [`Self::generate`] or `openssl genpkey`.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let none = || KeyError::NoPrivateKey {
            path: path.to_owned(),
        };
        let text = fs::read(path).map_err(|source| KeyError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let document = PrivatePkcs8KeyDer::from_pem_slice(&text).map_err(|_| none())?;
        // OpenSSL leaves the public key out of the document.
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(document.secret_pkcs8_der())
            .map(Self)
            .map_err(|_| none())
    }

    pub fn id(&self) -> KeyId {
        Digest::of(self.0.public_key().as_ref())
    }

    /// The artifact with a signature of this key at its end. One that ends with it already is left
    /// as it is.
    ///
    /// # Errors
    /// [`KeyError::NoComponent`].
    pub fn sign(&self, mut artifact: Vec<u8>) -> Result<Vec<u8>, KeyError> {
        if !artifact.starts_with(COMPONENT) {
            return Err(KeyError::NoComponent);
        }
        if let Some((signed, signature)) = Signature::take_last(&artifact)
            && signature.signer == self.id()
        {
            artifact.truncate(signed.len());
        }
        let signature = self.0.sign(&artifact);
        artifact.extend_from_slice(HEADER);
        artifact.extend_from_slice(&self.id().bytes());
        artifact.extend_from_slice(signature.as_ref());
        Ok(artifact)
    }
}

fn pem(label: &str, document: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    let encoded = STANDARD.encode(document);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}
