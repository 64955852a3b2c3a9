//! `archstone plugin`: what is installed, and how it fares in the running server.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use archstone_plugins::{
    Installed, MemoryState, Registry, Runtime, RuntimeOptions, ServerStatus, Settings, Shelf,
};
use chrono::Utc;
use clap::Subcommand;
use serde_json::{Value, json};

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
    Show {
        /// The auth method.
        name: String,
    },
    /// Go back to the version before, or to one by its digest.
    Rollback {
        /// The auth method.
        name: String,
        /// The beginning of the digest of the version to go back to.
        #[arg(long, value_name = "DIGEST")]
        to: Option<String>,
    },
    /// Take a plugin out of service; its versions and settings stay, for a rollback.
    Remove {
        /// The auth method.
        name: String,
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
                let plugins = shelf.list()?;
                let plugins: Vec<_> = plugins
                    .iter()
                    .map(|installed| told(directory, installed))
                    .collect::<Result<_>>()?;
                say(serde_json::to_string_pretty(&plugins)?)
            }
            Self::Show { name } => print(directory, &shelf.show(&name)?),
            Self::Rollback { name, to } => {
                let installed = shelf.rollback(&name, to.as_deref())?;
                print(directory, &installed)
            }
            Self::Remove { name } => {
                shelf.remove(&name)?;
                print(directory, &shelf.show(&name)?)
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
    let file = directory.join(format!("{name}.json"));
    let settings = match fs::read(&file) {
        Ok(text) => Settings::from_json(&text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Settings::default(),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", file.display()));
        }
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
    print(directory, &installed)
}

fn print(directory: &Path, installed: &Installed) -> Result<()> {
    say(serde_json::to_string_pretty(&told(directory, installed)?)?)
}

/// What is installed and what the running server says of it, as one JSON object.
fn told(directory: &Path, installed: &Installed) -> Result<Value> {
    let server = ServerStatus::read(directory)?.and_then(|status| {
        status
            .plugins
            .into_iter()
            .find(|plugin| plugin.method == installed.method)
    });
    Ok(json!({ "installed": installed, "server": server }))
}
