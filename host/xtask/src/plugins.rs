//! `cargo xtask plugins`: builds the plugins, to `target/plugins/NAME.wasm`.

use std::path::PathBuf;

use anyhow::Result;
use archstone_plugin_kit::{build_plugins, build_scripted_plugins, build_workspace};
use clap::Args;

use crate::shell::{root, say, target};

/// Builds the plugins of this repository, or those of a crate of your own.
#[derive(Debug, Args)]
pub struct Plugins {
    /// A guest crate or workspace, instead of `plugins/`.
    #[arg(long, value_name = "DIRECTORY")]
    path: Option<PathBuf>,

    /// Those in JavaScript and Python too; gets their tools from PyPI and npm.
    #[arg(long, conflicts_with = "path")]
    scripted: bool,
}

impl Plugins {
    pub fn execute(self) -> Result<()> {
        let components = match self.path {
            None => build_plugins(root())?,
            Some(path) => build_workspace(&path, &target())?,
        };
        let scripted = match self.scripted {
            true => build_scripted_plugins(root())?,
            false => Vec::new(),
        };
        for component in components.into_iter().chain(scripted) {
            say(&component.display().to_string());
        }
        Ok(())
    }
}
