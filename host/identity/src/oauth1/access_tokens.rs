//! What users granted to consumers, for the users and their administrators to see and take back.

use archstone_model::{
    entity::Entity,
    id::{AccessTokenId, RoleId, UserId},
    oauth1::AccessToken,
    policy::Target,
    role::Role,
};

use crate::{Caller, Error, Identity, Result};

impl Identity {
    pub async fn access_tokens(
        &self,
        caller: &Caller,
        user_id: &UserId,
    ) -> Result<Vec<AccessToken>> {
        let target = Target::new().with("user_id", user_id.as_str());
        self.enforce(caller, "identity:list_access_tokens", target)
            .await?;
        refuse_delegated(caller)?;
        Ok(self.store.access_tokens(user_id).await?)
    }

    pub async fn access_token(
        &self,
        caller: &Caller,
        user_id: &UserId,
        id: &AccessTokenId,
    ) -> Result<AccessToken> {
        let target = Target::new().with("user_id", user_id.as_str());
        self.enforce(caller, "identity:get_access_token", target)
            .await?;
        refuse_delegated(caller)?;
        self.granted_by(user_id, id).await
    }

    /// Takes a grant back. All tokens made with it end at once.
    ///
    /// # Errors
    /// `NotFound`; `Unauthenticated` where another user granted it.
    pub async fn delete_access_token(
        &self,
        caller: &Caller,
        user_id: &UserId,
        id: &AccessTokenId,
    ) -> Result<()> {
        // The rule that Keystone asks here; the one with the fitting name is never asked.
        let target = Target::new().with("user_id", user_id.as_str());
        self.enforce(caller, "identity:ec2_delete_credential", target)
            .await?;
        refuse_delegated(caller)?;
        let token = self.store.access_token(id).await?;
        if token.user_id != *user_id {
            return Err(Error::unauthenticated("User IDs do not match"));
        }
        self.store.delete_access_token(id).await?;
        self.audit_write(caller, "delete", Entity::AccessToken, id.as_str());
        Ok(())
    }

    pub async fn access_token_roles(
        &self,
        caller: &Caller,
        user_id: &UserId,
        id: &AccessTokenId,
    ) -> Result<Vec<Role>> {
        let target = Target::new().with("user_id", user_id.as_str());
        self.enforce(caller, "identity:list_access_token_roles", target)
            .await?;
        let token = self.granted_by(user_id, id).await?;
        let all = self.store.all_roles().await?;
        Ok(token
            .roles
            .iter()
            .filter_map(|id| all.get(id).cloned())
            .collect())
    }

    /// # Errors
    /// `NotFound` where the token or the role in it is not there; `Unauthenticated` where another
    /// user granted the token.
    pub async fn access_token_role(
        &self,
        caller: &Caller,
        user_id: &UserId,
        id: &AccessTokenId,
        role_id: &RoleId,
    ) -> Result<Role> {
        let target = Target::new().with("user_id", user_id.as_str());
        self.enforce(caller, "identity:get_access_token_role", target)
            .await?;
        let token = self.store.access_token(id).await?;
        if token.user_id != *user_id {
            return Err(Error::unauthenticated("User IDs do not match"));
        }
        if !token.roles.contains(role_id) {
            return Err(Error::not_found(Entity::Role, role_id.as_str()));
        }
        Ok(self.store.role(role_id).await?)
    }

    /// # Errors
    /// `NotFound` where it is not there, or not this user's.
    async fn granted_by(&self, user_id: &UserId, id: &AccessTokenId) -> Result<AccessToken> {
        let token = self.store.access_token(id).await?;
        if token.user_id == *user_id {
            Ok(token)
        } else {
            Err(Error::not_found(Entity::AccessToken, id.as_str()))
        }
    }
}

fn refuse_delegated(caller: &Caller) -> Result<()> {
    if caller.is_delegated() {
        Err(Error::forbidden(
            "OAuth access tokens cannot be managed with a token issued via delegation",
        ))
    } else {
        Ok(())
    }
}
