//! `/v3/auth`: logging in, validating and revoking tokens, and what a token can be scoped to.

use archstone_identity::{
    AuthRequest, Caller, Error, IssuedToken, OAuthRequest, RemoteUser, RevocationReach,
    ValidationOptions,
};
use archstone_model::{mapping::Assertion, secret::Secret};
use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    assertion::Origin,
    body::RawBody,
    caller::{Authenticated, SubjectToken},
    domains::DomainView,
    error::{ApiError, ErrorBody, Result},
    links::{BaseUrl, SelfLink},
    oauth1::authorization,
    projects::ProjectView,
    query::{Filters, ListQuery},
    resource::List,
    token_body::{CatalogEntry, TokenEnvelope, WholeSystem},
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
#[utoipa::path(post, path = "/auth/tokens", tag = "authentication", security(()),
    params(Filters<CatalogQuery>, ("Openstack-Auth-Receipt" = Option<String>, Header,
        description = "What an earlier part of this login was answered with")),
    request_body = LoginRequest, responses(
        (status = 201, body = TokenEnvelope, headers(("X-Subject-Token" = String, description = "The token"))),
        (status = 401, body = LoginRefusal, description = "The proof was not accepted, or is not all",
            headers(("WWW-Authenticate" = String), ("Openstack-Auth-Receipt" = String))),
        (status = 403), (status = 404), (status = 409),
        (status = 429, body = ErrorBody, description = "Too many logins failed that came from here",
            headers(("Retry-After" = u64))),
    ))]
async fn issue(
    State(app): State<App>,
    base_url: BaseUrl,
    headers: HeaderMap,
    query: ListQuery,
    origin: Origin,
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
    request.remote_user = remote_user(&origin.variables);
    request.assertion = origin.assertion;
    request.client = origin.client;
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
    let body = TokenEnvelope::of(app, &issued.subject, include_catalog).await?;
    // Handing the token to its owner is what this answer is for.
    with_subject_token(
        (StatusCode::CREATED, Json(body)).into_response(),
        issued.token.expose(),
    )
}

/// Shows what a token is good for.
#[utoipa::path(get, path = "/auth/tokens", tag = "authentication",
    params(("X-Subject-Token" = String, Header, description = "The token to validate"),
        ("Openstack-Identity-Access-Rules" = Option<String>, Header,
            description = "The version of access rules that the asking service knows"),
        Filters<CatalogQuery>, Filters<ValidationQuery>),
    responses((status = 200, body = TokenEnvelope,
        headers(("X-Subject-Token" = String, description = "The token"))), (status = 404)))]
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
    let with_catalog = !query.has("nocatalog");
    let body = match token.shown(with_catalog) {
        Some(shown) => shown,
        None => {
            let envelope = TokenEnvelope::of(&app, &token, with_catalog).await?;
            let body = Bytes::from(serde_json::to_vec(&envelope).map_err(Error::internal)?);
            let identity = &app.identity;
            identity.remember_shown(&token, with_catalog, body.clone());
            body
        }
    };
    let json = [(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    )];
    with_subject_token(
        (json, body).into_response(),
        subject.as_deref().unwrap_or_default(),
    )
}

/// Revokes a token, and those made from it unless `cascade` is false.
#[utoipa::path(delete, path = "/auth/tokens", tag = "authentication",
    params(("X-Subject-Token" = String, Header, description = "The token to revoke"),
        ("cascade" = Option<bool>, Query)),
    responses((status = 204), (status = 404)))]
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
#[utoipa::path(get, path = "/auth/projects", tag = "authentication", responses((status = 200, body = List<ProjectView>)))]
async fn projects(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
) -> Result<List<ProjectView>> {
    list_projects(&app, &caller, &base_url, "auth/projects").await
}

/// The projects that the caller can scope a token to, as older clients ask for them.
#[utoipa::path(get, path = "/OS-FEDERATION/projects", tag = "federation", responses((status = 200, body = List<ProjectView>)))]
async fn federated_projects(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
) -> Result<List<ProjectView>> {
    list_projects(&app, &caller, &base_url, "OS-FEDERATION/projects").await
}

async fn list_projects(
    app: &App,
    caller: &Caller,
    base_url: &BaseUrl,
    path: &str,
) -> Result<List<ProjectView>> {
    let (projects, query) = (
        app.identity.own_projects(caller).await?,
        ListQuery::default(),
    );
    Ok(List::new(
        projects,
        ProjectView::new,
        path,
        base_url,
        &query,
    ))
}

/// The domains that the caller can scope a token to.
#[utoipa::path(get, path = "/auth/domains", tag = "authentication", responses((status = 200, body = List<DomainView>)))]
async fn domains(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
) -> Result<List<DomainView>> {
    list_domains(&app, &caller, &base_url, "auth/domains").await
}

/// The domains that the caller can scope a token to, as older clients ask for them.
#[utoipa::path(get, path = "/OS-FEDERATION/domains", tag = "federation", responses((status = 200, body = List<DomainView>)))]
async fn federated_domains(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
) -> Result<List<DomainView>> {
    list_domains(&app, &caller, &base_url, "OS-FEDERATION/domains").await
}

async fn list_domains(
    app: &App,
    caller: &Caller,
    base_url: &BaseUrl,
    path: &str,
) -> Result<List<DomainView>> {
    let (domains, query) = (
        app.identity.own_domains(caller).await?,
        ListQuery::default(),
    );
    Ok(List::new(domains, DomainView::new, path, base_url, &query))
}

/// Whether the caller can scope a token to the system.
#[utoipa::path(get, path = "/auth/system", tag = "authentication", responses((status = 200, body = SystemScopes)))]
async fn system(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
) -> Result<Json<SystemScopes>> {
    let has_role = app.identity.has_system_role(&caller).await?;
    Ok(Json(SystemScopes {
        system: has_role
            .then_some(WholeSystem { all: true })
            .into_iter()
            .collect(),
        links: base_url.self_link("auth/system"),
    }))
}

/// The service catalog of the caller's scope.
#[utoipa::path(get, path = "/auth/catalog", tag = "authentication", responses((status = 200, body = Catalog)))]
async fn catalog(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
) -> Result<Json<Catalog>> {
    let catalog = app.identity.own_catalog(&caller).await?;
    Ok(Json(Catalog {
        catalog: catalog.into_iter().map(CatalogEntry::from).collect(),
        links: base_url.self_link("auth/catalog"),
    }))
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

#[derive(Serialize, ToSchema)]
struct SystemScopes {
    system: Vec<WholeSystem>,
    links: SelfLink,
}

#[derive(Serialize, ToSchema)]
struct Catalog {
    catalog: Vec<CatalogEntry>,
    links: SelfLink,
}

/// What to leave out of a token's body.
#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct CatalogQuery {
    /// Leaves the catalog out, whatever its value.
    nocatalog: Option<String>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct ValidationQuery {
    /// Whether a token counts for a while after its end, as services ask for what runs long.
    allow_expired: Option<String>,
}

/// A login, as `check_shape` wants it. Methods that are plugins have members of their own.
#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct LoginRequest {
    auth: Login,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct Login {
    identity: LoginIdentity,
    #[schema(nullable = false)]
    scope: Option<LoginScope>,
}

/// Each method that is named has a member of its name, with the proof.
#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct LoginIdentity {
    methods: Vec<String>,
    #[schema(nullable = false)]
    password: Option<LoginPassword>,
    #[schema(nullable = false)]
    token: Option<LoginToken>,
    #[schema(value_type = Object, required = false)]
    application_credential: Option<Value>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct LoginPassword {
    #[schema(nullable = false)]
    user: Option<LoginUser>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct LoginUser {
    #[schema(nullable = false)]
    id: Option<String>,
    #[schema(nullable = false)]
    name: Option<String>,
    #[schema(nullable = false)]
    password: Option<String>,
    #[schema(nullable = false)]
    domain: Option<LoginDomain>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct LoginToken {
    id: String,
}

/// `"unscoped"`, or one of these.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "its schema is all that is used")]
enum LoginScope {
    Unscoped(String),
    Scope(Box<Scope>),
}

#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct Scope {
    #[schema(nullable = false)]
    project: Option<LoginProject>,
    #[schema(nullable = false)]
    domain: Option<LoginDomain>,
    #[serde(rename = "OS-TRUST:trust")]
    #[schema(nullable = false)]
    trust: Option<LoginTrust>,
    #[schema(value_type = Object, required = false)]
    system: Option<Value>,
}

#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct LoginProject {
    #[schema(nullable = false)]
    id: Option<String>,
    #[schema(nullable = false)]
    name: Option<String>,
    #[schema(nullable = false)]
    domain: Option<LoginDomain>,
}

#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct LoginDomain {
    #[schema(nullable = false)]
    id: Option<String>,
    #[schema(nullable = false)]
    name: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct LoginTrust {
    #[schema(nullable = false)]
    id: Option<String>,
}

/// Why a login is refused: an error, or that more methods are needed.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "its schema is all that is used")]
pub(crate) enum LoginRefusal {
    Error(ErrorBody),
    Receipt(ReceiptBody),
}

/// What was proven already; the receipt itself is in the `Openstack-Auth-Receipt` header.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReceiptBody {
    #[schema(value_type = Object)]
    receipt: Value,
    required_auth_methods: Vec<Vec<String>>,
}
