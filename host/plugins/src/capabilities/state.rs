//! `state`: short-lived values of one method, in the store that all nodes share.

use std::time::Duration;

use crate::{
    Digest, StateUnavailable,
    bindings::archstone::plugin::state::{self, StateError},
    call::Call,
    capabilities::CALLS,
};

const LONGEST_KEY: usize = 128;
const LONGEST_VALUE: usize = 16 << 10;
const LONGEST_LIFE: u32 = 24 * 60 * 60;

impl state::Host for Call {
    async fn put(&mut self, key: String, value: String, seconds: u32) -> Result<(), StateError> {
        let key = self.stored_key(&key)?;
        check(&value, seconds)?;
        let state = self.granted.runtime.state();
        let kept = state.put(&self.scope(), &key, &value, ttl(seconds)).await;
        self.trace("put", &key, kept.as_ref().map(|()| "kept"));
        kept.map_err(|error| self.unavailable(error))
    }

    async fn get(&mut self, key: String) -> Result<Option<String>, StateError> {
        let key = self.stored_key(&key)?;
        let state = self.granted.runtime.state();
        let found = state.get(&self.scope(), &key).await;
        found.map_err(|error| self.unavailable(error))
    }

    async fn take(&mut self, key: String) -> Result<Option<String>, StateError> {
        let key = self.stored_key(&key)?;
        let state = self.granted.runtime.state();
        let taken = state.take(&self.scope(), &key).await;
        let told = taken.as_ref().map(|taken| match taken {
            Some(_) => "there",
            None => "nothing",
        });
        self.trace("take", &key, told);
        taken.map_err(|error| self.unavailable(error))
    }

    async fn put_if_absent(
        &mut self,
        key: String,
        value: String,
        seconds: u32,
    ) -> Result<bool, StateError> {
        let key = self.stored_key(&key)?;
        check(&value, seconds)?;
        let state = self.granted.runtime.state();
        let kept = state
            .put_if_absent(&self.scope(), &key, &value, ttl(seconds))
            .await;
        let told = kept.as_ref().map(|kept| match kept {
            true => "kept",
            false => "the key is taken",
        });
        self.trace("put-if-absent", &key, told);
        kept.map_err(|error| self.unavailable(error))
    }
}

impl Call {
    fn scope(&self) -> String {
        format!("plugin/{}", self.granted.namespace)
    }

    /// Keys are stored as digests: databases compare text in ways of their own (case, trailing
    /// blanks), and a plugin must be able to rely on its keys.
    fn stored_key(&self, key: &str) -> Result<String, StateError> {
        match key.len() {
            1..=LONGEST_KEY => Ok(Digest::of(key.as_bytes()).to_string()),
            _ => Err(StateError::Invalid),
        }
    }

    /// Keys can be secret (a one-time code), so that it is the stored one that is told.
    fn trace(&self, what: &str, stored_key: &str, outcome: Result<&str, &StateUnavailable>) {
        let key = stored_key.get(..8).unwrap_or_default();
        let outcome = outcome.unwrap_or("unavailable");
        tracing::trace!(target: CALLS, plugin = self.granted.method, "state {what} #{key}: {outcome}");
    }

    fn unavailable(&self, error: StateUnavailable) -> StateError {
        tracing::error!(plugin = self.granted.method, %error, "a plugin cannot reach its state");
        StateError::Unavailable
    }
}

fn check(value: &str, seconds: u32) -> Result<(), StateError> {
    let valid = value.len() <= LONGEST_VALUE && (1..=LONGEST_LIFE).contains(&seconds);
    valid.then_some(()).ok_or(StateError::Invalid)
}

fn ttl(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}
