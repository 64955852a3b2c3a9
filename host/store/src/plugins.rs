//! Plugins as all nodes are to have them: artifacts by digest, and which one each plugin is.

use archstone_model::{
    entity::Entity,
    plugin::{DesiredPlugin, PluginPeriod},
    secret::Sealed,
};
use chrono::{DateTime, Utc};
use sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};

use crate::{
    Error, Result, Store, changes::Touches, database::Session, row::Row, users::delete_where, write,
};

/// Databases bound the size of one value that they are sent.
const PART: usize = 1 << 20;

impl Store {
    /// Every plugin that was ever installed, by name.
    pub async fn desired_plugins(&self) -> Result<Vec<DesiredPlugin>> {
        let mut session = self.db.session().await?;
        let mut query = select();
        query.order_by("name", Order::Asc);
        session.fetch_all(&query).await?.iter().map(read).collect()
    }

    /// # Errors
    /// `NotFound`.
    pub async fn desired_plugin(&self, name: &str) -> Result<DesiredPlugin> {
        let mut session = self.db.session().await?;
        load(&mut session, name)
            .await?
            .ok_or_else(|| Error::not_found(Entity::Plugin, name))
    }

    /// The artifact with a digest.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn artifact(&self, digest: &str) -> Result<Vec<u8>> {
        let mut session = self.db.session().await?;
        let query = Query::select()
            .column("bytes")
            .from("archstone_artifact")
            .and_where(Expr::col("digest").eq(digest))
            .order_by("part", Order::Asc)
            .to_owned();
        let mut artifact = Vec::new();
        for row in session.fetch_all(&query).await? {
            artifact.extend(row.bytes("bytes")?);
        }
        match artifact.is_empty() {
            false => Ok(artifact),
            true => Err(Error::not_found(Entity::Plugin, digest)),
        }
    }

    /// What a plugin was to be, from its first installation on.
    pub async fn plugin_history(&self, name: &str) -> Result<Vec<PluginPeriod>> {
        let mut session = self.db.session().await?;
        let query = Query::select()
            .columns(["since_int", "digest"])
            .from("archstone_plugin_history")
            .and_where(Expr::col("name").eq(name))
            .order_by("since_int", Order::Asc)
            .to_owned();
        let rows = session.fetch_all(&query).await?;
        rows.iter()
            .map(|row| {
                Ok(PluginPeriod {
                    since: row.opt_micros("since_int")?.unwrap_or_default(),
                    digest: row.opt_text("digest")?,
                })
            })
            .collect()
    }

    /// Keeps an artifact for what comes to refer to it.
    pub async fn keep_artifact(&self, digest: &str, artifact: &[u8]) -> Result<()> {
        write!(self, Touches::Nothing, tx => {
            delete_where(tx, "archstone_artifact", "digest", digest).await?;
            for (part, bytes) in (0_i32..).zip(artifact.chunks(PART)) {
                let insert = Query::insert()
                    .into_table("archstone_artifact")
                    .columns(["digest", "part", "bytes"])
                    .values_panic([digest.into(), part.into(), bytes.to_vec().into()])
                    .to_owned();
                tx.execute(&insert).await?;
            }
        })
    }

    /// Says what a plugin is to be from now on.
    pub async fn set_plugin(
        &self,
        name: &str,
        digest: Option<&str>,
        settings: &Sealed,
        now: DateTime<Utc>,
    ) -> Result<DesiredPlugin> {
        write!(self, tx => {
            let known = load(tx, name).await?;
            let plugin = DesiredPlugin {
                name: name.to_owned(),
                digest: digest.map(str::to_owned),
                settings: settings.clone(),
                revision: known.as_ref().map_or(1, |known| known.revision + 1),
            };
            // On MariaDB and PostgreSQL alike, one row of a name is either there or is not.
            delete_where(tx, "archstone_plugin", "name", name).await?;
            let insert = Query::insert()
                .into_table("archstone_plugin")
                .columns(["name", "digest", "sealed_settings", "key_hash", "revision", "updated_at_int"])
                .values_panic([
                    name.into(),
                    digest.into(),
                    settings.text.as_str().into(),
                    settings.key_hash.as_str().into(),
                    plugin.revision.into(),
                    now.timestamp_micros().into(),
                ])
                .to_owned();
            tx.execute(&insert).await?;
            let changed = known.is_none_or(|known| known.digest.as_deref() != digest);
            if changed {
                let insert = Query::insert()
                    .into_table("archstone_plugin_history")
                    .columns(["name", "since_int", "digest"])
                    .values_panic([name.into(), now.timestamp_micros().into(), digest.into()])
                    .to_owned();
                tx.execute(&insert).await?;
            }
            plugin
        })
    }
}

async fn load(session: &mut Session, name: &str) -> Result<Option<DesiredPlugin>> {
    let mut query = select();
    query.and_where(Expr::col("name").eq(name));
    let row = session.fetch_optional(&query).await?;
    row.as_ref().map(read).transpose()
}

fn select() -> SelectStatement {
    Query::select()
        .columns(["name", "digest", "sealed_settings", "key_hash", "revision"])
        .from("archstone_plugin")
        .to_owned()
}

fn read(row: &Row) -> Result<DesiredPlugin> {
    Ok(DesiredPlugin {
        name: row.text("name")?,
        digest: row.opt_text("digest")?,
        settings: Sealed {
            text: row.text("sealed_settings")?,
            key_hash: row.text("key_hash")?,
        },
        revision: row.int("revision")?,
    })
}
