//! `cargo xtask test`: every test there is, on a machine that needs nothing but Rust and Python.

use std::path::PathBuf;

use anyhow::Result;
use archstone_plugin_kit::build_plugins;
use clap::{Args, ValueEnum};

use crate::machine;
use crate::shell::{cargo, command, root, run, target, works};

/// Sets the machine up, builds, and runs all tests or some parts of them.
#[derive(Debug, Args)]
pub struct Test {
    /// The parts to run; all of them if left out.
    #[arg(value_enum)]
    parts: Vec<Part>,

    /// Do not install missing Debian packages.
    #[arg(long)]
    no_packages: bool,

    /// Arguments for pytest, as in `cargo xtask test clients -- -k token`.
    #[arg(last = true)]
    pytest: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Part {
    /// Unit, integration and documentation tests of the host.
    Rust,
    /// The guests' own tests.
    Plugins,
    /// OpenStack's clients against the server.
    Clients,
    /// The same requests to Archstone and to Python Keystone.
    Differential,
    /// Garbage, power cuts, load, plugin swaps.
    Robustness,
    /// Other implementations that share files and databases with Archstone.
    Interop,
}

impl Part {
    /// The directory under `tests/` that pytest runs for this part.
    fn pytest_directory(self) -> Option<&'static str> {
        match self {
            Self::Rust | Self::Plugins => None,
            Self::Clients => Some("clients"),
            Self::Differential => Some("differential"),
            Self::Robustness => Some("robustness"),
            Self::Interop => Some("interop"),
        }
    }
}

impl Test {
    /// # Errors
    ///
    /// Fails at the first part with a failing test.
    pub fn execute(&self) -> Result<()> {
        let parts = if self.parts.is_empty() {
            Part::value_variants()
        } else {
            &self.parts
        };
        if !self.no_packages {
            machine::install_packages()?;
        }
        build_plugins(root())?;
        run(cargo().args(["build", "--workspace", "--bins", "--examples", "--locked"]))?;
        if parts.contains(&Part::Rust) {
            host_tests()?;
        }
        if parts.contains(&Part::Plugins) {
            guest_tests()?;
        }
        let directories: Vec<_> = parts
            .iter()
            .filter_map(|part| part.pytest_directory())
            .map(|name| root().join("tests").join(name))
            .filter(|directory| directory.exists())
            .collect();
        if directories.is_empty() {
            return Ok(());
        }
        self.pytest(directories)
    }

    fn pytest(&self, directories: Vec<PathBuf>) -> Result<()> {
        let bin = machine::python_environment()?;
        run(command(bin.join("pytest"))
            .current_dir(root().join("tests"))
            .arg("--archstone")
            .arg(target().join("debug/archstone"))
            .env("ARCHSTONE_SEAL_EXAMPLE", example("seal"))
            .env("ARCHSTONE_HASH_EXAMPLE", example("hash_password"))
            .args(&self.pytest)
            .args(directories))
    }
}

/// An example that the tests ask what the server would do.
fn example(name: &str) -> PathBuf {
    target().join("debug/examples").join(name)
}

fn host_tests() -> Result<()> {
    if works(cargo().args(["nextest", "--version"])) {
        run(cargo().args(["nextest", "run", "--workspace", "--locked"]))?;
        return run(cargo().args(["test", "--workspace", "--locked", "--doc"]));
    }
    run(cargo().args(["test", "--workspace", "--locked"]))
}

fn guest_tests() -> Result<()> {
    let manifest = root().join("plugins/Cargo.toml");
    if !manifest.exists() {
        return Ok(());
    }
    run(cargo()
        .args(["test", "--workspace", "--locked", "--manifest-path"])
        .arg(manifest))
}
