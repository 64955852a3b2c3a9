//! Methods that are plugins and that users enrol in: security keys and their like. The host finds
//! the user, by what the client claims or by what it answers with, and hands the plugin what that
//! user enrolled.

use std::sync::Arc;

use archstone_model::user::User;
use archstone_plugins::{Enrollable, EnrolledOutcome, EnrolledStep, Reason};
use serde_json::{Value, json};

use super::{
    AuthRequest, Proof, UserReference,
    plugin::{challenged, denied, failed, without_continuation},
};
use crate::{Error, Identity, Result, enrollments::enrolled};

impl Identity {
    pub(super) async fn prove_by_enrollment(
        &self,
        method: &Enrollable,
        request: &AuthRequest,
        proof: &mut Proof,
    ) -> Result<()> {
        let name = method.name();
        let payload = request.payload(name)?;
        let is_claimed = payload.contains_key("user");
        let (rest, continuation) = without_continuation(payload);
        let is_first = continuation.is_none();
        let user = if is_claimed {
            let reference = UserReference::from_payload(payload, name)?;
            match self.login_user(&reference).await {
                Ok((user, _)) => Some(user),
                Err(Error::Unauthenticated { reason }) if is_first => {
                    return self
                        .ask_in_vain(method, rest, &whom(&reference), reason)
                        .await;
                }
                Err(error) => return Err(error),
            }
        } else if continuation.is_some() {
            Some(self.owner_of_answer(method, &rest).await?)
        } else {
            None
        };
        let kept = match &user {
            Some(user) => self.enrolled_by(&user.id, name).await?,
            None => Vec::new(),
        };
        let step = EnrolledStep {
            payload: rest.clone(),
            user_id: user.as_ref().map(|user| user.id.clone()),
            is_claimed,
            enrolled: kept.iter().filter_map(enrolled).collect(),
            continuation: continuation.map(str::to_owned),
        };
        match method.authenticate(step).await.map_err(failed)? {
            EnrolledOutcome::Verified(verified) => {
                let proven = kept
                    .iter()
                    .find(|one| enrolled(one).is_some_and(|one| one.name == verified.name));
                let (Some(user), Some(credential)) = (user, proven) else {
                    return Err(Error::unauthenticated(format!(
                        "{name} verified nobody in particular"
                    )));
                };
                self.use_enrollment(credential, &verified.name, verified.data)
                    .await?;
                self.note_activity(&user.id).await?;
                proof.add(name, user.id.clone())
            }
            EnrolledOutcome::Challenged(challenge) => Err(challenged(name, challenge)),
            EnrolledOutcome::Denied(denial) if is_first && denial.reason == Reason::NotEnrolled => {
                let Some(user) = user else {
                    return Err(denied(name, denial));
                };
                let whom = whom(&UserReference::Id(user.id.clone()));
                self.ask_in_vain(method, rest, &whom, denial.detail).await
            }
            EnrolledOutcome::Denied(denial) => Err(denied(name, denial)),
        }
    }

    /// Asks somebody who has enrolled nothing, or is not there, what others are asked, so that
    /// strangers cannot tell who has: WebAuthn's question, for a key that nobody has and that is the
    /// same each time.
    ///
    /// # Errors
    /// The question, or `Unauthenticated` where the method asks something else.
    async fn ask_in_vain(
        &self,
        method: &Enrollable,
        payload: Value,
        whom: &str,
        reason: String,
    ) -> Result<()> {
        let name = method.name();
        let step = EnrolledStep {
            payload,
            user_id: None,
            is_claimed: false,
            enrolled: Vec::new(),
            continuation: None,
        };
        if let EnrolledOutcome::Challenged(mut challenge) =
            method.authenticate(step).await.map_err(failed)?
            && let Some(allowed) = challenge
                .message
                .get_mut("publicKey")
                .and_then(|options| options.get_mut("allowCredentials"))
                .and_then(Value::as_array_mut)
        {
            let id = self.credential_cipher.pseudonym(&format!("{name} {whom}"));
            allowed.push(json!({
                "type": "public-key", "id": id, "transports": ["hybrid", "internal"],
            }));
            tracing::info!(method = name, reason, "somebody is asked in vain");
            return Err(challenged(name, challenge));
        }
        Err(Error::unauthenticated(reason))
    }

    /// Whose enrollment a payload says it answers with, where the client names nobody.
    async fn owner_of_answer(&self, method: &Enrollable, payload: &Value) -> Result<Arc<User>> {
        let named = method.named_in(payload).await.map_err(failed)?;
        let nobody = || Error::unauthenticated("the answer names nothing that is enrolled");
        let owner = self
            .owner_of_enrollment(method.name(), &named.ok_or_else(nobody)?)
            .await?;
        Ok(self.login_user(&UserReference::Id(owner)).await?.0)
    }
}

/// A user, as somebody claims to be them.
fn whom(reference: &UserReference) -> String {
    match reference {
        UserReference::Id(id) => format!("id {id}"),
        UserReference::Name { name, domain } => format!("name {domain:?} {name}"),
    }
}
