//! `/v3/users/{user_id}/credentials/OS-EC2`: the keys that a user signs AWS requests with.

use archstone_identity::Ec2Credential;
use archstone_model::{
    id::{ProjectId, UserId},
    secret::Secret,
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
    body::RawBody,
    caller::Authenticated,
    error::Result,
    links::{BaseUrl, ListLinks},
    query::ListQuery,
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, delete))
}

/// Lists a user's EC2 keys.
#[utoipa::path(get, path = "/users/{user_id}/credentials/OS-EC2", tag = "credentials",
    params(("user_id" = String, Path)), responses((status = 200)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(user_id): Path<UserId>,
    query: ListQuery,
) -> Result<Json<Value>> {
    let credentials = app.identity.ec2_credentials(&caller, &user_id).await?;
    let views: Vec<_> = credentials
        .into_iter()
        .map(|credential| view(credential, &base_url))
        .collect();
    let path = format!("users/{user_id}/credentials/OS-EC2{}", query.suffix());
    Ok(Json(
        json!({ "credentials": views, "links": ListLinks::complete(base_url.v3(path)) }),
    ))
}

/// Makes a pair of EC2 keys for a user in a project.
#[utoipa::path(post, path = "/users/{user_id}/credentials/OS-EC2", tag = "credentials",
    params(("user_id" = String, Path)),
    request_body(content = serde_json::Value, description = "`{\"tenant_id\": \"the project\"}`"),
    responses((status = 201)))]
async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(user_id): Path<UserId>,
    RawBody(body): RawBody,
) -> Result<(StatusCode, Json<Value>)> {
    // Whatever is no project's id names no project.
    let project_id = match body.get("tenant_id") {
        Some(Value::String(id)) => ProjectId::from(id.as_str()),
        other => ProjectId::new(other.unwrap_or(&Value::Null).to_string()),
    };
    let credential = app
        .identity
        .create_ec2_credential(&caller, &user_id, &project_id)
        .await?;
    Ok((
        StatusCode::CREATED,
        Json(json!({ "credential": view(credential, &base_url) })),
    ))
}

/// Shows a pair of EC2 keys.
#[utoipa::path(get, path = "/users/{user_id}/credentials/OS-EC2/{credential_id}",
    tag = "credentials",
    params(("user_id" = String, Path), ("credential_id" = String, Path, description = "The access key")),
    responses((status = 200)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path((user_id, access)): Path<(UserId, String)>,
) -> Result<Json<Value>> {
    let credential = app
        .identity
        .ec2_credential(&caller, &user_id, &access)
        .await?;
    Ok(Json(json!({ "credential": view(credential, &base_url) })))
}

/// Deletes a pair of EC2 keys.
#[utoipa::path(delete, path = "/users/{user_id}/credentials/OS-EC2/{credential_id}",
    tag = "credentials",
    params(("user_id" = String, Path), ("credential_id" = String, Path, description = "The access key")),
    responses((status = 204)))]
async fn delete(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((user_id, access)): Path<(UserId, String)>,
) -> Result<StatusCode> {
    app.identity
        .delete_ec2_credential(&caller, &user_id, &access)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn view(credential: Ec2Credential, base_url: &BaseUrl) -> Value {
    let links = base_url.self_link(format_args!(
        "users/{}/credentials/OS-EC2/{}",
        credential.user_id,
        credential.access.as_deref().unwrap_or_default()
    ));
    json!({
        "user_id": credential.user_id,
        "tenant_id": credential.project_id,
        "access": credential.access,
        // Whoever may see the keys may sign with them.
        "secret": credential.secret.as_ref().map(Secret::expose),
        "trust_id": credential.trust_id,
        "links": links,
    })
}
