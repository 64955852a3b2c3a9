//! Which endpoints a project has: those added to it by themselves, and those in groups of them.

use archstone_model::{
    Extra,
    catalog::{Endpoint, EndpointFilter},
    endpoint_filter::{EndpointGroup, EndpointGroupFilter, EndpointGroupPatch, FILTERED_BY},
    entity::Entity,
    id::{EndpointGroupId, EndpointId, ProjectId},
    policy::Target,
    project::Project,
};

use crate::{Caller, Error, Identity, Result, new_id};

/// What a client gives to create an endpoint group.
#[derive(Debug, Clone)]
pub struct EndpointGroupCreation {
    pub name: String,
    pub description: Option<String>,
    pub filters: Extra,
}

/// The endpoints chosen for a project, by themselves and in groups.
#[derive(Debug)]
pub(crate) struct ChosenEndpoints {
    added: Vec<EndpointId>,
    groups: Vec<EndpointGroup>,
}

impl ChosenEndpoints {
    pub(crate) fn has(&self, endpoint: &Endpoint) -> bool {
        self.added.contains(&endpoint.id) || self.groups.iter().any(|group| group.has(endpoint))
    }
}

impl Identity {
    pub async fn endpoint_group(
        &self,
        caller: &Caller,
        id: &EndpointGroupId,
    ) -> Result<EndpointGroup> {
        self.enforce(caller, "identity:get_endpoint_group", group_target(id))
            .await?;
        Ok(self.store.endpoint_group(id).await?)
    }

    pub async fn endpoint_groups(
        &self,
        caller: &Caller,
        filter: EndpointGroupFilter,
    ) -> Result<Vec<EndpointGroup>> {
        self.enforce(caller, "identity:list_endpoint_groups", Target::new())
            .await?;
        Ok(self.store.endpoint_groups(&filter).await?)
    }

    /// # Errors
    /// `Invalid` where it does not filter, or by something that is not among [`FILTERED_BY`].
    pub async fn create_endpoint_group(
        &self,
        caller: &Caller,
        creation: EndpointGroupCreation,
    ) -> Result<EndpointGroup> {
        self.enforce(caller, "identity:create_endpoint_group", Target::new())
            .await?;
        if creation.filters.is_empty() {
            return Err(Error::invalid(
                "filters field is required and cannot be empty",
            ));
        }
        check_filters(&creation.filters)?;
        let group = EndpointGroup {
            id: EndpointGroupId::new(new_id()),
            name: creation.name,
            description: creation.description,
            filters: creation.filters,
        };
        self.store.create_endpoint_group(&group).await?;
        self.audit_write(caller, "create", Entity::EndpointGroup, group.id.as_str());
        Ok(group)
    }

    /// # Errors
    /// `Invalid` where it would filter by something that is not among [`FILTERED_BY`].
    pub async fn update_endpoint_group(
        &self,
        caller: &Caller,
        id: &EndpointGroupId,
        patch: EndpointGroupPatch,
    ) -> Result<EndpointGroup> {
        self.enforce(caller, "identity:update_endpoint_group", group_target(id))
            .await?;
        if let Some(filters) = patch.filters.as_set() {
            check_filters(filters)?;
        }
        let group = self.store.update_endpoint_group(id, &patch).await?;
        self.audit_write(caller, "update", Entity::EndpointGroup, id.as_str());
        Ok(group)
    }

    pub async fn delete_endpoint_group(&self, caller: &Caller, id: &EndpointGroupId) -> Result<()> {
        self.enforce(caller, "identity:delete_endpoint_group", group_target(id))
            .await?;
        self.store.delete_endpoint_group(id).await?;
        self.audit_write(caller, "delete", Entity::EndpointGroup, id.as_str());
        Ok(())
    }

    /// The endpoints that are in a group now.
    pub async fn endpoints_in_group(
        &self,
        caller: &Caller,
        id: &EndpointGroupId,
    ) -> Result<Vec<Endpoint>> {
        let action = "identity:list_endpoints_associated_with_endpoint_group";
        self.enforce(caller, action, group_target(id)).await?;
        let group = self.store.endpoint_group(id).await?;
        let mut endpoints = self.store.endpoints(&EndpointFilter::default()).await?;
        endpoints.retain(|endpoint| group.has(endpoint));
        Ok(endpoints)
    }

    /// The projects that have a group. A group that is not there is no project's.
    pub async fn projects_with_endpoint_group(
        &self,
        caller: &Caller,
        id: &EndpointGroupId,
    ) -> Result<Vec<Project>> {
        let action = "identity:list_projects_associated_with_endpoint_group";
        self.enforce(caller, action, group_target(id)).await?;
        let ids = self.store.project_ids_of_endpoint_group(id).await?;
        Ok(self.store.projects_by_id(&ids).await?)
    }

    /// # Errors
    /// `NotFound` of the project or the group, `Missing` where they do not belong together.
    pub async fn check_endpoint_group_in_project(
        &self,
        caller: &Caller,
        id: &EndpointGroupId,
        project_id: &ProjectId,
    ) -> Result<()> {
        let action = "identity:get_endpoint_group_in_project";
        self.enforce_group_in_project(caller, action, id, project_id)
            .await?;
        let groups = self.store.endpoint_groups_of_project(project_id).await?;
        if groups.iter().any(|group| group.id == *id) {
            Ok(())
        } else {
            Err(no_such_membership())
        }
    }

    /// # Errors
    /// `NotFound` of the project or the group, `Conflict` where the project has the group already.
    pub async fn add_endpoint_group_to_project(
        &self,
        caller: &Caller,
        id: &EndpointGroupId,
        project_id: &ProjectId,
    ) -> Result<()> {
        let action = "identity:add_endpoint_group_to_project";
        self.enforce_group_in_project(caller, action, id, project_id)
            .await?;
        self.store
            .add_endpoint_group_to_project(id, project_id)
            .await?;
        self.audit_write(
            caller,
            "create",
            Entity::ProjectEndpointGroup,
            project_id.as_str(),
        );
        Ok(())
    }

    /// # Errors
    /// `NotFound` of the project or the group, `Missing` where they do not belong together.
    pub async fn remove_endpoint_group_from_project(
        &self,
        caller: &Caller,
        id: &EndpointGroupId,
        project_id: &ProjectId,
    ) -> Result<()> {
        let action = "identity:remove_endpoint_group_from_project";
        self.enforce_group_in_project(caller, action, id, project_id)
            .await?;
        if !self
            .store
            .remove_endpoint_group_from_project(id, project_id)
            .await?
        {
            return Err(no_such_membership());
        }
        self.audit_write(
            caller,
            "delete",
            Entity::ProjectEndpointGroup,
            project_id.as_str(),
        );
        Ok(())
    }

    pub async fn endpoint_groups_of_project(
        &self,
        caller: &Caller,
        project_id: &ProjectId,
    ) -> Result<Vec<EndpointGroup>> {
        let action = "identity:list_endpoint_groups_for_project";
        self.enforce(caller, action, project_target(project_id))
            .await?;
        self.store.project(project_id).await?;
        Ok(self.store.endpoint_groups_of_project(project_id).await?)
    }

    /// The endpoints that a project has.
    pub async fn endpoints_of_project(
        &self,
        caller: &Caller,
        project_id: &ProjectId,
    ) -> Result<Vec<Endpoint>> {
        let action = "identity:list_endpoints_for_project";
        self.enforce(caller, action, project_target(project_id))
            .await?;
        self.store.project(project_id).await?;
        let chosen = self.read_chosen_endpoints(project_id).await?;
        let mut endpoints = self.store.endpoints(&EndpointFilter::default()).await?;
        endpoints.retain(|endpoint| chosen.has(endpoint));
        Ok(endpoints)
    }

    /// The projects that an endpoint was added to by itself.
    pub async fn projects_with_endpoint(
        &self,
        caller: &Caller,
        endpoint_id: &EndpointId,
    ) -> Result<Vec<Project>> {
        let target = Target::new().with("endpoint_id", endpoint_id.as_str());
        self.enforce(caller, "identity:list_projects_for_endpoint", target)
            .await?;
        self.store.endpoint(endpoint_id).await?;
        let ids = self.store.project_ids_of_endpoint(endpoint_id).await?;
        Ok(self.store.projects_by_id(&ids).await?)
    }

    /// # Errors
    /// `NotFound` of the endpoint or the project, `Missing` where they do not belong together.
    pub async fn check_endpoint_in_project(
        &self,
        caller: &Caller,
        endpoint_id: &EndpointId,
        project_id: &ProjectId,
    ) -> Result<()> {
        let action = "identity:check_endpoint_in_project";
        self.enforce_endpoint_in_project(caller, action, endpoint_id, project_id)
            .await?;
        self.require_endpoint_and_project(endpoint_id, project_id)
            .await?;
        let endpoints = self.store.endpoint_ids_of_project(project_id).await?;
        if endpoints.contains(endpoint_id) {
            Ok(())
        } else {
            Err(not_in_project(endpoint_id, project_id))
        }
    }

    /// # Errors
    /// `NotFound` of the endpoint or the project, `Conflict` where the project has it already.
    pub async fn add_endpoint_to_project(
        &self,
        caller: &Caller,
        endpoint_id: &EndpointId,
        project_id: &ProjectId,
    ) -> Result<()> {
        let action = "identity:add_endpoint_to_project";
        self.enforce_endpoint_in_project(caller, action, endpoint_id, project_id)
            .await?;
        self.require_endpoint_and_project(endpoint_id, project_id)
            .await?;
        self.store
            .add_endpoint_to_project(endpoint_id, project_id)
            .await?;
        self.audit_write(
            caller,
            "create",
            Entity::ProjectEndpoint,
            project_id.as_str(),
        );
        Ok(())
    }

    /// # Errors
    /// `Missing` where they do not belong together.
    pub async fn remove_endpoint_from_project(
        &self,
        caller: &Caller,
        endpoint_id: &EndpointId,
        project_id: &ProjectId,
    ) -> Result<()> {
        let action = "identity:remove_endpoint_from_project";
        self.enforce_endpoint_in_project(caller, action, endpoint_id, project_id)
            .await?;
        if !self
            .store
            .remove_endpoint_from_project(endpoint_id, project_id)
            .await?
        {
            return Err(not_in_project(endpoint_id, project_id));
        }
        self.audit_write(
            caller,
            "delete",
            Entity::ProjectEndpoint,
            project_id.as_str(),
        );
        Ok(())
    }

    /// What was chosen for a project.
    pub(crate) async fn read_chosen_endpoints(
        &self,
        project_id: &ProjectId,
    ) -> Result<ChosenEndpoints> {
        Ok(ChosenEndpoints {
            added: self.store.endpoint_ids_of_project(project_id).await?,
            groups: self.store.endpoint_groups_of_project(project_id).await?,
        })
    }

    async fn enforce_endpoint_in_project(
        &self,
        caller: &Caller,
        action: &'static str,
        endpoint_id: &EndpointId,
        project_id: &ProjectId,
    ) -> Result<()> {
        let target = project_target(project_id).with("endpoint_id", endpoint_id.as_str());
        self.enforce(caller, action, target).await
    }

    async fn require_endpoint_and_project(
        &self,
        endpoint_id: &EndpointId,
        project_id: &ProjectId,
    ) -> Result<()> {
        self.store.endpoint(endpoint_id).await?;
        self.store.project(project_id).await?;
        Ok(())
    }

    async fn enforce_group_in_project(
        &self,
        caller: &Caller,
        action: &'static str,
        id: &EndpointGroupId,
        project_id: &ProjectId,
    ) -> Result<()> {
        let target = project_target(project_id).with("endpoint_group_id", id.as_str());
        self.enforce(caller, action, target).await?;
        self.store.project(project_id).await?;
        self.store.endpoint_group(id).await?;
        Ok(())
    }
}

fn group_target(id: &EndpointGroupId) -> Target {
    Target::new().with("endpoint_group_id", id.as_str())
}

fn project_target(id: &ProjectId) -> Target {
    Target::new().with("project_id", id.as_str())
}

fn check_filters(filters: &Extra) -> Result<()> {
    let known = |name: &String| FILTERED_BY.contains(&name.as_str());
    if filters.keys().all(known) {
        Ok(())
    } else {
        Err(Error::missing_attribute(
            &FILTERED_BY.join(" or "),
            "endpoint_group",
        ))
    }
}

fn no_such_membership() -> Error {
    Error::Missing("Endpoint Group Project Association not found".to_owned())
}

fn not_in_project(endpoint_id: &EndpointId, project_id: &ProjectId) -> Error {
    Error::Missing(format!(
        "Endpoint {endpoint_id} not found in project {project_id}"
    ))
}
