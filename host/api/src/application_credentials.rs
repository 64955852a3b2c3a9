//! Under one user: application credentials and the access rules that restrict them.

use archstone_identity::{AccessRuleCreation, ApplicationCredentialCreation, RoleName};
use archstone_model::{
    credential::{AccessRule, ApplicationCredential, ApplicationCredentialFilter},
    id::{AccessRuleId, ApplicationCredentialId, UserId},
    role::Role,
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
    error::{ApiError, Result},
    links::{BaseUrl, SelfLink},
    projects::ResourceOptionsBody,
    query::{Filters, ListQuery, Name, Paging},
    resource::{Envelope, List, Resource},
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
    params(("user_id" = String, Path), Filters<Name>, Paging), responses((status = 200, body = List<ApplicationCredentialView>)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(user_id): Path<UserId>,
    query: ListQuery,
) -> Result<List<ApplicationCredentialView>> {
    let filter = ApplicationCredentialFilter {
        name: query.get("name").map(str::to_owned),
        page: query.page()?,
    };
    let found = app
        .identity
        .application_credentials(&caller, &user_id, filter)
        .await?;
    let path = format!("users/{user_id}/application_credentials");
    let view = ApplicationCredentialView::new;
    Ok(List::new(found, view, &path, &base_url, &query))
}

/// Creates an application credential. Its secret is in this answer and never again.
#[utoipa::path(post, path = "/users/{user_id}/application_credentials", tag = "credentials",
    params(("user_id" = String, Path)), request_body = AppCredCreateRequest,
    responses((status = 201, body = Envelope<ApplicationCredentialView>)))]
async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(user_id): Path<UserId>,
    Body(request): Body<AppCredCreateRequest>,
) -> Result<(StatusCode, Envelope<ApplicationCredentialView>)> {
    let creation = request.application_credential.try_into()?;
    let created = app
        .identity
        .create_application_credential(&caller, &user_id, creation)
        .await?;
    let shown = ApplicationCredentialView {
        // The one time that the secret is shown.
        secret: Some(created.secret.expose().to_owned()),
        ..ApplicationCredentialView::new((created.credential, created.roles), &base_url)
    };
    Ok((StatusCode::CREATED, Envelope(shown)))
}

/// Shows an application credential.
#[utoipa::path(get, path = "/users/{user_id}/application_credentials/{application_credential_id}",
    tag = "credentials",
    params(("user_id" = String, Path), ("application_credential_id" = String, Path)),
    responses((status = 200, body = Envelope<ApplicationCredentialView>)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path((user_id, id)): Path<(UserId, ApplicationCredentialId)>,
) -> Result<Envelope<ApplicationCredentialView>> {
    let found = app
        .identity
        .application_credential(&caller, &user_id, &id)
        .await?;
    Ok(Envelope(ApplicationCredentialView::new(found, &base_url)))
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
    params(("user_id" = String, Path), Filters<AccessRuleQuery>), responses((status = 200, body = List<AccessRuleView>)))]
async fn list_rules(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(user_id): Path<UserId>,
    query: ListQuery,
) -> Result<List<AccessRuleView>> {
    let mut rules = app.identity.access_rules(&caller, &user_id).await?;
    let asked = |name: &str, value: &Option<String>| {
        query
            .get(name)
            .is_none_or(|asked| value.as_deref() == Some(asked))
    };
    rules.retain(|rule| {
        asked("service", &rule.service)
            && asked("path", &rule.path)
            && asked("method", &rule.method)
    });
    let path = format!("users/{user_id}/access_rules");
    Ok(List::new(
        rules,
        AccessRuleView::new,
        &path,
        &base_url,
        &query,
    ))
}

/// Shows an access rule.
#[utoipa::path(get, path = "/users/{user_id}/access_rules/{access_rule_id}", tag = "credentials",
    params(("user_id" = String, Path), ("access_rule_id" = String, Path)),
    responses((status = 200, body = Envelope<AccessRuleView>)))]
async fn show_rule(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path((user_id, id)): Path<(UserId, AccessRuleId)>,
) -> Result<Envelope<AccessRuleView>> {
    let rule = app.identity.access_rule(&caller, &user_id, &id).await?;
    Ok(Envelope(AccessRuleView::new(rule, &base_url)))
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

/// The filters of a list of access rules.
#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct AccessRuleQuery {
    service: Option<String>,
    path: Option<String>,
    method: Option<String>,
}

/// An application credential as clients see it.
#[derive(Serialize, ToSchema)]
#[schema(as = ApplicationCredential)]
struct ApplicationCredentialView {
    id: String,
    name: String,
    description: Option<String>,
    user_id: String,
    project_id: Option<String>,
    /// Always null.
    system: Option<String>,
    expires_at: Option<String>,
    unrestricted: Option<bool>,
    roles: Vec<CredentialRole>,
    links: SelfLink,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    access_rules: Vec<AccessRuleMembers>,
    /// In the answer to its creation only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    secret: Option<String>,
}

/// A role without its extra attributes.
#[derive(Serialize, ToSchema)]
struct CredentialRole {
    id: String,
    name: String,
    domain_id: Option<String>,
    description: Option<String>,
    options: ResourceOptionsBody,
}

impl ApplicationCredentialView {
    /// Links lead past the user, as Keystone's do: clients compare them and do not follow them.
    fn new((credential, roles): (ApplicationCredential, Vec<Role>), base_url: &BaseUrl) -> Self {
        let roles = roles.into_iter().map(|role| CredentialRole {
            id: role.id.into(),
            name: role.name,
            domain_id: role.domain_id.map(Into::into),
            description: role.description,
            options: role.options.into(),
        });
        Self {
            links: base_url.self_link(format_args!("application_credentials/{}", credential.id)),
            id: credential.id.into(),
            name: credential.name,
            description: credential.description,
            user_id: credential.user_id.into(),
            project_id: credential.project_id.map(Into::into),
            system: None,
            expires_at: credential.expires_at.map(iso_without_zone),
            unrestricted: credential.unrestricted,
            roles: roles.collect(),
            access_rules: credential
                .access_rules
                .iter()
                .map(AccessRuleMembers::from)
                .collect(),
            secret: None,
        }
    }
}

impl Resource for ApplicationCredentialView {
    const ONE: &'static str = "application_credential";
    const MANY: &'static str = "application_credentials";
}

/// An access rule as clients see it.
#[derive(Serialize, ToSchema)]
#[schema(as = AccessRule)]
struct AccessRuleView {
    #[serde(flatten)]
    rule: AccessRuleMembers,
    links: SelfLink,
}

/// An access rule without its link.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccessRuleMembers {
    id: String,
    service: Option<String>,
    path: Option<String>,
    method: Option<String>,
}

impl AccessRuleView {
    fn new(rule: AccessRule, base_url: &BaseUrl) -> Self {
        Self {
            links: base_url.self_link(format_args!("access_rules/{}", rule.id)),
            rule: AccessRuleMembers::from(&rule),
        }
    }
}

impl From<&AccessRule> for AccessRuleMembers {
    fn from(rule: &AccessRule) -> Self {
        Self {
            id: rule.id.to_string(),
            service: rule.service.clone(),
            path: rule.path.clone(),
            method: rule.method.clone(),
        }
    }
}

impl Resource for AccessRuleView {
    const ONE: &'static str = "access_rule";
    const MANY: &'static str = "access_rules";
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
    use serde_json::{Value, json};

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
