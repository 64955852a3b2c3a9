//! Revocation events as they are remembered: all of them, sorted by what they name, with what came since
//! added each time somebody asks.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{PoisonError, RwLock},
};

use archstone_model::revocation::{RevocationEvent, RevocationIndex, RevocationSubject};
use archstone_store::{Generation, LastRevocation, MOST_UNDER_WAY};
use chrono::{DateTime, TimeDelta, Utc};

use crate::{Identity, Result};

/// How much older than the newest known event one may be that is not known yet: other nodes stamp their
/// events with their own clocks.
const LATEST_EVENT: TimeDelta = TimeDelta::seconds(30);

/// How long events are added before all are read anew, without those that are kept no more.
const READ_ALL_EVERY: TimeDelta = TimeDelta::minutes(5);

/// What this node remembers of revocations.
#[derive(Debug, Default)]
pub(crate) struct KnownRevocations {
    known: RwLock<Option<Known>>,
    reading: tokio::sync::Mutex<()>,
}

/// The events at a point in history.
#[derive(Debug)]
struct Known {
    at: u64,
    all_read_at: DateTime<Utc>,
    read_at: DateTime<Utc>,
    index: RevocationIndex,
    /// The numbers of those that may be read again.
    recent: BTreeSet<i64>,
}

impl Known {
    fn none(at: u64, now: DateTime<Utc>) -> Self {
        Self {
            at,
            all_read_at: now,
            read_at: now,
            index: RevocationIndex::default(),
            recent: BTreeSet::new(),
        }
    }

    fn add(&mut self, events: BTreeMap<i64, RevocationEvent>) {
        for (number, event) in events {
            if self.recent.insert(number) {
                self.index.add(event);
            }
        }
        if let Some(newest) = self.newest() {
            self.recent = self.recent.split_off(&(newest - MOST_UNDER_WAY));
        }
    }

    fn newest(&self) -> Option<i64> {
        self.recent.last().copied()
    }

    /// From where on to read what came since; `None` where all is to be read anew.
    fn last(&self, now: DateTime<Utc>) -> Option<LastRevocation> {
        let is_young = now - self.all_read_at < READ_ALL_EVERY;
        let number = self.newest().filter(|_| is_young)?;
        let since = self.read_at - LATEST_EVENT;
        Some(LastRevocation { number, since })
    }
}

impl KnownRevocations {
    /// What `look` finds in the events, where they are known as they were at `at` or later.
    fn at<T>(&self, at: u64, look: impl FnOnce(&Known) -> T) -> Option<T> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|known| known.at >= at).map(look)
    }

    fn last(&self, now: DateTime<Utc>) -> Option<LastRevocation> {
        self.at(0, |known| known.last(now)).flatten()
    }

    fn add(&self, events: BTreeMap<i64, RevocationEvent>, at: u64, now: DateTime<Utc>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &mut *known {
            known.at = at;
            known.read_at = now;
            known.add(events);
        }
    }

    fn replace(&self, new: Known) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        *known = Some(new);
    }
}

impl Identity {
    /// Whether an event revokes a token.
    pub(crate) async fn is_revoked(
        &self,
        token: &RevocationSubject<'_>,
        at: Option<Generation>,
    ) -> Result<bool> {
        let Some(at) = at else {
            let events = self.store.revocations_covering(token.issued_at).await?;
            return Ok(events.iter().any(|event| event.matches(token)));
        };
        let revocations = &self.memory.revocations;
        let look = |known: &Known| known.index.revokes(token);
        if let Some(revoked) = revocations.at(at.revocations, look) {
            return Ok(revoked);
        }
        self.read_revocations(at.revocations).await?;
        Ok(revocations.at(at.revocations, look).unwrap_or(true))
    }

    async fn read_revocations(&self, at: u64) -> Result<()> {
        let revocations = &self.memory.revocations;
        let _reading = revocations.reading.lock().await;
        if revocations.at(at, |_| ()).is_some() {
            return Ok(());
        }
        let now = self.now();
        if let Some(last) = revocations.last(now) {
            let events = self.store.revocations_since(last).await?;
            // Where the last one is gone, numbers may have begun anew.
            if events.contains_key(&last.number) {
                revocations.add(events, at, now);
                return Ok(());
            }
        }
        let mut known = Known::none(at, now);
        let mut last = i64::MIN;
        loop {
            let part = self.store.revocations_after(last).await?;
            match part.last_key_value() {
                Some((number, _)) => last = *number,
                None => break,
            }
            known.add(part);
        }
        revocations.replace(known);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(numbers: impl IntoIterator<Item = i64>) -> BTreeMap<i64, RevocationEvent> {
        let event = |number: i64| RevocationEvent::for_token(number.to_string(), Utc::now());
        numbers
            .into_iter()
            .map(|number| (number, event(number)))
            .collect()
    }

    fn known(numbers: impl IntoIterator<Item = i64>, now: DateTime<Utc>) -> Known {
        let mut known = Known::none(1, now);
        known.add(events(numbers));
        known
    }

    #[test]
    fn events_are_added_once_and_late_ones_too() {
        let now = Utc::now();
        let mut known = known([1, 3], now);
        known.add(events([2, 3, 4]));
        assert_eq!(
            known.recent.iter().copied().collect::<Vec<_>>(),
            [1, 2, 3, 4]
        );
        assert_eq!(known.last(now).map(|last| last.number), Some(4));
    }

    #[test]
    fn only_numbers_that_may_be_read_again_are_kept() {
        let known = known(1..=5_000, Utc::now());
        assert!(known.recent.len() as i64 <= MOST_UNDER_WAY + 1);
        assert_eq!(known.newest(), Some(5_000));
    }

    #[test]
    fn all_are_read_where_none_are_known_or_it_was_long_ago() {
        let now = Utc::now();
        assert!(known([], now).last(now).is_none());
        let known = known([1], now);
        assert!(known.last(now).is_some());
        assert!(known.last(now + READ_ALL_EVERY).is_none());
    }
}
