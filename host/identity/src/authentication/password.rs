//! The `password` method, and proving a password before it is changed.

use archstone_model::{
    id::UserId, password_rules::Lockout, secret::Secret, user::UserWithPasswords,
};
use serde_json::Value;

use super::{AuthRequest, Proof, UserReference};
use crate::{Error, Identity, Result};

const METHOD: &str = "password";

impl Identity {
    pub(super) async fn prove_password(
        &self,
        request: &AuthRequest,
        proof: &mut Proof,
    ) -> Result<()> {
        let payload = request.payload(METHOD)?;
        let reference = UserReference::from_payload(payload, METHOD)?;
        let password = payload
            .get("user")
            .and_then(|user| user.get("password"))
            .and_then(Value::as_str)
            .map(Secret::from)
            .ok_or_else(|| Error::unauthenticated("the login has no password"))?;
        if let Some((directory, key)) = self.directory_of_login(&reference).await? {
            let user = self.proven_by_directory(&directory, key, &password).await?;
            self.note_activity(&user.id).await?;
            return proof.add(METHOD, user.id);
        }
        let user = match self.login_user(&reference).await {
            Ok((user, _)) => user,
            Err(error) => {
                // Nobody must learn from the clock which users exist.
                self.passwords.verify_nothing(password).await?;
                return Err(error);
            }
        };
        let account = self.check_password(&user.id, password.clone()).await?;
        if self.compliance.is_expired(&account.user, self.now()) {
            return Err(Error::LoginRefused {
                message: format!(
                    "The password is expired and needs to be changed for user: {}.",
                    user.id
                ),
            });
        }
        self.forget_failures(&account).await?;
        self.note_activity(&user.id).await?;
        if self.options.departures.renew_password_hashes
            && let Err(error) = self.renew_hash(&account, &password).await
        {
            let reason = error.reason().unwrap_or_default();
            tracing::warn!(user = %user.id, %error, reason, "a password's hash was not renewed");
        }
        proof.add(METHOD, user.id.clone())
    }

    /// Hashes a password that was proven anew, where passwords are hashed otherwise now.
    async fn renew_hash(&self, account: &UserWithPasswords, password: &Secret) -> Result<()> {
        let current = account.passwords.last();
        let Some(old) = current.and_then(|current| current.hash.as_deref()) else {
            return Ok(());
        };
        if let Some(new) = self.passwords.renewed(password, old).await? {
            let id = &account.user.id;
            self.store.renew_password_hash(id, old, &new).await?;
        }
        Ok(())
    }

    async fn forget_failures(&self, account: &UserWithPasswords) -> Result<()> {
        if account.failed_auth_count > 0 {
            self.store.reset_failed_logins(&account.user.id).await?;
        }
        Ok(())
    }

    /// Keeps a user from counting as inactive, where there is such a rule.
    pub(crate) async fn note_activity(&self, id: &UserId) -> Result<()> {
        if self.compliance.disable_after_days_inactive.is_some() {
            self.store
                .record_activity(id, self.now().date_naive())
                .await?;
        }
        Ok(())
    }

    /// Proves the old password of somebody who wants a new one. An expired one is good enough for
    /// that.
    pub(crate) async fn prove_password_for_change(
        &self,
        id: &UserId,
        password: &Secret,
    ) -> Result<UserWithPasswords> {
        if self.store.user(id).await.is_err() {
            self.passwords.verify_nothing(password.clone()).await?;
            return Err(Error::unauthenticated("no such user"));
        }
        let account = self.check_password(id, password.clone()).await?;
        if !self.compliance.is_expired(&account.user, self.now()) {
            self.forget_failures(&account).await?;
        }
        Ok(account)
    }

    /// Checks a password and keeps the count of failures.
    async fn check_password(&self, id: &UserId, password: Secret) -> Result<UserWithPasswords> {
        let account = self.store.user_with_passwords(id).await?;
        let now = self.now();
        match self.compliance.lockout(&account, now) {
            Lockout::Locked => {
                self.passwords.verify_nothing(password).await?;
                // Whoever guesses passwords is not told which accounts there are.
                return Err(Error::unauthenticated("the account is locked"));
            }
            Lockout::Over => self.store.reset_failed_logins(id).await?,
            Lockout::Open => {}
        }
        let hash = account
            .passwords
            .last()
            .and_then(|current| current.hash.clone());
        let accepted = match hash {
            Some(hash) => self.passwords.verify(password, hash).await?,
            None => {
                self.passwords.verify_nothing(password).await?;
                false
            }
        };
        if !accepted {
            self.store.record_failed_login(id, now).await?;
            return Err(Error::unauthenticated("the password is wrong"));
        }
        if !self.compliance.is_enabled(&account.user, now) {
            return Err(Error::unauthenticated("the user is disabled"));
        }
        Ok(account)
    }
}
