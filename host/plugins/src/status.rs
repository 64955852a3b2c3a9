//! How plugins are doing: what `archstone plugin list` shows.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::Digest;

/// One method and the plugin behind it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PluginStatus {
    pub method: String,
    pub state: PluginState,
    /// The version that serves.
    pub serving: Option<Serving>,
    /// Why the newest version does not serve.
    pub last_error: Option<LastError>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PluginState {
    /// The newest version serves.
    Serving,
    /// The newest version was refused; the one before goes on.
    ServingOlder,
    /// No version serves.
    Failed,
}

impl PluginState {
    /// The word for operators.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::ServingOlder => "serving-older",
            Self::Failed => "failed",
        }
    }
}

/// A version that serves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Serving {
    /// The plugin's own name.
    pub plugin: String,
    /// What the plugin calls its version.
    pub version: String,
    pub summary: String,
    /// The artifact's digest.
    pub digest: Digest,
    /// The settings' digest.
    pub settings: Digest,
    pub loaded_at: DateTime<Utc>,
    /// Calls since it serves, in this process.
    pub calls: u64,
    /// Of those, the ones that failed. A denied login is no failure.
    pub failures: u64,
    /// Whether it failed so often that it is not called for now.
    pub breaker_open: bool,
}

/// Why a version does not serve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastError {
    pub at: DateTime<Utc>,
    /// The artifact's digest, if there was one to read.
    pub digest: Option<Digest>,
    pub message: String,
}
