//! `/v3/projects/{project_id}/tags`.

use archstone_model::id::ProjectId;
use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    body::Body,
    caller::Authenticated,
    error::{ApiError, Result},
    links::{BaseUrl, SelfLink},
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(tags, set_tags, clear_tags))
        .routes(routes!(check_tag, add_tag, remove_tag))
}

/// Lists a project's tags.
#[utoipa::path(get, path = "/projects/{project_id}/tags", tag = "projects",
    params(("project_id" = String, Path)), responses((status = 200, body = Tags)))]
async fn tags(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(project_id): Path<ProjectId>,
) -> Result<Json<Tags>> {
    let tags = app
        .identity
        .project_tags(&caller, &project_id, "identity:list_project_tags")
        .await?;
    Ok(Json(Tags::new(tags, &base_url)))
}

/// Replaces a project's tags.
#[utoipa::path(put, path = "/projects/{project_id}/tags", tag = "projects",
    params(("project_id" = String, Path)), request_body = TagsRequest, responses((status = 200, body = Tags)))]
async fn set_tags(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(project_id): Path<ProjectId>,
    Body(request): Body<TagsRequest>,
) -> Result<Json<Tags>> {
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
    Ok(Json(Tags::new(tags, &base_url)))
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
    params(("project_id" = String, Path), ("value" = String, Path)), 
    responses((status = 201, description = "The tag is there. There is no body.",
        headers(("Location" = String, description = "Where the tag is")))))]
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
    check_tags(&tags)?;
    app.identity
        .set_project_tags(&caller, &project_id, ACTION, tags)
        .await?;
    let mut response: Response = StatusCode::CREATED.into_response();
    // Both headers as Keystone writes them: the path lacks its first part, the empty body has a type.
    let value = form_urlencoded::byte_serialize(value.as_bytes())
        .collect::<String>()
        .replace('+', "%20");
    let location = base_url.v3(format_args!("{project_id}/tags/{value}"));
    if let Ok(location) = location.parse() {
        response.headers_mut().insert(header::LOCATION, location);
    }
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, html);
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

/// The tags of a project.
#[derive(Debug, Serialize, ToSchema)]
struct Tags {
    tags: Vec<String>,
    links: SelfLink,
}

impl Tags {
    fn new(tags: Vec<String>, base_url: &BaseUrl) -> Self {
        // Keystone links to the root of its API here.
        let links = SelfLink::to(base_url.v3("").trim_end_matches('/').to_owned());
        Self { tags, links }
    }
}

fn no_tag(value: &str) -> ApiError {
    archstone_identity::Error::not_found(archstone_model::entity::Entity::ProjectTag, value).into()
}

/// What a tag may be: 1 to 255 characters without `/` and `,`, at most 80 of them, none twice.
pub(crate) fn check_tags(tags: &[String]) -> Result<(), ApiError> {
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
#[serde(deny_unknown_fields)]
struct TagsRequest {
    tags: Vec<String>,
}
