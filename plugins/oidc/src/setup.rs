//! Whether a connector's configuration will work: asked before it goes live.

use std::collections::BTreeSet;

use archstone_issuer::Metadata;
use archstone_plugin::{
    ConfigError, Denial,
    http::{HttpError, Request},
    secrets,
};

use crate::{
    config::{ClientAuth, Config},
    encryption::private_keys,
    provider::{Endpoint, Provider},
};

pub fn check(config: &Config) -> Result<(), ConfigError> {
    config.bound_claims.check()?;
    let metadata = match config.discovery {
        true => Metadata::fetch(&config.issuer).map_err(|denial| at("/issuer", &denial))?,
        false => Metadata::default(),
    };
    let provider = Provider {
        config: config.clone(),
        metadata,
    };
    let keys = provider.keys().map_err(|denial| at("/jwks_uri", &denial))?;
    keys.check().map_err(|denial| at("/jwks_uri", &denial))?;
    check_secrets(&provider)?;
    check_endpoints(&provider)
}

fn check_secrets(provider: &Provider) -> Result<(), ConfigError> {
    let needed = match provider.client_auth() {
        ClientAuth::None => None,
        ClientAuth::PrivateKeyJwt => Some("client_key"),
        ClientAuth::ClientSecretBasic | ClientAuth::ClientSecretPost => Some("client_secret"),
    };
    if let Some(field) = needed.filter(|field| secrets::get(field).is_none()) {
        let message = "client_auth cannot do without this";
        return Err(ConfigError::at(format!("/{field}"), message));
    }
    for field in ["client_key", "decryption_key"] {
        let unusable = secrets::get(field).is_some_and(|pem| private_keys(&pem).is_empty());
        if unusable {
            let message = "no RSA private key of 2048 bits or more, in PEM";
            return Err(ConfigError::at(format!("/{field}"), message));
        }
    }
    Ok(())
}

/// Endpoints have to be there, and on servers that may be reached.
fn check_endpoints(provider: &Provider) -> Result<(), ConfigError> {
    for (endpoint, field) in [
        (Endpoint::Authorization, "/authorization_endpoint"),
        (Endpoint::Token, "/token_endpoint"),
    ] {
        provider
            .need(endpoint)
            .map_err(|denial| at(field, &denial))?;
    }
    let mut tried: BTreeSet<_> = origin(&provider.config.issuer).into_iter().collect();
    for endpoint in [
        Endpoint::Token,
        Endpoint::Userinfo,
        Endpoint::Introspection,
        Endpoint::DeviceAuthorization,
        Endpoint::PushedAuthorization,
    ] {
        let Some(address) = provider.address(endpoint) else {
            continue;
        };
        if !origin(address).is_some_and(|origin| tried.insert(origin)) {
            continue;
        }
        // Whatever it answers: this is about whether it may be asked.
        if let Err(HttpError::OriginNotGranted) = Request::new("HEAD", address).send() {
            let message = format!(
                "the provider's {endpoint:?} endpoint is at {address}; name its server here"
            );
            return Err(ConfigError::at("/additional_servers", message));
        }
    }
    Ok(())
}

/// Scheme, host and port, as they are written.
fn origin(address: &str) -> Option<&str> {
    let begin = address.find("://")? + 3;
    let end = address[begin..].find(['/', '?', '#']);
    Some(&address[..end.map_or(address.len(), |end| begin + end)])
}

fn at(pointer: &str, denial: &Denial) -> ConfigError {
    ConfigError::at(pointer, denial.detail())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_an_origin() {
        for address in ["https://id.example:8443/a/b", "https://id.example:8443?x"] {
            assert_eq!(origin(address), Some("https://id.example:8443"));
        }
        assert_eq!(origin("https://id.example"), Some("https://id.example"));
        assert_eq!(origin("/relative"), None);
    }
}
