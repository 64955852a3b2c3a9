//! Making and checking the schema. Keystone's tables are Keystone's: they are made only in an empty
//! database, exactly as Keystone 30 makes them, and are never altered. Archstone's own tables carry
//! the prefix `archstone_`.

use sea_query::{Expr, ExprTrait, Query};

use crate::{Error, Result, Store, database::Session};

/// The SQL dialects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    MySql,
    Postgres,
}

/// The migration heads that Keystone 30 records: its expand and its contract branch.
const KEYSTONE_30_HEADS: [&str; 2] = ["742c857f1dfb", "c88cdce8f248"];

/// The table of Archstone's own that was added last: where it is, all are.
const NEWEST_TABLE: &str = "archstone_connector_mapping";

/// What is in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaState {
    /// No table of Keystone's.
    Empty,
    /// Keystone 30's tables, ready or not for Archstone.
    Keystone30 { archstone_tables: bool },
    /// Another Keystone's tables.
    Other { heads: Vec<String> },
}

impl Dialect {
    fn keystone_schema(self) -> &'static str {
        match self {
            Self::Sqlite => include_str!("../../../migrations/sqlite/keystone_30.sql"),
            Self::MySql => include_str!("../../../migrations/mysql/keystone_30.sql"),
            Self::Postgres => include_str!("../../../migrations/postgres/keystone_30.sql"),
        }
    }

    fn archstone_schema(self) -> &'static str {
        match self {
            Self::Sqlite => include_str!("../../../migrations/sqlite/archstone.sql"),
            Self::MySql => include_str!("../../../migrations/mysql/archstone.sql"),
            Self::Postgres => include_str!("../../../migrations/postgres/archstone.sql"),
        }
    }
}

impl Store {
    /// Looks at what the database holds.
    pub async fn schema_state(&self) -> Result<SchemaState> {
        let mut session = self.db.session().await?;
        state(&mut session).await
    }

    /// Makes the schema: everything in an empty database, Archstone's own tables in one that
    /// Keystone 30 made, nothing in one that is ready.
    ///
    /// # Errors
    /// [`Error::Schema`] where the database belongs to another version of Keystone.
    pub async fn sync(&self) -> Result<()> {
        let dialect = self.db.dialect();
        let mut tx = self.db.begin().await?;
        match state(&mut tx).await? {
            SchemaState::Keystone30 {
                archstone_tables: true,
            } => return Ok(()),
            SchemaState::Keystone30 {
                archstone_tables: false,
            } => {}
            SchemaState::Other { heads } => {
                return Err(Error::Schema(format!(
                    "the database is at Keystone migrations {}, and Archstone works on those of \
                     Keystone 30 ({}). Run `keystone-manage db_sync` of Keystone 30 first.",
                    heads.join(", "),
                    KEYSTONE_30_HEADS.join(", ")
                )));
            }
            SchemaState::Empty => {
                if dialect == Dialect::MySql {
                    tx.run_script("SET FOREIGN_KEY_CHECKS = 0").await?;
                }
                tx.run_script(dialect.keystone_schema()).await?;
                if dialect == Dialect::MySql {
                    tx.run_script("SET FOREIGN_KEY_CHECKS = 1").await?;
                }
                first_rows(&mut tx).await?;
            }
        }
        tx.run_script(dialect.archstone_schema()).await?;
        tx.commit().await
    }
}

async fn state(session: &mut Session) -> Result<SchemaState> {
    if !has_table(session, "alembic_version").await? {
        return Ok(SchemaState::Empty);
    }
    let query = Query::select()
        .column("version_num")
        .from("alembic_version")
        .to_owned();
    let mut heads = Vec::new();
    for row in session.fetch_all(&query).await? {
        heads.push(row.text("version_num")?);
    }
    heads.sort();
    if heads == KEYSTONE_30_HEADS {
        let archstone_tables = has_table(session, NEWEST_TABLE).await?;
        Ok(SchemaState::Keystone30 { archstone_tables })
    } else {
        Ok(SchemaState::Other { heads })
    }
}

async fn has_table(session: &mut Session, table: &'static str) -> Result<bool> {
    let mut query = Query::select();
    match session.dialect() {
        Dialect::Sqlite => {
            query
                .column("name")
                .from("sqlite_master")
                .and_where(Expr::col("type").eq("table"))
                .and_where(Expr::col("name").eq(table));
        }
        Dialect::MySql | Dialect::Postgres => {
            let current_schema = match session.dialect() {
                Dialect::MySql => Expr::cust("DATABASE()"),
                _ => Expr::cust("CURRENT_SCHEMA()"),
            };
            query
                .expr_as(Expr::col("table_name"), "name")
                .from(("information_schema", "tables"))
                .and_where(Expr::col("table_name").eq(table))
                .and_where(Expr::col("table_schema").eq(current_schema));
        }
    }
    Ok(session.fetch_optional(&query).await?.is_some())
}

/// The rows that Keystone's migrations leave: their heads, and the root of all domains.
async fn first_rows(tx: &mut Session) -> Result<()> {
    let heads = Query::insert()
        .into_table("alembic_version")
        .columns(["version_num"])
        .values_panic([KEYSTONE_30_HEADS[0].into()])
        .values_panic([KEYSTONE_30_HEADS[1].into()])
        .to_owned();
    tx.execute(&heads).await?;
    let root = archstone_model::project::ROOT_DOMAIN_ROW;
    let project = Query::insert()
        .into_table("project")
        .columns([
            "id",
            "name",
            "extra",
            "description",
            "enabled",
            "domain_id",
            "is_domain",
        ])
        .values_panic([
            root.into(),
            root.into(),
            "{}".into(),
            "".into(),
            false.into(),
            root.into(),
            true.into(),
        ])
        .to_owned();
    tx.execute(&project).await.map(drop)
}
