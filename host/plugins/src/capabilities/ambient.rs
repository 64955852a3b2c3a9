//! `clock`, `random`, `log` and `secrets`: what every plugin has.

use rand::RngCore;

use crate::{
    bindings::archstone::plugin::{clock, log, random, secrets},
    call::Call,
    capabilities::CALLS,
};

/// How many messages one call may log.
pub(crate) const LOG_MESSAGES: u32 = 64;
const LONGEST_MESSAGE: usize = 4 << 10;
const MOST_RANDOM_BYTES: u32 = 4096;

impl clock::Host for Call {
    fn now(&mut self) -> clock::Instant {
        let now = self.granted.runtime.clock().now();
        tracing::trace!(target: CALLS, plugin = self.granted.method, "clock now: {now}");
        clock::Instant {
            seconds: now.timestamp().try_into().unwrap_or(0),
            nanoseconds: now.timestamp_subsec_nanos(),
        }
    }
}

impl random::Host for Call {
    fn bytes(&mut self, count: u32) -> Vec<u8> {
        tracing::trace!(target: CALLS, plugin = self.granted.method, "random bytes: {count}");
        let mut bytes = vec![0; count.min(MOST_RANDOM_BYTES) as usize];
        rand::rng().fill_bytes(&mut bytes);
        bytes
    }
}

impl log::Host for Call {
    fn write(&mut self, level: log::Level, mut message: String) {
        let Some(left) = self.messages_left.checked_sub(1) else {
            return;
        };
        self.messages_left = left;
        message.truncate(message.floor_char_boundary(LONGEST_MESSAGE));
        let plugin = self.granted.method.as_str();
        match level {
            log::Level::Debug => tracing::debug!(target: "archstone::plugin", plugin, "{message}"),
            log::Level::Info => tracing::info!(target: "archstone::plugin", plugin, "{message}"),
            log::Level::Warn => tracing::warn!(target: "archstone::plugin", plugin, "{message}"),
            log::Level::Error => tracing::error!(target: "archstone::plugin", plugin, "{message}"),
        }
    }
}

impl secrets::Host for Call {
    fn get(&mut self, field: String) -> Option<String> {
        let secret = self.granted.secrets.get(&field);
        tracing::trace!(target: CALLS, plugin = self.granted.method, "secrets get {field:?}: {}", match secret {
            Some(_) => "there",
            None => "not set",
        });
        // The plugin is whom the operator gave this secret.
        secret.map(|secret| secret.expose().to_owned())
    }
}
