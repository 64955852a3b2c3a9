//! Application credentials: what a user lets a program do in one project. Nobody makes them for
//! somebody else, and no delegation widens itself through one.

use std::collections::BTreeSet;

use archstone_model::{
    credential::{
        AccessRule, ApplicationCredential, ApplicationCredentialFilter, NewApplicationCredential,
        SecretHash,
    },
    entity::Entity,
    id::{AccessRuleId, ApplicationCredentialId, RoleId, UserId},
    listing::Listing,
    policy::Target,
    role::Role,
    roles::RoleInference,
    secret::Secret,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use rand::RngCore;

use crate::{Caller, Error, Identity, Result, new_id};

/// What a client gives to create an application credential.
#[derive(Debug, Clone)]
pub struct ApplicationCredentialCreation {
    pub name: String,
    pub description: Option<String>,
    /// Made up where it is absent.
    pub secret: Option<Secret>,
    /// By id or by name; all of the caller's roles where it is absent.
    pub roles: Option<Vec<RoleName>>,
    pub expires_at: Option<DateTime<Utc>>,
    pub unrestricted: Option<bool>,
    pub access_rules: Vec<AccessRuleCreation>,
}

/// A role in a request.
#[derive(Debug, Clone)]
pub enum RoleName {
    Id(RoleId),
    Name(String),
}

/// An access rule in a request: a new one, or one that the user has.
#[derive(Debug, Clone)]
pub enum AccessRuleCreation {
    Existing(AccessRuleId),
    New {
        service: String,
        path: String,
        method: String,
    },
}

/// A new application credential with its secret, which is shown this once.
#[derive(Debug, Clone)]
pub struct CreatedApplicationCredential {
    pub credential: ApplicationCredential,
    pub roles: Vec<Role>,
    pub secret: Secret,
}

impl Identity {
    pub async fn application_credential(
        &self,
        caller: &Caller,
        user_id: &UserId,
        id: &ApplicationCredentialId,
    ) -> Result<(ApplicationCredential, Vec<Role>)> {
        let action = "identity:get_application_credential";
        let credential = self
            .enforced_app_credential(caller, action, user_id, id)
            .await?;
        self.with_roles(credential).await
    }

    pub async fn application_credentials(
        &self,
        caller: &Caller,
        user_id: &UserId,
        mut filter: ApplicationCredentialFilter,
    ) -> Result<Listing<(ApplicationCredential, Vec<Role>)>> {
        let target = Target::new().with("user_id", user_id.as_str());
        self.enforce(caller, "identity:list_application_credentials", target)
            .await?;
        refuse_delegations(caller)?;
        let page = self.page_asked_for(filter.page);
        filter.page = page.and_one();
        let mut found = Vec::new();
        for credential in self.store.application_credentials(user_id, &filter).await? {
            found.push(self.with_roles(credential).await?);
        }
        Ok(Listing::of(&page, found))
    }

    /// Creates an application credential for the caller, in the project of their token. A token
    /// without a project makes one that nobody can log in with, as in Keystone.
    ///
    /// # Errors
    /// `Conflict` where the name is taken; `Invalid` where a role is not theirs; `ForbiddenAction`
    /// where the caller themselves came through a restricted application credential.
    pub async fn create_application_credential(
        &self,
        caller: &Caller,
        user_id: &UserId,
        creation: ApplicationCredentialCreation,
    ) -> Result<CreatedApplicationCredential> {
        let target = Target::new().with("user_id", user_id.as_str());
        self.enforce(caller, "identity:create_application_credential", target)
            .await?;
        refuse_delegations(caller)?;
        refuse_restricted(caller)?;
        if caller.user_id() != user_id {
            return Err(Error::ForbiddenAction {
                action: "Cannot create an application credential for another user.",
                reason: "application credentials are made for oneself".to_owned(),
            });
        }
        if creation
            .expires_at
            .is_some_and(|expires_at| expires_at <= self.now())
        {
            return Err(Error::invalid(
                "The 'expires_at' must not be before now. The server could not comply with the \
                 request since it is either malformed or otherwise incorrect. The client is \
                 assumed to be in error.",
            ));
        }
        if let Some(limit) = self.options.application_credential_user_limit {
            let all = ApplicationCredentialFilter::default();
            if self
                .store
                .application_credentials(user_id, &all)
                .await?
                .len() as u64
                >= limit
            {
                return Err(Error::refused(format!(
                    "Unable to create additional application credentials, maximum of {limit} \
                     already exceeded for user."
                )));
            }
        }
        let roles = self.delegable_roles(caller, creation.roles).await?;
        let access_rules = self.rules_for(user_id, creation.access_rules).await?;
        let secret = creation
            .secret
            .filter(|secret| !secret.expose().is_empty())
            .unwrap_or_else(random_secret);
        let secret_hash = SecretHash(self.passwords.hash(secret.clone()).await?);
        let credential = ApplicationCredential {
            id: ApplicationCredentialId::new(new_id()),
            name: creation.name,
            description: creation.description,
            user_id: user_id.clone(),
            project_id: caller.token().project().map(|project| project.id.clone()),
            roles,
            expires_at: creation.expires_at,
            unrestricted: creation.unrestricted,
            access_rules,
        };
        let new = NewApplicationCredential {
            credential,
            secret_hash,
        };
        let credential = self.store.create_application_credential(&new).await?;
        self.audit_write(
            caller,
            "create",
            Entity::ApplicationCredential,
            credential.id.as_str(),
        );
        let (credential, roles) = self.with_roles(credential).await?;
        Ok(CreatedApplicationCredential {
            credential,
            roles,
            secret,
        })
    }

    pub async fn delete_application_credential(
        &self,
        caller: &Caller,
        user_id: &UserId,
        id: &ApplicationCredentialId,
    ) -> Result<()> {
        let action = "identity:delete_application_credential";
        self.enforced_app_credential(caller, action, user_id, id)
            .await?;
        refuse_restricted(caller)?;
        self.store.delete_application_credential(id).await?;
        self.audit_write(caller, "delete", Entity::ApplicationCredential, id.as_str());
        Ok(())
    }

    pub async fn access_rules(&self, caller: &Caller, user_id: &UserId) -> Result<Vec<AccessRule>> {
        self.enforce(caller, "identity:list_access_rules", rule_target(user_id))
            .await?;
        refuse_delegations(caller)?;
        Ok(self.store.access_rules(user_id).await?)
    }

    pub async fn access_rule(
        &self,
        caller: &Caller,
        user_id: &UserId,
        id: &AccessRuleId,
    ) -> Result<AccessRule> {
        self.enforce(caller, "identity:get_access_rule", rule_target(user_id))
            .await?;
        refuse_delegations(caller)?;
        Ok(self.store.access_rule(user_id, id).await?)
    }

    /// # Errors
    /// `Refused` where an application credential has the rule.
    pub async fn delete_access_rule(
        &self,
        caller: &Caller,
        user_id: &UserId,
        id: &AccessRuleId,
    ) -> Result<()> {
        self.enforce(caller, "identity:delete_access_rule", rule_target(user_id))
            .await?;
        refuse_delegations(caller)?;
        refuse_restricted(caller)?;
        self.store.delete_access_rule(user_id, id).await?;
        self.audit_write(caller, "delete", Entity::AccessRule, id.as_str());
        Ok(())
    }

    /// Ownership hangs on the credential's own user, not on the one in the path, who counts only
    /// where there is no such credential.
    async fn enforced_app_credential(
        &self,
        caller: &Caller,
        action: &'static str,
        user_id: &UserId,
        id: &ApplicationCredentialId,
    ) -> Result<ApplicationCredential> {
        let found = self.store.application_credential(id).await;
        let owner = found
            .as_ref()
            .map_or(user_id, |credential| &credential.user_id);
        let target = Target::new().with("user_id", owner.as_str());
        self.enforce(caller, action, target).await?;
        refuse_delegations(caller)?;
        Ok(found?)
    }

    async fn with_roles(
        &self,
        credential: ApplicationCredential,
    ) -> Result<(ApplicationCredential, Vec<Role>)> {
        let all = self.store.all_roles().await?;
        let roles = credential
            .roles
            .iter()
            .filter_map(|id| all.get(id).cloned())
            .collect();
        Ok((credential, roles))
    }

    /// The roles to delegate: those asked for with what they imply, every one of which the token
    /// must carry.
    async fn delegable_roles(
        &self,
        caller: &Caller,
        asked: Option<Vec<RoleName>>,
    ) -> Result<Vec<RoleId>> {
        let held = &caller.token().roles;
        let Some(asked) = asked.filter(|asked| !asked.is_empty()) else {
            return Ok(held.iter().map(|role| role.id.clone()).collect());
        };
        let mut roles = BTreeSet::new();
        for name in asked {
            roles.insert(match name {
                RoleName::Id(id) => id,
                RoleName::Name(name) => self.store.role_by_name(&name, None).await?.id,
            });
        }
        let roles = RoleInference::new(self.store.implied_roles().await?).expand(roles);
        for id in &roles {
            if !held.iter().any(|role| role.id == *id) {
                return Err(Error::invalid(format!(
                    "Invalid application credential: Could not find role assignment with role: \
                     {id}, user or group: {}, project, domain, or system: {}.",
                    caller.user_id(),
                    caller
                        .token()
                        .project()
                        .map_or("", |project| project.id.as_str())
                )));
            }
        }
        Ok(roles.into_iter().collect())
    }

    async fn rules_for(
        &self,
        user_id: &UserId,
        asked: Vec<AccessRuleCreation>,
    ) -> Result<Vec<AccessRule>> {
        let mut rules = Vec::new();
        for rule in asked {
            rules.push(match rule {
                AccessRuleCreation::Existing(id) => self.store.access_rule(user_id, &id).await?,
                AccessRuleCreation::New {
                    service,
                    path,
                    method,
                } => AccessRule {
                    id: AccessRuleId::new(new_id()),
                    service: Some(service),
                    path: Some(path),
                    method: Some(method),
                },
            });
        }
        Ok(rules)
    }
}

fn rule_target(user_id: &UserId) -> Target {
    Target::new()
        .with("user_id", user_id.as_str())
        .with("target.user.id", user_id.as_str())
}

/// A delegation must not leave anything behind that outlives it. What an application credential may
/// do here is its owner's choice: see [`refuse_restricted`].
fn refuse_delegations(caller: &Caller) -> Result<()> {
    let token = caller.token();
    if token.is_delegated() && token.application_credential().is_none() {
        return Err(Error::forbidden(
            "application credentials cannot be managed with a token issued via delegation",
        ));
    }
    Ok(())
}

fn refuse_restricted(caller: &Caller) -> Result<()> {
    let came_through = caller
        .token()
        .methods
        .iter()
        .any(|method| method == "application_credential");
    let unrestricted = caller
        .token()
        .application_credential()
        .is_some_and(ApplicationCredential::is_unrestricted);
    if came_through && !unrestricted {
        return Err(Error::ForbiddenAction {
            action: "Using method 'application_credential' is not allowed for managing additional \
                     application credentials",
            reason: "the application credential is restricted".to_owned(),
        });
    }
    Ok(())
}

fn random_secret() -> Secret {
    let mut bytes = [0; 64];
    rand::rng().fill_bytes(&mut bytes);
    Secret::new(URL_SAFE_NO_PAD.encode(bytes))
}
