//! Tokens for requests that were signed with EC2 keys. A service that somebody sent such a request
//! shows its signature here, and learns whose it is. The token never reaches further than the
//! delegation that the keys belong to, and is of no use against this API itself.

use archstone_model::{
    credential::SealedCredential,
    id::{AccessTokenId, ApplicationCredentialId, ProjectId, TrustId, UserId},
    policy::Target,
    secret::Secret,
    user::User,
};
use archstone_token::TokenKind;
use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::Value;

use super::{IssuedToken, Proof};
use crate::{
    Caller, Error, Identity, Result,
    aws_signature::{InvalidSignature, SignedMembers, verify_ec2, verify_s3},
    credentials::{EC2, ec2_credential_id},
};

const METHOD: &str = "ec2credential";

/// The time of a signature, where the client says one.
type SignedAt = Option<String>;

impl Identity {
    /// Exchanges a signed EC2 request. `request` is `None` where nothing came.
    ///
    /// # Errors
    /// `ForbiddenAction` where the caller is no service, `Unauthenticated` where the signature or
    /// what it stands for does not hold, `Missing` where the access key is not known.
    pub async fn token_for_ec2(
        &self,
        caller: &Caller,
        request: Option<&SignedMembers>,
    ) -> Result<IssuedToken> {
        self.enforce(caller, "identity:ec2tokens_validate", Target::new())
            .await?;
        self.token_for_signed(request, |request, secret| {
            Ok(verify_ec2(request, secret)?.map(str::to_owned))
        })
        .await
    }

    /// Exchanges a signed S3 request, as [`token_for_ec2`](Self::token_for_ec2) does.
    ///
    /// # Errors
    /// As above.
    pub async fn token_for_s3(
        &self,
        caller: &Caller,
        request: Option<&SignedMembers>,
    ) -> Result<IssuedToken> {
        self.enforce(caller, "identity:s3tokens_validate", Target::new())
            .await?;
        self.token_for_signed(request, |request, secret| {
            verify_s3(request, secret).map(|()| None)
        })
        .await
    }

    async fn token_for_signed(
        &self,
        request: Option<&SignedMembers>,
        verify: impl Fn(&SignedMembers, &Secret) -> Result<SignedAt, InvalidSignature>,
    ) -> Result<IssuedToken> {
        let methods = [METHOD.to_owned()];
        match self.try_token_for_signed(request, verify).await {
            Ok(issued) => {
                self.audit_login(issued.subject.user.id.as_str(), &methods);
                Ok(issued)
            }
            Err(error) => {
                // Not a user, but the one name that the signature is under.
                let access = request.and_then(|request| request.get("access")?.as_str());
                self.audit_unfinished_login(&methods, access, &error);
                Err(error)
            }
        }
    }

    async fn try_token_for_signed(
        &self,
        request: Option<&SignedMembers>,
        verify: impl Fn(&SignedMembers, &Secret) -> Result<SignedAt, InvalidSignature>,
    ) -> Result<IssuedToken> {
        // The method is what tells such a token from its user's own.
        if !self.options.auth_methods.iter().any(|name| name == METHOD) {
            return Err(Error::Unavailable {
                reason: "[auth] methods must have ec2credential, or tokens made from EC2 keys \
                         could not be told from others"
                    .to_owned(),
            });
        }
        let request =
            request.ok_or_else(|| Error::invalid("request must include a request body"))?;
        let access = request
            .get("access")
            .and_then(Value::as_str)
            .ok_or_else(|| Error::unauthenticated("EC2 signature not supplied"))?;
        let keys = self.keys_of(access).await?;
        let signed_at = verify(request, &keys.secret).map_err(|invalid| {
            Error::unauthenticated(format!("the request signed with an EC2 key: {invalid}"))
        })?;
        let project = self.store.project(&keys.project_id).await?;
        let user = self.find_user(&keys.user_id).await?;
        if !self.compliance.is_enabled(&user, self.now()) {
            return Err(Error::unauthenticated(format!(
                "user {} is disabled",
                user.id
            )));
        }
        self.usable_project(project).await?;
        if let Some(signed_at) = signed_at {
            self.refuse_old_signature(&signed_at)?;
        }
        let (holder, kind) = self.token_for_keys(&keys, &user).await?;
        let mut proof = Proof::default();
        proof.add(METHOD, holder.id.clone())?;
        for user in [&user, &holder] {
            self.require_rules_satisfied(user, &proof.methods)?;
        }
        self.issue(holder.id, kind, proof).await
    }

    /// # Errors
    /// `Missing` where no EC2 credential has the access key.
    async fn keys_of(&self, access: &str) -> Result<Keys> {
        let unknown = || Error::Missing("EC2 access key not found.".to_owned());
        let sealed = match self.store.credential(&ec2_credential_id(access)).await {
            Ok(sealed) if sealed.kind == EC2 => sealed,
            Ok(_) | Err(archstone_store::Error::NotFound { .. }) => return Err(unknown()),
            Err(error) => return Err(error.into()),
        };
        self.open_keys(sealed)
    }

    fn open_keys(&self, sealed: SealedCredential) -> Result<Keys> {
        let unusable = |what: &str| Error::unauthenticated(format!("the credential has no {what}"));
        let credential = self.open_credential(sealed)?;
        // The keys are what the blob is kept for.
        let blob: SignedMembers = serde_json::from_str(credential.blob.expose())
            .map_err(|_| unusable("readable blob"))?;
        let member = |name: &str| match blob.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(unusable("readable blob")),
        };
        let delegation = match (
            member("trust_id")?,
            member("app_cred_id")?,
            member("access_token_id")?,
        ) {
            (None, None, None) => KeyDelegation::None,
            (Some(id), None, None) => KeyDelegation::Trust(id.into()),
            (None, Some(id), None) => KeyDelegation::ApplicationCredential(id.into()),
            (None, None, Some(id)) => KeyDelegation::OAuth1(id.into()),
            _ => return Err(unusable("single delegation")),
        };
        Ok(Keys {
            // Anybody can sign with an empty key.
            secret: member("secret")?
                .map(Secret::new)
                .ok_or_else(|| unusable("secret"))?,
            user_id: credential.user_id,
            project_id: credential.project_id.ok_or_else(|| unusable("project"))?,
            delegation,
        })
    }

    /// # Errors
    /// `Unauthenticated` where the signature is older than `[credential] auth_ttl`.
    fn refuse_old_signature(&self, signed_at: &str) -> Result<()> {
        let time = read_time(signed_at)
            .ok_or_else(|| Error::unauthenticated("the time of a signature cannot be read"))?;
        if self.now() > time + self.options.signature_lifetime {
            return Err(Error::unauthenticated("the signature is too old"));
        }
        Ok(())
    }

    /// The kind of token: what the keys were made for, and no more. Whose it is, too.
    async fn token_for_keys(&self, keys: &Keys, user: &User) -> Result<(User, TokenKind)> {
        let kind = match &keys.delegation {
            KeyDelegation::Trust(id) => return self.token_for_trust_keys(keys, user, id).await,
            KeyDelegation::None => TokenKind::Project {
                project_id: keys.project_id.to_string(),
            },
            KeyDelegation::ApplicationCredential(id) => {
                let credential = self.store.application_credential(id).await?;
                if credential.user_id != user.id
                    || credential.project_id.as_ref() != Some(&keys.project_id)
                {
                    return Err(Error::unauthenticated(
                        "the keys are for another project than their application credential",
                    ));
                }
                TokenKind::ApplicationCredential {
                    project_id: keys.project_id.to_string(),
                    application_credential_id: id.to_string(),
                }
            }
            KeyDelegation::OAuth1(id) => {
                let access = self.store.access_token(id).await?;
                if access.user_id != user.id || access.project_id != keys.project_id {
                    return Err(Error::unauthenticated(
                        "the keys are for another project than their access token",
                    ));
                }
                TokenKind::OAuth1 {
                    project_id: access.project_id.into_string(),
                    access_token_id: id.to_string(),
                }
            }
        };
        Ok((user.clone(), kind))
    }

    /// Keys that were made with a token of a trust. A trust that impersonates made them the
    /// trustor's; tokens of the trust are the trustee's all the same.
    async fn token_for_trust_keys(
        &self,
        keys: &Keys,
        user: &User,
        id: &TrustId,
    ) -> Result<(User, TokenKind)> {
        let trust = self.store.trust(id).await?;
        if trust.project_id.as_ref() != Some(&keys.project_id) {
            return Err(Error::unauthenticated(
                "the keys are for another project than their trust",
            ));
        }
        let kind = self.trust_kind(id).await?;
        if !trust.impersonation || user.id == trust.trustee_user_id {
            return Ok((user.clone(), kind));
        }
        if user.id != trust.trustor_user_id {
            return Err(Error::unauthenticated("the trust is between other users"));
        }
        Ok((self.find_user(&trust.trustee_user_id).await?, kind))
    }
}

/// A pair of keys with all that their signature stands for.
struct Keys {
    secret: Secret,
    user_id: UserId,
    project_id: ProjectId,
    delegation: KeyDelegation,
}

/// The delegation that keys were made under, which bounds what they give.
enum KeyDelegation {
    None,
    Trust(TrustId),
    ApplicationCredential(ApplicationCredentialId),
    OAuth1(AccessTokenId),
}

/// A time in one of the forms that AWS clients write; UTC where it names no zone.
fn read_time(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.with_timezone(&Utc));
    }
    let text = text.strip_suffix('Z').unwrap_or(text);
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y%m%dT%H%M%S%.f"]
        .into_iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
        .map(|time| time.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_all_signature_versions_are_read() {
        let expected = DateTime::parse_from_rfc3339("2026-11-26T10:46:00Z")
            .unwrap()
            .with_timezone(&Utc);
        for text in [
            "2026-11-26T10:46:00Z",
            "2026-11-26T10:46:00",
            "2026-11-26T10:46:00.000Z",
            "2026-11-26T11:46:00+01:00",
            "20261126T104600Z",
        ] {
            assert_eq!(read_time(text), Some(expected), "{text}");
        }
        assert_eq!(read_time("yesterday"), None);
    }
}
