//! A new plugin's project: a template that proves something, and beside it all that it is built
//! from, so that it needs neither a checkout of Archstone nor anything that is not in its lock file.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::{Context, Result, bail, ensure};
use include_dir::{Dir, include_dir};

use crate::lock;

static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");
static SDK: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../plugins/sdk");
static WIT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../wit/0.2.0");
/// Pins the versions that the SDK is tested with.
const LOCK: &str = include_str!("../../../plugins/Cargo.lock");

/// What a new plugin is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Template {
    AuthMethod,
    RedirectConnector,
    TokenConnector,
    DirectoryConnector,
    EnrollableMethod,
    EventSink,
    Authorizer,
}

impl Template {
    pub const ALL: [Self; 7] = [
        Self::AuthMethod,
        Self::RedirectConnector,
        Self::TokenConnector,
        Self::DirectoryConnector,
        Self::EnrollableMethod,
        Self::EventSink,
        Self::Authorizer,
    ];

    /// The name of its world in the contract.
    pub fn world(self) -> &'static str {
        match self {
            Self::AuthMethod => "auth-method",
            Self::RedirectConnector => "redirect-connector",
            Self::TokenConnector => "token-connector",
            Self::DirectoryConnector => "directory-connector",
            Self::EnrollableMethod => "enrollable-method",
            Self::EventSink => "event-sink",
            Self::Authorizer => "authorizer",
        }
    }

    /// The crates that it uses, as Cargo.toml has them.
    fn dependencies(self) -> &'static [(&'static str, &'static str)] {
        const SERDE: (&str, &str) = ("serde", r#"{ version = "1", features = ["derive"] }"#);
        const JSON: (&str, &str) = ("serde_json", r#""1""#);
        const ENCODING: (&str, &str) = (
            "data-encoding",
            r#"{ version = "2", default-features = false, features = ["alloc"] }"#,
        );
        match self {
            Self::RedirectConnector | Self::EnrollableMethod => &[ENCODING, SERDE, JSON],
            Self::AuthMethod
            | Self::TokenConnector
            | Self::DirectoryConnector
            | Self::EventSink
            | Self::Authorizer => &[SERDE, JSON],
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.world())
    }
}

impl FromStr for Template {
    type Err = String;

    fn from_str(world: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|one| one.world() == world);
        known.ok_or_else(|| {
            let worlds = Self::ALL.map(Self::world).join(", ");
            format!("there is no template of this world; there are {worlds}")
        })
    }
}

/// Makes a project in a directory that is not there yet. Gives its files.
///
/// # Errors
/// If the name is none for a plugin and a crate, something is there, or it cannot be written.
pub fn new_project(name: &str, template: Template, directory: &Path) -> Result<Vec<PathBuf>> {
    check_name(name)?;
    let empty = fs::read_dir(directory).map_or(true, |mut files| files.next().is_none());
    ensure!(
        empty,
        "{} is not empty; choose another place with --dir",
        directory.display()
    );
    let files = TEMPLATES
        .get_dir(template.world())
        .context("this template is missing from the program")?;
    let mut project = Project {
        directory,
        files: Vec::new(),
    };
    for file in files.files() {
        let path = match file.path().file_name() {
            Some(source) if source == "lib.rs" => Path::new("src").join(source),
            Some(other) => PathBuf::from(other),
            None => continue,
        };
        let text = String::from_utf8_lossy(file.contents()).replace("{{name}}", name);
        project.write(&path, text.as_bytes())?;
    }
    project.write(Path::new("Cargo.toml"), manifest(name, template).as_bytes())?;
    let dependencies = template.dependencies().iter().map(|(name, _)| *name);
    let direct: Vec<&str> = std::iter::once("archstone-plugin")
        .chain(dependencies)
        .collect();
    let lock = lock::of_project(LOCK, name, &direct)?;
    project.write(Path::new("Cargo.lock"), lock.as_bytes())?;
    project.write(Path::new(".gitignore"), b"/target\n")?;
    project.copy(&SDK, Path::new("vendor/archstone-plugin"))?;
    // Where the SDK looks for it.
    project.copy(&WIT, Path::new("wit/0.2.0"))?;
    Ok(project.files)
}

struct Project<'a> {
    directory: &'a Path,
    files: Vec<PathBuf>,
}

impl Project<'_> {
    fn write(&mut self, file: &Path, contents: &[u8]) -> Result<()> {
        let path = self.directory.join(file);
        let directory = path.parent().unwrap_or(self.directory);
        fs::create_dir_all(directory)
            .and_then(|()| fs::write(&path, contents))
            .with_context(|| format!("cannot write {}", path.display()))?;
        self.files.push(file.to_owned());
        Ok(())
    }

    fn copy(&mut self, from: &Dir<'_>, to: &Path) -> Result<()> {
        for file in from.files() {
            self.write(&to.join(file.path()), file.contents())?;
        }
        from.dirs().try_for_each(|inner| self.copy(inner, to))
    }
}

fn manifest(name: &str, template: Template) -> String {
    let dependencies: String = template
        .dependencies()
        .iter()
        .map(|(name, version)| format!("{name} = {version}\n"))
        .collect();
    format!(
        r#"[package]
name = "{name}"
version = "0.1.0"
edition = "2024"
publish = false

[lib]
crate-type = ["cdylib"]

[dependencies]
archstone-plugin = {{ path = "vendor/archstone-plugin" }}
{dependencies}
[profile.release]
opt-level = 3
lto = true
codegen-units = 1
panic = "abort"
strip = "debuginfo"

# A workspace of its own, wherever it lies.
[workspace]
"#
    )
}

/// The name is the method's or plugin's, the crate's and the component's.
fn check_name(name: &str) -> Result<()> {
    let good = (1..=48).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    ensure!(
        good,
        "`{name}` is no name for a plugin: use 1 to 48 of a-z, 0-9 and `-`, beginning with a letter"
    );
    // What Rust or cargo has for itself.
    if [
        "archstone-plugin",
        "core",
        "std",
        "alloc",
        "test",
        "proc-macro",
        "self",
        "super",
        "crate",
        "serde",
    ]
    .contains(&name)
        || name.len() < 2
    {
        bail!("no crate can be called `{name}`; choose another name");
    }
    Ok(())
}
