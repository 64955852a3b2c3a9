//! `/v3/users` and what hangs directly under one user.

use archstone_identity::{UserChange, UserCreation};
use archstone_model::{
    Extra,
    id::{DomainId, IdentityProviderId, ProjectId, ProtocolId, UserId},
    listing::Change,
    secret::Secret,
    user::{FederatedAccount, TimeComparison, User, UserFilter, UserOptions},
};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    body::{Body, LenientBool, non_empty, nullable, without_reserved},
    caller::Authenticated,
    error::{ApiError, Result},
    links::{BaseUrl, SelfLink},
    query::{Comparisons, Filters, ListQuery, Name, Paging},
    resource::{Envelope, List, Resource},
    time::iso_without_zone,
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

/// What options may hold.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "read by its schema only")]
struct OptionsSchema {
    ignore_change_password_upon_first_use: Option<bool>,
    ignore_password_expiry: Option<bool>,
    ignore_lockout_failure_attempts: Option<bool>,
    lock_password: Option<bool>,
    ignore_user_inactivity: Option<bool>,
    multi_factor_auth_rules: Option<Vec<FactorRule>>,
    multi_factor_auth_enabled: Option<bool>,
}

/// The methods that must pass together. The schema says that none is named twice.
#[derive(Deserialize)]
struct FactorRule(#[allow(dead_code, reason = "read by its schema only")] Vec<String>);

impl utoipa::PartialSchema for FactorRule {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        utoipa::openapi::ArrayBuilder::new()
            .items(utoipa::schema!(String))
            .min_items(Some(1))
            .unique_items(true)
            .into()
    }
}

impl ToSchema for FactorRule {}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct FederatedBody {
    idp_id: String,
    #[schema(min_items = 1)]
    protocols: Vec<FederatedProtocol>,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct FederatedProtocol {
    protocol_id: String,
    unique_id: String,
}

fn flatten(federated: Vec<FederatedBody>) -> Vec<FederatedAccount> {
    federated
        .into_iter()
        .flat_map(|FederatedBody { idp_id, protocols }| {
            protocols.into_iter().map(move |protocol| FederatedAccount {
                idp_id: idp_id.as_str().into(),
                protocol_id: protocol.protocol_id.into(),
                unique_id: protocol.unique_id,
                display_name: None,
            })
        })
        .collect()
}

/// The extra attributes, where Keystone keeps the description of a user too.
fn described(extra: Extra, description: Change<Option<String>>) -> Extra {
    let mut extra = without_reserved(extra);
    extra.shift_remove("password_expires_at");
    if let Change::Set(description) = description {
        extra.insert("description".to_owned(), json!(description));
    }
    extra
}

/// A user as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct UserView {
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
    #[schema(value_type = String)]
    id: UserId,
    name: String,
    #[schema(value_type = String)]
    domain_id: DomainId,
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    default_project_id: Option<ProjectId>,
    /// ISO 8601 with microseconds.
    password_expires_at: Option<String>,
    #[schema(value_type = OptionsSchema)]
    options: Extra,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    federated: Vec<FederatedBody>,
    links: SelfLink,
    /// The attributes outside the schema once more, in the answer to a change.
    #[serde(rename = "extra", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, required = false)]
    extra_again: Option<Extra>,
}

impl UserView {
    /// A user in a list, which does not tell external accounts.
    pub(crate) fn listed(mut user: User, base_url: &BaseUrl) -> Self {
        user.federated.clear();
        Self::new(user, base_url)
    }

    /// A changed user. Keystone tells the attributes outside the schema twice here, and clients may
    /// read either.
    fn changed(user: User, base_url: &BaseUrl) -> Self {
        Self {
            extra_again: Some(user.extra.clone()),
            ..Self::new(user, base_url)
        }
    }

    pub(crate) fn new(user: User, base_url: &BaseUrl) -> Self {
        let links = base_url.self_link(format_args!("users/{}", user.id));
        Self {
            extra: user.extra,
            name: user.name,
            domain_id: user.domain_id,
            enabled: user.enabled,
            default_project_id: user.default_project_id,
            password_expires_at: user.password_expires_at.map(iso_without_zone),
            options: user.options.to_map(),
            federated: grouped(user.federated),
            links,
            extra_again: None,
            id: user.id,
        }
    }
}

impl Resource for UserView {
    const ONE: &'static str = "user";
    const MANY: &'static str = "users";
}

fn grouped(accounts: Vec<FederatedAccount>) -> Vec<FederatedBody> {
    let mut federated: Vec<FederatedBody> = Vec::new();
    for account in accounts {
        let protocol = FederatedProtocol {
            protocol_id: account.protocol_id.into_string(),
            unique_id: account.unique_id,
        };
        match federated
            .iter_mut()
            .find(|body| body.idp_id == account.idp_id.as_str())
        {
            Some(body) => body.protocols.push(protocol),
            None => federated.push(FederatedBody {
                idp_id: account.idp_id.into_string(),
                protocols: vec![protocol],
            }),
        }
    }
    federated
}
