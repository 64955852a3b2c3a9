//! `archstone plugin keygen` and `archstone plugin sign`.

use std::{
    fs::{self, OpenOptions, Permissions},
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use archstone_plugins::{Digest, SigningKey};
use clap::Args;
use serde_json::json;

use crate::commands::say;

#[derive(Debug, Args)]
pub(crate) struct Keygen {
    /// The directory for the two files; made if it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Keygen {
    pub(super) fn run(self) -> Result<()> {
        fs::create_dir_all(&self.out)
            .with_context(|| format!("cannot make {}", self.out.display()))?;
        let key = SigningKey::generate()?;
        let (private, public) = (
            self.out.join("plugin-signing.key"),
            self.out.join("plugin-signing.pub"),
        );
        // Its owner's eyes alone may see the text that is written here.
        write_new(&private, key.private.expose(), 0o600)?;
        write_new(&public, &key.public, 0o644)?;
        let made = json!({"key": key.id, "private": private, "public": public});
        say(serde_json::to_string_pretty(&made)?)
    }
}

/// Writes a file that must not be there: a key that is lost cannot be had again.
fn write_new(path: &Path, text: &str, mode: u32) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// The component.
    component: PathBuf,
    /// The private key, as `keygen` makes it.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Where to write the signed component; by default in place of the unsigned one.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Sign {
    pub(super) fn run(self) -> Result<()> {
        let key = SigningKey::read(&self.key)?;
        let artifact = fs::read(&self.component)
            .with_context(|| format!("cannot read {}", self.component.display()))?;
        let signed = key
            .sign(artifact)
            .with_context(|| format!("cannot sign {}", self.component.display()))?;
        let path = self.out.unwrap_or(self.component);
        replace(&path, &signed).with_context(|| format!("cannot write {}", path.display()))?;
        let told = json!({"component": path, "digest": Digest::of(&signed), "signed_by": key.id()});
        say(serde_json::to_string_pretty(&told)?)
    }
}

/// Writes a file in one step, so that nobody ever reads half of it.
fn replace(path: &Path, contents: &[u8]) -> std::io::Result<()> {
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let mut file = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(directory.unwrap_or(Path::new(".")))?;
    file.write_all(contents)?;
    file.persist(path).map(drop).map_err(|error| error.error)
}
