//! OAuth 2.0 clients that prove themselves with a certificate (RFC 8705, section 2.1). A client is a
//! user, and the token, for the user's default project, is bound to the certificate.

use archstone_model::{
    id::UserId,
    mapping::{Mapped, Rules},
    project::Domain,
    user::User,
};
use archstone_token::TokenKind;
use serde_json::Value;

use super::{IssuedToken, Proof};
use crate::{ClientCertificate, Error, Identity, Result, UnusableCertificate};

const METHOD: &str = "oauth2_credential";

/// Whatever its own version is, the mapping is read as one of the first version.
const MAPPING_VERSION: &str = "1.0";

impl Identity {
    /// A token for the user `client_id`, whom the certificate names by the mapping
    /// `[oauth2] oauth2_cert_dn_mapping_id`.
    ///
    /// # Errors
    /// `Unauthenticated` where the certificate or the mapping does not name that user, or the user
    /// has no usable default project.
    pub async fn token_for_certificate(
        &self,
        client_id: &UserId,
        certificate: Result<ClientCertificate, UnusableCertificate>,
    ) -> Result<IssuedToken> {
        let methods = [METHOD.to_owned()];
        match self.try_token_for_certificate(client_id, certificate).await {
            Ok(issued) => {
                self.audit_login(issued.subject.user.id.as_str(), &methods);
                Ok(issued)
            }
            Err(error) => {
                self.audit_unfinished_login(&methods, Some(client_id.as_str()), &error);
                Err(error)
            }
        }
    }

    async fn try_token_for_certificate(
        &self,
        client_id: &UserId,
        certificate: Result<ClientCertificate, UnusableCertificate>,
    ) -> Result<IssuedToken> {
        let certificate = certificate.map_err(|why| Error::unauthenticated(why.to_string()))?;
        let user = self
            .find_user(client_id)
            .await
            .map_err(Error::into_unauthenticated)?;
        let project_id = user.default_project_id.clone().ok_or_else(|| {
            Error::unauthenticated(format!("user {} has no default project", user.id))
        })?;
        let domain = self.store.domain(&user.domain_id).await?;
        let mapped = self.mapped_client(&certificate).await?;
        require_same(&mapped, &user, &domain)?;
        let mut proof = Proof::default();
        proof.add(METHOD, user.id.clone())?;
        self.require_rules_satisfied(&user, &proof.methods)?;
        let kind = TokenKind::OAuth2MutualTls {
            project_id: Some(project_id.into_string()),
            domain_id: None,
            thumbprint: certificate.thumbprint().to_owned(),
        };
        self.issue(user.id, kind, proof)
            .await
            .map_err(Error::into_unauthenticated)
    }

    async fn mapped_client(&self, certificate: &ClientCertificate) -> Result<Mapped> {
        let mapping = self
            .store
            .mapping(&self.options.certificate_mapping_id)
            .await
            .map_err(|e| Error::from(e).into_unauthenticated())?;
        Rules::read(MAPPING_VERSION, &mapping.rules)
            .and_then(|rules| rules.apply(certificate.attributes()))
            .map_err(|why| Error::unauthenticated(format!("mapping {}: {why}", mapping.id)))
    }
}

/// All that the mapping says of the user must be so, and it must say who it is.
fn require_same(mapped: &Mapped, user: &User, domain: &Domain) -> Result<()> {
    let said = &mapped.user;
    let said_domain = said.domain.as_ref();
    let pairs = [
        (said.id.as_ref().map(UserId::as_str), Some(user.id.as_str())),
        (said.name.as_deref(), Some(user.name.as_str())),
        (
            said.email.as_deref(),
            user.extra.get("email").and_then(Value::as_str),
        ),
        (
            said_domain.and_then(|domain| Some(domain.id.as_ref()?.as_str())),
            Some(domain.id.as_str()),
        ),
        (
            said_domain.and_then(|domain| domain.name.as_deref()),
            Some(domain.name.as_str()),
        ),
    ]
    .map(|(said, own)| (said.filter(|said| !said.is_empty()), own));
    let [id, name, email, ..] = pairs;
    if [id, name, email].iter().all(|(said, _)| said.is_none()) {
        return Err(Error::unauthenticated(
            "the mapping gives neither id, name nor email of the user",
        ));
    }
    if pairs
        .iter()
        .any(|(said, own)| said.is_some() && said != own)
    {
        return Err(Error::unauthenticated(format!(
            "the certificate is for another user than {}",
            user.id
        )));
    }
    Ok(())
}
