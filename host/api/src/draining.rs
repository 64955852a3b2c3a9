//! Whether this server is about to stop, which a load balancer learns from `/healthcheck`.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Shared by whoever decides to stop and those who tell clients.
#[derive(Debug, Clone, Default)]
pub struct Draining(Arc<AtomicBool>);

impl Draining {
    /// From now on clients are sent elsewhere.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
