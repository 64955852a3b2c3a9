//! `/v3/OS-FEDERATION/identity_providers` and the protocols under one.

use std::collections::HashSet;

use archstone_identity::IdentityProviderCreation;
use archstone_model::{
    federation::{
        IdentityProvider, IdentityProviderPatch, Protocol, ProtocolPatch, ProviderFilter,
    },
    id::{DomainId, IdentityProviderId, MappingId, ProtocolId},
    listing::Change,
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
    body::{Body, LenientBool, non_empty, nullable},
    caller::Authenticated,
    error::{ApiError, Result},
    links::BaseUrl,
    query::{Comparisons, Filters, ListQuery, Paging},
    resource::{Envelope, List, Resource},
};

const ROOT: &str = "OS-FEDERATION/identity_providers";

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(create, show, update, delete))
        .routes(routes!(list_protocols))
        .routes(routes!(
            create_protocol,
            show_protocol,
            update_protocol,
            delete_protocol
        ))
}

/// Lists identity providers.
#[utoipa::path(get, path = "/OS-FEDERATION/identity_providers", tag = "federation",
    params(Filters<ProviderQuery>, Comparisons<ProviderId>, Paging),
    responses((status = 200, body = List<IdentityProviderView>)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<List<IdentityProviderView>> {
    let filter = filter(&query)?;
    let providers = app.identity.identity_providers(&caller, filter).await?;
    let view = IdentityProviderView::listed;
    Ok(List::new(providers, view, ROOT, &base_url, &query))
}

/// Creates an identity provider, and a domain for its users where none is named.
#[utoipa::path(put, path = "/OS-FEDERATION/identity_providers/{idp_id}", tag = "federation",
    params(("idp_id" = String, Path)), request_body = IdentityProviderCreateRequest,
    responses((status = 201, body = Envelope<IdentityProviderView>)))]
async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(id): Path<IdentityProviderId>,
    Body(request): Body<IdentityProviderCreateRequest>,
) -> Result<(StatusCode, Envelope<IdentityProviderView>)> {
    let given = request.identity_provider;
    let creation = IdentityProviderCreation {
        id,
        domain_id: given.domain_id.map(DomainId::from),
        enabled: given.enabled.is_some_and(bool::from),
        description: given.description,
        remote_ids: given.remote_ids.unwrap_or_default(),
        authorization_ttl: given.authorization_ttl,
    };
    let created = app
        .identity
        .create_identity_provider(&caller, creation)
        .await?;
    let view = IdentityProviderView::new(created, &base_url);
    Ok((StatusCode::CREATED, Envelope(view)))
}

/// Shows an identity provider.
#[utoipa::path(get, path = "/OS-FEDERATION/identity_providers/{idp_id}", tag = "federation",
    params(("idp_id" = String, Path)), responses((status = 200, body = Envelope<IdentityProviderView>)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(id): Path<IdentityProviderId>,
) -> Result<Envelope<IdentityProviderView>> {
    let provider = app.identity.identity_provider(&caller, &id).await?;
    Ok(Envelope(IdentityProviderView::new(provider, &base_url)))
}

/// Changes an identity provider. Its domain stays.
#[utoipa::path(patch, path = "/OS-FEDERATION/identity_providers/{idp_id}", tag = "federation",
    params(("idp_id" = String, Path)), request_body = IdentityProviderUpdateRequest,
    responses((status = 200, body = Envelope<IdentityProviderView>)))]
async fn update(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(id): Path<IdentityProviderId>,
    Body(request): Body<IdentityProviderUpdateRequest>,
) -> Result<Envelope<IdentityProviderView>> {
    let given = request.identity_provider;
    let patch = IdentityProviderPatch {
        enabled: given.enabled.map(bool::from).into(),
        description: given.description,
        remote_ids: given.remote_ids.map(Option::unwrap_or_default),
        authorization_ttl: given.authorization_ttl,
    };
    let updated = app
        .identity
        .update_identity_provider(&caller, &id, patch)
        .await?;
    Ok(Envelope(IdentityProviderView::new(updated, &base_url)))
}

/// Deletes an identity provider, with its protocols and the users whom it alone knows.
#[utoipa::path(delete, path = "/OS-FEDERATION/identity_providers/{idp_id}", tag = "federation",
    params(("idp_id" = String, Path)), responses((status = 204)))]
async fn delete(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(id): Path<IdentityProviderId>,
) -> Result<StatusCode> {
    app.identity.delete_identity_provider(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the protocols of an identity provider.
#[utoipa::path(get, path = "/OS-FEDERATION/identity_providers/{idp_id}/protocols",
    tag = "federation", params(("idp_id" = String, Path)), responses((status = 200, body = List<ProtocolView>)))]
async fn list_protocols(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(idp_id): Path<IdentityProviderId>,
    query: ListQuery,
) -> Result<List<ProtocolView>> {
    let protocols = app.identity.protocols(&caller, &idp_id).await?;
    let path = format!("{ROOT}/{idp_id}/protocols");
    let view = ProtocolView::listed;
    Ok(List::new(protocols, view, &path, &base_url, &query))
}

/// Creates a protocol.
#[utoipa::path(put, path = "/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}",
    tag = "federation", params(("idp_id" = String, Path), ("protocol_id" = String, Path)),
    request_body = ProtocolCreateRequest, responses((status = 201, body = Envelope<ProtocolView>)))]
async fn create_protocol(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path((idp_id, id)): Path<(IdentityProviderId, ProtocolId)>,
    Body(request): Body<ProtocolCreateRequest>,
) -> Result<(StatusCode, Envelope<ProtocolView>)> {
    let protocol = Protocol {
        id,
        idp_id,
        mapping_id: request.protocol.mapping_id.into(),
        remote_id_attribute: request.protocol.remote_id_attribute,
    };
    let created = app.identity.create_protocol(&caller, protocol).await?;
    let view = ProtocolView::new(created, &base_url);
    Ok((StatusCode::CREATED, Envelope(view)))
}

/// Shows a protocol.
#[utoipa::path(get, path = "/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}",
    tag = "federation", params(("idp_id" = String, Path), ("protocol_id" = String, Path)),
    responses((status = 200, body = Envelope<ProtocolView>)))]
async fn show_protocol(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path((idp_id, id)): Path<(IdentityProviderId, ProtocolId)>,
) -> Result<Envelope<ProtocolView>> {
    let protocol = app.identity.protocol(&caller, &idp_id, &id).await?;
    Ok(Envelope(ProtocolView::new(protocol, &base_url)))
}

/// Changes a protocol.
#[utoipa::path(patch, path = "/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}",
    tag = "federation", params(("idp_id" = String, Path), ("protocol_id" = String, Path)),
    request_body = ProtocolUpdateRequest, responses((status = 200, body = Envelope<ProtocolView>)))]
async fn update_protocol(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path((idp_id, id)): Path<(IdentityProviderId, ProtocolId)>,
    Body(request): Body<ProtocolUpdateRequest>,
) -> Result<Envelope<ProtocolView>> {
    let patch = ProtocolPatch {
        mapping_id: Change::Set(MappingId::from(request.protocol.mapping_id)),
        remote_id_attribute: Change::from(request.protocol.remote_id_attribute).map(Some),
    };
    let updated = app
        .identity
        .update_protocol(&caller, &idp_id, &id, patch)
        .await?;
    Ok(Envelope(ProtocolView::new(updated, &base_url)))
}

/// Deletes a protocol, with the users who are known through it alone.
#[utoipa::path(delete, path = "/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}",
    tag = "federation", params(("idp_id" = String, Path), ("protocol_id" = String, Path)),
    responses((status = 204)))]
async fn delete_protocol(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((idp_id, id)): Path<(IdentityProviderId, ProtocolId)>,
) -> Result<StatusCode> {
    app.identity.delete_protocol(&caller, &idp_id, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The filters of a list of identity providers or of service providers.
pub(crate) fn filter(query: &ListQuery) -> Result<ProviderFilter, ApiError> {
    Ok(ProviderFilter {
        ids: query.comparisons("id"),
        enabled: query.spelt_bool("enabled")?,
        page: query.page()?,
    })
}

/// The filters of a list of identity providers or of service providers.
#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
pub(crate) struct ProviderQuery {
    id: Option<String>,
    #[schema(nullable = false)]
    enabled: Option<LenientBool>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
pub(crate) struct ProviderId {
    id: String,
}

/// An identity provider as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IdentityProvider)]
struct IdentityProviderView {
    links: IdentityProviderLinks,
    id: String,
    domain_id: String,
    enabled: bool,
    description: Option<String>,
    remote_ids: Vec<String>,
    authorization_ttl: Option<i64>,
}

#[derive(Debug, Serialize, ToSchema)]
struct IdentityProviderLinks {
    #[serde(rename = "self")]
    itself: String,
    /// In lists only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    protocols: Option<String>,
}

impl IdentityProviderView {
    fn listed(provider: IdentityProvider, base_url: &BaseUrl) -> Self {
        let mut view = Self::new(provider, base_url);
        view.links.protocols = Some(base_url.v3(format_args!("{ROOT}/{}/protocols", view.id)));
        view
    }

    fn new(provider: IdentityProvider, base_url: &BaseUrl) -> Self {
        Self {
            links: IdentityProviderLinks {
                itself: base_url.v3(format_args!("{ROOT}/{}", provider.id)),
                protocols: None,
            },
            id: provider.id.into(),
            domain_id: provider.domain_id.into(),
            enabled: provider.enabled,
            description: provider.description,
            remote_ids: provider.remote_ids,
            authorization_ttl: provider.authorization_ttl,
        }
    }
}

impl Resource for IdentityProviderView {
    const ONE: &'static str = "identity_provider";
    const MANY: &'static str = "identity_providers";
}

/// A protocol with the links that Keystone gives it, which lead nowhere.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Protocol)]
struct ProtocolView {
    id: String,
    mapping_id: String,
    links: ProtocolLinks,
    /// In lists only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    idp_id: Option<String>,
    /// In lists only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    remote_id_attribute: Option<Option<String>>,
}

#[derive(Debug, Serialize, ToSchema)]
struct ProtocolLinks {
    #[serde(rename = "self")]
    itself: String,
    identity_provider: String,
}

impl ProtocolView {
    fn listed(protocol: Protocol, base_url: &BaseUrl) -> Self {
        Self {
            idp_id: Some(protocol.idp_id.to_string()),
            remote_id_attribute: Some(protocol.remote_id_attribute.clone()),
            ..Self::new(protocol, base_url)
        }
    }

    fn new(protocol: Protocol, base_url: &BaseUrl) -> Self {
        Self {
            links: ProtocolLinks {
                itself: base_url.v3(format_args!("protocols/{}", protocol.id)),
                identity_provider: base_url.v3(&protocol.idp_id),
            },
            id: protocol.id.into(),
            mapping_id: protocol.mapping_id.into(),
            idp_id: None,
            remote_id_attribute: None,
        }
    }
}

impl Resource for ProtocolView {
    const ONE: &'static str = "protocol";
    const MANY: &'static str = "protocols";
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct IdentityProviderCreateRequest {
    #[serde(default)]
    identity_provider: IdentityProviderCreate,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct IdentityProviderCreate {
    #[schema(nullable = false)]
    enabled: Option<LenientBool>,
    description: Option<String>,
    #[schema(minimum = 0)]
    authorization_ttl: Option<i64>,
    #[schema(value_type = Option<RemoteIds>)]
    remote_ids: Option<Vec<String>>,
    #[schema(value_type = Option<DomainIdText>)]
    domain_id: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct IdentityProviderUpdateRequest {
    #[serde(deserialize_with = "non_empty")]
    identity_provider: IdentityProviderUpdate,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct IdentityProviderUpdate {
    #[schema(nullable = false)]
    enabled: Option<LenientBool>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    description: Change<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<i64>, minimum = 0)]
    authorization_ttl: Change<Option<i64>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<RemoteIds>)]
    remote_ids: Change<Option<Vec<String>>>,
}

/// How a provider names itself: each once, none longer than 64 characters.
#[derive(ToSchema)]
#[schema(value_type = HashSet<RemoteId>)]
#[allow(dead_code, reason = "read by its schema only")]
struct RemoteIds(HashSet<RemoteId>);

#[derive(ToSchema)]
#[schema(pattern = r"^[\s\S]{0,64}$")]
#[allow(dead_code, reason = "read by its schema only")]
struct RemoteId(String);

#[derive(ToSchema)]
#[schema(pattern = "^[a-zA-Z0-9-]{1,64}$")]
#[allow(dead_code, reason = "read by its schema only")]
struct DomainIdText(String);

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProtocolCreateRequest {
    protocol: ProtocolCreate,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProtocolCreate {
    #[schema(min_length = 1, max_length = 64)]
    mapping_id: String,
    #[schema(max_length = 64)]
    remote_id_attribute: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProtocolUpdateRequest {
    protocol: ProtocolUpdate,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProtocolUpdate {
    #[schema(min_length = 1, max_length = 64)]
    mapping_id: String,
    #[schema(max_length = 64, nullable = false)]
    remote_id_attribute: Option<String>,
}
