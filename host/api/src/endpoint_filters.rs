//! `/v3/OS-EP-FILTER`: endpoint groups, and which endpoints and groups of them projects have.

use archstone_identity::EndpointGroupCreation;
use archstone_model::{
    Extra,
    endpoint_filter::{EndpointGroup, EndpointGroupFilter, EndpointGroupPatch},
    id::{EndpointGroupId, EndpointId, ProjectId},
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
    body::{Body, non_empty, nullable},
    caller::Authenticated,
    catalog::EndpointView,
    error::Result,
    links::{BaseUrl, SelfLink},
    projects::ProjectView,
    query::{Filters, ListQuery},
    resource::{Envelope, List, Resource},
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, update, delete))
        .routes(routes!(list_endpoints_in_group))
        .routes(routes!(list_projects_with_group))
        .routes(routes!(show_group_in_project, add_group, remove_group))
        .routes(routes!(list_groups_of_project))
        .routes(routes!(list_endpoints_of_project))
        .routes(routes!(list_projects_with_endpoint))
        .routes(routes!(check_endpoint, add_endpoint, remove_endpoint))
}

/// Lists endpoint groups.
#[utoipa::path(get, path = "/OS-EP-FILTER/endpoint_groups", tag = "endpoint filter",
    params(Filters<EndpointGroupQuery>), responses((status = 200, body = List<EndpointGroupView>)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<List<EndpointGroupView>> {
    query.check::<EndpointGroupQuery>()?;
    let filter = EndpointGroupFilter {
        names: query.names(),
    };
    let groups = app.identity.endpoint_groups(&caller, filter).await?;
    let path = "OS-EP-FILTER/endpoint_groups";
    Ok(List::new(
        groups,
        EndpointGroupView::new,
        path,
        &base_url,
        &query,
    ))
}

/// Creates an endpoint group.
#[utoipa::path(post, path = "/OS-EP-FILTER/endpoint_groups", tag = "endpoint filter",
    request_body = EndpointGroupCreateRequest, responses((status = 201, body = Envelope<EndpointGroupView>)))]
async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Body(request): Body<EndpointGroupCreateRequest>,
) -> Result<(StatusCode, Envelope<EndpointGroupView>)> {
    let EndpointGroupCreate {
        name,
        description,
        filters,
    } = request.endpoint_group;
    let creation = EndpointGroupCreation {
        name,
        description,
        filters,
    };
    let group = app
        .identity
        .create_endpoint_group(&caller, creation)
        .await?;
    let view = EndpointGroupView::new(group, &base_url);
    Ok((StatusCode::CREATED, Envelope(view)))
}

/// Shows an endpoint group.
#[utoipa::path(get, path = "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}",
    tag = "endpoint filter", params(("endpoint_group_id" = String, Path)),
    responses((status = 200, body = Envelope<EndpointGroupView>)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(id): Path<EndpointGroupId>,
) -> Result<Envelope<EndpointGroupView>> {
    let group = app.identity.endpoint_group(&caller, &id).await?;
    Ok(Envelope(EndpointGroupView::new(group, &base_url)))
}

/// Changes an endpoint group.
#[utoipa::path(patch, path = "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}",
    tag = "endpoint filter", params(("endpoint_group_id" = String, Path)),
    request_body = EndpointGroupUpdateRequest, responses((status = 200, body = Envelope<EndpointGroupView>)))]
async fn update(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(id): Path<EndpointGroupId>,
    Body(request): Body<EndpointGroupUpdateRequest>,
) -> Result<Envelope<EndpointGroupView>> {
    let EndpointGroupUpdate {
        name,
        description,
        filters,
    } = request.endpoint_group;
    let patch = EndpointGroupPatch {
        name: name.into(),
        description,
        filters: filters.into(),
    };
    let group = app
        .identity
        .update_endpoint_group(&caller, &id, patch)
        .await?;
    Ok(Envelope(EndpointGroupView::new(group, &base_url)))
}

/// Deletes an endpoint group.
#[utoipa::path(delete, path = "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}",
    tag = "endpoint filter", params(("endpoint_group_id" = String, Path)),
    responses((status = 204)))]
async fn delete(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(id): Path<EndpointGroupId>,
) -> Result<StatusCode> {
    app.identity.delete_endpoint_group(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the endpoints that are in a group.
#[utoipa::path(get, path = "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/endpoints",
    tag = "endpoint filter", params(("endpoint_group_id" = String, Path)),
    responses((status = 200, body = List<EndpointView>)))]
async fn list_endpoints_in_group(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(id): Path<EndpointGroupId>,
    query: ListQuery,
) -> Result<List<EndpointView>> {
    let endpoints = app.identity.endpoints_in_group(&caller, &id).await?;
    let path = format!("OS-EP-FILTER/endpoint_groups/{id}/endpoints");
    Ok(List::new(
        endpoints,
        EndpointView::new,
        &path,
        &base_url,
        &query,
    ))
}

/// Lists the projects that have an endpoint group.
#[utoipa::path(get, path = "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects",
    tag = "endpoint filter", params(("endpoint_group_id" = String, Path)),
    responses((status = 200, body = List<ProjectView>)))]
async fn list_projects_with_group(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(id): Path<EndpointGroupId>,
    query: ListQuery,
) -> Result<List<ProjectView>> {
    let projects = app
        .identity
        .projects_with_endpoint_group(&caller, &id)
        .await?;
    let path = format!("OS-EP-FILTER/endpoint_groups/{id}/projects");
    Ok(List::new(
        projects,
        ProjectView::new,
        &path,
        &base_url,
        &query,
    ))
}

/// Shows that a project has an endpoint group.
#[utoipa::path(get,
    path = "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects/{project_id}",
    tag = "endpoint filter",
    params(("endpoint_group_id" = String, Path), ("project_id" = String, Path)),
    responses((status = 200, body = ProjectEndpointGroupEnvelope)))]
async fn show_group_in_project(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((id, project_id)): Path<(EndpointGroupId, ProjectId)>,
) -> Result<Json<ProjectEndpointGroupEnvelope>> {
    app.identity
        .check_endpoint_group_in_project(&caller, &id, &project_id)
        .await?;
    // Keystone leaves the link without the server's address.
    let link = format!("/OS-EP-FILTER/endpoint_groups/{id}/projects/{project_id}");
    let project_endpoint_group = ProjectEndpointGroup {
        endpoint_group_id: id.into(),
        project_id: project_id.into(),
        links: SelfLink::to(link),
    };
    Ok(Json(ProjectEndpointGroupEnvelope {
        project_endpoint_group,
    }))
}

/// Gives a project an endpoint group.
#[utoipa::path(put,
    path = "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects/{project_id}",
    tag = "endpoint filter",
    params(("endpoint_group_id" = String, Path), ("project_id" = String, Path)),
    responses((status = 204)))]
async fn add_group(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((id, project_id)): Path<(EndpointGroupId, ProjectId)>,
) -> Result<StatusCode> {
    app.identity
        .add_endpoint_group_to_project(&caller, &id, &project_id)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes an endpoint group from a project.
#[utoipa::path(delete,
    path = "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects/{project_id}",
    tag = "endpoint filter",
    params(("endpoint_group_id" = String, Path), ("project_id" = String, Path)),
    responses((status = 204)))]
async fn remove_group(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((id, project_id)): Path<(EndpointGroupId, ProjectId)>,
) -> Result<StatusCode> {
    app.identity
        .remove_endpoint_group_from_project(&caller, &id, &project_id)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the endpoint groups that a project has.
#[utoipa::path(get, path = "/OS-EP-FILTER/projects/{project_id}/endpoint_groups",
    tag = "endpoint filter", params(("project_id" = String, Path)), responses((status = 200, body = List<EndpointGroupView>)))]
async fn list_groups_of_project(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(project_id): Path<ProjectId>,
    query: ListQuery,
) -> Result<List<EndpointGroupView>> {
    let groups = app
        .identity
        .endpoint_groups_of_project(&caller, &project_id)
        .await?;
    let path = format!("OS-EP-FILTER/projects/{project_id}/endpoint_groups");
    Ok(List::new(
        groups,
        EndpointGroupView::new,
        &path,
        &base_url,
        &query,
    ))
}

/// Lists the endpoints that a project has, by themselves or in groups.
#[utoipa::path(get, path = "/OS-EP-FILTER/projects/{project_id}/endpoints",
    tag = "endpoint filter", params(("project_id" = String, Path)), responses((status = 200, body = List<EndpointView>)))]
async fn list_endpoints_of_project(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(project_id): Path<ProjectId>,
    query: ListQuery,
) -> Result<List<EndpointView>> {
    let endpoints = app
        .identity
        .endpoints_of_project(&caller, &project_id)
        .await?;
    let path = format!("OS-EP-FILTER/projects/{project_id}/endpoints");
    Ok(List::new(
        endpoints,
        EndpointView::new,
        &path,
        &base_url,
        &query,
    ))
}

/// Lists the projects that an endpoint was added to by itself.
#[utoipa::path(get, path = "/OS-EP-FILTER/endpoints/{endpoint_id}/projects",
    tag = "endpoint filter", params(("endpoint_id" = String, Path)), responses((status = 200, body = List<ProjectView>)))]
async fn list_projects_with_endpoint(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(endpoint_id): Path<EndpointId>,
    query: ListQuery,
) -> Result<List<ProjectView>> {
    let projects = app
        .identity
        .projects_with_endpoint(&caller, &endpoint_id)
        .await?;
    let path = format!("OS-EP-FILTER/endpoints/{endpoint_id}/projects");
    Ok(List::new(
        projects,
        ProjectView::new,
        &path,
        &base_url,
        &query,
    ))
}

/// Says whether an endpoint was added to a project by itself.
#[utoipa::path(get, path = "/OS-EP-FILTER/projects/{project_id}/endpoints/{endpoint_id}",
    tag = "endpoint filter",
    params(("project_id" = String, Path), ("endpoint_id" = String, Path)),
    responses((status = 204)))]
async fn check_endpoint(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((project_id, endpoint_id)): Path<(ProjectId, EndpointId)>,
) -> Result<StatusCode> {
    app.identity
        .check_endpoint_in_project(&caller, &endpoint_id, &project_id)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Adds an endpoint to a project.
#[utoipa::path(put, path = "/OS-EP-FILTER/projects/{project_id}/endpoints/{endpoint_id}",
    tag = "endpoint filter",
    params(("project_id" = String, Path), ("endpoint_id" = String, Path)),
    responses((status = 204)))]
async fn add_endpoint(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((project_id, endpoint_id)): Path<(ProjectId, EndpointId)>,
) -> Result<StatusCode> {
    app.identity
        .add_endpoint_to_project(&caller, &endpoint_id, &project_id)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes an endpoint from a project.
#[utoipa::path(delete, path = "/OS-EP-FILTER/projects/{project_id}/endpoints/{endpoint_id}",
    tag = "endpoint filter",
    params(("project_id" = String, Path), ("endpoint_id" = String, Path)),
    responses((status = 204)))]
async fn remove_endpoint(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((project_id, endpoint_id)): Path<(ProjectId, EndpointId)>,
) -> Result<StatusCode> {
    app.identity
        .remove_endpoint_from_project(&caller, &endpoint_id, &project_id)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EndpointGroupQuery {
    #[serde(rename = "name")]
    #[schema(min_length = 1, max_length = 255, pattern = r"[\S]+")]
    _name: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EndpointGroupCreateRequest {
    endpoint_group: EndpointGroupCreate,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EndpointGroupCreate {
    #[schema(min_length = 1, max_length = 255, pattern = r"[\S]+")]
    name: String,
    description: Option<String>,
    #[schema(value_type = EndpointFilters)]
    filters: Extra,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EndpointGroupUpdateRequest {
    #[serde(deserialize_with = "non_empty")]
    endpoint_group: EndpointGroupUpdate,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EndpointGroupUpdate {
    #[schema(min_length = 1, max_length = 255, pattern = r"[\S]+", nullable = false)]
    name: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    description: Change<Option<String>>,
    #[schema(value_type = EndpointFilters, required = false)]
    filters: Option<Extra>,
}

/// What endpoints have in common.
#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct EndpointFilters {
    #[schema(nullable = false, pattern = "^(admin|internal|public)$")]
    interface: Option<String>,
    #[schema(nullable = false)]
    service_id: Option<String>,
    region_id: Option<String>,
}

/// An endpoint group as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EndpointGroup)]
struct EndpointGroupView {
    id: String,
    name: String,
    description: Option<String>,
    #[schema(value_type = Object)]
    filters: Extra,
    links: SelfLink,
}

impl EndpointGroupView {
    fn new(group: EndpointGroup, base_url: &BaseUrl) -> Self {
        Self {
            links: base_url.self_link(format_args!("OS-EP-FILTER/endpoint_groups/{}", group.id)),
            id: group.id.into(),
            name: group.name,
            description: group.description,
            filters: group.filters,
        }
    }
}

impl Resource for EndpointGroupView {
    const ONE: &'static str = "endpoint_group";
    const MANY: &'static str = "endpoint_groups";
}

/// That a project has an endpoint group.
#[derive(Debug, Serialize, ToSchema)]
struct ProjectEndpointGroupEnvelope {
    project_endpoint_group: ProjectEndpointGroup,
}

#[derive(Debug, Serialize, ToSchema)]
struct ProjectEndpointGroup {
    endpoint_group_id: String,
    project_id: String,
    links: SelfLink,
}
