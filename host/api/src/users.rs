//! `/v3/users` and what hangs directly under one user.

use archstone_identity::{UserChange, UserCreation};
use archstone_model::{
    Extra,
    id::{DomainId, IdentityProviderId, ProjectId, ProtocolId, UserId},
    listing::Change,
    secret::Secret,
    user::{TimeComparison, UserFilter, UserOptions},
};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    body::{Body, LenientBool, non_empty, nullable, without_reserved},
    caller::Authenticated,
    error::{ApiError, Result},
    links::BaseUrl,
    query::{Comparisons, Filters, ListQuery, Name, Paging},
    resource::{Envelope, List},
    user_view::{FederatedBody, OptionsSchema, UserView, flatten},
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, update, delete))
        .routes(routes!(change_password))
}

/// Lists users.
#[utoipa::path(get, path = "/users", tag = "users",
    params(Filters<UserQuery>, Comparisons<Name>, Paging), responses((status = 200, body = List<UserView>)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<List<UserView>> {
    query.check::<UserQuery>()?;
    let users = app.identity.users(&caller, filter(&query)?).await?;
    Ok(List::new(
        users,
        UserView::listed,
        "users",
        &base_url,
        &query,
    ))
}

/// Creates a user.
#[utoipa::path(post, path = "/users", tag = "users", request_body = UserCreateRequest,
    responses((status = 201, body = Envelope<UserView>)))]
async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Body(request): Body<UserCreateRequest>,
) -> Result<(StatusCode, Envelope<UserView>)> {
    let user = app
        .identity
        .create_user(&caller, request.user.into())
        .await?;
    let view = UserView::new(user, &base_url);
    Ok((StatusCode::CREATED, Envelope(view)))
}

/// Shows a user.
#[utoipa::path(get, path = "/users/{user_id}", tag = "users", params(("user_id" = String, Path)),
    responses((status = 200, body = Envelope<UserView>)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(user_id): Path<UserId>,
) -> Result<Envelope<UserView>> {
    let user = app.identity.user(&caller, &user_id).await?;
    Ok(Envelope(UserView::new(user, &base_url)))
}

/// Changes a user.
#[utoipa::path(patch, path = "/users/{user_id}", tag = "users", params(("user_id" = String, Path)),
    request_body = UserUpdateRequest, responses((status = 200, body = Envelope<UserView>)))]
async fn update(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(user_id): Path<UserId>,
    Body(request): Body<UserUpdateRequest>,
) -> Result<Envelope<UserView>> {
    if request.user.id.as_ref().is_some_and(|id| *id != user_id) {
        return Err(ApiError::bad_request("Cannot change ID"));
    }
    let user = app
        .identity
        .update_user(&caller, &user_id, request.user.into())
        .await?;
    Ok(Envelope(UserView::changed(user, &base_url)))
}

/// Deletes a user.
#[utoipa::path(delete, path = "/users/{user_id}", tag = "users", params(("user_id" = String, Path)),
    responses((status = 204)))]
async fn delete(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(user_id): Path<UserId>,
) -> Result<StatusCode> {
    app.identity.delete_user(&caller, &user_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Changes one's own password. The old password is the proof; no token is needed.
#[utoipa::path(post, path = "/users/{user_id}/password", tag = "users", security(()),
    params(("user_id" = String, Path)), request_body = PasswordChangeRequest,
    responses((status = 204), (status = 401)))]
async fn change_password(
    State(app): State<App>,
    Path(user_id): Path<UserId>,
    Body(request): Body<PasswordChangeRequest>,
) -> Result<StatusCode> {
    let PasswordChange {
        original_password,
        password,
    } = request.user;
    app.identity
        .change_own_password(&user_id, &original_password, &password)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The filters of a list of users.
pub(crate) fn filter(query: &ListQuery) -> Result<UserFilter> {
    Ok(UserFilter {
        domain_id: query.get("domain_id").map(DomainId::from),
        enabled: query.bool("enabled"),
        names: query.names(),
        idp_id: query.get("idp_id").map(IdentityProviderId::from),
        protocol_id: query.get("protocol_id").map(ProtocolId::from),
        unique_id: query.get("unique_id").map(str::to_owned),
        password_expires: query
            .get("password_expires_at")
            .map(password_expiry)
            .transpose()?
            .into_iter()
            .collect(),
        page: query.page()?,
    })
}

/// Reads `lt:2026-01-01T00:00:00Z`; without an operator the time must be met exactly.
fn password_expiry(text: &str) -> Result<(TimeComparison, DateTime<Utc>)> {
    let (comparison, time) = match text.split_once(':') {
        Some(("lt", time)) => (TimeComparison::Before, time),
        Some(("lte", time)) => (TimeComparison::NotAfter, time),
        Some(("gt", time)) => (TimeComparison::After, time),
        Some(("gte", time)) => (TimeComparison::NotBefore, time),
        Some(("eq", time)) => (TimeComparison::At, time),
        Some(("neq", time)) => (TimeComparison::NotAt, time),
        _ => (TimeComparison::At, text),
    };
    let time = DateTime::parse_from_rfc3339(time).map_err(|_| {
        ApiError::bad_request(
            "Timestamp not in expected format. The server could not comply with the request since \
             it is either malformed or otherwise incorrect. The client is assumed to be in error.",
        )
    })?;
    Ok((comparison, time.with_timezone(&Utc)))
}

/// The filters of a list of users.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "read by its schema only")]
pub(crate) struct UserQuery {
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = "^[a-zA-Z0-9-]+$",
        nullable = false
    )]
    domain_id: Option<String>,
    #[schema(nullable = false)]
    enabled: Option<LenientBool>,
    #[schema(min_length = 1, max_length = 255, pattern = r"[\S]+", nullable = false)]
    name: Option<String>,
    #[schema(pattern = "^(asc|desc)$", nullable = false)]
    sort_dir: Option<String>,
    #[schema(nullable = false)]
    idp_id: Option<String>,
    #[schema(nullable = false)]
    protocol_id: Option<String>,
    #[schema(nullable = false)]
    unique_id: Option<String>,
    /// A time by ISO 8601, after one of `lt:`, `lte:`, `gt:`, `gte:`, `eq:` and `neq:`.
    #[schema(nullable = false)]
    password_expires_at: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UserCreateRequest {
    user: UserCreate,
}

#[derive(Debug, Deserialize, ToSchema)]
struct UserCreate {
    #[schema(min_length = 1, max_length = 255, pattern = r"[\S]+")]
    name: String,
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = "^[a-zA-Z0-9-]+$",
        nullable = false
    )]
    domain_id: Option<String>,
    #[schema(nullable = false)]
    enabled: Option<bool>,
    default_project_id: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    description: Change<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    password: Change<Option<Secret>>,
    #[serde(default)]
    #[schema(value_type = OptionsSchema)]
    options: OptionsBody,
    #[serde(default)]
    federated: Vec<FederatedBody>,
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
}

impl From<UserCreate> for UserCreation {
    fn from(user: UserCreate) -> Self {
        Self {
            name: user.name,
            domain_id: user.domain_id.map(DomainId::from),
            enabled: user.enabled.unwrap_or(true),
            default_project_id: user.default_project_id.map(ProjectId::from),
            password: user.password,
            options: UserOptions::default().with_changes(&user.options),
            federated: flatten(user.federated),
            extra: described(user.extra, user.description),
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UserUpdateRequest {
    #[serde(deserialize_with = "non_empty")]
    user: UserUpdate,
}

#[derive(Debug, Deserialize, ToSchema)]
struct UserUpdate {
    #[schema(value_type = Option<String>)]
    id: Option<UserId>,
    #[schema(min_length = 1, max_length = 255, pattern = r"[\S]+", nullable = false)]
    name: Option<String>,
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = "^[a-zA-Z0-9-]+$",
        nullable = false
    )]
    domain_id: Option<String>,
    #[schema(nullable = false)]
    enabled: Option<bool>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    description: Change<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    default_project_id: Change<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    password: Change<Option<Secret>>,
    #[schema(value_type = OptionsSchema, required = false)]
    options: Option<OptionsBody>,
    #[schema(nullable = false)]
    federated: Option<Vec<FederatedBody>>,
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
}

impl From<UserUpdate> for UserChange {
    fn from(user: UserUpdate) -> Self {
        Self {
            name: user.name.into(),
            domain_id: user.domain_id.map(DomainId::from),
            enabled: user.enabled.into(),
            default_project_id: user.default_project_id.map(|id| id.map(ProjectId::from)),
            password: user.password,
            options: user.options,
            federated: user.federated.map(flatten).into(),
            extra: described(user.extra, user.description),
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
struct PasswordChangeRequest {
    user: PasswordChange,
}

#[derive(Debug, Deserialize, ToSchema)]
struct PasswordChange {
    #[schema(value_type = String)]
    original_password: Secret,
    #[schema(value_type = String)]
    password: Secret,
}

/// User options by name; null removes one.
type OptionsBody = Map<String, Value>;

/// The extra attributes, where Keystone keeps the description of a user too.
fn described(extra: Extra, description: Change<Option<String>>) -> Extra {
    let mut extra = without_reserved(extra);
    extra.shift_remove("password_expires_at");
    if let Change::Set(description) = description {
        extra.insert("description".to_owned(), json!(description));
    }
    extra
}
