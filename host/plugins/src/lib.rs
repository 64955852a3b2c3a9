//! Runs plugins: WebAssembly components that prove who somebody is.
//!
//! A plugin proves; the host decides. A plugin sees one step of a login and answers with an
//! [`Outcome`]: verified, asserted, challenged or denied. No outcome can name a local user. What
//! plugins are and may do is defined by `wit/` and told in `docs/plugins.md`.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use archstone_plugins::{*, Proof};
//! # async fn example(wasm: Vec<u8>, user: Account, payload: serde_json::Value)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = Runtime::new(RuntimeOptions::new(Arc::new(MemoryState::default())))?;
//! let registry = Registry::new(runtime);
//!
//! // Prepared aside; what serves is not touched until `publish`.
//! let candidate = registry.prepare("totp", wasm, Settings::default()).await?;
//! registry.publish(candidate);
//!
//! // A method that proves an account is handed the user whom the host found in the payload.
//! let method = registry.method("totp").ok_or("no such method")?;
//! let step = match method.proves() {
//!     Proof::Account => Step::new(payload).by(user),
//!     Proof::Subject => Step::new(payload),
//! };
//! match method.authenticate(step).await? {
//!     Outcome::Verified => {}              // the claimant owns that account
//!     Outcome::Asserted(_assertion) => {}  // mapping rules decide who this is here
//!     Outcome::Challenged(_challenge) => {} // 401, with the message and the continuation
//!     Outcome::Denied(_denial) => {}       // by its reason: 400, 401 or 503
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Each call gets a fresh instance from a pool and is bounded in time, computing, memory and
//! output. What a plugin does wrong fails that call with a [`PluginError`], and nothing else.

mod address;
mod artifact_cache;
mod bindings;
mod breaker;
mod call;
mod capabilities;
mod challenges;
mod configuration;
mod connector;
mod connectors;
mod description;
mod digest;
mod directory;
mod engine;
mod enrollment;
mod error;
mod files;
mod inspection;
mod login;
mod method;
mod operations;
mod outcome;
mod people;
mod plugin;
mod registry;
mod run;
mod settings;
mod shelf;
mod signature;
mod state;
mod status;
mod version_0_1;
mod worlds;

pub use challenges::Method;
pub use connector::{Begun, Completed, Connector, ConnectorSetup, Reach, Way};
pub use connectors::PluginProfile;
pub use digest::{Digest, NoDigest};
pub use directory::{PluginDirectory, ServerStatus};
pub use engine::{Runtime, RuntimeOptions};
pub use enrollment::{
    Enrollable, Enrolled, EnrolledOutcome, EnrolledStep, Enrolling, EnrollmentBegun,
    EnrollmentCompleted, Verified,
};
pub use error::{PluginError, PrepareError, RuntimeError};
pub use inspection::{Inspection, ToGrant};
pub use login::{Account, Assertion, Challenge, Credential, Denial, Outcome, Proof, Reason, Step};
pub use operations::{Decision, Refusal};
pub use people::{Condition, Entries, Entry, EntryKey, Part};
pub use plugin::LARGEST_ARTIFACT;
pub use registry::{Candidate, Registry};
pub use settings::{
    ConnectorRule, Grants, HttpGrant, Limits, Origin, ServerRule, Settings, StreamGrant,
    StreamServer,
};
pub use shelf::{Installed, Shelf, ShelfError, Version};
pub use signature::{
    KeyError, KeyId, NewKey, SignatureError, Signers, SigningKey, claimed_signers,
};
pub use state::{MemoryState, StateStore, StateUnavailable};
pub use status::{LastError, PluginState, PluginStatus, Serving};
pub use worlds::Kind;
