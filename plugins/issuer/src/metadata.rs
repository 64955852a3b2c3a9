//! What an issuer publishes about itself (OpenID Connect Discovery 1.0, RFC 8414).

use std::time::Duration;

use archstone_plugin::{Denial, http::Request, log, state};
use serde::{Deserialize, Serialize};

use crate::{keys::unreachable_server, state_key};

/// How long metadata is used without asking again.
const KEPT_FOR: Duration = Duration::from_secs(300);

/// The parts of an issuer's metadata that something is done with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    pub issuer: String,
    pub jwks_uri: Option<String>,
    pub authorization_endpoint: Option<String>,
    pub token_endpoint: Option<String>,
    pub userinfo_endpoint: Option<String>,
    pub introspection_endpoint: Option<String>,
    pub device_authorization_endpoint: Option<String>,
    pub pushed_authorization_request_endpoint: Option<String>,
    pub require_pushed_authorization_requests: bool,
    pub authorization_response_iss_parameter_supported: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

impl Metadata {
    /// The issuer's metadata, from the last minutes or fetched.
    ///
    /// # Errors
    /// A denial as unavailable, if they cannot be had or are of another issuer.
    pub fn of(issuer: &str) -> Result<Self, Denial> {
        let kept = state::get(&state_key("metadata", issuer))?;
        match kept.and_then(|text| serde_json::from_str(&text).ok()) {
            Some(metadata) => Ok(metadata),
            None => Self::fetch(issuer),
        }
    }

    /// Fetches the issuer's metadata.
    ///
    /// # Errors
    /// As for [`Self::of`].
    pub fn fetch(issuer: &str) -> Result<Self, Denial> {
        let address = address(issuer);
        let answer = Request::get(&address)
            .header("Accept", "application/json")
            .send()
            .map_err(|error| unreachable_server("the issuer's metadata", &address, error))?;
        if answer.status() != 200 {
            return Err(Denial::unavailable(format!(
                "the issuer's metadata at {address}: the answer has status {}",
                answer.status()
            )));
        }
        let metadata: Self = answer.json()?;
        if metadata.issuer != issuer {
            return Err(Denial::unavailable(
                "the metadata are of another issuer; `issuer` must be spelt as the issuer does",
            ));
        }
        let text = serde_json::to_string(&metadata).unwrap_or_default();
        if state::put(&state_key("metadata", issuer), &text, KEPT_FOR).is_err() {
            log::debug("the issuer's metadata are not kept");
        }
        Ok(metadata)
    }
}

/// Where the metadata are (OpenID Connect Discovery 1.0 section 4).
fn address(issuer: &str) -> String {
    let issuer = issuer.trim_end_matches('/');
    format!("{issuer}/.well-known/openid-configuration")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_are_below_the_issuer() {
        for issuer in ["https://id.example/tenant", "https://id.example/tenant/"] {
            assert_eq!(
                address(issuer),
                "https://id.example/tenant/.well-known/openid-configuration"
            );
        }
    }
}
