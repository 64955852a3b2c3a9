//! Why a token or receipt is refused. No variant ever carries the token itself.

use thiserror::Error;

/// Why [`open`](crate::TokenSealer::open) refused a token or receipt, or why it
/// could not be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// Longer than the configured maximum; nothing of it was looked at.
    #[error("the token is {length} characters long and this server reads at most {limit}")]
    TooLong { length: usize, limit: usize },
    /// Not the text form of this kind of token.
    #[error("this does not have the form of a token")]
    WrongForm,
    /// The right form, but none of the active keys sealed it: forged, altered, or
    /// sealed with a key that rotation has purged.
    #[error("none of the active keys sealed this token")]
    NotRecognized,
    /// Sealed by one of our keys, but the contents are not a payload we know.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// This server holds public keys only.
    #[error(
        "there is no private key to sign tokens with; create `private.pem` in [jwt_tokens] jws_private_key_repository"
    )]
    NoSigningKey,
}

/// Why the contents of an authentic token could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PayloadError {
    /// A payload version that Keystone 30 does not define.
    #[error("payload version {0} is unknown; a newer server may have made this token")]
    UnknownVersion(u64),
    /// Not the layout of its version; names the field.
    #[error("the token's payload is malformed at its {0}")]
    Malformed(&'static str),
}
