//! What is installed, on this node or on all of them, and how it fares in the running server.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use archstone_identity::{Identity, InstalledPlugin};
use archstone_plugins::{Installed, ServerStatus, Shelf, ShelfError};
use chrono::Utc;
use clap::Subcommand;
use serde_json::{Value, json};

use super::{Bench, Component, named_settings, settings};
use crate::{assemble, commands::say, config::Config};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check a component and put it in place; a running server takes it up by itself.
    Install {
        #[command(flatten)]
        component: Component,
        /// Into the database, for all nodes, instead of this node's plugin directory.
        #[arg(long)]
        everywhere: bool,
        /// The settings on all nodes; by default those that it has. A directory has them in
        /// NAME.json.
        #[arg(long, value_name = "FILE", requires = "everywhere")]
        settings: Option<PathBuf>,
    },
    /// List installed plugins with the state they have in the running server.
    List,
    /// Show one plugin: its versions, and why one does not serve.
    Show {
        /// The auth method or plugin.
        name: String,
    },
    /// Go back to the version before, or to one by its digest.
    Rollback {
        /// The auth method or plugin.
        name: String,
        /// The beginning of the digest of the version to go back to.
        #[arg(long, value_name = "DIGEST")]
        to: Option<String>,
        /// In the database, on all nodes.
        #[arg(long)]
        everywhere: bool,
    },
    /// Take a plugin out of service; its versions and settings stay, for a rollback.
    Remove {
        /// The auth method or plugin.
        name: String,
        /// In the database, on all nodes.
        #[arg(long)]
        everywhere: bool,
    },
}

impl Command {
    pub(super) async fn run(self, config: &Config) -> Result<()> {
        match self {
            Self::Install {
                component,
                everywhere: true,
                settings,
            } => {
                let (identity, _) = assemble::identity(config).await?;
                let settings = match settings {
                    Some(file) => Some(named_settings(Some(&file))?),
                    None => None,
                };
                let installed = identity
                    .install_plugin_locally(&component.name()?, component.read()?, settings)
                    .await;
                let installed = told(installed)
                    .with_context(|| format!("{} was not installed", component.file.display()))?;
                print(everywhere(&installed))
            }
            Self::Install { component, .. } => {
                let node = Node::of(config)?;
                let installed = node.install(config, &component).await?;
                print(node.told(&installed)?)
            }
            Self::List => list(config).await,
            Self::Show { name } => show(config, &name).await,
            Self::Rollback {
                name,
                to,
                everywhere: true,
            } => {
                let (identity, _) = assemble::identity(config).await?;
                let installed = identity
                    .roll_back_plugin_locally(&name, to.as_deref())
                    .await;
                print(everywhere(&told(installed)?))
            }
            Self::Rollback { name, to, .. } => {
                let node = Node::of(config)?;
                let installed = node.shelf.rollback(&name, to.as_deref());
                print(node.told(&installed.map_err(look_elsewhere)?)?)
            }
            Self::Remove {
                name,
                everywhere: true,
            } => {
                let (identity, _) = assemble::identity(config).await?;
                told(identity.remove_plugin_locally(&name).await)?;
                show(config, &name).await
            }
            Self::Remove { name, .. } => {
                let node = Node::of(config)?;
                node.shelf.remove(&name).map_err(look_elsewhere)?;
                print(node.told(&node.shelf.show(&name)?)?)
            }
        }
    }
}

/// The service's reasons are for operators, who are whom this command is for.
fn told<T>(done: archstone_identity::Result<T>) -> Result<T> {
    done.map_err(|error| match error.reason() {
        Some(reason) => anyhow::anyhow!("{reason}"),
        None => anyhow::Error::new(error),
    })
}

fn look_elsewhere(error: ShelfError) -> anyhow::Error {
    let missing = matches!(error, ShelfError::NotInstalled { .. });
    let error = anyhow::Error::new(error);
    match missing {
        true => error.context("for a plugin in the database, add --everywhere"),
        false => error,
    }
}

/// This node's plugin directory.
struct Node<'a> {
    directory: &'a Path,
    shelf: Shelf,
}

impl<'a> Node<'a> {
    fn of(config: &'a Config) -> Result<Self> {
        let directory = config.plugin_dir.as_deref().context(
            "[archstone] plugin_directory is not set: this node has no place for plugins. \
             --everywhere puts them in the database",
        )?;
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        Ok(Self {
            shelf: Shelf::new(directory),
            directory,
        })
    }

    /// Installs a component that this server could load. One that it could not never gets in place.
    async fn install(&self, config: &Config, component: &Component) -> Result<Installed> {
        let (name, artifact) = (component.name()?, component.read()?);
        let settings = settings(&self.directory.join(format!("{name}.json")))?;
        let bench = Bench::new(assemble::plugin_signers(config)?)?;
        let rehearsed = bench.registry.rehearse(&name, artifact.clone(), settings);
        let candidate = rehearsed.await.with_context(|| {
            let file = component.file.display();
            format!("{file} cannot serve and was not installed")
        })?;
        drop(candidate);
        Ok(self.shelf.install(&name, &artifact, Utc::now())?)
    }

    /// What is installed and what the running server says of it.
    fn told(&self, installed: &Installed) -> Result<Value> {
        Ok(json!({
            "from": "directory",
            "installed": installed,
            "server": self.server(&installed.method)?,
        }))
    }

    fn server(&self, name: &str) -> Result<Value> {
        let status = ServerStatus::read(self.directory)?;
        let found = status.and_then(|status| {
            let mut plugins = status.plugins.into_iter();
            plugins.find(|plugin| plugin.method == name)
        });
        Ok(json!(found))
    }
}

async fn list(config: &Config) -> Result<()> {
    let mut all = Vec::new();
    let node = node_if_any(config)?;
    if let Some(node) = &node {
        for installed in node.shelf.list()? {
            all.push(node.told(&installed)?);
        }
    }
    for installed in in_database(config).await? {
        all.push(beside(node.as_ref(), &installed)?);
    }
    print(Value::Array(all))
}

async fn show(config: &Config, name: &str) -> Result<()> {
    let node = node_if_any(config)?;
    let here = match &node {
        Some(node) => match node.shelf.show(name) {
            Ok(installed) => Some(node.told(&installed)?),
            Err(ShelfError::NotInstalled { .. }) => None,
            Err(error) => return Err(error.into()),
        },
        None => None,
    };
    let desired = in_database(config).await?;
    let desired = desired.iter().find(|installed| installed.name == name);
    match (here, desired) {
        (Some(here), None) => print(here),
        (None, Some(desired)) => print(beside(node.as_ref(), desired)?),
        (Some(mut here), Some(desired)) => {
            here["database"] = beside(node.as_ref(), desired)?;
            print(here)
        }
        (None, None) => bail!("no plugin `{name}` is installed, neither here nor in the database"),
    }
}

fn node_if_any(config: &Config) -> Result<Option<Node<'_>>> {
    config
        .plugin_dir
        .as_ref()
        .map(|_| Node::of(config))
        .transpose()
}

/// The plugins of all nodes. Without a database that answers, this node's alone are told.
async fn in_database(config: &Config) -> Result<Vec<InstalledPlugin>> {
    if config.database.is_none() {
        return Ok(Vec::new());
    }
    let identity: Result<(Identity, _)> = assemble::identity(config).await;
    match identity {
        Ok((identity, _)) => told(identity.installed_plugins_locally().await),
        Err(error) => {
            eprintln!("archstone: plugins in the database are not shown: {error:#}");
            Ok(Vec::new())
        }
    }
}

/// A plugin of all nodes, and how it fares on this one.
fn beside(node: Option<&Node<'_>>, installed: &InstalledPlugin) -> Result<Value> {
    let mut told = everywhere(installed);
    if let Some(node) = node {
        let hidden = node
            .directory
            .join(format!("{}.wasm", installed.name))
            .exists();
        told["hidden_by_directory"] = json!(hidden);
        told["server"] = match hidden {
            true => Value::Null,
            false => node.server(&installed.name)?,
        };
    }
    Ok(told)
}

fn everywhere(installed: &InstalledPlugin) -> Value {
    let versions: Vec<_> = installed
        .versions
        .iter()
        .map(|(digest, installed_at)| json!({"digest": digest, "installed_at": installed_at}))
        .collect();
    json!({
        "from": "database",
        "installed": {
            "method": installed.name,
            "current": installed.digest,
            "versions": versions,
            "revision": installed.revision,
        },
    })
}

fn print(told: Value) -> Result<()> {
    say(serde_json::to_string_pretty(&told)?)
}
