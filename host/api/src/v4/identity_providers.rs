//! `/v4/federation/identity_providers`: connectors, as the Rust client (`osc`) knows identity
//! providers.

use archstone_identity::ConnectorDetails;
use archstone_model::{
    connector::ConnectorFilter,
    dialect::Fields,
    id::{ConnectorId, DomainId},
};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    body::Body,
    caller::Authenticated,
    error::Result,
    links::BaseUrl,
    query::{Filters, ListQuery, Paging},
    resource::{Envelope, List, Resource},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, update, delete))
}

/// Lists identity providers: all for an administrator, those of their domain for a domain's manager.
#[utoipa::path(get, path = "/federation/identity_providers", tag = "federation",
    params(Filters<ProviderQuery>, Paging),
    responses((status = 200, body = List<ProviderView>)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<List<ProviderView>> {
    let filter = ConnectorFilter {
        domain_id: query.get("domain_id").map(DomainId::from),
        names: query.names(),
        page: query.page()?,
        ..ConnectorFilter::default()
    };
    let found = app.identity.connectors(&caller, filter).await?;
    let root = base_url.v4("federation/identity_providers");
    let view = |details, _: &BaseUrl| ProviderView::new(details);
    Ok(List::below(root, found, view, &base_url, &query))
}

/// Makes an identity provider: a connector of `oidc` where there is an `oidc_client_id`, of `jwt`
/// where there is none. Nobody comes by it before it has a mapping.
#[utoipa::path(post, path = "/federation/identity_providers", tag = "federation",
    request_body = ProviderRequest,
    responses((status = 201, body = Envelope<ProviderView>), (status = 409)))]
async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Body(request): Body<ProviderRequest>,
) -> Result<(StatusCode, Envelope<ProviderView>)> {
    let fields = request.identity_provider;
    let created = app.identity.create_provider(&caller, &fields).await?;
    Ok((StatusCode::CREATED, Envelope(ProviderView::new(created))))
}

/// Shows an identity provider. Its secret is shown to nobody.
#[utoipa::path(get, path = "/federation/identity_providers/{idp_id}", tag = "federation",
    params(("idp_id" = String, Path)), responses((status = 200, body = Envelope<ProviderView>)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(id): Path<ConnectorId>,
) -> Result<Envelope<ProviderView>> {
    let found = app.identity.connector(&caller, &id).await?;
    Ok(Envelope(ProviderView::new(found)))
}

/// Changes what is given of an identity provider; what is null is emptied.
#[utoipa::path(put, path = "/federation/identity_providers/{idp_id}", tag = "federation",
    params(("idp_id" = String, Path)), request_body = ProviderRequest,
    responses((status = 200, body = Envelope<ProviderView>), (status = 409)))]
async fn update(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(id): Path<ConnectorId>,
    Body(request): Body<ProviderRequest>,
) -> Result<Envelope<ProviderView>> {
    let fields = request.identity_provider;
    let updated = app.identity.update_provider(&caller, &id, &fields).await?;
    Ok(Envelope(ProviderView::new(updated)))
}

/// Deletes an identity provider with its mapping, and the users whom it alone knows.
#[utoipa::path(delete, path = "/federation/identity_providers/{idp_id}", tag = "federation",
    params(("idp_id" = String, Path)), responses((status = 204)))]
async fn delete(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(id): Path<ConnectorId>,
) -> Result<StatusCode> {
    app.identity.delete_connector(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct ProviderQuery {
    domain_id: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize, ToSchema)]
struct ProviderRequest {
    #[schema(value_type = ProviderFields)]
    identity_provider: Fields,
}

/// What may be given of an identity provider. To make one, `name` is needed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FederationIdentityProviderFields)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct ProviderFields {
    #[schema(min_length = 1, max_length = 255, nullable = false)]
    name: Option<String>,
    /// The caller's domain where it is left out. It does not change.
    #[schema(min_length = 1, max_length = 64, nullable = false)]
    domain_id: Option<String>,
    #[schema(nullable = false)]
    enabled: Option<bool>,
    /// Who has one logs people in by OpenID Connect; who has none takes the JWTs of workloads.
    #[schema(min_length = 1, max_length = 255)]
    oidc_client_id: Option<String>,
    #[schema(min_length = 1, max_length = 255)]
    oidc_client_secret: Option<String>,
    /// The issuer, with or without `/.well-known/openid-configuration`.
    #[schema(min_length = 1, max_length = 255)]
    oidc_discovery_url: Option<String>,
    /// `query` alone.
    oidc_response_mode: Option<String>,
    /// `code` alone.
    #[schema(max_items = 8)]
    oidc_response_types: Option<Vec<String>>,
    #[schema(max_items = 64)]
    oidc_scopes: Option<Vec<String>>,
    /// Where the keys are, where metadata do not tell.
    #[schema(min_length = 1, max_length = 2048)]
    jwks_url: Option<String>,
    /// Public keys in PEM, or JWKs as text, of workloads' tokens.
    #[schema(max_items = 32)]
    jwt_validation_pubkeys: Option<Vec<String>>,
    /// The issuer, spelt as tokens and metadata spell it.
    #[schema(min_length = 1, max_length = 255)]
    bound_issuer: Option<String>,
    /// What the mapping is called, or is to be called.
    #[schema(min_length = 1, max_length = 255)]
    default_mapping_name: Option<String>,
    /// Where a client may have browsers sent back to, in full.
    #[schema(max_items = 32)]
    allowed_redirect_uris: Option<Vec<String>>,
    /// More properties of the connector's configuration. In a change, those that are not named stay.
    #[schema(value_type = Option<Object>)]
    provider_config: Option<Fields>,
}

/// An identity provider as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FederationIdentityProvider)]
struct ProviderView {
    id: String,
    name: String,
    domain_id: String,
    enabled: bool,
    /// What may be given of it, without `oidc_client_secret`.
    #[serde(flatten)]
    #[schema(ignore)]
    settings: Fields,
}

impl Resource for ProviderView {
    const ONE: &'static str = "identity_provider";
    const MANY: &'static str = "identity_providers";
}

impl ProviderView {
    fn new(details: ConnectorDetails) -> Self {
        let settings = details.settings();
        let connector = details.connector;
        Self {
            id: connector.idp_id.into_string(),
            name: connector.name,
            domain_id: connector.domain_id.into_string(),
            enabled: connector.enabled,
            settings,
        }
    }
}
