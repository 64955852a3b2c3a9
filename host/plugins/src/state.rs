//! Where plugins keep short-lived values between the steps of a login.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use thiserror::Error;

/// The store does not answer. The text is for the log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the state store does not answer: {0}")]
pub struct StateUnavailable(pub String);

/// Short-lived values by scope and key. Scopes are at most 64 characters, keys at most 128, values
/// at most 64 KiB.
#[async_trait]
pub trait StateStore: Send + Sync + std::fmt::Debug {
    /// Keeps a value for `ttl`, in place of one that was there.
    async fn put(
        &self,
        scope: &str,
        key: &str,
        value: &str,
        ttl: Duration,
    ) -> Result<(), StateUnavailable>;

    /// Gives a value and leaves it there, if it has not expired.
    async fn get(&self, scope: &str, key: &str) -> Result<Option<String>, StateUnavailable>;

    /// Takes a value away and gives it, if it has not expired. Of several callers, one has it.
    async fn take(&self, scope: &str, key: &str) -> Result<Option<String>, StateUnavailable>;

    /// Keeps a value unless there is one that has not expired; says whether it did. Of several
    /// callers, one hears `true`.
    async fn put_if_absent(
        &self,
        scope: &str,
        key: &str,
        value: &str,
        ttl: Duration,
    ) -> Result<bool, StateUnavailable>;
}

/// State in this process alone: for tests and for a server that is the only one.
#[derive(Debug, Default)]
pub struct MemoryState {
    values: Mutex<HashMap<(String, String), Kept>>,
}

#[derive(Debug)]
struct Kept {
    value: String,
    until: Instant,
}

impl MemoryState {
    fn with<T>(&self, work: impl FnOnce(&mut HashMap<(String, String), Kept>) -> T) -> T {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        values.retain(|_, kept| kept.until > now);
        work(&mut values)
    }
}

#[async_trait]
impl StateStore for MemoryState {
    async fn put(
        &self,
        scope: &str,
        key: &str,
        value: &str,
        ttl: Duration,
    ) -> Result<(), StateUnavailable> {
        self.with(|values| values.insert(name(scope, key), kept(value, ttl)));
        Ok(())
    }

    async fn get(&self, scope: &str, key: &str) -> Result<Option<String>, StateUnavailable> {
        Ok(self.with(|values| values.get(&name(scope, key)).map(|kept| kept.value.clone())))
    }

    async fn take(&self, scope: &str, key: &str) -> Result<Option<String>, StateUnavailable> {
        Ok(self.with(|values| values.remove(&name(scope, key)).map(|kept| kept.value)))
    }

    async fn put_if_absent(
        &self,
        scope: &str,
        key: &str,
        value: &str,
        ttl: Duration,
    ) -> Result<bool, StateUnavailable> {
        use std::collections::hash_map::Entry;
        Ok(self.with(|values| match values.entry(name(scope, key)) {
            Entry::Occupied(_) => false,
            Entry::Vacant(free) => {
                free.insert(kept(value, ttl));
                true
            }
        }))
    }
}

fn name(scope: &str, key: &str) -> (String, String) {
    (scope.to_owned(), key.to_owned())
}

fn kept(value: &str, ttl: Duration) -> Kept {
    Kept {
        value: value.to_owned(),
        until: Instant::now() + ttl,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_value_can_be_read_often_and_taken_once() {
        let state = MemoryState::default();
        state
            .put("a", "k", "v", Duration::from_secs(9))
            .await
            .unwrap();
        assert_eq!(state.get("b", "k").await, Ok(None));
        assert_eq!(state.get("a", "k").await, Ok(Some("v".to_owned())));
        assert_eq!(state.take("b", "k").await, Ok(None));
        assert_eq!(state.take("a", "k").await, Ok(Some("v".to_owned())));
        assert_eq!(state.take("a", "k").await, Ok(None));
    }

    #[tokio::test]
    async fn a_key_is_claimed_once_until_it_expires() {
        let state = MemoryState::default();
        let short = Duration::from_millis(20);
        assert_eq!(state.put_if_absent("a", "k", "v", short).await, Ok(true));
        assert_eq!(state.put_if_absent("a", "k", "v", short).await, Ok(false));
        tokio::time::sleep(short * 2).await;
        assert_eq!(state.put_if_absent("a", "k", "v", short).await, Ok(true));
    }
}
