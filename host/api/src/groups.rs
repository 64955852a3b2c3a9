//! `/v3/groups` and their members.

use archstone_identity::{GroupChange, GroupCreation};
use archstone_model::{
    Extra,
    federation::Membership,
    id::{DomainId, GroupId, UserId},
    listing::{Change, Listing},
    user::{Group, GroupFilter, GroupKind, UserFilter},
};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    body::{Body, non_empty, nullable, without_reserved},
    caller::Authenticated,
    error::{ApiError, Result},
    links::{BaseUrl, SelfLink},
    query::{Comparisons, Filters, ListQuery, Name, Paging},
    resource::{Envelope, List, Resource},
    time::iso_without_zone,
    user_view::UserView,
    users::{self, UserQuery},
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, update, delete))
        .routes(routes!(members))
        .routes(routes!(check_member, add_member, remove_member))
        .routes(routes!(of_user))
}

/// Lists groups.
#[utoipa::path(get, path = "/groups", tag = "groups",
    params(Filters<GroupQuery>, Comparisons<Name>, Paging), responses((status = 200, body = List<GroupView>)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<List<GroupView>> {
    query.check::<GroupQuery>()?;
    let filter = GroupFilter {
        domain_id: query.get("domain_id").map(DomainId::from),
        names: query.names(),
        page: query.page()?,
    };
    let groups = app.identity.groups(&caller, filter).await?;
    Ok(List::new(
        groups,
        GroupView::new,
        "groups",
        &base_url,
        &query,
    ))
}

/// Lists the groups that a user is in.
#[utoipa::path(get, path = "/users/{user_id}/groups", tag = "users",
    params(("user_id" = String, Path), Filters<Name>, Comparisons<Name>, Paging), responses((status = 200, body = List<MembershipView>)))]
async fn of_user(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(user_id): Path<UserId>,
    query: ListQuery,
) -> Result<List<MembershipView>> {
    let mut groups = app.identity.groups_of_user(&caller, &user_id).await?;
    let names = query.names();
    groups.retain(|found| names.iter().all(|name| name.accepts(&found.group.name)));
    let groups = Listing::of(&query.page()?, groups);
    let path = format!("users/{user_id}/groups");
    Ok(List::new(
        groups,
        MembershipView::new,
        &path,
        &base_url,
        &query,
    ))
}

/// Creates a group.
#[utoipa::path(post, path = "/groups", tag = "groups", request_body = GroupCreateRequest,
    responses((status = 201, body = Envelope<GroupView>)))]
async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Body(request): Body<GroupCreateRequest>,
) -> Result<(StatusCode, Envelope<GroupView>)> {
    let GroupCreate {
        name,
        domain_id,
        description,
        extra,
    } = request.group;
    let creation = GroupCreation {
        name,
        domain_id: domain_id.map(DomainId::from),
        description: description
            .into_set()
            .unwrap_or_else(|| Some(String::new())),
        extra: without_reserved(extra),
    };
    let group = app.identity.create_group(&caller, creation).await?;
    let view = GroupView::new(group, &base_url);
    Ok((StatusCode::CREATED, Envelope(view)))
}

/// Shows a group.
#[utoipa::path(get, path = "/groups/{group_id}", tag = "groups",
    params(("group_id" = String, Path)), responses((status = 200, body = Envelope<GroupView>)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(group_id): Path<GroupId>,
) -> Result<Envelope<GroupView>> {
    let group = app.identity.group(&caller, &group_id).await?;
    Ok(Envelope(GroupView::new(group, &base_url)))
}

/// Changes a group.
#[utoipa::path(patch, path = "/groups/{group_id}", tag = "groups",
    params(("group_id" = String, Path)), request_body = GroupUpdateRequest,
    responses((status = 200, body = Envelope<GroupView>)))]
async fn update(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(group_id): Path<GroupId>,
    Body(request): Body<GroupUpdateRequest>,
) -> Result<Envelope<GroupView>> {
    let GroupUpdate {
        id,
        name,
        domain_id,
        description,
        extra,
    } = request.group;
    if id.is_some_and(|id| id != group_id.as_str()) {
        return Err(ApiError::bad_request("Cannot change ID"));
    }
    let change = GroupChange {
        name: name.into(),
        domain_id: domain_id.map(|id| id.and_then(|id| id.as_str().map(DomainId::from))),
        description,
        extra: without_reserved(extra),
    };
    let group = app
        .identity
        .update_group(&caller, &group_id, change)
        .await?;
    Ok(Envelope(GroupView::new(group, &base_url)))
}

/// Deletes a group.
#[utoipa::path(delete, path = "/groups/{group_id}", tag = "groups",
    params(("group_id" = String, Path)), responses((status = 204)))]
async fn delete(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(group_id): Path<GroupId>,
) -> Result<StatusCode> {
    app.identity.delete_group(&caller, &group_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the members of a group.
#[utoipa::path(get, path = "/groups/{group_id}/users", tag = "groups",
    params(("group_id" = String, Path), Filters<UserQuery>, Comparisons<Name>, Paging), responses((status = 200, body = List<UserView>)))]
async fn members(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(group_id): Path<GroupId>,
    query: ListQuery,
) -> Result<List<UserView>> {
    let filter = UserFilter {
        idp_id: None,
        protocol_id: None,
        unique_id: None,
        ..users::filter(&query)?
    };
    let users = app
        .identity
        .group_members(&caller, &group_id, filter)
        .await?;
    let path = format!("groups/{group_id}/users");
    Ok(List::new(users, UserView::listed, &path, &base_url, &query))
}

/// Whether a user is a member.
#[utoipa::path(get, path = "/groups/{group_id}/users/{user_id}", tag = "groups",
    params(("group_id" = String, Path), ("user_id" = String, Path)), responses((status = 204)))]
async fn check_member(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((group_id, user_id)): Path<(GroupId, UserId)>,
) -> Result<StatusCode> {
    app.identity
        .check_member(&caller, &group_id, &user_id)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Adds a member.
#[utoipa::path(put, path = "/groups/{group_id}/users/{user_id}", tag = "groups",
    params(("group_id" = String, Path), ("user_id" = String, Path)), responses((status = 204)))]
async fn add_member(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((group_id, user_id)): Path<(GroupId, UserId)>,
) -> Result<StatusCode> {
    app.identity
        .add_member(&caller, &group_id, &user_id)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a member.
#[utoipa::path(delete, path = "/groups/{group_id}/users/{user_id}", tag = "groups",
    params(("group_id" = String, Path), ("user_id" = String, Path)), responses((status = 204)))]
async fn remove_member(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((group_id, user_id)): Path<(GroupId, UserId)>,
) -> Result<StatusCode> {
    app.identity
        .remove_member(&caller, &group_id, &user_id)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The filters of a list of groups.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "read by its schema only")]
struct GroupQuery {
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = "^[a-zA-Z0-9-]+$",
        nullable = false
    )]
    domain_id: Option<String>,
    #[schema(min_length = 1, max_length = 255, pattern = r"[\S]+", nullable = false)]
    name: Option<String>,
    #[schema(pattern = "^(asc|desc)$", nullable = false)]
    sort_dir: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GroupCreateRequest {
    group: GroupCreate,
}

#[derive(Debug, Deserialize, ToSchema)]
struct GroupCreate {
    #[schema(min_length = 1, max_length = 255, pattern = r"[\S]+")]
    name: String,
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = "^[a-zA-Z0-9-]+$",
        nullable = false
    )]
    domain_id: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    description: Change<Option<String>>,
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GroupUpdateRequest {
    #[serde(deserialize_with = "non_empty")]
    group: GroupUpdate,
}

#[derive(Debug, Deserialize, ToSchema)]
struct GroupUpdate {
    #[schema(ignore)]
    id: Option<Value>,
    #[schema(min_length = 1, max_length = 255, pattern = r"[\S]+", nullable = false)]
    name: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(ignore)]
    domain_id: Change<Option<Value>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    description: Change<Option<String>>,
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
}

/// A group as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Group)]
struct GroupView {
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
    id: String,
    name: String,
    domain_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    description: Option<Option<String>>,
    links: SelfLink,
}

/// A group that a user is in. Only memberships from federated logins expire.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Membership)]
struct MembershipView {
    #[serde(flatten)]
    group: GroupView,
    membership_expires_at: Option<String>,
}

impl GroupView {
    fn new(group: Group, base_url: &BaseUrl) -> Self {
        Self {
            links: base_url.self_link(format_args!("groups/{}", group.id)),
            extra: group.extra,
            id: group.id.into(),
            name: group.name,
            domain_id: group.domain_id.into(),
            description: match (group.kind, group.description) {
                (GroupKind::NonLocal, None) => None,
                (_, description) => Some(description),
            },
        }
    }
}

impl Resource for GroupView {
    const ONE: &'static str = "group";
    const MANY: &'static str = "groups";
}

impl MembershipView {
    fn new(found: Membership, base_url: &BaseUrl) -> Self {
        Self {
            group: GroupView::new(found.group, base_url),
            membership_expires_at: found.expires_at.map(iso_without_zone),
        }
    }
}

impl Resource for MembershipView {
    const ONE: &'static str = "group";
    const MANY: &'static str = "groups";
}
