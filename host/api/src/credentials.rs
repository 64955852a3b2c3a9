//! `/v3/credentials`, and under one user application credentials and access rules.

use archstone_identity::{
    AccessRuleCreation, ApplicationCredentialCreation, Credential, CredentialChange,
    CredentialCreation, RoleName,
};
use archstone_model::{
    Extra,
    credential::{
        AccessRule, ApplicationCredential, ApplicationCredentialFilter, CredentialFilter,
    },
    id::{AccessRuleId, ApplicationCredentialId, CredentialId, ProjectId, UserId},
    listing::Change,
    role::RoleRef,
    secret::Secret,
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use chrono::{DateTime, NaiveDateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    body::{Body, nullable},
    caller::Authenticated,
    error::{ApiError, Result},
    links::{BaseUrl, ListLinks},
    query::ListQuery,
    time::iso,
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, update, delete))
        .routes(routes!(list_app_creds, create_app_cred))
        .routes(routes!(show_app_cred, delete_app_cred))
        .routes(routes!(list_rules))
        .routes(routes!(show_rule, delete_rule))
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
    let views: Vec<_> = credentials
        .into_iter()
        .map(|credential| view(credential, &base_url))
        .collect();
    let path = format!("credentials{}", query.suffix());
    Ok(Json(
        json!({ "credentials": views, "links": ListLinks::complete(base_url.v3(path)) }),
    ))
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
        user_id: user_id.map(UserId::from),
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

/// Changes a credential.
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
    let CredentialUpdate {
        id,
        blob,
        kind,
        user_id,
        project_id,
        extra,
    } = request.credential;
    if id.is_some_and(|id| id != credential_id.as_str()) {
        return Err(ApiError::bad_request("Cannot change credential ID"));
    }
    let change = CredentialChange {
        user_id: user_id.map(UserId::from).into(),
        project_id: project_id.map(|id| id.map(ProjectId::from)),
        kind: kind.into(),
        blob: blob.into(),
        extra,
    };
    let credential = app
        .identity
        .update_credential(&caller, &credential_id, change)
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

/// Lists a user's application credentials.
#[utoipa::path(get, path = "/users/{user_id}/application_credentials", tag = "credentials",
    params(("user_id" = String, Path)), responses((status = 200)))]
async fn list_app_creds(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(user_id): Path<UserId>,
    query: ListQuery,
) -> Result<Json<Value>> {
    let filter = ApplicationCredentialFilter {
        name: query.get("name").map(str::to_owned),
        page: query.page()?,
    };
    let found = app
        .identity
        .application_credentials(&caller, &user_id, filter)
        .await?;
    let views: Vec<_> = found
        .into_iter()
        .map(|(credential, roles)| view_app_cred(credential, &roles, &base_url))
        .collect();
    let path = format!("users/{user_id}/application_credentials{}", query.suffix());
    Ok(Json(json!({
        "application_credentials": views,
        "links": ListLinks::complete(base_url.v3(path)),
    })))
}

/// Creates an application credential. Its secret is in this answer and never again.
#[utoipa::path(post, path = "/users/{user_id}/application_credentials", tag = "credentials",
    params(("user_id" = String, Path)), request_body = AppCredCreateRequest,
    responses((status = 201)))]
async fn create_app_cred(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(user_id): Path<UserId>,
    Body(request): Body<AppCredCreateRequest>,
) -> Result<(StatusCode, Json<Value>)> {
    let creation = request.application_credential.try_into()?;
    let created = app
        .identity
        .create_application_credential(&caller, &user_id, creation)
        .await?;
    let mut view = view_app_cred(created.credential, &created.roles, &base_url);
    // The one time that the secret is shown.
    view["secret"] = json!(created.secret.expose());
    Ok((
        StatusCode::CREATED,
        Json(json!({ "application_credential": view })),
    ))
}

/// Shows an application credential.
#[utoipa::path(get, path = "/users/{user_id}/application_credentials/{application_credential_id}",
    tag = "credentials",
    params(("user_id" = String, Path), ("application_credential_id" = String, Path)),
    responses((status = 200)))]
async fn show_app_cred(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path((_user_id, id)): Path<(UserId, ApplicationCredentialId)>,
) -> Result<Json<Value>> {
    let (credential, roles) = app.identity.application_credential(&caller, &id).await?;
    Ok(Json(
        json!({ "application_credential": view_app_cred(credential, &roles, &base_url) }),
    ))
}

/// Deletes an application credential, and with it the tokens made by it.
#[utoipa::path(delete,
    path = "/users/{user_id}/application_credentials/{application_credential_id}",
    tag = "credentials",
    params(("user_id" = String, Path), ("application_credential_id" = String, Path)),
    responses((status = 204)))]
async fn delete_app_cred(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((_user_id, id)): Path<(UserId, ApplicationCredentialId)>,
) -> Result<StatusCode> {
    app.identity
        .delete_application_credential(&caller, &id)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists a user's access rules.
#[utoipa::path(get, path = "/users/{user_id}/access_rules", tag = "credentials",
    params(("user_id" = String, Path)), responses((status = 200)))]
async fn list_rules(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(user_id): Path<UserId>,
) -> Result<Json<Value>> {
    let rules = app.identity.access_rules(&caller, &user_id).await?;
    let views: Vec<_> = rules
        .iter()
        .map(|rule| view_rule(rule, &user_id, &base_url))
        .collect();
    let path = format!("users/{user_id}/access_rules");
    Ok(Json(
        json!({ "access_rules": views, "links": ListLinks::complete(base_url.v3(path)) }),
    ))
}

/// Shows an access rule.
#[utoipa::path(get, path = "/users/{user_id}/access_rules/{access_rule_id}", tag = "credentials",
    params(("user_id" = String, Path), ("access_rule_id" = String, Path)),
    responses((status = 200)))]
async fn show_rule(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path((user_id, id)): Path<(UserId, AccessRuleId)>,
) -> Result<Json<Value>> {
    let rule = app.identity.access_rule(&caller, &user_id, &id).await?;
    Ok(Json(
        json!({ "access_rule": view_rule(&rule, &user_id, &base_url) }),
    ))
}

/// Deletes an access rule that no application credential uses.
#[utoipa::path(delete, path = "/users/{user_id}/access_rules/{access_rule_id}",
    tag = "credentials", params(("user_id" = String, Path), ("access_rule_id" = String, Path)),
    responses((status = 204)))]
async fn delete_rule(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((user_id, id)): Path<(UserId, AccessRuleId)>,
) -> Result<StatusCode> {
    app.identity
        .delete_access_rule(&caller, &user_id, &id)
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

fn view_app_cred(
    credential: ApplicationCredential,
    roles: &[RoleRef],
    base_url: &BaseUrl,
) -> Value {
    let path = format!(
        "users/{}/application_credentials/{}",
        credential.user_id, credential.id
    );
    let roles: Vec<_> = roles
        .iter()
        .map(|role| {
            json!({ "id": role.id, "name": role.name, "domain_id": null, "description": null, "options": {} })
        })
        .collect();
    let mut view = json!({
        "id": credential.id,
        "name": credential.name,
        "description": credential.description,
        "user_id": credential.user_id,
        "project_id": credential.project_id,
        "system": null,
        "expires_at": credential.expires_at.map(|time| iso(time).trim_end_matches('Z').to_owned()),
        "unrestricted": credential.unrestricted,
        "roles": roles,
        "links": base_url.self_link(path),
    });
    if !credential.access_rules.is_empty() {
        let rules: Vec<_> = credential.access_rules.iter().map(rule_members).collect();
        view["access_rules"] = json!(rules);
    }
    view
}

fn view_rule(rule: &AccessRule, user_id: &UserId, base_url: &BaseUrl) -> Value {
    let mut view = rule_members(rule);
    view["links"] =
        json!(base_url.self_link(format_args!("users/{user_id}/access_rules/{}", rule.id)));
    view
}

fn rule_members(rule: &AccessRule) -> Value {
    json!({ "id": rule.id, "service": rule.service, "path": rule.path, "method": rule.method })
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
    user_id: Option<String>,
    project_id: Option<String>,
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
}

#[derive(Debug, Deserialize, ToSchema)]
struct CredentialUpdateRequest {
    credential: CredentialUpdate,
}

#[derive(Debug, Deserialize, ToSchema)]
struct CredentialUpdate {
    id: Option<String>,
    #[schema(value_type = Option<String>)]
    blob: Option<Secret>,
    #[serde(rename = "type")]
    #[schema(max_length = 255)]
    kind: Option<String>,
    user_id: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    project_id: Change<Option<String>>,
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
}

#[derive(Debug, Deserialize, ToSchema)]
struct AppCredCreateRequest {
    application_credential: AppCredCreate,
}

#[derive(Debug, Deserialize, ToSchema)]
struct AppCredCreate {
    #[schema(min_length = 1, max_length = 255)]
    name: String,
    description: Option<String>,
    #[schema(value_type = Option<String>)]
    secret: Option<Secret>,
    roles: Option<Vec<RoleBody>>,
    /// ISO 8601; UTC where it names no zone.
    expires_at: Option<String>,
    unrestricted: Option<bool>,
    #[serde(default)]
    access_rules: Vec<AccessRuleBody>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct RoleBody {
    id: Option<String>,
    name: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct AccessRuleBody {
    id: Option<String>,
    #[schema(max_length = 64)]
    service: Option<String>,
    #[schema(max_length = 128)]
    path: Option<String>,
    #[schema(pattern = "^(GET|HEAD|POST|PUT|PATCH|DELETE)$")]
    method: Option<String>,
}

impl TryFrom<AppCredCreate> for ApplicationCredentialCreation {
    type Error = ApiError;

    fn try_from(body: AppCredCreate) -> Result<Self, ApiError> {
        let roles = body
            .roles
            .map(|roles| {
                roles
                    .into_iter()
                    .map(|role| match (role.id, role.name) {
                        (Some(id), _) => Ok(RoleName::Id(id.into())),
                        (None, Some(name)) => Ok(RoleName::Name(name)),
                        (None, None) => Err(ApiError::bad_request(
                            "Invalid input for field 'roles': id or name must be present.",
                        )),
                    })
                    .collect::<Result<Vec<_>, _>>()
            })
            .transpose()?;
        let access_rules = body
            .access_rules
            .into_iter()
            .map(|rule| match rule {
                AccessRuleBody { id: Some(id), .. } => Ok(AccessRuleCreation::Existing(id.into())),
                AccessRuleBody {
                    service: Some(service),
                    path: Some(path),
                    method: Some(method),
                    ..
                } => Ok(AccessRuleCreation::New {
                    service,
                    path,
                    method,
                }),
                _ => Err(ApiError::bad_request(
                    "Invalid input for field 'access_rules': path, method and service must be \
                     present.",
                )),
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            name: body.name,
            description: body.description,
            secret: body.secret,
            roles,
            expires_at: body.expires_at.as_deref().map(expiry).transpose()?,
            unrestricted: body.unrestricted.unwrap_or(false),
            access_rules,
        })
    }
}

fn expiry(text: &str) -> Result<DateTime<Utc>, ApiError> {
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.with_timezone(&Utc))
        .or_else(|_| {
            NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").map(|time| time.and_utc())
        })
        .map_err(|_| {
            ApiError::bad_request(format!(
                "Invalid input for field 'expires_at': '{text}' is not a 'date-time'"
            ))
        })
}
