//! `/v3/OS-FEDERATION/service_providers`.

use archstone_model::{
    federation::{ServiceProvider, ServiceProviderPatch},
    id::ServiceProviderId,
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
    error::Result,
    identity_providers::{ProviderId, ProviderQuery, filter},
    links::{BaseUrl, SelfLink},
    query::{Comparisons, Filters, ListQuery, Paging},
    resource::{Envelope, List, Resource},
};

const ROOT: &str = "OS-FEDERATION/service_providers";

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(create, show, update, delete))
}

/// Lists service providers.
#[utoipa::path(get, path = "/OS-FEDERATION/service_providers", tag = "federation",
    params(Filters<ProviderQuery>, Comparisons<ProviderId>, Paging),
    responses((status = 200, body = List<ServiceProviderView>)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<List<ServiceProviderView>> {
    let filter = filter(&query)?;
    let providers = app.identity.service_providers(&caller, filter).await?;
    let view = ServiceProviderView::new;
    Ok(List::new(providers, view, ROOT, &base_url, &query))
}

/// Creates a service provider.
#[utoipa::path(put, path = "/OS-FEDERATION/service_providers/{service_provider_id}",
    tag = "federation", params(("service_provider_id" = String, Path)),
    request_body = ServiceProviderCreateRequest, responses((status = 201, body = Envelope<ServiceProviderView>)))]
async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(id): Path<ServiceProviderId>,
    Body(request): Body<ServiceProviderCreateRequest>,
) -> Result<(StatusCode, Envelope<ServiceProviderView>)> {
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
    let view = ServiceProviderView::new(created, &base_url);
    Ok((StatusCode::CREATED, Envelope(view)))
}

/// Shows a service provider.
#[utoipa::path(get, path = "/OS-FEDERATION/service_providers/{service_provider_id}",
    tag = "federation", params(("service_provider_id" = String, Path)),
    responses((status = 200, body = Envelope<ServiceProviderView>)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(id): Path<ServiceProviderId>,
) -> Result<Envelope<ServiceProviderView>> {
    let provider = app.identity.service_provider(&caller, &id).await?;
    Ok(Envelope(ServiceProviderView::new(provider, &base_url)))
}

/// Changes a service provider.
#[utoipa::path(patch, path = "/OS-FEDERATION/service_providers/{service_provider_id}",
    tag = "federation", params(("service_provider_id" = String, Path)),
    request_body = ServiceProviderUpdateRequest, responses((status = 200, body = Envelope<ServiceProviderView>)))]
async fn update(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(id): Path<ServiceProviderId>,
    Body(request): Body<ServiceProviderUpdateRequest>,
) -> Result<Envelope<ServiceProviderView>> {
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
    Ok(Envelope(ServiceProviderView::new(updated, &base_url)))
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

/// A service provider as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ServiceProvider)]
struct ServiceProviderView {
    links: SelfLink,
    id: String,
    auth_url: String,
    sp_url: String,
    description: Option<String>,
    enabled: bool,
    relay_state_prefix: String,
}

impl ServiceProviderView {
    fn new(provider: ServiceProvider, base_url: &BaseUrl) -> Self {
        Self {
            links: base_url.self_link(format_args!("{ROOT}/{}", provider.id)),
            id: provider.id.into(),
            auth_url: provider.auth_url,
            sp_url: provider.sp_url,
            description: provider.description,
            enabled: provider.enabled,
            relay_state_prefix: provider.relay_state_prefix,
        }
    }
}

impl Resource for ServiceProviderView {
    const ONE: &'static str = "service_provider";
    const MANY: &'static str = "service_providers";
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ServiceProviderCreateRequest {
    service_provider: ServiceProviderCreate,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ServiceProviderCreate {
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
struct ServiceProviderUpdateRequest {
    #[serde(deserialize_with = "non_empty")]
    service_provider: ServiceProviderUpdate,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ServiceProviderUpdate {
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
