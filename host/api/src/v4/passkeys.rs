//! `/v4/users/{user_id}/passkeys`: the security keys of a user.
//!
//! Requests and answers are those of the Rust client `osc`. Browsers have the specification's own
//! JSON beside it: `publicKey` in the question, `credential` in the answer.

use archstone_identity::{Enrollment, EnrollmentAnswer};
use archstone_model::id::{CredentialId, UserId};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    body::Body,
    caller::Authenticated,
    error::Result,
    resource::{Envelope, Resource},
    v4::webauthn::{self, CreationOptions, OscRegistration, Question},
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(register_start))
        .routes(routes!(register_finish))
        .routes(routes!(update, delete))
}

/// Lists a user's security keys.
#[utoipa::path(get, path = "/users/{user_id}/passkeys", tag = "passkeys",
    params(("user_id" = String, Path)), responses((status = 200, body = PasskeyList)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(user_id): Path<UserId>,
) -> Result<Json<PasskeyList>> {
    let method = &app.options.passkey_method;
    let keys = app.identity.enrollments(&caller, &user_id, method).await?;
    Ok(Json(PasskeyList {
        passkeys: keys.into_iter().map(PasskeyView::from).collect(),
    }))
}

/// Asks a user's browser or client for a new security key.
#[utoipa::path(post, path = "/users/{user_id}/passkeys/register_start", tag = "passkeys",
    params(("user_id" = String, Path)), request_body = PasskeyRequest,
    responses((status = 200, body = CreationQuestion)))]
async fn register_start(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(user_id): Path<UserId>,
    Body(request): Body<PasskeyRequest>,
) -> Result<Json<CreationQuestion>> {
    let method = &app.options.passkey_method;
    let asked = app
        .identity
        .begin_enrollment(&caller, &user_id, method)
        .await?;
    let question = Question::of(&asked.message)?;
    let public_key = question.for_creation()?;
    let remembered = Remembered {
        continuation: asked.continuation,
        description: request.passkey.description,
    };
    app.identity
        .remember_answer_to(&question.challenge()?, &json!(remembered))
        .await?;
    Ok(Json(CreationQuestion {
        public_key,
        standard: question.into_standard(),
    }))
}

/// Enrols a security key, which the answer to `register_start` proves.
#[utoipa::path(post, path = "/users/{user_id}/passkeys/register_finish", tag = "passkeys",
    params(("user_id" = String, Path)), request_body = RegistrationRequest,
    responses((status = 201, body = Envelope<PasskeyView>)))]
async fn register_finish(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(user_id): Path<UserId>,
    Body(request): Body<RegistrationRequest>,
) -> Result<(StatusCode, Envelope<PasskeyView>)> {
    let (credential, description) = match request {
        RegistrationRequest::Standard(answer) => (answer.credential, answer.description),
        RegistrationRequest::Osc(answer) => answer.into_standard()?,
    };
    let challenge = webauthn::answered_challenge(&credential)?;
    let remembered = app.identity.recall_answer_to(&challenge).await?;
    let remembered: Remembered =
        serde_json::from_value(remembered).map_err(archstone_identity::Error::internal)?;
    let answer = EnrollmentAnswer {
        continuation: remembered.continuation,
        payload: json!({ "credential": credential }),
        description: description.or(remembered.description),
    };
    let method = &app.options.passkey_method;
    let key = app
        .identity
        .complete_enrollment(&caller, &user_id, method, answer)
        .await?;
    Ok((StatusCode::CREATED, Envelope(key.into())))
}

/// Calls a security key something else.
#[utoipa::path(patch, path = "/users/{user_id}/passkeys/{credential_id}", tag = "passkeys",
    params(("user_id" = String, Path), ("credential_id" = String, Path)),
    request_body = PasskeyRequest, responses((status = 200, body = Envelope<PasskeyView>), (status = 409)))]
async fn update(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((user_id, id)): Path<(UserId, CredentialId)>,
    Body(request): Body<PasskeyRequest>,
) -> Result<Envelope<PasskeyView>> {
    let (method, description) = (&app.options.passkey_method, request.passkey.description);
    let key = app
        .identity
        .describe_enrollment(&caller, &user_id, method, &id, description)
        .await?;
    Ok(Envelope(key.into()))
}

/// Deletes a security key: nobody logs in by it any more.
#[utoipa::path(delete, path = "/users/{user_id}/passkeys/{credential_id}", tag = "passkeys",
    params(("user_id" = String, Path), ("credential_id" = String, Path)),
    responses((status = 204)))]
async fn delete(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((user_id, id)): Path<(UserId, CredentialId)>,
) -> Result<StatusCode> {
    let method = &app.options.passkey_method;
    app.identity
        .delete_enrollment(&caller, &user_id, method, &id)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What the server needs to know of a question when it is answered.
#[derive(Serialize, Deserialize)]
struct Remembered {
    continuation: String,
    description: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct PasskeyRequest {
    passkey: PasskeyDescription,
}

#[derive(Debug, Deserialize, ToSchema)]
struct PasskeyDescription {
    #[schema(max_length = 64)]
    description: Option<String>,
}

/// A question in both ways of writing it.
#[derive(Serialize, ToSchema)]
struct CreationQuestion {
    public_key: CreationOptions,
    /// `PublicKeyCredentialCreationOptionsJSON`
    #[serde(rename = "publicKey")]
    #[schema(value_type = Object)]
    standard: Value,
}

/// An answer in either way of writing it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum RegistrationRequest {
    Standard(StandardRegistration),
    Osc(OscRegistration),
}

#[derive(Debug, Deserialize, ToSchema)]
struct StandardRegistration {
    #[schema(max_length = 64)]
    description: Option<String>,
    /// `RegistrationResponseJSON`
    #[schema(value_type = Object)]
    credential: Value,
}

#[derive(Serialize, ToSchema)]
struct PasskeyList {
    passkeys: Vec<PasskeyView>,
}

/// A security key as clients see it.
#[derive(Serialize, ToSchema)]
#[schema(as = Passkey)]
struct PasskeyView {
    credential_id: String,
    description: Option<String>,
    created_at: Option<String>,
    last_used_at: Option<String>,
}

impl From<Enrollment> for PasskeyView {
    fn from(enrollment: Enrollment) -> Self {
        Self {
            credential_id: enrollment.id.into(),
            description: enrollment.description,
            created_at: enrollment.created_at,
            last_used_at: enrollment.last_used_at,
        }
    }
}

impl Resource for PasskeyView {
    const ONE: &'static str = "passkey";
    const MANY: &'static str = "passkeys";
}
