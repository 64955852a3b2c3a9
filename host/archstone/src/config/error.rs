//! What can be wrong with a configuration.

use std::{fmt, io, path::PathBuf, sync::Arc};

use super::ini::SyntaxError;

/// Where an option was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    File { path: Arc<PathBuf>, line: usize },
    Variable(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

/// Why a configuration cannot be used. Names the place and what to change there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("cannot read {}", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{place}: {problem}")]
    Syntax { place: Place, problem: SyntaxError },
    #[error("{place}: [{section}] {option}: {problem}")]
    Value {
        place: Place,
        section: String,
        option: String,
        problem: String,
    },
}
