//! Plugins: what an administrator sees of them and does with them, on all nodes at once.

mod desired;
mod follow;

use archstone_model::policy::Target;
use archstone_plugins::{Kind, PluginStatus};
use serde_json::Value;

pub use self::desired::InstalledPlugin;
pub(crate) use self::follow::Followed;
use crate::{Caller, Identity, Result};

/// A plugin and how it fares.
#[derive(Debug, Clone)]
pub struct PluginDetails {
    pub status: PluginStatus,
    /// Absent where no version serves.
    pub kind: Option<Kind>,
    pub config_schema: Option<Value>,
    pub secret_fields: Vec<String>,
}

impl Identity {
    pub async fn plugins(&self, caller: &Caller) -> Result<Vec<PluginDetails>> {
        self.enforce(caller, "archstone:list_plugins", Target::new())
            .await?;
        let details = |status: PluginStatus| {
            let description = self.plugins.describe(&status.method);
            let (kind, config_schema, secret_fields) = match description {
                Some(it) => (Some(it.kind), Some(it.config_schema), it.secret_fields),
                None => (None, None, Vec::new()),
            };
            PluginDetails {
                status,
                kind,
                config_schema,
                secret_fields,
            }
        };
        Ok(self.plugins.status().into_iter().map(details).collect())
    }
}
