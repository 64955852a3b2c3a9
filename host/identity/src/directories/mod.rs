//! Domains whose users and groups live in a directory of their own, which a plugin speaks to.
//!
//! Which those are is in the domains' configurations. A directory knows its entries by names of its
//! own; the host makes the ids that everybody else sees, as Keystone does, and keeps which is which
//! in `id_mapping`. A directory that does not answer is a fault of its own domain only.

mod config;
mod directory;
mod login;
mod membership;
mod people;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use archstone_model::{directory::EntryKind, domain_config::CompleteConfig, id::DomainId};
use archstone_plugins::ConnectorSetup;
use sha2::{Digest, Sha256};

pub use self::config::{DirectoryConfig, Unusable};
pub(crate) use self::directory::Directory;
use crate::{Error, Identity, Result, hex};

/// How soon a changed configuration is noticed.
const NOTICED_AFTER: Duration = Duration::from_secs(1);
/// How many domains are remembered to have no directory.
const REMEMBERED: usize = 10_000;

/// Where the configurations of domains are, and how long answers may be remembered.
#[derive(Debug, Clone)]
pub struct DirectoryOptions {
    pub source: ConfigSource,
    /// How long what a directory said of a user or a group may be believed without asking again.
    pub remembered_for: Duration,
}

/// Where the configurations of domains are.
#[derive(Debug, Clone)]
pub enum ConfigSource {
    /// No domain has a driver of its own.
    Nowhere,
    /// `[identity] domain_configurations_from_database`
    Database,
    /// Files named `keystone.DOMAIN.conf`, by the domain's name.
    Files(BTreeMap<String, std::result::Result<Option<DirectoryConfig>, Unusable>>),
}

impl Default for DirectoryOptions {
    fn default() -> Self {
        Self {
            source: ConfigSource::Nowhere,
            remembered_for: Duration::ZERO,
        }
    }
}

/// What is known of the domains.
#[derive(Debug, Default)]
pub(crate) struct Directories(Mutex<HashMap<DomainId, Arc<Domain>>>);

#[derive(Debug, Default)]
struct Domain {
    known: Mutex<Option<(Instant, Home)>>,
    /// One at a time looks whether something has changed.
    looking: tokio::sync::Mutex<()>,
}

/// Where a domain's users and groups live.
#[derive(Debug, Clone)]
enum Home {
    Database,
    Directory(Arc<Directory>),
    /// In a directory that cannot be used as it is configured. Why, is for the log.
    Unusable(String),
}

/// What a public id stands for.
pub(crate) enum Place {
    Database,
    Directory {
        directory: Arc<Directory>,
        local_id: String,
    },
}

impl Directories {
    fn domain(&self, id: &DomainId) -> Arc<Domain> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= REMEMBERED && !all.contains_key(id) {
            all.retain(|_, domain| matches!(*domain.known(), Some((_, Home::Directory(_)))));
        }
        Arc::clone(all.entry(id.clone()).or_default())
    }
}

impl Domain {
    fn known(&self) -> MutexGuard<'_, Option<(Instant, Home)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fresh(&self) -> Option<Home> {
        let known = self.known();
        let (since, home) = known.as_ref()?;
        (since.elapsed() < NOTICED_AFTER).then(|| home.clone())
    }
}

impl Identity {
    /// The directory that a domain's users and groups live in; nothing where it is the database.
    ///
    /// # Errors
    /// `Unavailable` where it is a directory that cannot be used.
    pub(crate) async fn directory_of(&self, id: &DomainId) -> Result<Option<Arc<Directory>>> {
        if matches!(self.options.directories.source, ConfigSource::Nowhere) {
            return Ok(None);
        }
        let domain = self.directories.domain(id);
        let home = match domain.fresh() {
            Some(home) => home,
            None => {
                let _looking = domain.looking.lock().await;
                match domain.fresh() {
                    Some(home) => home,
                    None => {
                        let before = domain.known().take().map(|(_, home)| home);
                        let home = self.look_for_directory(id, before).await?;
                        *domain.known() = Some((Instant::now(), home.clone()));
                        home
                    }
                }
            }
        };
        match home {
            Home::Database => Ok(None),
            Home::Directory(directory) => Ok(Some(directory)),
            Home::Unusable(reason) => Err(Error::Unavailable { reason }),
        }
    }

    /// What this id stands for: an entry of a directory, or a row of the database.
    pub(crate) async fn place_of_id(&self, id: &str, kind: EntryKind) -> Result<Place> {
        if matches!(self.options.directories.source, ConfigSource::Nowhere) {
            return Ok(Place::Database);
        }
        let Some(mapping) = self.store.id_mapping(id).await? else {
            return Ok(Place::Database);
        };
        if mapping.kind != kind {
            return Ok(Place::Database);
        }
        Ok(match self.directory_of(&mapping.domain_id).await? {
            Some(directory) => Place::Directory {
                directory,
                local_id: mapping.local_id,
            },
            None => Place::Database,
        })
    }

    async fn look_for_directory(&self, id: &DomainId, before: Option<Home>) -> Result<Home> {
        let config = match &self.options.directories.source {
            ConfigSource::Nowhere => return Ok(Home::Database),
            ConfigSource::Database => {
                let config: CompleteConfig = self.complete_domain_config(id).await?;
                DirectoryConfig::read(&config)
            }
            ConfigSource::Files(files) => match self.store.domain(id).await {
                Ok(domain) => files.get(&domain.name).cloned().unwrap_or(Ok(None)),
                Err(archstone_store::Error::NotFound { .. }) => Ok(None),
                Err(error) => return Err(error.into()),
            },
        };
        let home = match config {
            Ok(None) => Home::Database,
            Ok(Some(config)) => self.home_by(id, &config, before.as_ref()).await,
            Err(unusable) => Home::Unusable(unusable.to_string()),
        };
        if let Home::Unusable(reason) = &home
            && !matches!(&before, Some(Home::Unusable(known)) if known == reason)
        {
            tracing::error!(domain = %id, reason, "the directory of a domain cannot be used");
        }
        Ok(home)
    }

    async fn home_by(
        &self,
        id: &DomainId,
        config: &DirectoryConfig,
        before: Option<&Home>,
    ) -> Home {
        let setup = ConnectorSetup {
            id: format!("domain/{id}"),
            revision: config.revision(),
            config: config.for_plugin(),
        };
        let made = self
            .plugins
            .directory(config::LDAP, setup, config.reach())
            .await;
        match (made, before) {
            (Ok(connector), Some(Home::Directory(known))) if known.is_by(&connector) => {
                Home::Directory(Arc::clone(known))
            }
            (Ok(connector), _) => {
                let version = connector.version();
                tracing::info!(domain = %id, version, "a domain has its users in a directory");
                let remembered_for = self.options.directories.remembered_for;
                let directory =
                    Directory::new(id.clone(), connector, config.list_limit, remembered_for);
                Home::Directory(Arc::new(directory))
            }
            (Err(error), _) => Home::Unusable(error.to_string()),
        }
    }
}

/// The id of what another system knows by `local_id`, the same wherever it is worked out.
pub(crate) fn public_id(domain_id: &DomainId, kind: EntryKind, local_id: &str) -> String {
    let digest = Sha256::new()
        .chain_update(domain_id.as_str())
        .chain_update(kind.as_str())
        .chain_update(local_id)
        .finalize();
    hex(&digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_one_that_keystone_works_out() {
        assert_eq!(
            public_id(&"default".into(), EntryKind::User, "ada"),
            "ed2b73e671f6aaadd25c0876f1894db788727a3f6bfa9cde2d8549948a45f0d1"
        );
    }
}
