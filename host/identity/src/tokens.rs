//! Validating, issuing and revoking tokens.

use std::sync::Arc;

use archstone_model::{
    connector::OriginRevocation,
    entity::Entity,
    id::{DomainId, ProjectId, RoleId, UserId},
    policy::Target,
    project::Project,
    revocation::RevocationEvent,
    role::{Actor, AssignmentFilter, RoleRef},
    roles::{Place, RoleInference, effective_roles},
};
use archstone_store::Generation;
use archstone_token::{OpenedToken, TokenKind};
use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    Caller, Error, Identity, Result,
    authentication::is_of_a_plugin,
    remembered::Validated,
    subject::{
        Delegation, DomainRef, FederatedOrigin, OAuth1Delegation, ProjectRef, TokenScope, UserRef,
        ValidToken,
    },
};

/// What `Openstack-Identity-Access-Rules` must say for tokens with access rules to be shown.
const ACCESS_RULES_VERSION: f64 = 1.0;

/// How a subject token is looked at.
#[derive(Debug, Clone, Copy, Default)]
pub struct ValidationOptions {
    /// Accept a token that expired within `[token] allow_expired_window`.
    pub allow_expired: bool,
    /// The access rule version that the asking service enforces.
    pub access_rules_version: Option<f64>,
}

/// How far revoking a token goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevocationReach {
    TokenOnly,
    /// The tokens made from it, too.
    WithDescendants,
}

impl Identity {
    /// Validates a token for a service that was shown it.
    ///
    /// # Errors
    /// `NotFound` where the subject token is not valid (whatever the reason), `ForbiddenAction`
    /// where the caller may not ask.
    pub async fn validate_token(
        &self,
        caller: &Caller,
        subject: Option<&str>,
        options: ValidationOptions,
        only_check: bool,
    ) -> Result<Arc<Validated>> {
        let subject = subject.ok_or_else(no_token_given)?;
        let window = if options.allow_expired {
            self.options.allow_expired_window
        } else {
            TimeDelta::zero()
        };
        let token = self.validate(subject, window).await?;
        let action = if only_check {
            "identity:check_token"
        } else {
            "identity:validate_token"
        };
        self.enforce(caller, action, token_target(&token)).await?;
        if let Some(credential) = token.application_credential()
            && !credential.access_rules.is_empty()
            && options
                .access_rules_version
                .is_none_or(|version| version < ACCESS_RULES_VERSION)
        {
            return Err(no_token("the asking service does not enforce access rules"));
        }
        Ok(token)
    }

    /// Revokes a token: its own user may, or an administrator.
    ///
    /// # Errors
    /// `NotFound` where it is not valid, `ForbiddenAction`.
    pub async fn revoke_token(
        &self,
        caller: &Caller,
        subject: Option<&str>,
        reach: RevocationReach,
    ) -> Result<()> {
        let subject = subject.ok_or_else(no_token_given)?;
        let token = self.validate(subject, TimeDelta::zero()).await?;
        self.enforce(caller, "identity:revoke_token", token_target(&token))
            .await?;
        let audit_id = || token.audit_id().to_owned();
        self.revoke(RevocationEvent::for_token(audit_id(), self.now()))
            .await?;
        if reach == RevocationReach::WithDescendants {
            self.revoke(RevocationEvent::for_descendants(audit_id(), self.now()))
                .await?;
        }
        self.audit_write(caller, "revoke", Entity::Token, token.audit_id());
        Ok(())
    }

    /// Records a revocation, and forgets those that no token can be touched by any more.
    pub(crate) async fn revoke(&self, event: RevocationEvent) -> Result<()> {
        let kept = self.options.token_lifetime + self.options.revocation_buffer;
        self.store
            .record_revocation(&event, self.now() - kept)
            .await
            .map_err(Error::from)
    }

    /// Validates a token that must not have expired.
    pub(crate) async fn validate_now(&self, token: &str) -> Result<Arc<Validated>> {
        self.validate(token, TimeDelta::zero()).await
    }

    /// Opens a token, looks up everybody and everything it names, and checks that it still holds.
    async fn validate(&self, token: &str, expired_window: TimeDelta) -> Result<Arc<Validated>> {
        // What is read below is at least as new as this.
        let at = self.store.generation();
        if let Some(remembered) = self.remembered(token, at).await? {
            self.refuse_expired(remembered.expires_at, expired_window)?;
            return Ok(remembered);
        }
        let opened = self.tokens.open(token).map_err(|error| {
            tracing::debug!(%error, "a token was not opened");
            Error::Missing("Could not recognize Fernet token".to_owned())
        })?;
        self.refuse_expired(opened.payload.expires_at, expired_window)?;
        let subject = self.subject(opened).await.map_err(hide_what_is_missing)?;
        self.refuse_revoked(&subject, at).await?;
        let validated = Arc::new(Validated::new(token, subject));
        self.remember(&validated, at, true);
        Ok(validated)
    }

    fn refuse_expired(&self, expires_at: DateTime<Utc>, window: TimeDelta) -> Result<()> {
        if self.now() < expires_at + window {
            Ok(())
        } else {
            Err(Error::Missing("Failed to validate token".to_owned()))
        }
    }

    pub(crate) async fn refuse_revoked(
        &self,
        token: &ValidToken,
        at: Option<Generation>,
    ) -> Result<()> {
        let role_ids: Vec<RoleId> = token.roles.iter().map(|role| role.id.clone()).collect();
        let subject = token.revocation_subject(&role_ids);
        if self.is_revoked(&subject, at).await? {
            return Err(no_token("the token is revoked"));
        }
        self.refuse_revoked_origin(token).await
    }

    /// Refuses a token that came by a connector or a plugin's method whose tokens ended. Those of
    /// built-in methods never do for that reason, and cost nothing here.
    async fn refuse_revoked_origin(&self, token: &ValidToken) -> Result<()> {
        let origin = token.federation.as_ref();
        if origin.is_none() && !token.methods.iter().any(|method| is_of_a_plugin(method)) {
            return Ok(());
        }
        let provider = origin.map(|origin| (&origin.identity_provider, &origin.protocol));
        let at = token.issued_at;
        let revocations = self.store.origin_revocations_covering(at).await?;
        let ended = |it: &OriginRevocation| it.covers(provider, &token.methods, at);
        match revocations.iter().any(ended) {
            true => Err(no_token("what came by this connector or method is revoked")),
            false => Ok(()),
        }
    }

    /// Turns what a token says into what it means now.
    ///
    /// # Errors
    /// Where anybody or anything it names is gone, disabled, or no longer gives it a role.
    pub(crate) async fn subject(&self, opened: OpenedToken) -> Result<ValidToken> {
        let OpenedToken { payload, issued_at } = opened;
        let user_id = UserId::from(payload.user_id.as_str());
        let user = self.token_user(&user_id).await?;
        let federation = payload.kind.federation().map(|federation| FederatedOrigin {
            identity_provider: federation.identity_provider_id.as_str().into(),
            protocol: federation.protocol_id.as_str().into(),
            groups: federation
                .group_ids
                .iter()
                .map(|id| id.as_str().into())
                .collect(),
        });
        if let Some(origin) = &federation {
            self.store
                .identity_provider(&origin.identity_provider)
                .await?;
        }
        let groups = federation
            .as_ref()
            .map_or(&[][..], |federation| &federation.groups);
        let inference = self.inference().await?;
        let (scope, delegation, role_ids) = match &payload.kind {
            TokenKind::Unscoped | TokenKind::FederatedUnscoped { .. } => {
                (TokenScope::Unscoped, Delegation::None, Vec::new())
            }
            TokenKind::Project { project_id } | TokenKind::FederatedProject { project_id, .. } => {
                let (project, place) = self.token_project(&project_id.as_str().into()).await?;
                let roles = self.roles_in(&user_id, groups, &place, &inference).await?;
                (TokenScope::Project(project), Delegation::None, roles)
            }
            TokenKind::Domain { domain_id } | TokenKind::FederatedDomain { domain_id, .. } => {
                let domain = self.token_domain(&domain_id.as_str().into()).await?;
                let place = Place::Domain(domain.id.clone());
                let roles = self.roles_in(&user_id, groups, &place, &inference).await?;
                (TokenScope::Domain(domain), Delegation::None, roles)
            }
            TokenKind::System => {
                let roles = self
                    .roles_in(&user_id, groups, &Place::System, &inference)
                    .await?;
                (TokenScope::System, Delegation::None, roles)
            }
            TokenKind::ApplicationCredential {
                project_id,
                application_credential_id,
            } => {
                let credential = self
                    .store
                    .application_credential(&application_credential_id.as_str().into())
                    .await?;
                if credential.user_id != user_id
                    || credential.project_id.as_ref().map(ProjectId::as_str)
                        != Some(project_id.as_str())
                    || credential
                        .expires_at
                        .is_some_and(|expires_at| expires_at <= self.now())
                {
                    return Err(no_token(
                        "the application credential is no longer good for this",
                    ));
                }
                let (project, place) = self.token_project(&project_id.as_str().into()).await?;
                let held = self.roles_in(&user_id, groups, &place, &inference).await?;
                let roles = held
                    .into_iter()
                    .filter(|role| credential.roles.contains(role))
                    .collect();
                let delegation = Delegation::ApplicationCredential(Box::new(credential));
                (TokenScope::Project(project), delegation, roles)
            }
            TokenKind::Trust {
                project_id,
                trust_id,
            } => {
                let given = self
                    .trust_scope(&user, &trust_id.as_str().into(), &inference)
                    .await?;
                if project_id.as_deref() != Some(given.project.id.as_str()) {
                    return Err(no_token("the trust is for another project"));
                }
                let delegation = Delegation::Trust(Box::new(given.delegation));
                (
                    TokenScope::Project(given.project),
                    delegation,
                    given.role_ids,
                )
            }
            TokenKind::OAuth1 {
                project_id,
                access_token_id,
            } => {
                let access = self
                    .store
                    .access_token(&access_token_id.as_str().into())
                    .await?;
                if access.user_id != user_id
                    || access.project_id.as_str() != project_id
                    || access.is_expired(self.now())
                {
                    return Err(no_token("the access token is no longer good for this"));
                }
                let (project, place) = self.token_project(&access.project_id).await?;
                let held = self.roles_in(&user_id, groups, &place, &inference).await?;
                let granted = inference.expand(access.roles);
                let roles = held
                    .into_iter()
                    .filter(|role| granted.contains(role))
                    .collect();
                let delegation = Delegation::OAuth1(OAuth1Delegation {
                    access_token_id: access.id,
                    consumer_id: access.consumer_id,
                });
                (TokenScope::Project(project), delegation, roles)
            }
            TokenKind::OAuth2MutualTls {
                project_id,
                domain_id,
                ..
            } => match (project_id, domain_id) {
                (Some(project_id), _) => {
                    let (project, place) = self.token_project(&project_id.as_str().into()).await?;
                    let roles = self.roles_in(&user_id, groups, &place, &inference).await?;
                    (TokenScope::Project(project), Delegation::None, roles)
                }
                (None, Some(domain_id)) => {
                    let domain = self.token_domain(&domain_id.as_str().into()).await?;
                    let place = Place::Domain(domain.id.clone());
                    let roles = self.roles_in(&user_id, groups, &place, &inference).await?;
                    (TokenScope::Domain(domain), Delegation::None, roles)
                }
                (None, None) => (TokenScope::Unscoped, Delegation::None, Vec::new()),
            },
        };
        let roles = self.named_roles(&role_ids).await?;
        if roles.is_empty() && scope != TokenScope::Unscoped {
            return Err(Error::unauthenticated(format!(
                "user {user_id} has no role in this scope"
            )));
        }
        Ok(ValidToken {
            user,
            methods: self
                .auth_methods
                .names(payload.methods)
                .into_iter()
                .map(str::to_owned)
                .collect(),
            audit_ids: payload.audit_ids.iter().map(|id| id.to_string()).collect(),
            issued_at,
            expires_at: payload.expires_at,
            scope,
            roles,
            delegation,
            federation,
            thumbprint: payload.kind.thumbprint().map(str::to_owned),
        })
    }

    pub(crate) async fn token_user(&self, id: &UserId) -> Result<UserRef> {
        let user = self.known_user(id).await?;
        if !self.compliance.is_enabled(&user, self.now()) {
            return Err(no_token(format!("user {id} is disabled")));
        }
        let domain = self.token_domain(&user.domain_id).await?;
        Ok(UserRef::new(&user, domain))
    }

    pub(crate) async fn token_domain(&self, id: &DomainId) -> Result<DomainRef> {
        let domain = self.known_domain(id).await?;
        if domain.enabled {
            Ok(DomainRef::from(&*domain))
        } else {
            Err(no_token(format!("domain {id} is disabled")))
        }
    }

    pub(crate) async fn token_project(&self, id: &ProjectId) -> Result<(ProjectRef, Place)> {
        let known = self.known_project(id).await?;
        let (project, place) = &*known;
        if !project.enabled {
            return Err(no_token(format!("project {id} is disabled")));
        }
        let domain = self.token_domain(&project.owning_domain()).await?;
        Ok((
            ProjectRef {
                id: project.id.clone(),
                name: project.name.clone(),
                domain,
                is_domain: project.is_domain,
            },
            place.clone(),
        ))
    }

    /// A project with what is above it.
    pub(crate) async fn place_of(&self, project: &Project) -> Result<Place> {
        let domain_id = project.owning_domain();
        let parent_is_domain = project
            .parent_id
            .as_ref()
            .is_none_or(|id| id.as_str() == domain_id.as_str());
        let above = if parent_is_domain {
            Vec::new()
        } else {
            let ancestors = self.store.ancestors(&project.id).await?;
            ancestors
                .into_iter()
                .filter(|a| !a.is_domain)
                .map(|ancestor| ancestor.id)
                .collect()
        };
        Ok(Place::Project {
            id: project.id.clone(),
            above,
            domain_id,
        })
    }

    /// The ids of the roles that a user has in a place, by themselves and by their groups.
    pub(crate) async fn roles_in(
        &self,
        user_id: &UserId,
        federated_groups: &[archstone_model::id::GroupId],
        place: &Place,
        inference: &RoleInference,
    ) -> Result<Vec<RoleId>> {
        let groups = self.current_groups(user_id).await?;
        let actors = std::iter::once(Actor::User(user_id.clone()))
            .chain(groups.into_iter().map(Actor::Group))
            .chain(federated_groups.iter().cloned().map(Actor::Group))
            .collect();
        let filter = AssignmentFilter {
            actors,
            targets: place.targets(),
            ..AssignmentFilter::default()
        };
        let assignments = self.store.assignments(&filter).await?;
        Ok(effective_roles(&assignments, place, inference)
            .into_iter()
            .collect())
    }

    /// These roles with their names. Roles of a domain only stand for what they imply, so they are
    /// never named themselves.
    pub(crate) async fn named_roles(&self, ids: &[RoleId]) -> Result<Vec<RoleRef>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let roles = self.known_roles().await?;
        Ok(ids
            .iter()
            .filter_map(|id| roles.get(id))
            .filter(|role| role.domain_id.is_none())
            .map(|role| RoleRef {
                id: role.id.clone(),
                name: role.name.clone(),
            })
            .collect())
    }

    /// When a token issued now expires.
    pub(crate) fn token_expiry(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        use chrono::SubsecRound;
        (now + self.options.token_lifetime).trunc_subsecs(0)
    }
}

fn token_target(token: &ValidToken) -> Target {
    Target::new()
        .with("target.token.user_id", token.user.id.as_str())
        .with("target.token.user.domain.id", token.user.domain.id.as_str())
}

fn no_token_given() -> Error {
    Error::Missing("No token in the request".to_owned())
}

/// A token that is not valid looks like one that does not exist; why, is for the log.
fn no_token(reason: impl Into<String>) -> Error {
    let reason = reason.into();
    tracing::debug!(reason, "a token was not accepted");
    Error::Missing("Could not find token.".to_owned())
}

fn hide_what_is_missing(error: Error) -> Error {
    match error {
        Error::NotFound { .. } | Error::Missing(_) | Error::Unauthenticated { .. } => no_token(
            error
                .reason()
                .map_or_else(|| error.to_string(), str::to_owned),
        ),
        other => other,
    }
}
