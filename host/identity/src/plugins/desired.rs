//! Installing, configuring, rolling back and removing plugins: what is written here is live on every
//! node soon, once this node has shown that it can serve. What the command line writes serves in other
//! processes only.

use archstone_model::{
    entity::Entity,
    plugin::{DesiredPlugin, version_before, versions},
    policy::Target,
};
use archstone_plugins::{Candidate, Digest, PrepareError, Settings};
use chrono::{DateTime, Utc};

use crate::{Caller, Error, Identity, Result, credentials::refuse_delegated};

/// A plugin as all nodes are to have it.
#[derive(Debug, Clone)]
pub struct InstalledPlugin {
    pub name: String,
    /// None where it is out of service.
    pub digest: Option<String>,
    /// The digests that it was, with when each was first installed, in that order.
    pub versions: Vec<(String, DateTime<Utc>)>,
    pub revision: i64,
}

impl Identity {
    /// A plugin as all nodes are to have it.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn installed_plugin(&self, caller: &Caller, name: &str) -> Result<InstalledPlugin> {
        self.enforce(caller, "archstone:get_plugin", Target::new())
            .await?;
        let plugin = self.store.desired_plugin(name).await?;
        self.installed(plugin).await
    }

    /// Installs a version that this node can serve, with the settings that the plugin has.
    ///
    /// # Errors
    /// `Invalid` with why it cannot serve; the version before goes on serving.
    pub async fn install_plugin(
        &self,
        caller: &Caller,
        name: &str,
        artifact: Vec<u8>,
    ) -> Result<InstalledPlugin> {
        self.require_installer(caller).await?;
        self.install(Some(caller), name, artifact, None).await
    }

    /// Installs a version on behalf of who has the database at hand: the command line.
    ///
    /// # Errors
    /// As for [`Self::install_plugin`].
    pub async fn install_plugin_locally(
        &self,
        name: &str,
        artifact: Vec<u8>,
        settings: Option<Settings>,
    ) -> Result<InstalledPlugin> {
        self.install(None, name, artifact, settings).await
    }

    /// Changes the settings of a plugin, which may not be installed yet.
    ///
    /// # Errors
    /// `Invalid` where it cannot serve with them.
    pub async fn configure_plugin(
        &self,
        caller: &Caller,
        name: &str,
        settings: Settings,
    ) -> Result<InstalledPlugin> {
        self.require_installer(caller).await?;
        let digest = match self.store.desired_plugin(name).await {
            Ok(known) => known.digest,
            Err(archstone_store::Error::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let mut prepared = None;
        if let Some(digest) = &digest {
            let artifact = self.store.artifact(digest).await?;
            prepared = Some(self.rehearse(name, artifact, settings.clone()).await?);
        }
        let plugin = self.desire(name, digest.as_deref(), &settings).await?;
        self.audit_write(caller, "configure", Entity::Plugin, name);
        self.take_up(plugin.clone(), prepared).await;
        self.installed(plugin).await
    }

    /// Goes back to the version installed before, or to one whose digest begins as given.
    ///
    /// # Errors
    /// `NotFound` where there is none; `Invalid` where it cannot serve any more.
    pub async fn roll_back_plugin(
        &self,
        caller: &Caller,
        name: &str,
        to: Option<&str>,
    ) -> Result<InstalledPlugin> {
        self.require_installer(caller).await?;
        self.roll_back(Some(caller), name, to).await
    }

    /// Goes back on behalf of who has the database at hand: the command line.
    ///
    /// # Errors
    /// As for [`Self::roll_back_plugin`].
    pub async fn roll_back_plugin_locally(
        &self,
        name: &str,
        to: Option<&str>,
    ) -> Result<InstalledPlugin> {
        self.roll_back(None, name, to).await
    }

    async fn roll_back(
        &self,
        caller: Option<&Caller>,
        name: &str,
        to: Option<&str>,
    ) -> Result<InstalledPlugin> {
        let known = self.store.desired_plugin(name).await?;
        let history = self.store.plugin_history(name).await?;
        let version = match to {
            Some(beginning) => {
                let all = versions(&history).into_iter().map(|(digest, _)| digest);
                let mut fitting = all.filter(|digest| digest.starts_with(beginning));
                fitting.next().filter(|_| fitting.next().is_none())
            }
            None => version_before(&history, known.digest.as_deref()),
        };
        let version = version.ok_or_else(|| {
            Error::Missing(format!(
                "Could not find plugin: {name} has no such version."
            ))
        })?;
        let settings = self.open_settings(&known)?;
        let artifact = self.store.artifact(version).await?;
        let prepared = self.rehearse(name, artifact, settings.clone()).await?;
        let plugin = self.desire(name, Some(version), &settings).await?;
        self.audit_plugin(caller, "rollback", name);
        if caller.is_some() {
            self.take_up(plugin.clone(), Some(prepared)).await;
        }
        self.installed(plugin).await
    }

    /// Takes a plugin out of service on every node. Its versions and settings stay.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn remove_plugin(&self, caller: &Caller, name: &str) -> Result<()> {
        self.enforce(caller, "archstone:delete_plugin", Target::new())
            .await?;
        refuse_delegated(caller)?;
        self.remove(Some(caller), name).await
    }

    /// Takes a plugin out of service on behalf of who has the database at hand: the command line.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn remove_plugin_locally(&self, name: &str) -> Result<()> {
        self.remove(None, name).await
    }

    /// Every plugin that was ever installed for all nodes, for the command line.
    pub async fn installed_plugins_locally(&self) -> Result<Vec<InstalledPlugin>> {
        let mut all = Vec::new();
        for plugin in self.store.desired_plugins().await? {
            all.push(self.installed(plugin).await?);
        }
        Ok(all)
    }

    async fn remove(&self, caller: Option<&Caller>, name: &str) -> Result<()> {
        let known = self.store.desired_plugin(name).await?;
        let plugin = self
            .store
            .set_plugin(name, None, &known.settings, self.now())
            .await?;
        self.audit_plugin(caller, "delete", name);
        if caller.is_some() {
            self.take_up(plugin, None).await;
        }
        Ok(())
    }

    fn audit_plugin(&self, caller: Option<&Caller>, action: &'static str, name: &str) {
        match caller {
            Some(caller) => self.audit_write(caller, action, Entity::Plugin, name),
            None => self.audit_write_by("operator", action, Entity::Plugin, name),
        }
    }

    async fn require_installer(&self, caller: &Caller) -> Result<()> {
        self.enforce(caller, "archstone:install_plugin", Target::new())
            .await?;
        refuse_delegated(caller)
    }

    async fn install(
        &self,
        caller: Option<&Caller>,
        name: &str,
        artifact: Vec<u8>,
        settings: Option<Settings>,
    ) -> Result<InstalledPlugin> {
        let settings = match (settings, self.store.desired_plugin(name).await) {
            (Some(given), _) => given,
            (None, Ok(known)) => self.open_settings(&known)?,
            (None, Err(archstone_store::Error::NotFound { .. })) => Settings::default(),
            (None, Err(error)) => return Err(error.into()),
        };
        let digest = Digest::of(&artifact).to_string();
        let prepared = self
            .rehearse(name, artifact.clone(), settings.clone())
            .await?;
        self.store.keep_artifact(&digest, &artifact).await?;
        let plugin = self.desire(name, Some(&digest), &settings).await?;
        self.audit_plugin(caller, "install", name);
        if caller.is_some() {
            self.take_up(plugin.clone(), Some(prepared)).await;
        }
        self.installed(plugin).await
    }

    /// Prepares a version as every node will. Nothing goes live.
    async fn rehearse(
        &self,
        name: &str,
        artifact: Vec<u8>,
        settings: Settings,
    ) -> Result<Candidate> {
        let prepared = self.plugins.rehearse(name, artifact, settings).await;
        prepared.map_err(|error| match error {
            PrepareError::Failed(error) => Error::invalid(format!(
                "The plugin cannot serve: it failed while it was prepared: {error}"
            )),
            error => Error::invalid(format!("The plugin cannot serve: {error}")),
        })
    }

    async fn desire(
        &self,
        name: &str,
        digest: Option<&str>,
        settings: &Settings,
    ) -> Result<DesiredPlugin> {
        let text = serde_json::to_string(settings).map_err(Error::internal)?;
        let settings = self.seal(&text);
        let now = self.now();
        Ok(self.store.set_plugin(name, digest, &settings, now).await?)
    }

    pub(super) fn open_settings(&self, plugin: &DesiredPlugin) -> Result<Settings> {
        let cannot =
            |why: String| Error::internal(format!("the settings of plugin {}: {why}", plugin.name));
        let text = self
            .credential_cipher
            .decrypt(&plugin.settings.text)
            .map_err(|error| cannot(error.to_string()))?;
        Settings::from_json(text.as_bytes()).map_err(|error| cannot(error.to_string()))
    }

    async fn installed(&self, plugin: DesiredPlugin) -> Result<InstalledPlugin> {
        let history = self.store.plugin_history(&plugin.name).await?;
        let versions = versions(&history).into_iter();
        Ok(InstalledPlugin {
            versions: versions
                .map(|(digest, since)| (digest.to_owned(), since))
                .collect(),
            name: plugin.name,
            digest: plugin.digest,
            revision: plugin.revision,
        })
    }
}
