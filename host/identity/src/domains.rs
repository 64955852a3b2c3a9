//! Domains, which are projects underneath: made, changed, and deleted with what is in them.

use std::collections::BTreeSet;

use archstone_model::{
    Extra,
    entity::Entity,
    id::DomainId,
    listing::Listing,
    policy::Target,
    project::{Domain, Project, ProjectFilter, ResourceOptions},
    revocation::RevocationEvent,
    user::GroupFilter,
};

use crate::{
    Caller, Error, Identity, Result, new_id,
    projects::{ProjectChange, taken},
};

/// What a client gives to create a domain.
#[derive(Debug, Clone)]
pub struct DomainCreation {
    pub name: String,
    /// An id that another cloud uses for the same domain.
    pub explicit_id: Option<DomainId>,
    pub enabled: bool,
    pub description: Option<String>,
    pub tags: Vec<String>,
    pub options: ResourceOptions,
    pub extra: Extra,
}

impl Identity {
    pub async fn domain(&self, caller: &Caller, id: &DomainId) -> Result<Domain> {
        let found = self.store.domain(id).await;
        self.enforce(caller, "identity:get_domain", domain_target(id))
            .await?;
        Ok(found?)
    }

    /// Lists domains; a caller with a domain-scoped token sees that domain only.
    pub async fn domains(
        &self,
        caller: &Caller,
        mut filter: ProjectFilter,
    ) -> Result<Listing<Domain>> {
        let own_domain = caller.scope_domain_id();
        let mut target = Target::new();
        if let Some(domain_id) = own_domain {
            target.set("target.domain.id", domain_id.as_str());
        }
        self.enforce(caller, "identity:list_domains", target)
            .await?;
        filter.page = self.page_of(filter.page, None);
        self.require_marker(&filter).await?;
        let found = self.store.domains(&filter).await?;
        let mut domains = Listing::within(&filter.page, found);
        if let Some(domain_id) = own_domain {
            domains.entries.retain(|domain| domain.id == *domain_id);
        }
        Ok(domains)
    }

    pub async fn create_domain(&self, caller: &Caller, creation: DomainCreation) -> Result<Domain> {
        self.enforce(caller, "identity:create_domain", Target::new())
            .await?;
        let name = self.checked_name("Domain", &creation.name, self.options.strict_domain_names)?;
        let id = creation
            .explicit_id
            .unwrap_or_else(|| DomainId::new(new_id()));
        let project = Project {
            id: id.as_project(),
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
        self.audit_write(caller, "create", Entity::Domain, id.as_str());
        Ok(project.into())
    }

    /// Changes a domain. Disabling one ends every token of its users and for its projects.
    pub async fn update_domain(
        &self,
        caller: &Caller,
        id: &DomainId,
        change: ProjectChange,
    ) -> Result<Domain> {
        self.store.domain(id).await?;
        self.enforce(caller, "identity:update_domain", domain_target(id))
            .await?;
        let project = self.store.project(&id.as_project()).await?;
        let updated = self.apply(&project, change).await?;
        self.audit_write(caller, "update", Entity::Domain, id.as_str());
        Ok(updated.into())
    }

    /// Deletes a disabled domain with everything in it but its roles, which Keystone leaves too.
    ///
    /// # Errors
    /// `Refused` where it is enabled or immutable.
    pub async fn delete_domain(&self, caller: &Caller, id: &DomainId) -> Result<()> {
        let domain = self.store.domain(id).await?;
        self.enforce(caller, "identity:delete_domain", domain_target(id))
            .await?;
        self.delete_domain_itself(caller, &domain).await
    }

    /// Deletes what policy has let the caller delete, as a domain or as the project it is.
    pub(crate) async fn delete_domain_itself(
        &self,
        caller: &Caller,
        domain: &Domain,
    ) -> Result<()> {
        let id = &domain.id;
        if domain.options.immutable == Some(true) {
            return Err(Error::immutable_delete(Entity::Domain, id));
        }
        if domain.enabled {
            return Err(Error::refused(
                "Cannot delete a domain that is enabled, please disable it first.",
            ));
        }
        let mut losers = BTreeSet::new();
        let groups = GroupFilter {
            domain_id: Some(id.clone()),
            ..GroupFilter::default()
        };
        for group in self.store.groups(&groups).await? {
            losers.extend(self.who_lose_roles_with(&group.id).await?);
        }
        self.store.delete_domain_with_contents(id).await?;
        self.revoke(RevocationEvent {
            domain_id: Some(id.clone()),
            ..RevocationEvent::at(self.now())
        })
        .await?;
        for user_id in losers {
            self.revoke(RevocationEvent::for_user(user_id, self.now()))
                .await?;
        }
        self.audit_write(caller, "delete", Entity::Domain, id.as_str());
        Ok(())
    }
}

fn domain_target(id: &DomainId) -> Target {
    Target::new()
        .with("domain_id", id.as_str())
        .with("target.domain.id", id.as_str())
}
