//! Projects and domains. A domain is a project with `is_domain` set and no domain of its own.

use crate::{
    Extra,
    id::{DomainId, ProjectId},
    listing::{Change, NameFilter, Page},
};

/// The id of the hidden row that every domain hangs under in the `project` table.
pub const ROOT_DOMAIN_ROW: &str = "<<keystone.domain.root>>";

/// A project, or a domain seen as a project.
#[derive(Debug, Clone, PartialEq)]
pub struct Project {
    pub id: ProjectId,
    pub name: String,
    /// `None` exactly where `is_domain` is true.
    pub domain_id: Option<DomainId>,
    /// The parent project, or the domain for a top-level project; `None` for a domain.
    pub parent_id: Option<ProjectId>,
    pub is_domain: bool,
    pub enabled: bool,
    pub description: Option<String>,
    pub tags: Vec<String>,
    pub options: ResourceOptions,
    pub extra: Extra,
}

impl Project {
    /// The domain that owns this project; a domain owns itself.
    pub fn owning_domain(&self) -> DomainId {
        self.domain_id
            .clone()
            .unwrap_or_else(|| self.id.as_domain())
    }
}

/// A domain: the namespace of users, groups and projects.
#[derive(Debug, Clone, PartialEq)]
pub struct Domain {
    pub id: DomainId,
    pub name: String,
    pub enabled: bool,
    pub description: Option<String>,
    pub tags: Vec<String>,
    pub options: ResourceOptions,
    pub extra: Extra,
}

impl From<Project> for Domain {
    fn from(project: Project) -> Self {
        Self {
            id: project.id.as_domain(),
            name: project.name,
            enabled: project.enabled,
            description: project.description,
            tags: project.tags,
            options: project.options,
            extra: project.extra,
        }
    }
}

/// Options of projects, domains and roles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourceOptions {
    /// `IMMU`: refuses updates and deletion until it is unset.
    pub immutable: Option<bool>,
}

/// An update of a project or domain.
#[derive(Debug, Clone, Default)]
pub struct ProjectPatch {
    pub name: Change<String>,
    pub enabled: Change<bool>,
    pub description: Change<Option<String>>,
    pub tags: Change<Vec<String>>,
    pub options: Change<ResourceOptions>,
    pub extra: Change<Extra>,
}

/// Which projects to list.
#[derive(Debug, Clone, Default)]
pub struct ProjectFilter {
    pub domain_id: Option<DomainId>,
    pub parent_id: Option<ProjectId>,
    /// `None` lists both; the API's default is `Some(false)`.
    pub is_domain: Option<bool>,
    pub enabled: Option<bool>,
    pub names: Vec<NameFilter>,
    pub tags: TagFilter,
    pub page: Page,
}

/// `tags`, `tags-any`, `not-tags` and `not-tags-any`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagFilter {
    pub all: Vec<String>,
    pub any: Vec<String>,
    pub not_all: Vec<String>,
    pub not_any: Vec<String>,
}
