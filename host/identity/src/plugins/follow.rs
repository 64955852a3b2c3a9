//! Keeping this node's plugins as the database says all nodes are to have them.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use archstone_model::plugin::DesiredPlugin;
use archstone_plugins::Candidate;
use tokio::sync::Mutex;

use crate::{Identity, Result};

/// How often the database is looked at. What one node changes, the others have within two seconds, of which
/// the rest is for compiling it.
const EVERY: Duration = Duration::from_millis(500);
/// What failed is tried again after this: the fault may have been elsewhere.
const RETRY: Duration = Duration::from_secs(15);

/// What this node has published of what the database says, or tried to, by name.
pub(crate) type Followed = Mutex<BTreeMap<String, Known>>;

#[derive(Debug)]
pub(crate) struct Known {
    revision: i64,
    serves: bool,
    failed_at: Option<Instant>,
}

/// Names that a plugin directory serves on this node are the directory's.
impl Identity {
    /// Follows the database for ever.
    pub async fn follow_plugins(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.refresh_plugins().await;
            self.plugins.forget_retired();
        }
    }

    /// Looks once. A database that does not answer leaves plugins as they are.
    pub async fn refresh_plugins(&self) {
        let desired = match self.store.desired_plugins().await {
            Ok(desired) => desired,
            Err(error) => {
                tracing::warn!(%error, "the database does not tell which plugins to serve");
                return;
            }
        };
        for plugin in desired {
            self.take_up(plugin, None).await;
        }
    }

    /// Makes a plugin what it is to be, with what may have been prepared for it already. What fails is
    /// tried again later.
    pub(super) async fn take_up(&self, plugin: DesiredPlugin, prepared: Option<Candidate>) {
        let mut followed = self.followed.lock().await;
        let name = plugin.name.clone();
        let known = followed.get(&name);
        let ours = known.is_some_and(|known| known.serves);
        if !ours && self.plugins.serves(&name) {
            return;
        }
        let settled = known.is_some_and(|known| {
            let waits = |at: Instant| at.elapsed() < RETRY;
            // The database was looked at before somebody else took up what is newer.
            known.revision > plugin.revision
                || known.revision == plugin.revision && known.failed_at.is_none_or(waits)
        });
        if settled {
            return;
        }
        let revision = plugin.revision;
        let (serves, failed_at) = match self.publish(plugin, ours, prepared).await {
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
        followed.insert(name, known);
    }

    /// Says whether the plugin serves afterwards.
    async fn publish(
        &self,
        plugin: DesiredPlugin,
        ours: bool,
        prepared: Option<Candidate>,
    ) -> Result<bool> {
        let Some(digest) = &plugin.digest else {
            if ours {
                self.plugins.withdraw(&plugin.name);
            }
            return Ok(false);
        };
        let candidate = match prepared {
            Some(prepared) => prepared,
            None => {
                let settings = self.open_settings(&plugin)?;
                let artifact = self.store.artifact(digest).await?;
                self.plugins
                    .prepare(&plugin.name, artifact, settings)
                    .await
                    .map_err(crate::Error::internal)?
            }
        };
        self.plugins.publish(candidate);
        Ok(true)
    }
}
