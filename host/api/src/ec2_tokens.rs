//! `/v3/ec2tokens` and `/v3/s3tokens`: a service shows what somebody signed with EC2 keys, and learns
//! who that is.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    auth::with_subject_token,
    body::RawBody,
    caller::Authenticated,
    error::{ApiError, Result},
    token_body::TokenEnvelope,
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(ec2, no_ec2))
        .routes(routes!(s3, no_s3))
}

/// Exchanges a signed EC2 request for a token, which is in the `X-Subject-Token` header.
#[utoipa::path(post, path = "/ec2tokens", tag = "authentication",
    request_body = Ec2Request, responses((status = 200, body = TokenEnvelope,
        headers(("X-Subject-Token" = String, description = "The token")))))]
async fn ec2(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    RawBody(body): RawBody,
) -> Result {
    let request = signed_request(body);
    let issued = app
        .identity
        .token_for_ec2(&caller, request.as_ref())
        .await?;
    let body = TokenEnvelope::of(&app, &issued.subject, true).await?;
    // Handing the token to the service that asked is what this answer is for.
    with_subject_token(Json(body).into_response(), issued.token.expose())
}

/// Says whose a signed S3 request is. The answer has no token that could be used.
#[utoipa::path(post, path = "/s3tokens", tag = "authentication",
    request_body = S3Request, responses((status = 200, body = TokenEnvelope)))]
async fn s3(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    RawBody(body): RawBody,
) -> Result {
    let request = signed_request(body);
    let issued = app.identity.token_for_s3(&caller, request.as_ref()).await?;
    let body = TokenEnvelope::of(&app, &issued.subject, true).await?;
    Ok(Json(body).into_response())
}

/// Not allowed: signatures are posted.
#[utoipa::path(get, path = "/ec2tokens", tag = "authentication", security(()), responses((status = 405)))]
async fn no_ec2() -> Response {
    ApiError::only("POST").into_response()
}

/// Not allowed: signatures are posted.
#[utoipa::path(get, path = "/s3tokens", tag = "authentication", security(()), responses((status = 405)))]
async fn no_s3() -> Response {
    ApiError::only("POST").into_response()
}

/// What was signed, under whichever of its names it comes; empty where it is no object, and `None`
/// where nothing came.
fn signed_request(mut body: Value) -> Option<Map<String, Value>> {
    let members = body.as_object_mut().filter(|members| !members.is_empty())?;
    let request = ["credentials", "credential", "ec2Credentials"]
        .into_iter()
        .filter_map(|name| members.remove(name))
        .find_map(|request| match request {
            Value::Object(request) if !request.is_empty() => Some(request),
            _ => None,
        });
    Some(request.unwrap_or_default())
}

/// A request that was signed for EC2.
#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct Ec2Request {
    credentials: Ec2Signature,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct Ec2Signature {
    access: String,
    signature: String,
    verb: Option<String>,
    host: Option<String>,
    path: Option<String>,
    #[schema(value_type = Object, required = false)]
    params: Option<Value>,
    #[schema(value_type = Object, required = false)]
    headers: Option<Value>,
    body_hash: Option<String>,
}

/// A request that was signed for S3.
#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct S3Request {
    credentials: S3Signature,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct S3Signature {
    access: String,
    signature: String,
    /// What was signed, in base64.
    token: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_signed_request_is_found_under_each_of_its_names() {
        for name in ["credentials", "credential", "ec2Credentials"] {
            let found = signed_request(json!({ name: { "access": "x" } })).unwrap();
            assert_eq!(found["access"], "x");
        }
        let second = json!({ "credentials": {}, "credential": { "access": "x" } });
        assert_eq!(signed_request(second).unwrap()["access"], "x");
        assert_eq!(
            signed_request(json!({ "credentials": "x" })),
            Some(Map::new())
        );
        assert_eq!(signed_request(json!({})), None);
    }
}
