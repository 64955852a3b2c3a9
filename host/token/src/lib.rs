//! Tokens that Keystone can open and Keystone's tokens opened: Fernet and JWS
//! tokens, authentication receipts, encrypted credentials and the key
//! repositories behind them.
//!
//! The clock is always a parameter, and so is randomness where a test needs the
//! same bytes twice. The only input and output is the key directory.

mod audit;
mod credential;
mod decoded;
mod error;
mod fernet;
mod fingerprint;
mod jws;
mod key_ring;
mod keys;
mod methods;
mod msgpack;
mod packed_id;
mod payload;
mod permissions;
mod receipt;
mod repository;
mod time;
mod token;

pub use audit::{AuditId, AuditIds, InvalidAuditId};
pub use credential::{CredentialCipher, CredentialError, EncryptedCredential};
pub use decoded::{DecodedReceipt, DecodedToken, GroupReference, InvalidDecodedToken};
pub use error::{PayloadError, TokenError};
pub use jws::{JwsKeyError, JwsKeyPair, JwsKeyRepository, JwsTokens};
pub use key_ring::KeyRing;
pub use keys::{InvalidKey, KeySet};
pub use methods::{AuthMethods, Methods, TooManyMethods};
pub use payload::{Federation, TokenKind, TokenPayload};
pub use permissions::WritableByOthers;
pub use receipt::{OpenedReceipt, ReceiptPayload, Receipts};
pub use repository::{KeyPurpose, KeyRepository, KeyRepositoryError, Owner, Rotation, Setup};
pub use token::{DEFAULT_MAX_TOKEN_LENGTH, FernetTokens, OpenedToken, TokenKeysError, TokenSealer};
