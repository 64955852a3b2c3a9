//! `/v3/OS-TRUST`: trusts.

use archstone_identity::{RoleName, TrustCreation};
use archstone_model::{
    Extra,
    id::{ProjectId, RoleId, TrustId, UserId},
    listing::Change,
    role::Role,
    trust::{Trust, TrustFilter},
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use chrono::SubsecRound;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    application_credentials::RoleBody,
    body::{Body, nullable},
    caller::Authenticated,
    error::{ApiError, Result},
    links::{BaseUrl, ListLinks},
    query::ListQuery,
    roles::{self, RoleView},
    time::{expiry, iso},
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, delete))
        .routes(routes!(list_roles))
        .routes(routes!(show_role))
}

/// Lists all trusts, or those that a user gave or was given.
#[utoipa::path(get, path = "/OS-TRUST/trusts", tag = "trusts",
    params(("trustor_user_id" = Option<String>, Query), ("trustee_user_id" = Option<String>, Query)),
    responses((status = 200)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<Json<Value>> {
    let trusts = app.identity.trusts(&caller, filter(&query)).await?;
    let views: Vec<_> = trusts
        .into_iter()
        .map(|trust| Value::Object(members(trust, &base_url)))
        .collect();
    let path = format!("OS-TRUST/trusts{}", query.suffix());
    Ok(Json(
        json!({ "trusts": views, "links": ListLinks::complete(base_url.v3(path)) }),
    ))
}

/// Creates a trust, or hands on the one whose token makes the request.
#[utoipa::path(post, path = "/OS-TRUST/trusts", tag = "trusts",
    request_body = TrustCreateRequest, responses((status = 201)))]
async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Body(request): Body<TrustCreateRequest>,
) -> Result<(StatusCode, Json<Value>)> {
    let creation = request.trust.try_into()?;
    let (trust, roles) = app.identity.create_trust(&caller, creation).await?;
    Ok((StatusCode::CREATED, Json(view(trust, roles, &base_url))))
}

/// Shows a trust.
#[utoipa::path(get, path = "/OS-TRUST/trusts/{trust_id}", tag = "trusts",
    params(("trust_id" = String, Path)), responses((status = 200)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(trust_id): Path<TrustId>,
) -> Result<Json<Value>> {
    let (trust, roles) = app.identity.trust(&caller, &trust_id).await?;
    Ok(Json(view(trust, roles, &base_url)))
}

/// Deletes a trust with those that it was handed on by, and ends their tokens.
#[utoipa::path(delete, path = "/OS-TRUST/trusts/{trust_id}", tag = "trusts",
    params(("trust_id" = String, Path)), responses((status = 204)))]
async fn delete(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(trust_id): Path<TrustId>,
) -> Result<StatusCode> {
    app.identity.delete_trust(&caller, &trust_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the roles of a trust.
#[utoipa::path(get, path = "/OS-TRUST/trusts/{trust_id}/roles", tag = "trusts",
    params(("trust_id" = String, Path)), responses((status = 200)))]
async fn list_roles(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(trust_id): Path<TrustId>,
) -> Result<Json<Value>> {
    let (trust, roles) = app.identity.trust_roles(&caller, &trust_id).await?;
    let path = roles_path(&trust.id);
    Ok(Json(roles::render_list(roles, &base_url, path)))
}

/// Shows a role of a trust.
#[utoipa::path(get, path = "/OS-TRUST/trusts/{trust_id}/roles/{role_id}", tag = "trusts",
    params(("trust_id" = String, Path), ("role_id" = String, Path)), responses((status = 200)))]
async fn show_role(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path((trust_id, role_id)): Path<(TrustId, RoleId)>,
) -> Result<Json<Value>> {
    let role = app
        .identity
        .trust_role(&caller, &trust_id, &role_id)
        .await?;
    Ok(Json(json!({ "role": RoleView::new(role, &base_url) })))
}

/// A trustor goes before a trustee; a query that names neither matches nothing.
fn filter(query: &ListQuery) -> Option<TrustFilter> {
    let named = |name| query.get(name).filter(|id| !id.is_empty());
    if let Some(id) = named("trustor_user_id") {
        Some(TrustFilter::Trustor(id.into()))
    } else if let Some(id) = named("trustee_user_id") {
        Some(TrustFilter::Trustee(id.into()))
    } else {
        query.is_empty().then_some(TrustFilter::All)
    }
}

fn view(trust: Trust, roles: Vec<Role>, base_url: &BaseUrl) -> Value {
    let links = ListLinks::complete(base_url.v3(roles_path(&trust.id)));
    let roles: Vec<_> = roles
        .into_iter()
        .map(|role| RoleView::new(role, base_url))
        .collect();
    let mut view = members(trust, base_url);
    view.insert("roles".to_owned(), json!(roles));
    view.insert("roles_links".to_owned(), json!(links));
    json!({ "trust": view })
}

/// Keystone's links to the roles of a trust leave out what comes before its id.
fn roles_path(id: &TrustId) -> String {
    format!("{id}/roles")
}

fn members(trust: Trust, base_url: &BaseUrl) -> Map<String, Value> {
    let links = base_url.self_link(format_args!("OS-TRUST/trusts/{}", trust.id));
    let mut members = trust.extra;
    let expires_at = trust.expires_at.map(|end| iso(end.trunc_subsecs(0)));
    for (name, value) in [
        ("id", json!(trust.id)),
        ("trustor_user_id", json!(trust.trustor_user_id)),
        ("trustee_user_id", json!(trust.trustee_user_id)),
        ("project_id", json!(trust.project_id)),
        ("impersonation", json!(trust.impersonation)),
        ("expires_at", json!(expires_at)),
        ("remaining_uses", json!(trust.remaining_uses)),
        ("deleted_at", Value::Null),
        ("redelegated_trust_id", json!(trust.redelegated_trust_id)),
        ("redelegation_count", json!(trust.redelegation_count)),
        ("links", json!(links)),
    ] {
        members.insert(name.to_owned(), value);
    }
    members
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TrustCreateRequest {
    trust: TrustCreate,
}

#[derive(Debug, Deserialize, ToSchema)]
struct TrustCreate {
    trustor_user_id: String,
    trustee_user_id: String,
    impersonation: bool,
    project_id: Option<String>,
    #[serde(default)]
    roles: Vec<RoleBody>,
    /// ISO 8601, UTC.
    expires_at: Option<String>,
    #[schema(minimum = 1)]
    remaining_uses: Option<i32>,
    allow_redelegation: Option<bool>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<i32>, minimum = 0)]
    redelegation_count: Change<Option<i32>>,
    redelegated_trust_id: Option<String>,
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
}

impl TryFrom<TrustCreate> for TrustCreation {
    type Error = ApiError;

    fn try_from(body: TrustCreate) -> Result<Self, ApiError> {
        let mut extra = body.extra;
        // What only this server sets.
        for name in ["id", "deleted_at", "links", "extra"] {
            extra.shift_remove(name);
        }
        Ok(Self {
            trustor_user_id: UserId::from(body.trustor_user_id),
            trustee_user_id: UserId::from(body.trustee_user_id),
            project_id: body.project_id.map(ProjectId::from),
            impersonation: body.impersonation,
            roles: body
                .roles
                .into_iter()
                .map(RoleName::try_from)
                .collect::<Result<_, _>>()?,
            expires_at: body.expires_at.as_deref().map(expiry).transpose()?,
            remaining_uses: body.remaining_uses,
            allow_redelegation: body.allow_redelegation.unwrap_or(false),
            redelegation_count: body.redelegation_count,
            redelegated_trust_id: body.redelegated_trust_id.map(TrustId::from),
            extra,
        })
    }
}
