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
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    body::{Body, LenientBool, non_empty, nullable},
    caller::Authenticated,
    error::{ApiError, Result},
    links::{BaseUrl, ListLinks},
    query::ListQuery,
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
    responses((status = 200)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<Json<Value>> {
    let filter = filter(&query)?;
    let providers = app.identity.identity_providers(&caller, filter).await?;
    let views: Vec<_> = providers
        .into_iter()
        .map(|provider| {
            let protocols = base_url.v3(format_args!("{ROOT}/{}/protocols", provider.id));
            let mut view = view(provider, &base_url);
            view["links"]["protocols"] = protocols.into();
            view
        })
        .collect();
    let path = format!("{ROOT}{}", query.suffix());
    Ok(Json(json!({
        "identity_providers": views,
        "links": ListLinks::complete(base_url.v3(path)),
    })))
}

/// Creates an identity provider, and a domain for its users where none is named.
#[utoipa::path(put, path = "/OS-FEDERATION/identity_providers/{idp_id}", tag = "federation",
    params(("idp_id" = String, Path)), request_body = ProviderCreateRequest,
    responses((status = 201)))]
async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(id): Path<IdentityProviderId>,
    Body(request): Body<ProviderCreateRequest>,
) -> Result<(StatusCode, Json<Value>)> {
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
    Ok((StatusCode::CREATED, envelope(created, &base_url)))
}

/// Shows an identity provider.
#[utoipa::path(get, path = "/OS-FEDERATION/identity_providers/{idp_id}", tag = "federation",
    params(("idp_id" = String, Path)), responses((status = 200)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(id): Path<IdentityProviderId>,
) -> Result<Json<Value>> {
    let provider = app.identity.identity_provider(&caller, &id).await?;
    Ok(envelope(provider, &base_url))
}

/// Changes an identity provider. Its domain stays.
#[utoipa::path(patch, path = "/OS-FEDERATION/identity_providers/{idp_id}", tag = "federation",
    params(("idp_id" = String, Path)), request_body = ProviderUpdateRequest,
    responses((status = 200)))]
async fn update(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(id): Path<IdentityProviderId>,
    Body(request): Body<ProviderUpdateRequest>,
) -> Result<Json<Value>> {
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
    Ok(envelope(updated, &base_url))
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
    tag = "federation", params(("idp_id" = String, Path)), responses((status = 200)))]
async fn list_protocols(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(idp_id): Path<IdentityProviderId>,
    query: ListQuery,
) -> Result<Json<Value>> {
    let protocols = app.identity.protocols(&caller, &idp_id).await?;
    let views: Vec<_> = protocols
        .iter()
        .map(|protocol| {
            let mut view = protocol_view(protocol, &base_url);
            view["idp_id"] = json!(protocol.idp_id);
            view["remote_id_attribute"] = json!(protocol.remote_id_attribute);
            view
        })
        .collect();
    let path = format!("{ROOT}/{idp_id}/protocols{}", query.suffix());
    Ok(Json(json!({
        "protocols": views,
        "links": ListLinks::complete(base_url.v3(path)),
    })))
}

/// Creates a protocol.
#[utoipa::path(put, path = "/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}",
    tag = "federation", params(("idp_id" = String, Path), ("protocol_id" = String, Path)),
    request_body = ProtocolCreateRequest, responses((status = 201)))]
async fn create_protocol(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path((idp_id, id)): Path<(IdentityProviderId, ProtocolId)>,
    Body(request): Body<ProtocolCreateRequest>,
) -> Result<(StatusCode, Json<Value>)> {
    let protocol = Protocol {
        id,
        idp_id,
        mapping_id: request.protocol.mapping_id.into(),
        remote_id_attribute: request.protocol.remote_id_attribute,
    };
    let created = app.identity.create_protocol(&caller, protocol).await?;
    Ok((
        StatusCode::CREATED,
        Json(json!({ "protocol": protocol_view(&created, &base_url) })),
    ))
}

/// Shows a protocol.
#[utoipa::path(get, path = "/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}",
    tag = "federation", params(("idp_id" = String, Path), ("protocol_id" = String, Path)),
    responses((status = 200)))]
async fn show_protocol(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path((idp_id, id)): Path<(IdentityProviderId, ProtocolId)>,
) -> Result<Json<Value>> {
    let protocol = app.identity.protocol(&caller, &idp_id, &id).await?;
    Ok(Json(
        json!({ "protocol": protocol_view(&protocol, &base_url) }),
    ))
}

/// Changes a protocol.
#[utoipa::path(patch, path = "/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}",
    tag = "federation", params(("idp_id" = String, Path), ("protocol_id" = String, Path)),
    request_body = ProtocolUpdateRequest, responses((status = 200)))]
async fn update_protocol(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path((idp_id, id)): Path<(IdentityProviderId, ProtocolId)>,
    Body(request): Body<ProtocolUpdateRequest>,
) -> Result<Json<Value>> {
    let patch = ProtocolPatch {
        mapping_id: Change::Set(MappingId::from(request.protocol.mapping_id)),
        remote_id_attribute: Change::from(request.protocol.remote_id_attribute).map(Some),
    };
    let updated = app
        .identity
        .update_protocol(&caller, &idp_id, &id, patch)
        .await?;
    Ok(Json(
        json!({ "protocol": protocol_view(&updated, &base_url) }),
    ))
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

fn envelope(provider: IdentityProvider, base_url: &BaseUrl) -> Json<Value> {
    Json(json!({ "identity_provider": view(provider, base_url) }))
}

fn view(provider: IdentityProvider, base_url: &BaseUrl) -> Value {
    json!({
        "links": base_url.self_link(format_args!("{ROOT}/{}", provider.id)),
        "id": provider.id,
        "domain_id": provider.domain_id,
        "enabled": provider.enabled,
        "description": provider.description,
        "remote_ids": provider.remote_ids,
        "authorization_ttl": provider.authorization_ttl,
    })
}

/// A protocol with the links that Keystone gives it, which lead nowhere.
fn protocol_view(protocol: &Protocol, base_url: &BaseUrl) -> Value {
    json!({
        "id": protocol.id,
        "mapping_id": protocol.mapping_id,
        "links": {
            "self": base_url.v3(format_args!("protocols/{}", protocol.id)),
            "identity_provider": base_url.v3(&protocol.idp_id),
        },
    })
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProviderCreateRequest {
    #[serde(default)]
    identity_provider: ProviderCreate,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProviderCreate {
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
struct ProviderUpdateRequest {
    #[serde(deserialize_with = "non_empty")]
    identity_provider: ProviderUpdate,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProviderUpdate {
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
