//! Times as Keystone writes them: ISO 8601, UTC.

use chrono::{DateTime, SecondsFormat, Utc};

/// `2026-11-24T13:10:57.000000Z`
pub fn iso(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// `2026-11-24T13:10:57Z`
pub fn iso_seconds(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_is_written_in_six_digits_or_not_at_all() {
        let time = DateTime::from_timestamp(1_764_000_000, 5_999).unwrap();
        assert_eq!(iso(time), "2025-11-24T16:00:00.000005Z");
        assert_eq!(iso_seconds(time), "2025-11-24T16:00:00Z");
    }
}
