//! The connectors that this process has made, with the revisions that logins may still come back to.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use serde_json::Value;

use crate::{
    Connector, ConnectorRule, Digest, Kind,
    plugin::{LoadedPlugin, Revision},
    registry::{RETIRED_VERSIONS, RETIREMENT},
};

/// A plugin as those who configure it see it.
#[derive(Debug, Clone)]
pub struct PluginProfile {
    pub kind: Kind,
    /// What the plugin calls its version.
    pub version: String,
    pub digest: Digest,
    /// The properties of a connector's configuration that are secrets.
    pub secret_fields: Vec<String>,
    /// JSON Schema of a connector's configuration.
    pub config_schema: Value,
    /// What the operator lets owners decide.
    pub rule: ConnectorRule,
}

impl PluginProfile {
    pub(crate) fn of(plugin: &LoadedPlugin) -> Self {
        let description = &plugin.description;
        Self {
            kind: plugin.kind(),
            version: description.version.clone(),
            digest: plugin.revision.artifact,
            secret_fields: description.secret_fields.clone(),
            config_schema: description.config_schema.clone(),
            rule: plugin.rule().clone(),
        }
    }
}

/// By the connector's id: its revisions, the one made last first, with when each was asked for.
#[derive(Debug, Default)]
pub(crate) struct Connectors(Mutex<ById>);

type ById = HashMap<String, Vec<(Instant, Arc<LoadedPlugin>)>>;

impl Connectors {
    pub fn at(&self, id: &str, revision: Revision) -> Option<Arc<LoadedPlugin>> {
        self.find(id, |made| made.revision == revision)
    }

    pub fn named(&self, id: &str, revision: &str) -> Option<Arc<LoadedPlugin>> {
        self.find(id, |made| {
            Connector(Arc::clone(made)).revision() == revision
        })
    }

    pub fn keep(&self, made: Arc<LoadedPlugin>) {
        let Some(id) = made.connector.clone() else {
            return;
        };
        let mut all = self.lock();
        let revisions = all.entry(id).or_default();
        revisions.retain(|(_, known)| known.revision != made.revision);
        revisions.insert(0, (Instant::now(), made));
        revisions.truncate(1 + RETIRED_VERSIONS);
    }

    /// Forgets what nobody has asked for as long as a login may take. What is needed again is made
    /// again.
    pub fn forget_retired(&self) {
        let mut all = self.lock();
        for revisions in all.values_mut() {
            revisions.retain(|(used, _)| used.elapsed() <= RETIREMENT);
        }
        all.retain(|_, revisions| !revisions.is_empty());
    }

    fn find(
        &self,
        id: &str,
        wanted: impl Fn(&Arc<LoadedPlugin>) -> bool,
    ) -> Option<Arc<LoadedPlugin>> {
        let mut all = self.lock();
        let revisions = all.get_mut(id)?;
        let (used, found) = revisions.iter_mut().find(|(_, made)| wanted(made))?;
        *used = Instant::now();
        Some(Arc::clone(found))
    }

    fn lock(&self) -> MutexGuard<'_, ById> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
