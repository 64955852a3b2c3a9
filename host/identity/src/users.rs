//! Users: who may see and change them, and what a change brings with it (hashing, password rules,
//! revocation).

use std::sync::Arc;

use archstone_model::{
    Extra,
    entity::Entity,
    federation::Membership,
    id::{DomainId, GroupId, ProjectId, UserId},
    listing::{Change, Listing},
    policy::Target,
    revocation::RevocationEvent,
    secret::Secret,
    user::{
        FederatedAccount, Group, NewPassword, NewUser, User, UserFilter, UserOptions, UserPatch,
        UserWithPasswords,
    },
};

use crate::{Caller, Error, Identity, Result, directories::Directory, new_id};

/// What a client gives to create a user.
#[derive(Debug, Clone)]
pub struct UserCreation {
    pub name: String,
    /// The caller's own domain where it is absent.
    pub domain_id: Option<DomainId>,
    pub enabled: bool,
    pub default_project_id: Option<ProjectId>,
    pub password: Change<Option<Secret>>,
    pub options: UserOptions,
    pub federated: Vec<FederatedAccount>,
    pub extra: Extra,
}

/// What a client gives to change a user.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    pub name: Change<String>,
    pub domain_id: Option<DomainId>,
    pub enabled: Change<bool>,
    pub default_project_id: Change<Option<ProjectId>>,
    pub password: Change<Option<Secret>>,
    /// Options to set; an option whose value is null is removed.
    pub options: Option<Extra>,
    pub federated: Change<Vec<FederatedAccount>>,
    /// Attributes to add or replace; null values are kept as null, as Keystone does.
    pub extra: Extra,
}

impl Identity {
    /// Shows one user.
    ///
    /// # Errors
    /// `NotFound`, or `ForbiddenAction` where policy refuses.
    pub async fn user(&self, caller: &Caller, id: &UserId) -> Result<User> {
        let found = self.find_user(id).await;
        self.enforce(
            caller,
            "identity:get_user",
            self.user_target(id, found.as_ref().ok()),
        )
        .await?;
        Ok(self.shown(found?))
    }

    /// Lists users. A caller with a domain-scoped token sees that domain only.
    pub async fn users(&self, caller: &Caller, mut filter: UserFilter) -> Result<Listing<User>> {
        let own_domain = caller.scope_domain_id();
        let mut target = Target::new();
        if let Some(domain_id) = own_domain {
            target.set("target.domain_id", domain_id.as_str());
        }
        self.enforce(caller, "identity:list_users", target).await?;
        if filter.domain_id.is_none() {
            filter.domain_id = self.listed_domain(caller)?;
        }
        if let Some(marker) = &filter.page.marker {
            let found = self.find_user(&UserId::from(marker.as_str())).await;
            found.map_err(Error::into_missing_marker)?;
        }
        let mut users = match self.listed_directory(&filter).await? {
            Some(directory) => self.users_of_directory(&directory, &filter).await?,
            None => {
                filter.page = self.page_of(filter.page, None);
                let found = self.current_users(&filter).await?;
                Listing::within(&filter.page, found)
            }
        };
        if let Some(domain_id) = own_domain {
            users.entries.retain(|user| user.domain_id == *domain_id);
        }
        Ok(users.map(|user| self.shown(user)))
    }

    /// Creates a user in the given domain, or in the caller's.
    ///
    /// # Errors
    /// `Conflict` where the name is taken in the domain; `Invalid` where the domain does not exist
    /// or the password breaks the rules.
    pub async fn create_user(&self, caller: &Caller, creation: UserCreation) -> Result<User> {
        let mut target = Target::new();
        target.set_opt(
            "target.user.domain_id",
            creation.domain_id.as_ref().map(DomainId::as_str),
        );
        self.enforce(caller, "identity:create_user", target).await?;
        let domain_id = creation
            .domain_id
            .unwrap_or_else(|| self.home_domain(caller));
        self.require_domain(&domain_id).await?;
        if let Some(project_id) = &creation.default_project_id {
            self.require_project_is_no_domain(project_id).await?;
        }
        self.require_accounts_exist(&creation.federated).await?;
        let now = self.now();
        // As in Keystone, options that come with a new user exempt later passwords only.
        let exempt = UserOptions::default();
        let password = self.assigned(creation.password, &exempt).await?;
        self.require_database(&domain_id).await?;
        let user = self
            .store
            .create_user(&NewUser {
                id: UserId::new(new_id()),
                domain_id,
                name: creation.name.trim().to_owned(),
                enabled: creation.enabled,
                default_project_id: creation.default_project_id,
                password: password.into_set().flatten(),
                options: creation.options,
                federated: creation.federated,
                extra: creation.extra,
                created_at: now,
            })
            .await?;
        self.audit_write(caller, "create", Entity::User, user.id.as_str());
        Ok(user)
    }

    /// Changes a user. A new password, or disabling the user, revokes their tokens.
    pub async fn update_user(
        &self,
        caller: &Caller,
        id: &UserId,
        change: UserChange,
    ) -> Result<User> {
        let found = self.find_user(id).await;
        self.enforce(
            caller,
            "identity:update_user",
            self.user_target(id, found.as_ref().ok()),
        )
        .await?;
        let user = self.shown(found?);
        if change
            .domain_id
            .as_ref()
            .is_some_and(|domain_id| *domain_id != user.domain_id)
        {
            return Err(Error::invalid("Cannot change Domain ID"));
        }
        if let Change::Set(Some(project_id)) = &change.default_project_id {
            self.require_project_is_no_domain(project_id).await?;
        }
        // An empty list says nothing.
        let federated = match change.federated {
            Change::Set(accounts) if accounts.is_empty() => Change::Keep,
            change => change,
        };
        if let Change::Set(accounts) = &federated {
            self.require_accounts_exist(accounts).await?;
        }
        self.require_database(&user.domain_id).await?;
        let options = match change.options {
            Some(changes) => Change::Set(user.options.clone().with_changes(&changes)),
            None => Change::Keep,
        };
        let new_options = options.as_set().unwrap_or(&user.options);
        let password = self.assigned(change.password, new_options).await?;
        let mut extra = user.extra.clone();
        extra.extend(change.extra);
        let loses_tokens = matches!(password, Change::Set(Some(_)))
            || (user.enabled && change.enabled == Change::Set(false));
        let enabled = match change.enabled {
            // As in Keystone, every change of an enabled user enables them anew, and one of an
            // inactive user disables them for good.
            Change::Keep => Change::Set(user.enabled),
            enabled => enabled,
        };
        if enabled == Change::Set(true) {
            self.note_activity(id).await?;
        }
        let updated = self
            .store
            .update_user(
                id,
                &UserPatch {
                    name: change.name,
                    enabled,
                    default_project_id: change.default_project_id,
                    password,
                    options,
                    federated,
                    extra: Change::Set(extra),
                },
            )
            .await?;
        if loses_tokens {
            self.revoke(RevocationEvent::for_user(id.clone(), self.now()))
                .await?;
        }
        self.audit_write(caller, "update", Entity::User, id.as_str());
        Ok(self.shown(updated))
    }

    /// Deletes a user with everything that is theirs.
    pub async fn delete_user(&self, caller: &Caller, id: &UserId) -> Result<()> {
        let found = self.find_user(id).await;
        self.enforce(
            caller,
            "identity:delete_user",
            self.user_target(id, found.as_ref().ok()),
        )
        .await?;
        self.require_database(&found?.domain_id).await?;
        self.store.delete_user(id).await?;
        self.revoke(RevocationEvent::for_user(id.clone(), self.now()))
            .await?;
        self.audit_write(caller, "delete", Entity::User, id.as_str());
        Ok(())
    }

    /// Lets a user change their own password; the old one is the proof, no token is needed.
    ///
    /// # Errors
    /// `Unauthenticated` where the old password is wrong; `Invalid` where the new one breaks a
    /// rule.
    pub async fn change_own_password(
        &self,
        id: &UserId,
        original: &Secret,
        new: &Secret,
    ) -> Result<()> {
        let outcome = self.replace_own_password(id, original, new).await;
        self.audit_own_password(id, &outcome);
        outcome
    }

    async fn replace_own_password(
        &self,
        id: &UserId,
        original: &Secret,
        new: &Secret,
    ) -> Result<()> {
        if let Some(user) = self.prove_to_directory(id, original).await? {
            self.check_password_strength(new)?;
            return self.require_database(&user.domain_id).await;
        }
        let account = self.prove_password_for_change(id, original).await?;
        self.check_password_strength(new)?;
        if account.user.options.lock_password == Some(true) {
            return Err(Error::invalid(
                "You cannot change your password: it is locked. Ask your administrator for a new \
                 one.",
            ));
        }
        self.check_password_age(&account)?;
        self.refuse_reused_password(new, &account).await?;
        let password = self.hash_password(new, &account.user.options, true).await?;
        self.store
            .update_user(
                id,
                &UserPatch {
                    password: Change::Set(Some(password)),
                    ..UserPatch::default()
                },
            )
            .await?;
        self.revoke(RevocationEvent::for_user(id.clone(), self.now()))
            .await
    }

    /// The groups that a user is in.
    pub async fn groups_of_user(&self, caller: &Caller, id: &UserId) -> Result<Vec<Membership>> {
        let found = self.find_user(id).await;
        self.enforce(
            caller,
            "identity:list_groups_for_user",
            self.user_target(id, found.as_ref().ok()),
        )
        .await?;
        found?;
        let mut groups = self.memberships(id).await?;
        if let Some(domain_id) = caller.scope_domain_id() {
            groups.retain(|membership| membership.group.domain_id == *domain_id);
        }
        Ok(groups)
    }

    /// A user as they are shown: lists compare `enabled` as it is stored, as Keystone's do.
    pub(crate) fn shown(&self, user: User) -> User {
        self.compliance.shown(user, self.now())
    }

    /// The directory that a list of users comes from. Those known by an account of somebody else
    /// are in the database, whatever their domain.
    async fn listed_directory(&self, filter: &UserFilter) -> Result<Option<Arc<Directory>>> {
        let of_accounts =
            filter.idp_id.is_some() || filter.protocol_id.is_some() || filter.unique_id.is_some();
        match &filter.domain_id {
            Some(domain_id) if !of_accounts => self.directory_of(domain_id).await,
            _ => Ok(None),
        }
    }

    /// What policy rules may read about a user (and a group, where the request names one).
    pub(crate) fn user_target(&self, id: &UserId, user: Option<&User>) -> Target {
        let mut target = Target::new();
        target.set("user_id", id.as_str());
        if let Some(user) = user {
            target.set("target.user.id", user.id.as_str());
            target.set("target.user.domain_id", user.domain_id.as_str());
        }
        target
    }

    /// What an administrator said of a password, which may be that there is none.
    async fn assigned(
        &self,
        password: Change<Option<Secret>>,
        options: &UserOptions,
    ) -> Result<Change<Option<NewPassword>>> {
        Ok(match password {
            Change::Keep => Change::Keep,
            Change::Set(None) => {
                self.compliance
                    .check_null()
                    .map_err(|broken| Error::invalid(broken.to_string()))?;
                Change::Set(None)
            }
            Change::Set(Some(password)) => {
                Change::Set(Some(self.assigned_password(&password, options).await?))
            }
        })
    }

    /// A password that an administrator chose. It may be one from before, and may have to be changed
    /// by its owner before anything else.
    async fn assigned_password(
        &self,
        password: &Secret,
        options: &UserOptions,
    ) -> Result<NewPassword> {
        self.check_password_strength(password)?;
        let mut hashed = self.hash_password(password, options, false).await?;
        if self.compliance.must_change_on_first_use(options) {
            hashed.expires_at = Some(hashed.created_at);
        }
        Ok(hashed)
    }

    async fn hash_password(
        &self,
        password: &Secret,
        options: &UserOptions,
        self_service: bool,
    ) -> Result<NewPassword> {
        let now = self.now();
        Ok(NewPassword {
            hash: self.passwords.hash(password.clone()).await?,
            created_at: now,
            expires_at: self.compliance.expiry(now, options),
            self_service,
        })
    }

    fn check_password_strength(&self, password: &Secret) -> Result<()> {
        self.compliance
            .check_strength(password)
            .map_err(|broken| Error::invalid(broken.to_string()))
    }

    fn check_password_age(&self, account: &UserWithPasswords) -> Result<()> {
        let Some(current) = account.passwords.last() else {
            return Ok(());
        };
        self.compliance
            .check_minimum_age(current, self.now())
            .map_err(|broken| Error::invalid(broken.to_string()))
    }

    /// Refuses a password that is among the last `unique_last_password_count`.
    async fn refuse_reused_password(
        &self,
        password: &Secret,
        account: &UserWithPasswords,
    ) -> Result<()> {
        for hash in self.compliance.remembered(&account.passwords) {
            if self
                .passwords
                .verify(password.clone(), hash.to_owned())
                .await?
            {
                return Err(Error::invalid(self.compliance.reused().to_string()));
            }
        }
        Ok(())
    }
}

/// Where a user is named together with a group.
pub(crate) fn with_group(mut target: Target, id: &GroupId, group: Option<&Group>) -> Target {
    target.set("group_id", id.as_str());
    if let Some(group) = group {
        target.set("target.group.id", group.id.as_str());
        target.set("target.group.domain_id", group.domain_id.as_str());
    }
    target
}
