//! Times as the API writes them: ISO 8601, UTC, microseconds.

use chrono::{DateTime, Utc};

/// `2026-11-24T13:10:57.000000Z`
pub(crate) fn iso(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// `2026-11-24T13:10:57.000000`: UTC all the same, as the ends of passwords and of application
/// credentials are written.
pub(crate) fn iso_without_zone(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%S%.6f").to_string()
}
