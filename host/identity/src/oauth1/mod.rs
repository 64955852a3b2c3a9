//! OAuth 1.0: a user lets a program, the consumer, act for them in a project with some of their roles.
//! The steps are those of RFC 5849: a request token, the user's authorization, an access token.

mod access_tokens;
mod consumers;
mod signature;
mod steps;

pub(crate) use self::signature::{OAuthFault, Signed};
pub use self::{
    consumers::{ConsumerChange, ConsumerCreation},
    signature::OAuthRequest,
    steps::IssuedOAuthToken,
};
