//! Things a user authenticates or delegates with besides a password: credentials, application
//! credentials with their access rules, and trusts.

use chrono::{DateTime, Utc};

use crate::{
    Extra,
    id::{AccessRuleId, ApplicationCredentialId, CredentialId, ProjectId, RoleId, TrustId, UserId},
    listing::Page,
};

/// A credential row. The blob is sealed with the credential keys; only the service layer opens it.
#[derive(Clone, PartialEq)]
pub struct SealedCredential {
    pub id: CredentialId,
    pub user_id: UserId,
    pub project_id: Option<ProjectId>,
    /// `ec2`, `cert`, `totp`, or anything a client chose.
    pub kind: String,
    pub encrypted_blob: String,
    /// SHA-1 of the key that sealed the blob, so that a key can be retired safely.
    pub key_hash: String,
    pub extra: Extra,
}

impl std::fmt::Debug for SealedCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedCredential")
            .field("id", &self.id)
            .field("user_id", &self.user_id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Which credentials to list.
#[derive(Debug, Clone, Default)]
pub struct CredentialFilter {
    pub user_id: Option<UserId>,
    pub kind: Option<String>,
    pub page: Page,
}

/// An application credential: a user's delegation to a program, in one project.
#[derive(Debug, Clone, PartialEq)]
pub struct ApplicationCredential {
    pub id: ApplicationCredentialId,
    pub name: String,
    pub description: Option<String>,
    pub user_id: UserId,
    pub project_id: ProjectId,
    pub roles: Vec<RoleId>,
    pub expires_at: Option<DateTime<Utc>>,
    /// May create further application credentials and trusts.
    pub unrestricted: bool,
    pub access_rules: Vec<AccessRule>,
}

/// What is needed to create an application credential.
#[derive(Debug, Clone)]
pub struct NewApplicationCredential {
    pub credential: ApplicationCredential,
    pub secret_hash: SecretHash,
}

/// The hash of an application credential's secret.
#[derive(Clone)]
pub struct SecretHash(pub String);

impl std::fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// One request that a restricted application credential may make of another service.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AccessRule {
    pub id: AccessRuleId,
    pub service: Option<String>,
    pub path: Option<String>,
    pub method: Option<String>,
}

/// Which application credentials of a user to list.
#[derive(Debug, Clone, Default)]
pub struct ApplicationCredentialFilter {
    pub name: Option<String>,
    pub page: Page,
}

/// A trust: the trustor lets the trustee act in a project with some roles.
#[derive(Debug, Clone, PartialEq)]
pub struct Trust {
    pub id: TrustId,
    pub trustor_user_id: UserId,
    pub trustee_user_id: UserId,
    pub project_id: Option<ProjectId>,
    pub impersonation: bool,
    pub roles: Vec<RoleId>,
    pub expires_at: Option<DateTime<Utc>>,
    pub deleted_at: Option<DateTime<Utc>>,
    pub remaining_uses: Option<i32>,
    pub redelegated_trust_id: Option<TrustId>,
    pub redelegation_count: Option<i32>,
    pub extra: Extra,
}

/// Which trusts to list.
#[derive(Debug, Clone, Default)]
pub struct TrustFilter {
    pub trustor_user_id: Option<UserId>,
    pub trustee_user_id: Option<UserId>,
    pub page: Page,
}
