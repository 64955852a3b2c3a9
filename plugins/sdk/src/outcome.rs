//! What a step of a login found.

use std::time::Duration;

use serde_json::{Value, json};

pub use crate::bindings::archstone::plugin::outcomes::Reason;
use crate::bindings::archstone::plugin::{authentication as wire, outcomes};

/// What a step found.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The claimant owns the account that was handed over.
    Verified,
    /// Somebody is proven, in this plugin's own namespace.
    Asserted(Assertion),
    /// The client has to answer first.
    Challenged(Challenge),
    /// Nothing was proven.
    Denied(Denial),
}

/// Who was proven, and what is said about them.
#[derive(Debug, Clone)]
pub struct Assertion {
    subject: String,
    claims: Value,
}

impl Assertion {
    /// `subject` must be stable and never given to somebody else.
    pub fn of(subject: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            claims: json!({}),
        }
    }

    /// What else is known: an object, the input of the operator's mapping rules.
    pub fn claims(mut self, claims: Value) -> Self {
        self.claims = claims;
        self
    }

    pub(crate) fn into_wire(self) -> outcomes::Assertion {
        outcomes::Assertion {
            subject: self.subject,
            claims: self.claims.to_string(),
        }
    }
}

/// A question to the client, and what to remember until it is answered.
#[derive(Debug, Clone)]
pub struct Challenge {
    message: Value,
    memory: Value,
    expires_in: Duration,
}

impl Challenge {
    /// `message`, an object, goes to the client; `memory` comes back in [`crate::Step::memory`],
    /// once, and is shown to nobody. At most ten minutes.
    pub fn new(message: Value, memory: Value, expires_in: Duration) -> Self {
        Self {
            message,
            memory,
            expires_in,
        }
    }

    pub(crate) fn into_wire(self) -> wire::Challenge {
        wire::Challenge {
            message: self.message.to_string(),
            memory: self.memory.to_string(),
            expires_in: seconds(self.expires_in),
        }
    }
}

/// Why nothing was proven.
#[derive(Debug, Clone)]
pub struct Denial {
    reason: Reason,
    detail: String,
}

impl Denial {
    /// The detail is for the audit log; it must not repeat what was secret.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }

    /// The payload is not what this method expects: 400.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(Reason::Malformed, detail)
    }

    /// The proof is wrong: 401.
    pub fn rejected(detail: impl Into<String>) -> Self {
        Self::new(Reason::Rejected, detail)
    }

    /// Something this plugin depends on does not answer: 503.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(Reason::Unavailable, detail)
    }

    pub fn reason(&self) -> Reason {
        self.reason
    }

    pub fn detail(&self) -> &str {
        &self.detail
    }

    pub(crate) fn into_wire(self) -> outcomes::Denial {
        outcomes::Denial {
            reason: self.reason,
            detail: self.detail,
        }
    }
}

impl From<Denial> for Outcome {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

impl Outcome {
    pub(crate) fn into_wire(self) -> wire::Outcome {
        match self {
            Self::Verified => wire::Outcome::Verified,
            Self::Asserted(assertion) => wire::Outcome::Asserted(assertion.into_wire()),
            Self::Challenged(challenge) => wire::Outcome::Challenged(challenge.into_wire()),
            Self::Denied(denial) => wire::Outcome::Denied(denial.into_wire()),
        }
    }
}

pub(crate) fn seconds(time: Duration) -> u32 {
    time.as_secs().try_into().unwrap_or(u32::MAX)
}
