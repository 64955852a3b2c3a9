//! What a plugin's author does before there is a server: all that needs no configuration.

use std::path::PathBuf;

use anyhow::Result;
use archstone_plugin_kit::{Template, build_project, new_project};
use clap::Subcommand;

use super::signing;
use crate::commands::say;

#[derive(Debug, Subcommand)]
pub(crate) enum Author {
    /// Make a project of a plugin that builds at once, to be changed into yours.
    New {
        /// What the plugin, its crate and its method are called.
        name: String,
        /// What it is for: auth-method, enrollable-method, redirect-connector, token-connector,
        /// directory-connector, event-sink or authorizer.
        #[arg(long, default_value_t = Template::AuthMethod)]
        world: Template,
        /// Where to make it; by default a directory of the plugin's name.
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Build a project's component: target/plugins/NAME.wasm there.
    Build {
        /// The project.
        #[arg(default_value = ".")]
        dir: PathBuf,
    },
    /// Sign a component, for servers with [archstone] plugin_signers.
    Sign(signing::Sign),
    /// Make a key to sign components with.
    Keygen(signing::Keygen),
}

impl Author {
    pub(crate) fn run(self) -> Result<()> {
        match self {
            Self::New { name, world, dir } => {
                let directory = dir.unwrap_or_else(|| PathBuf::from(&name));
                new_project(&name, world, &directory)?;
                let place = directory.display();
                say(format!(
                    "{place} is a plugin of the world {world}. {place}/README.md says how to build, \
                     try and install it; src/lib.rs is yours to change."
                ))
            }
            Self::Build { dir } => {
                let components = build_project(&dir)?;
                anyhow::ensure!(
                    !components.is_empty(),
                    "{} has no crate of type cdylib: there is no plugin in it",
                    dir.display()
                );
                components.iter().try_for_each(|path| say(path.display()))
            }
            Self::Sign(sign) => sign.run(),
            Self::Keygen(keygen) => keygen.run(),
        }
    }
}
