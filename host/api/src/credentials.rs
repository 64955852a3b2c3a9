//! `/v3/credentials`.

use archstone_identity::{Credential, CredentialCreation};
use archstone_model::{
    Extra,
    credential::CredentialFilter,
    id::{CredentialId, ProjectId, UserId},
    secret::Secret,
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    body::Body,
    caller::Authenticated,
    error::Result,
    links::{BaseUrl, list_body},
    query::ListQuery,
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, update, delete))
}

/// Lists the credentials that the caller may see.
#[utoipa::path(get, path = "/credentials", tag = "credentials", responses((status = 200)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<Json<Value>> {
    let filter = CredentialFilter {
        user_id: query.get("user_id").map(UserId::from),
        kind: query.get("type").map(str::to_owned),
        page: query.page()?,
    };
    let credentials = app.identity.credentials(&caller, filter).await?;
    let views = credentials
        .entries
        .into_iter()
        .map(|credential| view(credential, &base_url))
        .collect();
    let cut_at = credentials.cut_at;
    Ok(Json(list_body(
        "credentials",
        "credentials",
        views,
        cut_at,
        &base_url,
        &query,
    )))
}

/// Stores a credential.
#[utoipa::path(post, path = "/credentials", tag = "credentials",
    request_body = CredentialCreateRequest, responses((status = 201)))]
async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Body(request): Body<CredentialCreateRequest>,
) -> Result<(StatusCode, Json<Value>)> {
    let CredentialCreate {
        blob,
        kind,
        user_id,
        project_id,
        mut extra,
    } = request.credential;
    extra.shift_remove("id");
    let creation = CredentialCreation {
        user_id: Some(user_id.into()),
        project_id: project_id.map(ProjectId::from),
        kind,
        blob,
        extra,
    };
    let credential = app.identity.create_credential(&caller, creation).await?;
    Ok((
        StatusCode::CREATED,
        Json(json!({ "credential": view(credential, &base_url) })),
    ))
}

/// Shows a credential.
#[utoipa::path(get, path = "/credentials/{credential_id}", tag = "credentials",
    params(("credential_id" = String, Path)), responses((status = 200)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(credential_id): Path<CredentialId>,
) -> Result<Json<Value>> {
    let credential = app.identity.credential(&caller, &credential_id).await?;
    Ok(Json(json!({ "credential": view(credential, &base_url) })))
}

/// Changes what is in a credential.
#[utoipa::path(patch, path = "/credentials/{credential_id}", tag = "credentials",
    params(("credential_id" = String, Path)), request_body = CredentialUpdateRequest,
    responses((status = 200)))]
async fn update(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(credential_id): Path<CredentialId>,
    Body(request): Body<CredentialUpdateRequest>,
) -> Result<Json<Value>> {
    let credential = app
        .identity
        .update_credential(&caller, &credential_id, request.credential.blob)
        .await?;
    Ok(Json(json!({ "credential": view(credential, &base_url) })))
}

/// Deletes a credential.
#[utoipa::path(delete, path = "/credentials/{credential_id}", tag = "credentials",
    params(("credential_id" = String, Path)), responses((status = 204)))]
async fn delete(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(credential_id): Path<CredentialId>,
) -> Result<StatusCode> {
    app.identity
        .delete_credential(&caller, &credential_id)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn view(credential: Credential, base_url: &BaseUrl) -> Value {
    let mut view: Map<String, Value> = credential.extra;
    let links = base_url.self_link(format_args!("credentials/{}", credential.id));
    view.insert("user_id".to_owned(), json!(credential.user_id));
    view.insert("type".to_owned(), json!(credential.kind));
    // Whoever may see a credential may see what is in it: that is what it is stored for.
    view.insert("blob".to_owned(), json!(credential.blob.expose()));
    view.insert("project_id".to_owned(), json!(credential.project_id));
    view.insert("id".to_owned(), json!(credential.id));
    view.insert("links".to_owned(), json!(links));
    Value::Object(view)
}

#[derive(Debug, Deserialize, ToSchema)]
struct CredentialCreateRequest {
    credential: CredentialCreate,
}

#[derive(Debug, Deserialize, ToSchema)]
struct CredentialCreate {
    #[schema(value_type = String)]
    blob: Secret,
    #[serde(rename = "type")]
    #[schema(max_length = 255)]
    kind: String,
    user_id: String,
    project_id: Option<String>,
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
}

#[derive(Debug, Deserialize, ToSchema)]
struct CredentialUpdateRequest {
    credential: CredentialUpdate,
}

/// Whose it is, and what for, never changes: that would be another credential.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CredentialUpdate {
    #[schema(value_type = String)]
    blob: Secret,
}
