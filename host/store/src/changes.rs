//! How nodes on one database learn that something changed, so that they may remember what they read.
//!
//! Every write counts one up in its own node's row, in the same transaction. Nodes look at all rows a
//! few times a second ([`Store::look_for_changes`]), and at the newest of Keystone's revocation events,
//! which a Python Keystone on the same database writes too. A row for each node keeps nodes out of each
//! other's way: no two of them ever write the same one.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{TimeDelta, Utc};
use sea_query::{Expr, ExprTrait, OnConflict, Query};

use crate::{Result, Store, database::Session};

/// How old the last look at the database may be for anything remembered to count.
pub const LONGEST_UNSEEN: Duration = Duration::from_secs(1);

/// A node that wrote nothing for so long will not be looked for any more.
const FORGET_NODES_AFTER: TimeDelta = TimeDelta::days(2);

/// What a write makes nodes forget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Touches {
    /// What valid tokens mean: who they are for, where, with which roles, beside which catalog.
    Tokens,
    /// Revocation events alone.
    Revocations,
    /// Nothing that anybody remembers. Of what is new no token speaks yet.
    Nothing,
}

/// A point in the history of changes. What was read at one is good as long as it is the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation {
    /// Counts changes of what valid tokens mean.
    pub tokens: u64,
    /// Counts changes of Keystone's revocation events.
    pub revocations: u64,
}

/// What one look at the database found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seen {
    /// How often other nodes changed what tokens mean, and revocations.
    others: BTreeMap<String, [i64; 2]>,
    /// The same of this node.
    own: [i64; 2],
    newest_revocation: i64,
}

/// What this node knows of changes.
#[derive(Debug)]
pub(crate) struct Changes {
    node: String,
    started: Instant,
    generation: [AtomicU64; 2],
    /// Writes that this node knows to be committed.
    committed: [AtomicU64; 2],
    /// When the last look that succeeded began, in milliseconds after the start; 0 before the first.
    looked_at: AtomicU64,
    seen: Mutex<Option<(Seen, [u64; 2])>>,
    /// When the last look that succeeded began. Held while one looks.
    looking: tokio::sync::Mutex<Option<Instant>>,
}

impl Changes {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            node: uuid::Uuid::new_v4().simple().to_string(),
            started: Instant::now(),
            generation: [AtomicU64::new(1), AtomicU64::new(1)],
            committed: [AtomicU64::new(0), AtomicU64::new(0)],
            looked_at: AtomicU64::new(0),
            seen: Mutex::new(None),
            looking: tokio::sync::Mutex::default(),
        })
    }

    /// This node's own write is done: it sees it at once.
    pub(crate) fn committed(&self, touches: Touches) {
        if let Some(kind) = touches.kind() {
            self.generation[kind].fetch_add(1, Ordering::SeqCst);
            self.committed[kind].fetch_add(1, Ordering::SeqCst);
        }
    }

    fn commits(&self) -> [u64; 2] {
        [0, 1].map(|kind| self.committed[kind].load(Ordering::SeqCst))
    }

    fn seen(&self) -> MutexGuard<'_, Option<(Seen, [u64; 2])>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up what a look found that began at `began`, when this node knew of `before` commits.
    fn take_up(&self, found: Seen, before: [u64; 2], began: Instant) {
        let after = self.commits();
        let mut seen = self.seen();
        for kind in [0, 1] {
            let is_known = seen.as_ref().is_some_and(|(known, base)| {
                let others = |seen: &Seen| -> Vec<_> {
                    let counts = seen.others.iter();
                    let counts = counts.map(|(node, counts)| (node.clone(), counts[kind]));
                    counts.filter(|(_, count)| *count != 0).collect()
                };
                // A commit whose answer never came shows as one more than this node counted.
                let own = u64::try_from(found.own[kind] - known.own[kind]).unwrap_or(u64::MAX);
                let counted = (before[kind] - base[kind])..=(after[kind] - base[kind]);
                let by_keystone = kind == Touches::REVOCATIONS
                    && known.newest_revocation != found.newest_revocation;
                others(known) == others(&found) && counted.contains(&own) && !by_keystone
            });
            if !is_known {
                self.generation[kind].fetch_add(1, Ordering::SeqCst);
            }
        }
        // What lies between the two counts cannot be told apart: the next look settles it.
        let base = match before == after {
            true => Some(after),
            false => None,
        };
        match (base, seen.as_mut()) {
            (Some(base), _) => *seen = Some((found, base)),
            (None, Some((known, _))) => {
                let own = known.own;
                *known = Seen { own, ..found };
            }
            (None, None) => {}
        }
        drop(seen);
        let began = began.duration_since(self.started).as_millis() as u64;
        self.looked_at.store(Ord::max(began, 1), Ordering::SeqCst);
    }

    fn now(&self) -> Option<Generation> {
        let looked_at = self.looked_at.load(Ordering::SeqCst);
        let unseen = (self.started.elapsed().as_millis() as u64).saturating_sub(looked_at);
        let is_fresh = looked_at != 0 && unseen < LONGEST_UNSEEN.as_millis() as u64;
        is_fresh.then(|| Generation {
            tokens: self.generation[Touches::TOKENS].load(Ordering::SeqCst),
            revocations: self.generation[Touches::REVOCATIONS].load(Ordering::SeqCst),
        })
    }
}

impl Touches {
    const TOKENS: usize = 0;
    const REVOCATIONS: usize = 1;

    fn kind(self) -> Option<usize> {
        match self {
            Self::Tokens => Some(Self::TOKENS),
            Self::Revocations => Some(Self::REVOCATIONS),
            Self::Nothing => None,
        }
    }
}

impl Store {
    /// The newest point in history that this node knows of. `None` where nobody looked for changes
    /// lately, so that nothing remembered counts.
    pub fn generation(&self) -> Option<Generation> {
        self.changes.now()
    }

    /// Looks for changes of other nodes. To be called well more often than [`LONGEST_UNSEEN`].
    pub async fn look_for_changes(&self) -> Result<()> {
        let asked = Instant::now();
        let mut last = self.changes.looking.lock().await;
        // Many who wait are served by the first look that begins after they asked.
        if last.is_some_and(|began| began >= asked) {
            return Ok(());
        }
        let began = Instant::now();
        let before = self.changes.commits();
        let found = self.read_changes().await?;
        self.changes.take_up(found, before, began);
        *last = Some(began);
        Ok(())
    }

    /// The newest point in history that there is, whichever node made it. `None` where
    /// [`generation`](Self::generation) is.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn newest_generation(&self) -> Result<Option<Generation>> {
        if self.generation().is_some() {
            self.look_for_changes().await?;
        }
        Ok(self.generation())
    }

    async fn read_changes(&self) -> Result<Seen> {
        let mut session = self.watched.session().await?;
        let counts = Query::select()
            .columns(["node", "tokens", "revocations"])
            .from("archstone_change")
            .to_owned();
        let newest = Query::select()
            .expr_as(Expr::cust("COALESCE(MAX(id), 0)"), "newest")
            .from("revocation_event")
            .to_owned();
        let mut seen = Seen::default();
        for row in session.fetch_all(&counts).await? {
            let at = [row.int("tokens")?, row.int("revocations")?];
            let node = row.text("node")?;
            if node == self.changes.node {
                seen.own = at;
            } else {
                seen.others.insert(node, at);
            }
        }
        seen.newest_revocation = session.fetch_one(&newest).await?.int("newest")?;
        Ok(seen)
    }

    /// Drops the rows of nodes that are no more.
    pub async fn forget_gone_nodes(&self) -> Result<()> {
        let mut session = self.db.begin().await?;
        let oldest = (Utc::now() - FORGET_NODES_AFTER).timestamp();
        let delete = Query::delete()
            .from_table("archstone_change")
            .and_where(Expr::col("changed_at_int").lt(oldest))
            .to_owned();
        session.execute(&delete).await?;
        session.commit().await
    }

    /// Marks the running write transaction, so that other nodes drop what they remember.
    pub(crate) async fn mark(&self, tx: &mut Session, touches: Touches) -> Result<()> {
        let (tokens, revocations) = match touches {
            Touches::Tokens => (1, 0),
            Touches::Revocations => (0, 1),
            Touches::Nothing => return Ok(()),
        };
        let one_more = |column: &'static str, more: i64| {
            (column, Expr::col(("archstone_change", column)).add(more))
        };
        let now = Utc::now().timestamp();
        let insert = Query::insert()
            .into_table("archstone_change")
            .columns(["node", "tokens", "revocations", "changed_at_int"])
            .values_panic([
                self.changes.node.as_str().into(),
                tokens.into(),
                revocations.into(),
                now.into(),
            ])
            .on_conflict(
                OnConflict::column("node")
                    .values([
                        one_more("tokens", tokens),
                        one_more("revocations", revocations),
                        ("changed_at_int", now.into()),
                    ])
                    .to_owned(),
            )
            .to_owned();
        tx.execute(&insert).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(own: i64, other: i64, newest_revocation: i64) -> Seen {
        Seen {
            others: BTreeMap::from([("other".to_owned(), [other, 0])]),
            own: [own, 0],
            newest_revocation,
        }
    }

    /// Looks, and says whether tokens and revocations are to be read anew.
    fn look(changes: &Changes, found: Seen, before: [u64; 2]) -> [bool; 2] {
        let generation = || [0, 1].map(|kind| changes.generation[kind].load(Ordering::SeqCst));
        let known = generation();
        changes.take_up(found, before, Instant::now());
        let now = generation();
        [0, 1].map(|kind| now[kind] != known[kind])
    }

    #[test]
    fn nothing_is_fresh_before_the_first_look() {
        let changes = Changes::new();
        assert_eq!(changes.now(), None);
        changes.take_up(Seen::default(), [0, 0], Instant::now());
        assert!(changes.now().is_some());
    }

    #[test]
    fn other_nodes_and_keystone_are_noticed() {
        let changes = Changes::new();
        assert_eq!(look(&changes, seen(0, 0, 0), [0, 0]), [true, true]);
        assert_eq!(look(&changes, seen(0, 0, 0), [0, 0]), [false, false]);
        assert_eq!(look(&changes, seen(0, 1, 0), [0, 0]), [true, false]);
        assert_eq!(look(&changes, seen(0, 1, 7), [0, 0]), [false, true]);
        assert_eq!(look(&changes, seen(0, 1, 7), [0, 0]), [false, false]);
    }

    #[test]
    fn own_writes_count_once() {
        let changes = Changes::new();
        look(&changes, seen(0, 0, 0), [0, 0]);
        let known = changes.now();
        changes.committed(Touches::Tokens);
        assert_ne!(changes.now(), known);
        assert_eq!(look(&changes, seen(1, 0, 0), changes.commits()), [false; 2]);
    }

    #[test]
    fn a_commit_without_an_answer_is_noticed() {
        let changes = Changes::new();
        look(&changes, seen(0, 0, 0), [0, 0]);
        assert_eq!(look(&changes, seen(1, 0, 0), [0, 0]), [true, false]);
        assert_eq!(look(&changes, seen(1, 0, 0), [0, 0]), [false, false]);
        // Another such, while this node counts a commit that the look came too early for.
        let before = changes.commits();
        changes.committed(Touches::Tokens);
        look(&changes, seen(2, 0, 0), before);
        assert_eq!(
            look(&changes, seen(3, 0, 0), changes.commits()),
            [true, false]
        );
    }
}
