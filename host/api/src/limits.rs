//! `/v3/registered_limits` and `/v3/limits`.

use archstone_identity::{LimitCreation, RegisteredLimitCreation};
use archstone_model::{
    id::{DomainId, LimitId, ProjectId, RegionId, RegisteredLimitId},
    limit::{
        self, Limit, LimitFilter, LimitPatch, RegisteredLimit, RegisteredLimitFilter,
        RegisteredLimitPatch,
    },
    listing::Change,
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    body::{Body, nullable},
    caller::Authenticated,
    error::{ApiError, Result},
    links::{BaseUrl, SelfLink},
    query::{Comparisons, Filters, ListQuery, Paging},
    resource::{Created, Envelope, List, Resource},
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_registered, create_registered))
        .routes(routes!(
            show_registered,
            update_registered,
            delete_registered
        ))
        .routes(routes!(list, create))
        .routes(routes!(show_model, update_model, delete_model))
        .routes(routes!(show, update, delete))
}

/// Lists registered limits.
#[utoipa::path(get, path = "/registered_limits", tag = "limits",
    params(Filters<RegisteredLimitQuery>, Comparisons<RegisteredLimitQuery>, Paging),
    responses((status = 200, body = List<RegisteredLimitView>)))]
async fn list_registered(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<List<RegisteredLimitView>> {
    query.check::<RegisteredLimitQuery>()?;
    let filter = RegisteredLimitFilter {
        service_id: query.comparisons("service_id"),
        region_id: query.comparisons("region_id"),
        resource_name: query.comparisons("resource_name"),
        page: query.page()?,
    };
    let limits = app.identity.registered_limits(&caller, filter).await?;
    let (view, path) = (RegisteredLimitView::new, "registered_limits");
    Ok(List::new(limits, view, path, &base_url, &query))
}

/// Registers the default limits of resources: all of them, or none.
#[utoipa::path(post, path = "/registered_limits", tag = "limits",
    request_body = RegisteredLimitCreateRequest, responses((status = 201, body = Created<RegisteredLimitView>)))]
async fn create_registered(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Body(request): Body<RegisteredLimitCreateRequest>,
) -> Result<(StatusCode, Created<RegisteredLimitView>)> {
    let creations = request
        .registered_limits
        .into_iter()
        .map(RegisteredLimitCreation::from)
        .collect();
    let limits = app
        .identity
        .create_registered_limits(&caller, creations)
        .await?;
    let created = Created::new(limits, RegisteredLimitView::new, &base_url);
    Ok((StatusCode::CREATED, created))
}

/// Shows a registered limit.
#[utoipa::path(get, path = "/registered_limits/{registered_limit_id}", tag = "limits",
    params(("registered_limit_id" = String, Path)), responses((status = 200, body = Envelope<RegisteredLimitView>)))]
async fn show_registered(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(id): Path<RegisteredLimitId>,
) -> Result<Envelope<RegisteredLimitView>> {
    let limit = app.identity.registered_limit(&caller, &id).await?;
    Ok(Envelope(RegisteredLimitView::new(limit, &base_url)))
}

/// Changes a registered limit that no limit refers to.
#[utoipa::path(patch, path = "/registered_limits/{registered_limit_id}", tag = "limits",
    params(("registered_limit_id" = String, Path)),
    request_body = RegisteredLimitUpdateRequest, responses((status = 200, body = Envelope<RegisteredLimitView>)))]
async fn update_registered(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(id): Path<RegisteredLimitId>,
    Body(request): Body<RegisteredLimitUpdateRequest>,
) -> Result<Envelope<RegisteredLimitView>> {
    let RegisteredLimitUpdate {
        service_id,
        region_id,
        resource_name,
        default_limit,
        description,
    } = request.registered_limit;
    let patch = RegisteredLimitPatch {
        service_id: Change::from(service_id).map(Into::into),
        region_id: region_id.map(|id| id.map(RegionId::from)),
        resource_name: resource_name.into(),
        default_limit: default_limit.into(),
        description,
    };
    let limit = app
        .identity
        .update_registered_limit(&caller, &id, patch)
        .await?;
    Ok(Envelope(RegisteredLimitView::new(limit, &base_url)))
}

/// Deletes a registered limit that no limit refers to.
#[utoipa::path(delete, path = "/registered_limits/{registered_limit_id}", tag = "limits",
    params(("registered_limit_id" = String, Path)), responses((status = 204)))]
async fn delete_registered(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(id): Path<RegisteredLimitId>,
) -> Result<StatusCode> {
    app.identity.delete_registered_limit(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the limits that the caller may see.
#[utoipa::path(get, path = "/limits", tag = "limits",
    params(Filters<LimitQuery>, Comparisons<LimitQuery>, Paging),
    responses((status = 200, body = List<LimitView>)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<List<LimitView>> {
    query.check::<LimitQuery>()?;
    let filter = LimitFilter {
        service_id: query.comparisons("service_id"),
        region_id: query.comparisons("region_id"),
        resource_name: query.comparisons("resource_name"),
        project_id: query.comparisons("project_id"),
        domain_id: query.comparisons("domain_id"),
        within: None,
        page: query.page()?,
    };
    let limits = app.identity.limits(&caller, filter).await?;
    Ok(List::new(
        limits,
        LimitView::new,
        "limits",
        &base_url,
        &query,
    ))
}

/// Limits projects and domains: all that are given, or none.
#[utoipa::path(post, path = "/limits", tag = "limits", request_body = LimitCreateRequest,
    responses((status = 201, body = Created<LimitView>)))]
async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Body(request): Body<LimitCreateRequest>,
) -> Result<(StatusCode, Created<LimitView>)> {
    let creations = request
        .limits
        .into_iter()
        .map(LimitCreation::try_from)
        .collect::<Result<_, _>>()?;
    let limits = app.identity.create_limits(&caller, creations).await?;
    let created = Created::new(limits, LimitView::new, &base_url);
    Ok((StatusCode::CREATED, created))
}

/// Shows the enforcement model that limits are checked against.
#[utoipa::path(get, path = "/limits/model", tag = "limits", responses((status = 200, body = ModelEnvelope)))]
async fn show_model(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
) -> Result<Json<ModelEnvelope>> {
    let model = app.identity.enforcement_model(&caller).await?;
    Ok(Json(ModelEnvelope {
        model: Model {
            name: model.name(),
            description: model.description(),
        },
    }))
}

/// The path that shows the model is also that of a limit of this id, which there never is.
const MODEL: &str = "model";

/// Changes no limit: none has this id.
#[utoipa::path(patch, path = "/limits/model", tag = "limits", request_body = LimitUpdateRequest,
    responses((status = 404)))]
async fn update_model(
    app: State<App>,
    caller: Authenticated,
    base_url: BaseUrl,
    body: Body<LimitUpdateRequest>,
) -> Result<Envelope<LimitView>> {
    update(app, caller, base_url, Path(MODEL.into()), body).await
}

/// Deletes no limit: none has this id.
#[utoipa::path(delete, path = "/limits/model", tag = "limits", responses((status = 404)))]
async fn delete_model(app: State<App>, caller: Authenticated) -> Result<StatusCode> {
    delete(app, caller, Path(MODEL.into())).await
}

/// Shows a limit.
#[utoipa::path(get, path = "/limits/{limit_id}", tag = "limits",
    params(("limit_id" = String, Path)), responses((status = 200, body = Envelope<LimitView>)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(id): Path<LimitId>,
) -> Result<Envelope<LimitView>> {
    let limit = app.identity.limit(&caller, &id).await?;
    Ok(Envelope(LimitView::new(limit, &base_url)))
}

/// Changes a limit's number or description.
#[utoipa::path(patch, path = "/limits/{limit_id}", tag = "limits",
    params(("limit_id" = String, Path)), request_body = LimitUpdateRequest,
    responses((status = 200, body = Envelope<LimitView>)))]
async fn update(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(id): Path<LimitId>,
    Body(request): Body<LimitUpdateRequest>,
) -> Result<Envelope<LimitView>> {
    let LimitUpdate {
        resource_limit,
        description,
    } = request.limit;
    let patch = LimitPatch {
        resource_limit: resource_limit.into(),
        description,
    };
    let limit = app.identity.update_limit(&caller, &id, patch).await?;
    Ok(Envelope(LimitView::new(limit, &base_url)))
}

/// Deletes a limit.
#[utoipa::path(delete, path = "/limits/{limit_id}", tag = "limits",
    params(("limit_id" = String, Path)), responses((status = 204)))]
async fn delete(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(id): Path<LimitId>,
) -> Result<StatusCode> {
    app.identity.delete_limit(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, ToSchema)]
struct RegisteredLimitQuery {
    #[serde(rename = "service_id")]
    #[schema(pattern = r"^\{?(urn:)?(uuid:)?\{?(-*[0-9a-fA-F]){32}-*\}?$")]
    _service_id: Option<String>,
    #[serde(rename = "region_id")]
    #[schema(min_length = 1, max_length = 255)]
    _region_id: Option<String>,
    #[serde(rename = "resource_name")]
    #[schema(min_length = 1, max_length = 255, pattern = r"[\S]+")]
    _resource_name: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct LimitQuery {
    #[serde(rename = "service_id")]
    #[schema(pattern = r"^\{?(urn:)?(uuid:)?\{?(-*[0-9a-fA-F]){32}-*\}?$")]
    _service_id: Option<String>,
    #[serde(rename = "region_id")]
    #[schema(min_length = 1, max_length = 255)]
    _region_id: Option<String>,
    #[serde(rename = "resource_name")]
    #[schema(min_length = 1, max_length = 255, pattern = r"[\S]+")]
    _resource_name: Option<String>,
    #[serde(rename = "project_id")]
    #[schema(min_length = 1, max_length = 64, pattern = "^[a-zA-Z0-9-]+$")]
    _project_id: Option<String>,
    #[serde(rename = "domain_id")]
    #[schema(min_length = 1, max_length = 64, pattern = "^[a-zA-Z0-9-]+$")]
    _domain_id: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RegisteredLimitCreateRequest {
    #[schema(min_items = 1)]
    registered_limits: Vec<RegisteredLimitCreate>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RegisteredLimitCreate {
    #[schema(pattern = r"^\{?(urn:)?(uuid:)?\{?(-*[0-9a-fA-F]){32}-*\}?$")]
    service_id: String,
    #[schema(min_length = 1, max_length = 255)]
    region_id: Option<String>,
    #[schema(min_length = 1, max_length = 255, pattern = r"[\S]+")]
    resource_name: String,
    #[schema(minimum = -1)]
    default_limit: i32,
    #[schema(max_length = 255)]
    description: Option<String>,
}

impl From<RegisteredLimitCreate> for RegisteredLimitCreation {
    fn from(body: RegisteredLimitCreate) -> Self {
        Self {
            resource: limit::Resource {
                service_id: body.service_id.into(),
                region_id: body.region_id.map(RegionId::from),
                name: body.resource_name,
            },
            default_limit: body.default_limit,
            description: body.description,
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RegisteredLimitUpdateRequest {
    registered_limit: RegisteredLimitUpdate,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RegisteredLimitUpdate {
    #[schema(
        pattern = r"^\{?(urn:)?(uuid:)?\{?(-*[0-9a-fA-F]){32}-*\}?$",
        nullable = false
    )]
    service_id: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    region_id: Change<Option<String>>,
    #[schema(min_length = 1, max_length = 255, pattern = r"[\S]+", nullable = false)]
    resource_name: Option<String>,
    #[schema(minimum = -1, nullable = false)]
    default_limit: Option<i32>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, max_length = 255)]
    description: Change<Option<String>>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LimitCreateRequest {
    #[schema(min_items = 1)]
    limits: Vec<LimitCreate>,
}

/// Names either a project or a domain.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LimitCreate {
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64,
        pattern = "^[a-zA-Z0-9-]+$")]
    project_id: Change<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64,
        pattern = "^[a-zA-Z0-9-]+$")]
    domain_id: Change<Option<String>>,
    #[schema(pattern = r"^\{?(urn:)?(uuid:)?\{?(-*[0-9a-fA-F]){32}-*\}?$")]
    service_id: String,
    #[schema(min_length = 1, max_length = 255)]
    region_id: Option<String>,
    #[schema(min_length = 1, max_length = 255, pattern = r"[\S]+")]
    resource_name: String,
    #[schema(minimum = -1)]
    resource_limit: i32,
    #[schema(max_length = 255)]
    description: Option<String>,
}

impl TryFrom<LimitCreate> for LimitCreation {
    type Error = ApiError;

    fn try_from(body: LimitCreate) -> Result<Self, ApiError> {
        let (project_id, domain_id) = match (body.project_id, body.domain_id) {
            (Change::Set(Some(id)), Change::Keep) => (Some(ProjectId::from(id)), None),
            (Change::Keep, Change::Set(Some(id))) => (None, Some(DomainId::from(id))),
            _ => {
                return Err(ApiError::bad_request(
                    "Invalid input for field 'limits': give each limit's project_id or its \
                     domain_id.",
                ));
            }
        };
        Ok(Self {
            project_id,
            domain_id,
            resource: limit::Resource {
                service_id: body.service_id.into(),
                region_id: body.region_id.map(RegionId::from),
                name: body.resource_name,
            },
            resource_limit: body.resource_limit,
            description: body.description,
        })
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LimitUpdateRequest {
    limit: LimitUpdate,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LimitUpdate {
    #[schema(minimum = -1, nullable = false)]
    resource_limit: Option<i32>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, max_length = 255)]
    description: Change<Option<String>>,
}

/// A registered limit as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RegisteredLimit)]
struct RegisteredLimitView {
    id: String,
    service_id: String,
    region_id: Option<String>,
    resource_name: String,
    default_limit: i32,
    description: Option<String>,
    links: SelfLink,
}

impl RegisteredLimitView {
    fn new(limit: RegisteredLimit, base_url: &BaseUrl) -> Self {
        Self {
            links: base_url.self_link(format_args!("registered_limits/{}", limit.id)),
            id: limit.id.into(),
            service_id: limit.resource.service_id.into(),
            region_id: limit.resource.region_id.map(Into::into),
            resource_name: limit.resource.name,
            default_limit: limit.default_limit,
            description: limit.description,
        }
    }
}

impl Resource for RegisteredLimitView {
    const ONE: &'static str = "registered_limit";
    const MANY: &'static str = "registered_limits";
}

/// A limit as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Limit)]
struct LimitView {
    id: String,
    project_id: Option<String>,
    domain_id: Option<String>,
    service_id: String,
    region_id: Option<String>,
    resource_name: String,
    resource_limit: i32,
    description: Option<String>,
    links: SelfLink,
}

impl LimitView {
    fn new(limit: Limit, base_url: &BaseUrl) -> Self {
        Self {
            links: base_url.self_link(format_args!("limits/{}", limit.id)),
            id: limit.id.into(),
            project_id: limit.project_id.map(Into::into),
            domain_id: limit.domain_id.map(Into::into),
            service_id: limit.resource.service_id.into(),
            region_id: limit.resource.region_id.map(Into::into),
            resource_name: limit.resource.name,
            resource_limit: limit.resource_limit,
            description: limit.description,
        }
    }
}

impl Resource for LimitView {
    const ONE: &'static str = "limit";
    const MANY: &'static str = "limits";
}

/// How limits of a project and of those below it go together.
#[derive(Debug, Serialize, ToSchema)]
struct ModelEnvelope {
    model: Model,
}

#[derive(Debug, Serialize, ToSchema)]
struct Model {
    name: &'static str,
    description: &'static str,
}
