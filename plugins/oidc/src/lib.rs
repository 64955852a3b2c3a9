//! Connectors to OpenID providers (OpenID Connect Core 1.0): somebody with a browser, by the code
//! flow with PKCE; somebody with a device (RFC 8628); tokens that clients have got by themselves;
//! and the provider's notices that somebody logged out (Back-Channel Logout 1.0).
//!
//! One file for each step. What all of them need of the provider is in `provider`.

mod assertion;
mod bearer;
mod browser;
mod client;
mod config;
mod device;
mod encryption;
mod entropy;
mod id_token;
mod login;
mod logout;
mod provider;
mod schema;
mod setup;
mod userinfo;

use archstone_plugin::{
    Assertion, Beginning, Begun, Capability, Completed, Completion, ConfigError, Denial,
    Description, Parameters, RedirectConnector, Way,
};
use config::Config;
use provider::Provider;
use serde::{Deserialize, Serialize};

struct OpenIdConnect;

/// What is remembered between the steps of a login.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Memory {
    Browser(browser::Memory),
    Device(device::Memory),
}

impl Memory {
    fn to_value(&self) -> serde_json::Value {
        serde_json::json!(self)
    }
}

impl RedirectConnector for OpenIdConnect {
    type Config = Config;

    fn describe() -> Description {
        Description::new(
            "oidc",
            env!("CARGO_PKG_VERSION"),
            "OpenID Connect: code flow with PKCE, device flow, bearer tokens, back-channel logout",
        )
        .config_schema(schema::schema())
        .secret_fields(["client_secret", "client_key", "decryption_key"])
        .server_fields(schema::SERVERS)
        .needs([Capability::Http])
    }

    fn check(config: &Config) -> Result<(), ConfigError> {
        setup::check(config)
    }

    fn begin(config: Config, beginning: Beginning) -> Result<Begun, Denial> {
        let provider = Provider::of(config)?;
        match beginning.way {
            Way::Browser => browser::begin(&provider, &beginning),
            Way::Device => device::begin(&provider),
        }
    }

    fn complete(config: Config, completion: Completion) -> Result<Completed, Denial> {
        let memory = serde_json::from_value(completion.memory)
            .map_err(|_| Denial::unavailable("the memory is of another version"))?;
        let provider = Provider::of(config)?;
        match memory {
            Memory::Browser(memory) => browser::complete(
                &provider,
                &memory,
                &completion.redirect_uri,
                &completion.parameters,
            )
            .map(Completed::Asserted),
            Memory::Device(memory) => device::complete(&provider, memory),
        }
    }

    fn present(config: Config, token: String) -> Result<Assertion, Denial> {
        bearer::present(&Provider::of(config)?, &token)
    }

    fn logout(config: Config, form: Parameters) -> Result<String, Denial> {
        logout::ended(&Provider::of(config)?, &form)
    }
}

archstone_plugin::export_redirect_connector!(OpenIdConnect);
