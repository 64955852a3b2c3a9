//! The three steps by which a consumer comes to act for a user.

use std::collections::BTreeSet;

use archstone_model::{
    entity::Entity,
    id::{AccessTokenId, ConsumerId, ProjectId, RequestTokenId, RoleId},
    oauth1::{AccessToken, Grant, RequestToken},
    policy::Target,
    roles::RoleInference,
    secret::Secret,
};
use chrono::{DateTime, TimeDelta, Utc};
use rand::seq::IndexedRandom;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{OAuthFault, OAuthRequest, Signed, signature};
use crate::{Caller, Error, Identity, Result, RoleName, hex, new_id};

/// A request token or access token with its secret, which is shown this once.
#[derive(Debug, Clone)]
pub struct IssuedOAuthToken {
    pub id: String,
    pub secret: Secret,
    pub expires_at: Option<DateTime<Utc>>,
}

/// What verifiers are made of: letters and digits that nobody takes for another.
const VERIFIER_CHARACTERS: &[u8] = b"abcdefghkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const VERIFIER_LENGTH: usize = 8;

/// Where the keys of used requests are kept.
const USED: &str = "oauth1";

impl Identity {
    /// The first step: a consumer asks to act in a project.
    ///
    /// # Errors
    /// `Invalid` where the request does not follow RFC 5849, `NotFound` where there is no such
    /// project or consumer, `Unauthenticated` where the signature is wrong.
    pub async fn oauth1_request_token(
        &self,
        request: &OAuthRequest,
        project_id: Option<ProjectId>,
    ) -> Result<IssuedOAuthToken> {
        let signed = Signed::read(request)?;
        let consumer_id = required(signed.consumer_key(), "oauth_consumer_key")?.into();
        let project_id = project_id
            .ok_or_else(|| Error::missing_attribute("Requested-Project-Id", "request"))?;
        self.store.project(&project_id).await?;
        let consumer = self.store.consumer(&consumer_id).await?;
        signed.check_protocol(self.now())?;
        if signed.realm().is_some() {
            return Err(OAuthFault::Malformed("Invalid realm.").into());
        }
        if signed.get("oauth_callback").is_none() {
            return Err(OAuthFault::Malformed("Missing callback URI.").into());
        }
        signed.check_signature(&consumer.secret, None)?;
        self.use_up(&signed).await?;
        let token = RequestToken {
            id: RequestTokenId::new(new_id()),
            secret: Secret::new(new_id()),
            consumer_id,
            project_id,
            grant: None,
            expires_at: self.end_of(self.options.request_token_lifetime),
        };
        self.store.create_request_token(&token).await?;
        self.audit_write_by(
            token.consumer_id.as_str(),
            "create",
            Entity::RequestToken,
            token.id.as_str(),
        );
        Ok(IssuedOAuthToken {
            id: token.id.into_string(),
            secret: token.secret,
            expires_at: token.expires_at,
        })
    }

    /// The second step: a user grants the consumer some of their roles in the project. Gives the
    /// verifier that the user tells the consumer.
    ///
    /// # Errors
    /// `Unauthenticated` where the user lacks one of the roles or the request token has expired,
    /// `Forbidden` where the caller themselves came through a delegation.
    pub async fn authorize_request_token(
        &self,
        caller: &Caller,
        id: &RequestTokenId,
        roles: Vec<RoleName>,
    ) -> Result<Secret> {
        self.enforce(caller, "identity:authorize_request_token", Target::new())
            .await?;
        if caller.is_delegated() {
            return Err(Error::forbidden(
                "a request token cannot be authorized with a token issued via delegation",
            ));
        }
        let token = self.store.request_token(id).await?;
        if token.is_expired(self.now()) {
            return Err(Error::unauthenticated("Request token is expired"));
        }
        let mut granted = BTreeSet::new();
        for role in roles {
            granted.insert(match role {
                RoleName::Id(id) => id,
                RoleName::Name(name) => self.store.role_by_name(&name, None).await?.id,
            });
        }
        let project = self.store.project(&token.project_id).await?;
        let place = self.place_of(&project).await?;
        let inference = RoleInference::new(self.store.implied_roles().await?);
        let held: BTreeSet<RoleId> = self
            .roles_in(caller.user_id(), &[], &place, &inference)
            .await?
            .into_iter()
            .collect();
        if !granted.is_subset(&held) {
            return Err(Error::unauthenticated(
                "authorizing user does not have role required",
            ));
        }
        let grant = Grant {
            user_id: caller.own_user_id()?.clone(),
            roles: granted.into_iter().collect(),
            verifier: random_verifier(),
        };
        self.store.grant_request_token(id, &grant).await?;
        self.audit_write(caller, "authorize", Entity::RequestToken, id.as_str());
        Ok(grant.verifier)
    }

    /// The third step: the consumer shows the verifier, and gets what was granted.
    ///
    /// # Errors
    /// `Invalid` where the request does not follow RFC 5849, `NotFound` where there is no such
    /// request token, `Unauthenticated` where anything else is wrong.
    pub async fn oauth1_access_token(&self, request: &OAuthRequest) -> Result<IssuedOAuthToken> {
        let signed = Signed::read(request)?;
        let consumer_id: ConsumerId = required(signed.consumer_key(), "oauth_consumer_key")?.into();
        let token_id: RequestTokenId = required(signed.token(), "oauth_token")?.into();
        let verifier = required(signed.get("oauth_verifier"), "oauth_verifier")?;
        let token = self.store.request_token(&token_id).await?;
        if token.is_expired(self.now()) {
            return Err(Error::unauthenticated("Request token is expired"));
        }
        signed.check_protocol(self.now())?;
        if !is_verifier(verifier) {
            return Err(OAuthFault::Malformed("Invalid verifier format.").into());
        }
        if token.consumer_id != consumer_id {
            return Err(Error::unauthenticated(
                "the request token is another consumer's",
            ));
        }
        let consumer = self
            .store
            .consumer(&consumer_id)
            .await
            .map_err(|error| Error::from(error).into_unauthenticated())?;
        signed.check_signature(&consumer.secret, Some(&token.secret))?;
        let grant = token
            .grant
            .ok_or_else(|| Error::unauthenticated("the request token is not authorized"))?;
        // The verifier is compared with what the user told the consumer.
        let expected = grant.verifier.expose().as_bytes();
        if !bool::from(expected.ct_eq(verifier.as_bytes())) {
            return Err(Error::unauthenticated(
                "Provided verifier does not match stored verifier",
            ));
        }
        let access = AccessToken {
            id: AccessTokenId::new(new_id()),
            secret: Secret::new(new_id()),
            consumer_id,
            user_id: grant.user_id,
            project_id: token.project_id,
            roles: grant.roles,
            expires_at: self.end_of(self.options.access_token_lifetime),
        };
        self.store.create_access_token(&access, &token_id).await?;
        self.audit_write_by(
            access.consumer_id.as_str(),
            "create",
            Entity::AccessToken,
            access.id.as_str(),
        );
        Ok(IssuedOAuthToken {
            id: access.id.into_string(),
            secret: access.secret,
            expires_at: access.expires_at,
        })
    }

    /// Takes a signed request once: who listened in cannot send it again (RFC 5849, section 3.3).
    ///
    /// # Errors
    /// `Unauthenticated` where it came before.
    pub(crate) async fn use_up(&self, signed: &Signed) -> Result<()> {
        let key = hex(&Sha256::digest(signed.single_use_key().as_bytes()));
        let now = self.now();
        let until = now + signature::replay_window();
        let first = self
            .store
            .put_state_if_absent(USED, &key, "", now, until)
            .await?;
        if first {
            Ok(())
        } else {
            Err(Error::unauthenticated("the request was sent before"))
        }
    }

    /// The end of something that lasts this long from now; zero stands for ever.
    fn end_of(&self, lifetime: TimeDelta) -> Option<DateTime<Utc>> {
        (lifetime > TimeDelta::zero()).then(|| self.now() + lifetime)
    }
}

fn required<'a>(value: Option<&'a str>, name: &str) -> Result<&'a str> {
    value.ok_or_else(|| Error::missing_attribute(name, "request"))
}

fn random_verifier() -> Secret {
    let characters = VERIFIER_CHARACTERS.choose_multiple(&mut rand::rng(), VERIFIER_LENGTH);
    Secret::new(characters.map(|byte| char::from(*byte)).collect::<String>())
}

fn is_verifier(text: &str) -> bool {
    text.len() == VERIFIER_LENGTH && text.bytes().all(|byte| VERIFIER_CHARACTERS.contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_is_one_and_no_two_are_the_same() {
        let (one, other) = (random_verifier(), random_verifier());
        assert!(is_verifier(one.expose()) && is_verifier(other.expose()));
        assert_ne!(one.expose(), other.expose());
        assert!(!is_verifier("l1l1l1l1") && !is_verifier("abc"));
    }
}
