//! Connectors: what the manager of a domain makes, changes and tries out to let people in by an
//! identity provider of the domain's own.

mod dialect;
mod login;
mod revocation;
mod trial;

use std::collections::BTreeSet;

use archstone_model::{
    Extra,
    connector::{Connector, ConnectorFilter, ConnectorPatch, NewConnector},
    dialect::{Kind as DialectKind, provisional},
    entity::Entity,
    id::{ConnectorId, DomainId, IdentityProviderId, MappingId, ProjectId, ProtocolId},
    listing::{Change, Listing},
    mapping::Mapping,
    policy::Target,
    secret::Sealed,
};
use archstone_plugins::{ConnectorSetup, Kind, PluginProfile, PrepareError};
use serde_json::{Map, Value};

pub use self::{
    dialect::ClaimMappingFilter,
    login::{Arrival, BegunLogin, DeviceLogin, DeviceProgress, Finished, Proven, Purpose},
    trial::{Trial, TrialRule},
};
use crate::{Caller, Error, Identity, Result, credentials::refuse_delegated, new_id};

/// What a client gives to create a connector.
#[derive(Debug)]
pub struct ConnectorCreation {
    /// The caller's domain where it is absent.
    pub domain_id: Option<DomainId>,
    pub name: String,
    pub plugin: String,
    /// `openid`, `jwt` and the like, by the plugin's kind, where it is absent.
    pub protocol: Option<ProtocolId>,
    /// Secrets included.
    pub config: Map<String, Value>,
    /// `rules` and `schema_version`, as for `/v3/OS-FEDERATION/mappings`. Without rules, the
    /// connector lets nobody in.
    pub mapping: Option<Extra>,
    /// What clients may call the mapping.
    pub mapping_name: Option<String>,
    /// The one project that tokens are for which come by it.
    pub token_project_id: Option<ProjectId>,
    pub redirect_uris: Vec<String>,
    pub enabled: bool,
}

/// What a client gives to change one.
#[derive(Debug, Default)]
pub struct ConnectorChange {
    pub name: Option<String>,
    /// Takes the place of the whole configuration; secrets that it leaves out stay.
    pub config: Option<Map<String, Value>>,
    /// Nothing takes the rules away.
    pub mapping: Change<Option<Extra>>,
    pub mapping_name: Change<Option<String>>,
    pub token_project_id: Change<Option<ProjectId>>,
    pub redirect_uris: Option<Vec<String>>,
    pub enabled: Option<bool>,
}

/// A connector as those who may see it see it.
#[derive(Debug, Clone)]
pub struct ConnectorDetails {
    pub connector: Connector,
    pub mapping: Mapping,
    /// The names of the secrets that are set. Their values are shown to nobody.
    pub secrets: Vec<String>,
}

impl ConnectorDetails {
    /// Whether anybody can come by it.
    fn has_rules(&self) -> bool {
        has_rules(&self.mapping)
    }
}

impl Identity {
    /// # Errors
    /// `NotFound`, also for who may not see it.
    pub async fn connector(&self, caller: &Caller, id: &ConnectorId) -> Result<ConnectorDetails> {
        let connector = self
            .enforced_connector(caller, "archstone:get_connector", id)
            .await?;
        self.details(connector).await
    }

    /// Lists the connectors that the caller may see.
    pub async fn connectors(
        &self,
        caller: &Caller,
        mut filter: ConnectorFilter,
    ) -> Result<Listing<ConnectorDetails>> {
        const ACTION: &str = "archstone:list_connectors";
        let anywhere = self.policy.load();
        let may_see_all = anywhere
            .enforce(ACTION, caller.credentials(), &Target::new())
            .is_ok();
        if !may_see_all {
            let domain_id = filter.domain_id.take();
            let domain_id = domain_id.unwrap_or_else(|| self.home_domain(caller));
            self.enforce(caller, ACTION, target(&domain_id)).await?;
            filter.domain_id = Some(domain_id);
        }
        let page = self.page_of(filter.page, None);
        filter.page = page.and_one();
        let found = Listing::of(&page, self.store.connectors(&filter).await?);
        let mut entries = Vec::new();
        for connector in found.entries {
            entries.push(self.details(connector).await?);
        }
        Ok(Listing {
            entries,
            cut_at: found.cut_at,
        })
    }

    /// The plugins that connectors of a domain may be made of, by name.
    pub async fn connector_plugins(
        &self,
        caller: &Caller,
        domain_id: Option<DomainId>,
    ) -> Result<Vec<(String, PluginProfile)>> {
        let domain_id = domain_id.unwrap_or_else(|| self.home_domain(caller));
        let action = "archstone:list_connector_plugins";
        self.enforce(caller, action, target(&domain_id)).await?;
        let mut usable = Vec::new();
        for status in self.plugins.status() {
            if let Ok(profile) = self.connector_plugin(&status.method, &domain_id)
                && matches!(profile.kind, Kind::RedirectConnector | Kind::TokenConnector)
            {
                usable.push((status.method, profile));
            }
        }
        Ok(usable)
    }

    /// Makes a connector, with an identity provider and a mapping of its own, once its plugin is
    /// content with the configuration.
    ///
    /// # Errors
    /// `Invalid` with what is wrong, `Conflict` where the name is taken.
    pub async fn create_connector(
        &self,
        caller: &Caller,
        creation: ConnectorCreation,
    ) -> Result<ConnectorDetails> {
        let domain_id = creation
            .domain_id
            .unwrap_or_else(|| self.home_domain(caller));
        self.enforce(caller, "archstone:create_connector", target(&domain_id))
            .await?;
        refuse_delegated(caller)?;
        self.require_domain(&domain_id).await?;
        let plugin = self.connector_plugin(&creation.plugin, &domain_id)?;
        let id = ConnectorId::new(new_id());
        let mapping_id = MappingId::new(id.as_str());
        let mapping = self.checked_rules(mapping_id.clone(), creation.mapping.as_ref())?;
        let project_id = creation.token_project_id.as_ref();
        self.check_token_project(&domain_id, project_id).await?;
        let setup = ConnectorSetup {
            id: id.to_string(),
            revision: 1,
            config: creation.config.clone(),
        };
        self.check_setup(&creation.plugin, setup, &mapping).await?;
        let (config, secrets) = self.set_secrets_apart(creation.config, &plugin)?;
        let now = self.now();
        let connector = Connector {
            idp_id: IdentityProviderId::new(id.as_str()),
            protocol_id: creation.protocol.unwrap_or_else(|| usual_protocol(&plugin)),
            id,
            domain_id,
            name: creation.name,
            plugin: creation.plugin,
            mapping_id,
            mapping_name: creation.mapping_name,
            token_project_id: creation.token_project_id,
            config,
            secrets,
            redirect_uris: creation.redirect_uris,
            enabled: creation.enabled,
            revision: 1,
            created_at: now,
            updated_at: now,
        };
        let new = NewConnector { connector, mapping };
        self.store.create_connector(&new).await?;
        let id = new.connector.id.as_str();
        self.audit_write(caller, "create", Entity::Connector, id);
        self.details(new.connector).await
    }

    /// Changes a connector. Logins that began before end on what they began with; one that is
    /// disabled ends the tokens that came by it.
    ///
    /// # Errors
    /// `Invalid` with what is wrong, `NotFound`, `Conflict` where the name is taken.
    pub async fn update_connector(
        &self,
        caller: &Caller,
        id: &ConnectorId,
        change: ConnectorChange,
    ) -> Result<ConnectorDetails> {
        let known = self
            .enforced_connector(caller, "archstone:update_connector", id)
            .await?;
        refuse_delegated(caller)?;
        let mut patch = ConnectorPatch {
            name: change.name.into(),
            redirect_uris: change.redirect_uris.into(),
            enabled: change.enabled.into(),
            mapping_name: change.mapping_name,
            token_project_id: change.token_project_id,
            ..ConnectorPatch::default()
        };
        if let Some(project_id) = patch.token_project_id.as_set() {
            let domain_id = &known.domain_id;
            self.check_token_project(domain_id, project_id.as_ref())
                .await?;
        }
        let mut mapping = self.store.mapping(&known.mapping_id).await?;
        let had_rules = has_rules(&mapping);
        if let Some(given) = change.mapping.into_set() {
            mapping = self.checked_rules(known.mapping_id.clone(), given.as_ref())?;
            patch.mapping = Change::Set(mapping.clone());
        }
        // Where rules come to a configuration, it has to be whole.
        let newly_whole = !had_rules && has_rules(&mapping);
        let config = change
            .config
            .or_else(|| newly_whole.then(|| known.config.clone()));
        if let Some(mut config) = config {
            let plugin = self.connector_plugin(&known.plugin, &known.domain_id)?;
            for (name, secret) in self.open_secrets(&known)? {
                config.entry(name).or_insert(secret);
            }
            // A secret is taken away by saying that it is nothing.
            config.retain(|_, value| !value.is_null());
            let setup = ConnectorSetup {
                id: id.to_string(),
                revision: known.revision + 1,
                config: config.clone(),
            };
            self.check_setup(&known.plugin, setup, &mapping).await?;
            patch.config = Change::Set(self.set_secrets_apart(config, &plugin)?);
        }
        let updated = self.store.update_connector(id, &patch, self.now()).await?;
        self.audit_write(caller, "update", Entity::Connector, id.as_str());
        let closed = had_rules && !has_rules(&mapping);
        if closed || known.enabled && !updated.enabled {
            self.revoke_connector_now(&updated).await?;
        }
        self.details(updated).await
    }

    /// Deletes a connector, and the users whom it alone knows. Their tokens end.
    pub async fn delete_connector(&self, caller: &Caller, id: &ConnectorId) -> Result<()> {
        self.enforced_connector(caller, "archstone:delete_connector", id)
            .await?;
        refuse_delegated(caller)?;
        self.store.delete_connector(id).await?;
        self.audit_write(caller, "delete", Entity::Connector, id.as_str());
        Ok(())
    }

    async fn enforced_connector(
        &self,
        caller: &Caller,
        action: &'static str,
        id: &ConnectorId,
    ) -> Result<Connector> {
        let found = self.store.connector(id).await;
        let target = match &found {
            Ok(connector) => target(&connector.domain_id),
            Err(_) => Target::new(),
        };
        self.enforce(caller, action, target).await?;
        Ok(found?)
    }

    /// The plugin that connectors of a domain may be made of.
    fn connector_plugin(&self, name: &str, domain_id: &DomainId) -> Result<PluginProfile> {
        let plugin = self.plugins.connector_plugin(name).map_err(|_| {
            Error::invalid(format!("There is no plugin for connectors named {name}."))
        })?;
        match &plugin.rule.domains {
            _ if plugin.kind == Kind::DirectoryConnector => Err(Error::invalid(format!(
                "The plugin {name} is for the directories of domains, which are set up in the \
                 domains' configurations."
            ))),
            Some(domains) if !domains.contains(domain_id.as_str()) => Err(Error::refused(format!(
                "The operator does not let this domain use the plugin {name}."
            ))),
            _ => Ok(plugin),
        }
    }

    /// The mapping that a client gives, or one that lets nobody in.
    fn checked_rules(&self, id: MappingId, given: Option<&Extra>) -> Result<Mapping> {
        match given {
            Some(given) => self.checked_mapping(id, given),
            None => Ok(Mapping {
                id,
                rules: Value::Array(Vec::new()),
                schema_version: self.options.federation.default_schema_version.clone(),
            }),
        }
    }

    /// Refuses a project of another domain.
    async fn check_token_project(
        &self,
        domain_id: &DomainId,
        project_id: Option<&ProjectId>,
    ) -> Result<()> {
        let Some(project_id) = project_id else {
            return Ok(());
        };
        match self.store.project(project_id).await {
            Ok(project) if project.domain_id.as_ref() == Some(domain_id) => Ok(()),
            Ok(_) | Err(archstone_store::Error::NotFound { .. }) => Err(Error::invalid(format!(
                "Invalid input for field 'token_project_id': the domain has no project {project_id}."
            ))),
            Err(error) => Err(error.into()),
        }
    }

    async fn check_setup(
        &self,
        plugin: &str,
        mut setup: ConnectorSetup,
        mapping: &Mapping,
    ) -> Result<()> {
        if !has_rules(mapping) {
            setup.config = provisional(DialectKind::of_plugin(plugin), setup.config);
        }
        let checked = self.plugins.check_connector(plugin, setup).await;
        checked.map(drop).map_err(unusable)
    }

    async fn details(&self, connector: Connector) -> Result<ConnectorDetails> {
        Ok(ConnectorDetails {
            mapping: self.store.mapping(&connector.mapping_id).await?,
            secrets: self
                .open_secrets(&connector)?
                .into_iter()
                .map(|(name, _)| name)
                .collect(),
            connector,
        })
    }

    /// The configuration as it may be shown, and what nobody is shown.
    fn set_secrets_apart(
        &self,
        mut config: Map<String, Value>,
        plugin: &PluginProfile,
    ) -> Result<(Map<String, Value>, Sealed)> {
        let names: BTreeSet<_> = plugin.secret_fields.iter().collect();
        let mut secrets = Map::new();
        for name in names {
            if let Some(secret) = config.shift_remove(name) {
                secrets.insert(name.clone(), secret);
            }
        }
        let sealed = self.seal(&Value::Object(secrets).to_string());
        Ok((config, sealed))
    }

    fn open_secrets(&self, connector: &Connector) -> Result<Map<String, Value>> {
        let cannot = |why: String| {
            let id = &connector.id;
            Error::internal(format!(
                "the secrets of connector {id} cannot be opened: {why}"
            ))
        };
        let text = self
            .credential_cipher
            .decrypt(&connector.secrets.text)
            .map_err(|error| cannot(error.to_string()))?;
        serde_json::from_str(&text).map_err(|_| cannot("they are no object".to_owned()))
    }

    /// The connector, ready to be asked.
    async fn serving(&self, connector: &Connector) -> Result<archstone_plugins::Connector> {
        if !has_rules(&self.store.mapping(&connector.mapping_id).await?) {
            return Err(Error::unauthenticated("the connector has no mapping yet"));
        }
        let mut config = connector.config.clone();
        config.extend(self.open_secrets(connector)?);
        let setup = ConnectorSetup {
            id: connector.id.to_string(),
            revision: connector.revision,
            config,
        };
        let made = self.plugins.connector(&connector.plugin, setup).await;
        made.map_err(|error| Error::Unavailable {
            reason: format!("connector {}: {error}", connector.id),
        })
    }
}

fn has_rules(mapping: &Mapping) -> bool {
    mapping
        .rules
        .as_array()
        .is_some_and(|rules| !rules.is_empty())
}

fn target(domain_id: &DomainId) -> Target {
    Target::new().with("target.connector.domain_id", domain_id.as_str())
}

fn usual_protocol(plugin: &PluginProfile) -> ProtocolId {
    match plugin.kind {
        Kind::TokenConnector => "jwt".into(),
        _ => "openid".into(),
    }
}

/// Why a configuration does not go live, for its owner. What the plugin does wrong is no fault of
/// theirs.
fn unusable(error: PrepareError) -> Error {
    match error {
        PrepareError::ConfigRefused { pointer, message } => Error::invalid(format!(
            "Invalid input for field 'config{pointer}': {message}"
        )),
        PrepareError::SecretUnavailable { field, reason } => Error::invalid(format!(
            "Invalid input for field 'config/{field}': {reason}"
        )),
        other => Error::Unavailable {
            reason: other.to_string(),
        },
    }
}
