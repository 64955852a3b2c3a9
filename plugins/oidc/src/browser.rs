//! Somebody with a browser: the code flow (OpenID Connect Core section 3.1) with PKCE (RFC 7636).

use std::time::Duration;

use archstone_plugin::{
    Assertion, Beginning, Begun, Denial, Parameters,
    signatures::{self, Hash},
};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use crate::{
    client::{self, Answer, Form},
    entropy::unguessable,
    login,
    provider::{Endpoint, Provider},
};

/// How long somebody may take at the provider: the most that there is.
const PATIENCE: Duration = Duration::from_secs(600);

/// Parameters that are not the owner's to set.
pub const RESERVED: [&str; 13] = [
    "acr_values",
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "max_age",
    "nonce",
    "redirect_uri",
    "request",
    "request_uri",
    "response_mode",
    "response_type",
    "scope",
    "state",
];

#[derive(Debug, Serialize, Deserialize)]
pub struct Memory {
    nonce: String,
    verifier: String,
}

/// What the pushed authorization endpoint gives (RFC 9126 section 2.2).
#[derive(Deserialize)]
struct Pushed {
    request_uri: String,
}

/// Sends the browser to the provider.
pub fn begin(provider: &Provider, beginning: &Beginning) -> Result<Begun, Denial> {
    let memory = Memory {
        nonce: unguessable(),
        verifier: unguessable(),
    };
    let digest = signatures::digest(Hash::Sha256, memory.verifier.as_bytes());
    let request = request(provider, beginning, &memory.nonce, &digest);
    let request = match provider.metadata.require_pushed_authorization_requests {
        true => push(provider, request)?,
        false => request,
    };
    let page = provider.need(Endpoint::Authorization)?;
    if page.starts_with("http:") && !provider.config.issuer.starts_with("http:") {
        let detail = "the provider's authorization endpoint is not encrypted";
        return Err(Denial::unavailable(detail));
    }
    let joint = if page.contains('?') { '&' } else { '?' };
    Ok(Begun::Redirect {
        location: format!("{page}{joint}{}", request.finish()),
        memory: crate::Memory::Browser(memory).to_value(),
        expires_in: PATIENCE,
    })
}

fn request(provider: &Provider, beginning: &Beginning, nonce: &str, challenge: &[u8]) -> Form {
    let config = &provider.config;
    let mut request = Form::new()
        .with("response_type", "code")
        .with("client_id", &config.client_id)
        .with("redirect_uri", &beginning.redirect_uri)
        .with("scope", &config.scope())
        .with("state", &beginning.state)
        .with("nonce", nonce)
        .with("code_challenge", &BASE64URL_NOPAD.encode(challenge))
        .with("code_challenge_method", "S256");
    if !config.acr_values.is_empty() {
        request = request.with("acr_values", &config.acr_values.join(" "));
    }
    if let Some(seconds) = config.max_age_seconds {
        request = request.with("max_age", &seconds.to_string());
    }
    config
        .authorization_parameters
        .iter()
        .fold(request, |request, (name, value)| request.with(name, value))
}

/// Hands the request over beforehand; the browser carries its name alone (RFC 9126).
fn push(provider: &Provider, request: Form) -> Result<Form, Denial> {
    match provider.ask(Endpoint::PushedAuthorization, request)? {
        Answer::Good(answer) => Ok(Form::new()
            .with("client_id", &provider.config.client_id)
            .with("request_uri", &answer.json::<Pushed>()?.request_uri)),
        Answer::Refused(code) => Err(client::refused(&code)),
    }
}

/// Looks at what the browser brought back.
pub fn complete(
    provider: &Provider,
    memory: &Memory,
    redirect_uri: &str,
    parameters: &Parameters,
) -> Result<Assertion, Denial> {
    let code = code(provider, parameters)?;
    let form = Form::new()
        .with("grant_type", "authorization_code")
        .with("code", code)
        .with("redirect_uri", redirect_uri)
        .with("code_verifier", &memory.verifier);
    let tokens = provider.tokens(form)?.map_err(|code| match code.as_str() {
        "invalid_grant" => Denial::rejected("the provider does not take the code"),
        _ => client::refused(&code),
    })?;
    login::proven(provider, &tokens, Some(&memory.nonce))
}

/// The code, if the answer is one of this provider's (RFC 9207) and good.
fn code<'a>(provider: &Provider, parameters: &'a Parameters) -> Result<&'a str, Denial> {
    let says = provider
        .metadata
        .authorization_response_iss_parameter_supported;
    let right = match parameters.get("iss") {
        Some(issuer) => issuer == provider.config.issuer,
        None => !says && !parameters.contains("iss"),
    };
    if !right {
        return Err(Denial::rejected("the answer is of another provider"));
    }
    if let Some(error) = parameters.get("error") {
        let code = client::code(error);
        return Err(match code.as_str() {
            "server_error" | "temporarily_unavailable" => {
                Denial::unavailable(format!("the provider answers {code}"))
            }
            _ => Denial::rejected(format!("the provider answers {code}")),
        });
    }
    parameters
        .get("code")
        .ok_or_else(|| Denial::malformed("there is no `code`"))
}
