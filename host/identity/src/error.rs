//! What can go wrong in the service layer, in the words a client may read.
//!
//! A constructor is named after the situation. Messages of authentication and authorization
//! failures never tell more than Keystone's do; the reason that only an operator may know goes to
//! the log and the audit trail through [`Error::reason`].

use archstone_model::{domain_config::InvalidConfig, entity::Entity, secret::Secret};
use archstone_store as store;

/// The service layer's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed operation. `Display` is the public message.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is malformed. 400.
    #[error("{0}")]
    Invalid(String),
    /// The caller, or who logs in, did not prove who they are. 401.
    #[error("The request you have made requires authentication.")]
    Unauthenticated {
        /// For the log and the audit trail only.
        reason: String,
    },
    /// As above, where Keystone's message says more than the generic one. 401.
    #[error("{message}")]
    LoginRefused { message: String },
    /// An application credential brings its scope with it. 401.
    #[error(
        "Error authenticating with application credential: Application credentials cannot request \
         a scope."
    )]
    ApplicationCredentialWithScope,
    /// A method needs another round; `continuation` is what the client must answer. 401.
    #[error("Additional authentications steps required.")]
    MoreStepsNeeded { continuation: serde_json::Value },
    /// The user's rules demand further methods; the receipt proves those already passed. 401.
    #[error("Insufficient auth methods received for {user_id}. Auth Methods Provided: [{}].", methods.join(","))]
    MoreMethodsNeeded {
        user_id: String,
        methods: Vec<String>,
        receipt: Box<ReceiptIssued>,
    },
    /// The method is not enabled or not loaded. 401.
    #[error("Attempted to authenticate with an unsupported method.")]
    UnsupportedMethod { supported: Vec<String> },
    /// The caller may not do this. 403.
    #[error("You are not authorized to perform the requested action: {action}.")]
    ForbiddenAction {
        action: &'static str,
        reason: String,
    },
    /// The caller may not do this, whatever their roles. 403.
    #[error("You are not authorized to perform the requested action.")]
    Forbidden { reason: String },
    /// Refused for a reason that is no security matter and that the client should read. 403.
    #[error("{0}")]
    Refused(String),
    /// 404.
    #[error("Could not find {entity}: {id}.")]
    NotFound { entity: Entity, id: String },
    /// 404 where the message has another form.
    #[error("{0}")]
    Missing(String),
    /// 409.
    #[error("Conflict occurred attempting to store {entity} - {details}.")]
    Conflict { entity: Entity, details: String },
    /// 410.
    #[error("The service you have requested is no longer available on this server.")]
    Gone,
    /// The server is busy; try again after the given number of seconds. 503.
    #[error("The server is too busy to answer now. Try again in {retry_after_seconds} seconds.")]
    Overloaded { retry_after_seconds: u64 },
    /// Too many logins failed that came from where this one does. 429.
    #[error("Too many logins failed. Try again in {retry_after_seconds} seconds.")]
    TooManyFailures { retry_after_seconds: u64 },
    /// Something this request needs does not answer: the database, a plugin. 503.
    #[error("A service that this request needs is not available. Try again later.")]
    Unavailable { reason: String },
    /// A fault of this server. 500. The cause is for the log.
    #[error("An unexpected error prevented the server from fulfilling your request.")]
    Internal { reason: String },
}

/// A receipt for the methods a user has passed so far.
#[derive(Debug, Clone)]
pub struct ReceiptIssued {
    pub receipt: Secret,
    pub body: serde_json::Value,
}

impl Error {
    /// Whether somebody did not prove who they are.
    pub(crate) fn is_failed_proof(&self) -> bool {
        matches!(
            self,
            Self::Unauthenticated { .. } | Self::LoginRefused { .. }
        )
    }

    /// `attribute` is missing in `target`.
    pub fn missing_attribute(attribute: &str, target: &str) -> Self {
        Self::Invalid(format!(
            "Expecting to find {attribute} in {target}. The server could not comply with the \
             request since it is either malformed or otherwise incorrect. The client is assumed \
             to be in error."
        ))
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(message.into())
    }

    /// The proof was not accepted; `reason` stays on the server.
    pub fn unauthenticated(reason: impl Into<String>) -> Self {
        Self::Unauthenticated {
            reason: reason.into(),
        }
    }

    pub fn forbidden(reason: impl Into<String>) -> Self {
        Self::Forbidden {
            reason: reason.into(),
        }
    }

    pub fn refused(message: impl Into<String>) -> Self {
        Self::Refused(message.into())
    }

    pub fn not_found(entity: Entity, id: impl Into<String>) -> Self {
        Self::NotFound {
            entity,
            id: id.into(),
        }
    }

    pub fn conflict(entity: Entity, details: impl Into<String>) -> Self {
        Self::Conflict {
            entity,
            details: details.into(),
        }
    }

    /// `entity` has the immutable option set, so it cannot be changed.
    pub fn immutable_update(entity: Entity, id: impl std::fmt::Display) -> Self {
        Self::Refused(format!(
            "Unable to update immutable {entity} resource: `{id}. Set resource option \
             \"immutable\" to false first."
        ))
    }

    /// `entity` has the immutable option set, so it cannot be deleted.
    pub fn immutable_delete(entity: Entity, id: impl std::fmt::Display) -> Self {
        Self::Refused(format!(
            "Unable to delete immutable {entity} resource: `{id}. Set resource option \
             \"immutable\" to false first."
        ))
    }

    pub fn internal(reason: impl std::fmt::Display) -> Self {
        Self::Internal {
            reason: reason.to_string(),
        }
    }

    /// What the log and the audit trail may say beyond the public message.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Unauthenticated { reason }
            | Self::ForbiddenAction { reason, .. }
            | Self::Forbidden { reason }
            | Self::Unavailable { reason }
            | Self::Internal { reason } => Some(reason),
            _ => None,
        }
    }

    /// Where the next page was to begin, there is nothing.
    pub(crate) fn missing_marker(error: store::Error) -> Self {
        Self::from(error).into_missing_marker()
    }

    /// As [`Self::missing_marker`].
    pub(crate) fn into_missing_marker(self) -> Self {
        match self {
            Self::NotFound { id, .. } => Self::Missing(format!("Marker {id} could not be found.")),
            other => other,
        }
    }

    /// A missing thing seen while someone logs in: to them it is a failed login.
    pub fn into_unauthenticated(self) -> Self {
        match self {
            Self::NotFound { .. } | Self::Missing(_) => Self::unauthenticated(self.to_string()),
            other => other,
        }
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::NotFound { entity, id } => Self::NotFound { entity, id },
            store::Error::Conflict { entity, message } => Self::Conflict {
                entity,
                details: message,
            },
            // Contention that did not end in all the tries that a write has.
            store::Error::Unavailable(source) | store::Error::Contention(source) => {
                Self::Unavailable {
                    reason: source.to_string(),
                }
            }
            store::Error::InUse(message) => Self::Refused(message),
            store::Error::Unstorable(_) => Self::Invalid(error.to_string()),
            other => Self::internal(other),
        }
    }
}

impl From<InvalidConfig> for Error {
    fn from(problem: InvalidConfig) -> Self {
        let message = format!("Invalid domain specific configuration: {problem}.");
        match problem {
            InvalidConfig::NotAnObject => Self::Invalid(message),
            _ => Self::Refused(message),
        }
    }
}
