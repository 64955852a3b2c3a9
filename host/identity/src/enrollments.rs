//! What users enrolled in methods that are plugins: security keys and their like. Each is kept as a
//! credential of its user, of a type that nothing else makes.
//!
//! A credential's id is a digest of the method and of the plugin's name for what was enrolled. So
//! nobody can enrol what somebody else has, and whoever logs in without saying who they are is
//! found by what they have.

use archstone_model::{
    Extra,
    credential::SealedCredential,
    entity::Entity,
    id::{CredentialId, UserId},
    policy::Target,
    secret::Secret,
    time::iso,
    user::{User, UserKind},
};
use archstone_plugins::{Enrollable, Enrolled, Enrolling, EnrollmentBegun, EnrollmentCompleted};
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{
    Caller, Credential, Error, Identity, Result,
    authentication::plugin::{denied, failed},
    credentials::refuse_delegated,
    hex,
};

/// What the types of these credentials begin with; the method's name follows.
const KIND_PREFIX: &str = "enrolled:";

/// Where [`Identity::remember_answer_to`] keeps things.
const ANSWERS: &str = "answers";

/// No plugin's challenge lasts longer.
const LONGEST_CHALLENGE: TimeDelta = TimeDelta::minutes(10);

/// Something that a user enrolled, as they see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrollment {
    pub id: CredentialId,
    pub user_id: UserId,
    /// What its owner calls it.
    pub description: Option<String>,
    pub created_at: Option<String>,
    pub last_used_at: Option<String>,
}

/// What a user has to answer to enrol.
#[derive(Debug, Clone)]
pub struct EnrollmentQuestion {
    pub message: Map<String, Value>,
    /// Comes back with the answer.
    pub continuation: String,
}

/// The answer.
#[derive(Debug, Clone)]
pub struct EnrollmentAnswer {
    pub continuation: String,
    pub payload: Value,
    pub description: Option<String>,
}

/// What is sealed of an enrollment.
#[derive(Serialize, Deserialize)]
struct Sealed {
    name: String,
    data: Map<String, Value>,
}

impl Identity {
    /// Asks what a user has to answer to enrol something in a method.
    ///
    /// # Errors
    /// `NotFound` where there is no such user, `UnsupportedMethod` where nobody can enrol in the
    /// method, `Refused` where the user logs in elsewhere.
    pub async fn begin_enrollment(
        &self,
        caller: &Caller,
        user_id: &UserId,
        method: &str,
    ) -> Result<EnrollmentQuestion> {
        let (user, method) = self.enrolling(caller, user_id, method).await?;
        let enrolling = self.enrolling_user(&user, &method).await?;
        match method.begin_enrollment(enrolling).await.map_err(failed)? {
            EnrollmentBegun::Challenged(challenge) => {
                self.audit_enrollment(caller, user_id, method.name(), None);
                Ok(EnrollmentQuestion {
                    message: challenge.message,
                    continuation: challenge.continuation,
                })
            }
            EnrollmentBegun::Denied(denial) => {
                let error = denied(method.name(), denial);
                self.audit_enrollment(caller, user_id, method.name(), Some(&error));
                Err(error)
            }
        }
    }

    /// Enrols what the answer proves that the user has.
    ///
    /// # Errors
    /// As for [`Identity::begin_enrollment`]; `Invalid` where the answer does not hold, `Conflict`
    /// where it is enrolled already, whoever by.
    pub async fn complete_enrollment(
        &self,
        caller: &Caller,
        user_id: &UserId,
        method: &str,
        answer: EnrollmentAnswer,
    ) -> Result<Enrollment> {
        let (user, method) = self.enrolling(caller, user_id, method).await?;
        let enrolling = self.enrolling_user(&user, &method).await?;
        let completed = method
            .complete_enrollment(enrolling, answer.payload, &answer.continuation)
            .await;
        let proven = match completed {
            Ok(EnrollmentCompleted::Enrolled(enrolled)) => Ok(enrolled),
            Ok(EnrollmentCompleted::Denied(denial)) => Err(denied(method.name(), denial)),
            Err(error) => Err(failed(error)),
        };
        let enrolled = proven.map_err(|error| {
            self.audit_enrollment(caller, user_id, method.name(), Some(&error));
            as_fault_of_request(error)
        })?;
        let mut extra = Extra::default();
        extra.insert("created_at".to_owned(), iso(self.now()).into());
        if let Some(description) = answer.description {
            extra.insert("description".to_owned(), description.into());
        }
        let credential = Credential {
            id: enrollment_id(method.name(), &enrolled.name),
            user_id: user_id.clone(),
            project_id: None,
            kind: kind_of(method.name()),
            blob: sealed(enrolled),
            extra,
        };
        self.add_credential(caller, &credential).await?;
        Ok(credential.into())
    }

    /// What a user enrolled in a method.
    pub async fn enrollments(
        &self,
        caller: &Caller,
        user_id: &UserId,
        method: &str,
    ) -> Result<Vec<Enrollment>> {
        self.may_manage(caller, "archstone:list_enrollments", user_id)
            .await?;
        self.find_user(user_id).await?;
        let kept = self.enrolled_by(user_id, method).await?;
        Ok(kept.into_iter().map(Into::into).collect())
    }

    /// Calls an enrollment something else.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn describe_enrollment(
        &self,
        caller: &Caller,
        user_id: &UserId,
        method: &str,
        id: &CredentialId,
        description: Option<String>,
    ) -> Result<Enrollment> {
        self.may_manage(caller, "archstone:update_enrollment", user_id)
            .await?;
        let stored = self.enrollment_of(user_id, method, id).await?;
        let mut credential = self.open_credential(stored.clone())?;
        match description {
            Some(text) => credential
                .extra
                .insert("description".to_owned(), text.into()),
            None => credential.extra.shift_remove("description"),
        };
        // A login meanwhile may have changed what is kept, and that must not be lost.
        let renewed = self.seal_credential(&credential);
        if !self.store.exchange_credential(&stored, &renewed).await? {
            return Err(Error::conflict(
                Entity::Enrollment,
                "it is in use; try again",
            ));
        }
        self.audit_write(caller, "update", Entity::Enrollment, id.as_str());
        Ok(credential.into())
    }

    /// Ends an enrollment.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_enrollment(
        &self,
        caller: &Caller,
        user_id: &UserId,
        method: &str,
        id: &CredentialId,
    ) -> Result<()> {
        self.may_manage(caller, "archstone:delete_enrollment", user_id)
            .await?;
        self.enrollment_of(user_id, method, id).await?;
        self.store.delete_credential(id).await?;
        self.audit_write(caller, "delete", Entity::Enrollment, id.as_str());
        Ok(())
    }

    /// The credentials that hold what a user enrolled in a method.
    pub(crate) async fn enrolled_by(
        &self,
        user_id: &UserId,
        method: &str,
    ) -> Result<Vec<Credential>> {
        let kind = kind_of(method);
        let mut found = self.secrets_of(user_id, &kind).await?;
        // Some databases find types that are spelt alike.
        found.retain(|credential| credential.kind == kind);
        Ok(found)
    }

    /// The owner of what was enrolled in a method under a name.
    pub(crate) async fn owner_of_enrollment(&self, method: &str, name: &str) -> Result<UserId> {
        let found = self.store.credential(&enrollment_id(method, name)).await;
        let credential = found.map_err(|error| Error::from(error).into_unauthenticated())?;
        if credential.kind != kind_of(method) {
            return Err(Error::unauthenticated("the credential is of another type"));
        }
        Ok(credential.user_id)
    }

    /// Notes that an enrollment proved a login, with what the plugin wants kept of it.
    ///
    /// # Errors
    /// `Unauthenticated` where it is gone, or another login changed it meanwhile.
    pub(crate) async fn use_enrollment(
        &self,
        read: &Credential,
        name: &str,
        data: Option<Map<String, Value>>,
    ) -> Result<()> {
        let gone = |error| Error::from(error).into_unauthenticated();
        let stored = self.store.credential(&read.id).await.map_err(gone)?;
        let mut credential = self.open_credential(stored.clone())?;
        let is_change = data.is_some();
        if let Some(data) = data {
            // Both texts are the sealed ones, for comparison only.
            if credential.blob.expose() != read.blob.expose() {
                return Err(changed_meanwhile());
            }
            credential.blob = sealed(Enrolled {
                name: name.to_owned(),
                data,
            });
        }
        let now = iso(self.now());
        credential
            .extra
            .insert("last_used_at".to_owned(), now.into());
        let kept = self
            .store
            .exchange_credential(&stored, &self.seal_credential(&credential))
            .await?;
        match kept || !is_change {
            true => Ok(()),
            false => Err(changed_meanwhile()),
        }
    }

    /// Remembers what belongs to the answer to a challenge, for clients that send nothing back but
    /// the answer.
    ///
    /// # Errors
    /// `Unavailable` where the database does not answer.
    pub async fn remember_answer_to(&self, challenge: &str, what: &Value) -> Result<()> {
        let expires_at = self.now() + LONGEST_CHALLENGE;
        let (name, what) = (hex(&Sha256::digest(challenge.as_bytes())), what.to_string());
        self.store
            .put_state(ANSWERS, &name, &what, expires_at)
            .await?;
        Ok(())
    }

    /// Takes back what [`Self::remember_answer_to`] kept, once.
    ///
    /// # Errors
    /// `Unauthenticated` where there is no such challenge, or it was answered before.
    pub async fn recall_answer_to(&self, challenge: &str) -> Result<Value> {
        let name = hex(&Sha256::digest(challenge.as_bytes()));
        let kept = self.store.take_state(ANSWERS, &name, self.now()).await?;
        let unknown = || Error::unauthenticated("the challenge is unknown, expired or answered");
        serde_json::from_str(&kept.ok_or_else(unknown)?).map_err(Error::internal)
    }

    /// The user and the method of an enrollment that the caller may make.
    async fn enrolling(
        &self,
        caller: &Caller,
        user_id: &UserId,
        method: &str,
    ) -> Result<(User, Enrollable)> {
        self.may_manage(caller, "archstone:create_enrollment", user_id)
            .await?;
        let user = self.find_user(user_id).await?;
        if user.kind == UserKind::Federated {
            return Err(Error::refused(
                "Users of an identity provider prove there who they are, and enroll nothing here.",
            ));
        }
        let serving = self.plugins.enrollable(method);
        let method = serving.filter(|_| self.supports(method)).ok_or_else(|| {
            Error::Missing(format!(
                "Could not find method: there is no {method} to enroll in."
            ))
        })?;
        Ok((user, method))
    }

    async fn enrolling_user(&self, user: &User, method: &Enrollable) -> Result<Enrolling> {
        let kept = self.enrolled_by(&user.id, method.name()).await?;
        Ok(Enrolling {
            user_id: user.id.clone(),
            label: user.name.clone(),
            enrolled: kept.iter().filter_map(enrolled).collect(),
        })
    }

    /// What came through a delegation neither sees nor makes a way to log in.
    async fn may_manage(
        &self,
        caller: &Caller,
        action: &'static str,
        user_id: &UserId,
    ) -> Result<()> {
        let target = Target::new().with("target.user.id", user_id.as_str());
        self.enforce(caller, action, target).await?;
        refuse_delegated(caller)
    }

    async fn enrollment_of(
        &self,
        user_id: &UserId,
        method: &str,
        id: &CredentialId,
    ) -> Result<SealedCredential> {
        let missing = || Error::not_found(Entity::Enrollment, id.as_str());
        match self.store.credential(id).await {
            Ok(found) if found.user_id == *user_id && found.kind == kind_of(method) => Ok(found),
            Ok(_) | Err(archstone_store::Error::NotFound { .. }) => Err(missing()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Refuses a type of credential that only enrolling makes: its secrets are proofs.
pub(crate) fn refuse_enrolled(kind: &str) -> Result<()> {
    let begins = kind
        .get(..KIND_PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(KIND_PREFIX));
    match begins {
        true => Err(Error::refused(format!(
            "Credentials of the type {kind} are made by enrolling and by nothing else."
        ))),
        false => Ok(()),
    }
}

/// What the plugin gets of a credential; nothing, where it was not made by enrolling.
pub(crate) fn enrolled(credential: &Credential) -> Option<Enrolled> {
    // The plugin checks the claimant's proof against this.
    let Sealed { name, data } = serde_json::from_str(credential.blob.expose()).ok()?;
    Some(Enrolled { name, data })
}

fn sealed(Enrolled { name, data }: Enrolled) -> Secret {
    // Texts and JSON are always JSON.
    Secret::new(serde_json::to_string(&Sealed { name, data }).unwrap_or_default())
}

fn kind_of(method: &str) -> String {
    format!("{KIND_PREFIX}{method}")
}

fn enrollment_id(method: &str, name: &str) -> CredentialId {
    let text = format!("{KIND_PREFIX}{method}\0{name}");
    CredentialId::new(hex(&Sha256::digest(text.as_bytes())))
}

fn changed_meanwhile() -> Error {
    Error::unauthenticated("another login changed the enrollment meanwhile")
}

/// Nobody is logged in by an enrollment: what does not hold is a fault of the request.
fn as_fault_of_request(error: Error) -> Error {
    match error {
        Error::Unauthenticated { .. } => {
            Error::invalid("The answer does not prove what is to be enrolled.")
        }
        other => other,
    }
}

impl From<Credential> for Enrollment {
    fn from(credential: Credential) -> Self {
        let text = |name: &str| {
            let value = credential.extra.get(name)?.as_str()?;
            Some(value.to_owned())
        };
        Self {
            description: text("description"),
            created_at: text("created_at"),
            last_used_at: text("last_used_at"),
            id: credential.id,
            user_id: credential.user_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spelling_of_an_enrolled_type_can_be_made_otherwise() {
        for kind in ["enrolled:security-key", "Enrolled:x", "ENROLLED:"] {
            assert!(refuse_enrolled(kind).is_err(), "{kind}");
        }
        for kind in ["totp", "enrolled", "ec2", ""] {
            assert!(refuse_enrolled(kind).is_ok(), "{kind}");
        }
    }

    #[test]
    fn one_name_in_two_methods_is_two_enrollments() {
        let id = enrollment_id("security-key", "a");
        assert_eq!(id.as_str().len(), 64);
        assert_ne!(id, enrollment_id("security-key2", "a"));
        assert_ne!(id, enrollment_id("security-key", "b"));
    }
}
