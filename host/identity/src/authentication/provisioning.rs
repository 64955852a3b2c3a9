//! Projects and roles that a mapping gives a user: made and granted at the login.

use std::collections::HashMap;

use archstone_model::{
    Extra,
    federation::IdentityProvider,
    id::{DomainId, ProjectId, RoleId, UserId},
    mapping::{Mapped, MappedProject, SchemaVersion},
    project::{Project, ResourceOptions},
    revocation::RevocationEvent,
    role::{Actor, Assignment, AssignmentFilter, Role, Target},
};

use crate::{Error, Identity, Result, federation::tell_what_is_missing, new_id};

impl Identity {
    /// Gives a user the roles that a mapping says, in projects that are made where they are not
    /// there. From version 3.0 on, project roles that it does not say are taken away.
    pub(super) async fn provision(
        &self,
        provider: &IdentityProvider,
        user_id: &UserId,
        mapped: &Mapped,
        version: SchemaVersion,
    ) -> Result<()> {
        if mapped.projects.is_empty() && version < SchemaVersion::V3 {
            return Ok(());
        }
        let roles = self.store.all_roles().await?;
        let user_domain = match &mapped.user.domain {
            Some(domain) => self.mapped_domain(domain).await?,
            None => provider.domain_id.clone(),
        };
        // Nothing is made before everything is known to be there.
        let mut wanted = Vec::new();
        for project in &mapped.projects {
            let domain_id = match &project.domain {
                Some(domain) => self.mapped_domain(domain).await?,
                None => provider.domain_id.clone(),
            };
            let role_ids = project
                .roles
                .iter()
                .map(|name| role_named(&roles, name, &user_domain, provider))
                .collect::<Result<Vec<_>>>()?;
            wanted.push((project, domain_id, role_ids));
        }
        let actor = Actor::User(user_id.clone());
        let mut given = Vec::new();
        for (project, domain_id, role_ids) in wanted {
            let project_id = self.mapped_project(project, domain_id).await?;
            for role_id in role_ids {
                let grant = Assignment {
                    actor: actor.clone(),
                    target: Target::Project(project_id.clone()),
                    role_id,
                    inherited: false,
                };
                self.store.grant(&grant).await?;
                given.push(grant);
            }
        }
        if version >= SchemaVersion::V3 {
            self.take_away_all_but(&given, actor, user_id).await?;
        }
        Ok(())
    }

    async fn mapped_project(
        &self,
        project: &MappedProject,
        domain_id: DomainId,
    ) -> Result<ProjectId> {
        match self.store.project_by_name(&project.name, &domain_id).await {
            Ok(known) => return Ok(known.id),
            Err(archstone_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let found = self.store.domain(&domain_id).await;
        let domain = found.map_err(tell_what_is_missing)?;
        if !domain.enabled {
            return Err(Error::unauthenticated(format!(
                "the mapping makes a project in domain {domain_id}, which is disabled"
            )));
        }
        let project = Project {
            id: ProjectId::new(new_id()),
            name: project.name.trim().to_owned(),
            parent_id: Some(domain_id.as_project()),
            domain_id: Some(domain_id),
            is_domain: false,
            enabled: true,
            description: Some(String::new()),
            tags: Vec::new(),
            options: ResourceOptions::default(),
            extra: Extra::new(),
        };
        self.store.create_project(&project).await?;
        tracing::info!(
            target: "archstone::audit",
            event_type = "activity",
            action = "create",
            outcome = "success",
            initiator = "mapping",
            target_type = "project",
            target_id = %project.id,
        );
        Ok(project.id)
    }

    async fn take_away_all_but(
        &self,
        given: &[Assignment],
        actor: Actor,
        user_id: &UserId,
    ) -> Result<()> {
        let filter = AssignmentFilter {
            actors: vec![actor],
            inherited: Some(false),
            ..AssignmentFilter::default()
        };
        for held in self.store.assignments(&filter).await? {
            let Target::Project(project_id) = &held.target else {
                continue;
            };
            if given.contains(&held) {
                continue;
            }
            self.store.revoke_grant(&held).await?;
            self.revoke(RevocationEvent {
                user_id: Some(user_id.clone()),
                project_id: Some(project_id.clone()),
                role_id: Some(held.role_id.clone()),
                ..RevocationEvent::at(self.now())
            })
            .await?;
        }
        Ok(())
    }
}

/// A role by name: a global one, or one of the user's own domain.
fn role_named(
    roles: &HashMap<RoleId, Role>,
    name: &str,
    domain_id: &DomainId,
    provider: &IdentityProvider,
) -> Result<RoleId> {
    let mut found: Vec<&Role> = roles.values().filter(|role| role.name == name).collect();
    if found.is_empty() {
        return Err(Error::Missing(format!("Could not find role: {name}.")));
    }
    found.retain(|role| role.domain_id.as_ref().is_none_or(|id| id == domain_id));
    found
        .iter()
        .find(|role| role.domain_id.is_none())
        .or(found.first())
        .map(|role| role.id.clone())
        .ok_or_else(|| {
            Error::refused(format!(
                "role: {name} must be within the same domain as the identity provider: {}.",
                provider.id
            ))
        })
}
