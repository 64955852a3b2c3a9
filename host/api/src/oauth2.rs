//! `/v3/OS-OAUTH2/token`: the token endpoint of OAuth 2.0 for client credentials. A client is an
//! application credential with its secret, or a user with a certificate (RFC 8705). Errors have the
//! shape of RFC 6749, section 5.2.

use archstone_identity::{AuthRequest, ClientCertificate, Error, UnusableCertificate};
use archstone_model::secret::Secret;
use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::json;
use url::form_urlencoded;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{App, assertion::TrustedVariables, error::ApiError, oauth1::authorization};

/// Where a web server that ends TLS puts the certificate of a client.
const CERTIFICATE: &str = "SSL_CLIENT_CERT";

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(token, no_get, no_put, no_patch, no_delete))
}

/// Gives a token for client credentials.
#[utoipa::path(post, path = "/OS-OAUTH2/token", tag = "oauth2", security(()),
    params(("Authorization" = Option<String>, Header, description = "Basic, with the client's id and secret")),
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = AccessTokenBody),
        (status = 400, body = FaultBody), (status = 401, body = FaultBody),
        (status = 404, body = FaultBody)))]
async fn token(
    State(app): State<App>,
    headers: HeaderMap,
    TrustedVariables(variables): TrustedVariables,
    body: Bytes,
) -> Result<Response, Fault> {
    let form = Form::read(&headers, &body);
    match form.get("grant_type") {
        None => {
            return Err(Fault::invalid_request(
                "The parameter grant_type is required.",
            ));
        }
        Some("client_credentials") => {}
        Some(other) => {
            return Err(Fault::new(
                StatusCode::BAD_REQUEST,
                "unsupported_grant_type",
                format!("The parameter grant_type {other} is not supported."),
            ));
        }
    }
    let certificate = variables.get(CERTIFICATE).filter(|text| !text.is_empty());
    let client = Client::of(&headers, &form, certificate).ok_or_else(Fault::unknown_client)?;
    let issued = match client.proof {
        ClientProof::Certificate(certificate) if app.identity.accepts_client_certificates() => app
            .identity
            .token_for_certificate(&client.id.into(), certificate)
            .await
            .map_err(Fault::without_reason)?,
        ClientProof::Secret(secret) if app.identity.accepts_client_secrets() => {
            let login = json!({
                "identity": {
                    "methods": ["application_credential"],
                    // Logging in is what the secret was sent for.
                    "application_credential": { "id": client.id, "secret": secret.expose() },
                },
            });
            let members = login.as_object().ok_or_else(Fault::unknown_client)?;
            app.identity
                .authenticate(AuthRequest::from_body(members, None)?)
                .await?
        }
        _ => return Err(Fault::unknown_client()),
    };
    let answer = AccessTokenBody {
        // Handing the token to the client is what this answer is for.
        access_token: issued.token.expose().to_owned(),
        token_type: "Bearer",
        expires_in: app.identity.token_lifetime().num_seconds(),
    };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// Not allowed: tokens are asked for with POST.
#[utoipa::path(get, path = "/OS-OAUTH2/token", tag = "oauth2", security(()),
    responses((status = 405, body = FaultBody)))]
async fn no_get() -> Fault {
    Fault::wrong_method()
}

/// Not allowed: tokens are asked for with POST.
#[utoipa::path(put, path = "/OS-OAUTH2/token", tag = "oauth2", security(()),
    responses((status = 405, body = FaultBody)))]
async fn no_put() -> Fault {
    Fault::wrong_method()
}

/// Not allowed: tokens are asked for with POST.
#[utoipa::path(patch, path = "/OS-OAUTH2/token", tag = "oauth2", security(()),
    responses((status = 405, body = FaultBody)))]
async fn no_patch() -> Fault {
    Fault::wrong_method()
}

/// Not allowed: tokens are asked for with POST.
#[utoipa::path(delete, path = "/OS-OAUTH2/token", tag = "oauth2", security(()),
    responses((status = 405, body = FaultBody)))]
async fn no_delete() -> Fault {
    Fault::wrong_method()
}

/// What a client sends. Its id and secret may be in a Basic authorization instead.
#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct TokenForm {
    /// `client_credentials`
    grant_type: String,
    #[schema(nullable = false)]
    client_id: Option<String>,
    #[schema(nullable = false)]
    client_secret: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct AccessTokenBody {
    access_token: String,
    token_type: &'static str,
    /// In seconds.
    expires_in: i64,
}

#[derive(Serialize, ToSchema)]
struct FaultBody {
    error: &'static str,
    error_description: String,
}

/// The parameters of a request; none where the body is no form.
#[derive(Default)]
struct Form(Vec<(String, String)>);

impl Form {
    fn read(headers: &HeaderMap, body: &[u8]) -> Self {
        let is_form = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .is_some_and(|kind| {
                kind.trim()
                    .eq_ignore_ascii_case("application/x-www-form-urlencoded")
            });
        if !is_form {
            return Self::default();
        }
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        let mut pairs = self.0.iter();
        pairs
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Who asks, with the proof.
struct Client {
    id: String,
    proof: ClientProof,
}

enum ClientProof {
    Secret(Secret),
    Certificate(Result<ClientCertificate, UnusableCertificate>),
}

impl Client {
    /// The client in the form, if there is a certificate; or else the one in the Basic
    /// authorization, or in the form, with a secret.
    fn of(headers: &HeaderMap, form: &Form, certificate: Option<&str>) -> Option<Self> {
        let named = |id: String, proof| (!id.is_empty()).then_some(Self { id, proof });
        let in_form = |name| form.get(name).map(str::to_owned);
        if let Some(text) = certificate {
            let certificate = ClientCertificate::read(text);
            return named(in_form("client_id")?, ClientProof::Certificate(certificate));
        }
        let (id, secret) = basic(headers)
            .or_else(|| Some((in_form("client_id")?, in_form("client_secret")?)))
            .filter(|(_, secret)| !secret.is_empty())?;
        named(id, ClientProof::Secret(Secret::new(secret)))
    }
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let header = authorization(headers)?;
    // Reading the credentials is what the header was sent for.
    let (scheme, encoded) = header.expose().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

/// A failure in the shape of RFC 6749.
#[derive(Debug)]
struct Fault {
    status: StatusCode,
    error: &'static str,
    description: String,
}

impl Fault {
    fn new(status: StatusCode, error: &'static str, description: impl Into<String>) -> Self {
        Self {
            status,
            error,
            description: description.into(),
        }
    }

    fn invalid_request(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    fn unknown_client() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "invalid_client",
            "Client authentication failed.",
        )
    }

    /// A failed login with a certificate, of which the client learns nothing.
    fn without_reason(error: Error) -> Self {
        let fault = Self::from(error);
        match fault.status {
            StatusCode::UNAUTHORIZED => Self::unknown_client(),
            _ => fault,
        }
    }

    fn wrong_method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "other_error",
            "The method is not allowed for the requested URL.",
        )
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let error = ApiError::from(error);
        match error.status() {
            StatusCode::UNAUTHORIZED => Self::new(
                StatusCode::UNAUTHORIZED,
                "invalid_client",
                error.message().to_owned(),
            ),
            StatusCode::BAD_REQUEST => Self::invalid_request(error.message()),
            status => Self::new(
                status,
                "other_error",
                "An unknown error occurred and failed to get an OAuth2.0 access token.",
            ),
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let body = FaultBody {
            error: self.error,
            error_description: self.description,
        };
        (
            self.status,
            [(header::CACHE_CONTROL, "no-store")],
            Json(body),
        )
            .into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn a_basic_authorization_wins_over_the_form() {
        let form = Form(vec![
            ("client_id".to_owned(), "form".to_owned()),
            ("client_secret".to_owned(), "form secret".to_owned()),
        ]);
        let authorized = headers(&[(header::AUTHORIZATION, "Basic aWQ6c2Vj:cmV0")]);
        assert!(basic(&authorized).is_none());
        let authorized = headers(&[(header::AUTHORIZATION, "basic aWQ6c2VjOnJldA==")]);
        let secret = |headers, form, certificate| {
            let client = Client::of(headers, form, certificate)?;
            match client.proof {
                ClientProof::Secret(secret) => Some((client.id, secret.expose().to_owned())),
                ClientProof::Certificate(_) => None,
            }
        };
        let pair = |id: &str, secret: &str| Some((id.to_owned(), secret.to_owned()));
        assert_eq!(secret(&authorized, &form, None), pair("id", "sec:ret"));
        let nothing = HeaderMap::new();
        assert_eq!(secret(&nothing, &form, None), pair("form", "form secret"));
        assert_eq!(secret(&nothing, &Form::default(), None), None);
    }

    #[test]
    fn a_certificate_wins_over_secrets_and_its_client_is_in_the_form() {
        let authorized = headers(&[(header::AUTHORIZATION, "basic aWQ6c2VjOnJldA==")]);
        assert!(Client::of(&authorized, &Form::default(), Some("x")).is_none());
        let form = Form(vec![("client_id".to_owned(), "ada".to_owned())]);
        let client = Client::of(&authorized, &form, Some("x")).unwrap();
        assert_eq!(client.id, "ada");
        assert!(matches!(client.proof, ClientProof::Certificate(Err(_))));
    }

    #[test]
    fn only_a_form_is_read_as_a_form() {
        let body = b"grant_type=client_credentials";
        let form = headers(&[(
            header::CONTENT_TYPE,
            "application/x-www-form-urlencoded; charset=utf-8",
        )]);
        assert_eq!(
            Form::read(&form, body).get("grant_type"),
            Some("client_credentials")
        );
        let json = headers(&[(header::CONTENT_TYPE, "application/json")]);
        assert_eq!(Form::read(&json, body).get("grant_type"), None);
    }
}
