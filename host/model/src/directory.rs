//! Users and groups that live in a directory of a domain's own.

use crate::id::DomainId;

/// What an entry of a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    User,
    Group,
}

impl EntryKind {
    /// The word that Keystone makes ids with, and keeps in its table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
        }
    }
}

/// What a directory calls an entry, and the id it has for everybody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdMapping {
    pub public_id: String,
    pub domain_id: DomainId,
    pub local_id: String,
    pub kind: EntryKind,
}
