//! One domain's directory: what is asked of it, what is remembered for a moment, and leaving it
//! alone while it does not answer.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use archstone_model::{directory::EntryKind, id::DomainId, secret::Secret};
use archstone_plugins::{Condition, Connector, Entries, Entry, EntryKey, PluginError};

use crate::{Error, Result};

/// How long a directory that did not answer is left alone. After that, one question shows whether
/// it is back.
const PAUSE: Duration = Duration::from_secs(1);
/// How much is remembered of one directory.
const REMEMBERED: usize = 10_000;

#[derive(Debug)]
pub(crate) struct Directory {
    pub domain_id: DomainId,
    /// The most entries that a list has.
    pub list_limit: Option<u64>,
    connector: Connector,
    next_try: Mutex<Option<Instant>>,
    remembered_for: Duration,
    found: Memory<(EntryKind, String), Option<Entry>>,
    groups: Memory<String, Option<Entries>>,
}

impl Directory {
    pub fn new(
        domain_id: DomainId,
        connector: Connector,
        list_limit: Option<u64>,
        remembered_for: Duration,
    ) -> Self {
        Self {
            domain_id,
            list_limit,
            connector,
            next_try: Mutex::default(),
            remembered_for,
            found: Memory::default(),
            groups: Memory::default(),
        }
    }

    /// Whether this is the same plugin with the same configuration.
    pub fn is_by(&self, connector: &Connector) -> bool {
        self.connector.revision() == connector.revision()
    }

    /// The user or group with this id, as the directory has it or had it a moment ago.
    pub async fn by_id(&self, kind: EntryKind, id: &str) -> Result<Option<Entry>> {
        let key = (kind, id.to_owned());
        if let Some(found) = self.found.recall(&key, self.remembered_for) {
            return Ok(found);
        }
        let found = self.find(kind, EntryKey::Id(id.to_owned())).await?;
        self.found.remember(key, found.clone(), self.remembered_for);
        Ok(found)
    }

    pub async fn by_name(&self, kind: EntryKind, name: &str) -> Result<Option<Entry>> {
        let found = self.find(kind, EntryKey::Name(name.to_owned())).await?;
        if let Some(entry) = &found {
            self.remember(kind, entry);
        }
        Ok(found)
    }

    pub async fn list(
        &self,
        kind: EntryKind,
        conditions: &[Condition],
        most: Option<u32>,
    ) -> Result<Entries> {
        self.ask(self.connector.list(kind, conditions, most)).await
    }

    /// The groups of a user, as the directory has them or had them a moment ago.
    pub async fn groups_of(&self, id: &str) -> Result<Option<Entries>> {
        let key = id.to_owned();
        if let Some(groups) = self.groups.recall(&key, self.remembered_for) {
            return Ok(groups);
        }
        let asked = self.connector.belonging_to(EntryKind::User, id, &[], None);
        let groups = self.ask(asked).await?;
        self.groups
            .remember(key, groups.clone(), self.remembered_for);
        Ok(groups)
    }

    pub async fn members_of(
        &self,
        id: &str,
        conditions: &[Condition],
        most: Option<u32>,
    ) -> Result<Option<Entries>> {
        let asked = self
            .connector
            .belonging_to(EntryKind::Group, id, conditions, most);
        self.ask(asked).await
    }

    /// The user whose password this is.
    ///
    /// # Errors
    /// `Unauthenticated` where it is nobody's of this key.
    pub async fn verify(&self, key: EntryKey, password: &Secret) -> Result<Entry> {
        // Servers take an empty password for no wish to prove anything, and agree.
        if password.expose().is_empty() {
            return Err(Error::unauthenticated("the password is empty"));
        }
        let proven = self.ask(self.connector.verify(key, password)).await?;
        let entry = proven.map_err(Error::unauthenticated)?;
        // The rest of a login asks for the same user again.
        self.remember(EntryKind::User, &entry);
        Ok(entry)
    }

    fn remember(&self, kind: EntryKind, entry: &Entry) {
        let key = (kind, entry.id.clone());
        self.found
            .remember(key, Some(entry.clone()), self.remembered_for);
    }

    async fn find(&self, kind: EntryKind, key: EntryKey) -> Result<Option<Entry>> {
        self.ask(self.connector.find(kind, key)).await
    }

    /// Asks, unless the directory did not answer a moment ago: those who wait for a server that is
    /// gone would take the place of others.
    async fn ask<T>(&self, question: impl Future<Output = Result<T, PluginError>>) -> Result<T> {
        let unavailable = |reason: String| {
            let domain_id = &self.domain_id;
            Error::Unavailable {
                reason: format!("the directory of domain {domain_id}: {reason}"),
            }
        };
        if !self.may_try() {
            return Err(unavailable("it did not answer a moment ago".to_owned()));
        }
        let answer = question.await;
        match &answer {
            Err(
                PluginError::DirectoryUnavailable { .. } | PluginError::DeadlineExceeded { .. },
            ) => *self.next_try() = Some(Instant::now() + PAUSE),
            _ => *self.next_try() = None,
        }
        answer.map_err(|error| unavailable(error.to_string()))
    }

    fn may_try(&self) -> bool {
        let mut next_try = self.next_try();
        let now = Instant::now();
        match *next_try {
            Some(when) if when > now => false,
            Some(_) => {
                // This one tries; the others wait for what it finds.
                *next_try = Some(now + PAUSE);
                true
            }
            None => true,
        }
    }

    fn next_try(&self) -> MutexGuard<'_, Option<Instant>> {
        self.next_try.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers of a moment ago.
#[derive(Debug)]
struct Memory<K, V>(Mutex<HashMap<K, (Instant, V)>>);

impl<K, V> Default for Memory<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: std::hash::Hash + Eq, V: Clone> Memory<K, V> {
    fn recall(&self, key: &K, lasts: Duration) -> Option<V> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, value) = all.get(key)?;
        (since.elapsed() < lasts).then(|| value.clone())
    }

    fn remember(&self, key: K, value: V, lasts: Duration) {
        if lasts.is_zero() {
            return;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= REMEMBERED {
            all.retain(|_, (since, _)| since.elapsed() < lasts);
        }
        if all.len() < REMEMBERED || all.contains_key(&key) {
            all.insert(key, (Instant::now(), value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_forgotten_in_time() {
        let memory = Memory::default();
        let lasts = Duration::from_secs(60);
        memory.remember("a", 1, lasts);
        assert_eq!(memory.recall(&"a", lasts), Some(1));
        assert_eq!(memory.recall(&"a", Duration::ZERO), None);
        assert_eq!(memory.recall(&"b", lasts), None);
        memory.remember("c", 1, Duration::ZERO);
        assert_eq!(memory.recall(&"c", lasts), None);
    }

    #[test]
    fn no_more_is_remembered_than_there_is_room_for() {
        let memory = Memory::default();
        let lasts = Duration::from_secs(60);
        for number in 0..=REMEMBERED {
            memory.remember(number, (), lasts);
        }
        assert_eq!(memory.0.lock().unwrap().len(), REMEMBERED);
    }
}
