//! Roles and what they imply.

use archstone_model::{
    Extra,
    entity::Entity,
    id::{DomainId, RoleId},
    listing::{Change, Listing},
    policy::Target,
    project::ResourceOptions,
    role::{Actor, AssignmentFilter, ImpliedRole, Role, RoleFilter, RolePatch, Target as Place},
    roles::RoleInference,
};

use crate::{Caller, Error, Identity, Result, new_id};

/// What a client gives to create a role.
#[derive(Debug, Clone)]
pub struct RoleCreation {
    pub name: String,
    pub domain_id: Option<DomainId>,
    pub description: Option<String>,
    pub options: ResourceOptions,
    pub extra: Extra,
}

/// What a client gives to change a role.
#[derive(Debug, Clone, Default)]
pub struct RoleChange {
    pub name: Change<String>,
    /// Given only to be compared: it cannot change.
    pub domain_id: Change<Option<DomainId>>,
    pub description: Change<Option<String>>,
    pub immutable: Change<Option<bool>>,
    pub extra: Extra,
}

impl RoleChange {
    /// Whether it does nothing but make an immutable role mutable again.
    fn only_unlocks(&self) -> bool {
        matches!(self.immutable, Change::Set(None | Some(false)))
            && !self.name.is_set()
            && !self.domain_id.is_set()
            && !self.description.is_set()
            && self.extra.is_empty()
    }
}

impl Identity {
    pub async fn role(&self, caller: &Caller, id: &RoleId) -> Result<Role> {
        let role = self.store.role(id).await?;
        let action = if role.domain_id.is_some() {
            "identity:get_domain_role"
        } else {
            "identity:get_role"
        };
        self.enforce(caller, action, role_target(&role)).await?;
        Ok(role)
    }

    /// Lists global roles, or those of the domain in the filter.
    pub async fn roles(&self, caller: &Caller, mut filter: RoleFilter) -> Result<Listing<Role>> {
        let action = if filter.domain_id.is_some() {
            "identity:list_domain_roles"
        } else {
            "identity:list_roles"
        };
        self.enforce(caller, action, Target::new()).await?;
        let page = self.page_of(filter.page, None);
        filter.page = page.and_one();
        let found = self.store.roles(&filter).await?;
        Ok(Listing::of(&page, found))
    }

    pub async fn create_role(&self, caller: &Caller, creation: RoleCreation) -> Result<Role> {
        let action = if creation.domain_id.is_some() {
            "identity:create_domain_role"
        } else {
            "identity:create_role"
        };
        self.enforce(caller, action, Target::new()).await?;
        if let Some(domain_id) = &creation.domain_id {
            self.require_domain(domain_id).await?;
        }
        let role = Role {
            id: RoleId::new(new_id()),
            name: creation.name.trim().to_owned(),
            domain_id: creation.domain_id,
            description: creation.description,
            options: creation.options,
            extra: creation.extra,
        };
        self.store.create_role(&role).await?;
        self.audit_write(caller, "create", Entity::Role, role.id.as_str());
        Ok(role)
    }

    pub async fn update_role(
        &self,
        caller: &Caller,
        id: &RoleId,
        change: RoleChange,
    ) -> Result<Role> {
        let role = self.store.role(id).await?;
        let action = if role.domain_id.is_some() {
            "identity:update_domain_role"
        } else {
            "identity:update_role"
        };
        self.enforce(caller, action, role_target(&role)).await?;
        if change
            .domain_id
            .as_set()
            .is_some_and(|domain_id| *domain_id != role.domain_id)
        {
            return Err(Error::invalid("Update of `domain_id` is not allowed."));
        }
        if role.options.immutable == Some(true) && !change.only_unlocks() {
            return Err(Error::immutable_update(Entity::Role, id));
        }
        let mut extra = role.extra;
        extra.extend(change.extra);
        let patch = RolePatch {
            name: change.name,
            description: change.description,
            options: change
                .immutable
                .map(|immutable| ResourceOptions { immutable }),
            extra: Change::Set(extra),
        };
        let updated = self.store.update_role(id, &patch).await?;
        self.audit_write(caller, "update", Entity::Role, id.as_str());
        Ok(updated)
    }

    /// Deletes a role. Tokens go on with the roles that are left; what a user let a program do in a
    /// project where they had it ends.
    pub async fn delete_role(&self, caller: &Caller, id: &RoleId) -> Result<()> {
        let role = self.store.role(id).await?;
        let action = if role.domain_id.is_some() {
            "identity:delete_domain_role"
        } else {
            "identity:delete_role"
        };
        self.enforce(caller, action, role_target(&role)).await?;
        if role.options.immutable == Some(true) {
            return Err(Error::immutable_delete(Entity::Role, id));
        }
        let filter = AssignmentFilter {
            role_id: Some(id.clone()),
            ..AssignmentFilter::default()
        };
        for assignment in self.store.assignments(&filter).await? {
            if let (Actor::User(user_id), Place::Project(project_id)) =
                (&assignment.actor, &assignment.target)
            {
                self.store
                    .delete_application_credentials_in_project(user_id, project_id)
                    .await?;
            }
        }
        self.store.delete_role(id).await?;
        self.audit_write(caller, "delete", Entity::Role, id.as_str());
        Ok(())
    }

    /// A role with those that it implies in one step.
    pub async fn implied_roles(
        &self,
        caller: &Caller,
        prior: &RoleId,
    ) -> Result<(Role, Vec<Role>)> {
        self.enforce(caller, "identity:list_implied_roles", Target::new())
            .await?;
        let role = self.store.role(prior).await?;
        let inference = RoleInference::new(self.store.implied_roles().await?);
        let mut roles = self.store.all_roles().await?;
        let implied = inference
            .directly(prior)
            .filter_map(|id| roles.remove(id))
            .collect();
        Ok((role, implied))
    }

    /// Every role that implies others, with those.
    pub async fn role_inferences(&self, caller: &Caller) -> Result<Vec<(Role, Vec<Role>)>> {
        self.enforce(caller, "identity:list_role_inference_rules", Target::new())
            .await?;
        let roles = self.store.all_roles().await?;
        let mut rules: Vec<(Role, Vec<Role>)> = Vec::new();
        for ImpliedRole { prior, implied } in self.store.implied_roles().await? {
            let (Some(prior), Some(implied)) = (roles.get(&prior), roles.get(&implied)) else {
                continue;
            };
            match rules.iter_mut().find(|(known, _)| known.id == prior.id) {
                Some((_, all)) => all.push(implied.clone()),
                None => rules.push((prior.clone(), vec![implied.clone()])),
            }
        }
        Ok(rules)
    }

    /// One implication, after policy allowed `action`.
    ///
    /// # Errors
    /// `Missing` where the one role does not imply the other.
    pub async fn implied_role(
        &self,
        caller: &Caller,
        action: &'static str,
        prior: &RoleId,
        implied: &RoleId,
    ) -> Result<(Role, Role)> {
        self.enforce(caller, action, Target::new()).await?;
        let roles = (
            self.store.role(prior).await?,
            self.store.role(implied).await?,
        );
        let inference = RoleInference::new(self.store.implied_roles().await?);
        if inference.directly(prior).any(|role| role == implied) {
            Ok(roles)
        } else {
            Err(Error::Missing(format!("{prior} does not imply {implied}.")))
        }
    }

    /// # Errors
    /// `Conflict` where it already implies that role.
    pub async fn create_implied_role(
        &self,
        caller: &Caller,
        prior: &RoleId,
        implied: &RoleId,
    ) -> Result<(Role, Role)> {
        self.enforce(caller, "identity:create_implied_role", Target::new())
            .await?;
        let (prior_role, implied_role) = (
            self.store.role(prior).await?,
            self.store.role(implied).await?,
        );
        if self
            .options
            .prohibited_implied_roles
            .contains(&implied_role.name)
        {
            return Err(Error::refused(format!(
                "{implied} cannot be an implied roles."
            )));
        }
        if prior_role.domain_id.is_none() && implied_role.domain_id.is_some() {
            return Err(Error::forbidden(
                "a global role cannot imply a domain's role",
            ));
        }
        let inference = RoleInference::new(self.store.implied_roles().await?);
        if inference.directly(prior).any(|role| role == implied) {
            return Err(Error::conflict(Entity::ImpliedRole, "Duplicate entry."));
        }
        let implication = ImpliedRole {
            prior: prior.clone(),
            implied: implied.clone(),
        };
        self.store.create_implied_role(&implication).await?;
        self.audit_write(caller, "create", Entity::ImpliedRole, implied.as_str());
        Ok((prior_role, implied_role))
    }

    pub async fn delete_implied_role(
        &self,
        caller: &Caller,
        prior: &RoleId,
        implied: &RoleId,
    ) -> Result<()> {
        self.implied_role(caller, "identity:delete_implied_role", prior, implied)
            .await?;
        let implication = ImpliedRole {
            prior: prior.clone(),
            implied: implied.clone(),
        };
        self.store.delete_implied_role(&implication).await?;
        self.audit_write(caller, "delete", Entity::ImpliedRole, implied.as_str());
        Ok(())
    }
}

fn role_target(role: &Role) -> Target {
    let mut target = Target::new()
        .with("role_id", role.id.as_str())
        .with("target.role.id", role.id.as_str())
        .with("target.role.name", &role.name);
    target.set_opt(
        "target.role.domain_id",
        role.domain_id.as_ref().map(DomainId::as_str),
    );
    target
}
