//! Signed, unencrypted tokens (`[token] provider = jws`): JSON Web Signatures
//! (RFC 7515) with ES256 (RFC 7518 section 3.4) and Keystone's claims.

use std::{
    fs, io,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use p256::{
    ecdsa::{
        Signature, SigningKey, VerifyingKey,
        signature::{Signer, Verifier},
    },
    elliptic_curve::Generate,
    pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, LineEnding},
};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tracing::warn;
use zeroize::Zeroizing;

use crate::{
    AuthMethods, DEFAULT_MAX_TOKEN_LENGTH, DecodedToken, GroupReference, OpenedToken, PayloadError,
    TokenError, TokenPayload, WritableByOthers, fingerprint::Fingerprint,
    permissions::refuse_writable_by_others, time,
};

/// What Keystone calls its private key's file, in `jws_private_key_repository`.
const PRIVATE_KEY_FILE: &str = "private.pem";
const PUBLIC_KEY_FILE: &str = "public.pem";

/// Why the key directories cannot be used. Never carries a key.
#[derive(Debug, Error)]
pub enum JwsKeyError {
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{} is not a P-256 private key in PKCS #8 PEM; make a pair with the create_jws_keypair command", .file.display())]
    InvalidPrivateKey { file: PathBuf },
    #[error("[jwt_tokens] jws_public_key_repository {} holds no P-256 public key in PEM; copy every node's public key there", .directory.display())]
    NoPublicKeys { directory: PathBuf },
    #[error("a new key pair could not be written as PEM")]
    NotEncodable,
    #[error(transparent)]
    WritableByOthers(#[from] WritableByOthers),
}

/// `[jwt_tokens] jws_private_key_repository` and `jws_public_key_repository`.
#[derive(Clone, Debug)]
pub struct JwsKeyRepository {
    pub private_directory: PathBuf,
    pub public_directory: PathBuf,
}

struct JwsKeys {
    signing: Option<SigningKey>,
    verifying: Vec<VerifyingKey>,
}

/// Seals with this node's private key, opens with every node's public key.
pub struct JwsTokens {
    methods: AuthMethods,
    max_length: usize,
    repository: JwsKeyRepository,
    keys: ArcSwap<JwsKeys>,
    loaded: Mutex<Fingerprint>,
}

/// A new key pair in PEM, as Keystone's `create_jws_keypair` makes.
pub struct JwsKeyPair {
    private: Zeroizing<String>,
    public: String,
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
    /// Extensions that a reader must understand (RFC 7515 section 4.1.11); there are
    /// none that this one does.
    #[serde(default, skip_serializing)]
    crit: Option<serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    iat: u64,
    exp: u64,
    openstack_methods: Vec<String>,
    openstack_audit_ids: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    openstack_system: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    openstack_domain_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    openstack_project_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    openstack_trust_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    openstack_group_ids: Option<Vec<GroupReference>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    openstack_idp_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    openstack_protocol_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    openstack_access_token_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    openstack_app_cred_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    openstack_thumbprint: Option<String>,
}

impl JwsTokens {
    /// Loads the keys. A node without a private key can open tokens but not seal any.
    ///
    /// # Errors
    /// [`JwsKeyError`] if a directory cannot be read or holds no usable public key.
    pub fn load(repository: JwsKeyRepository, methods: AuthMethods) -> Result<Self, JwsKeyError> {
        let fingerprint = repository.fingerprint()?;
        Ok(Self {
            methods,
            max_length: DEFAULT_MAX_TOKEN_LENGTH,
            keys: ArcSwap::from_pointee(repository.load()?),
            loaded: Mutex::new(fingerprint),
            repository,
        })
    }

    /// Refuses tokens of more than `max_length` characters.
    pub fn with_max_length(self, max_length: usize) -> Self {
        Self { max_length, ..self }
    }

    /// Loads the keys again if their files changed, and says whether it did.
    ///
    /// # Errors
    /// Those of [`load`](Self::load); the keys in use stay in use.
    pub fn reload_if_changed(&self) -> Result<bool, JwsKeyError> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let found = self.repository.fingerprint()?;
        if *loaded == found {
            return Ok(false);
        }
        self.keys.store(Arc::new(self.repository.load()?));
        *loaded = found;
        Ok(true)
    }

    /// Signs `payload` as issued at `now`, in whole seconds.
    ///
    /// # Errors
    /// [`TokenError::NoSigningKey`] if this node has no private key.
    pub fn seal(&self, payload: &TokenPayload, now: DateTime<Utc>) -> Result<String, TokenError> {
        let keys = self.keys.load();
        let signing = keys.signing.as_ref().ok_or(TokenError::NoSigningKey)?;
        let token = OpenedToken {
            payload: payload.clone(),
            issued_at: now,
        };
        let header = Header {
            alg: "ES256".to_owned(),
            typ: Some("JWT".to_owned()),
            crit: None,
        };
        let claims = Claims::from(DecodedToken::new(&token, &self.methods));
        let mut text = format!("{}.{}", encode(&header)?, encode(&claims)?);
        let signature: Signature = signing
            .try_sign(text.as_bytes())
            .map_err(|_| TokenError::NoSigningKey)?;
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(signature.to_bytes(), &mut text);
        Ok(text)
    }

    /// Opens a token that any of the public keys vouches for, expired or not.
    ///
    /// # Errors
    /// [`TokenError`] says why it is not a token of ours.
    pub fn open(&self, token: &str) -> Result<OpenedToken, TokenError> {
        let (length, limit) = (token.len(), self.max_length);
        if length > limit {
            return Err(TokenError::TooLong { length, limit });
        }
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::WrongForm)?;
        let (header, claims) = message.split_once('.').ok_or(TokenError::WrongForm)?;
        let header: Header = decode(header).ok_or(TokenError::WrongForm)?;
        if header.alg != "ES256" || header.crit.is_some() {
            return Err(TokenError::WrongForm);
        }
        let signature = URL_SAFE_NO_PAD
            .decode(signature)
            .ok()
            .and_then(|bytes| Signature::from_slice(&bytes).ok())
            .ok_or(TokenError::WrongForm)?;
        let keys = self.keys.load();
        let vouches = |key: &VerifyingKey| key.verify(message.as_bytes(), &signature).is_ok();
        if !keys.verifying.iter().any(vouches) {
            return Err(TokenError::NotRecognized);
        }
        let claims: Claims = decode(claims).ok_or(PayloadError::Malformed("claims"))?;
        DecodedToken::try_from(claims)?
            .into_token(&self.methods)
            .map_err(|_| PayloadError::Malformed("claims").into())
    }
}

impl std::fmt::Debug for JwsTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JwsTokens")
            .field("repository", &self.repository)
            .finish_non_exhaustive()
    }
}

impl JwsKeyRepository {
    fn load(&self) -> Result<JwsKeys, JwsKeyError> {
        let verifying = self
            .public_key_files()?
            .iter()
            .filter_map(|(path, _)| read_public_key(path).transpose())
            .collect::<Result<Vec<_>, _>>()?;
        if verifying.is_empty() {
            return Err(JwsKeyError::NoPublicKeys {
                directory: self.public_directory.clone(),
            });
        }
        Ok(JwsKeys {
            signing: self.private_key()?,
            verifying,
        })
    }

    fn private_key(&self) -> Result<Option<SigningKey>, JwsKeyError> {
        let file = self.private_directory.join(PRIVATE_KEY_FILE);
        let metadata = match fs::metadata(&file) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("inspect", &file)(error)),
        };
        refuse_writable_by_others(&file, &metadata)?;
        let pem = Zeroizing::new(fs::read_to_string(&file).map_err(failed("read", &file))?);
        SigningKey::from_pkcs8_pem(&pem)
            .map(Some)
            .map_err(|_| JwsKeyError::InvalidPrivateKey { file })
    }

    fn fingerprint(&self) -> Result<Fingerprint, JwsKeyError> {
        let mut files = self.public_key_files()?;
        let private = self.private_directory.join(PRIVATE_KEY_FILE);
        if let Ok(metadata) = fs::metadata(&private) {
            files.push((private, metadata));
        }
        Ok(Fingerprint::of(
            files.iter().map(|(path, file)| (path.as_path(), file)),
        ))
    }

    fn public_key_files(&self) -> Result<Vec<(PathBuf, fs::Metadata)>, JwsKeyError> {
        let directory = &self.public_directory;
        let metadata = fs::metadata(directory).map_err(failed("read", directory))?;
        refuse_writable_by_others(directory, &metadata)?;
        let mut files = Vec::new();
        for entry in fs::read_dir(directory).map_err(failed("read", directory))? {
            let path = entry.map_err(failed("list", directory))?.path();
            let metadata = fs::metadata(&path).map_err(failed("inspect", &path))?;
            if metadata.is_file() {
                files.push((path, metadata));
            }
        }
        Ok(files)
    }
}

/// `None`, with a warning, for a file that is something else.
fn read_public_key(path: &Path) -> Result<Option<VerifyingKey>, JwsKeyError> {
    let pem = fs::read(path).map_err(failed("read", path))?;
    let key = str::from_utf8(&pem)
        .ok()
        .and_then(|pem| VerifyingKey::from_public_key_pem(pem).ok());
    if key.is_none() {
        warn!(file = %path.display(), "ignoring a file that is not a P-256 public key in PEM");
    }
    Ok(key)
}

impl JwsKeyPair {
    /// A fresh P-256 key pair.
    ///
    /// # Errors
    /// [`JwsKeyError::NotEncodable`] if the operating system gives no randomness.
    pub fn generate() -> Result<Self, JwsKeyError> {
        let key = SigningKey::try_generate().map_err(|_| JwsKeyError::NotEncodable)?;
        let private = key.to_pkcs8_pem(LineEnding::LF);
        let public = key.verifying_key().to_public_key_pem(LineEnding::LF);
        Ok(Self {
            private: Zeroizing::new(private.map_err(|_| JwsKeyError::NotEncodable)?.to_string()),
            public: public.map_err(|_| JwsKeyError::NotEncodable)?,
        })
    }

    /// Writes `private.pem` and `public.pem` (mode 0600) into `directory`.
    ///
    /// # Errors
    /// [`JwsKeyError::Io`] if one exists already or cannot be written.
    pub fn write_to(&self, directory: &Path) -> Result<(), JwsKeyError> {
        write_new(&directory.join(PRIVATE_KEY_FILE), &self.private)?;
        write_new(&directory.join(PUBLIC_KEY_FILE), &self.public)
    }
}

impl std::fmt::Debug for JwsKeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JwsKeyPair")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

impl From<DecodedToken> for Claims {
    fn from(token: DecodedToken) -> Self {
        Self {
            sub: token.user_id,
            iat: time::to_seconds(token.issued_at),
            exp: time::to_seconds(token.expires_at),
            openstack_methods: token.methods,
            openstack_audit_ids: token.audit_ids,
            openstack_system: token.system,
            openstack_domain_id: token.domain_id,
            openstack_project_id: token.project_id,
            openstack_trust_id: token.trust_id,
            openstack_group_ids: token.federated_group_ids,
            openstack_idp_id: token.identity_provider_id,
            openstack_protocol_id: token.protocol_id,
            openstack_access_token_id: token.access_token_id,
            openstack_app_cred_id: token.app_cred_id,
            openstack_thumbprint: token.thumbprint,
        }
    }
}

impl TryFrom<Claims> for DecodedToken {
    type Error = PayloadError;

    fn try_from(claims: Claims) -> Result<Self, PayloadError> {
        Ok(Self {
            user_id: claims.sub,
            methods: claims.openstack_methods,
            audit_ids: claims.openstack_audit_ids,
            system: claims.openstack_system,
            domain_id: claims.openstack_domain_id,
            project_id: claims.openstack_project_id,
            trust_id: claims.openstack_trust_id,
            federated_group_ids: claims.openstack_group_ids,
            identity_provider_id: claims.openstack_idp_id,
            protocol_id: claims.openstack_protocol_id,
            access_token_id: claims.openstack_access_token_id,
            app_cred_id: claims.openstack_app_cred_id,
            thumbprint: claims.openstack_thumbprint,
            issued_at: time::from_seconds(claims.iat)?,
            expires_at: time::from_seconds(claims.exp)?,
        })
    }
}

fn encode(part: &impl Serialize) -> Result<String, TokenError> {
    let json = serde_json::to_vec(part).map_err(|_| PayloadError::Malformed("claims"))?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}

fn decode<T: for<'de> Deserialize<'de>>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

fn write_new(path: &Path, text: &str) -> Result<(), JwsKeyError> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(failed("create", path))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(failed("write", path))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JwsKeyError {
    let path = path.to_owned();
    move |source| JwsKeyError::Io {
        action,
        path,
        source,
    }
}
