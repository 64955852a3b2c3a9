//! The provider, as metadata and configuration together describe it.

use archstone_issuer::{Jwt, Keys, Metadata};
use archstone_plugin::{Denial, secrets};

use crate::{config::Config, encryption};

pub struct Provider {
    pub config: Config,
    pub metadata: Metadata,
}

/// One of the provider's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    Authorization,
    Token,
    Userinfo,
    Introspection,
    DeviceAuthorization,
    PushedAuthorization,
}

impl Provider {
    /// # Errors
    /// A denial as unavailable, where the metadata cannot be had.
    pub fn of(config: Config) -> Result<Self, Denial> {
        let metadata = match config.discovery {
            true => Metadata::of(&config.issuer)?,
            false => Metadata::default(),
        };
        Ok(Self { config, metadata })
    }

    /// The address of an endpoint, if the provider has one.
    pub fn address(&self, endpoint: Endpoint) -> Option<&str> {
        let (config, metadata) = (&self.config, &self.metadata);
        let (configured, published) = match endpoint {
            Endpoint::Authorization => (
                &config.authorization_endpoint,
                &metadata.authorization_endpoint,
            ),
            Endpoint::Token => (&config.token_endpoint, &metadata.token_endpoint),
            Endpoint::Userinfo => (&config.userinfo_endpoint, &metadata.userinfo_endpoint),
            Endpoint::Introspection => (
                &config.introspection_endpoint,
                &metadata.introspection_endpoint,
            ),
            Endpoint::DeviceAuthorization => (
                &config.device_authorization_endpoint,
                &metadata.device_authorization_endpoint,
            ),
            Endpoint::PushedAuthorization => {
                (&None, &metadata.pushed_authorization_request_endpoint)
            }
        };
        configured.as_deref().or(published.as_deref())
    }

    /// The address of an endpoint that a login cannot do without.
    ///
    /// # Errors
    /// A denial as unavailable, naming it.
    pub fn need(&self, endpoint: Endpoint) -> Result<&str, Denial> {
        self.address(endpoint).ok_or_else(|| {
            Denial::unavailable(format!("the provider has no {endpoint:?} endpoint"))
        })
    }

    /// # Errors
    /// A denial as unavailable, where nothing says where the keys are.
    pub fn keys(&self) -> Result<Keys, Denial> {
        let configured = self.config.jwks_uri.as_ref();
        configured
            .or(self.metadata.jwks_uri.as_ref())
            .map(|address| Keys::At(address.clone()))
            .ok_or_else(|| Denial::unavailable("the provider publishes no keys"))
    }

    /// A JWT of the provider's whose signature holds, decrypted as was agreed on: with a key for
    /// that, one that is not encrypted is refused (OpenID Connect Core section 3.1.3.7, 1).
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub fn open_as_agreed(&self, token: &str) -> Result<Jwt, Denial> {
        let agreed = secrets::get("decryption_key").is_some();
        if agreed && !encryption::is_encrypted(token) {
            return Err(Denial::rejected("the token is not encrypted"));
        }
        self.open(token)
    }

    /// A JWT of the provider's whose signature holds, decrypted where it is encrypted.
    ///
    /// # Errors
    /// As for [`Keys::verify`], and as rejected where it cannot be decrypted.
    pub fn open(&self, token: &str) -> Result<Jwt, Denial> {
        let keys = self.keys()?;
        let accept = &self.config.algorithms;
        match encryption::is_encrypted(token) {
            true => keys.verify(&encryption::decrypt(token)?, accept),
            false => keys.verify(token, accept),
        }
    }
}
