//! Short-lived values that plugins keep between the steps of a login, shared by all nodes.

use chrono::{DateTime, Utc};
use sea_query::{Expr, ExprTrait, Query, SelectStatement};

use crate::{Error, Result, Store, changes::Touches, write};

impl Store {
    /// Keeps a value until `expires_at`, in place of one of the same name.
    pub async fn put_state(
        &self,
        scope: &str,
        name: &str,
        value: &str,
        expires_at: DateTime<Utc>,
    ) -> Result<()> {
        write!(self, Touches::Nothing, tx => {
            forget(tx, scope, name).await?;
            insert(tx, scope, name, value, expires_at).await?;
        })
    }

    /// Keeps a value unless one of that name is there and not expired. Says whether it was kept:
    /// of any number of callers at once, exactly one is told yes.
    pub async fn put_state_if_absent(
        &self,
        scope: &str,
        name: &str,
        value: &str,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<bool> {
        let outcome = write!(self, Touches::Nothing, tx => {
            let expired = Query::delete()
                .from_table("archstone_state")
                .and_where(Expr::col("expires_at_int").lte(now.timestamp_micros()))
                .to_owned();
            tx.execute(&expired).await?;
            insert(tx, scope, name, value, expires_at).await?;
        });
        match outcome {
            Ok(()) => Ok(true),
            Err(Error::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A value, if it is there and not expired.
    pub async fn state(
        &self,
        scope: &str,
        name: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<String>> {
        let mut session = self.db.session().await?;
        match session.fetch_optional(&select(scope, name, now)).await? {
            Some(row) => Ok(Some(row.text("value")?)),
            None => Ok(None),
        }
    }

    /// Takes a value away and gives it, if it is there and not expired: it can be had once.
    pub async fn take_state(
        &self,
        scope: &str,
        name: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<String>> {
        write!(self, Touches::Nothing, tx => {
            match tx.fetch_optional(&select(scope, name, now)).await? {
                // Whoever deletes the row is the one who may have the value.
                Some(row) if forget(tx, scope, name).await? == 1 => Some(row.text("value")?),
                _ => None,
            }
        })
    }
}

fn select(scope: &str, name: &str, now: DateTime<Utc>) -> SelectStatement {
    Query::select()
        .column("value")
        .from("archstone_state")
        .and_where(Expr::col("scope").eq(scope))
        .and_where(Expr::col("name").eq(name))
        .and_where(Expr::col("expires_at_int").gt(now.timestamp_micros()))
        .to_owned()
}

async fn forget(tx: &mut crate::database::Session, scope: &str, name: &str) -> Result<u64> {
    let delete = Query::delete()
        .from_table("archstone_state")
        .and_where(Expr::col("scope").eq(scope))
        .and_where(Expr::col("name").eq(name))
        .to_owned();
    tx.execute(&delete).await
}

async fn insert(
    tx: &mut crate::database::Session,
    scope: &str,
    name: &str,
    value: &str,
    expires_at: DateTime<Utc>,
) -> Result<()> {
    use crate::error::OnDuplicate;
    let insert = Query::insert()
        .into_table("archstone_state")
        .columns(["scope", "name", "value", "expires_at_int"])
        .values_panic([
            scope.into(),
            name.into(),
            value.into(),
            expires_at.timestamp_micros().into(),
        ])
        .to_owned();
    tx.execute(&insert)
        .await
        .on_duplicate(archstone_model::entity::Entity::Token, || {
            "already used".to_owned()
        })
        .map(drop)
}
