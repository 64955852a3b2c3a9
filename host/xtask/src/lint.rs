//! `cargo xtask lint`: formatting, clippy and the rules for dependencies, for the host and for the guests.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use crate::shell::{cargo, command, root, run, say, target, works};

/// Checks formatting, clippy warnings, and licences, sources and advisories of the dependencies.
#[derive(Debug, Args)]
pub struct Lint {}

impl Lint {
    /// # Errors
    ///
    /// Fails at the first check that does.
    pub fn execute(&self) -> Result<()> {
        for workspace in workspaces() {
            let cargo = || {
                let mut cargo = cargo();
                cargo.current_dir(&workspace);
                cargo
            };
            run(cargo().args(["fmt", "--all", "--check"]))?;
            run(cargo()
                .args([
                    "clippy",
                    "--workspace",
                    "--all-targets",
                    "--locked",
                    "--target-dir",
                ])
                .arg(target_of(&workspace))
                .args(["--", "--deny", "warnings"]))?;
        }
        dependencies()
    }
}

/// The host's workspace and the guests'.
fn workspaces() -> [PathBuf; 2] {
    [root().to_path_buf(), root().join("plugins")]
}

fn target_of(workspace: &Path) -> PathBuf {
    if workspace == root() {
        target()
    } else {
        target().join("guests")
    }
}

fn dependencies() -> Result<()> {
    let program = cargo_deny()?;
    for workspace in workspaces() {
        let deny = |arguments: &[&str]| {
            let mut deny = command(&program);
            deny.arg("--manifest-path")
                .arg(workspace.join("Cargo.toml"));
            deny.arg("--config").arg(root().join("deny.toml"));
            deny.args(arguments);
            deny
        };
        run(&mut deny(&["check", "bans", "licenses", "sources"]))?;
        if works(&mut deny(&["fetch", "db"])) {
            run(&mut deny(&["check", "advisories"]))?;
        } else {
            say("");
            say("WARNING: the advisory database cannot be fetched from this machine.");
            say("WARNING: known vulnerabilities of the dependencies were NOT checked.");
            say("");
        }
    }
    Ok(())
}

/// cargo-deny from the path, or built once under `target/tools`.
fn cargo_deny() -> Result<PathBuf> {
    if works(command("cargo-deny").arg("--version")) {
        return Ok("cargo-deny".into());
    }
    let tools = target().join("tools");
    let deny = tools.join("bin/cargo-deny");
    if !deny.exists() {
        // It runs for seconds; optimising it takes minutes.
        run(cargo()
            .args(["install", "--debug", "--locked", "cargo-deny", "--root"])
            .arg(&tools))?;
    }
    Ok(deny)
}
