//! Times as the API writes and reads them: ISO 8601, UTC.

use chrono::{DateTime, NaiveDate, NaiveDateTime, SubsecRound, Utc};

pub(crate) use archstone_model::time::iso;

use crate::error::ApiError;

/// `2026-11-24T13:10:57.000000`: UTC all the same, as the ends of passwords and of application
/// credentials are written.
pub(crate) fn iso_without_zone(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%S%.6f").to_string()
}

/// A time with any zone, or with none, which is UTC; or a day's beginning.
pub(crate) fn read_iso(text: &str) -> Option<DateTime<Utc>> {
    let zoned = || DateTime::parse_from_rfc3339(text).ok();
    let day = || text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0);
    zoned()
        .map(|time| time.with_timezone(&Utc))
        .or_else(|| naive(text))
        .or_else(|| day().map(|time| time.and_utc()))
}

/// When something ends: a time in UTC, whether it says so or not, and in no other zone.
///
/// # Errors
/// 400 where it is not one.
pub(crate) fn expiry(text: &str) -> Result<DateTime<Utc>, ApiError> {
    naive(text.strip_suffix('Z').unwrap_or(text))
        .map(|time| time.trunc_subsecs(6))
        .ok_or_else(|| {
            ApiError::bad_request(
                "Timestamp not in expected format. The server could not comply with the request \
                 since it is either malformed or otherwise incorrect. The client is assumed to be \
                 in error.",
            )
        })
}

fn naive(text: &str) -> Option<DateTime<Utc>> {
    const FORMATS: [&str; 4] = [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M",
    ];
    FORMATS
        .into_iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .map(|time| time.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_in_any_zone() {
        let noon = read_iso("2030-01-01T12:00:00Z");
        assert!(noon.is_some());
        for same in ["2030-01-01T12:00:00", "2030-01-01T13:00:00.0+01:00"] {
            assert_eq!(read_iso(same), noon);
        }
        assert_eq!(read_iso("2030-01-01"), read_iso("2030-01-01T00:00:00Z"));
        assert_eq!(read_iso("soon"), None);
    }

    #[test]
    fn an_end_is_in_utc() -> Result<(), ApiError> {
        assert_eq!(
            expiry("2030-01-01T00:00:00")?,
            expiry("2030-01-01T00:00:00.000000Z")?
        );
        for not_utc in ["2030-01-01T01:00:00+01:00", "2030-01-01", "tomorrow", ""] {
            assert!(expiry(not_utc).is_err(), "{not_utc}");
        }
        Ok(())
    }
}
