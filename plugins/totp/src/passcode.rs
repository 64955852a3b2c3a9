//! Passcodes: HOTP (RFC 4226) over the number of the present time window (RFC 6238).

use std::{ops::RangeInclusive, time::Duration};

use archstone_plugin::signatures::{self, Hash};
use data_encoding::BASE32_NOPAD;

/// How long a window lasts.
pub const PERIOD: Duration = Duration::from_secs(30);
const DIGITS: u32 = 6;

/// A time window, by its number.
#[derive(Debug, Clone, Copy)]
pub struct Window(u64);

impl Window {
    pub fn at(time: Duration) -> Self {
        Self(time.as_secs() / PERIOD.as_secs())
    }

    /// This window and so many before it.
    pub fn back_to(self, previous: u64) -> RangeInclusive<u64> {
        self.0.saturating_sub(previous)..=self.0
    }
}

/// The key that the user's device has too.
pub struct SharedSecret(Vec<u8>);

impl SharedSecret {
    /// Reads base32 (RFC 4648), padded or not, as Keystone does: capital letters only.
    pub fn from_base32(text: &str) -> Option<Self> {
        let digits = text.trim_end_matches('=');
        BASE32_NOPAD.decode(digits.as_bytes()).ok().map(Self)
    }

    /// The window whose passcode this is. Every window is compared, in constant time.
    pub fn window_of(&self, passcode: &str, windows: RangeInclusive<u64>) -> Option<u64> {
        windows.rev().fold(None, |found, window| {
            let right = self.passcode(window);
            let same = signatures::equal(right.as_bytes(), passcode.as_bytes());
            found.or(same.then_some(window))
        })
    }

    fn passcode(&self, window: u64) -> String {
        let code = signatures::hmac(Hash::Sha1, &self.0, &window.to_be_bytes());
        let number = truncate(&code) % 10_u32.pow(DIGITS);
        format!("{number:0width$}", width = DIGITS as usize)
    }
}

/// Dynamic truncation (RFC 4226 section 5.3): four bytes from where the last one points, without
/// the sign.
fn truncate(code: &[u8]) -> u32 {
    let offset = code.last().map_or(0, |last| usize::from(last & 0xf));
    let four = code.iter().skip(offset).take(4);
    four.fold(0, |number, byte| number << 8 | u32::from(*byte)) & 0x7fff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_rfc_4226_is_truncated_as_it_shows() {
        let code = [
            0x1f, 0x86, 0x98, 0x69, 0x0e, 0x02, 0xca, 0x16, 0x61, 0x85, 0x50, 0xef, 0x7f, 0x19,
            0xda, 0x8e, 0x94, 0x5b, 0x55, 0x5a,
        ];
        assert_eq!(truncate(&code), 0x50ef_7f19);
    }

    #[test]
    fn a_secret_is_capital_base32_with_or_without_padding() {
        let key = |text| SharedSecret::from_base32(text).map(|secret| secret.0);
        assert_eq!(key("MZXW6YQ="), Some(b"foob".to_vec()));
        assert_eq!(key("MZXW6YQ"), Some(b"foob".to_vec()));
        assert_eq!(key("mzxw6yq"), None);
        assert_eq!(key("not base32!"), None);
    }

    #[test]
    fn windows_are_counted_back_and_never_before_the_first() {
        let seconds = Duration::from_secs;
        assert_eq!(Window::at(seconds(89)).back_to(1), 1..=2);
        assert_eq!(Window::at(seconds(31)).back_to(10), 0..=1);
    }
}
