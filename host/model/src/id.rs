//! Identifiers. Each entity has its own newtype so that a role id can never be passed where a user id is meant.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps an identifier as it was read from a request, a token or the database.
            pub fn new(id: impl Into<String>) -> Self {
                Self(id.into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }

            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl From<String> for $name {
            fn from(id: String) -> Self {
                Self(id)
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self(id.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    )*};
}

ids! {
    UserId,
    GroupId,
    ProjectId,
    /// A domain is a project that acts as one; its id lives in the same table.
    DomainId,
    RoleId,
    ServiceId,
    EndpointId,
    RegionId,
    CredentialId,
    ApplicationCredentialId,
    /// The `external_id` of an access rule, the one the API shows.
    AccessRuleId,
    TrustId,
    IdentityProviderId,
    ProtocolId,
    MappingId,
    RegisteredLimitId,
    LimitId,
    PolicyId,
    EndpointGroupId,
    ServiceProviderId,
    ConsumerId,
    RequestTokenId,
    AccessTokenId,
    ConnectorId,
}

impl DomainId {
    /// The same id, as the row of the `project` table that backs this domain.
    pub fn as_project(&self) -> ProjectId {
        ProjectId(self.0.clone())
    }
}

impl ProjectId {
    /// The same id, where the project acts as a domain.
    pub fn as_domain(&self) -> DomainId {
        DomainId(self.0.clone())
    }
}
