//! `/v3/auth`: logging in, validating and revoking tokens, and what a token can be scoped to.

use archstone_identity::{
    AuthRequest, Caller, CatalogService, Delegation, DomainRef, IssuedToken, OAuthRequest,
    RemoteUser, RevocationReach, TokenScope, UserRef, ValidToken, ValidationOptions,
};
use archstone_model::{federation::ServiceProvider, mapping::Assertion, secret::Secret};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    assertion::{TrustedAssertion, TrustedVariables},
    body::RawBody,
    caller::{Authenticated, SubjectToken},
    domains::DomainView,
    error::{ApiError, Result},
    links::{BaseUrl, ListLinks},
    oauth1::authorization,
    projects::ProjectView,
    query::ListQuery,
    roles::RoleMembers,
    time::{iso, iso_without_zone},
};

const SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(issue, validate, revoke))
        .routes(routes!(projects))
        .routes(routes!(domains))
        .routes(routes!(federated_projects))
        .routes(routes!(federated_domains))
        .routes(routes!(system))
        .routes(routes!(catalog))
}

/// Logs in and issues a token, which is in the `X-Subject-Token` header of the answer.
#[utoipa::path(post, path = "/auth/tokens", tag = "authentication",
    request_body(content = serde_json::Value, description = "`{\"auth\": {\"identity\": {...}, \"scope\": {...}}}`"),
    responses((status = 201, description = "The token's contents"), (status = 401, description = "The proof was not accepted")))]
async fn issue(
    State(app): State<App>,
    base_url: BaseUrl,
    headers: HeaderMap,
    query: ListQuery,
    TrustedAssertion(assertion): TrustedAssertion,
    TrustedVariables(variables): TrustedVariables,
    RawBody(body): RawBody,
) -> Result {
    let auth = body
        .get("auth")
        .ok_or_else(|| ApiError::bad_request("'auth' is a required property"))?;
    check_shape(auth)?;
    let auth = auth.as_object().ok_or_else(|| {
        ApiError::bad_request("Invalid input for field 'auth': it is not an object")
    })?;
    let receipt = headers
        .get("openstack-auth-receipt")
        .and_then(|receipt| receipt.to_str().ok())
        .map(Secret::from);
    let mut request = AuthRequest::from_body(auth, receipt)?;
    request.oauth1 = Some(OAuthRequest {
        url: base_url.v3("auth/tokens"),
        authorization: authorization(&headers),
    });
    request.assertion = assertion;
    request.remote_user = remote_user(&variables);
    let issued = app.identity.authenticate(request).await?;
    answer(&app, &issued, !query.has("nocatalog")).await
}

/// Whom a web server in front of this one has logged in.
fn remote_user(variables: &Assertion) -> Option<RemoteUser> {
    let given = |name| variables.get(name).filter(|text| !text.is_empty());
    Some(RemoteUser {
        name: given("REMOTE_USER")?.to_owned(),
        domain: given("REMOTE_DOMAIN").map(str::to_owned),
    })
}

/// The answer to a login that worked.
pub(crate) async fn answer(app: &App, issued: &IssuedToken, include_catalog: bool) -> Result {
    let body = render(app, &issued.subject, include_catalog).await?;
    // Handing the token to its owner is what this answer is for.
    with_subject_token(
        (StatusCode::CREATED, Json(body)).into_response(),
        issued.token.expose(),
    )
}

/// Shows what a token is good for.
#[utoipa::path(get, path = "/auth/tokens", tag = "authentication",
    params(("X-Subject-Token" = String, Header, description = "The token to validate")),
    responses((status = 200, description = "The token's contents"), (status = 404, description = "Not a valid token")))]
async fn validate(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    SubjectToken(subject): SubjectToken,
    method: Method,
    headers: HeaderMap,
    query: ListQuery,
) -> Result {
    let options = ValidationOptions {
        allow_expired: query.is_true("allow_expired"),
        access_rules_version: headers
            .get("openstack-identity-access-rules")
            .and_then(|version| version.to_str().ok()?.parse().ok()),
    };
    let only_check = method == Method::HEAD;
    let token = app
        .identity
        .validate_token(&caller, subject.as_deref(), options, only_check)
        .await?;
    let body = render(&app, &token, !query.has("nocatalog")).await?;
    with_subject_token(
        Json(body).into_response(),
        subject.as_deref().unwrap_or_default(),
    )
}

/// Revokes a token, and those made from it unless `cascade` is false.
#[utoipa::path(delete, path = "/auth/tokens", tag = "authentication",
    params(("X-Subject-Token" = String, Header, description = "The token to revoke"),
        ("cascade" = Option<bool>, Query)),
    responses((status = 204)))]
async fn revoke(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    SubjectToken(subject): SubjectToken,
    query: ListQuery,
) -> Result<StatusCode> {
    let reach = match query.bool("cascade") {
        Some(false) => RevocationReach::TokenOnly,
        Some(true) | None => RevocationReach::WithDescendants,
    };
    app.identity
        .revoke_token(&caller, subject.as_deref(), reach)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The projects that the caller can scope a token to.
#[utoipa::path(get, path = "/auth/projects", tag = "authentication", responses((status = 200)))]
async fn projects(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
) -> Result<Json<Value>> {
    list_projects(&app, &caller, &base_url, "auth/projects").await
}

/// The projects that the caller can scope a token to, as older clients ask for them.
#[utoipa::path(get, path = "/OS-FEDERATION/projects", tag = "federation", responses((status = 200)))]
async fn federated_projects(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
) -> Result<Json<Value>> {
    list_projects(&app, &caller, &base_url, "OS-FEDERATION/projects").await
}

async fn list_projects(
    app: &App,
    caller: &Caller,
    base_url: &BaseUrl,
    path: &str,
) -> Result<Json<Value>> {
    let projects = app.identity.own_projects(caller).await?;
    let views: Vec<_> = projects
        .into_iter()
        .map(|project| ProjectView::new(project, base_url))
        .collect();
    Ok(Json(json!({
        "projects": views,
        "links": ListLinks::complete(base_url.v3(path)),
    })))
}

/// The domains that the caller can scope a token to.
#[utoipa::path(get, path = "/auth/domains", tag = "authentication", responses((status = 200)))]
async fn domains(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
) -> Result<Json<Value>> {
    list_domains(&app, &caller, &base_url, "auth/domains").await
}

/// The domains that the caller can scope a token to, as older clients ask for them.
#[utoipa::path(get, path = "/OS-FEDERATION/domains", tag = "federation", responses((status = 200)))]
async fn federated_domains(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
) -> Result<Json<Value>> {
    list_domains(&app, &caller, &base_url, "OS-FEDERATION/domains").await
}

async fn list_domains(
    app: &App,
    caller: &Caller,
    base_url: &BaseUrl,
    path: &str,
) -> Result<Json<Value>> {
    let domains = app.identity.own_domains(caller).await?;
    let views: Vec<_> = domains
        .into_iter()
        .map(|domain| DomainView::new(domain, base_url))
        .collect();
    Ok(Json(json!({
        "domains": views,
        "links": ListLinks::complete(base_url.v3(path)),
    })))
}

/// Whether the caller can scope a token to the system.
#[utoipa::path(get, path = "/auth/system", tag = "authentication", responses((status = 200)))]
async fn system(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
) -> Result<Json<Value>> {
    let system = if app.identity.has_system_role(&caller).await? {
        json!([{ "all": true }])
    } else {
        json!([])
    };
    Ok(Json(
        json!({ "system": system, "links": { "self": base_url.v3("auth/system") } }),
    ))
}

/// The service catalog of the caller's scope.
#[utoipa::path(get, path = "/auth/catalog", tag = "authentication", responses((status = 200)))]
async fn catalog(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
) -> Result<Json<Value>> {
    let catalog = app.identity.own_catalog(&caller).await?;
    Ok(Json(json!({
        "catalog": render_catalog(&catalog),
        "links": { "self": base_url.v3("auth/catalog") },
    })))
}

/// Refuses a login whose parts have the wrong types, with the path of the first.
fn check_shape(auth: &Value) -> Result<(), ApiError> {
    const TEXTS: &[&str] = &[
        "/identity/password/user/id",
        "/identity/password/user/name",
        "/identity/password/user/password",
        "/identity/password/user/domain/id",
        "/identity/password/user/domain/name",
        "/identity/token/id",
        "/scope/project/id",
        "/scope/project/name",
        "/scope/project/domain/id",
        "/scope/project/domain/name",
        "/scope/domain/id",
        "/scope/domain/name",
        "/scope/OS-TRUST:trust/id",
    ];
    const OBJECTS: &[&str] = &[
        "/identity",
        "/identity/password",
        "/identity/password/user",
        "/identity/password/user/domain",
        "/identity/token",
        "/identity/application_credential",
        "/scope/project",
        "/scope/project/domain",
        "/scope/domain",
        "/scope/OS-TRUST:trust",
        "/scope/system",
    ];
    let wrong = |path: &str, kind: &str| {
        let path = path.trim_start_matches('/');
        let value = auth
            .pointer(&format!("/{path}"))
            .map(kind_of)
            .unwrap_or("null");
        ApiError::bad_request(format!(
            "Invalid input for field '{path}': {value} is not of type '{kind}'"
        ))
    };
    if !auth.is_object() {
        return Err(ApiError::bad_request(
            "Invalid input for field 'auth': it is not of type 'object'",
        ));
    }
    if auth.get("identity").is_none() {
        return Err(ApiError::bad_request("'identity' is a required property"));
    }
    for path in OBJECTS {
        if auth.pointer(path).is_some_and(|value| !value.is_object()) {
            return Err(wrong(path, "object"));
        }
    }
    match auth.pointer("/identity/methods") {
        None => {
            return Err(ApiError::bad_request(
                "Invalid input for field 'identity': 'methods' is a required property",
            ));
        }
        Some(Value::Array(methods)) if methods.iter().all(Value::is_string) => {}
        Some(_) => return Err(wrong("/identity/methods", "array of string")),
    }
    for path in TEXTS {
        if auth.pointer(path).is_some_and(|value| !value.is_string()) {
            return Err(wrong(path, "string"));
        }
    }
    if auth
        .pointer("/identity/token")
        .is_some_and(|token| token.get("id").is_none())
    {
        return Err(ApiError::bad_request(
            "Invalid input for field 'identity/token': 'id' is a required property",
        ));
    }
    match auth.get("scope") {
        None | Some(Value::Object(_) | Value::String(_)) => Ok(()),
        Some(_) => Err(wrong("/scope", "object")),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

pub(crate) fn with_subject_token(mut response: Response, token: &str) -> Result {
    let mut value = HeaderValue::from_str(token)
        .map_err(|_| ApiError::bad_request("The subject token is not a valid header value."))?;
    value.set_sensitive(true);
    response.headers_mut().insert(SUBJECT_TOKEN, value);
    Ok(response)
}

/// The body of a token, in Keystone's shape.
pub(crate) async fn render(app: &App, token: &ValidToken, include_catalog: bool) -> Result<Value> {
    let mut body = Map::new();
    body.insert("methods".to_owned(), json!(token.methods));
    body.insert("user".to_owned(), render_user(token.acting_user(), token));
    body.insert("audit_ids".to_owned(), json!(token.audit_ids));
    body.insert("expires_at".to_owned(), json!(iso(token.expires_at)));
    body.insert("issued_at".to_owned(), json!(iso(token.issued_at)));
    if let Delegation::Trust(delegation) = &token.delegation {
        body.insert(
            "OS-TRUST:trust".to_owned(),
            json!({
                "id": delegation.trust.id,
                "trustor_user": { "id": delegation.trustor.id },
                "trustee_user": { "id": delegation.trustee.id },
                "impersonation": delegation.trust.impersonation,
            }),
        );
    }
    match &token.scope {
        TokenScope::Unscoped => {}
        TokenScope::Project(project) => {
            body.insert(
                "project".to_owned(),
                json!({
                    "domain": render_domain(&project.domain),
                    "id": project.id,
                    "name": project.name,
                }),
            );
            if token.trust().is_none() {
                body.insert("is_domain".to_owned(), json!(project.is_domain));
            }
        }
        TokenScope::Domain(domain) => {
            body.insert("domain".to_owned(), render_domain(domain));
        }
        TokenScope::System => {
            body.insert("system".to_owned(), json!({ "all": true }));
        }
    }
    if token.scope != TokenScope::Unscoped {
        body.insert("roles".to_owned(), render_roles(token));
        if include_catalog {
            let project_id = token.project().map(|project| &project.id);
            let user = token.trust().map_or(&token.user, |trust| &trust.trustor);
            let catalog = app.identity.catalog_for(&user.id, project_id).await?;
            body.insert("catalog".to_owned(), render_catalog(&catalog));
        }
    }
    if let Delegation::OAuth1(delegation) = &token.delegation {
        body.insert(
            "OS-OAUTH1".to_owned(),
            json!({
                "access_token_id": delegation.access_token_id,
                "consumer_id": delegation.consumer_id,
            }),
        );
    }
    let providers = app.identity.enabled_service_providers().await?;
    if !providers.is_empty() {
        body.insert(
            "service_providers".to_owned(),
            render_service_providers(&providers),
        );
    }
    if let Delegation::ApplicationCredential(credential) = &token.delegation {
        let mut shown = json!({
            "id": credential.id,
            "name": credential.name,
            "restricted": !credential.is_unrestricted(),
        });
        if !credential.access_rules.is_empty() {
            let rules: Vec<_> = credential
                .access_rules
                .iter()
                .map(|rule| {
                    json!({
                        "id": rule.id,
                        "service": rule.service,
                        "path": rule.path,
                        "method": rule.method,
                    })
                })
                .collect();
            shown["access_rules"] = Value::Array(rules);
        }
        body.insert("application_credential".to_owned(), shown);
    }
    if let Some(thumbprint) = &token.thumbprint {
        body.insert(
            "oauth2_credential".to_owned(),
            json!({ "x5t#S256": thumbprint }),
        );
    }
    Ok(json!({ "token": body }))
}

/// A trust's roles are shown whole.
fn render_roles(token: &ValidToken) -> Value {
    match token.trust() {
        Some(delegation) => delegation
            .roles
            .iter()
            .map(|role| json!(RoleMembers::from(role.clone())))
            .collect(),
        None => token
            .roles
            .iter()
            .map(|role| json!({ "id": role.id, "name": role.name }))
            .collect(),
    }
}

fn render_user(user: &UserRef, token: &ValidToken) -> Value {
    let mut shown = json!({
        "domain": render_domain(&user.domain),
        "id": user.id,
        "name": user.name,
    });
    match &token.federation {
        Some(origin) => {
            let groups: Vec<_> = origin.groups.iter().map(|id| json!({ "id": id })).collect();
            shown["OS-FEDERATION"] = json!({
                "groups": groups,
                "identity_provider": { "id": origin.identity_provider },
                "protocol": { "id": origin.protocol },
            });
        }
        None => {
            shown["password_expires_at"] = json!(user.password_expires_at.map(iso_without_zone))
        }
    }
    shown
}

fn render_service_providers(providers: &[ServiceProvider]) -> Value {
    providers
        .iter()
        .map(|provider| {
            json!({
                "auth_url": provider.auth_url,
                "id": provider.id,
                "sp_url": provider.sp_url,
            })
        })
        .collect()
}

fn render_domain(domain: &DomainRef) -> Value {
    json!({ "id": domain.id, "name": domain.name })
}

fn render_catalog(catalog: &[CatalogService]) -> Value {
    catalog
        .iter()
        .map(|service| {
            let endpoints: Vec<_> = service
                .endpoints
                .iter()
                .map(|endpoint| {
                    let mut shown = endpoint.extra.clone();
                    shown.insert("id".to_owned(), json!(endpoint.id));
                    shown.insert("interface".to_owned(), json!(endpoint.interface.as_str()));
                    shown.insert("region_id".to_owned(), json!(endpoint.region_id));
                    shown.insert("url".to_owned(), json!(endpoint.url));
                    shown.insert("region".to_owned(), json!(endpoint.region_id));
                    Value::Object(shown)
                })
                .collect();
            json!({
                "endpoints": endpoints,
                "id": service.id,
                "type": service.service_type,
                "name": service.name,
            })
        })
        .collect()
}
