//! `/v3/regions`.

use archstone_model::{
    Extra,
    catalog::{Region, RegionFilter, RegionPatch},
    id::RegionId,
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
    body::{Body, non_empty, nullable},
    caller::Authenticated,
    catalog::{new_id, refuse_new_id, without_id},
    error::{ApiError, Result},
    links::{BaseUrl, SelfLink},
    query::{Filters, ListQuery, Paging},
    resource::{Envelope, List, Resource},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_regions, create_region))
        .routes(routes!(
            show_region,
            put_region,
            update_region,
            delete_region
        ))
}

/// Lists regions.
#[utoipa::path(get, path = "/regions", tag = "catalog",
    params(Filters<RegionQuery>, Paging), responses((status = 200, body = List<RegionView>)))]
async fn list_regions(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<List<RegionView>> {
    // The link to a next page has parameters that no client may make up.
    if !query.has("marker") {
        query.check::<RegionQuery>()?;
    }
    let filter = RegionFilter {
        parent_region_id: query.get("parent_region_id").map(RegionId::from),
        page: query.page()?,
    };
    let regions = app.identity.regions(&caller, filter).await?;
    Ok(List::new(
        regions,
        RegionView::new,
        "regions",
        &base_url,
        &query,
    ))
}

/// Creates a region.
#[utoipa::path(post, path = "/regions", tag = "catalog", request_body = RegionCreateRequest,
    responses((status = 201, body = Envelope<RegionView>)))]
async fn create_region(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Body(request): Body<RegionCreateRequest>,
) -> Result<(StatusCode, Envelope<RegionView>)> {
    let region = app
        .identity
        .create_region(&caller, request.region.into_region(None)?)
        .await?;
    Ok((
        StatusCode::CREATED,
        Envelope(RegionView::new(region, &base_url)),
    ))
}

/// Creates a region with a given id.
#[utoipa::path(put, path = "/regions/{region_id}", tag = "catalog",
    params(("region_id" = String, Path)), request_body = RegionCreateRequest,
    responses((status = 201, body = Envelope<RegionView>)))]
async fn put_region(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(region_id): Path<RegionId>,
    Body(request): Body<RegionCreateRequest>,
) -> Result<(StatusCode, Envelope<RegionView>)> {
    let region = request.region.into_region(Some(region_id))?;
    let region = app.identity.create_region(&caller, region).await?;
    Ok((
        StatusCode::CREATED,
        Envelope(RegionView::new(region, &base_url)),
    ))
}

/// Shows a region.
#[utoipa::path(get, path = "/regions/{region_id}", tag = "catalog",
    params(("region_id" = String, Path)), responses((status = 200, body = Envelope<RegionView>)))]
async fn show_region(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(region_id): Path<RegionId>,
) -> Result<Envelope<RegionView>> {
    let region = app.identity.region(&caller, &region_id).await?;
    Ok(Envelope(RegionView::new(region, &base_url)))
}

/// Changes a region.
#[utoipa::path(patch, path = "/regions/{region_id}", tag = "catalog",
    params(("region_id" = String, Path)), request_body = RegionUpdateRequest,
    responses((status = 200, body = Envelope<RegionView>)))]
async fn update_region(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(region_id): Path<RegionId>,
    Body(request): Body<RegionUpdateRequest>,
) -> Result<Envelope<RegionView>> {
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
    Ok(Envelope(RegionView::new(region, &base_url)))
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

/// A region as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Region)]
struct RegionView {
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
    id: String,
    description: String,
    parent_region_id: Option<String>,
    links: SelfLink,
}

impl RegionView {
    fn new(region: Region, base_url: &BaseUrl) -> Self {
        Self {
            links: base_url.self_link(format_args!("regions/{}", region.id)),
            extra: region.extra,
            id: region.id.into(),
            description: region.description,
            parent_region_id: region.parent_region_id.map(Into::into),
        }
    }
}

impl Resource for RegionView {
    const ONE: &'static str = "region";
    const MANY: &'static str = "regions";
}
