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
    extract::{Path, State},
    http::StatusCode,
};
use chrono::SubsecRound;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    application_credentials::RoleBody,
    body::{Body, nullable},
    caller::Authenticated,
    error::{ApiError, Result},
    links::{BaseUrl, ListLinks, SelfLink},
    query::{Filters, ListQuery},
    resource::{Envelope, List, Resource},
    roles::RoleView,
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
    params(Filters<TrustQuery>),
    responses((status = 200, body = List<TrustView>)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<List<TrustView>> {
    let trusts = app.identity.trusts(&caller, filter(&query)).await?;
    let (view, path) = (TrustView::new, "OS-TRUST/trusts");
    Ok(List::new(trusts, view, path, &base_url, &query))
}

/// Creates a trust, or hands on the one whose token makes the request.
#[utoipa::path(post, path = "/OS-TRUST/trusts", tag = "trusts",
    request_body = TrustCreateRequest, responses((status = 201, body = Envelope<WholeTrustView>)))]
async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Body(request): Body<TrustCreateRequest>,
) -> Result<(StatusCode, Envelope<WholeTrustView>)> {
    let creation = request.trust.try_into()?;
    let (trust, roles) = app.identity.create_trust(&caller, creation).await?;
    let view = WholeTrustView::new(trust, roles, &base_url);
    Ok((StatusCode::CREATED, Envelope(view)))
}

/// Shows a trust.
#[utoipa::path(get, path = "/OS-TRUST/trusts/{trust_id}", tag = "trusts",
    params(("trust_id" = String, Path)), responses((status = 200, body = Envelope<WholeTrustView>)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(trust_id): Path<TrustId>,
) -> Result<Envelope<WholeTrustView>> {
    let (trust, roles) = app.identity.trust(&caller, &trust_id).await?;
    Ok(Envelope(WholeTrustView::new(trust, roles, &base_url)))
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
    params(("trust_id" = String, Path)), responses((status = 200, body = List<RoleView>)))]
async fn list_roles(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(trust_id): Path<TrustId>,
) -> Result<List<RoleView>> {
    let (trust, roles) = app.identity.trust_roles(&caller, &trust_id).await?;
    let path = roles_path(&trust.id);
    let query = ListQuery::default();
    Ok(List::new(roles, RoleView::new, &path, &base_url, &query))
}

/// Shows a role of a trust.
#[utoipa::path(get, path = "/OS-TRUST/trusts/{trust_id}/roles/{role_id}", tag = "trusts",
    params(("trust_id" = String, Path), ("role_id" = String, Path)), responses((status = 200, body = Envelope<RoleView>)))]
async fn show_role(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path((trust_id, role_id)): Path<(TrustId, RoleId)>,
) -> Result<Envelope<RoleView>> {
    let role = app
        .identity
        .trust_role(&caller, &trust_id, &role_id)
        .await?;
    Ok(Envelope(RoleView::new(role, &base_url)))
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

/// Keystone's links to the roles of a trust leave out what comes before its id.
fn roles_path(id: &TrustId) -> String {
    format!("{id}/roles")
}

/// Whose trusts to list.
#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct TrustQuery {
    trustor_user_id: Option<String>,
    trustee_user_id: Option<String>,
}

/// A trust as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Trust)]
struct TrustView {
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
    id: String,
    trustor_user_id: String,
    trustee_user_id: String,
    project_id: Option<String>,
    impersonation: bool,
    expires_at: Option<String>,
    remaining_uses: Option<i32>,
    /// Always null: what is deleted is not shown.
    deleted_at: Option<String>,
    redelegated_trust_id: Option<String>,
    redelegation_count: Option<i32>,
    links: SelfLink,
}

/// A trust by itself, which tells its roles.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WholeTrust)]
struct WholeTrustView {
    #[serde(flatten)]
    trust: TrustView,
    roles: Vec<RoleView>,
    roles_links: ListLinks,
}

impl WholeTrustView {
    fn new(trust: Trust, roles: Vec<Role>, base_url: &BaseUrl) -> Self {
        let links = ListLinks::complete(base_url.v3(roles_path(&trust.id)));
        let roles = roles.into_iter().map(|role| RoleView::new(role, base_url));
        Self {
            trust: TrustView::new(trust, base_url),
            roles: roles.collect(),
            roles_links: links,
        }
    }
}

impl TrustView {
    fn new(trust: Trust, base_url: &BaseUrl) -> Self {
        Self {
            links: base_url.self_link(format_args!("OS-TRUST/trusts/{}", trust.id)),
            extra: trust.extra,
            id: trust.id.into(),
            trustor_user_id: trust.trustor_user_id.into(),
            trustee_user_id: trust.trustee_user_id.into(),
            project_id: trust.project_id.map(Into::into),
            impersonation: trust.impersonation,
            expires_at: trust.expires_at.map(|end| iso(end.trunc_subsecs(0))),
            remaining_uses: trust.remaining_uses,
            deleted_at: None,
            redelegated_trust_id: trust.redelegated_trust_id.map(Into::into),
            redelegation_count: trust.redelegation_count,
        }
    }
}

impl Resource for WholeTrustView {
    const ONE: &'static str = "trust";
    const MANY: &'static str = "trusts";
}

impl Resource for TrustView {
    const ONE: &'static str = "trust";
    const MANY: &'static str = "trusts";
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
