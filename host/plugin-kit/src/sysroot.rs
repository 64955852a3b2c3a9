//! Builds Rust's standard library for WebAssembly from Debian's packages `rustc-web` and
//! `rust-web-src`, for machines that cannot reach rustup's server. Done once per compiler version.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{TARGET, cargo, toolchain::rustc_prints};

/// Debian's compiler: the sources of its library are the ones that are packaged.
const RUSTC: &str = "/usr/bin/rustc";
const SOURCES: &str = "/usr/lib/rustlib/src/rust/library";
const PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];

/// A standard library with the compiler it is for, and a linker.
#[derive(Debug)]
pub(crate) struct Sysroot {
    pub directory: PathBuf,
    pub rustc: PathBuf,
    pub linker: PathBuf,
}

/// Whether the directory has a library for the compiler that is installed now.
pub(crate) fn is_ready(directory: &Path) -> bool {
    let made_by = fs::read_to_string(directory.join("ready"));
    matches!((made_by, version()), (Ok(made_by), Ok(now)) if made_by == now)
}

/// Builds the library into the directory, unless it is there.
pub(crate) fn build(directory: &Path) -> Result<Sysroot> {
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    let directory = directory.canonicalize()?;
    // One build at a time; the others find it done.
    let lock = fs::File::create(directory.join("lock"))?;
    lock.lock()?;
    if !is_ready(&directory) {
        if !Path::new(SOURCES).is_dir() {
            install_sources()?;
        }
        compile(&directory)?;
        fs::write(directory.join("ready"), version()?)?;
    }
    Ok(Sysroot {
        rustc: RUSTC.into(),
        linker: linker()?,
        directory,
    })
}

fn version() -> Result<String> {
    let output = Command::new(RUSTC)
        .arg("-vV")
        .output()
        .with_context(|| format!("cannot start {RUSTC}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn install_sources() -> Result<()> {
    let by_hand = format!(
        "apt-get install --no-install-recommends {}",
        PACKAGES.join(" ")
    );
    let debian = Path::new("/usr/bin/apt-get").exists();
    if !debian || !rustix::process::geteuid().is_root() {
        bail!("Debian's sources of the library are not installed; as root: `{by_hand}`");
    }
    eprintln!("$ {by_hand}");
    let install = || {
        Command::new("apt-get")
            .args(["install", "-y", "--no-install-recommends"])
            .args(PACKAGES)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .status()
    };
    if install()?.success() {
        return Ok(());
    }
    // The package lists may be missing or old, as in a fresh container.
    Command::new("apt-get").arg("update").status()?;
    ensure!(install()?.success(), "`{by_hand}` failed");
    Ok(())
}

/// Has cargo build the standard library beside an empty crate, and collects it.
fn compile(directory: &Path) -> Result<()> {
    eprintln!("building Rust's standard library for {TARGET}, once");
    let seed = directory.join("seed");
    fs::create_dir_all(seed.join("src"))?;
    fs::write(
        seed.join("Cargo.toml"),
        "[package]\nname = \"sysroot-seed\"\nedition = \"2024\"\n[workspace]\n",
    )?;
    fs::write(seed.join("src/lib.rs"), "")?;
    let target = directory.join("build");
    let status = cargo()
        .args(["build", "--release", "--target", TARGET])
        .arg("-Zbuild-std=std,panic_abort")
        .current_dir(&seed)
        .env("CARGO_TARGET_DIR", &target)
        .env("RUSTC", RUSTC)
        // The library is part of the compiler's release and uses what only it may use.
        .env("RUSTC_BOOTSTRAP", "1")
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "the standard library does not compile");

    let libraries = directory.join("lib/rustlib").join(TARGET).join("lib");
    if libraries.exists() {
        fs::remove_dir_all(&libraries)?;
    }
    fs::create_dir_all(&libraries)?;
    for file in fs::read_dir(target.join(TARGET).join("release/deps"))? {
        let file = file?;
        let name = file.file_name().to_string_lossy().into_owned();
        if name.ends_with(".rlib") && !name.starts_with("libsysroot_seed") {
            fs::copy(file.path(), libraries.join(name))?;
        }
    }
    fs::remove_dir_all(&target)?;
    Ok(())
}

/// The linker that came with Rust, or LLVM's.
fn linker() -> Result<PathBuf> {
    let host = rustc_prints(&["--print", "host-tuple"])?;
    let sysroot = rustc_prints(&["--print", "sysroot"])?;
    let bundled = Path::new(&sysroot)
        .join("lib/rustlib")
        .join(host)
        .join("bin/rust-lld");
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path)
        .flat_map(|directory| ["rust-lld", "wasm-ld"].map(|name| directory.join(name)));
    std::iter::once(bundled)
        .chain(found)
        .find(|linker| linker.is_file())
        .context("there is no linker for WebAssembly; install `lld`")
}
