//! What a token is good for.

use crate::id::{DomainId, ProjectId, TrustId};

/// The authorization scope of a token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    Unscoped,
    Project(ProjectId),
    Domain(DomainId),
    System,
    /// A project, through a trust.
    Trust(TrustId),
}
