//! `archstone plugin`: what is installed, and how it fares in the running server.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use archstone_plugins::{
    MemoryState, Registry, Runtime, RuntimeOptions, ServerStatus, Settings, Shelf,
};
use chrono::Utc;
use clap::Subcommand;
use serde_json::json;

use crate::{commands::say, config::Config};

#[derive(Debug, Subcommand)]
pub(crate) enum Plugin {
    /// Check a component and put it in place; a running server takes it up by itself.
    Install {
        /// The component, as the plugin build makes it.
        component: PathBuf,
        /// The auth method it serves; by default the file's name without its ending.
        #[arg(long)]
        name: Option<String>,
    },
    /// List installed plugins with the state they have in the running server.
    List,
    /// Show one plugin: its versions, and why one does not serve.
    Show { name: String },
    /// Go back to the version before, or to one by its digest.
    Rollback {
        name: String,
        #[arg(long)]
        to: Option<String>,
    },
}

impl Plugin {
    pub(crate) fn run(self, config: &Config) -> Result<()> {
        let directory = config
            .plugin_dir
            .as_deref()
            .context("[archstone] plugin_directory is not set: there is no place for plugins")?;
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        let shelf = Shelf::new(directory);
        match self {
            Self::Install { component, name } => install(&shelf, directory, &component, name),
            Self::List => {
                for installed in shelf.list()? {
                    print(directory, &installed.method, &installed)?;
                }
                Ok(())
            }
            Self::Show { name } => print(directory, &name, &shelf.show(&name)?),
            Self::Rollback { name, to } => {
                let installed = shelf.rollback(&name, to.as_deref())?;
                print(directory, &name, &installed)
            }
        }
    }
}

/// Installs a component that this server could load. One that it could not never gets in place.
fn install(shelf: &Shelf, directory: &Path, component: &Path, name: Option<String>) -> Result<()> {
    let artifact =
        fs::read(component).with_context(|| format!("cannot read {}", component.display()))?;
    let name = match name {
        Some(name) => name,
        None => component
            .file_stem()
            .and_then(|stem| stem.to_str())
            .context("the file has no name to call the method by; give --name")?
            .to_owned(),
    };
    let settings = match fs::read(directory.join(format!("{name}.json"))) {
        Ok(text) => Settings::from_json(&text)?,
        Err(_) => Settings::default(),
    };
    let runtime = Runtime::new(RuntimeOptions::new(Arc::new(MemoryState::default())))?;
    let registry = Registry::new(runtime);
    let _checked = tokio::task::block_in_place(|| {
        tokio::runtime::Handle::current().block_on(registry.prepare(
            &name,
            artifact.clone(),
            settings,
        ))
    })
    .with_context(|| format!("{} cannot serve and was not installed", component.display()))?;
    let installed = shelf.install(&name, &artifact, Utc::now())?;
    print(directory, &name, &installed)
}

/// Prints what is installed and what the running server says of it, as one JSON object.
fn print(directory: &Path, name: &str, installed: &archstone_plugins::Installed) -> Result<()> {
    let server = ServerStatus::read(directory)?.and_then(|status| {
        status
            .plugins
            .into_iter()
            .find(|plugin| plugin.method == name)
    });
    say(serde_json::to_string_pretty(
        &json!({ "installed": installed, "server": server }),
    )?)
}
