//! `cargo xtask run`: from a fresh clone to a serving Archstone in one command; a second run keeps the data.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use archstone_plugin_kit::build_plugins;
use clap::Args;

use crate::shell::{cargo, command, root, run, say, target};

/// Builds Archstone and its plugins, prepares a directory once, and serves from it.
#[derive(Debug, Args)]
pub struct Run {
    /// Where the configuration, the database and the keys live.
    #[arg(long, default_value = "var")]
    dir: PathBuf,

    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:5000")]
    listen: String,

    /// The administrator's password for a new directory; made up if left out.
    #[arg(long)]
    password: Option<String>,

    /// Build with optimizations: slower to build, faster to serve.
    #[arg(long)]
    release: bool,
}

impl Run {
    /// # Errors
    ///
    /// Fails when the build or the preparation does; serving itself replaces this process.
    pub fn execute(&self) -> Result<()> {
        let binary = self.build()?;
        let directory = root().join(&self.dir);
        fs::create_dir_all(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        let directory = directory.canonicalize()?;
        let archstone = || {
            let mut archstone = command(&binary);
            archstone
                .arg("--config-file")
                .arg(directory.join("keystone.conf"));
            archstone
        };
        let clouds = directory.join("clouds.yaml");
        if !clouds.exists() {
            self.prepare(&directory, archstone)?;
            write_private(&clouds, &self.clouds_yaml(&self.password_in(&directory)?))?;
        }
        run(archstone().args(["db", "sync"]))?;
        grant_plugins(&directory.join("plugins"))?;
        for (name, _) in BUNDLED {
            run(archstone()
                .args(["plugin", "install"])
                .arg(target().join(format!("plugins/{name}.wasm"))))?;
        }
        self.tell(&directory, &self.password_in(&directory)?);
        Err(archstone().args(["serve", "--listen", &self.listen]).exec())
            .context("cannot start the server")
    }

    fn build(&self) -> Result<PathBuf> {
        build_plugins(root())?;
        let mut build = cargo();
        // Of the whole workspace, so that the tests compile nothing again.
        build.args(["build", "--workspace", "--bin", "archstone", "--locked"]);
        if self.release {
            build.arg("--release");
        }
        run(&mut build)?;
        Ok(target()
            .join(if self.release { "release" } else { "debug" })
            .join("archstone"))
    }

    fn prepare(&self, directory: &Path, archstone: impl Fn() -> Command) -> Result<()> {
        let configuration = directory.join("keystone.conf");
        if !configuration.exists() {
            write_private(&configuration, &keystone_conf(directory))?;
        }
        let password = self.password_in(directory)?;
        for step in [["db", "sync"], ["fernet", "setup"], ["credential", "setup"]] {
            run(archstone().args(step))?;
        }
        run(archstone()
            .args(["bootstrap", "--bootstrap-region-id", "RegionOne"])
            .args(["--bootstrap-public-url", &self.url()])
            .env("OS_BOOTSTRAP_PASSWORD", password))
    }

    /// The password kept in the directory, or a new one, kept there from now on.
    fn password_in(&self, directory: &Path) -> Result<String> {
        let file = directory.join("admin-password");
        if let Ok(kept) = fs::read_to_string(&file) {
            return Ok(kept.trim_end().to_owned());
        }
        let password = match &self.password {
            Some(given) => given.clone(),
            None => random_password()?,
        };
        write_private(&file, &format!("{password}\n"))?;
        Ok(password)
    }

    fn url(&self) -> String {
        format!("http://{}/v3", self.listen)
    }

    fn clouds_yaml(&self, password: &str) -> String {
        let url = self.url();
        format!(
            "clouds:
  archstone:
    auth:
      auth_url: {url}
      username: admin
      password: {password:?}
      project_name: admin
      user_domain_id: default
      project_domain_id: default
    region_name: RegionOne
"
        )
    }

    fn tell(&self, directory: &Path, password: &str) {
        let (url, directory) = (self.url(), directory.display());
        let quoted = password.replace('\'', r"'\''");
        say(&format!(
            "
Archstone serves {url} from {directory}. In another terminal:

export OS_AUTH_URL={url}
export OS_IDENTITY_API_VERSION=3
export OS_REGION_NAME=RegionOne
export OS_USERNAME=admin
export OS_PASSWORD='{quoted}'
export OS_PROJECT_NAME=admin
export OS_USER_DOMAIN_ID=default
export OS_PROJECT_DOMAIN_ID=default

or: export OS_CLIENT_CONFIG_FILE={directory}/clouds.yaml OS_CLOUD=archstone

openstack token issue
"
        ));
    }
}

/// The bundled plugins that are served, and the settings they need.
const BUNDLED: [(&str, &str); 3] = [
    ("totp", r#"{"grant": {"credentials": ["totp"]}}"#),
    ("oidc", FOR_PUBLIC_SERVERS),
    ("jwt", FOR_PUBLIC_SERVERS),
];

/// Domains' managers connect what is on the internet by themselves.
const FOR_PUBLIC_SERVERS: &str =
    r#"{"grant": {"http": {"origins": []}}, "connectors": {"servers": "public"}}"#;

/// Writes the settings that bundled plugins need, unless there are some.
fn grant_plugins(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    for (name, grant) in BUNDLED {
        let settings = directory.join(format!("{name}.json"));
        if !settings.exists() {
            fs::write(&settings, format!("{grant}\n"))
                .with_context(|| format!("cannot write {}", settings.display()))?;
        }
    }
    Ok(())
}

fn keystone_conf(directory: &Path) -> String {
    let directory = directory.display();
    format!(
        "[database]
connection = sqlite:///{directory}/keystone.db

[fernet_tokens]
key_repository = {directory}/fernet-keys

[fernet_receipts]
key_repository = {directory}/fernet-keys

[credential]
key_repository = {directory}/credential-keys

[auth]
methods = external,password,token,oauth1,mapped,application_credential,ec2credential,totp

[archstone]
plugin_directory = {directory}/plugins
log_format = text
"
    )
}

fn random_password() -> Result<String> {
    let mut bytes = [0; 16];
    fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(|error| anyhow!("cannot read /dev/urandom: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Writes a file that only its owner may read.
fn write_private(path: &Path, text: &str) -> Result<()> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}
