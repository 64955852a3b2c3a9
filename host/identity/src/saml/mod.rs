//! This cloud as an identity provider: what it says of its users to clouds that believe it. A user
//! hands in a token for a project and gets a SAML 2.0 response with a signed assertion, as it stands
//! or in the SOAP envelope of an enhanced client (ECP). <https://docs.oasis-open.org/security/saml/>

mod assertion;
mod groups;
mod metadata;
mod response;
mod signing;
mod xml;

use std::{iter, path::PathBuf};

use archstone_model::{
    entity::Entity, federation::ServiceProvider, id::ServiceProviderId, secret::Secret,
};
use chrono::TimeDelta;

pub(crate) use self::signing::Signer;
use self::{assertion::Statement, response::Response};
use crate::{Error, Identity, Result, new_id, subject::ValidToken};

/// Settings of this cloud as an identity provider.
#[derive(Debug, Clone)]
pub struct SamlOptions {
    /// `[saml] assertion_expiration_time`
    pub assertion_lifetime: TimeDelta,
    /// `[saml] xmlsec1_binary`: a name or a path.
    pub xmlsec1: PathBuf,
    /// `[saml] certfile`
    pub certificate: PathBuf,
    /// `[saml] keyfile`
    pub key: PathBuf,
    /// `[saml] idp_entity_id`: what this cloud calls itself.
    pub entity_id: Option<String>,
    /// `[saml] idp_sso_endpoint`
    pub sso_endpoint: Option<String>,
    /// `[saml] idp_lang`
    pub language: String,
    pub organization: SamlOrganization,
    pub contact: SamlContact,
}

/// Who runs this cloud: `[saml] idp_organization_*`
#[derive(Debug, Clone)]
pub struct SamlOrganization {
    pub name: String,
    pub display_name: String,
    pub url: String,
}

/// Whom to ask: `[saml] idp_contact_*`
#[derive(Debug, Clone)]
pub struct SamlContact {
    pub company: String,
    pub given_name: String,
    pub surname: String,
    pub email: String,
    pub telephone: String,
    /// `technical`, `support`, `administrative`, `billing` or `other`.
    pub kind: String,
}

impl Default for SamlOptions {
    fn default() -> Self {
        Self {
            assertion_lifetime: TimeDelta::hours(1),
            xmlsec1: "xmlsec1".into(),
            certificate: "/etc/keystone/ssl/certs/signing_cert.pem".into(),
            key: "/etc/keystone/ssl/private/signing_key.pem".into(),
            entity_id: None,
            sso_endpoint: None,
            language: "en".to_owned(),
            organization: SamlOrganization::default(),
            contact: SamlContact::default(),
        }
    }
}

impl Default for SamlOrganization {
    fn default() -> Self {
        Self {
            name: "SAML Identity Provider".to_owned(),
            display_name: "OpenStack SAML Identity Provider".to_owned(),
            url: "https://example.com/".to_owned(),
        }
    }
}

impl Default for SamlContact {
    fn default() -> Self {
        Self {
            company: "Example, Inc.".to_owned(),
            given_name: "SAML Identity Provider Support".to_owned(),
            surname: "Support".to_owned(),
            email: "support@example.com".to_owned(),
            telephone: "+1 800 555 0100".to_owned(),
            kind: "other".to_owned(),
        }
    }
}

impl SamlOptions {
    /// What this cloud says of itself as an identity provider (SAML metadata, section 2.4.3).
    ///
    /// # Errors
    /// `Invalid` where an option that it needs is not set, or the certificate cannot be read.
    pub fn metadata(&self) -> Result<String> {
        metadata::document(self)
    }
}

/// What a user takes to a service provider.
#[derive(Debug)]
pub struct Voucher {
    pub service_provider: ServiceProvider,
    /// XML. Whoever holds it is the user, to the service provider.
    pub document: Secret,
}

impl Identity {
    /// A SAML response that vouches for the user of a token (SAML core, section 3.3.3).
    ///
    /// # Errors
    /// `NotFound` for the service provider or the token, `Forbidden` where the provider is disabled,
    /// `ForbiddenAction` where the token is not a user's own for a project.
    pub async fn vouch(&self, token: &str, to: &ServiceProviderId) -> Result<Voucher> {
        let (response, service_provider) = self.response_for(token, to).await?;
        Ok(Voucher {
            service_provider,
            document: Secret::new(response.document()?),
        })
    }

    /// As [`vouch`](Self::vouch), in the envelope that an enhanced client posts (SAML profiles,
    /// section 4.2).
    ///
    /// # Errors
    /// Those of [`vouch`](Self::vouch).
    pub async fn vouch_to_enhanced_client(
        &self,
        token: &str,
        to: &ServiceProviderId,
    ) -> Result<Voucher> {
        let (response, service_provider) = self.response_for(token, to).await?;
        let relay_state = format!("{}{}", service_provider.relay_state_prefix, new_id());
        Ok(Voucher {
            service_provider,
            document: Secret::new(response.envelope(&relay_state)?),
        })
    }

    async fn response_for(
        &self,
        token: &str,
        to: &ServiceProviderId,
    ) -> Result<(Response, ServiceProvider)> {
        let service_provider = self.store.service_provider(to).await?;
        if !service_provider.enabled {
            return Err(Error::forbidden(format!(
                "service provider {to} is disabled"
            )));
        }
        let token = self.validate_now(token).await?;
        let issuer = self.options.saml.entity_id.clone().ok_or_else(|| {
            Error::internal("[saml] idp_entity_id is not set, and assertions name their issuer")
        })?;
        let statement = self.statement(&token, issuer, &service_provider).await?;
        let signed = self.signer.sign(&statement).await?;
        self.audit_write_by(
            token.user.id.as_str(),
            "vouch",
            Entity::ServiceProvider,
            to.as_str(),
        );
        Ok((Response::new(&statement, signed), service_provider))
    }

    /// What is said of the user of a token.
    async fn statement(
        &self,
        token: &ValidToken,
        issuer: String,
        to: &ServiceProvider,
    ) -> Result<Statement> {
        let Some(project) = token.project() else {
            return Err(forbidden(
                "Use a project scoped token when attempting to create a SAML assertion",
                "the token is not for a project",
            ));
        };
        // An assertion is the user, without the bounds that they set and longer than these last.
        if token.is_delegated() {
            return Err(forbidden(
                "Using a delegated token to create a SAML assertion is not allowed",
                "the token is delegated",
            ));
        }
        let now = self.now();
        Ok(Statement {
            id: xml_id(),
            session: new_id(),
            issuer,
            recipient: to.sp_url.clone(),
            issued_at: now,
            expires_at: now + self.options.saml.assertion_lifetime,
            user: token.user.name.clone(),
            user_domain: token.user.domain.name.clone(),
            roles: token.roles.iter().map(|role| role.name.clone()).collect(),
            project: project.name.clone(),
            project_domain: project.domain.name.clone(),
            groups: self.spelt_out_groups(&token.user.id).await?,
        })
    }
}

fn forbidden(action: &'static str, reason: &str) -> Error {
    Error::ForbiddenAction {
        action,
        reason: reason.to_owned(),
    }
}

/// An id that is a name in XML too: no name begins with a digit.
fn xml_id() -> String {
    iter::repeat_with(new_id)
        .find(|id| id.starts_with(|first: char| first.is_ascii_alphabetic()))
        .unwrap_or_default()
}
