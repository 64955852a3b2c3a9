//! `/v3/projects`, and the projects of a user.

use archstone_identity::{ProjectChange, ProjectCreation};
use archstone_model::{
    Extra,
    id::{DomainId, ProjectId, UserId},
    listing::Change,
    project::{Project, ProjectFilter, ResourceOptions, TagFilter},
};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    body::{Body, LenientBool, nullable, without_reserved},
    caller::Authenticated,
    error::{ApiError, Result},
    links::{BaseUrl, SelfLink},
    project_tags::check_tags,
    query::{Comparisons, Filters, ListQuery, Name, Paging},
    resource::{Envelope, List, Resource},
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, update, delete))
        .routes(routes!(of_user))
}

/// Lists projects.
#[utoipa::path(get, path = "/projects", tag = "projects",
    params(Filters<ProjectQuery>, Comparisons<Name>, Paging), responses((status = 200, body = List<ProjectView>)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<List<ProjectView>> {
    query.check::<ProjectQuery>()?;
    let projects = app.identity.projects(&caller, filter(&query)?).await?;
    let (view, path) = (ProjectView::new, "projects");
    Ok(List::new(projects, view, path, &base_url, &query))
}

/// Lists the projects in which a user has a role.
#[utoipa::path(get, path = "/users/{user_id}/projects", tag = "users",
    params(("user_id" = String, Path), Filters<ProjectQuery>, Comparisons<Name>, Paging), responses((status = 200, body = List<ProjectView>)))]
async fn of_user(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(user_id): Path<UserId>,
    query: ListQuery,
) -> Result<List<ProjectView>> {
    let projects = app
        .identity
        .projects_of_user(&caller, &user_id, &filter(&query)?)
        .await?;
    let path = format!("users/{user_id}/projects");
    Ok(List::new(
        projects,
        ProjectView::new,
        &path,
        &base_url,
        &query,
    ))
}

/// Creates a project.
#[utoipa::path(post, path = "/projects", tag = "projects", request_body = ProjectCreateRequest,
    responses((status = 201, body = Envelope<ProjectView>)))]
async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Body(request): Body<ProjectCreateRequest>,
) -> Result<(StatusCode, Envelope<ProjectView>)> {
    let project = app
        .identity
        .create_project(&caller, request.project.try_into()?)
        .await?;
    let view = ProjectView::new(project, &base_url);
    Ok((StatusCode::CREATED, Envelope(view)))
}

/// Shows a project, with the projects above or below it where they are asked for.
#[utoipa::path(get, path = "/projects/{project_id}", tag = "projects",
    params(("project_id" = String, Path), Filters<RelativesQuery>), responses((status = 200, body = Envelope<ProjectView>)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(project_id): Path<ProjectId>,
    query: ListQuery,
) -> Result<Envelope<ProjectView>> {
    let asks = |name: &str| query.asks(name);
    if (asks("parents_as_list") && asks("parents_as_ids"))
        || (asks("subtree_as_list") && asks("subtree_as_ids"))
    {
        return Err(ApiError::bad_request(
            "Cannot use both a list and a tree of ids for the same direction.",
        ));
    }
    let project = app.identity.project(&caller, &project_id).await?;
    let (mut parents, mut subtree) = (None, None);
    let view = |project| json!({ "project": ProjectView::new(project, &base_url) });
    if asks("parents_as_list") || asks("parents_as_ids") {
        let found = app.identity.project_parents(&project).await?;
        parents = Some(if asks("parents_as_ids") {
            nest(found.iter().map(|parent| parent.id.as_str()), &project)
        } else {
            let own = app.identity.reachable_among(&caller, found).await?;
            own.into_iter().map(view).collect()
        });
    }
    if asks("subtree_as_list") || asks("subtree_as_ids") {
        let found = app.identity.project_subtree(&project_id).await?;
        subtree = Some(if asks("subtree_as_ids") {
            tree(&found, &project_id)
        } else {
            let own = app.identity.reachable_among(&caller, found).await?;
            own.into_iter().map(view).collect()
        });
    }
    Ok(Envelope(ProjectView {
        parents,
        subtree,
        ..ProjectView::new(project, &base_url)
    }))
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
    responses((status = 200, body = Envelope<ProjectView>)))]
async fn update(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(project_id): Path<ProjectId>,
    Body(request): Body<ProjectUpdateRequest>,
) -> Result<Envelope<ProjectView>> {
    if request
        .project
        .id
        .as_ref()
        .is_some_and(|id| id != project_id.as_str())
    {
        return Err(ApiError::bad_request("Cannot change ID"));
    }
    let project = app
        .identity
        .update_project(&caller, &project_id, request.project.try_into()?)
        .await?;
    Ok(Envelope(ProjectView {
        // Keystone tells the attributes outside the schema twice here, and clients may read either.
        extra_again: Some(project.extra.clone()),
        ..ProjectView::new(project, &base_url)
    }))
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

/// `options` of projects, domains and roles, as clients see them.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub(crate) struct ResourceOptionsBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    immutable: Option<bool>,
}

impl From<ResourceOptions> for ResourceOptionsBody {
    fn from(options: ResourceOptions) -> Self {
        Self {
            immutable: options.immutable,
        }
    }
}

/// `options` of projects, domains and roles in a request: null removes one.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResourceOptionsRequest {
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<bool>)]
    immutable: Change<Option<bool>>,
}

impl ResourceOptionsRequest {
    /// The change that giving these options makes. An option that is not named stays as it is.
    pub(crate) fn into_change(options: Option<Self>) -> Change<Option<bool>> {
        options.map_or(Change::Keep, |options| options.immutable)
    }
}

impl From<ResourceOptionsRequest> for ResourceOptions {
    fn from(options: ResourceOptionsRequest) -> Self {
        Self {
            immutable: options.immutable.into_set().flatten(),
        }
    }
}

/// The filters of a list of projects.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "read by its schema only")]
struct ProjectQuery {
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = "^[a-zA-Z0-9-]+$",
        nullable = false
    )]
    domain_id: Option<String>,
    #[schema(nullable = false)]
    enabled: Option<LenientBool>,
    #[schema(min_length = 1, max_length = 64, pattern = r"[\S]+", nullable = false)]
    name: Option<String>,
    #[schema(pattern = "^([0-9a-fA-F]-?){32}$", nullable = false)]
    parent_id: Option<String>,
    #[schema(nullable = false)]
    is_domain: Option<LenientBool>,
    /// Tags with commas between them, all of which a project must have.
    #[schema(nullable = false)]
    tags: Option<String>,
    /// Tags of which a project must have one.
    #[serde(rename = "tags-any")]
    #[schema(nullable = false)]
    any_tags: Option<String>,
    /// Tags of which a project must lack one.
    #[serde(rename = "not-tags")]
    #[schema(nullable = false)]
    not_tags: Option<String>,
    /// Tags all of which a project must lack.
    #[serde(rename = "not-tags-any")]
    #[schema(nullable = false)]
    not_any_tags: Option<String>,
}

/// What to show beside a project; anything but 0 asks for it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct RelativesQuery {
    parents_as_list: Option<String>,
    parents_as_ids: Option<String>,
    subtree_as_list: Option<String>,
    subtree_as_ids: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProjectCreateRequest {
    project: ProjectCreate,
}

#[derive(Debug, Deserialize, ToSchema)]
struct ProjectCreate {
    #[schema(min_length = 1, max_length = 64, pattern = r"[\S]+")]
    name: String,
    #[schema(min_length = 1, max_length = 64, pattern = "^[a-zA-Z0-9-]+$")]
    domain_id: Option<String>,
    #[schema(min_length = 1, max_length = 64, pattern = "^[a-zA-Z0-9-]+$")]
    parent_id: Option<String>,
    #[schema(nullable = false)]
    is_domain: Option<bool>,
    #[schema(nullable = false)]
    enabled: Option<bool>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    description: Change<Option<String>>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    options: ResourceOptionsRequest,
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
            is_domain: project.is_domain.unwrap_or(false),
            enabled: project.enabled.unwrap_or(true),
            description: project
                .description
                .into_set()
                .unwrap_or(Some(String::new())),
            tags: project.tags,
            options: project.options.into(),
            extra: without_reserved(project.extra),
        })
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProjectUpdateRequest {
    #[serde(default)]
    project: ProjectUpdate,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
struct ProjectUpdate {
    #[schema(ignore)]
    id: Option<Value>,
    #[schema(min_length = 1, max_length = 64, pattern = r"[\S]+", nullable = false)]
    name: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(ignore)]
    domain_id: Change<Option<Value>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(ignore)]
    parent_id: Change<Option<Value>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(ignore)]
    is_domain: Change<Option<Value>>,
    #[schema(nullable = false)]
    enabled: Option<bool>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    description: Change<Option<String>>,
    #[schema(nullable = false)]
    tags: Option<Vec<String>>,
    #[schema(nullable = false)]
    options: Option<ResourceOptionsRequest>,
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
            enabled: project.enabled.into(),
            description: project.description,
            tags: project.tags.into(),
            immutable: ResourceOptionsRequest::into_change(project.options),
            domain_id: project.domain_id.map(|id| id.map(id_in)),
            parent_id: project.parent_id.map(|id| id.map(id_in)),
            is_domain: project
                .is_domain
                .map(|value| value.as_ref().and_then(Value::as_bool)),
            extra: without_reserved(project.extra),
        })
    }
}

/// An id that is only compared; what is no text equals none.
fn id_in<T: From<String>>(value: Value) -> T {
    match value {
        Value::String(id) => T::from(id),
        other => T::from(other.to_string()),
    }
}

/// A project as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Project)]
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
    /// The projects above, as a list or as a tree of ids.
    #[serde(skip_serializing_if = "Option::is_none")]
    parents: Option<Value>,
    /// The projects below.
    #[serde(skip_serializing_if = "Option::is_none")]
    subtree: Option<Value>,
    /// The attributes outside the schema once more, in the answer to a change.
    #[serde(rename = "extra", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, required = false)]
    extra_again: Option<Extra>,
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
            parents: None,
            subtree: None,
            extra_again: None,
        }
    }
}

impl Resource for ProjectView {
    const ONE: &'static str = "project";
    const MANY: &'static str = "projects";
}
