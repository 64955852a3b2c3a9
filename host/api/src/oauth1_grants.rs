//! `/v3/users/{user_id}/OS-OAUTH1/access_tokens`: what a user granted to OAuth 1.0 consumers.

use archstone_model::{
    Extra,
    id::{AccessTokenId, RoleId, UserId},
    oauth1::AccessToken,
    role::Role,
};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    caller::Authenticated,
    error::Result,
    links::{BaseUrl, SelfLink},
    projects::ResourceOptionsBody,
    query::ListQuery,
    resource::{Envelope, List, Resource},
    time::iso,
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show, delete))
        .routes(routes!(list_roles))
        .routes(routes!(show_role))
}

/// Lists what a user granted.
#[utoipa::path(get, path = "/users/{user_id}/OS-OAUTH1/access_tokens", tag = "oauth1",
    params(("user_id" = String, Path)), responses((status = 200, body = List<AccessTokenView>)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(user_id): Path<UserId>,
) -> Result<List<AccessTokenView>> {
    let tokens = app.identity.access_tokens(&caller, &user_id).await?;
    let path = format!("users/{user_id}/OS-OAUTH1/access_tokens");
    let query = ListQuery::default();
    Ok(List::new(
        tokens,
        AccessTokenView::new,
        &path,
        &base_url,
        &query,
    ))
}

/// Shows one grant.
#[utoipa::path(get, path = "/users/{user_id}/OS-OAUTH1/access_tokens/{access_token_id}",
    tag = "oauth1",
    params(("user_id" = String, Path), ("access_token_id" = String, Path)),
    responses((status = 200, body = Envelope<AccessTokenView>)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path((user_id, id)): Path<(UserId, AccessTokenId)>,
) -> Result<Envelope<AccessTokenView>> {
    let token = app.identity.access_token(&caller, &user_id, &id).await?;
    Ok(Envelope(AccessTokenView::new(token, &base_url)))
}

/// Takes a grant back.
#[utoipa::path(delete, path = "/users/{user_id}/OS-OAUTH1/access_tokens/{access_token_id}",
    tag = "oauth1",
    params(("user_id" = String, Path), ("access_token_id" = String, Path)),
    responses((status = 204)))]
async fn delete(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((user_id, id)): Path<(UserId, AccessTokenId)>,
) -> Result<StatusCode> {
    app.identity
        .delete_access_token(&caller, &user_id, &id)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the roles in a grant.
#[utoipa::path(get, path = "/users/{user_id}/OS-OAUTH1/access_tokens/{access_token_id}/roles",
    tag = "oauth1",
    params(("user_id" = String, Path), ("access_token_id" = String, Path)),
    responses((status = 200, body = List<GrantedRoleView>)))]
async fn list_roles(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path((user_id, id)): Path<(UserId, AccessTokenId)>,
) -> Result<List<GrantedRoleView>> {
    let roles = app
        .identity
        .access_token_roles(&caller, &user_id, &id)
        .await?;
    let path = format!("users/{user_id}/OS-OAUTH1/access_tokens/{id}/roles");
    let query = ListQuery::default();
    Ok(List::new(
        roles,
        GrantedRoleView::new,
        &path,
        &base_url,
        &query,
    ))
}

/// Shows a role in a grant.
#[utoipa::path(get,
    path = "/users/{user_id}/OS-OAUTH1/access_tokens/{access_token_id}/roles/{role_id}",
    tag = "oauth1",
    params(("user_id" = String, Path), ("access_token_id" = String, Path), ("role_id" = String, Path)),
    responses((status = 200, body = Envelope<GrantedRoleView>)))]
async fn show_role(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path((user_id, id, role_id)): Path<(UserId, AccessTokenId, RoleId)>,
) -> Result<Envelope<GrantedRoleView>> {
    let role = app
        .identity
        .access_token_role(&caller, &user_id, &id, &role_id)
        .await?;
    Ok(Envelope(GrantedRoleView::new(role, &base_url)))
}

/// What a user granted, as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AccessToken)]
struct AccessTokenView {
    id: String,
    consumer_id: String,
    authorizing_user_id: String,
    project_id: String,
    expires_at: Option<String>,
    links: AccessTokenLinks,
}

#[derive(Debug, Serialize, ToSchema)]
struct AccessTokenLinks {
    #[serde(rename = "self")]
    itself: String,
    roles: String,
}

impl AccessTokenView {
    fn new(token: AccessToken, base_url: &BaseUrl) -> Self {
        let path = format!(
            "users/{}/OS-OAUTH1/access_tokens/{}",
            token.user_id, token.id
        );
        Self {
            id: token.id.into(),
            consumer_id: token.consumer_id.into(),
            authorizing_user_id: token.user_id.into(),
            project_id: token.project_id.into(),
            expires_at: token.expires_at.map(iso),
            links: AccessTokenLinks {
                itself: base_url.v3(&path),
                roles: base_url.v3(format_args!("{path}/roles")),
            },
        }
    }
}

impl Resource for AccessTokenView {
    const ONE: &'static str = "access_token";
    const MANY: &'static str = "access_tokens";
}

/// A role as it is shown here: without its description.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GrantedRole)]
struct GrantedRoleView {
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
    id: String,
    name: String,
    domain_id: Option<String>,
    options: ResourceOptionsBody,
    links: SelfLink,
}

impl GrantedRoleView {
    fn new(role: Role, base_url: &BaseUrl) -> Self {
        Self {
            links: base_url.self_link(format_args!("roles/{}", role.id)),
            extra: role.extra,
            id: role.id.into(),
            name: role.name,
            domain_id: role.domain_id.map(Into::into),
            options: role.options.into(),
        }
    }
}

impl Resource for GrantedRoleView {
    const ONE: &'static str = "role";
    const MANY: &'static str = "roles";
}
