//! `archstone token inspect`

use anyhow::{Context, Result};
use archstone_token::{AuthMethods, DecodedToken, FernetTokens, KeyPurpose};
use clap::Subcommand;

use crate::{assemble, commands::say, config::Config};

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Open a token and print what it says as JSON; exit 1 where it does not open.
    Inspect { token: String },
}

impl Token {
    pub(crate) fn run(self, config: &Config) -> Result<()> {
        let Self::Inspect { token } = self;
        let keys = assemble::key_ring(&config.fernet_keys, KeyPurpose::Tokens, "fernet")?;
        let methods = AuthMethods::new(config.identity.auth_methods.iter().cloned())
            .context("[auth] methods")?;
        let opened = FernetTokens::new(keys)
            .open(&token)
            .context("the token does not open")?;
        say(serde_json::to_string_pretty(&DecodedToken::new(
            &opened, &methods,
        ))?)
    }
}
