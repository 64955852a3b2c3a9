//! Requests without a token, by a certificate whose issuer `[tokenless_auth]` trusts: a mapping says
//! which user it is, and headers say what for.

use std::sync::Arc;

use archstone_model::{
    id::UserId,
    mapping::{Assertion, MappedUserKind},
};
use archstone_token::{AuditId, AuditIds, OpenedToken, TokenKind, TokenPayload};
use chrono::SubsecRound;
use sha2::{Digest, Sha256};

use super::{
    RequestedScope,
    mapped::{Source, local_user},
};
use crate::{Caller, Error, Identity, RequestLine, Result, hex, subject::ValidToken};

impl Identity {
    /// The trusted issuer of the certificate that a request came with, by a proxy's word.
    pub fn trusted_issuer<'a>(&self, variables: &'a Assertion) -> Option<&'a str> {
        let tokenless = &self.options.tokenless;
        let issuer = variables.get(&tokenless.issuer_attribute)?;
        let trusted = tokenless.trusted_issuers.iter().any(|name| name == issuer);
        trusted.then_some(issuer)
    }

    /// The caller that a certificate of a trusted issuer stands for. It has to be a user who lives
    /// here; nobody else has anything that policy and the audit trail could call them by.
    ///
    /// # Errors
    /// `Unauthenticated` where no user comes of it, or the user has no role in this scope.
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
        let protocol_id = self.options.tokenless.protocol_id.clone();
        let source = Source {
            provider: self.enabled_provider(&provider_id(issuer).into()).await?,
            protocol_id: protocol_id.clone(),
        };
        let (rules, mapping_id) = self.rules_of(&source).await?;
        let mapped = rules
            .apply(variables)
            .map_err(|why| Error::unauthenticated(format!("mapping {mapping_id}: {why}")))?;
        if mapped.user.kind == MappedUserKind::Ephemeral {
            return Err(Error::unauthenticated(format!(
                "mapping {mapping_id} gives no local user"
            )));
        }
        let (user, _) = self.login_user(&local_user(&mapped.user)?).await?;
        let methods = vec![protocol_id.into_string()];
        self.require_rules_satisfied(&user, &methods)?;
        let kind = match scope {
            RequestedScope::Project(reference) => TokenKind::Project {
                project_id: self.login_project(reference).await?.id.into_string(),
            },
            RequestedScope::Domain(reference) => TokenKind::Domain {
                domain_id: self.login_domain(reference).await?.id.into_string(),
            },
            _ => {
                return Err(Error::missing_attribute("project or domain", "scope"));
            }
        };
        let subject = self.subject_without_token(user.id, kind).await?;
        // The protocol need not be among the methods that tokens can tell of.
        Ok(Caller::new(Arc::new(ValidToken { methods, ..subject })))
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
