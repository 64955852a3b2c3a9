//! `cargo xtask test`: every test there is, on a machine that needs nothing but Rust and Python.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use archstone_plugin_kit::{build_plugins, build_scripted_plugins};
use clap::{Args, ValueEnum};

use crate::databases::Databases;
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
    /// Security keys in Chromium.
    Browser,
    /// Other implementations that share files and databases with Archstone.
    Interop,
    /// An OpenID provider, a CI's tokens, and the connectors to them.
    Federation,
    /// A domain whose users live in LDAP, on Archstone and on Python Keystone.
    Directory,
    /// The clients' and the differential tests again, on MariaDB and on PostgreSQL.
    Databases,
    /// OpenStack's own test suite, tempest.
    Conformance,
}

impl Part {
    /// What pytest is run with for this part, each time in a process of its own: libraries of
    /// OpenStack share one configuration per process, and each suite has its own.
    fn pytest_runs(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Rust | Self::Plugins => &[],
            Self::Clients => &[&["clients"]],
            Self::Differential => &[&["differential"]],
            Self::Robustness => &[&["robustness"]],
            Self::Browser => &[&["browser"]],
            Self::Interop => &[&["interop"]],
            Self::Federation => &[&["federation"]],
            Self::Directory => &[&["directory"]],
            Self::Databases => &[
                &[
                    "--database=mariadb",
                    "clients",
                    "differential/test_scripts.py",
                    "robustness/test_garbage.py",
                ],
                &[
                    "--database=postgresql",
                    "clients",
                    "differential/test_scripts.py",
                    "robustness/test_garbage.py",
                ],
                &["databases"],
            ],
            // Tempest runs its tests itself.
            Self::Conformance => &[],
        }
    }

    /// Whether it tests on MariaDB and PostgreSQL too.
    fn needs_databases(self) -> bool {
        matches!(self, Self::Rust | Self::Databases | Self::Conformance)
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
        if parts.contains(&Part::Rust) {
            build_scripted_plugins(root())?;
        }
        run(cargo().args(["build", "--workspace", "--bins", "--examples", "--locked"]))?;
        if parts.contains(&Part::Plugins) {
            guest_tests()?;
        }
        if parts == [Part::Plugins] {
            return Ok(());
        }
        let bin = machine::python_environment()?;
        let databases = parts
            .iter()
            .any(|part| part.needs_databases())
            .then(|| Databases::start(&bin))
            .transpose()?;
        let environment = databases
            .as_ref()
            .map(|databases| databases.environment().clone())
            .unwrap_or_default();
        if parts.contains(&Part::Rust) {
            host_tests(&environment)?;
        }
        for arguments in parts.iter().flat_map(|part| part.pytest_runs()) {
            run(command(bin.join("pytest"))
                .current_dir(root().join("tests"))
                .arg("--archstone")
                .arg(target().join("debug/archstone"))
                .env("ARCHSTONE_SEAL_EXAMPLE", example("seal"))
                .env("ARCHSTONE_HASH_EXAMPLE", example("hash_password"))
                .envs(&environment)
                .args(&self.pytest)
                .args(*arguments))?;
        }
        if parts.contains(&Part::Conformance) {
            conformance_tests(&bin, &environment)?;
        }
        Ok(())
    }
}

/// An example that the tests ask what the server would do.
fn example(name: &str) -> PathBuf {
    target().join("debug/examples").join(name)
}

fn host_tests(environment: &BTreeMap<String, String>) -> Result<()> {
    let test = |arguments: &[&str]| {
        run(cargo()
            .args(arguments)
            .args(["--workspace", "--locked"])
            .envs(environment))
    };
    if works(cargo().args(["nextest", "--version"])) {
        test(&["nextest", "run"])?;
        return test(&["test", "--doc"]);
    }
    test(&["test"])
}

/// Each database and each set of features once; `python -m conformance` runs every pair of them,
/// for twice as long.
fn conformance_tests(bin: &Path, environment: &BTreeMap<String, String>) -> Result<()> {
    for (database, features) in [("sqlite", "sample"), ("mariadb", "all")] {
        run(command(bin.join("python"))
            .args(["-m", "conformance", "--database", database])
            .args(["--features", features, "--archstone"])
            .arg(target().join("debug/archstone"))
            .current_dir(root().join("tests"))
            .envs(environment))?;
    }
    Ok(())
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
