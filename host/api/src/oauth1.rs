//! `/v3/OS-OAUTH1`: consumers, and the steps by which a user lets one act for them. Requests of the
//! steps are signed by RFC 5849, and answered with a form.

use archstone_identity::{
    ConsumerChange, ConsumerCreation, IssuedOAuthToken, OAuthRequest, RoleName,
};
use archstone_model::{
    Extra,
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
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    application_credentials::RoleBody,
    body::{Body, RawBody},
    caller::Authenticated,
    error::{ApiError, Result},
    links::{BaseUrl, SelfLink},
    query::ListQuery,
    resource::{Envelope, List, Resource},
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
#[utoipa::path(get, path = "/OS-OAUTH1/consumers", tag = "oauth1", responses((status = 200, body = List<ConsumerView>)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<List<ConsumerView>> {
    let consumers = app.identity.consumers(&caller).await?;
    let path = "OS-OAUTH1/consumers";
    Ok(List::new(
        consumers,
        ConsumerView::new,
        path,
        &base_url,
        &query,
    ))
}

/// Creates a consumer. Its secret is in this answer and never again.
#[utoipa::path(post, path = "/OS-OAUTH1/consumers", tag = "oauth1",
    request_body = ConsumerRequest,
    responses((status = 201, body = Envelope<ConsumerView>)))]
async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    RawBody(body): RawBody,
) -> Result<(StatusCode, Envelope<ConsumerView>)> {
    let mut members = consumer_members(body)?;
    members.shift_remove("id");
    members.shift_remove("secret");
    let creation = ConsumerCreation {
        description: description(&mut members)?.into_set().flatten(),
        extra: members,
    };
    let consumer = app.identity.create_consumer(&caller, creation).await?;
    // The one time that the secret is shown.
    let secret = Some(consumer.secret.expose().to_owned());
    let view = ConsumerView {
        secret,
        ..ConsumerView::new(consumer, &base_url)
    };
    Ok((StatusCode::CREATED, Envelope(view)))
}

/// Shows a consumer.
#[utoipa::path(get, path = "/OS-OAUTH1/consumers/{consumer_id}", tag = "oauth1",
    params(("consumer_id" = String, Path)), responses((status = 200, body = Envelope<ConsumerView>)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(id): Path<ConsumerId>,
) -> Result<Envelope<ConsumerView>> {
    let consumer = app.identity.consumer(&caller, &id).await?;
    Ok(Envelope(ConsumerView::new(consumer, &base_url)))
}

/// Changes a consumer.
#[utoipa::path(patch, path = "/OS-OAUTH1/consumers/{consumer_id}", tag = "oauth1",
    params(("consumer_id" = String, Path)),
    request_body = ConsumerRequest,
    responses((status = 200, body = Envelope<ConsumerView>)))]
async fn update(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(id): Path<ConsumerId>,
    RawBody(body): RawBody,
) -> Result<Envelope<ConsumerView>> {
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
    Ok(Envelope(ConsumerView::new(consumer, &base_url)))
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
#[utoipa::path(post, path = "/OS-OAUTH1/request_token", tag = "oauth1", security(()),
    params(("Requested-Project-Id" = String, Header), ("Authorization" = String, Header, description = "The signature of the consumer")),
    responses((status = 201, body = String, content_type = "application/x-www-form-urlencoded"), (status = 401), (status = 404)))]
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
    responses((status = 200, body = VerifierEnvelope)))]
async fn authorize(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(id): Path<RequestTokenId>,
    Body(request): Body<AuthorizeRequest>,
) -> Result<Json<VerifierEnvelope>> {
    let roles = request
        .roles
        .into_iter()
        .map(RoleName::try_from)
        .collect::<Result<Vec<_>>>()?;
    let verifier = app
        .identity
        .authorize_request_token(&caller, &id, roles)
        .await?;
    // Telling the user the verifier is what this answer is for.
    let oauth_verifier = verifier.expose().to_owned();
    let token = Verifier { oauth_verifier };
    Ok(Json(VerifierEnvelope { token }))
}

/// Exchanges an authorized request token for an access token.
#[utoipa::path(post, path = "/OS-OAUTH1/access_token", tag = "oauth1", security(()),
    params(("Authorization" = String, Header, description = "The signature of the consumer")),
    responses((status = 201, body = String, content_type = "application/x-www-form-urlencoded"), (status = 401), (status = 404)))]
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
#[utoipa::path(get, path = "/OS-OAUTH1/request_token", tag = "oauth1", security(()), responses((status = 405)))]
async fn no_request_token() -> Response {
    ApiError::only("POST").into_response()
}

/// Not allowed: request tokens are authorized with PUT.
#[utoipa::path(get, path = "/OS-OAUTH1/authorize/{request_token_id}", tag = "oauth1", security(()),
    params(("request_token_id" = String, Path)), responses((status = 405)))]
async fn no_authorize() -> Response {
    ApiError::only("PUT").into_response()
}

/// Not allowed: access tokens are asked for with POST.
#[utoipa::path(get, path = "/OS-OAUTH1/access_token", tag = "oauth1", security(()), responses((status = 405)))]
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

/// A consumer as clients give it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct ConsumerRequest {
    #[schema(nullable = false)]
    consumer: Option<ConsumerMembers>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct ConsumerMembers {
    description: Option<String>,
}

/// A consumer as clients see it.
#[derive(Serialize, ToSchema)]
#[schema(as = Consumer)]
struct ConsumerView {
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
    id: String,
    description: Option<String>,
    links: SelfLink,
    /// In the answer to its creation only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    secret: Option<String>,
}

impl ConsumerView {
    fn new(consumer: Consumer, base_url: &BaseUrl) -> Self {
        Self {
            links: base_url.self_link(format_args!("OS-OAUTH1/consumers/{}", consumer.id)),
            extra: consumer.extra,
            id: consumer.id.into(),
            description: consumer.description,
            secret: None,
        }
    }
}

impl Resource for ConsumerView {
    const ONE: &'static str = "consumer";
    const MANY: &'static str = "consumers";
}

#[derive(Debug, Deserialize, ToSchema)]
struct AuthorizeRequest {
    #[serde(default)]
    roles: Vec<RoleBody>,
}

/// What the user tells the consumer.
#[derive(Serialize, ToSchema)]
struct VerifierEnvelope {
    token: Verifier,
}

#[derive(Serialize, ToSchema)]
struct Verifier {
    oauth_verifier: String,
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
