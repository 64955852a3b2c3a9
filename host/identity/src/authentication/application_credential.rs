//! The `application_credential` method.

use archstone_model::{
    credential::{ApplicationCredential, ApplicationCredentialFilter},
    secret::Secret,
};
use serde_json::Value;

use super::{ApplicationCredentialReference, AuthRequest, Proof, UserReference};
use crate::{Error, Identity, Result};

const METHOD: &str = "application_credential";

impl Identity {
    pub(super) async fn prove_application_credential(
        &self,
        request: &AuthRequest,
        proof: &mut Proof,
    ) -> Result<()> {
        let payload = request.payload(METHOD)?;
        let reference = ApplicationCredentialReference::from_payload(payload)?;
        let secret = match payload.get("secret") {
            Some(Value::String(secret)) => Secret::from(secret.as_str()),
            None | Some(Value::Null) => {
                return Err(Error::unauthenticated("the login has no secret"));
            }
            Some(_) => return Err(Error::missing_attribute("string", "password")),
        };
        let credential = match self.named_credential(&reference).await {
            Ok(credential) => credential,
            Err(error) => {
                self.passwords.verify_nothing(secret).await?;
                return Err(error);
            }
        };
        let hash = self
            .store
            .application_credential_secret(&credential.id)
            .await?
            .0;
        if !self.passwords.verify(secret, hash).await? {
            return Err(Error::unauthenticated("the secret is wrong"));
        }
        if credential
            .expires_at
            .is_some_and(|expires_at| expires_at <= self.now())
        {
            return Err(Error::unauthenticated(
                "the application credential has expired",
            ));
        }
        proof.application_credential = Some(credential.id);
        proof.add(METHOD, credential.user_id)
    }

    /// The credential that a login names. Its user is always its owner, whoever the login names.
    async fn named_credential(
        &self,
        reference: &ApplicationCredentialReference,
    ) -> Result<ApplicationCredential> {
        match reference {
            ApplicationCredentialReference::Id(id) => {
                let credential = self.store.application_credential(id).await?;
                self.login_user(&UserReference::Id(credential.user_id.clone()))
                    .await?;
                Ok(credential)
            }
            ApplicationCredentialReference::Name { name, owner } => {
                let (user, _) = self.login_user(owner).await?;
                let filter = ApplicationCredentialFilter {
                    name: Some(name.clone()),
                    ..ApplicationCredentialFilter::default()
                };
                let found = self
                    .store
                    .application_credentials(&user.id, &filter)
                    .await?;
                found.into_iter().next().ok_or_else(|| {
                    Error::unauthenticated(format!("no application credential named {name}"))
                })
            }
        }
    }
}
