//! `archstone plugin check`: a component, looked at as a server would.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use archstone_plugins::{ConnectorSetup, Inspection, Registry, Settings};
use clap::Args;
use serde_json::{Map, Value, json};

use super::{Bench, Component, named_settings};
use crate::{assemble, commands::say, config::Config};

#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    component: Component,
    /// The settings to prepare it with: configuration, grants, limits.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// A connector's configuration, for a plugin that serves connectors.
    #[arg(long, value_name = "FILE")]
    connector: Option<PathBuf>,
}

impl Check {
    pub(super) async fn run(self, config: &Config) -> Result<()> {
        let artifact = self.component.read()?;
        let name = self.component.name()?;
        let bench = Bench::new(assemble::plugin_signers(config)?)?;
        let inspection = Inspection::of(&bench.runtime, artifact.clone()).await?;
        let settings = named_settings(self.settings.as_deref())?;
        let connector = self.connector.as_deref().map(connector).transpose()?;
        let checked = serve(&bench.registry, &name, artifact, settings, connector).await;
        let mut told = serde_json::to_value(&inspection)?;
        told["would_serve"] = json!(checked.is_ok());
        say(serde_json::to_string_pretty(&told)?)?;
        checked
    }
}

/// Lets a component serve in this registry, with a connector if there is a configuration of one.
pub(super) async fn serve(
    registry: &Registry,
    name: &str,
    artifact: Vec<u8>,
    settings: Settings,
    connector: Option<ConnectorSetup>,
) -> Result<()> {
    let candidate = registry
        .prepare(name, artifact, settings)
        .await
        .context("it cannot serve with these settings")?;
    registry.publish(candidate);
    match connector {
        Some(_) if registry.connector_plugin(name).is_err() => {
            bail!("--connector is for plugins that serve connectors; this one is a method")
        }
        Some(setup) => {
            let made = registry.check_connector(name, setup).await;
            made.map(drop).context("this connector cannot serve")
        }
        None => Ok(()),
    }
}

/// A connector of this configuration.
pub(super) fn connector(file: &std::path::Path) -> Result<ConnectorSetup> {
    let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    // An error must not repeat what may be a secret.
    let config: Map<String, Value> = serde_json::from_slice(&text)
        .map_err(|error| anyhow::anyhow!("line {} is no JSON object's", error.line()))
        .with_context(|| format!("cannot use {}", file.display()))?;
    Ok(ConnectorSetup {
        id: "this-machine".to_owned(),
        revision: 1,
        config,
    })
}
