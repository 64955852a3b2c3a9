//! Roles, what they imply, and who holds them where.

use crate::{
    Extra,
    id::{DomainId, GroupId, ProjectId, RoleId, UserId},
    listing::{Change, NameFilter, Page},
    project::ResourceOptions,
};

/// A role, global or owned by one domain.
#[derive(Debug, Clone, PartialEq)]
pub struct Role {
    pub id: RoleId,
    pub name: String,
    pub domain_id: Option<DomainId>,
    pub description: Option<String>,
    pub options: ResourceOptions,
    pub extra: Extra,
}

/// A role's id and name, as tokens carry them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoleRef {
    pub id: RoleId,
    pub name: String,
}

/// An update of a role.
#[derive(Debug, Clone, Default)]
pub struct RolePatch {
    pub name: Change<String>,
    pub description: Change<Option<String>>,
    pub options: Change<ResourceOptions>,
    pub extra: Change<Extra>,
}

/// Which roles to list.
#[derive(Debug, Clone, Default)]
pub struct RoleFilter {
    /// `None` lists global roles only, as the API does without `domain_id`.
    pub domain_id: Option<DomainId>,
    pub names: Vec<NameFilter>,
    pub page: Page,
}

/// Holding `prior` also gives `implied`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImpliedRole {
    pub prior: RoleId,
    pub implied: RoleId,
}

/// Who holds a role.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Actor {
    User(UserId),
    Group(GroupId),
}

impl Actor {
    pub fn id(&self) -> &str {
        match self {
            Self::User(id) => id.as_str(),
            Self::Group(id) => id.as_str(),
        }
    }
}

/// Where a role is held.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    Project(ProjectId),
    Domain(DomainId),
    System,
}

impl Target {
    /// The id as the assignment tables store it.
    pub fn id(&self) -> &str {
        match self {
            Self::Project(id) => id.as_str(),
            Self::Domain(id) => id.as_str(),
            Self::System => "system",
        }
    }
}

/// A stored assignment of one role.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Assignment {
    pub actor: Actor,
    pub target: Target,
    pub role_id: RoleId,
    /// Applies to the projects below the target, not to the target itself.
    pub inherited: bool,
}

/// Which stored assignments to list; every given field narrows.
#[derive(Debug, Clone, Default)]
pub struct AssignmentFilter {
    pub actors: Vec<Actor>,
    pub targets: Vec<Target>,
    pub role_id: Option<RoleId>,
    pub inherited: Option<bool>,
}
