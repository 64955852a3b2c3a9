//! Mappings and their rules.

use archstone_model::{entity::Entity, id::MappingId, mapping::Mapping};
use sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};
use serde_json::Value;

use crate::{
    Error, Result, Store,
    changes::Touches,
    database::Session,
    error::OnDuplicate,
    row::{Row, from_json},
    users::delete_where,
    write,
};

impl Store {
    /// # Errors
    /// `NotFound`.
    pub async fn mapping(&self, id: &MappingId) -> Result<Mapping> {
        let mut session = self.db.session().await?;
        let mut query = select();
        query.and_where(Expr::col("id").eq(id.as_str()));
        match session.fetch_optional(&query).await? {
            Some(row) => read(&row),
            None => Err(Error::not_found(Entity::Mapping, id.as_str())),
        }
    }

    /// Mappings in id order.
    pub async fn mappings(&self) -> Result<Vec<Mapping>> {
        let mut session = self.db.session().await?;
        let mut query = select();
        query.order_by("id", Order::Asc);
        session.fetch_all(&query).await?.iter().map(read).collect()
    }

    /// # Errors
    /// `Conflict` where the id is taken.
    pub async fn create_mapping(&self, mapping: &Mapping) -> Result<()> {
        write!(self, Touches::Nothing, tx => {
            insert_mapping(tx, mapping).await?;
        })
    }

    /// Stores a mapping in place of the one with its id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn replace_mapping(&self, mapping: &Mapping) -> Result<()> {
        write!(self, Touches::Nothing, tx => {
            let mut known = select();
            known.and_where(Expr::col("id").eq(mapping.id.as_str()));
            if tx.fetch_optional(&known).await?.is_none() {
                return Err(Error::not_found(Entity::Mapping, mapping.id.as_str()));
            }
            update_mapping(tx, mapping).await?;
        })
    }

    /// # Errors
    /// `NotFound`.
    pub async fn delete_mapping(&self, id: &MappingId) -> Result<()> {
        write!(self, Touches::Nothing, tx => {
            if delete_where(tx, "mapping", "id", id.as_str()).await? == 0 {
                return Err(Error::not_found(Entity::Mapping, id.as_str()));
            }
        })
    }
}

pub(crate) async fn insert_mapping(tx: &mut Session, mapping: &Mapping) -> Result<()> {
    let insert = Query::insert()
        .into_table("mapping")
        .columns(["id", "rules", "schema_version"])
        .values_panic([
            mapping.id.as_str().into(),
            as_stored(&mapping.rules).into(),
            mapping.schema_version.as_str().into(),
        ])
        .to_owned();
    let inserted = tx.execute(&insert).await;
    inserted
        .on_duplicate(Entity::Mapping, || {
            format!("Duplicate entry found with ID {}", mapping.id)
        })
        .map(drop)
}

pub(crate) async fn update_mapping(tx: &mut Session, mapping: &Mapping) -> Result<()> {
    let update = Query::update()
        .table("mapping")
        .value("rules", as_stored(&mapping.rules))
        .value("schema_version", mapping.schema_version.as_str())
        .and_where(Expr::col("id").eq(mapping.id.as_str()))
        .to_owned();
    tx.execute(&update).await.map(drop)
}

fn select() -> SelectStatement {
    Query::select()
        .columns(["id", "rules", "schema_version"])
        .from("mapping")
        .to_owned()
}

/// Keystone's column holds the rules as JSON text that is itself a JSON string.
fn as_stored(rules: &Value) -> String {
    Value::String(rules.to_string()).to_string()
}

fn read(row: &Row) -> Result<Mapping> {
    let text: String = row.json("rules")?;
    Ok(Mapping {
        id: row.text("id")?.into(),
        rules: from_json("rules", &text)?,
        schema_version: row.text("schema_version")?,
    })
}
