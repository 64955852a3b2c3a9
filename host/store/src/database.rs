//! One way to talk to three databases: a statement built once, sent in the dialect at hand.

use std::{
    fs::OpenOptions, io, os::unix::fs::OpenOptionsExt, path::Path, str::FromStr, time::Duration,
};

use sea_query::{MysqlQueryBuilder, PostgresQueryBuilder, SqliteQueryBuilder};
use sea_query_sqlx::{SqlxBinder, SqlxValues};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection as _, Executor, MySql, MySqlPool, PgPool, Postgres,
    Sqlite, SqlitePool, Transaction,
    mysql::MySqlConnectOptions,
    pool::PoolConnection,
    postgres::PgConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{
    Dialect, Error, Result,
    row::Row,
    url::{DatabaseUrl, SqlitePlace},
};

/// What PostgreSQL does by default. Under InnoDB's own default a deletion by a column without an index
/// locks the whole table, and the gap behind it, until its transaction ends.
const READ_COMMITTED: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

/// How many prepared statements one node keeps in MariaDB, which takes 16382 of all its clients together
/// unless told otherwise.
const MOST_STATEMENTS: u32 = 4096;

/// Each statement that a connection has to drop for another costs 40 ms: dropping is a message without
/// an answer, whose acknowledgement TCP waits for before it sends the next.
fn statements_per_connection(options: &PoolOptions) -> usize {
    let share = MOST_STATEMENTS / options.max_connections.max(1);
    share.clamp(100, 512) as usize
}

/// How long a connection counts as good after it was used.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// How often a write that met contention is tried again.
pub(crate) const MAX_ATTEMPTS: u32 = 5;

/// Waits a little, longer each time and never for the same time as another waiter.
pub(crate) async fn back_off(attempt: u32) {
    let jitter = uuid::Uuid::new_v4().as_bytes()[0];
    let wait = Duration::from_millis(u64::from(attempt) * 10 + u64::from(jitter) / 8);
    tokio::time::sleep(wait).await;
}

/// The size and patience of the connection pools.
#[derive(Debug, Clone)]
pub struct PoolOptions {
    /// The most connections open at once.
    pub max_connections: u32,
    /// How long a request waits for a connection before it fails.
    pub acquire_timeout: Duration,
    /// What each connection to a Galera cluster sets `wsrep_sync_wait` to; the server's own unless set.
    pub mysql_wsrep_sync_wait: Option<u8>,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            max_connections: 16,
            acquire_timeout: Duration::from_secs(30),
            mysql_wsrep_sync_wait: None,
        }
    }
}

/// The pools of one database.
#[derive(Debug, Clone)]
pub enum Database {
    /// SQLite takes one writer at a time, so writers queue for the one connection that may write
    /// instead of failing on a lock.
    Sqlite {
        readers: SqlitePool,
        writer: SqlitePool,
    },
    MySql(MySqlPool),
    Postgres(PgPool),
}

/// A pool that asks a connection whether it is still good only where it was not used for a while: a
/// busy server would spend half of its round trips on that.
fn checked_when_idle<DB: sqlx::Database>(options: &PoolOptions) -> sqlx::pool::PoolOptions<DB> {
    sqlx::pool::PoolOptions::new()
        .max_connections(options.max_connections)
        .acquire_timeout(options.acquire_timeout)
        .test_before_acquire(false)
        .before_acquire(|connection: &mut DB::Connection, state| {
            Box::pin(async move {
                if state.idle_for > GOOD_FOR {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
}

impl Database {
    pub(crate) async fn connect(url: &DatabaseUrl, options: &PoolOptions) -> Result<Self> {
        match url {
            DatabaseUrl::Sqlite(place) => Self::connect_sqlite(place, options).await,
            DatabaseUrl::MySql(url) => {
                let connect = MySqlConnectOptions::from_str(url.as_str())?
                    .charset("utf8")
                    .timezone(String::from("+00:00"))
                    .statement_cache_capacity(statements_per_connection(options))
                    .log_statements(log_level());
                let sync_wait = options.mysql_wsrep_sync_wait;
                let pool = checked_when_idle::<MySql>(options)
                    .after_connect(move |connection, _| {
                        Box::pin(async move {
                            connection.execute(READ_COMMITTED).await?;
                            if let Some(kinds) = sync_wait {
                                let set = format!("SET SESSION wsrep_sync_wait = {kinds}");
                                connection.execute(AssertSqlSafe(set)).await?;
                            }
                            Ok(())
                        })
                    })
                    .connect_with(connect)
                    .await?;
                Ok(Self::MySql(pool))
            }
            DatabaseUrl::Postgres(url) => {
                let connect = PgConnectOptions::from_str(url.as_str())?.log_statements(log_level());
                let pool = checked_when_idle::<Postgres>(options)
                    .connect_with(connect)
                    .await?;
                Ok(Self::Postgres(pool))
            }
        }
    }

    async fn connect_sqlite(place: &SqlitePlace, options: &PoolOptions) -> Result<Self> {
        let connect = SqliteConnectOptions::new()
            .create_if_missing(true)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(30))
            .journal_mode(SqliteJournalMode::Wal)
            // A write is acknowledged only once it would survive a power cut.
            .synchronous(SqliteSynchronous::Full)
            .log_statements(log_level());
        let pool = SqlitePoolOptions::new().acquire_timeout(options.acquire_timeout);
        match place {
            SqlitePlace::Memory => {
                // Each connection to a memory database would see a database of its own.
                let only = pool
                    .max_connections(1)
                    .idle_timeout(None)
                    .max_lifetime(None)
                    .connect_with(connect.in_memory(true))
                    .await?;
                Ok(Self::Sqlite {
                    readers: only.clone(),
                    writer: only,
                })
            }
            SqlitePlace::File(path) => {
                make_private(path)?;
                let connect = connect.filename(path);
                let writer = pool
                    .clone()
                    .max_connections(1)
                    .connect_with(connect.clone())
                    .await?;
                let readers = pool
                    .max_connections(options.max_connections)
                    .connect_with(connect)
                    .await?;
                Ok(Self::Sqlite { readers, writer })
            }
        }
    }

    /// One more connection to the same database, for what must not wait for the others. A memory
    /// database has but one.
    pub(crate) async fn for_watching(
        &self,
        url: &DatabaseUrl,
        options: &PoolOptions,
    ) -> Result<Self> {
        match url {
            DatabaseUrl::Sqlite(SqlitePlace::Memory) => Ok(self.clone()),
            _ => {
                let options = PoolOptions {
                    max_connections: 1,
                    acquire_timeout: options.acquire_timeout.min(GOOD_FOR),
                    ..options.clone()
                };
                Self::connect(url, &options).await
            }
        }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite { .. } => Dialect::Sqlite,
            Self::MySql(_) => Dialect::MySql,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// A connection to read with.
    pub(crate) async fn session(&self) -> Result<Session> {
        Ok(match self {
            Self::Sqlite { readers, .. } => {
                Session::Sqlite(Connection::Plain(readers.acquire().await?))
            }
            Self::MySql(pool) => Session::MySql(Connection::Plain(pool.acquire().await?)),
            Self::Postgres(pool) => Session::Postgres(Connection::Plain(pool.acquire().await?)),
        })
    }

    /// A write transaction. Use [`write!`](crate::write), which also retries.
    pub(crate) async fn begin(&self) -> Result<Session> {
        Ok(match self {
            Self::Sqlite { writer, .. } => Session::Sqlite(Connection::InTransaction(
                writer.begin_with("BEGIN IMMEDIATE").await?,
            )),
            Self::MySql(pool) => Session::MySql(Connection::InTransaction(pool.begin().await?)),
            Self::Postgres(pool) => {
                Session::Postgres(Connection::InTransaction(pool.begin().await?))
            }
        })
    }
}

/// Makes the database's file, if it is not there, readable for its owner alone: it holds password
/// hashes. SQLite gives the files beside it the same mode.
fn make_private(path: &Path) -> Result<()> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(Error::Unavailable(sqlx::Error::Io(error)))
        }
        _ => Ok(()),
    }
}

fn log_level() -> tracing::log::LevelFilter {
    tracing::log::LevelFilter::Trace
}

/// One connection, in a transaction or not.
#[derive(Debug)]
pub(crate) enum Session {
    Sqlite(Connection<Sqlite>),
    MySql(Connection<MySql>),
    Postgres(Connection<Postgres>),
}

#[derive(Debug)]
pub(crate) enum Connection<DB: sqlx::Database> {
    Plain(PoolConnection<DB>),
    InTransaction(Transaction<'static, DB>),
}

impl<DB: sqlx::Database> Connection<DB> {
    fn get(&mut self) -> &mut DB::Connection {
        match self {
            Self::Plain(connection) => connection,
            Self::InTransaction(transaction) => transaction,
        }
    }
}

impl Session {
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::MySql(_) => Dialect::MySql,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    fn prepare(&self, statement: &impl SqlxBinder) -> (AssertSqlSafe<String>, SqlxValues) {
        let (sql, values) = match self {
            Self::Sqlite(_) => statement.build_sqlx(SqliteQueryBuilder),
            Self::MySql(_) => statement.build_sqlx(MysqlQueryBuilder),
            Self::Postgres(_) => statement.build_sqlx(PostgresQueryBuilder),
        };
        // Built by sea-query: every value is a bound parameter.
        (AssertSqlSafe(sql), values)
    }

    pub(crate) async fn fetch_all(&mut self, statement: &impl SqlxBinder) -> Result<Vec<Row>> {
        let (sql, values) = self.prepare(statement);
        Ok(match self {
            Self::Sqlite(connection) => sqlx::query_with(sql, values)
                .fetch_all(connection.get())
                .await?
                .into_iter()
                .map(Row::Sqlite)
                .collect(),
            Self::MySql(connection) => sqlx::query_with(sql, values)
                .fetch_all(connection.get())
                .await?
                .into_iter()
                .map(Row::MySql)
                .collect(),
            Self::Postgres(connection) => sqlx::query_with(sql, values)
                .fetch_all(connection.get())
                .await?
                .into_iter()
                .map(Row::Postgres)
                .collect(),
        })
    }

    pub(crate) async fn fetch_optional(
        &mut self,
        statement: &impl SqlxBinder,
    ) -> Result<Option<Row>> {
        let (sql, values) = self.prepare(statement);
        Ok(match self {
            Self::Sqlite(connection) => sqlx::query_with(sql, values)
                .fetch_optional(connection.get())
                .await?
                .map(Row::Sqlite),
            Self::MySql(connection) => sqlx::query_with(sql, values)
                .fetch_optional(connection.get())
                .await?
                .map(Row::MySql),
            Self::Postgres(connection) => sqlx::query_with(sql, values)
                .fetch_optional(connection.get())
                .await?
                .map(Row::Postgres),
        })
    }

    pub(crate) async fn fetch_one(&mut self, statement: &impl SqlxBinder) -> Result<Row> {
        self.fetch_optional(statement)
            .await?
            .ok_or_else(|| Error::Database(sqlx::Error::RowNotFound))
    }

    /// Runs a statement and says how many rows it touched.
    pub(crate) async fn execute(&mut self, statement: &impl SqlxBinder) -> Result<u64> {
        let (sql, values) = self.prepare(statement);
        Ok(match self {
            Self::Sqlite(connection) => sqlx::query_with(sql, values)
                .execute(connection.get())
                .await?
                .rows_affected(),
            Self::MySql(connection) => sqlx::query_with(sql, values)
                .execute(connection.get())
                .await?
                .rows_affected(),
            Self::Postgres(connection) => sqlx::query_with(sql, values)
                .execute(connection.get())
                .await?
                .rows_affected(),
        })
    }

    /// Runs a script of the project's own, without parameters.
    pub(crate) async fn run_script(&mut self, script: &'static str) -> Result<()> {
        match self {
            Self::Sqlite(connection) => {
                sqlx::raw_sql(script).execute(connection.get()).await?;
            }
            Self::MySql(connection) => {
                sqlx::raw_sql(script).execute(connection.get()).await?;
            }
            Self::Postgres(connection) => {
                sqlx::raw_sql(script).execute(connection.get()).await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn commit(self) -> Result<()> {
        match self {
            Self::Sqlite(Connection::InTransaction(tx)) => tx.commit().await?,
            Self::MySql(Connection::InTransaction(tx)) => tx.commit().await?,
            Self::Postgres(Connection::InTransaction(tx)) => tx.commit().await?,
            Self::Sqlite(_) | Self::MySql(_) | Self::Postgres(_) => {}
        }
        Ok(())
    }

    /// Gives up a transaction. A failure to say so changes nothing: the server drops it as well.
    pub(crate) async fn rollback(self) {
        let outcome = match self {
            Self::Sqlite(Connection::InTransaction(tx)) => tx.rollback().await,
            Self::MySql(Connection::InTransaction(tx)) => tx.rollback().await,
            Self::Postgres(Connection::InTransaction(tx)) => tx.rollback().await,
            Self::Sqlite(_) | Self::MySql(_) | Self::Postgres(_) => Ok(()),
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "a rollback was not acknowledged");
        }
    }
}
