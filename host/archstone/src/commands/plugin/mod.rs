//! `archstone plugin`: from a new plugin's project to what is installed on every node.

mod author;
mod check;
mod installed;
mod signing;
mod trial;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use archstone_plugins::{MemoryState, Registry, Runtime, RuntimeOptions, Settings, Signers};
use clap::{Args, Subcommand};

use crate::config::Config;

pub(crate) use self::author::Author;

#[derive(Debug, Subcommand)]
pub(crate) enum Plugin {
    #[command(flatten)]
    Author(Author),
    /// Look at a component as a server would: what it is, and what has to be granted.
    Check(check::Check),
    /// Log in once by a component on this machine, and see what it asks of the host.
    Run(trial::Trial),
    #[command(flatten)]
    Installed(installed::Command),
}

impl Plugin {
    /// Whether what plugins do is the command's output.
    pub(crate) fn tells_calls(&self) -> bool {
        matches!(self, Self::Run(_))
    }

    pub(crate) async fn run(self, config: &Config) -> Result<()> {
        match self {
            Self::Author(author) => author.run(),
            Self::Check(check) => check.run(config).await,
            Self::Run(trial) => trial.run().await,
            Self::Installed(command) => command.run(config).await,
        }
    }
}

/// A component's file, and what it is called.
#[derive(Debug, Args)]
pub(crate) struct Component {
    /// The component, as `archstone plugin build` makes it.
    #[arg(value_name = "COMPONENT")]
    file: PathBuf,
    /// The auth method or plugin it is to be; by default the file's name without its ending.
    #[arg(long)]
    name: Option<String>,
}

impl Component {
    fn read(&self) -> Result<Vec<u8>> {
        fs::read(&self.file).with_context(|| format!("cannot read {}", self.file.display()))
    }

    fn name(&self) -> Result<String> {
        if let Some(name) = &self.name {
            return Ok(name.clone());
        }
        let stem = self.file.file_stem().and_then(|stem| stem.to_str());
        stem.map(str::to_owned)
            .context("the file has no name to call the plugin by; give --name")
    }
}

/// The settings in a file; the defaults where there is none.
fn settings(file: &Path) -> Result<Settings> {
    match fs::read(file) {
        Ok(text) => {
            Settings::from_json(&text).with_context(|| format!("cannot use {}", file.display()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Settings::default()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// The settings in a file that was named.
fn named_settings(file: Option<&Path>) -> Result<Settings> {
    let Some(file) = file else {
        return Ok(Settings::default());
    };
    let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Settings::from_json(&text).with_context(|| format!("cannot use {}", file.display()))
}

/// A runtime for this command alone. The directory holds what was compiled, so that nothing is
/// compiled twice, and ends with the command.
struct Bench {
    runtime: Runtime,
    registry: Registry,
    _cache: tempfile::TempDir,
}

impl Bench {
    fn new(signers: Option<Signers>) -> Result<Self> {
        let cache = tempfile::tempdir().context("cannot make a directory for compiled plugins")?;
        let mut options = RuntimeOptions::new(std::sync::Arc::new(MemoryState::default()));
        options.signers = signers;
        options.instances = 32;
        options.cache = Some(cache.path().join("compiled"));
        let runtime = Runtime::new(options)?;
        Ok(Self {
            registry: Registry::new(runtime.clone()),
            runtime,
            _cache: cache,
        })
    }
}
