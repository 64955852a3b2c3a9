//! `/v4/federation/mappings`: connectors' mappings, as the Rust client (`osc`) knows mappings, by the
//! names of claims.

use archstone_identity::{ClaimMappingFilter, ConnectorDetails};
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

/// Lists the mappings that are nothing but names of claims: all for an administrator, those of their
/// domain for a domain's manager. Others show under `/v4/connectors`.
#[utoipa::path(get, path = "/federation/mappings", tag = "federation",
    params(Filters<MappingQuery>, Paging),
    responses((status = 200, body = List<MappingView>)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<List<MappingView>> {
    let filter = ConnectorFilter {
        domain_id: query.get("domain_id").map(DomainId::from),
        // A type is called as its plugin is.
        plugin: query.get("type").map(str::to_owned),
        page: query.page()?,
        ..ConnectorFilter::default()
    };
    let wanted = ClaimMappingFilter {
        name: query.get("name").map(str::to_owned),
        connector_id: query.get("idp_id").map(ConnectorId::from),
    };
    let found = app.identity.connectors_of_claims(&caller, filter, wanted);
    let root = base_url.v4("federation/mappings");
    let view = |details, _: &BaseUrl| MappingView::new(details);
    Ok(List::below(root, found.await?, view, &base_url, &query))
}

/// Gives an identity provider the mapping that lets people in by it.
#[utoipa::path(post, path = "/federation/mappings", tag = "federation",
    request_body = MappingRequest,
    responses((status = 201, body = Envelope<MappingView>), (status = 409)))]
async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Body(request): Body<MappingRequest>,
) -> Result<(StatusCode, Envelope<MappingView>)> {
    let created = app
        .identity
        .create_claim_mapping(&caller, &request.mapping)
        .await?;
    Ok((StatusCode::CREATED, Envelope(MappingView::new(created))))
}

/// Shows a mapping.
#[utoipa::path(get, path = "/federation/mappings/{mapping_id}", tag = "federation",
    params(("mapping_id" = String, Path)), responses((status = 200, body = Envelope<MappingView>)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(id): Path<ConnectorId>,
) -> Result<Envelope<MappingView>> {
    let found = app.identity.connector_of_claims(&caller, &id).await?;
    Ok(Envelope(MappingView::new(found)))
}

/// Changes what is given of a mapping; what is null is emptied.
#[utoipa::path(put, path = "/federation/mappings/{mapping_id}", tag = "federation",
    params(("mapping_id" = String, Path)), request_body = MappingRequest,
    responses((status = 200, body = Envelope<MappingView>)))]
async fn update(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(id): Path<ConnectorId>,
    Body(request): Body<MappingRequest>,
) -> Result<Envelope<MappingView>> {
    let updated = app
        .identity
        .update_claim_mapping(&caller, &id, &request.mapping)
        .await?;
    Ok(Envelope(MappingView::new(updated)))
}

/// Takes a mapping away. Nobody comes by its identity provider any more, and the tokens of those who
/// did end.
#[utoipa::path(delete, path = "/federation/mappings/{mapping_id}", tag = "federation",
    params(("mapping_id" = String, Path)), responses((status = 204)))]
async fn delete(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(id): Path<ConnectorId>,
) -> Result<StatusCode> {
    app.identity.delete_claim_mapping(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct MappingQuery {
    domain_id: Option<String>,
    idp_id: Option<String>,
    name: Option<String>,
    r#type: Option<MappingType>,
}

#[derive(ToSchema)]
#[schema(as = FederationMappingType, rename_all = "lowercase")]
#[expect(dead_code, reason = "its schema is all that is used")]
enum MappingType {
    Oidc,
    Jwt,
}

#[derive(Deserialize, ToSchema)]
struct MappingRequest {
    #[schema(value_type = MappingFields)]
    mapping: Fields,
}

/// What may be given of a mapping. To make one, `name`, `idp_id`, `user_id_claim` and
/// `user_name_claim` are needed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FederationMappingFields)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct MappingFields {
    /// The identity provider's, which is the only one that there is.
    #[schema(max_length = 64)]
    id: Option<String>,
    #[schema(min_length = 1, max_length = 255, nullable = false)]
    name: Option<String>,
    #[schema(min_length = 1, max_length = 64, nullable = false)]
    idp_id: Option<String>,
    /// The identity provider's.
    #[schema(min_length = 1, max_length = 64, nullable = false)]
    domain_id: Option<String>,
    /// As the identity provider is.
    #[schema(value_type = Option<MappingType>, nullable = false)]
    r#type: Option<String>,
    /// The identity provider's too.
    #[schema(nullable = false)]
    enabled: Option<bool>,
    /// `sub` for people.
    #[schema(min_length = 1, max_length = 255)]
    user_id_claim: Option<String>,
    #[schema(min_length = 1, max_length = 255)]
    user_name_claim: Option<String>,
    /// Null alone: everybody lives in the identity provider's domain.
    domain_id_claim: Option<String>,
    /// The claim with the names of groups, which have to exist.
    #[schema(min_length = 1, max_length = 255)]
    groups_claim: Option<String>,
    /// `aud` has to have one of these.
    #[schema(max_items = 32)]
    bound_audiences: Option<Vec<String>>,
    /// What `sub` has to be, as in `bound_claims`.
    #[schema(min_length = 1, max_length = 255)]
    bound_subject: Option<String>,
    /// What claims have to say, as in a connector's configuration.
    #[schema(value_type = Option<Object>)]
    bound_claims: Option<Fields>,
    /// The identity provider's too.
    #[schema(max_items = 64)]
    oidc_scopes: Option<Vec<String>>,
    /// The identity provider's too.
    #[schema(max_items = 32)]
    allowed_redirect_uris: Option<Vec<String>>,
    /// A project of the domain: tokens are for that one alone.
    #[schema(min_length = 1, max_length = 64)]
    token_project_id: Option<String>,
    /// Null alone.
    token_restriction_id: Option<String>,
}

/// A mapping as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FederationMapping)]
struct MappingView {
    id: String,
    /// What may be given of it.
    #[serde(flatten)]
    #[schema(ignore)]
    fields: Fields,
}

impl Resource for MappingView {
    const ONE: &'static str = "mapping";
    const MANY: &'static str = "mappings";
}

impl MappingView {
    fn new(details: ConnectorDetails) -> Self {
        Self {
            fields: details.claim_mapping().unwrap_or_default(),
            id: details.connector.mapping_id.into_string(),
        }
    }
}
