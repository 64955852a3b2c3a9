//! What goes wrong. [`PluginError`] fails one login; [`PrepareError`] keeps one version from going
//! live. Neither ever takes anything else down, and neither carries a secret.

use std::{io, path::PathBuf, time::Duration};

use thiserror::Error;

use crate::SignatureError;

/// Why a method could not look at a step. Nothing is proven, and nothing is decided about the
/// claimant: it is the plugin or its surroundings that failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PluginError {
    #[error("no plugin serves `{method}`")]
    UnknownMethod { method: String },

    #[error("the method `{method}` proves an account, but the step has none")]
    AccountMissing { method: String },

    #[error("the method `{method}` proves a subject, but the step names an account")]
    AccountUnexpected { method: String },

    #[error(
        "the challenge of `{method}` is unknown, expired, already answered, or was made for \
         another account"
    )]
    ContinuationRefused { method: String },

    #[error("the challenge of `{method}` was made by a version or configuration that is gone")]
    ContinuationStale { method: String },

    #[error("`{method}` already serves as many calls as it may at once ({limit})")]
    Busy { method: String, limit: u32 },

    #[error("`{method}` failed too often; it is tried again in {retry_after:?}")]
    BreakerOpen {
        method: String,
        retry_after: Duration,
    },

    #[error("`{method}` trapped: {trap}")]
    Trapped { method: String, trap: String },

    #[error("`{method}` did not answer within its limit of {limit:?}")]
    DeadlineExceeded { method: String, limit: Duration },

    #[error("`{method}` computed longer than its limit of {limit:?}")]
    CpuExceeded { method: String, limit: Duration },

    #[error("`{method}` wanted more memory than its limit of {limit} bytes")]
    OutOfMemory { method: String, limit: u64 },

    #[error("`{method}` answered with {what}, which breaks the plugin contract")]
    ContractBroken { method: String, what: String },

    #[error("`{method}` answered with more than its limit of {limit} bytes")]
    OutputTooLarge { method: String, limit: usize },

    #[error("the directory does not answer: {detail}")]
    DirectoryUnavailable { detail: String },

    #[error("the directory refuses an answer: {detail}")]
    DirectoryRefused { detail: String },

    #[error("the state store does not answer: {reason}")]
    StateUnavailable { reason: String },
}

impl PluginError {
    /// The word for logs and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::UnknownMethod { .. } => "unknown-method",
            Self::AccountMissing { .. } => "account-missing",
            Self::AccountUnexpected { .. } => "account-unexpected",
            Self::ContinuationRefused { .. } => "continuation-refused",
            Self::ContinuationStale { .. } => "continuation-stale",
            Self::Busy { .. } => "busy",
            Self::BreakerOpen { .. } => "breaker-open",
            Self::Trapped { .. } => "trapped",
            Self::DeadlineExceeded { .. } => "deadline-exceeded",
            Self::CpuExceeded { .. } => "cpu-exceeded",
            Self::OutOfMemory { .. } => "out-of-memory",
            Self::ContractBroken { .. } => "contract-broken",
            Self::OutputTooLarge { .. } => "output-too-large",
            Self::DirectoryUnavailable { .. } => "directory-unavailable",
            Self::DirectoryRefused { .. } => "directory-refused",
            Self::StateUnavailable { .. } => "state-unavailable",
        }
    }

    /// Whether the plugin itself misbehaved, which is what the circuit breaker counts.
    pub(crate) fn is_the_plugins_fault(&self) -> bool {
        matches!(
            self,
            Self::Trapped { .. }
                | Self::DeadlineExceeded { .. }
                | Self::CpuExceeded { .. }
                | Self::OutOfMemory { .. }
                | Self::ContractBroken { .. }
                | Self::OutputTooLarge { .. }
        )
    }
}

/// Why a version of a plugin cannot go live. What served before goes on serving.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PrepareError {
    #[error(
        "`{name}` is no name for a method: use 1 to 48 of a-z, 0-9, `_` and `-`, beginning with \
         a letter"
    )]
    BadName { name: String },

    #[error("`{name}` is a method of the server's own; give the plugin another name")]
    BuiltIn { name: String },

    #[error("the artifact has {size} bytes; the limit is {limit}")]
    ArtifactTooLarge { size: usize, limit: usize },

    #[error(
        "the artifact is a core module, not a component; build it with \
         `archstone_plugin_kit` or wrap it with `wasm-tools component new`"
    )]
    NotAComponent,

    #[error("the artifact is not trusted: {0}")]
    NotTrusted(#[from] SignatureError),

    #[error("the artifact does not compile: {reason}")]
    DoesNotCompile { reason: String },

    #[error(
        "the plugin imports `{import}`, which no plugin is given; it may have what \
         `archstone:plugin` defines, and of WASI what docs/plugins.md lists"
    )]
    UnknownImport { import: String },

    #[error("the plugin needs `{capability}`, which it was not granted; {remedy}")]
    NotGranted {
        capability: &'static str,
        remedy: &'static str,
    },

    #[error("the plugin fits no world of the contract: {reason}")]
    WrongWorld { reason: String },

    #[error("the plugin's description is wrong: {reason}")]
    BadDescription { reason: String },

    #[error("the settings are wrong: {reason}")]
    BadSettings { reason: String },

    #[error("the configuration is wrong at `{pointer}`: {message}")]
    ConfigRefused { pointer: String, message: String },

    #[error("the secret field `{field}` cannot be had: {reason}")]
    SecretUnavailable { field: String, reason: String },

    #[error("the plugin failed while it was prepared: {0}")]
    Failed(#[from] PluginError),

    #[error("cannot read {}: {source}", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
}

/// Why the runtime cannot start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RuntimeError {
    #[error(
        "the WebAssembly engine does not start: {reason}. It reserves address space for \
         {instances} instances; allow more (`ulimit -v`) or lower the number"
    )]
    Engine { reason: String, instances: u32 },

    #[error("cannot use {} as cache of compiled plugins: {reason}", .path.display())]
    Cache { path: PathBuf, reason: String },
}
