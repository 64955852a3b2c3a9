//! Audited events on their way to a plugin that takes them out: kept in memory, in order, and never in
//! the way of what is audited.

use std::time::Duration;

use archstone_plugins::Registry;
use serde_json::Value;
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TrySendError};

/// How many events may wait. More are lost, and counted.
const WAITING: usize = 10_000;
/// How many go at once.
const BATCH: usize = 100;
/// How long the first of a batch waits for company.
const GATHERED_FOR: Duration = Duration::from_millis(200);
/// How often a batch is tried, with ever longer pauses, before it is lost.
const ATTEMPTS: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Where events for one plugin are put.
#[derive(Debug, Clone)]
pub(crate) struct Outbox {
    plugin: String,
    events: Sender<Value>,
}

/// Takes them to the plugin.
#[derive(Debug)]
pub(crate) struct Courier {
    plugin: String,
    events: Receiver<Value>,
}

/// An outbox for the plugin of this name, and who empties it.
pub(crate) fn to(plugin: &str) -> (Outbox, Courier) {
    let (sender, receiver) = channel(WAITING);
    let outbox = Outbox {
        plugin: plugin.to_owned(),
        events: sender,
    };
    let courier = Courier {
        plugin: plugin.to_owned(),
        events: receiver,
    };
    (outbox, courier)
}

impl Outbox {
    pub(super) fn put(&self, event: &Value) {
        match self.events.try_send(event.clone()) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => lost(&self.plugin, 1),
        }
    }
}

impl Courier {
    /// Delivers for ever. A batch that the plugin cannot deliver is tried again while others wait.
    pub(crate) async fn deliver(mut self, registry: Registry) {
        while let Some(first) = self.events.recv().await {
            let mut batch = vec![first];
            let gathered = tokio::time::sleep(GATHERED_FOR);
            tokio::pin!(gathered);
            while batch.len() < BATCH {
                tokio::select! {
                    event = self.events.recv() => match event {
                        Some(event) => batch.push(event),
                        None => break,
                    },
                    () = &mut gathered => break,
                }
            }
            self.deliver_batch(&registry, &batch).await;
        }
    }

    async fn deliver_batch(&self, registry: &Registry, batch: &[Value]) {
        let mut pause = FIRST_PAUSE;
        for attempt in 1..=ATTEMPTS {
            let reason = match registry.deliver(&self.plugin, batch).await {
                Ok(Ok(())) => return,
                Ok(Err(refusal)) if !refusal.again => {
                    tracing::error!(
                        plugin = self.plugin,
                        events = batch.len(),
                        reason = refusal.detail,
                        "events are refused by their sink, and lost"
                    );
                    return lost(&self.plugin, batch.len());
                }
                Ok(Err(refusal)) => refusal.detail,
                Err(error) => error.to_string(),
            };
            tracing::warn!(
                plugin = self.plugin,
                attempt,
                reason,
                "events are not delivered yet"
            );
            if attempt < ATTEMPTS {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        }
        tracing::error!(
            plugin = self.plugin,
            events = batch.len(),
            "events were tried often enough, and are lost"
        );
        lost(&self.plugin, batch.len());
    }
}

fn lost(plugin: &str, events: usize) {
    metrics::counter!("archstone_audit_events_lost_total", "plugin" => plugin.to_owned())
        .increment(events as u64);
}
