//! Unified limits: who may see and set them, and whether they fit the enforcement model.

use std::collections::HashMap;

use archstone_model::{
    entity::Entity,
    id::{DomainId, LimitId, ProjectId, RegisteredLimitId},
    limit::{
        EnforcementModel, Limit, LimitFilter, LimitPatch, LimitScope, RegisteredLimit,
        RegisteredLimitFilter, RegisteredLimitPatch, Resource, Surroundings,
        check_strict_two_level,
    },
    listing::{Comparison, Listing, NameFilter},
    policy::Target,
    project::ProjectFilter,
};
use archstone_store as store;

use crate::{Caller, Error, Identity, Result, new_id};

/// What a client gives to register the default limit of a resource.
#[derive(Debug, Clone)]
pub struct RegisteredLimitCreation {
    pub resource: Resource,
    pub default_limit: i32,
    pub description: Option<String>,
}

/// What a client gives to limit one project or domain.
#[derive(Debug, Clone)]
pub struct LimitCreation {
    pub project_id: Option<ProjectId>,
    pub domain_id: Option<DomainId>,
    pub resource: Resource,
    pub resource_limit: i32,
    pub description: Option<String>,
}

impl Identity {
    /// The enforcement model that limits are checked against.
    pub async fn enforcement_model(&self, caller: &Caller) -> Result<EnforcementModel> {
        self.enforce(caller, "identity:get_limit_model", Target::new())
            .await?;
        Ok(self.options.enforcement_model)
    }

    pub async fn registered_limit(
        &self,
        caller: &Caller,
        id: &RegisteredLimitId,
    ) -> Result<RegisteredLimit> {
        self.enforce(caller, "identity:get_registered_limit", Target::new())
            .await?;
        Ok(self.store.registered_limit(id).await?)
    }

    pub async fn registered_limits(
        &self,
        caller: &Caller,
        mut filter: RegisteredLimitFilter,
    ) -> Result<Listing<RegisteredLimit>> {
        self.enforce(caller, "identity:list_registered_limits", Target::new())
            .await?;
        let page = self.page_asked_for(filter.page);
        filter.page = page.and_one();
        let limits = self.store.registered_limits(&filter).await?;
        Ok(Listing::of(&page, limits))
    }

    /// Registers all of these limits or none.
    ///
    /// # Errors
    /// `Invalid` where a service or region is not there, `Conflict` where a resource has a
    /// registered limit already.
    pub async fn create_registered_limits(
        &self,
        caller: &Caller,
        creations: Vec<RegisteredLimitCreation>,
    ) -> Result<Vec<RegisteredLimit>> {
        self.enforce(caller, "identity:create_registered_limits", Target::new())
            .await?;
        let mut limits = Vec::with_capacity(creations.len());
        for creation in creations {
            self.require_resource(&creation.resource, Entity::RegisteredLimit)
                .await?;
            limits.push(RegisteredLimit {
                id: RegisteredLimitId::new(new_id()),
                resource: creation.resource,
                default_limit: creation.default_limit,
                description: creation.description,
            });
        }
        self.store.create_registered_limits(&limits).await?;
        for limit in &limits {
            self.audit_write(caller, "create", Entity::RegisteredLimit, limit.id.as_str());
        }
        Ok(limits)
    }

    /// # Errors
    /// `Invalid` where the new service or region is not there, `Refused` where limits refer to it,
    /// `Conflict` where the patch names a resource that has a registered limit, be it this one.
    pub async fn update_registered_limit(
        &self,
        caller: &Caller,
        id: &RegisteredLimitId,
        patch: RegisteredLimitPatch,
    ) -> Result<RegisteredLimit> {
        self.enforce(caller, "identity:update_registered_limit", Target::new())
            .await?;
        if let Some(service_id) = patch.service_id.as_set() {
            named_in(
                self.store.service(service_id).await,
                "service_id",
                Entity::RegisteredLimit,
            )?;
        }
        if let Some(Some(region_id)) = patch.region_id.as_set() {
            named_in(
                self.store.region(region_id).await,
                "region_id",
                Entity::RegisteredLimit,
            )?;
        }
        let limit = self.store.update_registered_limit(id, &patch).await?;
        self.audit_write(caller, "update", Entity::RegisteredLimit, id.as_str());
        Ok(limit)
    }

    /// # Errors
    /// `Refused` where limits refer to it.
    pub async fn delete_registered_limit(
        &self,
        caller: &Caller,
        id: &RegisteredLimitId,
    ) -> Result<()> {
        self.enforce(caller, "identity:delete_registered_limit", Target::new())
            .await?;
        self.store.delete_registered_limit(id).await?;
        self.audit_write(caller, "delete", Entity::RegisteredLimit, id.as_str());
        Ok(())
    }

    pub async fn limit(&self, caller: &Caller, id: &LimitId) -> Result<Limit> {
        let found = self.store.limit(id).await;
        self.enforce_limit(caller, "identity:get_limit", id, found.as_ref().ok())
            .await?;
        Ok(found?)
    }

    /// The limits that the caller may see: all for an administrator, a service or the system; those
    /// of their own domain or project for anybody else.
    pub async fn limits(&self, caller: &Caller, mut filter: LimitFilter) -> Result<Listing<Limit>> {
        self.enforce(caller, "identity:list_limits", Target::new())
            .await?;
        let token = caller.token();
        let sees_all = token.is_system_scoped()
            || token
                .roles
                .iter()
                .any(|role| matches!(role.name.as_str(), "admin" | "service"));
        if !sees_all {
            filter.within = match (token.scope_domain(), token.project()) {
                (Some(domain), _) => Some(LimitScope::Domain(domain.id.clone())),
                (None, Some(project)) => Some(LimitScope::Project(project.id.clone())),
                (None, None) => return Ok(Listing::of(&filter.page, Vec::new())),
            };
        }
        let page = self.page_asked_for(filter.page);
        filter.page = page.and_one();
        Ok(Listing::of(&page, self.store.limits(&filter).await?))
    }

    /// Sets all of these limits or none.
    ///
    /// # Errors
    /// `Invalid` where something they name is not there, `Refused` where a resource has no
    /// registered limit or the enforcement model does not allow one, `Conflict` where one is there
    /// already.
    pub async fn create_limits(
        &self,
        caller: &Caller,
        creations: Vec<LimitCreation>,
    ) -> Result<Vec<Limit>> {
        self.enforce(caller, "identity:create_limits", Target::new())
            .await?;
        let mut limits = Vec::with_capacity(creations.len());
        for creation in creations {
            limits.push(self.new_limit(creation).await?);
        }
        self.check_model(&limits).await?;
        self.store
            .create_limits(&limits)
            .await
            .map_err(unregistered)?;
        for limit in &limits {
            self.audit_write(caller, "create", Entity::Limit, limit.id.as_str());
        }
        Ok(limits)
    }

    /// # Errors
    /// `Refused` where the enforcement model does not allow it.
    pub async fn update_limit(
        &self,
        caller: &Caller,
        id: &LimitId,
        patch: LimitPatch,
    ) -> Result<Limit> {
        let mut limit = self.store.limit(id).await?;
        self.enforce_limit(caller, "identity:update_limit", id, Some(&limit))
            .await?;
        if let Some(resource_limit) = patch.resource_limit.as_set() {
            limit.resource_limit = *resource_limit;
        }
        self.check_model(std::slice::from_ref(&limit)).await?;
        let limit = self.store.update_limit(id, &patch).await?;
        self.audit_write(caller, "update", Entity::Limit, id.as_str());
        Ok(limit)
    }

    pub async fn delete_limit(&self, caller: &Caller, id: &LimitId) -> Result<()> {
        let limit = self.store.limit(id).await?;
        self.enforce_limit(caller, "identity:delete_limit", id, Some(&limit))
            .await?;
        self.store.delete_limit(id).await?;
        self.audit_write(caller, "delete", Entity::Limit, id.as_str());
        Ok(())
    }

    /// Refuses to work on project trees that are deeper than the enforcement model can have.
    ///
    /// # Errors
    /// `Refused`, with the projects that are too deep.
    pub async fn check_project_depth(&self) -> Result<()> {
        let Some(most) = self.options.enforcement_model.max_project_tree_depth() else {
            return Ok(());
        };
        let projects = self.store.projects(&ProjectFilter::default()).await?;
        let parents: HashMap<&ProjectId, &ProjectId> = projects
            .iter()
            .filter_map(|project| Some((&project.id, project.parent_id.as_ref()?)))
            .collect();
        // What is on one level too many has as many others above it as there may be levels.
        let is_too_deep = |id: &&ProjectId| {
            let above = (0..most).try_fold(*id, |id, _| parents.get(id).copied());
            above.is_some()
        };
        let too_deep: Vec<&str> = projects
            .iter()
            .map(|project| &project.id)
            .filter(is_too_deep)
            .map(ProjectId::as_str)
            .collect();
        if too_deep.is_empty() {
            return Ok(());
        }
        Err(Error::refused(format!(
            "the projects {} are deeper than the {most} levels that [unified_limit] \
             enforcement_model = {} can have; use another model or move them",
            too_deep.join(", "),
            self.options.enforcement_model.name(),
        )))
    }

    async fn enforce_limit(
        &self,
        caller: &Caller,
        action: &'static str,
        id: &LimitId,
        limit: Option<&Limit>,
    ) -> Result<()> {
        let mut target = Target::new().with("limit_id", id.as_str());
        if let Some(limit) = limit {
            self.describe(limit, &mut target).await?;
        }
        self.enforce(caller, action, target).await
    }

    /// Tells policy about a limit and whose it is.
    async fn describe(&self, limit: &Limit, target: &mut Target) -> Result<()> {
        let project_id = limit.project_id.as_ref().map(ProjectId::as_str);
        let domain_id = limit.domain_id.as_ref().map(DomainId::as_str);
        target.set("target.limit.id", limit.id.as_str());
        target.set_opt("target.limit.project_id", project_id);
        target.set_opt("target.limit.domain_id", domain_id);
        target.set(
            "target.limit.service_id",
            limit.resource.service_id.as_str(),
        );
        target.set("target.limit.resource_name", &limit.resource.name);
        match (&limit.project_id, &limit.domain_id) {
            (Some(id), _) => match self.store.project(id).await {
                Ok(project) => {
                    let domain_id = project.domain_id.as_ref().map(DomainId::as_str);
                    target.set("target.limit.project.id", project.id.as_str());
                    target.set_opt("target.limit.project.domain_id", domain_id);
                }
                Err(store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            },
            (None, Some(id)) => match self.store.domain(id).await {
                Ok(domain) => target.set("target.limit.domain.id", domain.id.as_str()),
                Err(store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            },
            (None, None) => {}
        }
        Ok(())
    }

    async fn new_limit(&self, creation: LimitCreation) -> Result<Limit> {
        self.require_resource(&creation.resource, Entity::Limit)
            .await?;
        let (mut project_id, mut domain_id) = (creation.project_id, creation.domain_id);
        if let Some(id) = &project_id {
            let project = named_in(self.store.project(id).await, "project_id", Entity::Limit)?;
            if project.is_domain {
                domain_id = Some(id.as_domain());
                project_id = None;
            }
        }
        if let Some(id) = &domain_id {
            named_in(self.store.domain(id).await, "domain_id", Entity::Limit)?;
        }
        Ok(Limit {
            id: LimitId::new(new_id()),
            project_id,
            domain_id,
            resource: creation.resource,
            resource_limit: creation.resource_limit,
            description: creation.description,
        })
    }

    async fn require_resource(&self, resource: &Resource, entity: Entity) -> Result<()> {
        named_in(
            self.store.service(&resource.service_id).await,
            "service_id",
            entity,
        )?;
        if let Some(region_id) = &resource.region_id {
            named_in(self.store.region(region_id).await, "region_id", entity)?;
        }
        Ok(())
    }

    async fn check_model(&self, limits: &[Limit]) -> Result<()> {
        match self.options.enforcement_model {
            EnforcementModel::Flat => Ok(()),
            EnforcementModel::StrictTwoLevel => {
                let surroundings = self.surroundings(limits).await?;
                check_strict_two_level(limits, &surroundings).map_err(does_not_fit)
            }
        }
    }

    async fn surroundings(&self, limits: &[Limit]) -> Result<Surroundings> {
        let mut around = Surroundings::default();
        for limit in limits {
            if let Some(project_id) = &limit.project_id {
                let project = self.store.project(project_id).await?;
                let parent = project.parent_id.unwrap_or(project.id);
                around
                    .parents
                    .push((project_id.clone(), parent.as_domain()));
            } else if let Some(domain_id) = &limit.domain_id {
                let below = self.project_subtree(&domain_id.as_project()).await?;
                let below = below.into_iter();
                around
                    .projects
                    .extend(below.map(|project| (domain_id.clone(), project.id)));
            }
            let on_service = vec![NameFilter {
                comparison: Comparison::Equals,
                value: limit.resource.service_id.to_string(),
            }];
            let of_resource = vec![NameFilter {
                comparison: Comparison::Equals,
                value: limit.resource.name.clone(),
            }];
            let filter = LimitFilter {
                service_id: on_service.clone(),
                resource_name: of_resource.clone(),
                ..LimitFilter::default()
            };
            around.limits.extend(self.store.limits(&filter).await?);
            let filter = RegisteredLimitFilter {
                service_id: on_service,
                resource_name: of_resource,
                ..RegisteredLimitFilter::default()
            };
            let registered = self.store.registered_limits(&filter).await?;
            around.registered.extend(registered);
        }
        Ok(around)
    }
}

/// Something that a limit's body names and that is not there is a fault of the body.
fn named_in<T>(found: store::Result<T>, attribute: &str, entity: Entity) -> Result<T> {
    found.map_err(|error| match error {
        store::Error::NotFound { .. } => Error::missing_attribute(attribute, entity.as_str()),
        other => other.into(),
    })
}

fn unregistered(error: store::Error) -> Error {
    match error {
        store::Error::NotFound { .. } => {
            Error::refused("Unable to create a limit that has no corresponding registered limit.")
        }
        other => other.into(),
    }
}

fn does_not_fit(limit: &Limit) -> Error {
    let (level, id) = match (&limit.project_id, &limit.domain_id) {
        (Some(id), _) => ("project_id", id.as_str()),
        (None, Some(id)) => ("domain_id", id.as_str()),
        (None, None) => ("domain_id", "None"),
    };
    Error::refused(format!(
        "Invalid resource limit: The resource limit ({level}: {id}, resource_name: {}, \
         resource_limit: {}, service_id: {}, region_id: {}) doesn't satisfy current hierarchy \
         model.",
        limit.resource.name,
        limit.resource_limit,
        limit.resource.service_id,
        limit
            .resource
            .region_id
            .as_ref()
            .map_or("None", |id| id.as_str()),
    ))
}
