//! Storage on Keystone's own schema, over SQLite, MariaDB or PostgreSQL.
//!
//! [`Store`] has one method per question, grouped by area in one file each, and speaks the nouns of
//! [`archstone_model`]. Every write is one transaction that also says what it makes nodes forget.

mod application_credentials;
mod assignments;
mod catalog;
mod changes;
mod connectors;
mod credentials;
mod database;
mod domain_configs;
mod endpoint_filters;
mod error;
mod extra;
mod federated_users;
mod federation;
mod filter;
mod groups;
mod id_mapping;
mod limits;
mod mappings;
mod oauth1;
mod origin_revocations;
mod passwords;
mod plugin_state;
mod plugins;
mod policies;
mod projects;
mod refusal;
mod revocations;
mod roles;
mod row;
mod schema;
mod sealed;
mod service_providers;
mod trusts;
mod url;
mod user_queries;
mod users;

use std::sync::Arc;

use archstone_model::listing::{Comparison, NameFilter};
use sea_query::Query;

use crate::{
    changes::{Changes, Touches},
    schema::Dialect,
};
pub use crate::{
    changes::{Generation, LONGEST_UNSEEN},
    database::{Database, PoolOptions},
    error::{Error, Result},
    revocations::{LastRevocation, MOST_UNDER_WAY},
    schema::SchemaState,
    url::{DatabaseUrl, InvalidDatabaseUrl},
};

/// How many values one statement names at most.
pub(crate) const BATCH: usize = 500;

/// The database as the service layer sees it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    db: Database,
    /// A way of its own to the database, so that a busy pool does not make this node blind.
    watched: Database,
    changes: Arc<Changes>,
    exact_names: bool,
}

impl Store {
    /// Connects without touching the schema; see [`Store::sync`].
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the server does not answer or refuses us.
    pub async fn connect(url: &DatabaseUrl, options: &PoolOptions) -> Result<Self> {
        let db = Database::connect(url, options).await?;
        Ok(Self {
            watched: db.for_watching(url, options).await?,
            db,
            changes: Changes::new(),
            exact_names: false,
        })
    }

    /// Has things found by their name only if it is written exactly so. MariaDB's collations take
    /// `Ada` for `ada` otherwise.
    #[must_use]
    pub fn with_exact_names(mut self, exact_names: bool) -> Self {
        self.exact_names = exact_names;
        self
    }

    /// Whether what the database found under a name counts as found.
    fn is_named(&self, found: &str, asked_for: &str) -> bool {
        !self.exact_names || found == asked_for
    }

    /// Drops what passed for a comparison only because the database knows no exact ones.
    fn keep_exact<T>(&self, found: &mut Vec<T>, names: &[NameFilter], name: impl Fn(&T) -> &str) {
        let exact = |filter: &&NameFilter| {
            filter.comparison.is_exact_part()
                || (self.exact_names && filter.comparison == Comparison::Equals)
        };
        let exact: Vec<_> = names.iter().filter(exact).collect();
        found.retain(|entry| exact.iter().all(|filter| filter.accepts(name(entry))));
    }

    /// Asks the database for a sign of life, by a table: a member of a Galera cluster that lost the
    /// majority answers whatever touches none.
    pub async fn ping(&self) -> Result<()> {
        let mut session = self.db.session().await?;
        let one = Query::select()
            .column("node")
            .from("archstone_change")
            .limit(1)
            .to_owned();
        session.fetch_optional(&one).await.map(drop)
    }
}

/// Runs `$body` in a write transaction on `$store`, with `$tx` as its session: commits what gives
/// `Ok`, rolls back what gives `Err`, and runs it anew where the database asks for that (a
/// deadlock, a failed certification on Galera). Unless told what else the write touches, nodes forget
/// what they know of tokens.
macro_rules! write {
    ($store:expr, $tx:ident => $body:block) => {
        $crate::write!($store, $crate::Touches::Tokens, $tx => $body)
    };
    ($store:expr, $touches:expr, $tx:ident => $body:block) => {{
        let mut attempt = 0;
        loop {
            let mut session = $store.db.begin().await?;
            let outcome: $crate::Result<_> = async {
                let $tx = &mut session;
                let value = $body;
                $store.mark($tx, $touches).await?;
                Ok(value)
            }
            .await;
            let outcome = match outcome {
                Ok(value) => session.commit().await.map(|()| {
                    $store.changes.committed($touches);
                    value
                }),
                Err(error) => {
                    session.rollback().await;
                    Err(error)
                }
            };
            match outcome {
                Err($crate::Error::Contention(_)) if attempt < $crate::database::MAX_ATTEMPTS => {
                    attempt += 1;
                    $crate::database::back_off(attempt).await;
                }
                outcome => break outcome,
            }
        }
    }};
}
pub(crate) use write;
