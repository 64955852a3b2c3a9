//! Under one user: application credentials and the access rules that restrict them.

use archstone_identity::{AccessRuleCreation, ApplicationCredentialCreation, RoleName};
use archstone_model::{
    credential::{AccessRule, ApplicationCredential, ApplicationCredentialFilter},
    id::{AccessRuleId, ApplicationCredentialId, UserId},
    role::Role,
    secret::Secret,
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    body::Body,
    caller::Authenticated,
    error::{ApiError, Result},
    links::{BaseUrl, ListLinks, list_body},
    projects::ResourceOptionsBody,
    query::ListQuery,
    time::{expiry, iso_without_zone},
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, delete))
        .routes(routes!(list_rules))
        .routes(routes!(show_rule, delete_rule))
}

/// Lists a user's application credentials.
#[utoipa::path(get, path = "/users/{user_id}/application_credentials", tag = "credentials",
    params(("user_id" = String, Path)), responses((status = 200)))]
async fn list(
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
    let views = found
        .entries
        .into_iter()
        .map(|(credential, roles)| view(credential, roles, &base_url))
        .collect();
    let path = format!("users/{user_id}/application_credentials");
    let cut_at = found.cut_at;
    Ok(Json(list_body(
        "application_credentials",
        &path,
        views,
        cut_at,
        &base_url,
        &query,
    )))
}

/// Creates an application credential. Its secret is in this answer and never again.
#[utoipa::path(post, path = "/users/{user_id}/application_credentials", tag = "credentials",
    params(("user_id" = String, Path)), request_body = AppCredCreateRequest,
    responses((status = 201)))]
async fn create(
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
    let mut shown = view(created.credential, created.roles, &base_url);
    // The one time that the secret is shown.
    shown["secret"] = json!(created.secret.expose());
    Ok((
        StatusCode::CREATED,
        Json(json!({ "application_credential": shown })),
    ))
}

/// Shows an application credential.
#[utoipa::path(get, path = "/users/{user_id}/application_credentials/{application_credential_id}",
    tag = "credentials",
    params(("user_id" = String, Path), ("application_credential_id" = String, Path)),
    responses((status = 200)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path((user_id, id)): Path<(UserId, ApplicationCredentialId)>,
) -> Result<Json<Value>> {
    let (credential, roles) = app
        .identity
        .application_credential(&caller, &user_id, &id)
        .await?;
    Ok(Json(
        json!({ "application_credential": view(credential, roles, &base_url) }),
    ))
}

/// Deletes an application credential, and with it the tokens made by it.
#[utoipa::path(delete,
    path = "/users/{user_id}/application_credentials/{application_credential_id}",
    tag = "credentials",
    params(("user_id" = String, Path), ("application_credential_id" = String, Path)),
    responses((status = 204)))]
async fn delete(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((user_id, id)): Path<(UserId, ApplicationCredentialId)>,
) -> Result<StatusCode> {
    app.identity
        .delete_application_credential(&caller, &user_id, &id)
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
    query: ListQuery,
) -> Result<Json<Value>> {
    let rules = app.identity.access_rules(&caller, &user_id).await?;
    let asked = |name: &str, value: &Option<String>| {
        query
            .get(name)
            .is_none_or(|asked| value.as_deref() == Some(asked))
    };
    let views: Vec<_> = rules
        .iter()
        .filter(|rule| {
            asked("service", &rule.service)
                && asked("path", &rule.path)
                && asked("method", &rule.method)
        })
        .map(|rule| view_rule(rule, &base_url))
        .collect();
    let path = format!("users/{user_id}/access_rules{}", query.suffix());
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
    Ok(Json(json!({ "access_rule": view_rule(&rule, &base_url) })))
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

/// Links lead past the user, as Keystone's do: clients compare them and do not follow them.
fn view(credential: ApplicationCredential, roles: Vec<Role>, base_url: &BaseUrl) -> Value {
    let links = base_url.self_link(format_args!("application_credentials/{}", credential.id));
    let roles: Vec<_> = roles
        .into_iter()
        .map(|role| {
            json!({
                "id": role.id,
                "name": role.name,
                "domain_id": role.domain_id,
                "description": role.description,
                "options": ResourceOptionsBody::from(role.options),
            })
        })
        .collect();
    let mut view = json!({
        "id": credential.id,
        "name": credential.name,
        "description": credential.description,
        "user_id": credential.user_id,
        "project_id": credential.project_id,
        "system": null,
        "expires_at": credential.expires_at.map(iso_without_zone),
        "unrestricted": credential.unrestricted,
        "roles": roles,
        "links": links,
    });
    if !credential.access_rules.is_empty() {
        let rules: Vec<_> = credential.access_rules.iter().map(rule_members).collect();
        view["access_rules"] = json!(rules);
    }
    view
}

fn view_rule(rule: &AccessRule, base_url: &BaseUrl) -> Value {
    let mut view = rule_members(rule);
    view["links"] = json!(base_url.self_link(format_args!("access_rules/{}", rule.id)));
    view
}

fn rule_members(rule: &AccessRule) -> Value {
    json!({ "id": rule.id, "service": rule.service, "path": rule.path, "method": rule.method })
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AppCredCreateRequest {
    application_credential: AppCredCreate,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AppCredCreate {
    /// Accepted and not used: the id is made up, the scope is the token's.
    #[serde(rename = "id")]
    #[schema(nullable = false)]
    _id: Option<String>,
    #[serde(rename = "project_id")]
    #[schema(nullable = false)]
    _project_id: Option<String>,
    #[serde(rename = "system")]
    _system: Option<String>,
    #[schema(min_length = 1, max_length = 255, pattern = r"[\S]+")]
    name: String,
    description: Option<String>,
    #[schema(value_type = Option<String>)]
    secret: Option<Secret>,
    #[schema(nullable = false)]
    roles: Option<Vec<RoleBody>>,
    /// ISO 8601, in UTC.
    expires_at: Option<String>,
    unrestricted: Option<bool>,
    #[serde(default)]
    access_rules: Vec<AccessRuleBody>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoleBody {
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = r"^[a-zA-Z0-9-]+$",
        nullable = false
    )]
    id: Option<String>,
    #[schema(min_length = 1, max_length = 255, pattern = r"[\S]+", nullable = false)]
    name: Option<String>,
}

impl TryFrom<RoleBody> for RoleName {
    type Error = ApiError;

    fn try_from(role: RoleBody) -> Result<Self, ApiError> {
        match (role.id, role.name) {
            (Some(id), None) => Ok(Self::Id(id.into())),
            (None, Some(name)) => Ok(Self::Name(name)),
            (None, None) | (Some(_), Some(_)) => Err(ApiError::bad_request(
                "Invalid input for field 'roles': give each role's id or its name.",
            )),
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AccessRuleBody {
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = r"^[a-zA-Z0-9-]+$",
        nullable = false
    )]
    id: Option<String>,
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = r"^[a-zA-Z0-9-]+$",
        nullable = false
    )]
    service: Option<String>,
    #[schema(max_length = 225, pattern = "^/", nullable = false)]
    path: Option<String>,
    #[schema(pattern = "^(GET|HEAD|POST|PUT|PATCH|DELETE)$", nullable = false)]
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
                    .map(RoleName::try_from)
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
            unrestricted: body.unrestricted,
            access_rules,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::parse;

    fn accepted(members: Value) -> bool {
        parse::<AppCredCreateRequest>(json!({ "application_credential": members }))
            .and_then(|request| {
                ApplicationCredentialCreation::try_from(request.application_credential)
            })
            .is_ok()
    }

    #[test]
    fn an_unknown_member_is_refused() {
        assert!(accepted(json!({ "name": "x", "expires_at": null })));
        assert!(!accepted(json!({ "name": "x", "foo": "bar" })));
        assert!(!accepted(json!({})));
    }

    #[test]
    fn an_access_rule_is_whole_or_named_by_its_id() {
        let with = |rule: Value| accepted(json!({ "name": "x", "access_rules": [rule] }));
        assert!(with(json!({ "id": "f00" })));
        assert!(with(
            json!({ "path": "/v2/x", "method": "GET", "service": "compute" })
        ));
        assert!(!with(json!({ "path": "/v2/x" })));
        assert!(!with(
            json!({ "path": "x", "method": "GET", "service": "compute" })
        ));
    }

    #[test]
    fn a_role_is_named_by_one_of_id_and_name() {
        let with = |role: Value| accepted(json!({ "name": "x", "roles": [role] }));
        assert!(with(json!({ "name": "member" })));
        assert!(with(json!({ "id": "f00" })));
        assert!(!with(json!({})));
        assert!(!with(json!({ "id": "f00", "name": "member" })));
    }
}
