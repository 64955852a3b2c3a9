//! `archstone connector`: a domain's connectors, by the API of a server that runs. It needs no
//! configuration of a server: what `openstack` finds in the environment is enough.

mod files;
mod server;
mod table;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use self::{
    files::{SecretFile, Sources},
    server::{Access, Server},
};
use crate::commands::say;

/// A domain's connectors, by the API: OS_AUTH_URL and the like say where and who, as for `openstack`.
#[derive(Debug, Args)]
pub(crate) struct Connector {
    /// Print what the server says, as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    access: Access,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List connectors.
    List {
        /// Of this domain alone.
        #[arg(long, value_name = "ID")]
        domain_id: Option<String>,
        /// Of this plugin alone.
        #[arg(long)]
        plugin: Option<String>,
    },
    /// Show a connector; its secrets are named and never shown.
    Show(Which),
    /// Make a connector, once its plugin accepts the configuration.
    Create {
        /// What it is called.
        name: String,
        /// What it is made of: oidc, jwt or another plugin that serves connectors.
        #[arg(long)]
        plugin: String,
        /// The id of the domain that owns it; by default the caller's.
        #[arg(long, value_name = "ID")]
        domain_id: Option<String>,
        /// By default openid, or jwt for workloads.
        #[arg(long, value_name = "ID")]
        protocol_id: Option<String>,
        /// Have nobody log in by it yet.
        #[arg(long)]
        disabled: bool,
        #[command(flatten)]
        contents: Contents,
    },
    /// Change a connector, once its plugin accepts the configuration.
    Update {
        #[command(flatten)]
        which: Which,
        /// What it is to be called.
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        contents: Contents,
    },
    /// Delete a connector and the users whom it alone knows.
    Delete(Which),
    /// Let people log in by a connector.
    Enable(Which),
    /// Have nobody log in by a connector, and end the tokens that came by it.
    Disable(Which),
    /// Try a connector and its rules without logging anybody in; exit 1 where nobody would be.
    Check {
        #[command(flatten)]
        which: Which,
        /// A file with a token, as clients show it; `-` is standard input.
        #[arg(long, value_name = "FILE", conflicts_with = "subject")]
        token: Option<String>,
        /// In place of a token: whom the plugin is to have found.
        #[arg(long, required_unless_present = "token")]
        subject: Option<String>,
        /// A file with the subject's claims, in JSON; `-` is standard input.
        #[arg(long, value_name = "FILE", requires = "subject")]
        claims: Option<String>,
    },
    /// End every token that came by a connector.
    Revoke {
        #[command(flatten)]
        which: Which,
        /// A time in ISO 8601: only tokens issued since then.
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
    },
}

#[derive(Debug, Args)]
struct Which {
    /// The connector's id, or its name.
    #[arg(value_name = "CONNECTOR")]
    connector: String,
}

/// What is in a connector.
#[derive(Debug, Args)]
struct Contents {
    /// A file with the configuration by the plugin's schema, in JSON; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    config: Option<String>,
    /// A property of the configuration that is the text in a file, a secret for instance; `-` is
    /// standard input. Can be given again.
    #[arg(long, value_name = "PROPERTY=FILE")]
    secret: Vec<SecretFile>,
    /// A file with the mapping, in JSON: its rules, or an object of `rules` and `schema_version`; `-` is
    /// standard input.
    #[arg(long, value_name = "FILE")]
    mapping: Option<String>,
    /// Where a client may have browsers sent back to. Can be given again.
    #[arg(long, value_name = "URL")]
    redirect_uri: Vec<String>,
}

impl Contents {
    /// What of it was given, as the API takes it. Secrets without a configuration are put into the
    /// one that there is.
    fn read(
        &self,
        present: impl FnOnce() -> Result<Map<String, Value>>,
    ) -> Result<Map<String, Value>> {
        let mut sources = Sources::default();
        let mut given = Map::new();
        let config = match &self.config {
            Some(file) => Some(sources.object(file)?),
            None if self.secret.is_empty() => None,
            None => Some(present()?),
        };
        if let Some(mut config) = config {
            for secret in &self.secret {
                config.insert(secret.property.clone(), sources.text(&secret.file)?.into());
            }
            given.insert("config".to_owned(), config.into());
        }
        if let Some(file) = &self.mapping {
            let mapping = match sources.json(file)? {
                rules @ Value::Array(_) => json!({ "rules": rules }),
                whole => whole,
            };
            given.insert("mapping".to_owned(), mapping);
        }
        if !self.redirect_uri.is_empty() {
            given.insert("redirect_uris".to_owned(), json!(self.redirect_uri));
        }
        Ok(given)
    }
}

impl Connector {
    pub(crate) fn run(self) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let server = Server::log_in(&self.access).await?;
            self.command.run(&server, self.json).await
        })
    }
}

impl Command {
    async fn run(self, server: &Server, as_json: bool) -> Result<()> {
        let print = |told: &Value| match as_json {
            true => say(serde_json::to_string_pretty(told)?),
            false => say(table::properties(told)),
        };
        match self {
            Self::List { domain_id, plugin } => {
                let filters = [("domain_id", domain_id), ("plugin", plugin)];
                let found = server.list(&filters).await?;
                match as_json {
                    true => say(serde_json::to_string_pretty(&found)?),
                    false => say(table::rows(
                        &[
                            "id",
                            "name",
                            "domain_id",
                            "plugin",
                            "protocol_id",
                            "enabled",
                        ],
                        &found,
                    )),
                }
            }
            Self::Show(which) => print(&server.find(&which.connector).await?),
            Self::Create {
                name,
                plugin,
                domain_id,
                protocol_id,
                disabled,
                contents,
            } => {
                let mut connector = contents.read(|| Ok(Map::new()))?;
                // What the API requires, so that its answer is about what was given.
                connector.entry("config").or_insert_with(|| json!({}));
                if !connector.contains_key("mapping") {
                    bail!("say whom logins give: --mapping FILE");
                }
                connector.insert("name".to_owned(), name.into());
                connector.insert("plugin".to_owned(), plugin.into());
                connector.insert("enabled".to_owned(), (!disabled).into());
                for (property, value) in [("domain_id", domain_id), ("protocol_id", protocol_id)] {
                    if let Some(value) = value {
                        connector.insert(property.to_owned(), value.into());
                    }
                }
                print(&server.create(&connector).await?)
            }
            Self::Update {
                which,
                name,
                contents,
            } => {
                let found = server.find(&which.connector).await?;
                let mut change = contents
                    .read(|| Ok(found["config"].as_object().cloned().unwrap_or_default()))?;
                if let Some(name) = name {
                    change.insert("name".to_owned(), name.into());
                }
                if change.is_empty() {
                    bail!("there is nothing to change; --help says what there is");
                }
                print(&server.update(&found, &change.into()).await?)
            }
            Self::Delete(which) => {
                let found = server.find(&which.connector).await?;
                server.delete(&found).await
            }
            Self::Enable(which) => {
                let found = server.find(&which.connector).await?;
                print(&server.update(&found, &json!({"enabled": true})).await?)
            }
            Self::Disable(which) => {
                let found = server.find(&which.connector).await?;
                print(&server.update(&found, &json!({"enabled": false})).await?)
            }
            Self::Check {
                which,
                token,
                subject,
                claims,
            } => {
                let mut sources = Sources::default();
                let trial = match token {
                    Some(file) => json!({"token": sources.text(&file)?}),
                    None => json!({
                        "subject": subject,
                        "claims": claims.map_or_else(|| Ok(Map::new()), |file| sources.object(&file))?,
                    }),
                };
                let found = server.find(&which.connector).await?;
                let told = server.check(&found, &trial).await?;
                print(&told)?;
                match told["error"].as_str() {
                    Some(error) => bail!("nobody would be logged in: {}", table::printable(error)),
                    None => Ok(()),
                }
            }
            Self::Revoke { which, since } => {
                let found = server.find(&which.connector).await?;
                server.revoke(&found, since).await
            }
        }
    }
}
