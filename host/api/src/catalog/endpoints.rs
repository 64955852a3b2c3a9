//! `/v3/endpoints`.

use archstone_model::{
    Extra,
    catalog::{Endpoint, EndpointFilter, EndpointPatch, Interface},
    id::{EndpointId, RegionId, ServiceId},
    listing::Change,
};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    body::{Body, non_empty, nullable},
    caller::Authenticated,
    catalog::{new_id, refuse_new_id, with_text, without_id},
    error::{ApiError, Result},
    links::{BaseUrl, SelfLink},
    query::{Filters, ListQuery, Paging},
    resource::{Envelope, List, Resource},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_endpoints, create_endpoint))
        .routes(routes!(show_endpoint, update_endpoint, delete_endpoint))
}

/// Lists endpoints.
#[utoipa::path(get, path = "/endpoints", tag = "catalog",
    params(Filters<EndpointQuery>, Paging), responses((status = 200, body = List<EndpointView>)))]
async fn list_endpoints(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<List<EndpointView>> {
    let filter = EndpointFilter {
        interface: query.get("interface").map(interface).transpose()?,
        service_id: query.get("service_id").map(ServiceId::from),
        region_id: query.get("region_id").map(RegionId::from),
        page: query.page()?,
    };
    let endpoints = app.identity.endpoints(&caller, filter).await?;
    Ok(List::new(
        endpoints,
        EndpointView::new,
        "endpoints",
        &base_url,
        &query,
    ))
}

/// Creates an endpoint.
#[utoipa::path(post, path = "/endpoints", tag = "catalog", request_body = EndpointCreateRequest,
    responses((status = 201, body = Envelope<EndpointView>)))]
async fn create_endpoint(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Body(request): Body<EndpointCreateRequest>,
) -> Result<(StatusCode, Envelope<EndpointView>)> {
    let EndpointCreate {
        interface: kind,
        service_id,
        url,
        region_id,
        region,
        enabled,
        name,
        description,
        extra,
    } = request.endpoint;
    let extra = with_endpoint_texts(extra, name, description);
    let region_id = match (region_id, region) {
        (None, Some(region)) => {
            let region = RegionId::from(region);
            app.identity
                .ensure_region(&caller, "identity:create_endpoint", &region)
                .await?;
            Some(region)
        }
        (region_id, _) => region_id.map(RegionId::from),
    };
    let endpoint = Endpoint {
        id: EndpointId::new(new_id()),
        interface: interface(&kind)?,
        service_id: service_id.into(),
        region_id,
        url,
        enabled: enabled.unwrap_or(true),
        extra: without_id(extra),
    };
    let endpoint = app.identity.create_endpoint(&caller, endpoint).await?;
    Ok((
        StatusCode::CREATED,
        Envelope(EndpointView::new(endpoint, &base_url)),
    ))
}

/// Shows an endpoint.
#[utoipa::path(get, path = "/endpoints/{endpoint_id}", tag = "catalog",
    params(("endpoint_id" = String, Path)), responses((status = 200, body = Envelope<EndpointView>)))]
async fn show_endpoint(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(endpoint_id): Path<EndpointId>,
) -> Result<Envelope<EndpointView>> {
    let endpoint = app.identity.endpoint(&caller, &endpoint_id).await?;
    Ok(Envelope(EndpointView::new(endpoint, &base_url)))
}

/// Changes an endpoint.
#[utoipa::path(patch, path = "/endpoints/{endpoint_id}", tag = "catalog",
    params(("endpoint_id" = String, Path)), request_body = EndpointUpdateRequest,
    responses((status = 200, body = Envelope<EndpointView>)))]
async fn update_endpoint(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(endpoint_id): Path<EndpointId>,
    Body(request): Body<EndpointUpdateRequest>,
) -> Result<Envelope<EndpointView>> {
    let EndpointUpdate {
        id,
        interface: kind,
        service_id,
        url,
        region_id,
        region,
        enabled,
        name,
        description,
        extra,
    } = request.endpoint;
    let extra = with_endpoint_texts(extra, name, description);
    refuse_new_id("endpoint", id, endpoint_id.as_str())?;
    let region_id = match (region_id, region) {
        (Change::Keep, Some(region)) => {
            let region = RegionId::from(region);
            app.identity
                .ensure_region(&caller, "identity:update_endpoint", &region)
                .await?;
            Change::Set(Some(region))
        }
        (region_id, _) => region_id.map(|id| id.map(RegionId::from)),
    };
    let patch = EndpointPatch {
        interface: kind.as_deref().map(interface).transpose()?.into(),
        service_id: service_id.map(ServiceId::from).into(),
        region_id,
        url: url.into(),
        enabled: enabled.into(),
        extra: Change::Set(without_id(extra)),
    };
    let endpoint = app
        .identity
        .update_endpoint(&caller, &endpoint_id, patch)
        .await?;
    Ok(Envelope(EndpointView::new(endpoint, &base_url)))
}

/// Deletes an endpoint.
#[utoipa::path(delete, path = "/endpoints/{endpoint_id}", tag = "catalog",
    params(("endpoint_id" = String, Path)), responses((status = 204)))]
async fn delete_endpoint(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(endpoint_id): Path<EndpointId>,
) -> Result<StatusCode> {
    app.identity.delete_endpoint(&caller, &endpoint_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn interface(text: &str) -> Result<Interface> {
    Interface::parse(text).ok_or_else(|| {
        ApiError::bad_request(format!(
            "Invalid input for field 'interface': '{text}' is not one of ['admin', 'internal', \
             'public']"
        ))
    })
}

fn with_endpoint_texts(
    extra: Extra,
    name: Option<String>,
    description: Change<Option<String>>,
) -> Extra {
    let mut extra = with_text(extra, "name", name);
    if let Change::Set(description) = description {
        extra.insert("description".to_owned(), json!(description));
    }
    extra
}

/// The filters of a list of endpoints.
#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct EndpointQuery {
    #[schema(pattern = "^(admin|internal|public)$")]
    interface: Option<String>,
    service_id: Option<String>,
    region_id: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EndpointCreateRequest {
    endpoint: EndpointCreate,
}

#[derive(Debug, Deserialize, ToSchema)]
struct EndpointCreate {
    interface: String,
    service_id: String,
    #[schema(max_length = 225, pattern = "^[a-zA-Z0-9+.-]+:.+")]
    url: String,
    region_id: Option<String>,
    /// The old name of `region_id`.
    region: Option<String>,
    #[schema(nullable = false)]
    enabled: Option<bool>,
    #[schema(nullable = false)]
    name: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    description: Change<Option<String>>,
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EndpointUpdateRequest {
    #[serde(deserialize_with = "non_empty")]
    endpoint: EndpointUpdate,
}

#[derive(Debug, Deserialize, ToSchema)]
struct EndpointUpdate {
    id: Option<String>,
    #[schema(nullable = false)]
    interface: Option<String>,
    #[schema(nullable = false)]
    service_id: Option<String>,
    #[schema(max_length = 225, pattern = "^[a-zA-Z0-9+.-]+:.+", nullable = false)]
    url: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    region_id: Change<Option<String>>,
    /// The old name of `region_id`.
    region: Option<String>,
    #[schema(nullable = false)]
    enabled: Option<bool>,
    #[schema(nullable = false)]
    name: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    description: Change<Option<String>>,
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
}

/// An endpoint as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Endpoint)]
pub(crate) struct EndpointView {
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
    id: String,
    #[schema(pattern = "^(admin|internal|public)$")]
    interface: &'static str,
    region_id: Option<String>,
    service_id: String,
    url: String,
    enabled: bool,
    /// The old name of `region_id`, which not every list tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    region: Option<Option<String>>,
    links: SelfLink,
}

impl EndpointView {
    pub(crate) fn new(endpoint: Endpoint, base_url: &BaseUrl) -> Self {
        let region_id: Option<String> = endpoint.region_id.map(Into::into);
        Self {
            links: base_url.self_link(format_args!("endpoints/{}", endpoint.id)),
            extra: endpoint.extra,
            id: endpoint.id.into(),
            interface: endpoint.interface.as_str(),
            region_id: region_id.clone(),
            service_id: endpoint.service_id.into(),
            url: endpoint.url,
            enabled: endpoint.enabled,
            region: Some(region_id),
        }
    }

    /// An endpoint with the newer name of its region alone.
    pub(crate) fn without_old_name(endpoint: Endpoint, base_url: &BaseUrl) -> Self {
        Self {
            region: None,
            ..Self::new(endpoint, base_url)
        }
    }
}

impl Resource for EndpointView {
    const ONE: &'static str = "endpoint";
    const MANY: &'static str = "endpoints";
}
