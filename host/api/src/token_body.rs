//! The body of a token, in Keystone's shape.

use archstone_identity::{
    CatalogService, Delegation, TokenScope, TrustDelegation, UserRef, ValidToken,
};
use archstone_model::{
    Extra, credential::ApplicationCredential, federation::ServiceProvider, role::RoleRef,
};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{
    App,
    application_credentials::AccessRuleMembers,
    domains::DomainReference,
    error::Result,
    roles::RoleMembers,
    time::{iso, iso_without_zone},
};

#[derive(Serialize, ToSchema)]
pub(crate) struct TokenEnvelope {
    token: Token,
}

/// What a token is good for.
#[derive(Serialize, ToSchema)]
struct Token {
    methods: Vec<String>,
    user: TokenUser,
    audit_ids: Vec<String>,
    expires_at: String,
    issued_at: String,
    #[serde(rename = "OS-TRUST:trust", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    trust: Option<TokenTrust>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    project: Option<TokenProject>,
    /// Whether the project is a domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    is_domain: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    domain: Option<DomainReference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    system: Option<WholeSystem>,
    /// Those of a trust are told whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<TokenRole>, required = false)]
    roles: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    catalog: Option<Vec<CatalogEntry>>,
    #[serde(rename = "OS-OAUTH1", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    oauth1: Option<TokenConsumer>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    service_providers: Vec<TokenServiceProvider>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    application_credential: Option<TokenCredential>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    oauth2_credential: Option<Thumbprint>,
}

#[derive(Serialize, ToSchema)]
struct TokenUser {
    domain: DomainReference,
    id: String,
    name: String,
    #[serde(rename = "OS-FEDERATION", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    federation: Option<TokenFederation>,
    /// Not told of federated users.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    password_expires_at: Option<Option<String>>,
}

#[derive(Serialize, ToSchema)]
struct TokenFederation {
    groups: Vec<IdOnly>,
    identity_provider: IdOnly,
    protocol: IdOnly,
}

#[derive(Serialize, ToSchema)]
struct IdOnly {
    id: String,
}

#[derive(Serialize, ToSchema)]
struct TokenTrust {
    id: String,
    trustor_user: IdOnly,
    trustee_user: IdOnly,
    impersonation: bool,
}

#[derive(Serialize, ToSchema)]
struct TokenProject {
    domain: DomainReference,
    id: String,
    name: String,
}

/// The scope that is the whole system.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WholeSystem {
    pub(crate) all: bool,
}

#[derive(Serialize, ToSchema)]
struct TokenRole {
    id: String,
    name: String,
}

/// A service with its endpoints.
#[derive(Serialize, ToSchema)]
pub(crate) struct CatalogEntry {
    endpoints: Vec<CatalogEndpoint>,
    id: String,
    #[serde(rename = "type")]
    service_type: String,
    name: String,
}

#[derive(Serialize, ToSchema)]
struct CatalogEndpoint {
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
    id: String,
    interface: &'static str,
    region_id: Option<String>,
    url: String,
    region: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct TokenConsumer {
    access_token_id: String,
    consumer_id: String,
}

#[derive(Serialize, ToSchema)]
struct TokenServiceProvider {
    auth_url: String,
    id: String,
    sp_url: String,
}

#[derive(Serialize, ToSchema)]
struct TokenCredential {
    id: String,
    name: String,
    restricted: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    access_rules: Vec<AccessRuleMembers>,
}

#[derive(Serialize, ToSchema)]
struct Thumbprint {
    #[serde(rename = "x5t#S256")]
    thumbprint: String,
}

impl TokenEnvelope {
    pub(crate) async fn of(app: &App, token: &ValidToken, include_catalog: bool) -> Result<Self> {
        let is_scoped = token.scope != TokenScope::Unscoped;
        let catalog = if is_scoped && include_catalog {
            let project_id = token.project().map(|project| &project.id);
            let user = token.trust().map_or(&token.user, |trust| &trust.trustor);
            let catalog = app.identity.catalog_for(&user.id, project_id).await?;
            Some(catalog.into_iter().map(CatalogEntry::from).collect())
        } else {
            None
        };
        let providers = app.identity.enabled_service_providers().await?;
        let project = token.project();
        Ok(Self {
            token: Token {
                methods: token.methods.clone(),
                user: TokenUser::new(token.acting_user(), token),
                audit_ids: token.audit_ids.clone(),
                expires_at: iso(token.expires_at),
                issued_at: iso(token.issued_at),
                trust: token.trust().map(TokenTrust::from),
                project: project.map(|project| TokenProject {
                    domain: (&project.domain).into(),
                    id: project.id.to_string(),
                    name: project.name.clone(),
                }),
                is_domain: project
                    .filter(|_| token.trust().is_none())
                    .map(|project| project.is_domain),
                domain: token.scope_domain().map(DomainReference::from),
                system: token
                    .is_system_scoped()
                    .then_some(WholeSystem { all: true }),
                roles: is_scoped.then(|| roles(token)),
                catalog,
                oauth1: token.oauth1().map(|delegation| TokenConsumer {
                    access_token_id: delegation.access_token_id.to_string(),
                    consumer_id: delegation.consumer_id.to_string(),
                }),
                service_providers: providers.iter().map(TokenServiceProvider::from).collect(),
                application_credential: match &token.delegation {
                    Delegation::ApplicationCredential(credential) => {
                        Some(TokenCredential::from(credential.as_ref()))
                    }
                    _ => None,
                },
                oauth2_credential: token
                    .thumbprint
                    .clone()
                    .map(|thumbprint| Thumbprint { thumbprint }),
            },
        })
    }
}

impl TokenUser {
    fn new(user: &UserRef, token: &ValidToken) -> Self {
        let federation = token.federation.as_ref().map(|origin| TokenFederation {
            groups: origin.groups.iter().map(IdOnly::new).collect(),
            identity_provider: IdOnly::new(&origin.identity_provider),
            protocol: IdOnly::new(&origin.protocol),
        });
        let password_expires_at = match federation {
            Some(_) => None,
            None => Some(user.password_expires_at.map(iso_without_zone)),
        };
        Self {
            domain: (&user.domain).into(),
            id: user.id.to_string(),
            name: user.name.clone(),
            federation,
            password_expires_at,
        }
    }
}

impl IdOnly {
    fn new(id: impl ToString) -> Self {
        Self { id: id.to_string() }
    }
}

impl From<&TrustDelegation> for TokenTrust {
    fn from(delegation: &TrustDelegation) -> Self {
        Self {
            id: delegation.trust.id.to_string(),
            trustor_user: IdOnly::new(&delegation.trustor.id),
            trustee_user: IdOnly::new(&delegation.trustee.id),
            impersonation: delegation.trust.impersonation,
        }
    }
}

fn roles(token: &ValidToken) -> Value {
    match token.trust() {
        Some(delegation) => delegation
            .roles
            .iter()
            .map(|role| json!(RoleMembers::from(role.clone())))
            .collect(),
        None => token
            .roles
            .iter()
            .map(|role| json!(TokenRole::from(role)))
            .collect(),
    }
}

impl From<&RoleRef> for TokenRole {
    fn from(role: &RoleRef) -> Self {
        Self {
            id: role.id.to_string(),
            name: role.name.clone(),
        }
    }
}

impl From<CatalogService> for CatalogEntry {
    fn from(service: CatalogService) -> Self {
        let endpoints = service.endpoints.into_iter().map(|endpoint| {
            let region_id: Option<String> = endpoint.region_id.map(Into::into);
            CatalogEndpoint {
                extra: endpoint.extra,
                id: endpoint.id.into(),
                interface: endpoint.interface.as_str(),
                region_id: region_id.clone(),
                url: endpoint.url,
                region: region_id,
            }
        });
        Self {
            endpoints: endpoints.collect(),
            id: service.id.into(),
            service_type: service.service_type,
            name: service.name,
        }
    }
}

impl From<&ServiceProvider> for TokenServiceProvider {
    fn from(provider: &ServiceProvider) -> Self {
        Self {
            auth_url: provider.auth_url.clone(),
            id: provider.id.to_string(),
            sp_url: provider.sp_url.clone(),
        }
    }
}

impl From<&ApplicationCredential> for TokenCredential {
    fn from(credential: &ApplicationCredential) -> Self {
        Self {
            id: credential.id.to_string(),
            name: credential.name.clone(),
            restricted: !credential.is_unrestricted(),
            access_rules: credential
                .access_rules
                .iter()
                .map(AccessRuleMembers::from)
                .collect(),
        }
    }
}
