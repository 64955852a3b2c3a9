//! `/v3/OS-OAUTH1`: consumers, and the steps by which a user lets one act for them. Requests of the
//! steps are signed by RFC 5849, and answered with a form.

use archstone_identity::{
    ConsumerChange, ConsumerCreation, IssuedOAuthToken, OAuthRequest, RoleName,
};
use archstone_model::{
    id::{ConsumerId, ProjectId, RequestTokenId},
    listing::Change,
    oauth1::Consumer,
    secret::Secret,
};
use axum::{
    Json,
    extract::{OriginalUri, Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    body::{Body, RawBody},
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
        .routes(routes!(request_token, no_request_token))
        .routes(routes!(authorize, no_authorize))
        .routes(routes!(access_token, no_access_token))
}

/// Lists the consumers.
#[utoipa::path(get, path = "/OS-OAUTH1/consumers", tag = "oauth1", responses((status = 200)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<Json<Value>> {
    let consumers = app.identity.consumers(&caller).await?;
    let views: Vec<_> = consumers
        .into_iter()
        .map(|consumer| view(consumer, &base_url))
        .collect();
    let path = format!("OS-OAUTH1/consumers{}", query.suffix());
    let links = ListLinks::complete(base_url.v3(path));
    Ok(Json(json!({ "consumers": views, "links": links })))
}

/// Creates a consumer. Its secret is in this answer and never again.
#[utoipa::path(post, path = "/OS-OAUTH1/consumers", tag = "oauth1",
    request_body(content = serde_json::Value, description = "`{\"consumer\": {\"description\": \"...\"}}`"),
    responses((status = 201)))]
async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    RawBody(body): RawBody,
) -> Result<(StatusCode, Json<Value>)> {
    let mut members = consumer_members(body)?;
    members.shift_remove("id");
    members.shift_remove("secret");
    let creation = ConsumerCreation {
        description: description(&mut members)?.into_set().flatten(),
        extra: members,
    };
    let consumer = app.identity.create_consumer(&caller, creation).await?;
    // The one time that the secret is shown.
    let secret = consumer.secret.expose().to_owned();
    let mut shown = view(consumer, &base_url);
    shown["secret"] = json!(secret);
    Ok((StatusCode::CREATED, Json(json!({ "consumer": shown }))))
}

/// Shows a consumer.
#[utoipa::path(get, path = "/OS-OAUTH1/consumers/{consumer_id}", tag = "oauth1",
    params(("consumer_id" = String, Path)), responses((status = 200)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(id): Path<ConsumerId>,
) -> Result<Json<Value>> {
    let consumer = app.identity.consumer(&caller, &id).await?;
    Ok(Json(json!({ "consumer": view(consumer, &base_url) })))
}

/// Changes a consumer.
#[utoipa::path(patch, path = "/OS-OAUTH1/consumers/{consumer_id}", tag = "oauth1",
    params(("consumer_id" = String, Path)),
    request_body(content = serde_json::Value, description = "`{\"consumer\": {\"description\": \"...\"}}`"),
    responses((status = 200)))]
async fn update(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(id): Path<ConsumerId>,
    RawBody(body): RawBody,
) -> Result<Json<Value>> {
    let mut members = consumer_members(body)?;
    if members.is_empty() {
        return Err(ApiError::bad_request(
            "Invalid input for field 'consumer': {} does not have enough properties",
        ));
    }
    if members.contains_key("secret") {
        return Err(ApiError::bad_request(
            "Invalid input for field 'consumer': the secret cannot be changed",
        ));
    }
    match members.shift_remove("id") {
        None | Some(Value::Null) => {}
        Some(given) if given == id.as_str() => {}
        Some(_) => return Err(ApiError::bad_request("Cannot change ID")),
    }
    let change = ConsumerChange {
        description: description(&mut members)?,
        extra: members,
    };
    let consumer = app.identity.update_consumer(&caller, &id, change).await?;
    Ok(Json(json!({ "consumer": view(consumer, &base_url) })))
}

/// Deletes a consumer, and with it all that users granted to it.
#[utoipa::path(delete, path = "/OS-OAUTH1/consumers/{consumer_id}", tag = "oauth1",
    params(("consumer_id" = String, Path)), responses((status = 204)))]
async fn delete(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(id): Path<ConsumerId>,
) -> Result<StatusCode> {
    app.identity.delete_consumer(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Asks for a request token: a consumer's wish to act in a project.
#[utoipa::path(post, path = "/OS-OAUTH1/request_token", tag = "oauth1",
    params(("Requested-Project-Id" = String, Header), ("Authorization" = String, Header, description = "The signature of the consumer")),
    responses((status = 201, content_type = "application/x-www-form-urlencoded")))]
async fn request_token(
    State(app): State<App>,
    base_url: BaseUrl,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result {
    let project_id = headers
        .get("requested-project-id")
        .and_then(|id| id.to_str().ok())
        .filter(|id| !id.is_empty())
        .map(ProjectId::from);
    let request = signed_request(&base_url, &uri, &headers);
    let token = app
        .identity
        .oauth1_request_token(&request, project_id)
        .await?;
    Ok(form(&token))
}

/// Grants some of the caller's roles to a consumer, and gives the verifier to tell it.
#[utoipa::path(put, path = "/OS-OAUTH1/authorize/{request_token_id}", tag = "oauth1",
    params(("request_token_id" = String, Path)), request_body = AuthorizeRequest,
    responses((status = 200)))]
async fn authorize(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(id): Path<RequestTokenId>,
    Body(request): Body<AuthorizeRequest>,
) -> Result<Json<Value>> {
    let roles = request
        .roles
        .into_iter()
        .map(|role| match (role.id, role.name) {
            (Some(id), None) => Ok(RoleName::Id(id.into())),
            (None, Some(name)) => Ok(RoleName::Name(name)),
            (None, None) | (Some(_), Some(_)) => Err(ApiError::bad_request(
                "Invalid input for field 'roles': give each role's id or its name.",
            )),
        })
        .collect::<Result<Vec<_>>>()?;
    let verifier = app
        .identity
        .authorize_request_token(&caller, &id, roles)
        .await?;
    // Telling the user the verifier is what this answer is for.
    Ok(Json(
        json!({ "token": { "oauth_verifier": verifier.expose() } }),
    ))
}

/// Exchanges an authorized request token for an access token.
#[utoipa::path(post, path = "/OS-OAUTH1/access_token", tag = "oauth1",
    params(("Authorization" = String, Header, description = "The signature of the consumer")),
    responses((status = 201, content_type = "application/x-www-form-urlencoded")))]
async fn access_token(
    State(app): State<App>,
    base_url: BaseUrl,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result {
    let request = signed_request(&base_url, &uri, &headers);
    let token = app.identity.oauth1_access_token(&request).await?;
    Ok(form(&token))
}

/// Not allowed: request tokens are asked for with POST.
#[utoipa::path(get, path = "/OS-OAUTH1/request_token", tag = "oauth1", responses((status = 405)))]
async fn no_request_token() -> Response {
    ApiError::only("POST").into_response()
}

/// Not allowed: request tokens are authorized with PUT.
#[utoipa::path(get, path = "/OS-OAUTH1/authorize/{request_token_id}", tag = "oauth1",
    params(("request_token_id" = String, Path)), responses((status = 405)))]
async fn no_authorize() -> Response {
    ApiError::only("PUT").into_response()
}

/// Not allowed: access tokens are asked for with POST.
#[utoipa::path(get, path = "/OS-OAUTH1/access_token", tag = "oauth1", responses((status = 405)))]
async fn no_access_token() -> Response {
    ApiError::only("POST").into_response()
}

/// The request as the client signed it: by the scheme it sees, which a proxy may have changed, and
/// the host that it asked.
fn signed_request(base_url: &BaseUrl, uri: &axum::http::Uri, headers: &HeaderMap) -> OAuthRequest {
    let base = base_url.to_string();
    let (scheme, rest) = base.split_once("://").unwrap_or(("http", base.as_str()));
    let (named, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or(named);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    OAuthRequest {
        url: format!("{scheme}://{host}{prefix}{path}"),
        authorization: authorization(headers),
    }
}

pub(crate) fn authorization(headers: &HeaderMap) -> Option<Secret> {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .map(Secret::from)
}

fn form(token: &IssuedOAuthToken) -> Response {
    // Handing both to the consumer is what this answer is for.
    let (id, secret) = (token.id.as_str(), token.secret.expose());
    let mut form = format!("oauth_token={id}&oauth_token_secret={secret}");
    if let Some(expires_at) = token.expires_at {
        form.push_str("&oauth_expires_at=");
        form.push_str(&iso(expires_at));
    }
    let content_type = [(header::CONTENT_TYPE, "application/x-www-form-urlencoded")];
    (StatusCode::CREATED, content_type, form).into_response()
}

/// The members of `consumer`, with their names as Keystone stores them.
fn consumer_members(mut body: Value) -> Result<Map<String, Value>> {
    let consumer = body
        .as_object_mut()
        .and_then(|members| members.remove("consumer"));
    match consumer {
        None => Ok(Map::new()),
        Some(Value::Object(members)) => Ok(members
            .into_iter()
            .map(|(name, value)| (name.replace([':', '-'], "_"), value))
            .collect()),
        Some(_) => Err(ApiError::bad_request(
            "Invalid input for field 'consumer': it is not of type 'object'",
        )),
    }
}

fn description(members: &mut Map<String, Value>) -> Result<Change<Option<String>>> {
    match members.shift_remove("description") {
        None => Ok(Change::Keep),
        Some(Value::Null) => Ok(Change::Set(None)),
        Some(Value::String(text)) => Ok(Change::Set(Some(text))),
        Some(_) => Err(ApiError::bad_request(
            "Invalid input for field 'description': it is not of type 'string', 'null'",
        )),
    }
}

fn view(consumer: Consumer, base_url: &BaseUrl) -> Value {
    let links = base_url.self_link(format_args!("OS-OAUTH1/consumers/{}", consumer.id));
    let mut view = consumer.extra;
    view.insert("id".to_owned(), json!(consumer.id));
    view.insert("description".to_owned(), json!(consumer.description));
    view.insert("links".to_owned(), json!(links));
    Value::Object(view)
}

#[derive(Debug, Deserialize, ToSchema)]
struct AuthorizeRequest {
    #[serde(default)]
    roles: Vec<GrantedRole>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GrantedRole {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_that_was_signed_is_the_one_that_the_client_sees() {
        let headers: HeaderMap = [(header::HOST, "k.example:5000".parse().unwrap())]
            .into_iter()
            .collect();
        let url = |public: Option<&str>| {
            let base = BaseUrl::of(public, &headers);
            let uri = "/v3/OS-OAUTH1/request_token?a=b".parse().unwrap();
            signed_request(&base, &uri, &headers).url
        };
        assert_eq!(
            url(None),
            "http://k.example:5000/v3/OS-OAUTH1/request_token?a=b"
        );
        assert_eq!(
            url(Some("https://public.example/identity/v3")),
            "https://k.example:5000/identity/v3/OS-OAUTH1/request_token?a=b"
        );
    }
}
