//! Short-lived values, shared by all nodes: nonces, codes already used.

use std::time::Duration;

pub use crate::bindings::archstone::plugin::state::StateError;
use crate::{Denial, bindings::archstone::plugin::state, outcome::seconds};

/// Keeps a value, in place of one that had this key.
///
/// # Errors
/// [`StateError`]; `?` makes it a denial as unavailable.
pub fn put(key: &str, value: &str, time_to_live: Duration) -> Result<(), StateError> {
    state::put(key, value, seconds(time_to_live))
}

/// Gives a value and leaves it there.
///
/// # Errors
/// As for [`put`].
pub fn get(key: &str) -> Result<Option<String>, StateError> {
    state::get(key)
}

/// Takes a value away and gives it. Of several callers, one has it.
///
/// # Errors
/// As for [`put`].
pub fn take(key: &str) -> Result<Option<String>, StateError> {
    state::take(key)
}

/// Keeps a value unless the key is taken, and says whether it did. Of several callers, one hears
/// `true`.
///
/// # Errors
/// As for [`put`].
pub fn put_if_absent(key: &str, value: &str, time_to_live: Duration) -> Result<bool, StateError> {
    state::put_if_absent(key, value, seconds(time_to_live))
}

impl From<StateError> for Denial {
    fn from(error: StateError) -> Self {
        Self::unavailable(match error {
            StateError::Invalid => "the plugin asked the state store for something it cannot keep",
            StateError::Unavailable => "the state store does not answer",
        })
    }
}
