//! The caller of an operation: a validated token and what policy may read of it.

use std::sync::Arc;

use archstone_model::{
    id::{DomainId, GroupId, UserId},
    policy::{Credentials, Target},
};

use archstone_plugins::Decision;

use crate::{
    Error, Identity, Result,
    remembered::Validated,
    subject::{TokenScope, ValidToken},
};

/// Someone whose token is valid, or whose certificate counts in its place. There is no other way to
/// make one than [`Identity::caller`] and [`Identity::caller_by_certificate`], so holding one is the
/// proof.
#[derive(Debug, Clone)]
pub struct Caller {
    token: Arc<ValidToken>,
    credentials: Arc<Credentials>,
}

impl Caller {
    pub(crate) fn new(token: Arc<ValidToken>) -> Self {
        let credentials = Arc::new(project(&token));
        Self { token, credentials }
    }

    fn of(token: &Validated) -> Self {
        Self {
            token: token.token(),
            credentials: token.credentials(),
        }
    }

    /// Someone whom a mapping gives groups and no account. To policy they are no user, so that what
    /// users may do with their own things is not theirs.
    pub(crate) fn without_account(token: Arc<ValidToken>) -> Self {
        let credentials = Arc::new(Credentials {
            user_id: None,
            user_domain_id: None,
            ..project(&token)
        });
        Self { token, credentials }
    }

    pub fn token(&self) -> &ValidToken {
        &self.token
    }

    /// The user that policy and ownership look at: the trustor, where a trust impersonates.
    pub fn user_id(&self) -> &UserId {
        &self.token.acting_user().id
    }

    /// The user for whom something is made that belongs to its maker.
    ///
    /// # Errors
    /// `Forbidden` where the caller has no account that it could belong to.
    pub(crate) fn own_user_id(&self) -> Result<&UserId> {
        if self.credentials.user_id.is_some() {
            Ok(self.user_id())
        } else {
            Err(Error::forbidden("the caller has no account here"))
        }
    }

    pub(crate) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The groups that a federated login gave the user.
    pub(crate) fn federated_groups(&self) -> &[GroupId] {
        self.token
            .federation
            .as_ref()
            .map_or(&[], |origin| &origin.groups)
    }

    /// Whether the token came through a delegation: it never acts outside of what was delegated.
    pub fn is_delegated(&self) -> bool {
        self.token.is_delegated()
    }

    /// The domain of a domain-scoped token.
    pub fn scope_domain_id(&self) -> Option<&DomainId> {
        self.token.scope_domain().map(|domain| &domain.id)
    }
}

/// What is asked of this server, for tokens that allow certain requests only.
#[derive(Debug, Clone, Copy)]
pub struct RequestLine<'a> {
    pub method: &'a str,
    pub path: &'a str,
}

impl RequestLine<'_> {
    /// Validating a token is allowed to every token.
    fn validates_a_token(self) -> bool {
        self.method == "GET" && self.path.ends_with("/v3/auth/tokens")
    }
}

/// The service that this server is, in access rules and in catalogs.
const OWN_SERVICE: &str = "identity";

impl Identity {
    /// The caller that an `X-Auth-Token` header proves.
    ///
    /// # Errors
    /// `Unauthenticated` where the token is absent, not valid, or made for other requests.
    pub async fn caller(&self, token: Option<&str>, request: RequestLine<'_>) -> Result<Caller> {
        let Some(token) = token.filter(|token| !token.is_empty()) else {
            return Err(Error::unauthenticated("no token in the request"));
        };
        let token = self
            .validate_now(token)
            .await
            .map_err(|error| match error {
                // What a token hung on does not hold any more; to its bearer it has ended.
                Error::Forbidden { reason } => Error::unauthenticated(reason),
                other => other.into_unauthenticated(),
            })?;
        if token.methods.iter().any(|method| method == "ec2credential") {
            return Err(Error::forbidden(
                "EC2 credential tokens cannot be used for authorization",
            ));
        }
        self.refuse_outside_access_rules(&token, request).await?;
        Ok(Caller::of(&token))
    }

    /// An application credential with access rules is good for the requests that they name, of
    /// this service as of any other.
    async fn refuse_outside_access_rules(
        &self,
        token: &ValidToken,
        request: RequestLine<'_>,
    ) -> Result<()> {
        let Some(credential) = token.application_credential() else {
            return Ok(());
        };
        if credential.access_rules.is_empty() || request.validates_a_token() {
            return Ok(());
        }
        let project_id = token.project().map(|project| &project.id);
        let catalog = self.catalog_for(&token.user.id, project_id).await?;
        let in_catalog = catalog
            .iter()
            .any(|service| service.service_type == OWN_SERVICE);
        let allowed = credential
            .access_rules
            .iter()
            .any(|rule| rule.allows(OWN_SERVICE, request.method, request.path));
        if in_catalog && allowed {
            Ok(())
        } else {
            Err(Error::unauthenticated(
                "the application credential's access rules do not allow this request",
            ))
        }
    }

    /// Asks policy whether the caller may do `action` to `target`.
    ///
    /// # Errors
    /// `ForbiddenAction`.
    pub(crate) async fn enforce(
        &self,
        caller: &Caller,
        action: &'static str,
        target: Target,
    ) -> Result<()> {
        self.policy
            .load()
            .enforce(action, &caller.credentials, &target)
            .map_err(|denied| self.forbid(caller, action, denied.to_string()))?;
        if self.options.authorizers.is_empty() {
            return Ok(());
        }
        self.ask_authorizers(caller, action, &target).await
    }

    /// Asks every authorizer; one that says no, or says nothing, is enough.
    async fn ask_authorizers(
        &self,
        caller: &Caller,
        action: &'static str,
        target: &Target,
    ) -> Result<()> {
        for authorizer in &self.options.authorizers {
            let credentials = caller.credentials.to_json().to_string();
            let target = target.to_json().to_string();
            let decided = self
                .plugins
                .decide(authorizer, action, credentials, target)
                .await;
            match decided {
                Ok(Decision::Allow) => {}
                Ok(Decision::Deny(why)) => {
                    return Err(self.forbid(caller, action, format!("{authorizer}: {why}")));
                }
                Ok(Decision::Unavailable(why)) => {
                    return Err(Error::Unavailable {
                        reason: format!("{authorizer}: {why}"),
                    });
                }
                Err(error) => {
                    return Err(Error::Unavailable {
                        reason: error.to_string(),
                    });
                }
            }
        }
        Ok(())
    }

    fn forbid(&self, caller: &Caller, action: &'static str, reason: String) -> Error {
        self.audit_denial(caller, action);
        Error::ForbiddenAction { action, reason }
    }

    /// The domain a new entity goes to where the request names none: the one of a domain-scoped
    /// token, or the default domain, whatever project the token is for.
    pub(crate) fn home_domain(&self, caller: &Caller) -> DomainId {
        match &caller.token.scope {
            TokenScope::Domain(domain) => domain.id.clone(),
            TokenScope::Project(_) | TokenScope::System | TokenScope::Unscoped => {
                self.options.default_domain_id.clone()
            }
        }
    }

    /// The domain whose users or groups a caller gets who asks for those of none; `None` for all
    /// domains.
    ///
    /// # Errors
    /// `Unauthenticated` where domains may have drivers of their own, so that there is no list of
    /// all, and the token tells of no domain.
    pub(crate) fn listed_domain(&self, caller: &Caller) -> Result<Option<DomainId>> {
        match &caller.token.scope {
            TokenScope::Domain(domain) => Ok(Some(domain.id.clone())),
            TokenScope::Project(project) if self.options.domain_specific_drivers => {
                Ok(Some(project.domain.id.clone()))
            }
            TokenScope::Unscoped if self.options.domain_specific_drivers => Err(
                Error::unauthenticated("a list of all domains' users or groups was asked for"),
            ),
            TokenScope::Project(_) | TokenScope::System | TokenScope::Unscoped => Ok(None),
        }
    }
}

/// What policy rules may read of a token.
pub(crate) fn project(token: &ValidToken) -> Credentials {
    let trust = token.trust();
    let user = token.acting_user();
    Credentials {
        user_id: Some(user.id.to_string()),
        user_domain_id: Some(user.domain.id.to_string()),
        project_id: token.project().map(|project| project.id.to_string()),
        project_domain_id: token.project().map(|project| project.domain.id.to_string()),
        domain_id: token.scope_domain().map(|domain| domain.id.to_string()),
        token_domain_id: token.scope_domain().map(|domain| domain.id.to_string()),
        token_project_domain_id: token.project().map(|project| project.domain.id.to_string()),
        system_scope: token.is_system_scoped().then(|| "all".to_owned()),
        roles: token
            .roles
            .iter()
            .map(|role| role.name.to_lowercase())
            .collect(),
        trust_id: trust.map(|delegation| delegation.trust.id.to_string()),
        trustor_id: trust.map(|delegation| delegation.trustor.id.to_string()),
        trustee_id: trust.map(|delegation| delegation.trustee.id.to_string()),
    }
}
