//! Methods that are plugins and that users enrol in: security keys and their like. The host finds
//! the user, by what the client claims or by what it answers with, and hands the plugin what that
//! user enrolled.

use archstone_model::user::User;
use archstone_plugins::{Enrollable, EnrolledOutcome, EnrolledStep};
use serde_json::Value;

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
        let user = if is_claimed {
            let reference = UserReference::from_payload(payload, name)?;
            Some(self.login_user(&reference).await?.0)
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
            payload: rest,
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
                proof.add(name, user.id)
            }
            EnrolledOutcome::Challenged(challenge) => Err(challenged(name, challenge)),
            EnrolledOutcome::Denied(denial) => Err(denied(name, denial)),
        }
    }

    /// Whose enrollment a payload says it answers with, where the client names nobody.
    async fn owner_of_answer(&self, method: &Enrollable, payload: &Value) -> Result<User> {
        let named = method.named_in(payload).await.map_err(failed)?;
        let nobody = || Error::unauthenticated("the answer names nothing that is enrolled");
        let owner = self
            .owner_of_enrollment(method.name(), &named.ok_or_else(nobody)?)
            .await?;
        Ok(self.login_user(&UserReference::Id(owner)).await?.0)
    }
}
