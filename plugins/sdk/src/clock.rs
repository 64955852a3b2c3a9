//! The time.

use std::time::Duration;

use crate::bindings::archstone::plugin::clock;

/// The time since 1970-01-01T00:00:00Z.
pub fn now() -> Duration {
    let now = clock::now();
    Duration::new(now.seconds, now.nanoseconds)
}
