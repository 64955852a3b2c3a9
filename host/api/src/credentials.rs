//! `/v3/credentials`.

use archstone_identity::{Credential, CredentialCreation};
use archstone_model::{
    Extra,
    credential::CredentialFilter,
    id::{CredentialId, ProjectId, UserId},
    secret::Secret,
};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    body::Body,
    caller::Authenticated,
    error::Result,
    links::{BaseUrl, SelfLink},
    query::{Filters, ListQuery, Paging},
    resource::{Envelope, List, Resource},
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, update, delete))
}

/// Lists the credentials that the caller may see.
#[utoipa::path(get, path = "/credentials", tag = "credentials",
    params(Filters<CredentialQuery>, Paging), responses((status = 200, body = List<CredentialView>)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<List<CredentialView>> {
    let filter = CredentialFilter {
        user_id: query.get("user_id").map(UserId::from),
        kind: query.get("type").map(str::to_owned),
        page: query.page()?,
    };
    let credentials = app.identity.credentials(&caller, filter).await?;
    let (view, path) = (CredentialView::new, "credentials");
    Ok(List::new(credentials, view, path, &base_url, &query))
}

/// Stores a credential.
#[utoipa::path(post, path = "/credentials", tag = "credentials",
    request_body = CredentialCreateRequest, responses((status = 201, body = Envelope<CredentialView>)))]
async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Body(request): Body<CredentialCreateRequest>,
) -> Result<(StatusCode, Envelope<CredentialView>)> {
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
    let view = CredentialView::new(credential, &base_url);
    Ok((StatusCode::CREATED, Envelope(view)))
}

/// Shows a credential.
#[utoipa::path(get, path = "/credentials/{credential_id}", tag = "credentials",
    params(("credential_id" = String, Path)), responses((status = 200, body = Envelope<CredentialView>)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(credential_id): Path<CredentialId>,
) -> Result<Envelope<CredentialView>> {
    let credential = app.identity.credential(&caller, &credential_id).await?;
    Ok(Envelope(CredentialView::new(credential, &base_url)))
}

/// Changes what is in a credential.
#[utoipa::path(patch, path = "/credentials/{credential_id}", tag = "credentials",
    params(("credential_id" = String, Path)), request_body = CredentialUpdateRequest,
    responses((status = 200, body = Envelope<CredentialView>)))]
async fn update(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(credential_id): Path<CredentialId>,
    Body(request): Body<CredentialUpdateRequest>,
) -> Result<Envelope<CredentialView>> {
    let credential = app
        .identity
        .update_credential(&caller, &credential_id, request.credential.blob)
        .await?;
    Ok(Envelope(CredentialView::new(credential, &base_url)))
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

/// The filters of a list of credentials.
#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct CredentialQuery {
    user_id: Option<String>,
    r#type: Option<String>,
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

/// A credential as clients see it.
#[derive(Serialize, ToSchema)]
#[schema(as = Credential)]
struct CredentialView {
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
    user_id: String,
    #[serde(rename = "type")]
    kind: String,
    blob: String,
    project_id: Option<String>,
    id: String,
    links: SelfLink,
}

impl CredentialView {
    fn new(credential: Credential, base_url: &BaseUrl) -> Self {
        Self {
            links: base_url.self_link(format_args!("credentials/{}", credential.id)),
            extra: credential.extra,
            user_id: credential.user_id.into(),
            kind: credential.kind,
            // Whoever may see a credential may see what is in it: that is what it is stored for.
            blob: credential.blob.expose().to_owned(),
            project_id: credential.project_id.map(Into::into),
            id: credential.id.into(),
        }
    }
}

impl Resource for CredentialView {
    const ONE: &'static str = "credential";
    const MANY: &'static str = "credentials";
}
