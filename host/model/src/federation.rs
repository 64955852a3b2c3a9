//! Federation: identity providers that this cloud believes, the protocols they are reached by, and
//! clouds that believe this one.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    Extra,
    id::{DomainId, GroupId, IdentityProviderId, MappingId, ProtocolId, ServiceProviderId, UserId},
    listing::{Change, NameFilter, Page},
    user::{FederatedAccount, Group},
};

/// An identity provider whose word counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityProvider {
    pub id: IdentityProviderId,
    /// Where its users live.
    pub domain_id: DomainId,
    pub enabled: bool,
    pub description: Option<String>,
    /// How it names itself in assertions, in alphabetical order.
    pub remote_ids: Vec<String>,
    /// For how many minutes a group membership lasts that it gave; `None` for the operator's
    /// default.
    pub authorization_ttl: Option<i64>,
}

impl IdentityProvider {
    /// How long a group membership from this provider outlasts the login that gave it.
    pub fn membership_lifetime(&self, default: TimeDelta) -> TimeDelta {
        membership_lifetime(self.authorization_ttl, default)
    }
}

/// A lifetime in minutes, where nothing and zero stand for the operator's default.
pub fn membership_lifetime(minutes: Option<i64>, default: TimeDelta) -> TimeDelta {
    minutes
        .filter(|minutes| *minutes != 0)
        .and_then(TimeDelta::try_minutes)
        .unwrap_or(default)
}

/// An update of an identity provider.
#[derive(Debug, Clone, Default)]
pub struct IdentityProviderPatch {
    pub enabled: Change<bool>,
    pub description: Change<Option<String>>,
    pub remote_ids: Change<Vec<String>>,
    pub authorization_ttl: Change<Option<i64>>,
}

/// Which identity providers, or service providers, to list.
#[derive(Debug, Clone, Default)]
pub struct ProviderFilter {
    pub ids: Vec<NameFilter>,
    pub enabled: Option<bool>,
    pub page: Page,
}

/// A way to be told by an identity provider who somebody is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protocol {
    pub id: ProtocolId,
    pub idp_id: IdentityProviderId,
    pub mapping_id: MappingId,
    /// The attribute that holds the provider's remote id.
    pub remote_id_attribute: Option<String>,
}

/// An update of a protocol.
#[derive(Debug, Clone, Default)]
pub struct ProtocolPatch {
    pub mapping_id: Change<MappingId>,
    pub remote_id_attribute: Change<Option<String>>,
}

/// Another cloud, for which this one is the identity provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceProvider {
    pub id: ServiceProviderId,
    pub auth_url: String,
    pub sp_url: String,
    pub description: Option<String>,
    pub enabled: bool,
    pub relay_state_prefix: String,
}

/// An update of a service provider.
#[derive(Debug, Clone, Default)]
pub struct ServiceProviderPatch {
    pub auth_url: Change<String>,
    pub sp_url: Change<String>,
    pub description: Change<Option<String>>,
    pub enabled: Change<bool>,
    pub relay_state_prefix: Change<String>,
}

/// What a federated login writes down about its user.
#[derive(Debug, Clone)]
pub struct FederatedLogin {
    /// The id that the user gets where the provider's account is not known yet.
    pub new_id: UserId,
    pub domain_id: DomainId,
    pub account: FederatedAccount,
    pub email: Option<String>,
    pub groups: Vec<GroupId>,
    pub now: DateTime<Utc>,
}

/// The user of a federated login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shadowed {
    pub user_id: UserId,
    /// The user was known before, and was in other groups.
    pub lost_or_gained_groups: bool,
}

/// A group that a user is in, for good or until a federated login is too long ago.
#[derive(Debug, Clone, PartialEq)]
pub struct Membership {
    pub group: Group,
    pub expires_at: Option<DateTime<Utc>>,
}

/// The attributes of a user whom a federated login makes.
pub fn attributes(email: Option<&str>) -> Extra {
    email
        .map(|email| ("email".to_owned(), email.into()))
        .into_iter()
        .collect()
}
