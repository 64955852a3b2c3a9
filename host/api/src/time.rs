//! Times as the API writes them: ISO 8601, UTC, microseconds.

use chrono::{DateTime, Utc};

/// `2026-11-24T13:10:57.000000Z`
pub(crate) fn iso(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}
