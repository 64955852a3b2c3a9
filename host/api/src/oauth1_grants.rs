//! `/v3/users/{user_id}/OS-OAUTH1/access_tokens`: what a user granted to OAuth 1.0 consumers.

use archstone_model::{
    id::{AccessTokenId, RoleId, UserId},
    oauth1::AccessToken,
    role::Role,
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde_json::{Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    caller::Authenticated,
    error::Result,
    links::{BaseUrl, ListLinks},
    projects::ResourceOptionsBody,
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
    params(("user_id" = String, Path)), responses((status = 200)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(user_id): Path<UserId>,
) -> Result<Json<Value>> {
    let tokens = app.identity.access_tokens(&caller, &user_id).await?;
    let views: Vec<_> = tokens.iter().map(|token| view(token, &base_url)).collect();
    let path = format!("users/{user_id}/OS-OAUTH1/access_tokens");
    Ok(Json(
        json!({ "access_tokens": views, "links": ListLinks::complete(base_url.v3(path)) }),
    ))
}

/// Shows one grant.
#[utoipa::path(get, path = "/users/{user_id}/OS-OAUTH1/access_tokens/{access_token_id}",
    tag = "oauth1",
    params(("user_id" = String, Path), ("access_token_id" = String, Path)),
    responses((status = 200)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path((user_id, id)): Path<(UserId, AccessTokenId)>,
) -> Result<Json<Value>> {
    let token = app.identity.access_token(&caller, &user_id, &id).await?;
    Ok(Json(json!({ "access_token": view(&token, &base_url) })))
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
    responses((status = 200)))]
async fn list_roles(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path((user_id, id)): Path<(UserId, AccessTokenId)>,
) -> Result<Json<Value>> {
    let roles = app
        .identity
        .access_token_roles(&caller, &user_id, &id)
        .await?;
    let views: Vec<_> = roles
        .into_iter()
        .map(|role| role_view(role, &base_url))
        .collect();
    let path = format!("users/{user_id}/OS-OAUTH1/access_tokens/{id}/roles");
    Ok(Json(
        json!({ "roles": views, "links": ListLinks::complete(base_url.v3(path)) }),
    ))
}

/// Shows a role in a grant.
#[utoipa::path(get,
    path = "/users/{user_id}/OS-OAUTH1/access_tokens/{access_token_id}/roles/{role_id}",
    tag = "oauth1",
    params(("user_id" = String, Path), ("access_token_id" = String, Path), ("role_id" = String, Path)),
    responses((status = 200)))]
async fn show_role(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path((user_id, id, role_id)): Path<(UserId, AccessTokenId, RoleId)>,
) -> Result<Json<Value>> {
    let role = app
        .identity
        .access_token_role(&caller, &user_id, &id, &role_id)
        .await?;
    Ok(Json(json!({ "role": role_view(role, &base_url) })))
}

fn view(token: &AccessToken, base_url: &BaseUrl) -> Value {
    let path = format!(
        "users/{}/OS-OAUTH1/access_tokens/{}",
        token.user_id, token.id
    );
    json!({
        "id": token.id,
        "consumer_id": token.consumer_id,
        "authorizing_user_id": token.user_id,
        "project_id": token.project_id,
        "expires_at": token.expires_at.map(iso),
        "links": {
            "self": base_url.v3(&path),
            "roles": base_url.v3(format_args!("{path}/roles")),
        },
    })
}

/// A role as it is shown here: without its description.
fn role_view(role: Role, base_url: &BaseUrl) -> Value {
    let mut view = role.extra;
    let links = base_url.self_link(format_args!("roles/{}", role.id));
    view.insert("id".to_owned(), json!(role.id));
    view.insert("name".to_owned(), json!(role.name));
    view.insert("domain_id".to_owned(), json!(role.domain_id));
    let options = ResourceOptionsBody::from(role.options);
    view.insert("options".to_owned(), json!(options));
    view.insert("links".to_owned(), json!(links));
    Value::Object(view)
}
