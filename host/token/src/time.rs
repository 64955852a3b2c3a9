//! Whole seconds since the epoch, the only precision that tokens carry.

use chrono::{DateTime, Utc};

use crate::PayloadError;

/// 9999-12-31T23:59:59Z, the last second that the API's time format can show.
const LAST_SECOND: i64 = 253_402_300_799;

pub(crate) fn from_seconds(seconds: u64) -> Result<DateTime<Utc>, PayloadError> {
    i64::try_from(seconds)
        .ok()
        .filter(|seconds| *seconds <= LAST_SECOND)
        .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
        .ok_or(PayloadError::Malformed("time"))
}

/// Floors `seconds` as Keystone does when it shows the time.
pub(crate) fn from_float(seconds: f64) -> Result<DateTime<Utc>, PayloadError> {
    if !(0.0..=LAST_SECOND as f64).contains(&seconds) {
        return Err(PayloadError::Malformed("time"));
    }
    from_seconds(seconds as u64)
}

/// Seconds since the epoch; times before it become the epoch.
pub(crate) fn to_seconds(time: DateTime<Utc>) -> u64 {
    u64::try_from(time.timestamp()).unwrap_or(0)
}

/// `2026-11-24T06:17:20.000000Z`: six digits and `Z`, as in every Keystone body.
pub(crate) mod iso {
    use chrono::{DateTime, SecondsFormat, Utc};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(
        time: &DateTime<Utc>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Micros, true))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<DateTime<Utc>, D::Error> {
        let text = String::deserialize(deserializer)?;
        DateTime::parse_from_rfc3339(&text)
            .map(|time| time.to_utc())
            .map_err(D::Error::custom)
    }
}
