//! `/v3/projects` and `/v3/domains`.

use archstone_identity::{DomainCreation, ProjectChange, ProjectCreation};
use archstone_model::{
    Extra,
    id::{DomainId, ProjectId, UserId},
    listing::Change,
    project::{Domain, Project, ProjectFilter, ResourceOptions, TagFilter},
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    body::{Body, LenientBool, nullable},
    caller::Authenticated,
    error::{ApiError, Result},
    links::{BaseUrl, ListLinks, SelfLink},
    query::ListQuery,
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, update, delete))
        .routes(routes!(tags, set_tags, clear_tags))
        .routes(routes!(check_tag, add_tag, remove_tag))
        .routes(routes!(of_user))
        .routes(routes!(list_domains, create_domain))
        .routes(routes!(show_domain, update_domain, delete_domain))
}

/// Lists projects.
#[utoipa::path(get, path = "/projects", tag = "projects", responses((status = 200)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<Json<Value>> {
    let projects = app.identity.projects(&caller, filter(&query)?).await?;
    Ok(Json(render_list(
        projects,
        &base_url,
        format!("projects{}", query.suffix()),
    )))
}

/// Lists the projects in which a user has a role.
#[utoipa::path(get, path = "/users/{user_id}/projects", tag = "users",
    params(("user_id" = String, Path)), responses((status = 200)))]
async fn of_user(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(user_id): Path<UserId>,
    query: ListQuery,
) -> Result<Json<Value>> {
    let projects = app
        .identity
        .projects_of_user(&caller, &user_id, &filter(&query)?)
        .await?;
    let path = format!("users/{user_id}/projects{}", query.suffix());
    Ok(Json(render_list(projects, &base_url, path)))
}

/// Creates a project.
#[utoipa::path(post, path = "/projects", tag = "projects", request_body = ProjectCreateRequest,
    responses((status = 201)))]
async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Body(request): Body<ProjectCreateRequest>,
) -> Result<(StatusCode, Json<Value>)> {
    let project = app
        .identity
        .create_project(&caller, request.project.try_into()?)
        .await?;
    Ok((
        StatusCode::CREATED,
        Json(json!({ "project": ProjectView::new(project, &base_url) })),
    ))
}

/// Shows a project, with the projects above or below it where they are asked for.
#[utoipa::path(get, path = "/projects/{project_id}", tag = "projects",
    params(("project_id" = String, Path)), responses((status = 200)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(project_id): Path<ProjectId>,
    query: ListQuery,
) -> Result<Json<Value>> {
    let asks = |name: &str| query.has(name) && query.bool(name) != Some(false);
    if (asks("parents_as_list") && asks("parents_as_ids"))
        || (asks("subtree_as_list") && asks("subtree_as_ids"))
    {
        return Err(ApiError::bad_request(
            "Cannot use both a list and a tree of ids for the same direction.",
        ));
    }
    let project = app.identity.project(&caller, &project_id).await?;
    let mut related = json!({});
    if asks("parents_as_list") || asks("parents_as_ids") {
        let parents = app.identity.project_parents(&project).await?;
        related["parents"] = if asks("parents_as_ids") {
            nest(parents.iter().map(|parent| parent.id.as_str()), &project)
        } else {
            json!(
                parents
                    .into_iter()
                    .map(|parent| json!({ "project": ProjectView::new(parent, &base_url) }))
                    .collect::<Vec<_>>()
            )
        };
    }
    if asks("subtree_as_list") || asks("subtree_as_ids") {
        let subtree = app.identity.project_subtree(&project_id).await?;
        related["subtree"] = if asks("subtree_as_ids") {
            tree(&subtree, &project_id)
        } else {
            json!(
                subtree
                    .into_iter()
                    .map(|below| json!({ "project": ProjectView::new(below, &base_url) }))
                    .collect::<Vec<_>>()
            )
        };
    }
    let mut view = json!(ProjectView::new(project, &base_url));
    if let (Some(view), Value::Object(related)) = (view.as_object_mut(), related) {
        view.extend(related);
    }
    Ok(Json(json!({ "project": view })))
}

/// `{nearest: {next: ... null}}`; the domain ends the chain.
fn nest<'a>(ids: impl DoubleEndedIterator<Item = &'a str>, project: &Project) -> Value {
    let mut chain: Vec<String> = ids.map(str::to_owned).collect();
    if let Some(domain_id) = &project.domain_id {
        chain.push(domain_id.to_string());
    }
    chain
        .into_iter()
        .rev()
        .fold(Value::Null, |inner, id| json!({ id: inner }))
}

fn tree(subtree: &[Project], parent: &ProjectId) -> Value {
    let children: serde_json::Map<String, Value> = subtree
        .iter()
        .filter(|project| project.parent_id.as_ref() == Some(parent))
        .map(|project| (project.id.to_string(), tree(subtree, &project.id)))
        .collect();
    if children.is_empty() {
        Value::Null
    } else {
        Value::Object(children)
    }
}

/// Changes a project.
#[utoipa::path(patch, path = "/projects/{project_id}", tag = "projects",
    params(("project_id" = String, Path)), request_body = ProjectUpdateRequest,
    responses((status = 200)))]
async fn update(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(project_id): Path<ProjectId>,
    Body(request): Body<ProjectUpdateRequest>,
) -> Result<Json<Value>> {
    if request
        .project
        .id
        .as_ref()
        .is_some_and(|id| id != project_id.as_str())
    {
        return Err(ApiError::bad_request("Cannot change project ID"));
    }
    let project = app
        .identity
        .update_project(&caller, &project_id, request.project.try_into()?)
        .await?;
    Ok(Json(
        json!({ "project": ProjectView::new(project, &base_url) }),
    ))
}

/// Deletes a project.
#[utoipa::path(delete, path = "/projects/{project_id}", tag = "projects",
    params(("project_id" = String, Path)), responses((status = 204)))]
async fn delete(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(project_id): Path<ProjectId>,
) -> Result<StatusCode> {
    app.identity.delete_project(&caller, &project_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists a project's tags.
#[utoipa::path(get, path = "/projects/{project_id}/tags", tag = "projects",
    params(("project_id" = String, Path)), responses((status = 200)))]
async fn tags(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(project_id): Path<ProjectId>,
) -> Result<Json<Value>> {
    let tags = app
        .identity
        .project_tags(&caller, &project_id, "identity:list_project_tags")
        .await?;
    Ok(Json(render_tags(tags, &base_url, &project_id)))
}

/// Replaces a project's tags.
#[utoipa::path(put, path = "/projects/{project_id}/tags", tag = "projects",
    params(("project_id" = String, Path)), request_body = TagsRequest, responses((status = 200)))]
async fn set_tags(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(project_id): Path<ProjectId>,
    Body(request): Body<TagsRequest>,
) -> Result<Json<Value>> {
    check_tags(&request.tags)?;
    let tags = app
        .identity
        .set_project_tags(
            &caller,
            &project_id,
            "identity:update_project_tags",
            request.tags,
        )
        .await?;
    Ok(Json(render_tags(tags, &base_url, &project_id)))
}

/// Removes all of a project's tags.
#[utoipa::path(delete, path = "/projects/{project_id}/tags", tag = "projects",
    params(("project_id" = String, Path)), responses((status = 204)))]
async fn clear_tags(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(project_id): Path<ProjectId>,
) -> Result<StatusCode> {
    app.identity
        .set_project_tags(
            &caller,
            &project_id,
            "identity:delete_project_tags",
            Vec::new(),
        )
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether a project has a tag.
#[utoipa::path(get, path = "/projects/{project_id}/tags/{value}", tag = "projects",
    params(("project_id" = String, Path), ("value" = String, Path)), responses((status = 204)))]
async fn check_tag(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((project_id, value)): Path<(ProjectId, String)>,
) -> Result<StatusCode> {
    let tags = app
        .identity
        .project_tags(&caller, &project_id, "identity:get_project_tag")
        .await?;
    if tags.contains(&value) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(no_tag(&value))
    }
}

/// Adds a tag to a project.
#[utoipa::path(put, path = "/projects/{project_id}/tags/{value}", tag = "projects",
    params(("project_id" = String, Path), ("value" = String, Path)), responses((status = 201)))]
async fn add_tag(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path((project_id, value)): Path<(ProjectId, String)>,
) -> Result {
    const ACTION: &str = "identity:create_project_tag";
    let mut tags = app
        .identity
        .project_tags(&caller, &project_id, ACTION)
        .await?;
    tags.push(value.clone());
    tags.sort();
    tags.dedup();
    check_tags(&tags)?;
    app.identity
        .set_project_tags(&caller, &project_id, ACTION, tags)
        .await?;
    let mut response: Response = StatusCode::CREATED.into_response();
    let location = base_url.v3(format_args!("projects/{project_id}/tags/{value}"));
    if let Ok(location) = location.parse() {
        response
            .headers_mut()
            .insert(axum::http::header::LOCATION, location);
    }
    Ok(response)
}

/// Removes a tag from a project.
#[utoipa::path(delete, path = "/projects/{project_id}/tags/{value}", tag = "projects",
    params(("project_id" = String, Path), ("value" = String, Path)), responses((status = 204)))]
async fn remove_tag(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((project_id, value)): Path<(ProjectId, String)>,
) -> Result<StatusCode> {
    const ACTION: &str = "identity:delete_project_tag";
    let mut tags = app
        .identity
        .project_tags(&caller, &project_id, ACTION)
        .await?;
    if !tags.contains(&value) {
        return Err(no_tag(&value));
    }
    tags.retain(|tag| *tag != value);
    app.identity
        .set_project_tags(&caller, &project_id, ACTION, tags)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists domains.
#[utoipa::path(get, path = "/domains", tag = "domains", responses((status = 200)))]
async fn list_domains(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<Json<Value>> {
    let filter = ProjectFilter {
        is_domain: Some(true),
        domain_id: None,
        ..filter(&query)?
    };
    let domains = app.identity.domains(&caller, filter).await?;
    let views: Vec<_> = domains
        .into_iter()
        .map(|domain| DomainView::new(domain, &base_url))
        .collect();
    let links = ListLinks::complete(base_url.v3(format_args!("domains{}", query.suffix())));
    Ok(Json(json!({ "domains": views, "links": links })))
}

/// Creates a domain.
#[utoipa::path(post, path = "/domains", tag = "domains", request_body = DomainCreateRequest,
    responses((status = 201)))]
async fn create_domain(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Body(request): Body<DomainCreateRequest>,
) -> Result<(StatusCode, Json<Value>)> {
    let domain = app
        .identity
        .create_domain(&caller, request.domain.try_into()?)
        .await?;
    Ok((
        StatusCode::CREATED,
        Json(json!({ "domain": DomainView::new(domain, &base_url) })),
    ))
}

/// Shows a domain.
#[utoipa::path(get, path = "/domains/{domain_id}", tag = "domains",
    params(("domain_id" = String, Path)), responses((status = 200)))]
async fn show_domain(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(domain_id): Path<DomainId>,
) -> Result<Json<Value>> {
    let domain = app.identity.domain(&caller, &domain_id).await?;
    Ok(Json(
        json!({ "domain": DomainView::new(domain, &base_url) }),
    ))
}

/// Changes a domain.
#[utoipa::path(patch, path = "/domains/{domain_id}", tag = "domains",
    params(("domain_id" = String, Path)), request_body = DomainUpdateRequest,
    responses((status = 200)))]
async fn update_domain(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(domain_id): Path<DomainId>,
    Body(request): Body<DomainUpdateRequest>,
) -> Result<Json<Value>> {
    if request
        .domain
        .id
        .as_ref()
        .is_some_and(|id| id != domain_id.as_str())
    {
        return Err(ApiError::bad_request("Cannot change domain ID"));
    }
    let domain = app
        .identity
        .update_domain(&caller, &domain_id, request.domain.try_into()?)
        .await?;
    Ok(Json(
        json!({ "domain": DomainView::new(domain, &base_url) }),
    ))
}

/// Deletes a disabled domain with everything in it.
#[utoipa::path(delete, path = "/domains/{domain_id}", tag = "domains",
    params(("domain_id" = String, Path)), responses((status = 204)))]
async fn delete_domain(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(domain_id): Path<DomainId>,
) -> Result<StatusCode> {
    app.identity.delete_domain(&caller, &domain_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn filter(query: &ListQuery) -> Result<ProjectFilter> {
    let list = |name: &str| -> Vec<String> {
        query
            .get(name)
            .into_iter()
            .flat_map(|tags| tags.split(','))
            .map(str::to_owned)
            .collect()
    };
    Ok(ProjectFilter {
        domain_id: query.get("domain_id").map(DomainId::from),
        parent_id: query.get("parent_id").map(ProjectId::from),
        is_domain: Some(query.bool("is_domain").unwrap_or(false)),
        enabled: query.bool("enabled"),
        names: query.names(),
        tags: TagFilter {
            all: list("tags"),
            any: list("tags-any"),
            not_all: list("not-tags"),
            not_any: list("not-tags-any"),
        },
        page: query.page()?,
    })
}

fn render_list(projects: Vec<Project>, base_url: &BaseUrl, path: String) -> Value {
    let views: Vec<_> = projects
        .into_iter()
        .map(|project| ProjectView::new(project, base_url))
        .collect();
    json!({ "projects": views, "links": ListLinks::complete(base_url.v3(path)) })
}

fn render_tags(tags: Vec<String>, base_url: &BaseUrl, project_id: &ProjectId) -> Value {
    let links = ListLinks::complete(base_url.v3(format_args!("projects/{project_id}/tags")));
    json!({ "tags": tags, "links": links })
}

fn no_tag(value: &str) -> ApiError {
    archstone_identity::Error::not_found(archstone_model::entity::Entity::ProjectTag, value).into()
}

/// What a tag may be: 1 to 255 characters without `/` and `,`, at most 80 of them, none twice.
fn check_tags(tags: &[String]) -> Result<(), ApiError> {
    let bad =
        |tag: &&String| tag.is_empty() || tag.chars().count() > 255 || tag.contains(['/', ',']);
    if let Some(tag) = tags.iter().find(bad) {
        return Err(ApiError::bad_request(format!(
            "Invalid input for field 'tags': '{tag}' is not a tag: one has 1 to 255 characters \
             and neither '/' nor ','"
        )));
    }
    let mut sorted: Vec<_> = tags.iter().collect();
    sorted.sort();
    sorted.dedup();
    if sorted.len() != tags.len() {
        return Err(ApiError::bad_request(
            "Invalid input for field 'tags': has non-unique elements",
        ));
    }
    if tags.len() > 80 {
        return Err(ApiError::bad_request(
            "Invalid input for field 'tags': is too long",
        ));
    }
    Ok(())
}

#[derive(Debug, Deserialize, ToSchema)]
struct TagsRequest {
    tags: Vec<String>,
}

/// `options` of projects, domains and roles.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResourceOptionsBody {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    immutable: Option<bool>,
}

impl ResourceOptionsBody {
    /// The change that giving these options makes.
    pub(crate) fn into_change(options: Option<Self>) -> Change<Option<bool>> {
        options.map(|options| options.immutable).into()
    }
}

impl From<ResourceOptionsBody> for ResourceOptions {
    fn from(options: ResourceOptionsBody) -> Self {
        Self {
            immutable: options.immutable,
        }
    }
}

impl From<ResourceOptions> for ResourceOptionsBody {
    fn from(options: ResourceOptions) -> Self {
        Self {
            immutable: options.immutable,
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
struct ProjectCreateRequest {
    project: ProjectCreate,
}

#[derive(Debug, Deserialize, ToSchema)]
struct ProjectCreate {
    #[schema(min_length = 1, max_length = 64, pattern = r"[\S]+")]
    name: String,
    domain_id: Option<String>,
    parent_id: Option<String>,
    is_domain: Option<LenientBool>,
    enabled: Option<LenientBool>,
    description: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    options: ResourceOptionsBody,
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
}

impl TryFrom<ProjectCreate> for ProjectCreation {
    type Error = ApiError;

    fn try_from(project: ProjectCreate) -> Result<Self, ApiError> {
        check_tags(&project.tags)?;
        Ok(Self {
            name: project.name,
            domain_id: project.domain_id.map(DomainId::from),
            parent_id: project.parent_id.map(ProjectId::from),
            is_domain: project.is_domain.is_some_and(bool::from),
            enabled: project.enabled.is_none_or(bool::from),
            description: project.description,
            tags: project.tags,
            options: project.options.into(),
            extra: project.extra,
        })
    }
}

#[derive(Debug, Deserialize, ToSchema)]
struct ProjectUpdateRequest {
    project: ProjectUpdate,
}

#[derive(Debug, Deserialize, ToSchema)]
struct DomainUpdateRequest {
    domain: ProjectUpdate,
}

#[derive(Debug, Deserialize, ToSchema)]
struct ProjectUpdate {
    id: Option<String>,
    #[schema(min_length = 1, max_length = 64, pattern = r"[\S]+")]
    name: Option<String>,
    domain_id: Option<String>,
    parent_id: Option<String>,
    is_domain: Option<LenientBool>,
    enabled: Option<LenientBool>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    description: Change<Option<String>>,
    tags: Option<Vec<String>>,
    options: Option<ResourceOptionsBody>,
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
}

impl TryFrom<ProjectUpdate> for ProjectChange {
    type Error = ApiError;

    fn try_from(project: ProjectUpdate) -> Result<Self, ApiError> {
        check_tags(project.tags.as_deref().unwrap_or_default())?;
        Ok(Self {
            name: project.name.into(),
            enabled: project.enabled.map(bool::from).into(),
            description: project.description,
            tags: project.tags.into(),
            immutable: ResourceOptionsBody::into_change(project.options),
            domain_id: project.domain_id.map(DomainId::from),
            parent_id: project.parent_id.map(ProjectId::from),
            is_domain: project.is_domain.map(bool::from),
            extra: project.extra,
        })
    }
}

#[derive(Debug, Deserialize, ToSchema)]
struct DomainCreateRequest {
    domain: DomainCreate,
}

#[derive(Debug, Deserialize, ToSchema)]
struct DomainCreate {
    #[schema(min_length = 1, max_length = 64, pattern = r"[\S]+")]
    name: String,
    /// 32 hexadecimal digits, where another cloud has the domain already.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    explicit_domain_id: Option<String>,
    enabled: Option<LenientBool>,
    description: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    options: ResourceOptionsBody,
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
}

impl TryFrom<DomainCreate> for DomainCreation {
    type Error = ApiError;

    fn try_from(domain: DomainCreate) -> Result<Self, ApiError> {
        check_tags(&domain.tags)?;
        Ok(Self {
            name: domain.name,
            explicit_id: domain.explicit_domain_id.map(DomainId::from),
            enabled: domain.enabled.is_none_or(bool::from),
            description: domain.description,
            tags: domain.tags,
            options: domain.options.into(),
            extra: domain.extra,
        })
    }
}

/// A project as clients see it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProjectView {
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
    #[schema(value_type = String)]
    id: ProjectId,
    name: String,
    #[schema(value_type = Option<String>)]
    domain_id: Option<DomainId>,
    description: Option<String>,
    enabled: bool,
    #[schema(value_type = Option<String>)]
    parent_id: Option<ProjectId>,
    is_domain: bool,
    tags: Vec<String>,
    options: ResourceOptionsBody,
    links: SelfLink,
}

impl ProjectView {
    pub(crate) fn new(project: Project, base_url: &BaseUrl) -> Self {
        Self {
            links: base_url.self_link(format_args!("projects/{}", project.id)),
            extra: project.extra,
            id: project.id,
            name: project.name,
            domain_id: project.domain_id,
            description: project.description,
            enabled: project.enabled,
            parent_id: project.parent_id,
            is_domain: project.is_domain,
            tags: project.tags,
            options: project.options.into(),
        }
    }
}

/// A domain as clients see it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DomainView {
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
    #[schema(value_type = String)]
    id: DomainId,
    name: String,
    description: Option<String>,
    enabled: bool,
    tags: Vec<String>,
    options: ResourceOptionsBody,
    links: SelfLink,
}

impl DomainView {
    pub(crate) fn new(domain: Domain, base_url: &BaseUrl) -> Self {
        Self {
            links: base_url.self_link(format_args!("domains/{}", domain.id)),
            extra: domain.extra,
            id: domain.id,
            name: domain.name,
            description: domain.description,
            enabled: domain.enabled,
            tags: domain.tags,
            options: domain.options.into(),
        }
    }
}
