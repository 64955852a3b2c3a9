//! What the host asks an authentication method, and what it may answer.

use std::time::Duration;

use archstone_model::{id::UserId, secret::Secret};
use serde_json::{Map, Value};

/// Who a method's answers are about; see [`crate::Method::proves`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// The local user whom the host found in the payload and hands over as [`Step::account`].
    Account,
    /// Somebody in the plugin's own namespace, as an [`Assertion`].
    Subject,
}

/// One step of a login by one method.
#[derive(Debug, Clone)]
pub struct Step {
    /// The object at `auth.identity.METHOD` of the request.
    pub payload: Value,
    /// The user the payload claims to be. Required where the method proves an account, and refused
    /// where it does not.
    pub account: Option<Account>,
    /// The [`Challenge::continuation`] that this step answers.
    pub continuation: Option<String>,
}

impl Step {
    /// A first step that claims no account.
    pub fn new(payload: Value) -> Self {
        Self {
            payload,
            account: None,
            continuation: None,
        }
    }

    pub fn by(mut self, account: Account) -> Self {
        self.account = Some(account);
        self
    }

    pub fn answering(mut self, continuation: impl Into<String>) -> Self {
        self.continuation = Some(continuation.into());
        self
    }
}

/// The local user whom a login claims to be. Beyond what the client itself sent, the plugin gets a
/// pseudonym of the user, and the credentials of the types it was granted.
#[derive(Debug, Clone)]
pub struct Account {
    pub user_id: UserId,
    /// The user's credentials of the types in [`crate::Method::credential_types`], opened.
    pub credentials: Vec<Credential>,
}

/// One of the user's credentials, opened.
#[derive(Debug, Clone)]
pub struct Credential {
    pub id: String,
    /// Keystone's `type`, e.g. `totp`.
    pub kind: String,
    pub blob: Secret,
}

/// What a step found. Plugins prove; whoever reads this decides.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The claimant proved to own the account of the step, and nothing else.
    Verified,
    /// Somebody is proven, in the namespace of this method.
    Asserted(Assertion),
    /// The client has to answer before anything is proven.
    Challenged(Challenge),
    /// Nothing is proven.
    Denied(Denial),
}

/// Somebody proven by a method: an input of mapping rules, never a local user's id.
#[derive(Debug, Clone, PartialEq)]
pub struct Assertion {
    /// The method that proved it: the namespace of `subject`.
    pub method: String,
    pub subject: String,
    pub claims: Map<String, Value>,
}

/// A question to the client.
#[derive(Debug, Clone, PartialEq)]
pub struct Challenge {
    /// For the client, as it is.
    pub message: Map<String, Value>,
    /// What the client sends back with its answer, so that the login goes on where it stopped.
    /// Unguessable, and good for one answer, by the same account.
    pub continuation: String,
    pub expires_in: Duration,
}

/// Why nothing is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    pub reason: Reason,
    /// For the audit log, never for the client.
    pub detail: String,
}

/// Decides what the client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// 400: the payload is not what the method expects.
    Malformed,
    /// 401: the proof is wrong.
    Rejected,
    /// 401: the proof was right, once.
    Replayed,
    /// 401: the proof was right, earlier.
    Expired,
    /// 401: the user never set this method up.
    NotEnrolled,
    /// 503: something that the method depends on does not answer.
    Unavailable,
}

impl Reason {
    /// The word for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Rejected => "rejected",
            Self::Replayed => "replayed",
            Self::Expired => "expired",
            Self::NotEnrolled => "not-enrolled",
            Self::Unavailable => "unavailable",
        }
    }
}
