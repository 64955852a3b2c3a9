//! The kinds of thing the API names in its errors, audit events and links.

use std::fmt;

/// An entity kind, printed in the words that Keystone's error messages use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entity {
    User,
    Group,
    Project,
    Domain,
    DomainConfig,
    Role,
    ImpliedRole,
    RoleAssignment,
    Service,
    Endpoint,
    Region,
    Credential,
    Enrollment,
    ApplicationCredential,
    AccessRule,
    Trust,
    ProjectTag,
    IdentityProvider,
    Protocol,
    Mapping,
    ServiceProvider,
    FederatedUser,
    Token,
    RegisteredLimit,
    Limit,
    Policy,
    PolicyAssociation,
    EndpointGroup,
    ProjectEndpoint,
    ProjectEndpointGroup,
    Consumer,
    RequestToken,
    AccessToken,
    Connector,
    Plugin,
}

impl Entity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
            Self::Project => "project",
            Self::Domain => "domain",
            Self::DomainConfig => "domain configuration",
            Self::Role => "role",
            Self::ImpliedRole => "implied role",
            Self::RoleAssignment => "role assignment",
            Self::Service => "service",
            Self::Endpoint => "endpoint",
            Self::Region => "region",
            Self::Credential => "credential",
            Self::Enrollment => "enrollment",
            Self::ApplicationCredential => "application credential",
            Self::AccessRule => "access rule",
            Self::Trust => "trust",
            Self::ProjectTag => "project tag",
            Self::IdentityProvider => "Identity Provider",
            Self::Protocol => "federated protocol",
            Self::Mapping => "mapping",
            Self::ServiceProvider => "Service Provider",
            Self::FederatedUser => "federated_user",
            Self::Token => "token",
            Self::RegisteredLimit => "registered_limit",
            Self::Limit => "limit",
            Self::Policy => "policy",
            Self::PolicyAssociation => "policy association",
            Self::EndpointGroup => "Endpoint Group",
            Self::ProjectEndpoint => "project_endpoint",
            Self::ProjectEndpointGroup => "project_endpoint_group",
            Self::Consumer => "consumer",
            Self::RequestToken => "request token",
            Self::AccessToken => "access token",
            Self::Connector => "connector",
            Self::Plugin => "plugin",
        }
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
