//! The host's randomness: as texts for nonces and verifiers, and as a generator for `rsa`.

use std::convert::Infallible;

use archstone_plugin::random;
use data_encoding::BASE64URL_NOPAD;
use rand_core::{TryCryptoRng, TryRng};

/// 256 bits that nobody guesses, as text.
pub fn unguessable() -> String {
    BASE64URL_NOPAD.encode(&random::bytes(32))
}

/// The host's generator.
pub struct HostRandom;

impl TryRng for HostRandom {
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
        for chunk in bytes.chunks_mut(4096) {
            chunk.copy_from_slice(&random::bytes(chunk.len() as u32));
        }
        Ok(())
    }
}

impl TryCryptoRng for HostRandom {}
