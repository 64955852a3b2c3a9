//! `/v3/services`.

use archstone_model::{
    Extra,
    catalog::{Service, ServiceFilter, ServicePatch},
    id::ServiceId,
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
    body::{Body, non_empty},
    caller::Authenticated,
    catalog::{new_id, refuse_new_id, with_text, without_id},
    error::Result,
    links::{BaseUrl, SelfLink},
    query::{Comparisons, Filters, ListQuery, Paging},
    resource::{Envelope, List, Resource},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_services, create_service))
        .routes(routes!(show_service, update_service, delete_service))
}

/// Lists services.
#[utoipa::path(get, path = "/services", tag = "catalog",
    params(Filters<ServiceQuery>, Comparisons<ServiceQuery>, Paging),
    responses((status = 200, body = List<ServiceView>)))]
async fn list_services(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<List<ServiceView>> {
    let filter = ServiceFilter {
        types: query.comparisons("type"),
        names: query.names(),
        page: query.page()?,
    };
    let services = app.identity.services(&caller, filter).await?;
    Ok(List::new(
        services,
        ServiceView::new,
        "services",
        &base_url,
        &query,
    ))
}

/// Creates a service.
#[utoipa::path(post, path = "/services", tag = "catalog", request_body = ServiceCreateRequest,
    responses((status = 201, body = Envelope<ServiceView>)))]
async fn create_service(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Body(request): Body<ServiceCreateRequest>,
) -> Result<(StatusCode, Envelope<ServiceView>)> {
    let ServiceCreate {
        service_type,
        enabled,
        name,
        extra,
    } = request.service;
    let service = Service {
        id: ServiceId::new(new_id()),
        service_type,
        enabled: enabled.unwrap_or(true),
        extra: without_id(with_text(extra, "name", name)),
    };
    let service = app.identity.create_service(&caller, service).await?;
    Ok((
        StatusCode::CREATED,
        Envelope(ServiceView::new(service, &base_url)),
    ))
}

/// Shows a service.
#[utoipa::path(get, path = "/services/{service_id}", tag = "catalog",
    params(("service_id" = String, Path)), responses((status = 200, body = Envelope<ServiceView>)))]
async fn show_service(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(service_id): Path<ServiceId>,
) -> Result<Envelope<ServiceView>> {
    let service = app.identity.service(&caller, &service_id).await?;
    Ok(Envelope(ServiceView::new(service, &base_url)))
}

/// Changes a service.
#[utoipa::path(patch, path = "/services/{service_id}", tag = "catalog",
    params(("service_id" = String, Path)), request_body = ServiceUpdateRequest,
    responses((status = 200, body = Envelope<ServiceView>)))]
async fn update_service(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(service_id): Path<ServiceId>,
    Body(request): Body<ServiceUpdateRequest>,
) -> Result<Envelope<ServiceView>> {
    let ServiceUpdate {
        id,
        service_type,
        enabled,
        name,
        extra,
    } = request.service;
    let extra = with_text(extra, "name", name);
    refuse_new_id("service", id, service_id.as_str())?;
    let patch = ServicePatch {
        service_type: service_type.into(),
        enabled: enabled.into(),
        extra: Change::Set(without_id(extra)),
    };
    let service = app
        .identity
        .update_service(&caller, &service_id, patch)
        .await?;
    Ok(Envelope(ServiceView::new(service, &base_url)))
}

/// Deletes a service with its endpoints.
#[utoipa::path(delete, path = "/services/{service_id}", tag = "catalog",
    params(("service_id" = String, Path)), responses((status = 204)))]
async fn delete_service(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(service_id): Path<ServiceId>,
) -> Result<StatusCode> {
    app.identity.delete_service(&caller, &service_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The filters of a list of services.
#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct ServiceQuery {
    r#type: Option<String>,
    name: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct ServiceCreateRequest {
    service: ServiceCreate,
}

#[derive(Debug, Deserialize, ToSchema)]
struct ServiceCreate {
    #[serde(rename = "type")]
    #[schema(min_length = 1, max_length = 255)]
    service_type: String,
    #[schema(nullable = false)]
    enabled: Option<bool>,
    #[schema(min_length = 1, max_length = 255, nullable = false)]
    name: Option<String>,
    /// `description` and anything else.
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
}

#[derive(Debug, Deserialize, ToSchema)]
struct ServiceUpdateRequest {
    #[serde(deserialize_with = "non_empty")]
    service: ServiceUpdate,
}

#[derive(Debug, Deserialize, ToSchema)]
struct ServiceUpdate {
    id: Option<String>,
    #[serde(rename = "type")]
    #[schema(min_length = 1, max_length = 255, nullable = false)]
    service_type: Option<String>,
    #[schema(nullable = false)]
    enabled: Option<bool>,
    #[schema(min_length = 1, max_length = 255, nullable = false)]
    name: Option<String>,
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
}

/// A service as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Service)]
struct ServiceView {
    #[serde(flatten)]
    #[schema(value_type = ServiceTexts)]
    extra: Extra,
    id: String,
    #[serde(rename = "type")]
    service_type: String,
    enabled: bool,
    links: SelfLink,
}

/// What is always among a service's free attributes.
#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct ServiceTexts {
    name: String,
}

impl ServiceView {
    fn new(mut service: Service, base_url: &BaseUrl) -> Self {
        service.extra.entry("name").or_insert_with(|| "".into());
        Self {
            links: base_url.self_link(format_args!("services/{}", service.id)),
            extra: service.extra,
            id: service.id.into(),
            service_type: service.service_type,
            enabled: service.enabled,
        }
    }
}

impl Resource for ServiceView {
    const ONE: &'static str = "service";
    const MANY: &'static str = "services";
}
