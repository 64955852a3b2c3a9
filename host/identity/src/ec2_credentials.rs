//! EC2 keys: credentials whose access and secret key are made up here, for clients of AWS's APIs.

use archstone_model::{
    Extra,
    credential::CredentialFilter,
    entity::Entity,
    id::{CredentialId, ProjectId, UserId},
    policy::Target,
    secret::Secret,
};
use serde_json::Value;

use crate::{
    Caller, Credential, Error, Identity, Result,
    credentials::{EC2, ec2_credential_id, refuse_delegated},
    new_id,
};

/// A pair of keys, with whom and what they are for.
#[derive(Debug, Clone)]
pub struct Ec2Credential {
    pub user_id: UserId,
    pub project_id: Option<ProjectId>,
    pub access: Option<String>,
    pub secret: Option<Secret>,
    pub trust_id: Option<String>,
}

impl Identity {
    pub async fn ec2_credentials(
        &self,
        caller: &Caller,
        user_id: &UserId,
    ) -> Result<Vec<Ec2Credential>> {
        let target = Target::new().with("user_id", user_id.as_str());
        self.enforce(caller, "identity:ec2_list_credentials", target)
            .await?;
        refuse_delegated(caller)?;
        self.find_user(user_id).await?;
        let filter = CredentialFilter {
            user_id: Some(user_id.clone()),
            kind: Some(EC2.to_owned()),
            ..CredentialFilter::default()
        };
        let sealed = self.store.credentials(&filter).await?;
        sealed
            .into_iter()
            .map(|sealed| self.open_credential(sealed).map(Into::into))
            .collect()
    }

    /// Makes a pair of keys for a user in a project.
    ///
    /// # Errors
    /// `NotFound` where there is no such user or project.
    pub async fn create_ec2_credential(
        &self,
        caller: &Caller,
        user_id: &UserId,
        project_id: &ProjectId,
    ) -> Result<Ec2Credential> {
        let target = ec2_target(user_id, user_id);
        self.enforce(caller, "identity:ec2_create_credential", target)
            .await?;
        self.find_user(user_id).await?;
        self.store.project(project_id).await?;
        refuse_delegated(caller)?;
        let (access, secret) = (new_id(), new_id());
        let credential = Credential {
            id: ec2_credential_id(&access),
            user_id: user_id.clone(),
            project_id: Some(project_id.clone()),
            kind: EC2.to_owned(),
            // Written as Python writes it, for who compares the text.
            blob: Secret::new(format!(
                r#"{{"access": "{access}", "secret": "{secret}", "trust_id": null}}"#
            )),
            extra: Extra::default(),
        };
        self.add_credential(caller, &credential).await?;
        Ok(credential.into())
    }

    pub async fn ec2_credential(
        &self,
        caller: &Caller,
        user_id: &UserId,
        access: &str,
    ) -> Result<Ec2Credential> {
        let credential = self
            .enforced_ec2_credential(caller, "identity:ec2_get_credential", user_id, access)
            .await?;
        Ok(credential.into())
    }

    pub async fn delete_ec2_credential(
        &self,
        caller: &Caller,
        user_id: &UserId,
        access: &str,
    ) -> Result<()> {
        let credential = self
            .enforced_ec2_credential(caller, "identity:ec2_delete_credential", user_id, access)
            .await?;
        self.store.delete_credential(&credential.id).await?;
        self.audit_write(caller, "delete", Entity::Credential, credential.id.as_str());
        Ok(())
    }

    /// Ownership hangs on the credential's own user, not on the one in the path. Who knows an
    /// access key may learn that it is not there.
    async fn enforced_ec2_credential(
        &self,
        caller: &Caller,
        action: &'static str,
        user_id: &UserId,
        access: &str,
    ) -> Result<Credential> {
        let id: CredentialId = ec2_credential_id(access);
        let sealed = self.store.credential(&id).await?;
        let target = ec2_target(user_id, &sealed.user_id);
        self.enforce(caller, action, target).await?;
        self.find_user(user_id).await?;
        if sealed.kind != EC2 {
            return Err(Error::unauthenticated("EC2 access key not found."));
        }
        refuse_delegated(caller)?;
        self.open_credential(sealed)
    }
}

/// What policy sees: the user in the path, whom the defaults of earlier releases ask for as well, and
/// whose the keys are.
fn ec2_target(user_id: &UserId, owner: &UserId) -> Target {
    Target::new()
        .with("user_id", user_id.as_str())
        .with("target.credential.user_id", owner.as_str())
}

impl From<Credential> for Ec2Credential {
    fn from(credential: Credential) -> Self {
        // The keys are what the blob is kept for.
        let blob: Extra = serde_json::from_str(credential.blob.expose()).unwrap_or_default();
        let member = |name: &str| blob.get(name).and_then(Value::as_str).map(str::to_owned);
        Self {
            access: member("access"),
            secret: member("secret").map(Secret::new),
            trust_id: member("trust_id"),
            user_id: credential.user_id,
            project_id: credential.project_id,
        }
    }
}
