//! Keeping this node's plugins as the database says all nodes are to have them.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use archstone_model::plugin::DesiredPlugin;

use crate::{Identity, Result};

/// How often the database is looked at: what one node changes, the others have within two.
const EVERY: Duration = Duration::from_secs(1);
/// What failed is tried again after this: the fault may have been elsewhere.
const RETRY: Duration = Duration::from_secs(15);

/// Follows the database. Names that a plugin directory serves on this node are the directory's.
#[derive(Debug)]
pub struct PluginFollower {
    identity: Arc<Identity>,
    /// What this follower has published, or tried to.
    known: BTreeMap<String, Known>,
}

#[derive(Debug)]
struct Known {
    revision: i64,
    serves: bool,
    failed_at: Option<Instant>,
}

impl PluginFollower {
    pub fn new(identity: Arc<Identity>) -> Self {
        Self {
            identity,
            known: BTreeMap::new(),
        }
    }

    /// Follows for ever.
    pub async fn follow(mut self) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.refresh().await;
            self.identity.plugins.forget_retired();
        }
    }

    /// Looks once. A database that does not answer leaves plugins as they are.
    pub async fn refresh(&mut self) {
        match self.identity.store.desired_plugins().await {
            Ok(desired) => {
                for plugin in desired {
                    self.take_up(plugin).await;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the database does not tell which plugins to serve")
            }
        }
    }

    async fn take_up(&mut self, plugin: DesiredPlugin) {
        let name = plugin.name.clone();
        let known = self.known.get(&name);
        let ours = known.is_some_and(|known| known.serves);
        if !ours && self.identity.plugins.serves(&name) {
            return;
        }
        let settled = known.is_some_and(|known| {
            let waits = |at: Instant| at.elapsed() < RETRY;
            known.revision == plugin.revision && known.failed_at.is_none_or(waits)
        });
        if settled {
            return;
        }
        let revision = plugin.revision;
        let (serves, failed_at) = match self.publish(plugin, ours).await {
            Ok(serves) => (serves, None),
            Err(error) => {
                let reason = error
                    .reason()
                    .map_or_else(|| error.to_string(), str::to_owned);
                tracing::error!(
                    plugin = name,
                    reason,
                    "a plugin is not as the database says"
                );
                (ours, Some(Instant::now()))
            }
        };
        let known = Known {
            revision,
            serves,
            failed_at,
        };
        self.known.insert(name, known);
    }

    /// Says whether the plugin serves afterwards.
    async fn publish(&self, plugin: DesiredPlugin, ours: bool) -> Result<bool> {
        let registry = &self.identity.plugins;
        let Some(digest) = &plugin.digest else {
            if ours {
                registry.withdraw(&plugin.name);
            }
            return Ok(false);
        };
        let settings = self.identity.open_settings(&plugin)?;
        let artifact = self.identity.store.artifact(digest).await?;
        let candidate = registry
            .prepare(&plugin.name, artifact, settings)
            .await
            .map_err(crate::Error::internal)?;
        registry.publish(candidate);
        Ok(true)
    }
}
