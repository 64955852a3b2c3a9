//! Credentials: secrets that a user stored here. Sealed at rest; opened only for who may see them.

use archstone_model::{
    Extra,
    credential::{CredentialFilter, SealedCredential},
    entity::Entity,
    id::{CredentialId, ProjectId, UserId},
    listing::Listing,
    policy::Target,
    secret::{Sealed, Secret},
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{Caller, Error, Identity, Result, enrollments::refuse_enrolled, hex, new_id};

/// A credential with its blob open.
#[derive(Debug, Clone)]
pub struct Credential {
    pub id: CredentialId,
    pub user_id: UserId,
    pub project_id: Option<ProjectId>,
    pub kind: String,
    pub blob: Secret,
    pub extra: Extra,
}

/// What a client gives to create a credential.
#[derive(Debug, Clone)]
pub struct CredentialCreation {
    /// The caller where it is absent.
    pub user_id: Option<UserId>,
    pub project_id: Option<ProjectId>,
    pub kind: String,
    pub blob: Secret,
    pub extra: Extra,
}

pub(crate) const EC2: &str = "ec2";

impl Identity {
    pub async fn credential(&self, caller: &Caller, id: &CredentialId) -> Result<Credential> {
        let sealed = self
            .enforced_credential(caller, "identity:get_credential", id)
            .await?;
        self.open_credential(sealed)
    }

    /// Lists the credentials that the caller may see.
    pub async fn credentials(
        &self,
        caller: &Caller,
        mut filter: CredentialFilter,
    ) -> Result<Listing<Credential>> {
        const ACTION: &str = "identity:list_credentials";
        let own = Target::new().with("target.credential.user_id", caller.user_id().as_str());
        self.enforce(caller, ACTION, own).await?;
        let page = self.page_asked_for(filter.page);
        filter.page = page.and_one();
        let found = Listing::of(&page, self.store.credentials(&filter).await?);
        let policy = self.policy.load();
        let visible = found.entries.into_iter().filter(|credential| {
            let target =
                Target::new().with("target.credential.user_id", credential.user_id.as_str());
            !caller.is_delegated()
                && policy
                    .enforce(ACTION, caller.credentials(), &target)
                    .is_ok()
        });
        Ok(Listing {
            entries: visible
                .map(|sealed| self.open_credential(sealed))
                .collect::<Result<_>>()?,
            cut_at: found.cut_at,
        })
    }

    /// # Errors
    /// `Conflict` where an EC2 access key is taken, `Invalid` where its blob is not JSON.
    pub async fn create_credential(
        &self,
        caller: &Caller,
        creation: CredentialCreation,
    ) -> Result<Credential> {
        let user_id = match creation.user_id {
            Some(user_id) => user_id,
            None => caller.own_user_id()?.clone(),
        };
        let target = Target::new().with("target.credential.user_id", user_id.as_str());
        self.enforce(caller, "identity:create_credential", target)
            .await?;
        refuse_delegated(caller)?;
        refuse_enrolled(&creation.kind)?;
        let id = if is_ec2(&creation.kind) {
            if creation.project_id.is_none() {
                return Err(Error::missing_attribute("project_id", "credential"));
            }
            ec2_credential_id(&ec2_access_key(&creation.blob)?)
        } else {
            CredentialId::new(new_id())
        };
        let credential = Credential {
            id,
            user_id,
            project_id: creation.project_id,
            kind: creation.kind,
            blob: creation.blob,
            extra: creation.extra,
        };
        self.add_credential(caller, &credential).await?;
        Ok(credential)
    }

    /// Stores a new credential that its user still has room for.
    pub(crate) async fn add_credential(
        &self,
        caller: &Caller,
        credential: &Credential,
    ) -> Result<()> {
        if let Some(limit) = self.options.credential_user_limit {
            let filter = CredentialFilter {
                user_id: Some(credential.user_id.clone()),
                ..CredentialFilter::default()
            };
            if self.store.credentials(&filter).await?.len() as u64 >= limit {
                return Err(Error::refused(format!(
                    "Unable to create additional credentials, maximum of {limit} already exceeded \
                     for user."
                )));
            }
        }
        self.store
            .create_credential(&self.seal_credential(credential))
            .await?;
        self.audit_write(caller, "create", Entity::Credential, credential.id.as_str());
        Ok(())
    }

    /// Changes what is in a credential.
    ///
    /// # Errors
    /// `Invalid` where the blob of an EC2 credential is none, or would change by whose delegation
    /// it was made.
    pub async fn update_credential(
        &self,
        caller: &Caller,
        id: &CredentialId,
        blob: Secret,
    ) -> Result<Credential> {
        let sealed = self
            .enforced_credential(caller, "identity:update_credential", id)
            .await?;
        refuse_enrolled(&sealed.kind)?;
        let mut credential = self.open_credential(sealed)?;
        if is_ec2(&credential.kind) {
            refuse_changed_delegation(&credential.blob, &ec2_blob(&blob)?)?;
        }
        credential.blob = blob;
        self.store
            .replace_credential(&self.seal_credential(&credential))
            .await?;
        self.audit_write(caller, "update", Entity::Credential, id.as_str());
        Ok(credential)
    }

    pub async fn delete_credential(&self, caller: &Caller, id: &CredentialId) -> Result<()> {
        self.enforced_credential(caller, "identity:delete_credential", id)
            .await?;
        self.store.delete_credential(id).await?;
        self.audit_write(caller, "delete", Entity::Credential, id.as_str());
        Ok(())
    }

    /// The open blobs of one kind that a user stored, for a method that proves by them.
    pub(crate) async fn secrets_of(&self, user_id: &UserId, kind: &str) -> Result<Vec<Credential>> {
        let filter = CredentialFilter {
            user_id: Some(user_id.clone()),
            kind: Some(kind.to_owned()),
            ..CredentialFilter::default()
        };
        let sealed = self.store.credentials(&filter).await?;
        sealed
            .into_iter()
            .map(|sealed| self.open_credential(sealed))
            .collect()
    }

    async fn enforced_credential(
        &self,
        caller: &Caller,
        action: &'static str,
        id: &CredentialId,
    ) -> Result<SealedCredential> {
        let found = self.store.credential(id).await;
        let mut target = Target::new().with("credential_id", id.as_str());
        if let Ok(credential) = &found {
            target.set("target.credential.user_id", credential.user_id.as_str());
        }
        self.enforce(caller, action, target).await?;
        let credential = found?;
        refuse_delegated(caller)?;
        Ok(credential)
    }

    /// Seals a text with the credential keys.
    pub(crate) fn seal(&self, text: &str) -> Sealed {
        let sealed = self.credential_cipher.encrypt(text, self.now());
        Sealed {
            text: sealed.encrypted_blob,
            key_hash: sealed.key_hash,
        }
    }

    pub(crate) fn seal_credential(&self, credential: &Credential) -> SealedCredential {
        // Sealing is what the blob is handed over for.
        let blob = credential.blob.expose();
        let encoded =
            is_encoded(&credential.kind).then(|| Secret::new(Value::from(blob).to_string()));
        let sealed = self.seal(encoded.as_ref().map_or(blob, Secret::expose));
        SealedCredential {
            id: credential.id.clone(),
            user_id: credential.user_id.clone(),
            project_id: credential.project_id.clone(),
            kind: credential.kind.clone(),
            encrypted_blob: sealed.text,
            key_hash: sealed.key_hash,
            extra: credential.extra.clone(),
        }
    }

    pub(crate) fn open_credential(&self, sealed: SealedCredential) -> Result<Credential> {
        let blob = self
            .credential_cipher
            .decrypt(&sealed.encrypted_blob)
            .map_err(|error| {
                Error::internal(format!(
                    "credential {} cannot be opened: {error}",
                    sealed.id
                ))
            })?;
        Ok(Credential {
            id: sealed.id,
            user_id: sealed.user_id,
            project_id: sealed.project_id,
            blob: is_encoded(&sealed.kind)
                .then(|| serde_json::from_str::<String>(&blob).ok())
                .flatten()
                .map_or_else(|| Secret::new(blob.as_str()), Secret::new),
            kind: sealed.kind,
            extra: sealed.extra,
        })
    }
}

/// Keystone seals the blobs of EC2 keys, which may be objects to it, as JSON, and others as they
/// stand.
fn is_encoded(kind: &str) -> bool {
    kind == "ec2"
}

/// A credential outlives a delegation and knows nothing of its bounds, so that what came through
/// one neither sees nor touches any.
pub(crate) fn refuse_delegated(caller: &Caller) -> Result<()> {
    if caller.is_delegated() {
        Err(Error::ForbiddenAction {
            action: "Delegated tokens cannot access credentials directly",
            reason: "the token came through a delegation".to_owned(),
        })
    } else {
        Ok(())
    }
}

/// The id of the credential with an access key: its hash, so that a list of ids gives no key away.
pub(crate) fn ec2_credential_id(access: &str) -> CredentialId {
    CredentialId::new(hex(&Sha256::digest(access.as_bytes())))
}

fn is_ec2(kind: &str) -> bool {
    kind.eq_ignore_ascii_case(EC2)
}

/// The members of an EC2 blob that say by whose delegation it was made; they never change.
fn refuse_changed_delegation(old: &Secret, new: &Extra) -> Result<()> {
    let old = serde_json::from_str::<Extra>(old.expose()).unwrap_or_default();
    for member in ["trust_id", "app_cred_id", "access_token_id", "access_id"] {
        if old.get(member) != new.get(member) {
            return Err(Error::invalid(format!(
                "{member} can not be updated for credential"
            )));
        }
    }
    Ok(())
}

/// The members of an EC2 blob: a JSON object with an access key.
fn ec2_blob(blob: &Secret) -> Result<Extra> {
    let blob: Value = serde_json::from_str(blob.expose())
        .map_err(|_| Error::invalid("Invalid blob in credential"))?;
    match blob {
        Value::Object(blob) if !blob.is_empty() => {
            if blob.get("access").is_none_or(Value::is_null) {
                return Err(Error::missing_attribute("access", "credential"));
            }
            Ok(blob)
        }
        _ => Err(Error::missing_attribute("blob", "credential")),
    }
}

fn ec2_access_key(blob: &Secret) -> Result<String> {
    ec2_blob(blob)?
        .get("access")
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| Error::invalid("Invalid blob in credential"))
}
