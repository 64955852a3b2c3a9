//! `archstone db`

use anyhow::{Result, bail};
use archstone_store::SchemaState;
use clap::Subcommand;

use crate::{assemble, commands::say, config::Config};

#[derive(Debug, Subcommand)]
pub(crate) enum Db {
    /// Make the schema: all of it in an empty database, Archstone's own tables in Keystone's.
    Sync,
    /// Say what is in the database; exit 1 where it is not ready.
    Check,
}

impl Db {
    pub(crate) async fn run(self, config: &Config) -> Result<()> {
        let database = assemble::database(config)?;
        let store = assemble::store(config).await?;
        if let Self::Sync = self {
            store.sync().await?;
        }
        match store.schema_state().await? {
            SchemaState::Keystone30 {
                archstone_tables: true,
            } => say(format_args!("{} is ready", database)),
            SchemaState::Keystone30 {
                archstone_tables: false,
            } => {
                bail!("{} is Keystone's; run `archstone db sync`", database)
            }
            SchemaState::Empty => bail!("{} is empty; run `archstone db sync`", database),
            SchemaState::Other { heads } => bail!(
                "{} is at Keystone migrations {}; upgrade it to Keystone 30 first",
                database,
                heads.join(", ")
            ),
        }
    }
}
