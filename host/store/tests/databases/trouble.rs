//! A database that does not serve now is told apart from a statement that is wrong.

use std::time::Duration;

use archstone_store::{DatabaseUrl, Error, PoolOptions, Store};
use sqlx::{
    AssertSqlSafe, ConnectOptions, MySqlConnection, PgConnection, SqliteConnection,
    mysql::MySqlConnectOptions, postgres::PgConnectOptions, sqlite::SqliteConnectOptions,
};

use crate::{
    fresh::{Fresh, Kind, fresh},
    user, with_domain,
};

/// A connection beside the store's.
enum Aside {
    Sqlite(SqliteConnection),
    MySql(MySqlConnection),
    Postgres(PgConnection),
}

impl Aside {
    async fn open(fresh: &Fresh) -> Self {
        match &fresh.url {
            DatabaseUrl::Sqlite(_) => {
                let file = fresh.url.to_string();
                let options: SqliteConnectOptions = file.parse().unwrap();
                Self::Sqlite(options.connect().await.unwrap())
            }
            DatabaseUrl::MySql(url) => {
                let options: MySqlConnectOptions = url.as_str().parse().unwrap();
                Self::MySql(options.connect().await.unwrap())
            }
            DatabaseUrl::Postgres(url) => {
                let options: PgConnectOptions = url.as_str().parse().unwrap();
                Self::Postgres(options.connect().await.unwrap())
            }
        }
    }

    async fn run(&mut self, sql: impl Into<String>) {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.into()));
        match self {
            Self::Sqlite(connection) => sql.execute(connection).await.map(drop),
            Self::MySql(connection) => sql.execute(connection).await.map(drop),
            Self::Postgres(connection) => sql.execute(connection).await.map(drop),
        }
        .unwrap();
    }

    /// Ends the connection that waits for a lock of this one, once there is one.
    async fn end_who_waits(&mut self) {
        let waiting = match self {
            Self::MySql(_) => {
                "SELECT CAST(id AS SIGNED) FROM information_schema.processlist \
                 WHERE db = DATABASE() AND state LIKE 'Waiting for table%'"
            }
            _ => {
                "SELECT CAST(pid AS bigint) FROM pg_stat_activity \
                 WHERE datname = current_database() AND wait_event_type = 'Lock'"
            }
        };
        loop {
            let found: Option<i64> = match self {
                Self::MySql(connection) => {
                    let query = sqlx::query_scalar(waiting);
                    query.fetch_optional(connection).await.unwrap()
                }
                Self::Postgres(connection) => {
                    let query = sqlx::query_scalar(waiting);
                    query.fetch_optional(connection).await.unwrap()
                }
                Self::Sqlite(_) => return,
            };
            match (found, &self) {
                (Some(id), Self::MySql(_)) => return self.run(format!("KILL {id}")).await,
                (Some(id), _) => {
                    return self.run(format!("SELECT pg_terminate_backend({id})")).await;
                }
                (None, _) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

pub(crate) async fn a_database_whose_tables_cannot_be_read_gives_no_sign_of_life(fresh: &Fresh) {
    fresh.store.ping().await.unwrap();
    let mut aside = Aside::open(fresh).await;
    aside
        .run("ALTER TABLE archstone_change RENAME TO elsewhere")
        .await;
    assert!(fresh.store.ping().await.is_err());
}

async fn a_connection_that_was_ended(kind: Kind, lock: &str) {
    let Some(fresh) = fresh(kind).await else {
        return;
    };
    let mut aside = Aside::open(&fresh).await;
    aside.run(lock).await;
    let (answer, ()) = tokio::join!(fresh.store.ping(), aside.end_who_waits());
    assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
    drop(aside);
    fresh.store.ping().await.unwrap();
}

#[tokio::test]
async fn a_connection_that_was_ended_is_no_fault_of_this_server_on_mariadb() {
    a_connection_that_was_ended(Kind::MariaDb, "LOCK TABLES archstone_change WRITE").await;
}

#[tokio::test]
async fn a_connection_that_was_ended_is_no_fault_of_this_server_on_postgresql() {
    a_connection_that_was_ended(Kind::Postgres, "BEGIN; LOCK TABLE archstone_change").await;
}

#[tokio::test]
async fn a_database_that_only_reads_is_unavailable_for_writes() {
    let Some(fresh) = fresh(Kind::Postgres).await else {
        return;
    };
    with_domain(&fresh).await;
    let DatabaseUrl::Postgres(url) = &fresh.url else {
        panic!("{:?}", fresh.url);
    };
    let name = url.path().trim_start_matches('/');
    let mut aside = Aside::open(&fresh).await;
    aside
        .run(format!(
            "ALTER DATABASE {name} SET default_transaction_read_only = on"
        ))
        .await;
    let reader = Store::connect(&fresh.url, &PoolOptions::default())
        .await
        .unwrap();
    reader.ping().await.unwrap();
    let refused = reader.create_user(&user("ada", "Ada")).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
}
