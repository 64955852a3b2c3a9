//! What a connector to a directory is asked: users, groups, and whose password it is.

use archstone_model::{directory::EntryKind, secret::Secret};
use serde_json::{Map, Value};

use crate::{
    Connector, PluginError, bindings::directory_connector::archstone::plugin::directory as wire,
    plugin::LoadedPlugin, run::shortened,
};

/// What Keystone's table of ids has room for.
const LONGEST_ID: usize = 255;
const LONGEST_NAME: usize = 255;

/// A user or a group, as the directory knows them.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// In the directory's namespace; no id of anything here.
    pub id: String,
    pub name: String,
    pub enabled: bool,
    /// What else is known: `email`, `description` ...
    pub extra: Map<String, Value>,
}

/// How one entry is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKey {
    Id(String),
    Name(String),
}

/// What a name has to be like, as the directory compares names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub part: Part,
    pub name: String,
}

/// Which part of a name is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Whole,
    Any,
    Beginning,
    End,
}

/// Entries, and whether the directory has more.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entries {
    pub entries: Vec<Entry>,
    pub more: bool,
}

impl Connector {
    /// The user or group that is named so.
    ///
    /// # Errors
    /// [`PluginError`]: nothing is known, also where the directory does not answer.
    pub async fn find(&self, kind: EntryKind, key: EntryKey) -> Result<Option<Entry>, PluginError> {
        let plugin = &self.0;
        let lookup = wire::Lookup {
            config: plugin.config.clone(),
            key: key.into(),
        };
        let call = plugin.call(
            None,
            async |world, store| {
                let instance = world.directory(&mut *store).await?;
                match kind {
                    EntryKind::User => instance.call_find_user(store, &lookup).await,
                    EntryKind::Group => instance.call_find_group(store, &lookup).await,
                }
            },
            |said| match plugin.asked(said)? {
                Some(said) => Ok(Some(plugin.entry(said)?)),
                None => Ok(None),
            },
            |found| if found.is_some() { "found" } else { "missing" },
        );
        call.await
    }

    /// The users or groups for which all of this holds, and no more than are wanted.
    ///
    /// # Errors
    /// As for [`Self::find`].
    pub async fn list(
        &self,
        kind: EntryKind,
        conditions: &[Condition],
        most: Option<u32>,
    ) -> Result<Entries, PluginError> {
        let plugin = &self.0;
        let query = wire::Query {
            config: plugin.config.clone(),
            conditions: conditions.iter().map(Into::into).collect(),
            most,
        };
        let call = plugin.call(
            None,
            async |world, store| {
                let instance = world.directory(&mut *store).await?;
                match kind {
                    EntryKind::User => instance.call_list_users(store, &query).await,
                    EntryKind::Group => instance.call_list_groups(store, &query).await,
                }
            },
            |said| plugin.entries(plugin.asked(said)?, most),
            |_| "listed",
        );
        call.await
    }

    /// The groups of a user, or the users of a group, by the directory's id. Nothing where there is
    /// no such user or group.
    ///
    /// # Errors
    /// As for [`Self::find`].
    pub async fn belonging_to(
        &self,
        kind: EntryKind,
        id: &str,
        conditions: &[Condition],
        most: Option<u32>,
    ) -> Result<Option<Entries>, PluginError> {
        let plugin = &self.0;
        let belonging = wire::Belonging {
            config: plugin.config.clone(),
            id: id.to_owned(),
            conditions: conditions.iter().map(Into::into).collect(),
            most,
        };
        let call = plugin.call(
            None,
            async |world, store| {
                let instance = world.directory(&mut *store).await?;
                match kind {
                    EntryKind::User => instance.call_groups_of_user(store, &belonging).await,
                    EntryKind::Group => instance.call_members_of_group(store, &belonging).await,
                }
            },
            |said| match plugin.asked(said)? {
                Some(said) => Ok(Some(plugin.entries(said, most)?)),
                None => Ok(None),
            },
            |found| if found.is_some() { "listed" } else { "missing" },
        );
        call.await
    }

    /// The user whose password this is, or why nobody is proven: for the audit log only.
    ///
    /// # Errors
    /// As for [`Self::find`].
    pub async fn verify(
        &self,
        key: EntryKey,
        password: &Secret,
    ) -> Result<Result<Entry, String>, PluginError> {
        let plugin = &self.0;
        let claim = wire::Claim {
            config: plugin.config.clone(),
            key: key.into(),
            // The directory is who can tell whether it is right.
            password: password.expose().to_owned(),
        };
        let call = plugin.call(
            None,
            async |world, store| {
                let instance = world.directory(&mut *store).await?;
                instance.call_verify(store, &claim).await
            },
            |said| match plugin.asked(said)? {
                wire::Proof::Proven(said) => Ok(Ok(plugin.entry(said)?)),
                wire::Proof::Rejected(why) => Ok(Err(shortened(why))),
            },
            |proven| if proven.is_ok() { "verified" } else { "denied" },
        );
        call.await
    }
}

impl LoadedPlugin {
    fn asked<T>(&self, said: Result<T, wire::Failure>) -> Result<T, PluginError> {
        said.map_err(|failure| match failure {
            wire::Failure::Unavailable(detail) => PluginError::DirectoryUnavailable {
                detail: shortened(detail),
            },
            wire::Failure::Refused(detail) => PluginError::DirectoryRefused {
                detail: shortened(detail),
            },
        })
    }

    fn entries(&self, said: wire::Listing, most: Option<u32>) -> Result<Entries, PluginError> {
        if most.is_some_and(|most| said.entries.len() as u64 > u64::from(most)) {
            return Err(self.broke("more entries than were wanted"));
        }
        let entries = said.entries.into_iter().map(|said| self.entry(said));
        Ok(Entries {
            entries: entries.collect::<Result<_, _>>()?,
            more: said.more,
        })
    }

    fn entry(&self, said: wire::Entry) -> Result<Entry, PluginError> {
        if said.id.is_empty() || said.id.chars().count() > LONGEST_ID {
            return Err(self.broke("an entry's id that is empty or longer than 255 characters"));
        }
        if said.name.is_empty() || said.name.chars().count() > LONGEST_NAME {
            return Err(self.broke("an entry's name that is empty or longer than 255 characters"));
        }
        Ok(Entry {
            extra: self.object(&said.extra, "entry")?,
            id: said.id,
            name: said.name,
            enabled: said.enabled,
        })
    }
}

impl From<EntryKey> for wire::Key {
    fn from(key: EntryKey) -> Self {
        match key {
            EntryKey::Id(id) => Self::Id(id),
            EntryKey::Name(name) => Self::Name(name),
        }
    }
}

impl From<&Condition> for wire::Condition {
    fn from(condition: &Condition) -> Self {
        Self {
            attribute: "name".to_owned(),
            comparison: match condition.part {
                Part::Whole => wire::Comparison::Equals,
                Part::Any => wire::Comparison::Contains,
                Part::Beginning => wire::Comparison::StartsWith,
                Part::End => wire::Comparison::EndsWith,
            },
            value: condition.name.clone(),
        }
    }
}
