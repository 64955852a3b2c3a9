//! What storage can refuse.

use archstone_model::entity::Entity;

use crate::refusal::Refusal;

/// Storage's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("could not find {entity}: {id}")]
    NotFound { entity: Entity, id: String },
    /// Something else already has this name, id or place.
    #[error("conflict storing {entity}: {message}")]
    Conflict { entity: Entity, message: String },
    /// A text or number that a column of this database cannot hold, such as a NUL in PostgreSQL
    /// or an emoji in Keystone's tables on MariaDB.
    #[error(
        "the database cannot store a value of this request: a text is too long or has characters \
             that the database does not know, or a number is out of range"
    )]
    Unstorable(#[source] sqlx::Error),
    /// The row is still needed by others.
    #[error("{0}")]
    InUse(String),
    /// The database asks to run the transaction again.
    #[error("the database could not serialize this write")]
    Contention(#[source] sqlx::Error),
    /// The database does not answer, or does not serve this now.
    #[error("the database is not available: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// The schema is not one this server can work on; the text says what to do.
    #[error("{0}")]
    Schema(String),
    /// A row holds what this server cannot read.
    #[error("column {column} holds something unexpected: {reason}")]
    Corrupt { column: String, reason: String },
    #[error("database error: {0}")]
    Database(#[source] sqlx::Error),
}

impl Error {
    pub(crate) fn not_found(entity: Entity, id: impl Into<String>) -> Self {
        Self::NotFound {
            entity,
            id: id.into(),
        }
    }

    /// Whether this is the database refusing a duplicate key.
    fn is_duplicate(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Database(error)) => error.is_unique_violation(),
            _ => false,
        }
    }

    /// Whether this is the database refusing to break a reference.
    pub(crate) fn is_reference_violation(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Database(error)) => error.is_foreign_key_violation(),
            _ => false,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error),
            sqlx::Error::Database(refused) => match Refusal::of(refused.as_ref()) {
                Refusal::Contention => Self::Contention(error),
                Refusal::Unavailable => Self::Unavailable(error),
                Refusal::Unstorable => Self::Unstorable(error),
                Refusal::Other => Self::Database(error),
            },
            _ => Self::Database(error),
        }
    }
}

/// Gives a refused duplicate its meaning.
pub(crate) trait OnDuplicate<T> {
    /// A duplicate becomes a `Conflict` with this message.
    fn on_duplicate(self, entity: Entity, message: impl FnOnce() -> String) -> Result<T>;
}

impl<T> OnDuplicate<T> for Result<T> {
    fn on_duplicate(self, entity: Entity, message: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| {
            if error.is_duplicate() {
                Error::Conflict {
                    entity,
                    message: message(),
                }
            } else {
                error
            }
        })
    }
}
