//! New databases to test on.

use archstone_store::{DatabaseUrl, PoolOptions, SchemaState, Store};
use sqlx::{AssertSqlSafe, ConnectOptions, mysql::MySqlConnectOptions, postgres::PgConnectOptions};

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Sqlite,
    MariaDb,
    Postgres,
}

/// An empty database that Archstone's schema was made in, and what must live as long as it.
pub(crate) struct Fresh {
    pub store: Store,
    pub url: DatabaseUrl,
    pub kind: Kind,
    _directory: tempfile::TempDir,
}

/// `None` where there is no such server here.
pub(crate) async fn fresh(kind: Kind) -> Option<Fresh> {
    let directory = tempfile::tempdir().unwrap();
    let url = match kind {
        Kind::Sqlite => format!("sqlite:///{}", directory.path().join("test.db").display()),
        Kind::MariaDb => database_in("ARCHSTONE_TEST_MARIADB").await?,
        Kind::Postgres => database_in("ARCHSTONE_TEST_POSTGRESQL").await?,
    };
    let options = PoolOptions::default();
    let url = DatabaseUrl::parse(&url).unwrap();
    let store = Store::connect(&url, &options).await.unwrap();
    assert_eq!(store.schema_state().await.unwrap(), SchemaState::Empty);
    store.sync().await.unwrap();
    Some(Fresh {
        store,
        url,
        kind,
        _directory: directory,
    })
}

/// The URL of a new database on the server that a variable names.
async fn database_in(variable: &str) -> Option<String> {
    let Ok(server) = std::env::var(variable) else {
        eprintln!("{variable} is not set: nothing was tested");
        return None;
    };
    let name = format!("store_{}", uuid::Uuid::new_v4().simple());
    let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
    if let Some(rest) = server.strip_prefix("mysql+pymysql://") {
        let options: MySqlConnectOptions = format!("mysql://{rest}").parse().unwrap();
        let mut connection = options.connect().await.unwrap();
        sqlx::raw_sql(create)
            .execute(&mut connection)
            .await
            .unwrap();
    } else {
        let rest = server.strip_prefix("postgresql+psycopg2://").unwrap();
        let options: PgConnectOptions = format!("postgresql://{rest}/postgres").parse().unwrap();
        let mut connection = options.connect().await.unwrap();
        sqlx::raw_sql(create)
            .execute(&mut connection)
            .await
            .unwrap();
    }
    Some(format!("{server}/{name}"))
}
