//! Trusts: making, showing and ending them, and what one is good for now. A trust made with the
//! token of another hangs on it: each trust of such a chain must hold for the last one to count.

use archstone_model::{
    Extra,
    entity::Entity,
    id::{ProjectId, RoleId, TrustId, UserId},
    listing::Change,
    policy::Target,
    revocation::RevocationEvent,
    role::Role,
    roles::{Place, RoleInference},
    trust::{Trust, TrustFilter},
};
use chrono::{DateTime, Utc};

use crate::{
    Caller, Error, Identity, Result, RoleName, new_id,
    subject::{ProjectRef, TrustDelegation, UserRef},
};

/// What a client gives to create a trust.
#[derive(Debug, Clone)]
pub struct TrustCreation {
    pub trustor_user_id: UserId,
    pub trustee_user_id: UserId,
    pub project_id: Option<ProjectId>,
    pub impersonation: bool,
    pub roles: Vec<RoleName>,
    pub expires_at: Option<DateTime<Utc>>,
    pub remaining_uses: Option<i32>,
    pub allow_redelegation: bool,
    pub redelegation_count: Change<Option<i32>>,
    pub redelegated_trust_id: Option<TrustId>,
    pub extra: Extra,
}

/// What a trust token gives now.
#[derive(Debug)]
pub(crate) struct TrustScope {
    pub(crate) project: ProjectRef,
    pub(crate) delegation: TrustDelegation,
    pub(crate) role_ids: Vec<RoleId>,
}

impl Identity {
    /// A trust with those of its roles that still exist.
    ///
    /// # Errors
    /// `NotFound` where it does not count any more, whoever asks.
    pub async fn trust(&self, caller: &Caller, id: &TrustId) -> Result<(Trust, Vec<Role>)> {
        let trust = self
            .enforced_trust(caller, "identity:get_trust", id)
            .await?;
        self.with_existing_roles(trust).await
    }

    /// The roles of a trust.
    pub async fn trust_roles(&self, caller: &Caller, id: &TrustId) -> Result<(Trust, Vec<Role>)> {
        let trust = self
            .enforced_trust(caller, "identity:list_roles_for_trust", id)
            .await?;
        self.with_existing_roles(trust).await
    }

    /// One of the roles of a trust.
    pub async fn trust_role(
        &self,
        caller: &Caller,
        id: &TrustId,
        role_id: &RoleId,
    ) -> Result<Role> {
        let trust = self
            .enforced_trust(caller, "identity:get_role_for_trust", id)
            .await?;
        if !trust.roles.contains(role_id) {
            return Err(Error::not_found(Entity::Role, role_id.as_str()));
        }
        Ok(self.store.role(role_id).await?)
    }

    /// Trusts in any state but deleted. `None` stands for filters that nobody knows: they match
    /// nothing.
    pub async fn trusts(&self, caller: &Caller, filter: Option<TrustFilter>) -> Result<Vec<Trust>> {
        let (action, target) = match &filter {
            Some(TrustFilter::Trustor(id)) => (
                "identity:list_trusts_for_trustor",
                Target::new().with("target.trust.trustor_user_id", id.as_str()),
            ),
            Some(TrustFilter::Trustee(id)) => (
                "identity:list_trusts_for_trustee",
                Target::new().with("target.trust.trustee_user_id", id.as_str()),
            ),
            Some(TrustFilter::All) | None => ("identity:list_trusts", Target::new()),
        };
        self.enforce(caller, action, target).await?;
        refuse_handed_out(caller)?;
        match filter {
            Some(filter) => Ok(self.store.trusts(&filter).await?),
            None => Ok(Vec::new()),
        }
    }

    /// Creates a trust. With the token of a trust, it hands that one on.
    ///
    /// # Errors
    /// `ForbiddenAction` where the caller is not the trustor; `NotFound` where the trustor does
    /// not hold a role; `Forbidden` where it is not within the trust that it hands on.
    pub async fn create_trust(
        &self,
        caller: &Caller,
        creation: TrustCreation,
    ) -> Result<(Trust, Vec<Role>)> {
        let target = Target::new()
            .with(
                "target.trust.trustor_user_id",
                creation.trustor_user_id.as_str(),
            )
            .with(
                "target.trust.trustee_user_id",
                creation.trustee_user_id.as_str(),
            );
        self.enforce(caller, "identity:create_trust", target)
            .await?;
        refuse_handed_out(caller)?;
        let project_id = creation
            .project_id
            .as_ref()
            .filter(|id| !id.as_str().is_empty());
        if project_id.is_some() && creation.roles.is_empty() {
            return Err(refused("At least one role should be specified"));
        }
        // An operator's policy may be wider; a trust still comes from nobody but the trustor.
        if *caller.user_id() != creation.trustor_user_id {
            return Err(refused("The authenticated user should match the trustor"));
        }
        self.find_user(&creation.trustee_user_id).await?;
        let roles = self.role_ids(&creation.roles).await?;
        self.require_roles(&creation.trustor_user_id, project_id, &roles)
            .await?;
        if creation
            .expires_at
            .is_some_and(|expires_at| expires_at < self.now())
        {
            return Err(Error::invalid(
                "The 'expires_at' must not be before now. The server could not comply with the \
                 request since it is either malformed or otherwise incorrect. The client is \
                 assumed to be in error.",
            ));
        }
        let before = match (caller.token().trust(), &creation.redelegated_trust_id) {
            (Some(delegation), _) => self.usable_trust(&delegation.trust.id).await?,
            (None, None) => Vec::new(),
            (None, Some(id)) => {
                self.usable_trust(id).await?;
                return Err(Error::forbidden(
                    "a trust is handed on by its own token only",
                ));
            }
        };
        let trust = self.trust_after(&before, creation, roles)?;
        self.store.create_trust(&trust).await?;
        self.audit_write(caller, "create", Entity::Trust, trust.id.as_str());
        self.with_existing_roles(trust).await
    }

    /// Deletes a trust with those that its trustor's authority was handed on by. Their tokens end
    /// at once.
    pub async fn delete_trust(&self, caller: &Caller, id: &TrustId) -> Result<()> {
        let mut open = vec![
            self.enforced_trust(caller, "identity:delete_trust", id)
                .await?,
        ];
        while let Some(trust) = open.pop() {
            match self.store.delete_trust(&trust.id, self.now()).await {
                Ok(()) => {}
                // Somebody else was quicker.
                Err(archstone_store::Error::NotFound { .. }) if trust.id != *id => continue,
                Err(error) => return Err(error.into()),
            }
            self.revoke(RevocationEvent::for_trust(trust.id.clone(), self.now()))
                .await?;
            self.audit_write(caller, "delete", Entity::Trust, trust.id.as_str());
            let after = self
                .store
                .redelegations(&trust.id, &trust.trustor_user_id)
                .await?;
            open.extend(after);
        }
        Ok(())
    }

    /// A trust that counts, followed by those that it hangs on, up to the first of the chain.
    ///
    /// # Errors
    /// `NotFound` where one of them does not exist, has expired or is used up; `Forbidden` where
    /// one is not within the one before it, or somebody who handed it on is disabled or gone.
    pub(crate) async fn usable_trust(&self, id: &TrustId) -> Result<Vec<Trust>> {
        let most = self.options.max_redelegation_count;
        let mut chain = vec![self.unspent_trust(id).await?];
        while let Some(before) = chain
            .last()
            .and_then(|trust| trust.redelegated_trust_id.clone())
        {
            if chain.len() > usize::try_from(most).unwrap_or_default() {
                return Err(Error::forbidden(format!(
                    "the chain of trust {id} is too long"
                )));
            }
            chain.push(self.unspent_trust(&before).await?);
        }
        for (trust, before) in chain.iter().zip(chain.iter().skip(1)) {
            trust.check_within(before, most).map_err(|reason| {
                Error::forbidden(format!(
                    "trust {} is not within {}: {reason}",
                    trust.id, before.id
                ))
            })?;
            match self.token_user(&before.trustee_user_id).await {
                Ok(_) => {}
                Err(Error::NotFound { .. } | Error::Missing(_)) => {
                    return Err(Error::forbidden(format!(
                        "user {} of trust {} is disabled or gone",
                        before.trustee_user_id, before.id
                    )));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(chain)
    }

    /// What a token of this trust gives its trustee now.
    ///
    /// # Errors
    /// Where anybody or anything that it hangs on is gone, disabled, or no longer theirs to give.
    pub(crate) async fn trust_scope(
        &self,
        trustee: &UserRef,
        id: &TrustId,
        inference: &RoleInference,
    ) -> Result<TrustScope> {
        let chain = self.usable_trust(id).await?;
        let first_trustor = chain.last().map(|trust| trust.trustor_user_id.clone());
        let Some(trust) = chain.into_iter().next() else {
            return Err(Error::not_found(Entity::Trust, id.as_str()));
        };
        let Some(project_id) = &trust.project_id else {
            return Err(Error::not_found(Entity::Project, "None"));
        };
        let (project, place) = self.token_project(project_id).await?;
        if trust.trustee_user_id != trustee.id {
            return Err(Error::forbidden(format!(
                "user {} is not the trustee of trust {id}",
                trustee.id
            )));
        }
        let trustor = self.enabled_trustor(&trust.trustor_user_id).await?;
        let role_ids: Vec<RoleId> = inference
            .expand(trust.roles.iter().cloned())
            .into_iter()
            .collect();
        for giver in [Some(&trustor.id), first_trustor.as_ref()]
            .into_iter()
            .flatten()
        {
            let held = self.roles_in(giver, &[], &place, inference).await?;
            if !role_ids.iter().all(|role| held.contains(role)) {
                return Err(Error::forbidden(format!(
                    "user {giver} no longer has all roles of trust {id}"
                )));
            }
        }
        let mut all = self.store.all_roles().await?;
        let roles = role_ids
            .iter()
            .filter_map(|id| all.remove(id))
            .filter(|role| role.domain_id.is_none())
            .collect();
        Ok(TrustScope {
            project,
            delegation: TrustDelegation {
                trust,
                trustor,
                trustee: trustee.clone(),
                roles,
            },
            role_ids,
        })
    }

    async fn enabled_trustor(&self, id: &UserId) -> Result<UserRef> {
        let user = self.find_user(id).await?;
        let domain = self.token_domain(&user.domain_id).await?;
        if !self.compliance.is_enabled(&user, self.now()) {
            return Err(Error::forbidden(format!("trustor {id} is disabled")));
        }
        Ok(UserRef::new(&user, domain))
    }

    async fn unspent_trust(&self, id: &TrustId) -> Result<Trust> {
        let trust = self.store.trust(id).await?;
        if trust.is_usable(self.now()) {
            Ok(trust)
        } else {
            Err(Error::not_found(Entity::Trust, id.as_str()))
        }
    }

    /// Whether there is a trust is no secret, so that this is answered before policy is asked.
    async fn enforced_trust(
        &self,
        caller: &Caller,
        action: &'static str,
        id: &TrustId,
    ) -> Result<Trust> {
        let mut chain = self.usable_trust(id).await?;
        let trust = chain.swap_remove(0);
        let target = Target::new()
            .with(
                "target.trust.trustor_user_id",
                trust.trustor_user_id.as_str(),
            )
            .with(
                "target.trust.trustee_user_id",
                trust.trustee_user_id.as_str(),
            );
        self.enforce(caller, action, target).await?;
        refuse_handed_out(caller)?;
        Ok(trust)
    }

    async fn with_existing_roles(&self, trust: Trust) -> Result<(Trust, Vec<Role>)> {
        let mut all = self.store.all_roles().await?;
        let roles = trust.roles.iter().filter_map(|id| all.remove(id)).collect();
        Ok((trust, roles))
    }

    /// The ids of roles, whose names may be those of any domain's as long as only one has them.
    async fn role_ids(&self, roles: &[RoleName]) -> Result<Vec<RoleId>> {
        let mut ids = Vec::with_capacity(roles.len());
        for role in roles {
            let id = match role {
                RoleName::Id(id) => id.clone(),
                RoleName::Name(name) => {
                    let all = self.store.all_roles().await?;
                    let mut named = all.into_values().filter(|role| role.name == *name);
                    match (named.next(), named.next()) {
                        (Some(role), None) => role.id,
                        (None, _) => {
                            return Err(Error::Missing(format!("Role {name} is not defined")));
                        }
                        (Some(_), Some(_)) => {
                            return Err(Error::invalid(format!(
                                "There are multiple role entities named '{name}'. Please use ID \
                                 instead of names to resolve the ambiguity."
                            )));
                        }
                    }
                }
            };
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    /// Refuses a role that the trustor does not hold in the project.
    async fn require_roles(
        &self,
        trustor: &UserId,
        project_id: Option<&ProjectId>,
        roles: &[RoleId],
    ) -> Result<()> {
        let held = match project_id {
            Some(id) => {
                let project = self.store.project(id).await?;
                let place: Place = self.place_of(&project).await?;
                let inference = RoleInference::new(self.store.implied_roles().await?);
                self.roles_in(trustor, &[], &place, &inference).await?
            }
            None => Vec::new(),
        };
        match roles.iter().find(|role| !held.contains(role)) {
            Some(missing) => Err(Error::not_found(Entity::Role, missing.as_str())),
            None => Ok(()),
        }
    }

    /// The trust that a client asked for, after those `before` it, if it stays within them.
    fn trust_after(
        &self,
        before: &[Trust],
        creation: TrustCreation,
        roles: Vec<RoleId>,
    ) -> Result<Trust> {
        let most = self.options.max_redelegation_count;
        let asked = match creation.redelegation_count {
            Change::Set(count) => count,
            Change::Keep => None,
        };
        let rest = before.first().map(|before| {
            before
                .redelegation_count
                .unwrap_or_default()
                .saturating_sub(1)
        });
        let redelegation_count = if !creation.allow_redelegation || asked == Some(0) {
            Some(0)
        } else {
            if asked.is_some_and(|asked| asked > most) {
                return Err(Error::forbidden("the chain of trusts would be too long"));
            }
            if creation.remaining_uses.is_some() {
                return Err(Error::invalid(
                    "remaining_uses must not be set if redelegation is allowed",
                ));
            }
            if asked.is_some() && rest.is_some() && asked != rest {
                return Err(Error::forbidden(
                    "a redelegated trust does not choose its own depth",
                ));
            }
            match creation.redelegation_count {
                Change::Set(count) => count,
                Change::Keep => rest.or(Some(most)),
            }
        };
        let trust = Trust {
            id: TrustId::new(new_id()),
            trustor_user_id: creation.trustor_user_id,
            trustee_user_id: creation.trustee_user_id,
            project_id: creation.project_id,
            impersonation: creation.impersonation,
            roles,
            expires_at: creation
                .expires_at
                .or_else(|| before.iter().find_map(|before| before.expires_at)),
            remaining_uses: creation.remaining_uses,
            redelegated_trust_id: before.first().map(|before| before.id.clone()),
            redelegation_count,
            extra: creation.extra,
        };
        for before in before {
            trust.check_within(before, most).map_err(|reason| {
                Error::forbidden(format!("it is not within trust {}: {reason}", before.id))
            })?;
        }
        Ok(trust)
    }
}

/// A trust's own token may hand it on; what else a user handed out neither shows nor makes trusts,
/// for those would outlive and outgrow it.
fn refuse_handed_out(caller: &Caller) -> Result<()> {
    if caller.token().was_handed_out() {
        return Err(refused("Delegated tokens cannot manage trusts."));
    }
    Ok(())
}

fn refused(action: &'static str) -> Error {
    Error::ForbiddenAction {
        action,
        reason: "the request is not within what its token may do".to_owned(),
    }
}
