//! `/v3/OS-FEDERATION/service_providers`.

use archstone_model::{
    federation::{ServiceProvider, ServiceProviderPatch},
    id::ServiceProviderId,
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
    error::Result,
    identity_providers::filter,
    links::{BaseUrl, ListLinks},
    query::ListQuery,
};

const ROOT: &str = "OS-FEDERATION/service_providers";

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(create, show, update, delete))
}

/// Lists service providers.
#[utoipa::path(get, path = "/OS-FEDERATION/service_providers", tag = "federation",
    responses((status = 200)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<Json<Value>> {
    let filter = filter(&query)?;
    let providers = app.identity.service_providers(&caller, filter).await?;
    let views: Vec<_> = providers
        .into_iter()
        .map(|provider| view(provider, &base_url))
        .collect();
    let path = format!("{ROOT}{}", query.suffix());
    Ok(Json(json!({
        "service_providers": views,
        "links": ListLinks::complete(base_url.v3(path)),
    })))
}

/// Creates a service provider.
#[utoipa::path(put, path = "/OS-FEDERATION/service_providers/{service_provider_id}",
    tag = "federation", params(("service_provider_id" = String, Path)),
    request_body = ProviderCreateRequest, responses((status = 201)))]
async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(id): Path<ServiceProviderId>,
    Body(request): Body<ProviderCreateRequest>,
) -> Result<(StatusCode, Json<Value>)> {
    let given = request.service_provider;
    let default_prefix = || app.identity.default_relay_state_prefix().to_owned();
    let provider = ServiceProvider {
        id,
        auth_url: given.auth_url,
        sp_url: given.sp_url,
        description: given.description,
        enabled: given.enabled.is_some_and(bool::from),
        relay_state_prefix: given.relay_state_prefix.unwrap_or_else(default_prefix),
    };
    let created = app
        .identity
        .create_service_provider(&caller, provider)
        .await?;
    Ok((StatusCode::CREATED, envelope(created, &base_url)))
}

/// Shows a service provider.
#[utoipa::path(get, path = "/OS-FEDERATION/service_providers/{service_provider_id}",
    tag = "federation", params(("service_provider_id" = String, Path)),
    responses((status = 200)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(id): Path<ServiceProviderId>,
) -> Result<Json<Value>> {
    let provider = app.identity.service_provider(&caller, &id).await?;
    Ok(envelope(provider, &base_url))
}

/// Changes a service provider.
#[utoipa::path(patch, path = "/OS-FEDERATION/service_providers/{service_provider_id}",
    tag = "federation", params(("service_provider_id" = String, Path)),
    request_body = ProviderUpdateRequest, responses((status = 200)))]
async fn update(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(id): Path<ServiceProviderId>,
    Body(request): Body<ProviderUpdateRequest>,
) -> Result<Json<Value>> {
    let given = request.service_provider;
    let patch = ServiceProviderPatch {
        auth_url: given.auth_url.into(),
        sp_url: given.sp_url.into(),
        description: given.description,
        enabled: given.enabled.map(bool::from).into(),
        relay_state_prefix: given.relay_state_prefix.into(),
    };
    let updated = app
        .identity
        .update_service_provider(&caller, &id, patch)
        .await?;
    Ok(envelope(updated, &base_url))
}

/// Deletes a service provider.
#[utoipa::path(delete, path = "/OS-FEDERATION/service_providers/{service_provider_id}",
    tag = "federation", params(("service_provider_id" = String, Path)),
    responses((status = 204)))]
async fn delete(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(id): Path<ServiceProviderId>,
) -> Result<StatusCode> {
    app.identity.delete_service_provider(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn envelope(provider: ServiceProvider, base_url: &BaseUrl) -> Json<Value> {
    Json(json!({ "service_provider": view(provider, base_url) }))
}

fn view(provider: ServiceProvider, base_url: &BaseUrl) -> Value {
    json!({
        "links": base_url.self_link(format_args!("{ROOT}/{}", provider.id)),
        "id": provider.id,
        "auth_url": provider.auth_url,
        "sp_url": provider.sp_url,
        "description": provider.description,
        "enabled": provider.enabled,
        "relay_state_prefix": provider.relay_state_prefix,
    })
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProviderCreateRequest {
    service_provider: ProviderCreate,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProviderCreate {
    #[schema(max_length = 225, pattern = "^[a-zA-Z0-9+.-]+:.+")]
    auth_url: String,
    #[schema(max_length = 225, pattern = "^[a-zA-Z0-9+.-]+:.+")]
    sp_url: String,
    description: Option<String>,
    #[schema(nullable = false)]
    enabled: Option<LenientBool>,
    relay_state_prefix: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProviderUpdateRequest {
    #[serde(deserialize_with = "non_empty")]
    service_provider: ProviderUpdate,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProviderUpdate {
    #[schema(max_length = 225, pattern = "^[a-zA-Z0-9+.-]+:.+", nullable = false)]
    auth_url: Option<String>,
    #[schema(max_length = 225, pattern = "^[a-zA-Z0-9+.-]+:.+", nullable = false)]
    sp_url: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    description: Change<Option<String>>,
    #[schema(nullable = false)]
    enabled: Option<LenientBool>,
    relay_state_prefix: Option<String>,
}
