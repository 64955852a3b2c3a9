//! Keystone's mapping language: rules that turn what an identity provider says of somebody into a
//! user, groups and projects here.

mod assertion;
mod requirement;
mod rules;
mod structure;
mod template;

use serde::Deserialize;

use crate::id::{DomainId, GroupId, MappingId, UserId};

pub use self::{assertion::Assertion, rules::Rules, structure::check_structure};

/// A mapping as an administrator wrote it.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    pub id: MappingId,
    /// The list of rules; [`Rules::read`] gives it meaning.
    pub rules: serde_json::Value,
    pub schema_version: String,
}

/// The versions of the language. Each one knows all that those before it know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SchemaVersion {
    V1,
    /// A `domain` beside users and projects is theirs, unless they have one of their own.
    V2,
    /// `projects_json`; and the assertion is the whole truth about a user's projects, so that roles
    /// it does not give are taken away.
    V3,
}

impl SchemaVersion {
    pub fn parse(version: &str) -> Option<Self> {
        match version {
            "1.0" => Some(Self::V1),
            "2.0" => Some(Self::V2),
            "3.0" => Some(Self::V3),
            _ => None,
        }
    }
}

/// Who somebody is here, by a mapping's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    pub user: MappedUser,
    pub group_ids: Vec<GroupId>,
    pub group_names: Vec<MappedGroup>,
    pub projects: Vec<MappedProject>,
}

/// The user that a mapping gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MappedUser {
    pub kind: MappedUserKind,
    pub id: Option<UserId>,
    pub name: Option<String>,
    pub email: Option<String>,
    pub domain: Option<MappedDomain>,
}

/// Where a mapped user lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MappedUserKind {
    /// Known through the identity provider only, and made at the first login.
    #[default]
    Ephemeral,
    /// Has to exist here already.
    Local,
}

/// A group by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub struct MappedGroup {
    pub name: String,
    pub domain: MappedDomain,
}

/// A project, made where it does not exist, with the roles that the user gets in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedProject {
    pub name: String,
    pub domain: Option<MappedDomain>,
    pub roles: Vec<String>,
}

/// A domain by id, by name, or by both.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
pub struct MappedDomain {
    pub id: Option<DomainId>,
    pub name: Option<String>,
}

/// Why a mapping gives nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// No rule fits, or what one gives cannot be used: a failed login.
    #[error("{0}")]
    NotMapped(String),
    /// The mapping itself is at fault, and an administrator has to mend it.
    #[error("{0}")]
    Faulty(String),
}
