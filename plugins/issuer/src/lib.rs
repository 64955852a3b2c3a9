//! What guests share that trust the tokens of an issuer: its metadata, its keys, and the checks of
//! a JWT (RFC 7519) by the rules of RFC 8725.

mod algorithm;
mod binding;
mod claims;
mod keys;
mod metadata;

pub use algorithm::{ALGORITHMS, Algorithm};
pub use binding::{Binding, BoundClaims};
pub use claims::{Claims, Expected};
pub use keys::{Jwt, Keys, for_signatures, kind};
pub use metadata::Metadata;

use archstone_plugin::signatures::{self, Hash};
use data_encoding::HEXLOWER;

/// A key of `state` for something of any length.
pub fn state_key(kind: &str, of: &str) -> String {
    let digest = signatures::digest(Hash::Sha256, of.as_bytes());
    format!("{kind}/{}", HEXLOWER.encode(&digest))
}
