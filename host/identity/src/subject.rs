//! A token that was opened, looked up and found valid: who it speaks for, where, and with which
//! roles. The only way to one is through [`Identity::validate`](crate::Identity::validate) or a
//! login.

use archstone_model::{
    credential::ApplicationCredential,
    id::{
        AccessTokenId, ConsumerId, DomainId, GroupId, IdentityProviderId, ProjectId, ProtocolId,
        RoleId, UserId,
    },
    revocation::RevocationSubject,
    role::{Role, RoleRef},
    trust::Trust,
};
use chrono::{DateTime, Utc};

/// A domain as tokens name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainRef {
    pub id: DomainId,
    pub name: String,
}

/// A user as tokens name them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRef {
    pub id: UserId,
    pub name: String,
    pub domain: DomainRef,
    pub password_expires_at: Option<DateTime<Utc>>,
    /// Whether a directory or an identity provider may change what the user is without a write here.
    pub(crate) changes_elsewhere: bool,
}

/// A project as tokens name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectRef {
    pub id: ProjectId,
    pub name: String,
    pub domain: DomainRef,
    pub is_domain: bool,
}

/// What a valid token is good for.
#[derive(Debug, Clone, PartialEq)]
pub enum TokenScope {
    Unscoped,
    Project(ProjectRef),
    Domain(DomainRef),
    System,
}

/// How authority came to the bearer other than by being the user. It bounds what the token may do
/// whatever its scope and roles say.
#[derive(Debug, Clone, PartialEq)]
pub enum Delegation {
    /// The user themselves logged in.
    None,
    ApplicationCredential(Box<ApplicationCredential>),
    Trust(Box<TrustDelegation>),
    OAuth1(OAuth1Delegation),
}

/// What a user granted to an OAuth 1.0 consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth1Delegation {
    pub access_token_id: AccessTokenId,
    pub consumer_id: ConsumerId,
}

/// A trust and the people in it.
#[derive(Debug, Clone, PartialEq)]
pub struct TrustDelegation {
    pub trust: Trust,
    pub trustor: UserRef,
    pub trustee: UserRef,
    /// What the trust gives, implied roles included.
    pub roles: Vec<Role>,
}

/// The external identity provider that vouched for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FederatedOrigin {
    pub identity_provider: IdentityProviderId,
    pub protocol: ProtocolId,
    pub groups: Vec<GroupId>,
}

/// Methods that prove possession of something which a user handed out, not the user.
const DELEGATED_METHODS: [&str; 4] = [
    "application_credential",
    "oauth1",
    "ec2credential",
    "oauth2_credential",
];

/// A valid token.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidToken {
    pub user: UserRef,
    pub methods: Vec<String>,
    /// The token's own audit id, then that of the login it descends from.
    pub audit_ids: Vec<String>,
    pub issued_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub scope: TokenScope,
    pub roles: Vec<RoleRef>,
    pub delegation: Delegation,
    pub federation: Option<FederatedOrigin>,
    /// `x5t#S256` of the certificate an OAuth 2.0 mTLS token is bound to.
    pub thumbprint: Option<String>,
}

impl ValidToken {
    pub fn project(&self) -> Option<&ProjectRef> {
        match &self.scope {
            TokenScope::Project(project) => Some(project),
            _ => None,
        }
    }

    /// The domain of a domain-scoped token.
    pub fn scope_domain(&self) -> Option<&DomainRef> {
        match &self.scope {
            TokenScope::Domain(domain) => Some(domain),
            _ => None,
        }
    }

    /// Whether somebody other than the user themselves may hold this token: it came through a
    /// credential or a person that they delegated to.
    pub fn is_delegated(&self) -> bool {
        self.delegation != Delegation::None || self.was_handed_out()
    }

    /// Whether a credential that the user handed out proved this login. A token that names no
    /// method is one whose method is not configured here, and none of those proves a user.
    pub(crate) fn was_handed_out(&self) -> bool {
        let handed_out = |method: &String| DELEGATED_METHODS.contains(&method.as_str());
        self.methods.is_empty() || self.methods.iter().any(handed_out)
    }

    pub fn is_system_scoped(&self) -> bool {
        self.scope == TokenScope::System
    }

    pub fn application_credential(&self) -> Option<&ApplicationCredential> {
        match &self.delegation {
            Delegation::ApplicationCredential(credential) => Some(credential),
            _ => None,
        }
    }

    pub fn trust(&self) -> Option<&TrustDelegation> {
        match &self.delegation {
            Delegation::Trust(delegation) => Some(delegation),
            _ => None,
        }
    }

    /// The user that the bearer acts as: the trustor, where a trust impersonates.
    pub fn acting_user(&self) -> &UserRef {
        match self.trust() {
            Some(delegation) if delegation.trust.impersonation => &delegation.trustor,
            _ => &self.user,
        }
    }

    pub fn oauth1(&self) -> Option<&OAuth1Delegation> {
        match &self.delegation {
            Delegation::OAuth1(delegation) => Some(delegation),
            _ => None,
        }
    }

    /// The token's own audit id.
    pub fn audit_id(&self) -> &str {
        self.audit_ids.first().map_or("", String::as_str)
    }

    /// The audit id of the login that this token descends from.
    pub fn audit_chain_id(&self) -> &str {
        self.audit_ids.last().map_or("", String::as_str)
    }

    /// What revocation events look at.
    pub(crate) fn revocation_subject<'a>(
        &'a self,
        role_ids: &'a [RoleId],
    ) -> RevocationSubject<'a> {
        let trust = self.trust();
        let oauth1 = self.oauth1();
        RevocationSubject {
            user_id: &self.user.id,
            user_domain_id: &self.user.domain.id,
            trustor_id: trust.map(|delegation| &delegation.trustor.id),
            trustee_id: trust.map(|delegation| &delegation.trustee.id),
            project_id: self.project().map(|project| &project.id),
            scope_domain_id: self.scope_domain().map(|domain| &domain.id),
            role_ids,
            trust_id: trust.map(|delegation| &delegation.trust.id),
            consumer_id: oauth1.map(|delegation| delegation.consumer_id.as_str()),
            access_token_id: oauth1.map(|delegation| delegation.access_token_id.as_str()),
            audit_id: self.audit_id(),
            audit_chain_id: self.audit_chain_id(),
            issued_at: self.issued_at,
            expires_at: self.expires_at,
        }
    }
}
