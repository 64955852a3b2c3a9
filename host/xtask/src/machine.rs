//! What the tests need of the machine: Debian packages, and a Python environment with pinned versions.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::shell::{command, root, run, say, target, works};

/// Python Keystone and uwsgi compile parts of themselves; guests are compiled with Debian's `rustc-web` where rustup
/// cannot fetch the WebAssembly target; the two database servers and the LDAP server are tested against;
/// `xmlsec1` signs SAML assertions; the OpenID provider that logins are tested with is a program for `nodejs`, and `npm`
/// fetches it; Chromium has security keys that are virtual; `valgrind` counts instructions.
const PACKAGES: [&str; 16] = [
    "build-essential",
    "chromium",
    "chromium-driver",
    "libldap2-dev",
    "libsasl2-dev",
    "mariadb-server",
    "nodejs",
    "npm",
    "postgresql",
    "python3-dev",
    "python3-venv",
    "rust-web-src",
    "rustc-web",
    "slapd",
    "valgrind",
    "xmlsec1",
];

/// Programs that may come from elsewhere than Debian, whose packages would then be in their way.
const PROGRAMS: [(&str, &str); 2] = [("nodejs", "node"), ("npm", "npm")];

/// Installs the Debian packages that are missing.
///
/// # Errors
///
/// Fails with the command to run when packages are missing and this is not root.
pub fn install_packages() -> Result<()> {
    if !works(command("dpkg").arg("--version")) {
        say("This is not Debian: have ready what these packages hold:");
        say(&format!("  {}", PACKAGES.join(" ")));
        return Ok(());
    }
    let missing: Vec<_> = PACKAGES
        .into_iter()
        .filter(|name| !installed(name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let install = ["install", "--yes", "--no-install-recommends"];
    if !works(command("test").args(["-w", "/var/lib/dpkg/lock"])) {
        bail!(
            "packages are missing; run: sudo apt-get {} {}",
            install.join(" "),
            missing.join(" ")
        );
    }
    run(command("apt-get").arg("update"))?;
    run(command("apt-get")
        .args(install)
        .args(missing)
        .env("DEBIAN_FRONTEND", "noninteractive"))
}

fn installed(package: &str) -> bool {
    let there =
        |(of, program): &(&str, &str)| *of == package && works(command(program).arg("--version"));
    if PROGRAMS.iter().any(there) {
        return true;
    }
    command("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Status}", package])
        .output()
        .is_ok_and(|output| output.stdout == b"installed")
}

/// Makes the Python environment from `tests/requirements.txt` and gives its `bin` directory; quick when nothing changed.
///
/// # Errors
///
/// Fails when there is no Python or the package index cannot be reached.
pub fn python_environment() -> Result<PathBuf> {
    let (wanted, directory) = (root().join("tests/requirements.txt"), target().join("venv"));
    let (bin, stamp) = (directory.join("bin"), directory.join("requirements.txt"));
    let requirements =
        fs::read(&wanted).with_context(|| format!("cannot read {}", wanted.display()))?;
    if fs::read(&stamp).is_ok_and(|made_from| made_from == requirements) {
        return Ok(bin);
    }
    run(command("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&directory))?;
    run(command(bin.join("pip"))
        .args(["install", "--quiet", "--requirement"])
        .arg(&wanted))?;
    fs::write(&stamp, requirements).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(bin)
}
