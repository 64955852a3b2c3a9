//! `/v4/auth/passkey`: logging in by a security key in two requests, as the Rust client `osc` does.
//! It is the login of `POST /v3/auth/tokens` by the same method, asked otherwise.

use archstone_identity::{AuthRequest, Error};
use archstone_model::secret::Secret;
use axum::{Json, extract::State, http::HeaderMap};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    auth::{LoginRefusal, answer},
    body::Body,
    error::Result,
    token_body::TokenEnvelope,
    v4::webauthn::{self, OscAssertion, Question, RequestOptions},
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(start))
        .routes(routes!(finish))
}

/// Asks a user's browser or client to sign with a security key. Whoever names no user signs with
/// any key that knows one. Users without a key are asked for one that nobody has.
#[utoipa::path(post, path = "/auth/passkey/start", tag = "passkeys", security(()),
    request_body = LoginStart, responses((status = 200, body = RequestQuestion),
        (status = 401, body = LoginRefusal, description = "The method is not there")))]
async fn start(
    State(app): State<App>,
    Body(request): Body<LoginStart>,
) -> Result<Json<RequestQuestion>> {
    let method = &app.options.passkey_method;
    let payload = claiming(request.passkey.user_id.as_deref());
    let mut asked = match app
        .identity
        .authenticate(login(method, payload, None)?)
        .await
    {
        Err(Error::MoreStepsNeeded { mut continuation }) => continuation[method].take(),
        Err(error) => return Err(error.into()),
        Ok(_) => return Err(Error::internal("a key logged in before it was asked").into()),
    };
    let continuation = asked["continuation"].take();
    let question = Question::of(asked.as_object().unwrap_or(&Map::new()))?;
    let public_key = question.for_request()?;
    app.identity
        .remember_answer_to(&question.challenge()?, &continuation)
        .await?;
    Ok(Json(RequestQuestion {
        public_key,
        mediation: None,
        standard: question.into_standard(),
    }))
}

/// Logs in by what a security key signed. The token is in the `X-Subject-Token` header.
#[utoipa::path(post, path = "/auth/passkey/finish", tag = "passkeys", security(()),
    params(("Openstack-Auth-Receipt" = Option<String>, Header,
        description = "What an earlier part of this login was answered with")),
    request_body = LoginFinish, responses(
        (status = 201, body = TokenEnvelope, headers(("X-Subject-Token" = String, description = "The token"))),
        (status = 401, body = LoginRefusal, description = "The proof was not accepted, or is not all",
            headers(("WWW-Authenticate" = String), ("Openstack-Auth-Receipt" = String))),
    ))]
async fn finish(
    State(app): State<App>,
    headers: HeaderMap,
    Body(request): Body<LoginFinish>,
) -> Result {
    let (credential, user_id) = match request {
        LoginFinish::Standard(answer) => (answer.credential, answer.user_id),
        LoginFinish::Osc(answer) => answer.into_standard()?,
    };
    let challenge = webauthn::answered_challenge(&credential)?;
    let mut payload = claiming(user_id.as_deref());
    payload.insert("credential".to_owned(), credential);
    let continuation = app.identity.recall_answer_to(&challenge).await?;
    payload.insert("continuation".to_owned(), continuation);
    let receipt = headers
        .get("openstack-auth-receipt")
        .and_then(|receipt| receipt.to_str().ok())
        .map(Secret::from);
    let request = login(&app.options.passkey_method, payload, receipt)?;
    let issued = app.identity.authenticate(request).await?;
    answer(&app, &issued, true).await
}

/// A payload by somebody who says that they are this user, or nobody in particular.
fn claiming(user_id: Option<&str>) -> Map<String, Value> {
    let user = user_id.map(|id| ("user".to_owned(), json!({ "id": id })));
    user.into_iter().collect()
}

fn login(
    method: &str,
    payload: Map<String, Value>,
    receipt: Option<Secret>,
) -> Result<AuthRequest> {
    let auth = json!({ "identity": { "methods": [method], method: payload } });
    let auth = auth.as_object().cloned().unwrap_or_default();
    Ok(AuthRequest::from_body(&auth, receipt)?)
}

#[derive(Debug, Deserialize, ToSchema)]
struct LoginStart {
    passkey: LoginClaim,
}

#[derive(Debug, Deserialize, ToSchema)]
struct LoginClaim {
    user_id: Option<String>,
}

/// A question in both ways of writing it.
#[derive(Serialize, ToSchema)]
struct RequestQuestion {
    public_key: RequestOptions,
    mediation: Option<String>,
    /// `PublicKeyCredentialRequestOptionsJSON`
    #[serde(rename = "publicKey")]
    #[schema(value_type = Object)]
    standard: Value,
}

/// An answer in either way of writing it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum LoginFinish {
    Standard(StandardAssertion),
    Osc(OscAssertion),
}

#[derive(Debug, Deserialize, ToSchema)]
struct StandardAssertion {
    user_id: Option<String>,
    /// `AuthenticationResponseJSON`
    #[schema(value_type = Object)]
    credential: Value,
}
