//! `archstone saml metadata`

use anyhow::Result;
use clap::Subcommand;

use crate::{commands::say, config::Config};

#[derive(Debug, Subcommand)]
pub(crate) enum Saml {
    /// Print what service providers must know of this cloud; write it to [saml] idp_metadata_path.
    Metadata,
}

impl Saml {
    pub(crate) fn run(self, config: &Config) -> Result<()> {
        let Self::Metadata = self;
        say(config.identity.saml.metadata()?)
    }
}
