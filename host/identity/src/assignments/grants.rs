//! Giving a role to a user or a group in a place, and taking it away.

use archstone_model::{
    entity::Entity,
    id::{DomainId, RoleId},
    policy::Target as PolicyTarget,
    role::{Actor, Assignment, AssignmentFilter, Role, Target},
};

use crate::{Caller, Error, Identity, Result};

/// The policy rule that a grant operation is subject to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantOperation {
    List,
    Check,
    Create,
    Revoke,
}

impl GrantOperation {
    fn action(self, target: &Target, actor: &Actor) -> &'static str {
        match (target, actor, self) {
            (Target::System, Actor::User(_), Self::List) => "identity:list_system_grants_for_user",
            (Target::System, Actor::User(_), Self::Check) => "identity:check_system_grant_for_user",
            (Target::System, Actor::User(_), Self::Create) => {
                "identity:create_system_grant_for_user"
            }
            (Target::System, Actor::User(_), Self::Revoke) => {
                "identity:revoke_system_grant_for_user"
            }
            (Target::System, Actor::Group(_), Self::List) => {
                "identity:list_system_grants_for_group"
            }
            (Target::System, Actor::Group(_), Self::Check) => {
                "identity:check_system_grant_for_group"
            }
            (Target::System, Actor::Group(_), Self::Create) => {
                "identity:create_system_grant_for_group"
            }
            (Target::System, Actor::Group(_), Self::Revoke) => {
                "identity:revoke_system_grant_for_group"
            }
            (_, _, Self::List) => "identity:list_grants",
            (_, _, Self::Check) => "identity:check_grant",
            (_, _, Self::Create) => "identity:create_grant",
            (_, _, Self::Revoke) => "identity:revoke_grant",
        }
    }
}

impl Identity {
    /// The roles directly assigned to an actor in a place.
    pub async fn grants(
        &self,
        caller: &Caller,
        actor: &Actor,
        target: &Target,
        inherited: bool,
    ) -> Result<Vec<Role>> {
        self.enforce_grant(caller, GrantOperation::List, actor, target, None)
            .await?;
        let filter = AssignmentFilter {
            actors: vec![actor.clone()],
            targets: vec![target.clone()],
            inherited: Some(inherited),
            role_id: None,
        };
        let mut roles = self.store.all_roles().await?;
        let assignments = self.store.assignments(&filter).await?;
        Ok(assignments
            .into_iter()
            .filter_map(|grant| roles.remove(&grant.role_id))
            .collect())
    }

    /// # Errors
    /// `Missing` where there is no such assignment.
    pub async fn check_grant(&self, caller: &Caller, grant: &Assignment) -> Result<()> {
        self.enforce_grant(
            caller,
            GrantOperation::Check,
            &grant.actor,
            &grant.target,
            Some(&grant.role_id),
        )
        .await?;
        if self.has_grant(grant).await? {
            Ok(())
        } else {
            Err(no_assignment(grant))
        }
    }

    /// Assigns a role; assigning it again changes nothing.
    pub async fn create_grant(&self, caller: &Caller, grant: &Assignment) -> Result<()> {
        let role = self
            .enforce_grant(
                caller,
                GrantOperation::Create,
                &grant.actor,
                &grant.target,
                Some(&grant.role_id),
            )
            .await?;
        if let Some(role) = role {
            self.refuse_foreign_role(&role, &grant.target).await?;
        }
        self.store.grant(grant).await?;
        self.audit_grant(caller, "create", grant);
        Ok(())
    }

    /// Takes a role away. Tokens go on with the roles that are left, and end where none is.
    ///
    /// # Errors
    /// `Missing` where there is no such assignment.
    pub async fn revoke_grant(&self, caller: &Caller, grant: &Assignment) -> Result<()> {
        self.enforce_grant(
            caller,
            GrantOperation::Revoke,
            &grant.actor,
            &grant.target,
            Some(&grant.role_id),
        )
        .await?;
        if !self.has_grant(grant).await? {
            return Err(no_assignment(grant));
        }
        self.store.revoke_grant(grant).await?;
        self.audit_grant(caller, "delete", grant);
        Ok(())
    }

    async fn has_grant(&self, grant: &Assignment) -> Result<bool> {
        let filter = AssignmentFilter {
            actors: vec![grant.actor.clone()],
            targets: vec![grant.target.clone()],
            role_id: Some(grant.role_id.clone()),
            inherited: Some(grant.inherited),
        };
        Ok(!self.store.assignments(&filter).await?.is_empty())
    }

    /// A role of one domain may be used in projects of that domain only. On a domain it says nothing
    /// but what it implies there, so any domain may have it.
    async fn refuse_foreign_role(&self, role: &Role, target: &Target) -> Result<()> {
        let Some(role_domain) = &role.domain_id else {
            return Ok(());
        };
        let target_domain = match target {
            Target::Project(id) => self.store.project(id).await?.owning_domain(),
            Target::Domain(_) => return Ok(()),
            Target::System => {
                return Err(Error::invalid(format!(
                    "Role {} is a domain-specific role. Unable to use a domain-specific role in a \
                     system assignment.",
                    role.id
                )));
            }
        };
        if *role_domain == target_domain {
            Ok(())
        } else {
            Err(Error::forbidden("the role belongs to another domain"))
        }
    }

    /// Asks policy about a grant, then refuses what does not exist. Gives the role, if one is named.
    async fn enforce_grant(
        &self,
        caller: &Caller,
        operation: GrantOperation,
        actor: &Actor,
        target: &Target,
        role_id: Option<&RoleId>,
    ) -> Result<Option<Role>> {
        let mut policy = PolicyTarget::new();
        let mut missing: Option<Error> = None;
        let role = match role_id {
            Some(id) => {
                policy.set("role_id", id.as_str());
                keep_missing(self.store.role(id).await, &mut missing)
            }
            None => None,
        };
        if let Some(role) = &role {
            policy.set("target.role.id", role.id.as_str());
            policy.set("target.role.name", &role.name);
            policy.set_opt(
                "target.role.domain_id",
                role.domain_id.as_ref().map(DomainId::as_str),
            );
        }
        match actor {
            Actor::User(id) => {
                policy.set("user_id", id.as_str());
                if let Some(user) = keep_missing(self.find_user(id).await, &mut missing) {
                    policy.set("target.user.id", user.id.as_str());
                    policy.set("target.user.domain_id", user.domain_id.as_str());
                }
            }
            Actor::Group(id) => {
                policy.set("group_id", id.as_str());
                if let Some(group) = keep_missing(self.find_group(id).await, &mut missing) {
                    policy.set("target.group.id", group.id.as_str());
                    policy.set("target.group.domain_id", group.domain_id.as_str());
                }
            }
        }
        match target {
            Target::Project(id) => {
                policy.set("project_id", id.as_str());
                if let Some(project) = keep_missing(self.store.project(id).await, &mut missing) {
                    policy.set("target.project.id", project.id.as_str());
                    let domain_id = project.domain_id.as_ref().map(DomainId::as_str);
                    policy.set_opt("target.project.domain_id", domain_id);
                }
            }
            Target::Domain(id) => {
                policy.set("domain_id", id.as_str());
                if let Some(domain) = keep_missing(self.store.domain(id).await, &mut missing) {
                    policy.set("target.domain.id", domain.id.as_str());
                }
            }
            Target::System => {}
        }
        self.enforce(caller, operation.action(target, actor), policy)
            .await?;
        match missing {
            // A grant may outlive its user where the user lives in a directory.
            Some(Error::NotFound {
                entity: Entity::User | Entity::Group,
                ..
            }) if operation == GrantOperation::Revoke => Ok(role),
            Some(error) => Err(error),
            None => Ok(role),
        }
    }
}

/// Remembers the first thing that does not exist, to be told after policy allowed asking.
fn keep_missing<T, E: Into<Error>>(
    found: std::result::Result<T, E>,
    missing: &mut Option<Error>,
) -> Option<T> {
    match found {
        Ok(value) => Some(value),
        Err(error) => {
            missing.get_or_insert_with(|| error.into());
            None
        }
    }
}

fn no_assignment(grant: &Assignment) -> Error {
    let actor = match &grant.actor {
        Actor::User(id) => format!("user ID: {id}"),
        Actor::Group(id) => format!("group ID: {id}"),
    };
    let target = match &grant.target {
        Target::Project(id) => format!("project ID: {id}"),
        Target::Domain(id) => format!("domain ID: {id}"),
        Target::System => "the system".to_owned(),
    };
    Error::Missing(format!(
        "Could not find role assignment with role: {}, user or group: {actor}, project, domain, or \
         system: {target}.",
        grant.role_id
    ))
}
