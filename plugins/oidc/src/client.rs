//! Requests to the provider in which it has to know us (OpenID Connect Core section 9).

use std::time::Duration;

use archstone_plugin::{
    Denial, clock,
    http::{Request, Response},
    secrets,
};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use form_urlencoded::byte_serialize;
use rsa::{
    PrivateKey,
    pkcs1v15::SigningKey,
    signature::{RandomizedSigner, SignatureEncoding},
};
use serde::Deserialize;
use serde_json::json;
use sha2::Sha256;

use crate::{
    config::ClientAuth,
    encryption::private_keys,
    entropy::{HostRandom, unguessable},
    provider::{Endpoint, Provider},
};

/// A form in the making.
#[derive(Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With who we are, unless it says so already, as a pushed authorization request does.
    fn naming(self, client_id: &str) -> Self {
        match self.0.iter().any(|(name, _)| name == "client_id") {
            true => self,
            false => self.with("client_id", client_id),
        }
    }

    pub fn finish(&self) -> String {
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&self.0)
            .finish()
    }
}

/// What the token endpoint gives.
#[derive(Deserialize)]
pub struct Tokens {
    pub access_token: Option<String>,
    pub token_type: Option<String>,
    pub id_token: Option<String>,
}

/// An error of OAuth (RFC 6749 section 5.2).
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// What comes of a request to an endpoint of OAuth.
pub enum Answer {
    Good(Response),
    /// The error's code.
    Refused(String),
}

impl Provider {
    /// Sends a form, with what proves who we are.
    ///
    /// # Errors
    /// A denial as unavailable, where the answer is neither a success nor an error of OAuth.
    pub fn ask(&self, endpoint: Endpoint, form: Form) -> Result<Answer, Denial> {
        let address = self.need(endpoint)?;
        let (form, authorization) = self.authenticate(form)?;
        let mut request = Request::post(address)
            .header("Accept", "application/json")
            .header("Content-Type", "application/x-www-form-urlencoded");
        if let Some(authorization) = authorization {
            request = request.header("Authorization", authorization);
        }
        let answer = request.body(form.finish()).send()?;
        if matches!(answer.status(), 200 | 201) {
            return Ok(Answer::Good(answer));
        }
        match serde_json::from_slice::<Refusal>(answer.body()) {
            Ok(refusal) => Ok(Answer::Refused(code(&refusal.error))),
            Err(_) => Err(Denial::unavailable(format!(
                "the {endpoint:?} endpoint answers with status {}",
                answer.status()
            ))),
        }
    }

    /// Makes a grant into tokens.
    ///
    /// # Errors
    /// The code of the error; a denial where the endpoint does not answer as it should.
    pub fn tokens(&self, form: Form) -> Result<Result<Tokens, String>, Denial> {
        let answer = match self.ask(Endpoint::Token, form)? {
            Answer::Good(answer) => answer,
            Answer::Refused(code) => return Ok(Err(code)),
        };
        let tokens: Tokens = answer.json()?;
        let bearer = tokens
            .token_type
            .as_ref()
            .is_none_or(|kind| kind.eq_ignore_ascii_case("bearer"));
        match bearer {
            true => Ok(Ok(tokens)),
            false => Err(Denial::unavailable(
                "the provider gives tokens that are bound to a key",
            )),
        }
    }

    /// How to prove who we are.
    pub fn client_auth(&self) -> ClientAuth {
        if let Some(configured) = self.config.client_auth {
            return configured;
        }
        if secrets::get("client_key").is_some() {
            return ClientAuth::PrivateKeyJwt;
        }
        if secrets::get("client_secret").is_none() {
            return ClientAuth::None;
        }
        // Without the member, it is basic (OpenID Connect Discovery section 3).
        let methods = self.metadata.token_endpoint_auth_methods_supported.as_ref();
        let has = |name: &str| methods.is_some_and(|methods| methods.iter().any(|m| m == name));
        match has("client_secret_post") && !has("client_secret_basic") {
            true => ClientAuth::ClientSecretPost,
            false => ClientAuth::ClientSecretBasic,
        }
    }

    fn authenticate(&self, form: Form) -> Result<(Form, Option<String>), Denial> {
        let client_id = self.config.client_id.as_str();
        Ok(match self.client_auth() {
            ClientAuth::None => (form.naming(client_id), None),
            ClientAuth::ClientSecretPost => {
                let form = form.naming(client_id);
                (form.with("client_secret", &secret("client_secret")?), None)
            }
            ClientAuth::ClientSecretBasic => {
                (form, Some(basic(client_id, &secret("client_secret")?)))
            }
            ClientAuth::PrivateKeyJwt => {
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                let form = form
                    .naming(client_id)
                    .with("client_assertion_type", kind)
                    .with("client_assertion", &self.client_assertion()?);
                (form, None)
            }
        })
    }

    /// Our statement, signed, that we are who we are (RFC 7523).
    fn client_assertion(&self) -> Result<String, Denial> {
        let key = private_keys(&secret("client_key")?)
            .into_iter()
            .next()
            .ok_or_else(|| Denial::unavailable("client_key is no RSA key"))?;
        let now = clock::now().as_secs();
        let mut header = json!({"alg": "RS256", "typ": "JWT"});
        if let Some(id) = &self.config.client_key_id {
            header["kid"] = id.as_str().into();
        }
        let claims = json!({
            "iss": self.config.client_id,
            "sub": self.config.client_id,
            "aud": self.need(Endpoint::Token)?,
            "iat": now,
            "exp": now + ASSERTION_LIFETIME.as_secs(),
            "jti": unguessable(),
        });
        Ok(signed(key, &header.to_string(), &claims.to_string()))
    }
}

const ASSERTION_LIFETIME: Duration = Duration::from_secs(60);

fn signed(key: PrivateKey, header: &str, claims: &str) -> String {
    let [header, claims] = [header, claims].map(|part| BASE64URL_NOPAD.encode(part.as_bytes()));
    let text = format!("{header}.{claims}");
    let signature = SigningKey::<Sha256>::new(key).sign_with_rng(&mut HostRandom, text.as_bytes());
    format!("{text}.{}", BASE64URL_NOPAD.encode(&signature.to_bytes()))
}

fn secret(field: &str) -> Result<String, Denial> {
    secrets::get(field).ok_or_else(|| Denial::unavailable(format!("there is no {field}")))
}

/// Both parts are encoded as in a form first (RFC 6749 section 2.3.1).
fn basic(client_id: &str, client_secret: &str) -> String {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded(client_id), encoded(client_secret));
    format!("Basic {}", BASE64.encode(pair.as_bytes()))
}

/// The denial for an error that is no fault of whoever logs in.
pub fn refused(code: &str) -> Denial {
    Denial::unavailable(format!("the provider refuses our request: {code}"))
}

/// An error's code, fit for the audit log.
pub fn code(error: &str) -> String {
    let fit = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.');
    error.chars().filter(fit).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_parts_of_basic_are_encoded() {
        let header = basic("a:b", "p w%");
        let pair = BASE64.decode(&header.as_bytes()["Basic ".len()..]).unwrap();
        assert_eq!(pair, b"a%3Ab:p+w%25");
    }

    #[test]
    fn an_error_is_made_fit_for_the_log() {
        assert_eq!(code("access_denied"), "access_denied");
        assert_eq!(code("bad\r\nthing <b>"), "badthingb");
        assert_eq!(code(&"x".repeat(1000)).len(), 64);
    }
}
