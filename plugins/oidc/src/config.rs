//! A connector's configuration. What each property means is in `schema`.

use std::collections::BTreeMap;

use archstone_issuer::{Algorithm, BoundClaims};
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
pub struct Config {
    pub issuer: String,
    pub client_id: String,
    pub client_auth: Option<ClientAuth>,
    pub client_key_id: Option<String>,
    #[serde(default = "yes")]
    pub discovery: bool,
    pub jwks_uri: Option<String>,
    pub authorization_endpoint: Option<String>,
    pub token_endpoint: Option<String>,
    pub userinfo_endpoint: Option<String>,
    pub introspection_endpoint: Option<String>,
    pub device_authorization_endpoint: Option<String>,
    #[serde(default = "usual_scopes")]
    pub scopes: Vec<String>,
    #[serde(default)]
    pub authorization_parameters: BTreeMap<String, String>,
    #[serde(default)]
    pub acr_values: Vec<String>,
    pub max_age_seconds: Option<u64>,
    #[serde(default = "Algorithm::all")]
    pub algorithms: Vec<Algorithm>,
    #[serde(default)]
    pub trusted_audiences: Vec<String>,
    #[serde(default)]
    pub bound_claims: BoundClaims,
    #[serde(default)]
    pub userinfo: AskUserinfo,
    #[serde(default = "groups")]
    pub groups_claim: String,
    #[serde(default = "usual_bearer_tokens")]
    pub bearer_tokens: Vec<BearerToken>,
    pub access_token_audiences: Option<Vec<String>>,
    #[serde(default = "a_minute")]
    pub leeway_seconds: u64,
}

/// How the provider knows that it is us (OpenID Connect Core section 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    ClientSecretBasic,
    ClientSecretPost,
    PrivateKeyJwt,
    None,
}

/// When the userinfo endpoint is asked for more claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskUserinfo {
    /// When somebody logs in.
    #[default]
    Login,
    /// And when a client shows a token.
    Always,
    Never,
}

/// What a client may show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BearerToken {
    /// An access token that is a JWT (RFC 9068).
    Jwt,
    /// An ID token.
    IdToken,
    /// An access token that the introspection endpoint knows (RFC 7662).
    Introspection,
    /// An access token that the userinfo endpoint takes.
    Userinfo,
}

fn yes() -> bool {
    true
}

fn a_minute() -> u64 {
    60
}

fn groups() -> String {
    "groups".to_owned()
}

fn usual_scopes() -> Vec<String> {
    ["openid", "profile", "email"].map(str::to_owned).to_vec()
}

fn usual_bearer_tokens() -> Vec<BearerToken> {
    use BearerToken::*;
    vec![Jwt, IdToken, Introspection]
}

impl Config {
    /// The scopes to ask for, as one text; `openid` is always among them.
    pub fn scope(&self) -> String {
        let others = self.scopes.iter().map(String::as_str);
        let others = others.filter(|scope| *scope != "openid");
        std::iter::once("openid")
            .chain(others)
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Whom an access token that a client shows may be for.
    pub fn access_token_audiences(&self) -> Vec<String> {
        match &self.access_token_audiences {
            Some(audiences) => audiences.clone(),
            None => vec![self.client_id.clone()],
        }
    }

    pub fn takes(&self, kind: BearerToken) -> bool {
        self.bearer_tokens.contains(&kind)
    }
}

#[cfg(test)]
pub mod tests {
    use serde_json::{Value, json};

    use super::*;

    pub fn config(changes: Value) -> Config {
        let mut config = json!({"issuer": "https://id.example", "client_id": "archstone"});
        if let (Some(config), Value::Object(changes)) = (config.as_object_mut(), changes) {
            config.extend(changes);
        }
        serde_json::from_value(config).unwrap()
    }

    #[test]
    fn openid_is_always_asked_for() {
        assert_eq!(config(json!({})).scope(), "openid profile email");
        let scopes = json!({"scopes": ["email", "openid"]});
        assert_eq!(config(scopes).scope(), "openid email");
        assert_eq!(config(json!({"scopes": []})).scope(), "openid");
    }

    #[test]
    fn userinfo_alone_proves_nobody_unless_the_owner_says_so() {
        let config = config(json!({}));
        assert!(config.takes(BearerToken::Jwt));
        assert!(!config.takes(BearerToken::Userinfo));
        assert_eq!(config.access_token_audiences(), ["archstone"]);
    }
}
