//! Logging in: each method proves who somebody is, their rules say whether that is enough, and the
//! scope they ask for becomes a token.

mod application_credential;
mod confined;
mod ec2;
mod enrolled;
mod external;
mod mapped;
mod oauth1;
mod oauth2;
mod password;
pub(crate) mod plugin;
mod provisioning;
mod receipt;
mod request;
mod routed;
mod token;
mod tokenless;

use std::sync::Arc;

use archstone_model::{
    entity::Entity,
    id::{AccessTokenId, ApplicationCredentialId, TrustId, UserId},
    secret::Secret,
    trust::Trust,
    user::User,
};
use archstone_token::{AuditId, AuditIds, OpenedToken, TokenKind, TokenPayload};
use chrono::{DateTime, SubsecRound, Utc};

pub(crate) use self::{
    confined::user_of_connector,
    request::{ApplicationCredentialReference, text},
};
pub use self::{
    external::RemoteUser,
    request::{AuthRequest, DomainReference, ProjectReference, RequestedScope, UserReference},
};
use crate::{Error, Identity, Result, remembered::Validated, subject::ValidToken};

/// The methods that need no plugin. A plugin cannot take their place.
const BUILT_IN: [&str; 10] = [
    external::METHOD,
    "password",
    "token",
    "application_credential",
    "oauth1",
    "ec2credential",
    "mapped",
    "saml2",
    "openid",
    "x509",
];

/// Whether a method that a token names is a plugin's.
pub(crate) fn is_of_a_plugin(method: &str) -> bool {
    !BUILT_IN.contains(&method)
}

/// A token just made.
#[derive(Debug, Clone)]
pub struct IssuedToken {
    /// What the client sends from now on.
    pub token: Secret,
    pub subject: Arc<ValidToken>,
}

/// What the methods of one login have proven together. They must agree.
#[derive(Debug, Default)]
struct Proof {
    user_id: Option<UserId>,
    /// Methods that succeeded, with those that a token to rescope was made with.
    methods: Vec<String>,
    /// The latest that the token may last; the earliest of all methods counts.
    expires_at: Option<DateTime<Utc>>,
    /// The audit ids of the token that is being rescoped.
    audit_ids: Option<AuditIds>,
    application_credential: Option<ApplicationCredentialId>,
    access_token: Option<AccessTokenId>,
    /// Where the identity provider's word, not a local account, is the proof.
    federation: Option<archstone_token::Federation>,
}

impl Proof {
    /// Adds a method that proved `user_id`.
    fn add(&mut self, method: &str, user_id: UserId) -> Result<()> {
        match &self.user_id {
            Some(known) if *known != user_id => {
                return Err(Error::unauthenticated("the methods proved different users"));
            }
            _ => self.user_id = Some(user_id),
        }
        self.add_method(method);
        Ok(())
    }

    fn add_method(&mut self, method: &str) {
        if !self.methods.iter().any(|known| known == method) {
            self.methods.push(method.to_owned());
        }
    }

    /// The token may not outlast `expires_at`.
    fn limit(&mut self, expires_at: DateTime<Utc>) {
        self.expires_at = Some(
            self.expires_at
                .map_or(expires_at, |earlier| earlier.min(expires_at)),
        );
    }
}

impl Identity {
    /// Logs somebody in.
    ///
    /// # Errors
    /// `Unauthenticated` and its relatives where the proof is not accepted, `MoreMethodsNeeded`
    /// with a receipt where the user's rules ask for more, `Invalid` where the request is not
    /// complete.
    pub async fn authenticate(&self, request: AuthRequest) -> Result<IssuedToken> {
        let (methods, claimed) = (request.methods.clone(), request.claimed_user());
        let client = request.client;
        self.throttle
            .admit(client, claimed.as_deref(), self.now())?;
        match self.try_authenticate(request).await.map_err(without_gaps) {
            Ok(issued) => {
                self.audit_login(issued.subject.user.id.as_str(), &issued.subject.methods);
                Ok(issued)
            }
            Err(error) => {
                if error.is_failed_proof() {
                    self.throttle.failed(client, claimed.as_deref(), self.now());
                }
                self.audit_unfinished_login(&methods, claimed.as_deref(), &error);
                Err(error)
            }
        }
    }

    async fn try_authenticate(&self, request: AuthRequest) -> Result<IssuedToken> {
        let request = self.routed(request).await?;
        for method in &request.methods {
            if !self.supports(method) {
                return Err(Error::UnsupportedMethod {
                    supported: self.supported_methods(),
                });
            }
        }
        if request
            .methods
            .iter()
            .any(|method| method == "application_credential")
            && request.scope != RequestedScope::Default
        {
            return Err(Error::ApplicationCredentialWithScope);
        }
        let mut proof = Proof::default();
        self.prove_externally(&request, &mut proof).await?;
        for method in &request.methods {
            match method.as_str() {
                external::METHOD => {
                    if !proof.methods.contains(method) {
                        return Err(Error::unauthenticated("no web server told of a user"));
                    }
                }
                "password" => self.prove_password(&request, &mut proof).await?,
                "token" => self.prove_token(&request, &mut proof).await?,
                "application_credential" => {
                    self.prove_application_credential(&request, &mut proof)
                        .await?;
                }
                "oauth1" => self.prove_oauth1(&request, &mut proof).await?,
                "ec2credential" => {
                    return Err(Error::unauthenticated(
                        "EC2 keys are exchanged at /v3/ec2tokens and never here",
                    ));
                }
                method if mapped::METHODS.contains(&method) => {
                    self.prove_by_mapping(method, &request, &mut proof).await?;
                }
                _ => self.prove_by_plugin(method, &request, &mut proof).await?,
            }
        }
        let Some(user_id) = proof.user_id.clone() else {
            return Err(Error::unauthenticated("no method named a user"));
        };
        if let Some(receipt) = &request.receipt {
            for method in self.receipt_methods(receipt, &user_id)? {
                proof.add_method(&method);
            }
        }
        let user = self
            .known_user(&user_id)
            .await
            .map_err(Error::into_unauthenticated)?;
        self.require_enough_methods(&user, &proof.methods).await?;
        let kind = self.token_kind(&request.scope, &user, &proof).await?;
        self.issue(user_id, kind, proof).await
    }

    /// Whether a method can be used in a login.
    pub(crate) fn supports(&self, method: &str) -> bool {
        self.options
            .auth_methods
            .iter()
            .any(|known| known == method)
            && (BUILT_IN.contains(&method) || self.plugins.serves_method(method))
    }

    /// What a client that named another method is told: the methods that are configured, whether
    /// or not they are there just now.
    pub(crate) fn supported_methods(&self) -> Vec<String> {
        self.options.auth_methods.clone()
    }

    /// The kind of token that this login gets.
    async fn token_kind(
        &self,
        scope: &RequestedScope,
        user: &User,
        proof: &Proof,
    ) -> Result<TokenKind> {
        // Two delegations at once bound each other, and no token says both.
        if proof.application_credential.is_some() && proof.access_token.is_some() {
            return Err(Error::unauthenticated("the login came by two delegations"));
        }
        if let Some(id) = &proof.access_token {
            let access = self.store.access_token(id).await?;
            return Ok(TokenKind::OAuth1 {
                project_id: access.project_id.into_string(),
                access_token_id: id.to_string(),
            });
        }
        if let Some(id) = &proof.application_credential {
            let credential = self.store.application_credential(id).await?;
            let Some(project_id) = credential.project_id else {
                return Err(Error::unauthenticated(
                    "the application credential is for no project",
                ));
            };
            return Ok(TokenKind::ApplicationCredential {
                project_id: project_id.into_string(),
                application_credential_id: id.to_string(),
            });
        }
        let federation = proof.federation.clone();
        let fixed = self.fixed_scope(scope, &federation).await?;
        Ok(match fixed.as_ref().unwrap_or(scope) {
            RequestedScope::Unscoped => unscoped(federation),
            RequestedScope::Default => match self.default_project(user, &federation).await? {
                Some(project_id) => TokenKind::Project { project_id },
                None => unscoped(federation),
            },
            RequestedScope::Project(reference) => {
                let project_id = self.login_project(reference).await?.id.into_string();
                match federation {
                    Some(federation) => TokenKind::FederatedProject {
                        project_id,
                        federation,
                    },
                    None => TokenKind::Project { project_id },
                }
            }
            RequestedScope::Domain(reference) => {
                let domain_id = self.login_domain(reference).await?.id.into_string();
                match federation {
                    Some(federation) => TokenKind::FederatedDomain {
                        domain_id,
                        federation,
                    },
                    None => TokenKind::Domain { domain_id },
                }
            }
            RequestedScope::System => TokenKind::System,
            RequestedScope::Trust(id) => self.trust_kind(id).await?,
        })
    }

    /// The kind of token that a trust gives, in a project that can be used.
    async fn trust_kind(&self, id: &TrustId) -> Result<TokenKind> {
        let chain = self.usable_trust(id).await?;
        let project_id = chain.into_iter().next().and_then(|trust| trust.project_id);
        let Some(project_id) = project_id else {
            return Err(Error::Missing("Could not find project: None.".to_owned()));
        };
        let project = self
            .login_project(&ProjectReference::Id(project_id))
            .await?;
        Ok(TokenKind::Trust {
            project_id: Some(project.id.into_string()),
            trust_id: id.to_string(),
        })
    }

    /// The user's default project, where they can work in it.
    async fn default_project(
        &self,
        user: &User,
        federation: &Option<archstone_token::Federation>,
    ) -> Result<Option<String>> {
        let (Some(project_id), None) = (&user.default_project_id, federation) else {
            return Ok(None);
        };
        let Ok(known) = self.known_project(project_id).await else {
            return Ok(None);
        };
        let (project, place) = &*known;
        let Ok(project) = self.usable_project(project.clone()).await else {
            return Ok(None);
        };
        let inference = self.inference().await?;
        let roles = self.roles_in(&user.id, &[], place, &inference).await?;
        Ok((!roles.is_empty()).then(|| project.id.into_string()))
    }

    /// Counts a token off a trust that gives only so many.
    async fn use_trust(&self, trust: &Trust) -> Result<()> {
        if trust.remaining_uses.is_some() && !self.store.consume_trust(&trust.id).await? {
            return Err(Error::forbidden(format!(
                "no remaining uses for trust {}",
                trust.id
            )));
        }
        Ok(())
    }

    /// Makes the token, if everything it would say holds.
    async fn issue(&self, user_id: UserId, kind: TokenKind, proof: Proof) -> Result<IssuedToken> {
        let now = self.now().trunc_subsecs(0);
        let mut expires_at = proof.expires_at.unwrap_or_else(|| self.token_expiry(now));
        if let Some(id) = kind.application_credential_id() {
            let credential = self.store.application_credential(&id.into()).await?;
            expires_at = credential
                .expires_at
                .map_or(expires_at, |end| expires_at.min(end));
        }
        if let Some(id) = kind.trust_id() {
            let trust = self.store.trust(&id.into()).await?;
            expires_at = trust
                .expires_at
                .map_or(expires_at, |end| expires_at.min(end.trunc_subsecs(0)));
        }
        if let Some(id) = kind.access_token_id() {
            let access = self.store.access_token(&id.into()).await?;
            expires_at = access
                .expires_at
                .map_or(expires_at, |end| expires_at.min(end.trunc_subsecs(0)));
        }
        let own = AuditId::random();
        let payload = TokenPayload {
            user_id: user_id.into_string(),
            methods: self.auth_methods.encode(&proof.methods),
            audit_ids: proof
                .audit_ids
                .map_or_else(|| AuditIds::first(own), |ids| ids.next(own)),
            expires_at,
            kind,
        };
        let opened = OpenedToken {
            payload,
            issued_at: now,
        };
        let at = self.store.generation();
        let subject = self
            .subject(opened.clone())
            .await
            .map_err(Error::into_unauthenticated)?;
        let token = self
            .tokens
            .seal(&opened.payload, now)
            .map_err(Error::internal)?;
        if let Some(delegation) = subject.trust() {
            self.use_trust(&delegation.trust).await?;
        }
        let validated = Arc::new(Validated::new(&token, subject));
        self.remember(&validated, at, false);
        Ok(IssuedToken {
            token: Secret::new(token),
            subject: validated.token(),
        })
    }
}

/// Somebody or something that vanished while they logged in is a failed login. Only missing
/// delegations are told, as Keystone does.
fn without_gaps(error: Error) -> Error {
    match error {
        Error::NotFound {
            entity: Entity::ApplicationCredential | Entity::AccessToken,
            ..
        } => error,
        Error::NotFound { .. } => error.into_unauthenticated(),
        other => other,
    }
}

fn unscoped(federation: Option<archstone_token::Federation>) -> TokenKind {
    federation.map_or(TokenKind::Unscoped, |federation| {
        TokenKind::FederatedUnscoped { federation }
    })
}
