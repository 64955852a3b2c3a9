//! What plugins keep between the steps of a login, in the database, so that any node can go on.

use std::time::Duration;

use archstone_model::clock::Clock;
use archstone_plugins::{StateStore, StateUnavailable};
use archstone_store::Store;
use async_trait::async_trait;
use chrono::TimeDelta;

/// Plugin state in the database.
#[derive(Debug, Clone)]
pub struct SharedState {
    store: Store,
    clock: Clock,
}

impl SharedState {
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }
}

pub(crate) fn delta(ttl: Duration) -> TimeDelta {
    TimeDelta::from_std(ttl).unwrap_or(TimeDelta::MAX)
}

fn unavailable(error: archstone_store::Error) -> StateUnavailable {
    StateUnavailable(error.to_string())
}

#[async_trait]
impl StateStore for SharedState {
    async fn put(
        &self,
        scope: &str,
        key: &str,
        value: &str,
        ttl: Duration,
    ) -> Result<(), StateUnavailable> {
        let expires_at = self.clock.now() + delta(ttl);
        self.store
            .put_state(scope, key, value, expires_at)
            .await
            .map_err(unavailable)
    }

    async fn get(&self, scope: &str, key: &str) -> Result<Option<String>, StateUnavailable> {
        self.store
            .state(scope, key, self.clock.now())
            .await
            .map_err(unavailable)
    }

    async fn take(&self, scope: &str, key: &str) -> Result<Option<String>, StateUnavailable> {
        self.store
            .take_state(scope, key, self.clock.now())
            .await
            .map_err(unavailable)
    }

    async fn put_if_absent(
        &self,
        scope: &str,
        key: &str,
        value: &str,
        ttl: Duration,
    ) -> Result<bool, StateUnavailable> {
        let now = self.clock.now();
        self.store
            .put_state_if_absent(scope, key, value, now, now + delta(ttl))
            .await
            .map_err(unavailable)
    }
}
