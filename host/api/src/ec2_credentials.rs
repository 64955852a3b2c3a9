//! `/v3/users/{user_id}/credentials/OS-EC2`: the keys that a user signs AWS requests with.

use archstone_identity::Ec2Credential;
use archstone_model::id::{ProjectId, UserId};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    body::RawBody,
    caller::Authenticated,
    error::Result,
    links::{BaseUrl, SelfLink},
    query::ListQuery,
    resource::{Envelope, List, Resource},
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, delete))
}

/// Lists a user's EC2 keys.
#[utoipa::path(get, path = "/users/{user_id}/credentials/OS-EC2", tag = "credentials",
    params(("user_id" = String, Path)), responses((status = 200, body = List<Ec2CredentialView>)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(user_id): Path<UserId>,
    query: ListQuery,
) -> Result<List<Ec2CredentialView>> {
    let credentials = app.identity.ec2_credentials(&caller, &user_id).await?;
    let path = format!("users/{user_id}/credentials/OS-EC2");
    let view = Ec2CredentialView::new;
    Ok(List::new(credentials, view, &path, &base_url, &query))
}

/// Makes a pair of EC2 keys for a user in a project.
#[utoipa::path(post, path = "/users/{user_id}/credentials/OS-EC2", tag = "credentials",
    params(("user_id" = String, Path)),
    request_body = Ec2CredentialRequest,
    responses((status = 201, body = Envelope<Ec2CredentialView>)))]
async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(user_id): Path<UserId>,
    RawBody(body): RawBody,
) -> Result<(StatusCode, Envelope<Ec2CredentialView>)> {
    // Whatever is no project's id names no project.
    let project_id = match body.get("tenant_id") {
        Some(Value::String(id)) => ProjectId::from(id.as_str()),
        other => ProjectId::new(other.unwrap_or(&Value::Null).to_string()),
    };
    let credential = app
        .identity
        .create_ec2_credential(&caller, &user_id, &project_id)
        .await?;
    let view = Ec2CredentialView::new(credential, &base_url);
    Ok((StatusCode::CREATED, Envelope(view)))
}

/// Shows a pair of EC2 keys.
#[utoipa::path(get, path = "/users/{user_id}/credentials/OS-EC2/{credential_id}",
    tag = "credentials",
    params(("user_id" = String, Path), ("credential_id" = String, Path, description = "The access key")),
    responses((status = 200, body = Envelope<Ec2CredentialView>)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path((user_id, access)): Path<(UserId, String)>,
) -> Result<Envelope<Ec2CredentialView>> {
    let credential = app
        .identity
        .ec2_credential(&caller, &user_id, &access)
        .await?;
    Ok(Envelope(Ec2CredentialView::new(credential, &base_url)))
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

/// Which project the keys are for.
#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct Ec2CredentialRequest {
    tenant_id: String,
}

/// A pair of EC2 keys as clients see it.
#[derive(Serialize, ToSchema)]
#[schema(as = Ec2Credential)]
struct Ec2CredentialView {
    user_id: String,
    tenant_id: Option<String>,
    access: Option<String>,
    secret: Option<String>,
    trust_id: Option<String>,
    links: SelfLink,
}

impl Ec2CredentialView {
    fn new(credential: Ec2Credential, base_url: &BaseUrl) -> Self {
        let links = base_url.self_link(format_args!(
            "users/{}/credentials/OS-EC2/{}",
            credential.user_id,
            credential.access.as_deref().unwrap_or_default()
        ));
        Self {
            user_id: credential.user_id.into(),
            tenant_id: credential.project_id.map(Into::into),
            access: credential.access,
            // Whoever may see the keys may sign with them.
            secret: credential.secret.map(|secret| secret.expose().to_owned()),
            trust_id: credential.trust_id,
            links,
        }
    }
}

impl Resource for Ec2CredentialView {
    const ONE: &'static str = "credential";
    const MANY: &'static str = "credentials";
}
