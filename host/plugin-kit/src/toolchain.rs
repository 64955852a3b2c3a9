//! Finds a way to compile for WebAssembly: the toolchain's own standard library, one that rustup
//! can fetch, or one built here from Debian's sources.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{TARGET, sysroot};

/// How long rustup may try. Where it cannot reach its server it may never say so.
const RUSTUP_PATIENCE: Duration = Duration::from_secs(120);

/// What cargo has to be told so that it compiles for WebAssembly.
#[derive(Debug, Default)]
pub(crate) struct Toolchain {
    variables: Vec<(&'static str, PathBuf)>,
    flags: Option<String>,
}

impl Toolchain {
    pub fn find(sysroot: &Path) -> Result<Self> {
        if has_std()? {
            return Ok(Self::default());
        }
        if !sysroot::is_ready(sysroot) && rustup_adds_target() && has_std()? {
            return Ok(Self::default());
        }
        let sysroot = sysroot::build(sysroot).with_context(|| {
            format!(
                "this toolchain has no standard library for {TARGET}; install it with `rustup \
                 target add {TARGET}`. Building it from Debian's sources failed too"
            )
        })?;
        Ok(Self::with(&sysroot))
    }

    fn with(sysroot: &sysroot::Sysroot) -> Self {
        Self {
            variables: vec![
                ("RUSTC", sysroot.rustc.clone()),
                (
                    "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER",
                    sysroot.linker.clone(),
                ),
            ],
            flags: Some(format!("--sysroot={}", sysroot.directory.display())),
        }
    }

    pub fn apply(&self, cargo: &mut Command) {
        cargo.envs(self.variables.iter().map(|(name, value)| (name, value)));
        if let Some(flags) = &self.flags {
            cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", flags);
        }
    }
}

/// Whether the standard library for the target is installed.
fn has_std() -> Result<bool> {
    let libraries = rustc_prints(&["--print", "target-libdir", "--target", TARGET])?;
    let installed = std::fs::read_dir(libraries).is_ok_and(|files| {
        files
            .flatten()
            .any(|file| file.file_name().to_string_lossy().starts_with("libstd-"))
    });
    Ok(installed)
}

/// What rustc answers to a question about itself.
pub(crate) fn rustc_prints(arguments: &[&str]) -> Result<String> {
    let output = Command::new("rustc")
        .args(arguments)
        .output()
        .context("cannot start rustc; is Rust installed?")?;
    ensure!(output.status.success(), "rustc {arguments:?} failed");
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn rustup_adds_target() -> bool {
    let rustup = Command::new("rustup")
        .args(["target", "add", TARGET])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut rustup) = rustup else {
        return false;
    };
    let deadline = Instant::now() + RUSTUP_PATIENCE;
    while Instant::now() < deadline {
        match rustup.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => thread::sleep(Duration::from_millis(100)),
            Err(_) => return false,
        }
    }
    let _ = rustup.kill();
    let _ = rustup.wait();
    false
}
