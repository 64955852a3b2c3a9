//! How a failure becomes an HTTP answer in Keystone's error shape:
//! `{"error": {"code": 404, "message": "...", "title": "Not Found"}}`.
//!
//! [`identity::Error`](archstone_identity::Error) says what went wrong; this is the only place
//! that knows status codes. What only an operator may read goes to the log here.

use archstone_identity as identity;
use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::links::BaseUrl;

/// A handler's result.
pub type Result<T = Response, E = ApiError> = std::result::Result<T, E>;

/// An error answer. Boxed, since every handler's result has room for one.
#[derive(Debug)]
pub struct ApiError(Box<Answer>);

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    message: String,
    /// What the client needs to go on.
    identity: Option<Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// A body that replaces the usual error object (auth receipts).
    body: Option<Value>,
}

impl ApiError {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self(Box::new(Answer {
            status,
            message: message.into(),
            identity: None,
            headers: Vec::new(),
            body: None,
        }))
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// No route has this path.
    pub fn unknown_url() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "The requested URL was not found on the server. If you entered the URL manually \
             please check your spelling and try again.",
        )
    }

    /// The path exists, for other methods.
    pub fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "The method is not allowed for the requested URL.",
        )
    }

    /// The path exists, for one other method.
    pub fn only(method: &str) -> Self {
        Self::method_not_allowed().with_header(header::ALLOW, method)
    }

    /// A route of Keystone's that this server does not serve yet.
    pub fn not_implemented() -> Self {
        Self::new(
            StatusCode::NOT_IMPLEMENTED,
            "The action you have requested has not been implemented.",
        )
    }

    /// The body is longer than `[oslo_middleware] max_request_body_size`.
    pub fn body_too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "Request is too large.")
    }

    /// The status this error answers with.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// What the client may read of it.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers.push((name, value));
        }
        self
    }

    fn with_identity(mut self, value: Value) -> Self {
        self.0.identity = Some(value);
        self
    }

    fn with_body(mut self, body: Value) -> Self {
        self.0.body = Some(body);
        self
    }
}

impl From<identity::Error> for ApiError {
    fn from(error: identity::Error) -> Self {
        use identity::Error as E;
        let status = match &error {
            E::Invalid(_) => StatusCode::BAD_REQUEST,
            E::Unauthenticated { .. }
            | E::LoginRefused { .. }
            | E::ApplicationCredentialWithScope
            | E::MoreStepsNeeded { .. }
            | E::MoreMethodsNeeded { .. }
            | E::UnsupportedMethod { .. } => StatusCode::UNAUTHORIZED,
            E::ForbiddenAction { .. } | E::Forbidden { .. } | E::Refused(_) => {
                StatusCode::FORBIDDEN
            }
            E::NotFound { .. } | E::Missing(_) => StatusCode::NOT_FOUND,
            E::Conflict { .. } => StatusCode::CONFLICT,
            E::Gone => StatusCode::GONE,
            E::TooManyFailures { .. } => StatusCode::TOO_MANY_REQUESTS,
            E::Overloaded { .. } | E::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            E::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        };
        match error.reason() {
            Some(reason) if status.is_server_error() => {
                tracing::error!(reason, "the request failed");
            }
            Some(reason) => tracing::info!(reason, status = status.as_u16(), "request refused"),
            None => {}
        }
        let answer = Self::new(status, error.to_string());
        match error {
            E::MoreStepsNeeded { continuation } => answer.with_identity(continuation),
            E::UnsupportedMethod { supported } => {
                answer.with_identity(json!({ "methods": supported }))
            }
            E::ApplicationCredentialWithScope => answer.with_identity(json!({})),
            E::MoreMethodsNeeded { receipt, .. } => {
                // The receipt is what this answer is for.
                let value = receipt.receipt.expose();
                answer
                    .with_header(HeaderName::from_static("openstack-auth-receipt"), value)
                    .with_body(receipt.body)
            }
            E::Overloaded {
                retry_after_seconds,
            }
            | E::TooManyFailures {
                retry_after_seconds,
            } => answer.with_header(header::RETRY_AFTER, &retry_after_seconds.to_string()),
            // Nobody knows for how long; a client that waits asks the next node by then.
            E::Unavailable { .. } => answer.with_header(header::RETRY_AFTER, "1"),
            _ => answer,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Answer {
            status,
            message,
            identity,
            headers,
            body,
        } = *self.0;
        let body = body.unwrap_or_else(|| {
            json!(ErrorBody {
                error: ErrorMembers {
                    code: status.as_u16(),
                    message,
                    title: status.canonical_reason().unwrap_or("Error"),
                    identity,
                },
            })
        });
        let mut response = (status, Json(body)).into_response();
        response.headers_mut().extend(headers);
        response
    }
}

/// The body of a failure.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct ErrorBody {
    error: ErrorMembers,
}

#[derive(Serialize, ToSchema)]
struct ErrorMembers {
    /// The status again.
    code: u16,
    message: String,
    title: &'static str,
    /// What the client needs to go on with a login.
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<Value>,
}

/// Adds the `WWW-Authenticate` challenge that Keystone sends with every 401.
pub(crate) fn add_challenge(response: &mut Response, base_url: &BaseUrl) {
    if response.status() != StatusCode::UNAUTHORIZED {
        return;
    }
    if let Ok(value) = HeaderValue::from_str(&format!("Keystone uri=\"{base_url}/v3\"")) {
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, value);
    }
}
