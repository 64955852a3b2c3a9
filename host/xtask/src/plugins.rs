//! `cargo xtask plugins`: builds the plugins, to `target/plugins/NAME.wasm`.

use std::path::PathBuf;

use anyhow::Result;
use archstone_plugin_kit::{build_plugins, build_workspace};
use clap::Args;

use crate::shell::{root, say, target};

/// Builds the plugins of this repository, or those of a crate of your own.
#[derive(Debug, Args)]
pub struct Plugins {
    /// A guest crate or workspace, instead of `plugins/`.
    #[arg(long, value_name = "DIRECTORY")]
    path: Option<PathBuf>,
}

impl Plugins {
    pub fn execute(self) -> Result<()> {
        let components = match self.path {
            None => build_plugins(root())?,
            Some(path) => build_workspace(&path, &target())?,
        };
        for component in components {
            say(&component.display().to_string());
        }
        Ok(())
    }
}
