//! Revocations as operators see and make them.

use archstone_model::{entity::Entity, id::UserId, policy::Target, revocation::RevocationEvent};
use chrono::{DateTime, Utc};

use crate::{Caller, Error, Identity, Result};

impl Identity {
    /// The revocations since a time, or all that are kept.
    pub async fn revocation_events(
        &self,
        caller: &Caller,
        since: Option<DateTime<Utc>>,
    ) -> Result<Vec<RevocationEvent>> {
        self.enforce(caller, "identity:list_revoke_events", Target::new())
            .await?;
        Ok(self.store.revocations(since).await?)
    }

    /// Ends every token that a user holds: their own remedy where they have no password to change.
    pub async fn revoke_tokens_of_user(&self, caller: &Caller, id: &UserId) -> Result<()> {
        let found = self.find_user(id).await;
        self.enforce(
            caller,
            "identity:revoke_tokens_for_user",
            self.user_target(id, found.as_ref().ok()),
        )
        .await?;
        found?;
        self.revoke(RevocationEvent::for_user(id.clone(), self.now()))
            .await?;
        self.audit_write(caller, "revoke_tokens", Entity::User, id.as_str());
        Ok(())
    }

    /// Why there is no list of revoked PKI tokens.
    pub fn revoked_pki_tokens(&self) -> Error {
        if self.options.revoke_by_id {
            Error::forbidden("tokens are not kept, so that there is no list of revoked ones")
        } else {
            Error::Gone
        }
    }
}
