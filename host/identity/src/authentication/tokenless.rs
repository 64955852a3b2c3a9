//! Requests without a token, by a certificate whose issuer `[tokenless_auth]` trusts: a mapping says
//! which user it is, and headers say what for.

use std::sync::Arc;

use archstone_model::{
    federation::IdentityProvider,
    id::{GroupId, ProtocolId, UserId},
    mapping::{Assertion, Mapped, MappedUserKind},
    roles::{Place, RoleInference},
};
use archstone_token::{AuditId, AuditIds, OpenedToken, TokenKind, TokenPayload};
use chrono::SubsecRound;
use sha2::{Digest, Sha256};

use super::{
    RequestedScope,
    mapped::{Source, local_user},
};
use crate::{
    Caller, Error, Identity, RequestLine, Result, hex,
    subject::{Delegation, FederatedOrigin, TokenScope, UserRef, ValidToken},
};

impl Identity {
    /// The trusted issuer of the certificate that a request came with, by a proxy's word.
    pub fn trusted_issuer<'a>(&self, variables: &'a Assertion) -> Option<&'a str> {
        let tokenless = &self.options.tokenless;
        let issuer = variables.get(&tokenless.issuer_attribute)?;
        let trusted = tokenless.trusted_issuers.iter().any(|name| name == issuer);
        trusted.then_some(issuer)
    }

    /// The caller that a certificate of a trusted issuer stands for: a user who lives here, or
    /// somebody who has no account and the roles of the groups that the mapping gives.
    ///
    /// # Errors
    /// `Unauthenticated` where nobody comes of it, or a user who has no role in this scope.
    pub async fn caller_by_certificate(
        &self,
        issuer: &str,
        variables: &Assertion,
        scope: &RequestedScope,
        request: RequestLine<'_>,
    ) -> Result<Caller> {
        let caller = self
            .try_caller_by_certificate(issuer, variables, scope)
            .await;
        caller
            .map_err(Error::into_unauthenticated)
            .inspect_err(|error| {
                tracing::info!(
                    issuer,
                    path = request.path,
                    reason = error.reason(),
                    "a certificate was not accepted in place of a token"
                );
            })
    }

    async fn try_caller_by_certificate(
        &self,
        issuer: &str,
        variables: &Assertion,
        scope: &RequestedScope,
    ) -> Result<Caller> {
        let source = Source {
            provider: self.enabled_provider(&provider_id(issuer).into()).await?,
            protocol_id: self.options.tokenless.protocol_id.clone(),
        };
        let (rules, mapping_id) = self.rules_of(&source).await?;
        let mapped = rules
            .apply(variables)
            .map_err(|why| Error::unauthenticated(format!("mapping {mapping_id}: {why}")))?;
        if mapped.user.kind == MappedUserKind::Ephemeral {
            let groups = self.mapped_groups(&mapping_id, &mapped).await?;
            let token = self.without_account(source, &mapped, groups, scope).await?;
            return Ok(Caller::without_account(Arc::new(token)));
        }
        let (user, _) = self.login_user(&local_user(&mapped.user)?).await?;
        let methods = vec![source.protocol_id.into_string()];
        self.require_rules_satisfied(&user, &methods)?;
        let kind = match scope {
            RequestedScope::Project(reference) => TokenKind::Project {
                project_id: self.login_project(reference).await?.id.into_string(),
            },
            RequestedScope::Domain(reference) => TokenKind::Domain {
                domain_id: self.login_domain(reference).await?.id.into_string(),
            },
            _ => return Err(no_scope()),
        };
        let subject = self.subject_without_token(user.id.clone(), kind).await?;
        // The protocol need not be among the methods that tokens can tell of.
        Ok(Caller::new(Arc::new(ValidToken { methods, ..subject })))
    }

    /// What a token for somebody would say who has no account here, and whatever roles the groups of
    /// the mapping have: none, where these have none in this scope.
    async fn without_account(
        &self,
        source: Source,
        mapped: &Mapped,
        groups: Vec<GroupId>,
        scope: &RequestedScope,
    ) -> Result<ValidToken> {
        let Source {
            provider,
            protocol_id,
        } = source;
        let user = self
            .without_account_named(&provider, &protocol_id, mapped)
            .await?;
        let (scope, place) = match scope {
            RequestedScope::Project(reference) => {
                let id = self.login_project(reference).await?.id;
                let (project, place) = self.token_project(&id).await?;
                (TokenScope::Project(project), place)
            }
            RequestedScope::Domain(reference) => {
                let id = self.login_domain(reference).await?.id;
                let domain = self.token_domain(&id).await?;
                let place = Place::Domain(domain.id.clone());
                (TokenScope::Domain(domain), place)
            }
            _ => return Err(no_scope()),
        };
        let inference = RoleInference::new(self.store.implied_roles().await?);
        let roles = self.roles_in(&user.id, &groups, &place, &inference).await?;
        let issued_at = self.now().trunc_subsecs(0);
        Ok(ValidToken {
            user,
            methods: vec![protocol_id.as_str().to_owned()],
            audit_ids: vec![AuditId::random().to_string()],
            issued_at,
            expires_at: self.token_expiry(issued_at),
            scope,
            roles: self.named_roles(&roles).await?,
            delegation: Delegation::None,
            federation: Some(FederatedOrigin {
                identity_provider: provider.id,
                protocol: protocol_id,
                groups,
            }),
            thumbprint: None,
        })
    }

    /// What the audit trail calls somebody who has no account here. The id is no user's, and the
    /// same for the same name by the same provider.
    async fn without_account_named(
        &self,
        provider: &IdentityProvider,
        protocol_id: &ProtocolId,
        mapped: &Mapped,
    ) -> Result<UserRef> {
        let told = [
            mapped.user.name.as_deref(),
            mapped.user.id.as_ref().map(UserId::as_str),
        ];
        let name = told.into_iter().flatten().find(|name| !name.is_empty());
        let name = name.unwrap_or(provider.id.as_str()).to_owned();
        let domain_id = match &mapped.user.domain {
            Some(domain) => self.mapped_domain(domain).await?,
            None => provider.domain_id.clone(),
        };
        let id = UserId::new(passing_id(provider, protocol_id, &name));
        tracing::debug!(%id, name, provider = %provider.id, "a certificate stands for no account");
        Ok(UserRef {
            id,
            name,
            domain: self.token_domain(&domain_id).await?,
            password_expires_at: None,
            changes_elsewhere: true,
        })
    }

    /// What a token that is never issued would say.
    async fn subject_without_token(&self, user_id: UserId, kind: TokenKind) -> Result<ValidToken> {
        let now = self.now().trunc_subsecs(0);
        let payload = TokenPayload {
            user_id: user_id.into_string(),
            methods: self.auth_methods.encode::<&str>([]),
            audit_ids: AuditIds::first(AuditId::random()),
            expires_at: self.token_expiry(now),
            kind,
        };
        let opened = OpenedToken {
            payload,
            issued_at: now,
        };
        self.subject(opened).await
    }
}

/// The identity provider that stands for an issuer.
fn provider_id(issuer: &str) -> String {
    hex(&Sha256::digest(issuer))
}

/// The id of somebody who has no account.
fn passing_id(provider: &IdentityProvider, protocol_id: &ProtocolId, name: &str) -> String {
    let digest = [provider.id.as_str(), protocol_id.as_str(), name]
        .iter()
        // No two lists of parts have the same text.
        .fold(Sha256::new(), |digest, part| {
            digest.chain_update(format!("{}:{part}", part.len()))
        });
    hex(&digest.finalize())
}

fn no_scope() -> Error {
    Error::missing_attribute("project or domain", "scope")
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_issuers_provider_is_the_one_that_keystone_works_out() {
        assert_eq!(
            super::provider_id("CN=ca,O=x"),
            "f1e239c74c7be2a59621d22c56a058ccaf1032b8b27b5b0f56e72dac5ff4b713"
        );
    }
}
