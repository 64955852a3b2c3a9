//! Randomness good enough for keys and nonces.

use crate::bindings::archstone::plugin::random;

/// That many random bytes, at most 4096.
pub fn bytes(count: u32) -> Vec<u8> {
    random::bytes(count)
}
