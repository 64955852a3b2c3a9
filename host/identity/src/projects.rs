//! Projects: their tree, their tags, and what disabling one takes away.

use std::collections::HashSet;

use archstone_model::{
    Extra,
    entity::Entity,
    id::{DomainId, ProjectId, UserId},
    listing::{Change, Listing},
    policy::Target,
    project::{Domain, Project, ProjectFilter, ProjectPatch, ResourceOptions},
    revocation::RevocationEvent,
};

use crate::{Caller, Error, Identity, Result, new_id};

/// What a client gives to create a project.
#[derive(Debug, Clone)]
pub struct ProjectCreation {
    pub name: String,
    /// The caller's domain where it is absent.
    pub domain_id: Option<DomainId>,
    pub parent_id: Option<ProjectId>,
    pub is_domain: bool,
    pub enabled: bool,
    pub description: Option<String>,
    pub tags: Vec<String>,
    pub options: ResourceOptions,
    pub extra: Extra,
}

/// What a client gives to change a project or a domain.
#[derive(Debug, Clone, Default)]
pub struct ProjectChange {
    pub name: Change<String>,
    pub enabled: Change<bool>,
    pub description: Change<Option<String>>,
    pub tags: Change<Vec<String>>,
    /// `options.immutable`; `Set(None)` removes it.
    pub immutable: Change<Option<bool>>,
    /// Given only to be compared: these cannot change.
    pub domain_id: Change<Option<DomainId>>,
    pub parent_id: Change<Option<ProjectId>>,
    pub is_domain: Change<Option<bool>>,
    pub extra: Extra,
}

impl ProjectChange {
    /// Whether it does nothing but make an immutable project mutable again.
    fn only_unlocks(&self) -> bool {
        matches!(self.immutable, Change::Set(None | Some(false)))
            && !self.name.is_set()
            && !self.enabled.is_set()
            && !self.description.is_set()
            && !self.tags.is_set()
            && !self.domain_id.is_set()
            && !self.parent_id.is_set()
            && !self.is_domain.is_set()
            && self.extra.is_empty()
    }
}

impl Identity {
    pub async fn project(&self, caller: &Caller, id: &ProjectId) -> Result<Project> {
        let found = self.store.project(id).await;
        self.enforce(
            caller,
            "identity:get_project",
            project_target(id, found.as_ref().ok()),
        )
        .await?;
        Ok(found?)
    }

    /// Lists projects; a caller with a domain-scoped token sees that domain only.
    pub async fn projects(
        &self,
        caller: &Caller,
        mut filter: ProjectFilter,
    ) -> Result<Listing<Project>> {
        let own_domain = caller.scope_domain_id();
        let mut target = Target::new();
        if let Some(domain_id) = own_domain {
            target.set("target.domain_id", domain_id.as_str());
        }
        self.enforce(caller, "identity:list_projects", target)
            .await?;
        if let Some(domain_id) = own_domain {
            if filter
                .domain_id
                .as_ref()
                .is_some_and(|asked| asked != domain_id)
            {
                return Ok(Listing::of(&filter.page, Vec::new()));
            }
            filter.domain_id = Some(domain_id.clone());
        }
        filter.page = self.page_of(filter.page, None);
        self.require_marker(&filter).await?;
        let found = self.store.projects(&filter).await?;
        Ok(Listing::within(&filter.page, found))
    }

    /// The projects in which a user has a role.
    pub async fn projects_of_user(
        &self,
        caller: &Caller,
        id: &UserId,
        filter: &ProjectFilter,
    ) -> Result<Listing<Project>> {
        let found = self.find_user(id).await;
        let target = self.user_target(id, found.as_ref().ok());
        self.enforce(caller, "identity:list_user_projects", target)
            .await?;
        found?;
        let projects = self.reachable_projects(id, &[]).await?;
        let projects = projects
            .into_iter()
            .filter(|project| {
                filter
                    .enabled
                    .is_none_or(|enabled| project.enabled == enabled)
                    && filter.names.iter().all(|name| name.accepts(&project.name))
                    && filter
                        .domain_id
                        .as_ref()
                        .is_none_or(|id| project.domain_id.as_ref() == Some(id))
            })
            .collect();
        Ok(Listing::of(&filter.page, projects))
    }

    /// The projects that a caller may scope a token to.
    pub async fn own_projects(&self, caller: &Caller) -> Result<Vec<Project>> {
        self.enforce(caller, "identity:get_auth_projects", Target::new())
            .await?;
        self.reachable_projects(caller.user_id(), caller.federated_groups())
            .await
    }

    /// Those of the projects that a caller may scope a token to.
    pub async fn reachable_among(
        &self,
        caller: &Caller,
        mut projects: Vec<Project>,
    ) -> Result<Vec<Project>> {
        let reachable = self.reachable_projects(caller.user_id(), &[]).await?;
        projects.retain(|project| reachable.iter().any(|own| own.id == project.id));
        Ok(projects)
    }

    /// The domains that a caller may scope a token to.
    pub async fn own_domains(&self, caller: &Caller) -> Result<Vec<Domain>> {
        self.enforce(caller, "identity:get_auth_domains", Target::new())
            .await?;
        self.reachable_domains(caller.user_id(), caller.federated_groups())
            .await
    }

    /// Whether a caller may scope a token to the system.
    pub async fn has_system_role(&self, caller: &Caller) -> Result<bool> {
        self.enforce(caller, "identity:get_auth_system", Target::new())
            .await?;
        self.reaches_system(caller.user_id(), caller.federated_groups())
            .await
    }

    /// The projects above one, nearest first, without the domain.
    pub async fn project_parents(&self, project: &Project) -> Result<Vec<Project>> {
        let ancestors = self.store.ancestors(&project.id).await?;
        Ok(ancestors
            .into_iter()
            .filter(|ancestor| !ancestor.is_domain)
            .collect())
    }

    /// The projects below one, in the order of a walk down the tree.
    pub async fn project_subtree(&self, id: &ProjectId) -> Result<Vec<Project>> {
        let mut subtree: Vec<Project> = self.store.children(id).await?;
        let mut next = 0;
        while next < subtree.len() {
            let children = self.store.children(&subtree[next].id.clone()).await?;
            subtree.extend(children);
            next += 1;
        }
        Ok(subtree)
    }

    pub async fn create_project(
        &self,
        caller: &Caller,
        creation: ProjectCreation,
    ) -> Result<Project> {
        if creation.is_domain {
            return self.create_project_as_domain(caller, creation).await;
        }
        self.enforce(
            caller,
            "identity:create_project",
            creation_target(&creation),
        )
        .await?;
        let domain_id = match creation.domain_id {
            Some(domain_id) => domain_id,
            None => self.home_domain(caller),
        };
        let domain = self
            .store
            .domain(&domain_id)
            .await
            .map_err(missing_is_invalid)?;
        let parent = match &creation.parent_id {
            Some(id) => Some(self.store.project(id).await.map_err(missing_is_invalid)?),
            None => None,
        };
        let name =
            self.checked_name("Project", &creation.name, self.options.strict_project_names)?;
        if !domain.enabled {
            return Err(disabled_branch(domain.id.as_str()));
        }
        if let Some(parent) = &parent {
            self.check_parent(parent, &domain_id).await?;
        }
        let project = Project {
            id: ProjectId::new(new_id()),
            name,
            parent_id: Some(parent.map_or_else(|| domain_id.as_project(), |parent| parent.id)),
            domain_id: Some(domain_id),
            is_domain: false,
            enabled: creation.enabled,
            description: creation.description,
            tags: creation.tags,
            options: creation.options,
            extra: creation.extra,
        };
        self.store
            .create_project(&project)
            .await
            .map_err(|error| taken(error, &project))?;
        self.audit_write(caller, "create", Entity::Project, project.id.as_str());
        Ok(project)
    }

    async fn create_project_as_domain(
        &self,
        caller: &Caller,
        creation: ProjectCreation,
    ) -> Result<Project> {
        self.enforce(
            caller,
            "identity:create_project",
            creation_target(&creation),
        )
        .await?;
        if creation.parent_id.is_some() || creation.domain_id.is_some() {
            return Err(Error::invalid(
                "only root projects are allowed to act as domains.",
            ));
        }
        let name = self.checked_name("Domain", &creation.name, self.options.strict_domain_names)?;
        let project = Project {
            id: ProjectId::new(new_id()),
            name,
            domain_id: None,
            parent_id: None,
            is_domain: true,
            enabled: creation.enabled,
            description: creation.description,
            tags: creation.tags,
            options: creation.options,
            extra: creation.extra,
        };
        self.store
            .create_project(&project)
            .await
            .map_err(|error| taken(error, &project))?;
        self.audit_write(caller, "create", Entity::Domain, project.id.as_str());
        Ok(project)
    }

    async fn check_parent(&self, parent: &Project, domain_id: &DomainId) -> Result<()> {
        if parent.is_domain {
            if parent.id.as_str() != domain_id.as_str() {
                return Err(Error::invalid(format!(
                    "Cannot create project, the parent ({}) is acting as a domain, but this \
                     project's domain id ({domain_id}) does not match the parent's id.",
                    parent.id
                )));
            }
            return Ok(());
        }
        if parent.domain_id.as_ref() != Some(domain_id) {
            return Err(Error::invalid(format!(
                "Cannot create project, since it specifies its domain_id {domain_id}, but \
                 specifies a parent in a different domain ({}).",
                parent.owning_domain()
            )));
        }
        let mut branch = self.project_parents(parent).await?;
        branch.push(parent.clone());
        if let Some(disabled) = branch.iter().find(|project| !project.enabled) {
            return Err(disabled_branch(disabled.id.as_str()));
        }
        let model = self.options.enforcement_model;
        let most = model
            .max_project_tree_depth()
            .map_or(self.options.max_project_tree_depth, |depth| {
                depth.min(self.options.max_project_tree_depth)
            });
        // The domain counts as a level too.
        if branch.len() + 1 > most as usize {
            return Err(Error::refused(format!(
                "Max hierarchy depth reached for {} branch.",
                parent.id
            )));
        }
        Ok(())
    }

    pub async fn update_project(
        &self,
        caller: &Caller,
        id: &ProjectId,
        change: ProjectChange,
    ) -> Result<Project> {
        let found = self.store.project(id).await;
        self.enforce(
            caller,
            "identity:update_project",
            project_target(id, found.as_ref().ok()),
        )
        .await?;
        let project = found?;
        if let Some(new) = change.domain_id.as_set()
            && *new != project.domain_id
        {
            return Err(Error::invalid("Cannot change Domain ID"));
        }
        refuse_immutable_update(&project, &change)?;
        if let Some(new) = change.parent_id.as_set()
            && *new != project.parent_id
        {
            return Err(Error::refused("Update of `parent_id` is not allowed."));
        }
        if let Some(new) = change.is_domain.as_set()
            && *new != Some(project.is_domain)
        {
            return Err(Error::invalid("Update of `is_domain` is not allowed."));
        }
        let updated = self.apply(&project, change).await?;
        self.audit_write(caller, "update", Entity::Project, id.as_str());
        Ok(updated)
    }

    pub(crate) async fn apply(&self, project: &Project, change: ProjectChange) -> Result<Project> {
        refuse_immutable_update(project, &change)?;
        let (kind, strict) = if project.is_domain {
            ("Domain", self.options.strict_domain_names)
        } else {
            ("Project", self.options.strict_project_names)
        };
        let name = match change.name {
            Change::Set(name) => Change::Set(self.checked_name(kind, &name, strict)?),
            Change::Keep => Change::Keep,
        };
        if change.enabled == Change::Set(true) && !project.enabled {
            self.require_enabled_above(project).await?;
        }
        if change.enabled == Change::Set(false) && !project.is_domain {
            let subtree = self.project_subtree(&project.id).await?;
            if subtree.iter().any(|below| below.enabled) {
                return Err(Error::refused(format!(
                    "cannot disable project {} since its subtree contains enabled projects.",
                    project.id
                )));
            }
        }
        let mut extra = project.extra.clone();
        extra.extend(change.extra);
        let patch = ProjectPatch {
            name,
            enabled: change.enabled,
            description: change.description,
            tags: change.tags,
            options: change
                .immutable
                .map(|immutable| ResourceOptions { immutable }),
            extra: Change::Set(extra),
        };
        let renamed = Project {
            name: patch.name.as_set().unwrap_or(&project.name).clone(),
            ..project.clone()
        };
        self.store
            .update_project(&project.id, &patch)
            .await
            .map_err(|error| taken(error, &renamed))
    }

    async fn require_enabled_above(&self, project: &Project) -> Result<()> {
        if self
            .project_parents(project)
            .await?
            .iter()
            .any(|parent| !parent.enabled)
        {
            return Err(Error::refused(format!(
                "cannot enable project {} since it has disabled parents",
                project.id
            )));
        }
        Ok(())
    }

    pub async fn delete_project(&self, caller: &Caller, id: &ProjectId) -> Result<()> {
        let found = self.store.project(id).await;
        self.enforce(
            caller,
            "identity:delete_project",
            project_target(id, found.as_ref().ok()),
        )
        .await?;
        let project = found?;
        if project.is_domain {
            return self.delete_domain_itself(caller, &project.into()).await;
        }
        if project.options.immutable == Some(true) {
            return Err(Error::immutable_delete(Entity::Project, id));
        }
        if !self.store.children(id).await?.is_empty() {
            return Err(Error::refused(format!(
                "Cannot delete the project {id} since it is not a leaf in the hierarchy. Use the \
                 cascade option if you want to delete a whole subtree."
            )));
        }
        self.store.delete_project(id).await?;
        self.revoke(RevocationEvent {
            project_id: Some(id.clone()),
            ..RevocationEvent::at(self.now())
        })
        .await?;
        self.audit_write(caller, "delete", Entity::Project, id.as_str());
        Ok(())
    }

    /// A project's tags, after policy allowed `action`.
    pub async fn project_tags(
        &self,
        caller: &Caller,
        id: &ProjectId,
        action: &'static str,
    ) -> Result<Vec<String>> {
        let found = self.store.project(id).await;
        self.enforce(caller, action, project_target(id, found.as_ref().ok()))
            .await?;
        Ok(found?.tags)
    }

    /// Replaces a project's tags.
    pub async fn set_project_tags(
        &self,
        caller: &Caller,
        id: &ProjectId,
        action: &'static str,
        mut tags: Vec<String>,
    ) -> Result<Vec<String>> {
        let found = self.store.project(id).await;
        self.enforce(caller, action, project_target(id, found.as_ref().ok()))
            .await?;
        let project = found?;
        if project.options.immutable == Some(true) {
            return Err(Error::immutable_update(Entity::Project, id));
        }
        for tag in &mut tags {
            *tag = tag.trim().to_owned();
        }
        let mut seen = HashSet::new();
        tags.retain(|tag| seen.insert(tag.clone()));
        let patch = ProjectPatch {
            tags: Change::Set(tags),
            ..ProjectPatch::default()
        };
        let updated = self.store.update_project(id, &patch).await?;
        self.audit_write(caller, "update", Entity::Project, id.as_str());
        Ok(updated.tags)
    }

    /// Refuses a page that begins after something that does not exist.
    pub(crate) async fn require_marker(&self, filter: &ProjectFilter) -> Result<()> {
        match &filter.page.marker {
            None => Ok(()),
            Some(marker) => {
                let marker = ProjectId::from(marker.as_str());
                let found = self.store.project(&marker).await;
                found.map(drop).map_err(Error::missing_marker)
            }
        }
    }

    pub(crate) fn checked_name(&self, kind: &str, name: &str, strict: bool) -> Result<String> {
        const RESERVED: &[char] = &[
            ':', '/', '?', '#', '[', ']', '@', '!', '$', '&', '\'', '(', ')', '*', '+', ',', ';',
            '=',
        ];
        let name = name.trim();
        if strict && name.contains(RESERVED) {
            let found: String = name.chars().filter(|c| RESERVED.contains(c)).collect();
            return Err(Error::invalid(format!(
                "{kind} name cannot contain the following reserved characters: {found}"
            )));
        }
        Ok(name.to_owned())
    }
}

/// An immutable entity accepts only the change that makes it mutable.
fn refuse_immutable_update(project: &Project, change: &ProjectChange) -> Result<()> {
    if project.options.immutable != Some(true) || change.only_unlocks() {
        return Ok(());
    }
    let entity = if project.is_domain {
        Entity::Domain
    } else {
        Entity::Project
    };
    Err(Error::immutable_update(entity, &project.id))
}

/// What is missing where a new project was to go is a fault of the request.
fn missing_is_invalid(error: archstone_store::Error) -> Error {
    match Error::from(error) {
        missing @ Error::NotFound { .. } => Error::invalid(missing.to_string()),
        other => other,
    }
}

/// What policy may read of a project that is to be: what the request says and nothing else.
fn creation_target(creation: &ProjectCreation) -> Target {
    let mut target = Target::new().with("target.project.name", &creation.name);
    target.set_opt(
        "target.project.domain_id",
        creation.domain_id.as_ref().map(DomainId::as_str),
    );
    target.set_opt(
        "target.project.parent_id",
        creation.parent_id.as_ref().map(ProjectId::as_str),
    );
    target
}

fn disabled_branch(id: &str) -> Error {
    Error::invalid(format!(
        "cannot create a project in a branch containing a disabled project: {id}"
    ))
}

/// Says which of a project's names is taken, in Keystone's words.
pub(crate) fn taken(error: archstone_store::Error, project: &Project) -> Error {
    match error {
        archstone_store::Error::Conflict { .. } if project.is_domain => Error::conflict(
            Entity::Project,
            format!(
                "it is not permitted to have two projects acting as domains with the same name: {}",
                project.name
            ),
        ),
        archstone_store::Error::Conflict { .. } => Error::conflict(
            Entity::Project,
            format!(
                "it is not permitted to have two projects with either the same name or same id in \
                 the same domain: name is {}, project id {}",
                project.name, project.id
            ),
        ),
        other => other.into(),
    }
}

pub(crate) fn project_target(id: &ProjectId, project: Option<&Project>) -> Target {
    let mut target = Target::new().with("project_id", id.as_str());
    if let Some(project) = project {
        target.set("target.project.id", project.id.as_str());
        target.set_opt(
            "target.project.domain_id",
            project.domain_id.as_ref().map(DomainId::as_str),
        );
        target.set_opt(
            "target.project.parent_id",
            project.parent_id.as_ref().map(ProjectId::as_str),
        );
    }
    target
}
