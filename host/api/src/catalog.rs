//! `/v3/regions`, `/v3/services` and `/v3/endpoints`.

use archstone_model::{
    Extra,
    catalog::{
        Endpoint, EndpointFilter, EndpointPatch, Interface, Region, RegionFilter, RegionPatch,
        Service, ServiceFilter, ServicePatch,
    },
    id::{EndpointId, RegionId, ServiceId},
    listing::Change,
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{
    App,
    body::{Body, non_empty, nullable},
    caller::Authenticated,
    error::{ApiError, Result},
    links::{BaseUrl, list_body},
    query::ListQuery,
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_regions, create_region))
        .routes(routes!(
            show_region,
            put_region,
            update_region,
            delete_region
        ))
        .routes(routes!(list_services, create_service))
        .routes(routes!(show_service, update_service, delete_service))
        .routes(routes!(list_endpoints, create_endpoint))
        .routes(routes!(show_endpoint, update_endpoint, delete_endpoint))
}

/// Lists regions.
#[utoipa::path(get, path = "/regions", tag = "catalog", responses((status = 200)))]
async fn list_regions(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<Json<Value>> {
    // The link to a next page has parameters that no client may make up.
    if !query.has("marker") {
        query.check::<RegionQuery>()?;
    }
    let filter = RegionFilter {
        parent_region_id: query.get("parent_region_id").map(RegionId::from),
        page: query.page()?,
    };
    let regions = app.identity.regions(&caller, filter).await?;
    let views = regions
        .entries
        .into_iter()
        .map(|region| view_region(region, &base_url))
        .collect();
    Ok(Json(list_body(
        "regions",
        "regions",
        views,
        regions.cut_at,
        &base_url,
        &query,
    )))
}

/// Creates a region.
#[utoipa::path(post, path = "/regions", tag = "catalog", request_body = RegionCreateRequest,
    responses((status = 201)))]
async fn create_region(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Body(request): Body<RegionCreateRequest>,
) -> Result<(StatusCode, Json<Value>)> {
    let region = app
        .identity
        .create_region(&caller, request.region.into_region(None)?)
        .await?;
    Ok((
        StatusCode::CREATED,
        Json(json!({ "region": view_region(region, &base_url) })),
    ))
}

/// Creates a region with a given id.
#[utoipa::path(put, path = "/regions/{region_id}", tag = "catalog",
    params(("region_id" = String, Path)), request_body = RegionCreateRequest,
    responses((status = 201)))]
async fn put_region(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(region_id): Path<RegionId>,
    Body(request): Body<RegionCreateRequest>,
) -> Result<(StatusCode, Json<Value>)> {
    let region = request.region.into_region(Some(region_id))?;
    let region = app.identity.create_region(&caller, region).await?;
    Ok((
        StatusCode::CREATED,
        Json(json!({ "region": view_region(region, &base_url) })),
    ))
}

/// Shows a region.
#[utoipa::path(get, path = "/regions/{region_id}", tag = "catalog",
    params(("region_id" = String, Path)), responses((status = 200)))]
async fn show_region(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(region_id): Path<RegionId>,
) -> Result<Json<Value>> {
    let region = app.identity.region(&caller, &region_id).await?;
    Ok(Json(json!({ "region": view_region(region, &base_url) })))
}

/// Changes a region.
#[utoipa::path(patch, path = "/regions/{region_id}", tag = "catalog",
    params(("region_id" = String, Path)), request_body = RegionUpdateRequest,
    responses((status = 200)))]
async fn update_region(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(region_id): Path<RegionId>,
    Body(request): Body<RegionUpdateRequest>,
) -> Result<Json<Value>> {
    let RegionUpdate {
        id,
        description,
        parent_region_id,
        extra,
    } = request.region;
    refuse_new_id("region", id, region_id.as_str())?;
    let patch = RegionPatch {
        description: description.map(Option::unwrap_or_default),
        parent_region_id: parent_region_id.map(|id| id.map(RegionId::from)),
        extra: Change::Set(without_id(extra)),
    };
    let region = app
        .identity
        .update_region(&caller, &region_id, patch)
        .await?;
    Ok(Json(json!({ "region": view_region(region, &base_url) })))
}

/// Deletes a region and those below it.
#[utoipa::path(delete, path = "/regions/{region_id}", tag = "catalog",
    params(("region_id" = String, Path)), responses((status = 204)))]
async fn delete_region(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(region_id): Path<RegionId>,
) -> Result<StatusCode> {
    app.identity.delete_region(&caller, &region_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists services.
#[utoipa::path(get, path = "/services", tag = "catalog", responses((status = 200)))]
async fn list_services(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<Json<Value>> {
    let filter = ServiceFilter {
        types: query.comparisons("type"),
        names: query.names(),
        page: query.page()?,
    };
    let services = app.identity.services(&caller, filter).await?;
    let views = services
        .entries
        .into_iter()
        .map(|service| view_service(service, &base_url))
        .collect();
    Ok(Json(list_body(
        "services",
        "services",
        views,
        services.cut_at,
        &base_url,
        &query,
    )))
}

/// Creates a service.
#[utoipa::path(post, path = "/services", tag = "catalog", request_body = ServiceCreateRequest,
    responses((status = 201)))]
async fn create_service(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Body(request): Body<ServiceCreateRequest>,
) -> Result<(StatusCode, Json<Value>)> {
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
        Json(json!({ "service": view_service(service, &base_url) })),
    ))
}

/// Shows a service.
#[utoipa::path(get, path = "/services/{service_id}", tag = "catalog",
    params(("service_id" = String, Path)), responses((status = 200)))]
async fn show_service(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(service_id): Path<ServiceId>,
) -> Result<Json<Value>> {
    let service = app.identity.service(&caller, &service_id).await?;
    Ok(Json(json!({ "service": view_service(service, &base_url) })))
}

/// Changes a service.
#[utoipa::path(patch, path = "/services/{service_id}", tag = "catalog",
    params(("service_id" = String, Path)), request_body = ServiceUpdateRequest,
    responses((status = 200)))]
async fn update_service(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(service_id): Path<ServiceId>,
    Body(request): Body<ServiceUpdateRequest>,
) -> Result<Json<Value>> {
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
    Ok(Json(json!({ "service": view_service(service, &base_url) })))
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

/// Lists endpoints.
#[utoipa::path(get, path = "/endpoints", tag = "catalog", responses((status = 200)))]
async fn list_endpoints(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<Json<Value>> {
    let filter = EndpointFilter {
        interface: query.get("interface").map(interface).transpose()?,
        service_id: query.get("service_id").map(ServiceId::from),
        region_id: query.get("region_id").map(RegionId::from),
        page: query.page()?,
    };
    let endpoints = app.identity.endpoints(&caller, filter).await?;
    let views = endpoints
        .entries
        .into_iter()
        .map(|endpoint| view_endpoint(endpoint, &base_url))
        .collect();
    Ok(Json(list_body(
        "endpoints",
        "endpoints",
        views,
        endpoints.cut_at,
        &base_url,
        &query,
    )))
}

/// Creates an endpoint.
#[utoipa::path(post, path = "/endpoints", tag = "catalog", request_body = EndpointCreateRequest,
    responses((status = 201)))]
async fn create_endpoint(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Body(request): Body<EndpointCreateRequest>,
) -> Result<(StatusCode, Json<Value>)> {
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
        Json(json!({ "endpoint": view_endpoint(endpoint, &base_url) })),
    ))
}

/// Shows an endpoint.
#[utoipa::path(get, path = "/endpoints/{endpoint_id}", tag = "catalog",
    params(("endpoint_id" = String, Path)), responses((status = 200)))]
async fn show_endpoint(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(endpoint_id): Path<EndpointId>,
) -> Result<Json<Value>> {
    let endpoint = app.identity.endpoint(&caller, &endpoint_id).await?;
    Ok(Json(
        json!({ "endpoint": view_endpoint(endpoint, &base_url) }),
    ))
}

/// Changes an endpoint.
#[utoipa::path(patch, path = "/endpoints/{endpoint_id}", tag = "catalog",
    params(("endpoint_id" = String, Path)), request_body = EndpointUpdateRequest,
    responses((status = 200)))]
async fn update_endpoint(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(endpoint_id): Path<EndpointId>,
    Body(request): Body<EndpointUpdateRequest>,
) -> Result<Json<Value>> {
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
    Ok(Json(
        json!({ "endpoint": view_endpoint(endpoint, &base_url) }),
    ))
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

fn new_id() -> String {
    Uuid::new_v4().simple().to_string()
}

fn interface(text: &str) -> Result<Interface> {
    Interface::parse(text).ok_or_else(|| {
        ApiError::bad_request(format!(
            "Invalid input for field 'interface': '{text}' is not one of ['admin', 'internal', \
             'public']"
        ))
    })
}

fn refuse_new_id(entity: &str, given: Option<String>, id: &str) -> Result<()> {
    match given {
        Some(given) if given != id => {
            Err(ApiError::bad_request(format!("Cannot change {entity} ID")))
        }
        _ => Ok(()),
    }
}

fn without_id(mut extra: Extra) -> Extra {
    extra.shift_remove("id");
    extra.shift_remove("links");
    extra
}

/// `extra` with an attribute that the schema knows and the database does not.
fn with_text(mut extra: Extra, name: &str, value: Option<String>) -> Extra {
    if let Some(value) = value {
        extra.insert(name.to_owned(), value.into());
    }
    extra
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

fn view_region(region: Region, base_url: &BaseUrl) -> Value {
    let mut view: Map<String, Value> = region.extra;
    let links = base_url.self_link(format_args!("regions/{}", region.id));
    view.insert("id".to_owned(), json!(region.id));
    view.insert("description".to_owned(), json!(region.description));
    view.insert(
        "parent_region_id".to_owned(),
        json!(region.parent_region_id),
    );
    view.insert("links".to_owned(), json!(links));
    Value::Object(view)
}

fn view_service(service: Service, base_url: &BaseUrl) -> Value {
    let mut view: Map<String, Value> = service.extra;
    let links = base_url.self_link(format_args!("services/{}", service.id));
    view.entry("name").or_insert_with(|| json!(""));
    view.insert("id".to_owned(), json!(service.id));
    view.insert("type".to_owned(), json!(service.service_type));
    view.insert("enabled".to_owned(), json!(service.enabled));
    view.insert("links".to_owned(), json!(links));
    Value::Object(view)
}

pub(crate) fn view_endpoint(endpoint: Endpoint, base_url: &BaseUrl) -> Value {
    let mut view: Map<String, Value> = endpoint.extra;
    let links = base_url.self_link(format_args!("endpoints/{}", endpoint.id));
    view.insert("id".to_owned(), json!(endpoint.id));
    view.insert("interface".to_owned(), json!(endpoint.interface.as_str()));
    view.insert("region_id".to_owned(), json!(endpoint.region_id));
    view.insert("service_id".to_owned(), json!(endpoint.service_id));
    view.insert("url".to_owned(), json!(endpoint.url));
    view.insert("enabled".to_owned(), json!(endpoint.enabled));
    view.insert("region".to_owned(), json!(endpoint.region_id));
    view.insert("links".to_owned(), json!(links));
    Value::Object(view)
}

/// What a list of regions can be asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RegionQuery {
    #[serde(rename = "parent_region_id")]
    #[schema(min_length = 1, max_length = 255)]
    _parent_region_id: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct RegionCreateRequest {
    region: RegionCreate,
}

#[derive(Debug, Deserialize, ToSchema)]
struct RegionCreate {
    #[schema(max_length = 255)]
    id: Option<String>,
    #[schema(max_length = 255)]
    description: Option<String>,
    #[schema(min_length = 1, max_length = 255)]
    parent_region_id: Option<String>,
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
}

impl RegionCreate {
    fn into_region(self, path_id: Option<RegionId>) -> Result<Region> {
        let given = self.id.filter(|id| !id.is_empty()).map(RegionId::from);
        let id = match (path_id, given) {
            (Some(path), Some(given)) if path != given => {
                return Err(ApiError::bad_request(format!(
                    "Conflicting region IDs specified: \"{path}\" != \"{given}\""
                )));
            }
            (Some(id), _) | (None, Some(id)) => id,
            (None, None) => RegionId::new(new_id()),
        };
        Ok(Region {
            id,
            description: self.description.unwrap_or_default(),
            parent_region_id: self.parent_region_id.map(RegionId::from),
            extra: without_id(self.extra),
        })
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RegionUpdateRequest {
    #[serde(deserialize_with = "non_empty")]
    region: RegionUpdate,
}

#[derive(Debug, Deserialize, ToSchema)]
struct RegionUpdate {
    #[schema(min_length = 1, max_length = 255)]
    id: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, max_length = 255)]
    description: Change<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    parent_region_id: Change<Option<String>>,
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
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
