//! Builds plugins: compiles guest crates to core WebAssembly modules and wraps each as the
//! component that the host loads.
//!
//! Nothing is done twice: cargo compiles what changed, and a component is written only when it
//! differs from the one that is there.

mod lock;
mod project;
mod scripted;
mod sysroot;
mod toolchain;

use std::{
    collections::BTreeMap,
    env,
    fs::{self, Permissions},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use wit_component::ComponentEncoder;

use crate::toolchain::Toolchain;
pub use crate::{
    project::{Template, new_project},
    scripted::build_scripted_plugins,
};

/// What guests are compiled for: WebAssembly with no system at all.
const TARGET: &str = "wasm32-unknown-unknown";

/// Builds every plugin of this repository that is in Rust, whose root directory is given. Gives the paths of the
/// components, `target/plugins/NAME.wasm`.
///
/// # Errors
/// If there is no way to compile for WebAssembly, or a guest does not compile.
pub fn build_plugins(root: &Path) -> Result<Vec<PathBuf>> {
    build_workspace(&root.join("plugins"), &target_of(root))
}

fn target_of(root: &Path) -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => root.join(directory),
        None => root.join("target"),
    }
}

/// Builds the plugins (crates of type `cdylib`) of any guest crate or workspace. Components go to
/// `plugins/` below the target directory.
///
/// # Errors
/// As for [`build_plugins`].
pub fn build_workspace(guests: &Path, target: &Path) -> Result<Vec<PathBuf>> {
    let toolchain = Toolchain::find(&target.join("wasm-sysroot"))?;
    build(guests, target, &toolchain, Lock::Final)
}

/// Builds a plugin's project where it lies: components go to its `target/plugins/`. Its lock file is
/// brought in line with its Cargo.toml, as cargo does.
///
/// # Errors
/// As for [`build_plugins`].
pub fn build_project(project: &Path) -> Result<Vec<PathBuf>> {
    let manifest = project.join("Cargo.toml");
    if !manifest.is_file() {
        bail!(
            "there is no {}; `archstone plugin new` makes a project",
            manifest.display()
        );
    }
    let project = project
        .canonicalize()
        .with_context(|| format!("cannot find {}", project.display()))?;
    let toolchain = Toolchain::find(&shared_sysroot())?;
    build(&project, &project.join("target"), &toolchain, Lock::Follows)
}

/// Where a standard library that had to be built is kept for all projects of this user.
fn shared_sysroot() -> PathBuf {
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    if let Some(directory) = variable("ARCHSTONE_WASM_SYSROOT") {
        return directory.into();
    }
    let cache = variable("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || variable("HOME").map(|home| PathBuf::from(home).join(".cache"));
    cache
        .or_else(home)
        .unwrap_or_else(env::temp_dir)
        .join("archstone/wasm-sysroot")
}

/// Whether cargo may change the lock file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lock {
    Final,
    Follows,
}

fn build(guests: &Path, target: &Path, toolchain: &Toolchain, lock: Lock) -> Result<Vec<PathBuf>> {
    let modules = compile(guests, &target.join("guests"), toolchain, lock)?;
    let output = target.join("plugins");
    fs::create_dir_all(&output).with_context(|| format!("cannot make {}", output.display()))?;
    modules
        .iter()
        .map(|(name, module)| {
            let core = fs::read(module)
                .with_context(|| format!("cannot read what cargo built: {}", module.display()))?;
            let component = componentize(&core).with_context(|| format!("in plugin `{name}`"))?;
            let path = output.join(format!("{name}.wasm"));
            write_if_changed(&path, &component)?;
            Ok(path)
        })
        .collect()
}

/// Wraps a core module that was built with the SDK (or any `wit-bindgen`) as a component, and
/// validates it.
///
/// # Errors
/// If the module does not fit the world it was built for, or imports what no component can.
pub fn componentize(module: &[u8]) -> Result<Vec<u8>> {
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .context("this is no module built by wit-bindgen")?
        .encode()
        .context("the module cannot be made a component")
}

/// Runs cargo and gives the modules by the plugins' names.
fn compile(
    guests: &Path,
    target: &Path,
    toolchain: &Toolchain,
    lock: Lock,
) -> Result<BTreeMap<String, PathBuf>> {
    let mut cargo = cargo();
    cargo
        .args(["build", "--release", "--target", TARGET])
        .args((lock == Lock::Final).then_some("--locked"))
        .arg("--message-format=json-render-diagnostics")
        .current_dir(guests)
        .env("CARGO_TARGET_DIR", target)
        .stdout(Stdio::piped());
    toolchain.apply(&mut cargo);
    let output = cargo
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!("the plugins in {} do not compile", guests.display());
    }
    let messages = output.stdout.split(|byte| *byte == b'\n');
    Ok(messages
        .filter_map(|line| serde_json::from_slice(line).ok())
        .filter_map(|message: Value| module_of(&message))
        .collect())
}

/// The plugin that a message of cargo's is about, if it is about one.
fn module_of(message: &Value) -> Option<(String, PathBuf)> {
    let kinds = message.pointer("/target/crate_types")?.as_array()?;
    if message["reason"] != "compiler-artifact" || !kinds.iter().any(|kind| kind == "cdylib") {
        return None;
    }
    let name = message.pointer("/target/name")?.as_str()?;
    let module = message["filenames"]
        .as_array()?
        .iter()
        .filter_map(Value::as_str)
        .find(|file| file.ends_with(".wasm"))?;
    Some((name.replace('_', "-"), PathBuf::from(module)))
}

/// The cargo that runs us, free of what it set up for us.
fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for variable in [
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "RUSTC",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTFLAGS",
    ] {
        cargo.env_remove(variable);
    }
    cargo
}

/// Writes a file in one step, so that nobody ever reads half of it.
fn write_if_changed(path: &Path, contents: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|present| present == contents) {
        return Ok(());
    }
    let directory = path.parent().unwrap_or(Path::new("."));
    let write = || {
        let mut file = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o644))
            .tempfile_in(directory)?;
        file.write_all(contents)?;
        file.persist(path).map_err(|error| error.error)
    };
    write()
        .map(drop)
        .with_context(|| format!("cannot write {}", path.display()))
}
