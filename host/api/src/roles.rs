//! `/v3/roles` and what roles imply.

use archstone_identity::{RoleChange, RoleCreation};
use archstone_model::{
    Extra,
    id::{DomainId, RoleId},
    listing::Change,
    role::{Role, RoleFilter},
};
use axum::{
    Json,
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
    projects::{ResourceOptionsBody, ResourceOptionsRequest},
    query::{Comparisons, Filters, ListQuery, Name, Paging},
    resource::{Envelope, List, Resource},
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, update, delete))
        .routes(routes!(implied))
        .routes(routes!(
            show_implied,
            check_implied,
            create_implied,
            delete_implied
        ))
        .routes(routes!(inferences))
}

/// Lists global roles, or those of a domain.
#[utoipa::path(get, path = "/roles", tag = "roles",
    params(Filters<RoleQuery>, Comparisons<Name>, Paging), responses((status = 200, body = List<RoleView>)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<List<RoleView>> {
    query.check::<RoleQuery>()?;
    let filter = RoleFilter {
        domain_id: query.get("domain_id").map(DomainId::from),
        names: query.names(),
        page: query.page()?,
    };
    let roles = app.identity.roles(&caller, filter).await?;
    Ok(List::new(roles, RoleView::new, "roles", &base_url, &query))
}

/// Creates a role.
#[utoipa::path(post, path = "/roles", tag = "roles", request_body = RoleCreateRequest,
    responses((status = 201, body = Envelope<RoleView>)))]
async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Body(request): Body<RoleCreateRequest>,
) -> Result<(StatusCode, Envelope<RoleView>)> {
    let RoleCreate {
        name,
        domain_id,
        description,
        options,
        extra,
    } = request.role;
    let creation = RoleCreation {
        name,
        domain_id: domain_id.map(DomainId::from),
        description,
        options: options.into(),
        extra: without_reserved(extra),
    };
    let role = app.identity.create_role(&caller, creation).await?;
    let view = RoleView::new(role, &base_url);
    Ok((StatusCode::CREATED, Envelope(view)))
}

/// Shows a role.
#[utoipa::path(get, path = "/roles/{role_id}", tag = "roles", params(("role_id" = String, Path)),
    responses((status = 200, body = Envelope<RoleView>)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(role_id): Path<RoleId>,
) -> Result<Envelope<RoleView>> {
    let role = app.identity.role(&caller, &role_id).await?;
    Ok(Envelope(RoleView::new(role, &base_url)))
}

/// Changes a role.
#[utoipa::path(patch, path = "/roles/{role_id}", tag = "roles", params(("role_id" = String, Path)),
    request_body = RoleUpdateRequest, responses((status = 200, body = Envelope<RoleView>)))]
async fn update(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(role_id): Path<RoleId>,
    Body(request): Body<RoleUpdateRequest>,
) -> Result<Envelope<RoleView>> {
    let RoleUpdate {
        id,
        name,
        domain_id,
        description,
        options,
        extra,
    } = request.role;
    if id.is_some_and(|id| id != role_id.as_str()) {
        return Err(ApiError::bad_request("Cannot change ID"));
    }
    let change = RoleChange {
        name: name.into(),
        domain_id: domain_id.map(|id| id.map(DomainId::from)),
        description,
        immutable: ResourceOptionsRequest::into_change(options),
        extra: without_reserved(extra),
    };
    let role = app.identity.update_role(&caller, &role_id, change).await?;
    Ok(Envelope(RoleView::new(role, &base_url)))
}

/// Deletes a role.
#[utoipa::path(delete, path = "/roles/{role_id}", tag = "roles", params(("role_id" = String, Path)),
    responses((status = 204)))]
async fn delete(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(role_id): Path<RoleId>,
) -> Result<StatusCode> {
    app.identity.delete_role(&caller, &role_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the roles that a role implies.
#[utoipa::path(get, path = "/roles/{role_id}/implies", tag = "roles",
    params(("role_id" = String, Path)), responses((status = 200, body = ImplicationsEnvelope)))]
async fn implied(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(role_id): Path<RoleId>,
) -> Result<Json<ImplicationsEnvelope>> {
    let (prior, implied) = app.identity.implied_roles(&caller, &role_id).await?;
    Ok(Json(ImplicationsEnvelope {
        role_inference: Implications::new(&prior, &implied, &base_url),
        links: base_url.self_link(format_args!("roles/{role_id}/implies")),
    }))
}

/// Shows one implication.
#[utoipa::path(get, path = "/roles/{role_id}/implies/{implied_role_id}", tag = "roles",
    params(("role_id" = String, Path), ("implied_role_id" = String, Path)),
    responses((status = 200, body = ImplicationEnvelope)))]
async fn show_implied(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path((prior, implied)): Path<(RoleId, RoleId)>,
) -> Result<Json<ImplicationEnvelope>> {
    const ACTION: &str = "identity:get_implied_role";
    let (prior, implied) = app
        .identity
        .implied_role(&caller, ACTION, &prior, &implied)
        .await?;
    Ok(Json(ImplicationEnvelope::new(&prior, &implied, &base_url)))
}

/// Whether a role implies another.
#[utoipa::path(head, path = "/roles/{role_id}/implies/{implied_role_id}", tag = "roles",
    params(("role_id" = String, Path), ("implied_role_id" = String, Path)),
    responses((status = 204)))]
async fn check_implied(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((prior, implied)): Path<(RoleId, RoleId)>,
) -> Result<StatusCode> {
    const ACTION: &str = "identity:check_implied_role";
    app.identity
        .implied_role(&caller, ACTION, &prior, &implied)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets a role imply another.
#[utoipa::path(put, path = "/roles/{role_id}/implies/{implied_role_id}", tag = "roles",
    params(("role_id" = String, Path), ("implied_role_id" = String, Path)),
    responses((status = 201, body = ImplicationEnvelope)))]
async fn create_implied(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path((prior, implied)): Path<(RoleId, RoleId)>,
) -> Result<(StatusCode, Json<ImplicationEnvelope>)> {
    let (prior, implied) = app
        .identity
        .create_implied_role(&caller, &prior, &implied)
        .await?;
    let created = ImplicationEnvelope::new(&prior, &implied, &base_url);
    Ok((StatusCode::CREATED, Json(created)))
}

/// Ends an implication.
#[utoipa::path(delete, path = "/roles/{role_id}/implies/{implied_role_id}", tag = "roles",
    params(("role_id" = String, Path), ("implied_role_id" = String, Path)),
    responses((status = 204)))]
async fn delete_implied(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((prior, implied)): Path<(RoleId, RoleId)>,
) -> Result<StatusCode> {
    app.identity
        .delete_implied_role(&caller, &prior, &implied)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists every role that implies others.
#[utoipa::path(get, path = "/role_inferences", tag = "roles", responses((status = 200, body = AllImplications)))]
async fn inferences(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
) -> Result<Json<AllImplications>> {
    let rules = app.identity.role_inferences(&caller).await?;
    let role_inferences = rules
        .iter()
        .map(|(prior, implied)| Implications::new(prior, implied, &base_url))
        .collect();
    Ok(Json(AllImplications { role_inferences }))
}

/// The filters of a list of roles.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "read by its schema only")]
struct RoleQuery {
    #[schema(min_length = 1, max_length = 255, pattern = r"[\S]+", nullable = false)]
    name: Option<String>,
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = "^[a-zA-Z0-9-]+$",
        nullable = false
    )]
    domain_id: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RoleCreateRequest {
    role: RoleCreate,
}

#[derive(Debug, Deserialize, ToSchema)]
struct RoleCreate {
    #[schema(min_length = 1, max_length = 255, pattern = r"[\S]+")]
    name: String,
    #[schema(min_length = 1, max_length = 64, pattern = "^[a-zA-Z0-9-]+$")]
    domain_id: Option<String>,
    description: Option<String>,
    #[serde(default)]
    options: ResourceOptionsRequest,
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RoleUpdateRequest {
    #[serde(deserialize_with = "non_empty")]
    role: RoleUpdate,
}

#[derive(Debug, Deserialize, ToSchema)]
struct RoleUpdate {
    #[schema(ignore)]
    id: Option<Value>,
    #[schema(min_length = 1, max_length = 255, pattern = r"[\S]+", nullable = false)]
    name: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(min_length = 1, max_length = 64, pattern = "^[a-zA-Z0-9-]+$", value_type = Option<String>)]
    domain_id: Change<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    description: Change<Option<String>>,
    #[schema(nullable = false)]
    options: Option<ResourceOptionsRequest>,
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
}

/// A role as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Role)]
pub(crate) struct RoleView {
    #[serde(flatten)]
    role: RoleMembers,
    links: SelfLink,
}

impl RoleView {
    pub(crate) fn new(role: Role, base_url: &BaseUrl) -> Self {
        Self {
            links: base_url.self_link(format_args!("roles/{}", role.id)),
            role: role.into(),
        }
    }
}

/// A role without its link, as the tokens of a trust carry it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoleMembers {
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
    id: String,
    name: String,
    domain_id: Option<String>,
    description: Option<String>,
    options: ResourceOptionsBody,
}

impl From<Role> for RoleMembers {
    fn from(role: Role) -> Self {
        Self {
            extra: role.extra,
            id: role.id.into(),
            name: role.name,
            domain_id: role.domain_id.map(Into::into),
            description: role.description,
            options: role.options.into(),
        }
    }
}

impl Resource for RoleView {
    const ONE: &'static str = "role";
    const MANY: &'static str = "roles";
}

/// A role where it is only named.
#[derive(Debug, Serialize, ToSchema)]
struct RoleReference {
    id: String,
    name: String,
    links: SelfLink,
}

impl RoleReference {
    fn new(role: &Role, base_url: &BaseUrl) -> Self {
        Self {
            id: role.id.to_string(),
            name: role.name.clone(),
            links: base_url.self_link(format_args!("roles/{}", role.id)),
        }
    }
}

/// A role and one that it implies.
#[derive(Debug, Serialize, ToSchema)]
struct ImplicationEnvelope {
    role_inference: Implication,
    links: SelfLink,
}

#[derive(Debug, Serialize, ToSchema)]
struct Implication {
    prior_role: RoleReference,
    implies: RoleReference,
}

impl ImplicationEnvelope {
    fn new(prior: &Role, implied: &Role, base_url: &BaseUrl) -> Self {
        Self {
            role_inference: Implication {
                prior_role: RoleReference::new(prior, base_url),
                implies: RoleReference::new(implied, base_url),
            },
            links: base_url.self_link(format_args!("roles/{}/implies/{}", prior.id, implied.id)),
        }
    }
}

/// A role and all that it implies.
#[derive(Debug, Serialize, ToSchema)]
struct ImplicationsEnvelope {
    role_inference: Implications,
    links: SelfLink,
}

#[derive(Debug, Serialize, ToSchema)]
struct AllImplications {
    role_inferences: Vec<Implications>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Implications {
    prior_role: RoleReference,
    implies: Vec<RoleReference>,
}

impl Implications {
    fn new(prior: &Role, implied: &[Role], base_url: &BaseUrl) -> Self {
        let implies = implied
            .iter()
            .map(|role| RoleReference::new(role, base_url));
        Self {
            prior_role: RoleReference::new(prior, base_url),
            implies: implies.collect(),
        }
    }
}
