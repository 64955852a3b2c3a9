//! Users as they are remembered: by id, all read at one point in history.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use archstone_model::{
    id::UserId,
    user::{User, UserFilter, UserKind},
};
use archstone_store::Generation;

use crate::{Identity, Result, directories::Place};

/// The most users that are remembered. Each takes about 1 KiB.
const MOST_USERS: usize = 20_000;

/// How many of a list's users may be missing for them to be read one by one.
const MOST_MISSING: usize = 100;

/// Users of the database. Nobody of a directory is among them.
#[derive(Debug, Default)]
pub(crate) struct KnownUsers(RwLock<Option<Known>>);

#[derive(Debug)]
struct Known {
    tokens: u64,
    since: Instant,
    users: HashMap<UserId, Arc<User>>,
}

impl Known {
    fn counts(&self, at: Generation, longest: Duration) -> bool {
        self.tokens == at.tokens && self.since.elapsed() < longest
    }
}

impl KnownUsers {
    /// What `look` finds among those that count at a point in history, if any do.
    fn at<T>(
        &self,
        at: Generation,
        longest: Duration,
        look: impl FnOnce(&HashMap<UserId, Arc<User>>) -> T,
    ) -> Option<T> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let known = known.as_ref()?;
        known.counts(at, longest).then(|| look(&known.users))
    }

    fn add(&self, read: &[Arc<User>], at: Generation, since: Instant, longest: Duration) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let known = match &mut *known {
            // Whoever was slow to read must not end what was read since.
            Some(known) if known.tokens > at.tokens => return,
            Some(known) if known.counts(at, longest) => known,
            other => other.insert(Known {
                tokens: at.tokens,
                since,
                users: HashMap::new(),
            }),
        };
        let room = MOST_USERS.saturating_sub(known.users.len());
        // The database keeps a row of some who live in a directory, which alone knows how they are.
        let here = |user: &&Arc<User>| user.kind != UserKind::NonLocal;
        let new = read.iter().filter(here).take(room);
        known
            .users
            .extend(new.map(|user| (user.id.clone(), Arc::clone(user))));
    }
}

impl Identity {
    /// Whether users may be remembered: the day of their last activity changes without a sign.
    fn remembers_users(&self) -> bool {
        self.compliance.disable_after_days_inactive.is_none()
    }

    fn add_known(&self, read: &[Arc<User>], at: Option<Generation>, since: Instant) {
        if let Some(at) = at
            && self.remembers_users()
        {
            self.memory
                .users
                .add(read, at, since, self.memory.longest());
        }
    }

    /// A user as tokens and logins see them.
    ///
    /// # Errors
    /// As for [`Self::find_user`].
    pub(crate) async fn known_user(&self, id: &UserId) -> Result<Arc<User>> {
        let at = self.store.generation();
        let longest = self.memory.longest();
        let known = at.and_then(|at| {
            let look = |users: &HashMap<UserId, Arc<User>>| users.get(id).cloned();
            self.memory.users.at(at, longest, look).flatten()
        });
        if let Some(user) = known {
            return Ok(user);
        }
        let since = Instant::now();
        let (user, place) = self.find_user_in(id).await?;
        let user = Arc::new(user);
        if matches!(place, Place::Database) {
            self.add_known(std::slice::from_ref(&user), at, since);
        }
        Ok(user)
    }

    /// Users of the database in id order, as they are now. Where some are remembered, the database is
    /// asked whether anything changed, for the ids, and for those that are not.
    pub(crate) async fn current_users(&self, filter: &UserFilter) -> Result<Vec<User>> {
        let longest = self.memory.longest();
        let at = self.store.generation();
        let some_are_known = |at| self.memory.users.at(at, longest, |_| ()).is_some();
        // What is in a name is for the database to compare.
        if filter.names.is_empty() && at.is_some_and(some_are_known) {
            let at = self.store.newest_generation().await?;
            if let Some(at) = at.filter(|at| some_are_known(*at))
                && let Some(users) = self.users_by_ids(filter, at).await?
            {
                return Ok(users);
            }
        }
        let at = self.store.generation();
        let since = Instant::now();
        let users = self.store.users(filter).await?;
        if at.is_none() || users.len() > MOST_USERS {
            return Ok(users);
        }
        let users: Vec<_> = users.into_iter().map(Arc::new).collect();
        self.add_known(&users, at, since);
        Ok(users.into_iter().map(Arc::unwrap_or_clone).collect())
    }

    /// The same by their ids; `None` where too many of them are not remembered.
    async fn users_by_ids(&self, filter: &UserFilter, at: Generation) -> Result<Option<Vec<User>>> {
        let ids = self.store.user_ids(filter).await?;
        let look = |users: &HashMap<UserId, Arc<User>>| -> Vec<_> {
            ids.iter().map(|id| users.get(id).cloned()).collect()
        };
        let Some(known) = self.memory.users.at(at, self.memory.longest(), look) else {
            return Ok(None);
        };
        let missing = |(id, user): (&UserId, &Option<_>)| user.is_none().then(|| id.clone());
        let missing: Vec<_> = ids.iter().zip(&known).filter_map(missing).collect();
        if missing.len() > MOST_MISSING {
            return Ok(None);
        }
        let mut read = HashMap::new();
        if !missing.is_empty() {
            let since = Instant::now();
            let users = self.store.users_with_ids(&missing).await?;
            let users: Vec<_> = users.into_iter().map(Arc::new).collect();
            self.add_known(&users, Some(at), since);
            read.extend(users.into_iter().map(|user| (user.id.clone(), user)));
        }
        let users = ids.iter().zip(known).filter_map(|(id, known)| {
            let user = known.or_else(|| read.remove(id))?;
            Some(Arc::unwrap_or_clone(user))
        });
        Ok(Some(users.collect()))
    }
}

#[cfg(test)]
mod tests {
    use archstone_model::user::UserOptions;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn at(tokens: u64) -> Generation {
        Generation {
            tokens,
            revocations: 1,
        }
    }

    fn user(id: usize) -> Arc<User> {
        Arc::new(User {
            id: id.to_string().into(),
            domain_id: "d".into(),
            name: "ada".to_owned(),
            kind: UserKind::Local,
            enabled: true,
            default_project_id: None,
            created_at: None,
            last_active_at: None,
            password_expires_at: None,
            options: UserOptions::default(),
            federated: Vec::new(),
            extra: Default::default(),
        })
    }

    fn count(known: &KnownUsers, tokens: u64) -> Option<usize> {
        known.at(at(tokens), LONG, HashMap::len)
    }

    #[test]
    fn only_what_was_read_at_the_same_point_counts() {
        let known = KnownUsers::default();
        assert_eq!(count(&known, 1), None);
        known.add(&[user(1)], at(1), Instant::now(), LONG);
        known.add(&[user(2)], at(1), Instant::now(), LONG);
        assert_eq!(count(&known, 1), Some(2));
        assert_eq!(count(&known, 2), None);
        known.add(&[user(3)], at(2), Instant::now(), LONG);
        assert_eq!((count(&known, 1), count(&known, 2)), (None, Some(1)));
    }

    #[test]
    fn nobody_of_a_directory_is_known_from_a_list() {
        let known = KnownUsers::default();
        let elsewhere = User {
            kind: UserKind::NonLocal,
            ..Arc::unwrap_or_clone(user(1))
        };
        known.add(&[Arc::new(elsewhere), user(2)], at(1), Instant::now(), LONG);
        assert_eq!(count(&known, 1), Some(1));
    }

    #[test]
    fn a_slow_reader_changes_nothing() {
        let known = KnownUsers::default();
        known.add(&[user(1)], at(2), Instant::now(), LONG);
        known.add(&[user(2)], at(1), Instant::now(), LONG);
        assert_eq!((count(&known, 1), count(&known, 2)), (None, Some(1)));
    }

    #[test]
    fn nothing_counts_for_longer_than_it_may() {
        let known = KnownUsers::default();
        known.add(&[user(1)], at(1), Instant::now(), LONG);
        assert_eq!(known.at(at(1), Duration::ZERO, HashMap::len), None);
        known.add(&[user(2)], at(1), Instant::now(), Duration::ZERO);
        assert_eq!(count(&known, 1), Some(1));
    }

    #[test]
    fn no_more_are_kept_than_there_is_room_for() {
        let known = KnownUsers::default();
        let many: Vec<_> = (0..MOST_USERS + 5).map(user).collect();
        known.add(&many, at(1), Instant::now(), LONG);
        known.add(&[user(MOST_USERS + 9)], at(1), Instant::now(), LONG);
        assert_eq!(count(&known, 1), Some(MOST_USERS));
    }
}
