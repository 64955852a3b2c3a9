//! What the author of a plugin for operators implements: an event sink, or an authorizer.

use serde::de::DeserializeOwned;
use serde_json::Value;

pub use crate::bindings::{
    authorizer::archstone::plugin::authorizing::Decision,
    event_sink::archstone::plugin::delivering::Refusal,
};
use crate::{ConfigError, Denial, Description};

/// A plugin that takes audited events elsewhere.
pub trait EventSink {
    /// The configuration, without its secret fields.
    type Config: DeserializeOwned;

    /// What this plugin is.
    fn describe() -> Description;

    /// Whether this configuration will work. Called before it goes live.
    ///
    /// # Errors
    /// What is wrong, for the operator.
    fn check(config: &Self::Config) -> Result<(), ConfigError> {
        let _ = config;
        Ok(())
    }

    /// Delivers CADF events, one JSON object each. One may come again: it has an `id`.
    ///
    /// # Errors
    /// Why not, and whether they may be delivered later.
    fn deliver(config: Self::Config, events: Vec<Value>) -> Result<(), Refusal>;
}

/// A plugin that has a say in who may do what, after policy has said yes.
pub trait Authorizer {
    /// The configuration, without its secret fields.
    type Config: DeserializeOwned;

    /// What this plugin is.
    fn describe() -> Description;

    /// Whether this configuration will work. Called before it goes live.
    ///
    /// # Errors
    /// What is wrong, for the operator.
    fn check(config: &Self::Config) -> Result<(), ConfigError> {
        let _ = config;
        Ok(())
    }

    /// Whether they may.
    fn decide(config: Self::Config, question: Question) -> Decision;
}

/// Somebody wants to do something that policy lets them do.
#[derive(Debug, Clone)]
pub struct Question {
    /// The policy rule's name.
    pub action: String,
    /// Who asks: `user_id`, `roles`, `project_id`, `domain_id`, `system_scope` ...
    pub credentials: Value,
    /// What it is about, by name.
    pub target: Value,
}

impl Refusal {
    /// The same events may be delivered later.
    pub fn for_now(detail: impl Into<String>) -> Self {
        Self {
            again: true,
            detail: detail.into(),
        }
    }

    /// They never will be, and are lost.
    pub fn for_ever(detail: impl Into<String>) -> Self {
        Self {
            again: false,
            detail: detail.into(),
        }
    }
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        Self::for_now(denial.into_wire().detail)
    }
}
