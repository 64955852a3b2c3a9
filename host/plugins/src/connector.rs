//! Connectors: many configurations on one plugin, each of its own owner, and what they are asked.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use serde_json::{Map, Value};

use crate::{
    Assertion, Denial, Digest, PluginError, StreamServer,
    bindings::{
        archstone::plugin::outcomes,
        redirect_connector::archstone::plugin::{presenting, redirection as wire},
    },
    outcome::denial,
    plugin::LoadedPlugin,
    worlds::World,
};

/// What a connector is made of.
#[derive(Clone)]
pub struct ConnectorSetup {
    pub id: String,
    /// Changes with everything else in here.
    pub revision: i64,
    /// What the plugin is told, secrets included.
    pub config: Map<String, Value>,
}

impl std::fmt::Debug for ConnectorSetup {
    /// Leaves the configuration out, which has secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectorSetup")
            .field("id", &self.id)
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}

/// Servers of other protocols than HTTP that a connector's configuration names, and whom it trusts
/// to vouch for them.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    pub servers: BTreeSet<StreamServer>,
    /// A file of PEM certificates, in place of the operator's for the plugin.
    pub ca_file: Option<PathBuf>,
}

/// One connector, at one revision of its configuration, on one version of its plugin.
#[derive(Debug, Clone)]
pub struct Connector(pub(crate) std::sync::Arc<LoadedPlugin>);

/// How somebody comes to the identity provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Browser,
    Device,
}

/// What `begin` answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Begun {
    /// The browser goes to `location`.
    Redirect {
        location: String,
        /// For [`Connector::complete`].
        memory: String,
        expires_in: Duration,
    },
    /// The person is told `message`, and the client asks again every `interval`.
    Device {
        message: Map<String, Value>,
        memory: String,
        interval: Duration,
        expires_in: Duration,
    },
    Denied(Denial),
}

/// What `complete` answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Completed {
    Asserted(Assertion),
    /// Nobody has logged in yet.
    Pending {
        memory: String,
        interval: Duration,
    },
    Denied(Denial),
}

const LONGEST_LOCATION: usize = 16 << 10;
const LONGEST_INTERVAL: u32 = 60;

impl Connector {
    /// Names this revision of the connector on this version of the plugin: a login that began here
    /// ends here.
    pub fn revision(&self) -> String {
        let revision = &self.0.revision;
        format!("{}/{}", revision.artifact, revision.settings)
    }

    /// The digest of the plugin's artifact.
    pub fn digest(&self) -> Digest {
        self.0.revision.artifact
    }

    /// What the plugin calls its version.
    pub fn version(&self) -> &str {
        &self.0.description.version
    }

    /// Sends somebody to the identity provider.
    ///
    /// # Errors
    /// [`PluginError`]: this login alone fails.
    pub async fn begin(
        &self,
        way: Way,
        redirect_uri: &str,
        state: &str,
    ) -> Result<Begun, PluginError> {
        let plugin = &self.0;
        let beginning = wire::Beginning {
            config: plugin.config.clone(),
            way: match way {
                Way::Browser => wire::Way::Browser,
                Way::Device => wire::Way::Device,
            },
            redirect_uri: redirect_uri.to_owned(),
            state: state.to_owned(),
        };
        let call = plugin.call(
            None,
            async |world, store| {
                let instance = world.redirect(&mut *store).await?;
                instance.call_begin(store, &beginning).await
            },
            |said| plugin.begun(said, way),
            |begun| match begun {
                Begun::Denied(_) => "denied",
                _ => "begun",
            },
        );
        call.await
    }

    /// Looks at what somebody came back with, or whether they have logged in elsewhere.
    ///
    /// # Errors
    /// As for [`Self::begin`].
    pub async fn complete(
        &self,
        redirect_uri: &str,
        parameters: Vec<(String, String)>,
        memory: String,
    ) -> Result<Completed, PluginError> {
        let plugin = &self.0;
        let completion = wire::Completion {
            config: plugin.config.clone(),
            redirect_uri: redirect_uri.to_owned(),
            parameters,
            memory,
        };
        let call = plugin.call(
            None,
            async |world, store| {
                let instance = world.redirect(&mut *store).await?;
                instance.call_complete(store, &completion).await
            },
            |said| match said {
                wire::Outcome::Asserted(said) => Ok(Completed::Asserted(plugin.assertion(said)?)),
                wire::Outcome::Pending(said) => Ok(Completed::Pending {
                    memory: plugin.memory(said.memory)?,
                    interval: interval(said.interval),
                }),
                wire::Outcome::Denied(said) => Ok(Completed::Denied(denial(said))),
            },
            |completed| match completed {
                Completed::Asserted(_) => "asserted",
                Completed::Pending { .. } => "pending",
                Completed::Denied(_) => "denied",
            },
        );
        call.await
    }

    /// Looks at a token that a client shows.
    ///
    /// # Errors
    /// As for [`Self::begin`].
    pub async fn present(&self, token: &str) -> Result<Result<Assertion, Denial>, PluginError> {
        let plugin = &self.0;
        let presentation = presenting::Presentation {
            config: plugin.config.clone(),
            token: token.to_owned(),
        };
        let call = plugin.call(
            None,
            async |world, store| match world {
                World::Token(pre) => {
                    let instance = pre.instantiate_async(&mut *store).await?;
                    instance.call_present(store, &presentation).await
                }
                other => {
                    let instance = other.redirect(&mut *store).await?;
                    instance.call_present(store, &presentation).await
                }
            },
            |said: Result<outcomes::Assertion, outcomes::Denial>| match said {
                Ok(said) => Ok(Ok(plugin.assertion(said)?)),
                Err(said) => Ok(Err(denial(said))),
            },
            |proven| match proven {
                Ok(_) => "asserted",
                Err(_) => "denied",
            },
        );
        call.await
    }

    /// Looks at the identity provider's notice that somebody logged out. Gives the subject whose
    /// sessions end.
    ///
    /// # Errors
    /// As for [`Self::begin`].
    pub async fn logout(
        &self,
        parameters: Vec<(String, String)>,
    ) -> Result<Result<String, Denial>, PluginError> {
        let plugin = &self.0;
        let notice = wire::Notice {
            config: plugin.config.clone(),
            parameters,
        };
        let call = plugin.call(
            None,
            async |world, store| {
                let instance = world.redirect(&mut *store).await?;
                instance.call_logout(store, &notice).await
            },
            |said| match said {
                Ok(ended) => Ok(Ok(plugin.subject(ended.subject)?)),
                Err(said) => Ok(Err(denial(said))),
            },
            |ended| match ended {
                Ok(_) => "logged-out",
                Err(_) => "denied",
            },
        );
        call.await
    }
}

impl LoadedPlugin {
    fn begun(&self, said: wire::Begun, way: Way) -> Result<Begun, PluginError> {
        match (said, way) {
            (wire::Begun::Redirect(said), Way::Browser) => {
                let absolute = said.location.len() <= LONGEST_LOCATION
                    && url::Url::parse(&said.location)
                        .is_ok_and(|url| matches!(url.scheme(), "https" | "http"));
                if !absolute {
                    return Err(self.broke("a redirect to what is no web address"));
                }
                Ok(Begun::Redirect {
                    location: said.location,
                    memory: self.memory(said.memory)?,
                    expires_in: self.patience(said.expires_in)?,
                })
            }
            (wire::Begun::Device(said), Way::Device) => Ok(Begun::Device {
                message: self.object(&said.message, "message")?,
                memory: self.memory(said.memory)?,
                interval: interval(said.interval),
                expires_in: self.patience(said.expires_in)?,
            }),
            (wire::Begun::Denied(said), _) => Ok(Begun::Denied(denial(said))),
            _ => Err(self.broke("another way to log in than it was asked for")),
        }
    }
}

fn interval(seconds: u32) -> Duration {
    Duration::from_secs(seconds.clamp(1, LONGEST_INTERVAL).into())
}
