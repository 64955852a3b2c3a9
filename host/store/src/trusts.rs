//! Trusts with their roles. A deleted trust stays, marked, as Keystone leaves it: its tokens must
//! not come back to life, and one like it with the same end cannot be made again.

use std::collections::HashMap;

use archstone_model::{
    entity::Entity,
    id::{RoleId, TrustId, UserId},
    trust::{Trust, TrustFilter},
};
use chrono::{DateTime, Utc};
use sea_query::{Expr, ExprTrait, Order, Query, SelectStatement, UpdateStatement};

use crate::{
    BATCH, Dialect, Error, Result, Store,
    changes::Touches,
    database::Session,
    error::OnDuplicate,
    extra::{json, opt_time, time},
    row::Row,
    write,
};

impl Store {
    /// A trust that is not deleted; it may have expired or been used up.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn trust(&self, id: &TrustId) -> Result<Trust> {
        let mut session = self.db.session().await?;
        let mut query = select();
        query.and_where(Expr::col("id").eq(id.as_str()));
        let found = load(&mut session, &query).await?.into_iter().next();
        found.ok_or_else(|| Error::not_found(Entity::Trust, id.as_str()))
    }

    /// Trusts that are not deleted, in id order.
    pub async fn trusts(&self, filter: &TrustFilter) -> Result<Vec<Trust>> {
        let mut query = select();
        match filter {
            TrustFilter::All => {}
            TrustFilter::Trustor(id) => {
                query.and_where(Expr::col("trustor_user_id").eq(id.as_str()));
            }
            TrustFilter::Trustee(id) => {
                query.and_where(Expr::col("trustee_user_id").eq(id.as_str()));
            }
        }
        query.order_by("id", Order::Asc);
        let mut session = self.db.session().await?;
        load(&mut session, &query).await
    }

    /// The trusts that a trustor's trust was handed on to in one step.
    pub async fn redelegations(&self, id: &TrustId, trustor: &UserId) -> Result<Vec<Trust>> {
        let mut query = select();
        query
            .and_where(Expr::col("redelegated_trust_id").eq(id.as_str()))
            .and_where(Expr::col("trustor_user_id").eq(trustor.as_str()));
        let mut session = self.db.session().await?;
        load(&mut session, &query).await
    }

    /// # Errors
    /// `Conflict` where the same people have a trust, deleted or not, for the same project that
    /// ends at the same time.
    pub async fn create_trust(&self, trust: &Trust) -> Result<()> {
        write!(self, Touches::Nothing, tx => {
            let expires_at = opt_time(tx.dialect(), trust.expires_at);
            let insert = Query::insert()
                .into_table("trust")
                .columns([
                    "id", "trustor_user_id", "trustee_user_id", "project_id", "impersonation",
                    "expires_at", "expires_at_int", "remaining_uses", "redelegated_trust_id",
                    "redelegation_count", "extra",
                ])
                .values_panic([
                    trust.id.as_str().into(),
                    trust.trustor_user_id.as_str().into(),
                    trust.trustee_user_id.as_str().into(),
                    trust.project_id.as_ref().map(|id| id.as_str()).into(),
                    trust.impersonation.into(),
                    expires_at.into(),
                    trust.expires_at.map(|time| time.timestamp_micros()).into(),
                    trust.remaining_uses.into(),
                    trust.redelegated_trust_id.as_ref().map(|id| id.as_str()).into(),
                    trust.redelegation_count.into(),
                    json(&trust.extra).into(),
                ])
                .to_owned();
            tx.execute(&insert).await.on_duplicate(Entity::Trust, || {
                format!("Duplicate entry found with ID {}", trust.id)
            })?;
            for role in &trust.roles {
                let insert = Query::insert()
                    .into_table("trust_role")
                    .columns(["trust_id", "role_id"])
                    .values_panic([trust.id.as_str().into(), role.as_str().into()])
                    .to_owned();
                tx.execute(&insert).await?;
            }
        })
    }

    /// Takes one use off a trust with a limited number of them. Says whether there was one left,
    /// however many take at once.
    pub async fn consume_trust(&self, id: &TrustId) -> Result<bool> {
        write!(self, tx => {
            let update = Query::update()
                .table("trust")
                .value("remaining_uses", Expr::col("remaining_uses").sub(1))
                .and_where(Expr::col("id").eq(id.as_str()))
                .and_where(Expr::col("deleted_at").is_null())
                .and_where(Expr::col("remaining_uses").gt(0))
                .to_owned();
            tx.execute(&update).await? == 1
        })
    }

    /// # Errors
    /// `NotFound` where it does not exist or is deleted.
    pub async fn delete_trust(&self, id: &TrustId, now: DateTime<Utc>) -> Result<()> {
        write!(self, tx => {
            let mut update = mark_deleted(tx.dialect(), now);
            update.and_where(Expr::col("id").eq(id.as_str()));
            if tx.execute(&update).await? == 0 {
                return Err(Error::not_found(Entity::Trust, id.as_str()));
            }
        })
    }
}

/// Deletes the trusts of a user or project that is going; `of` picks them.
pub(crate) async fn delete_trusts_of(tx: &mut Session, of: Expr) -> Result<()> {
    let mut update = mark_deleted(tx.dialect(), Utc::now());
    update.and_where(of);
    tx.execute(&update).await.map(drop)
}

fn mark_deleted(dialect: Dialect, now: DateTime<Utc>) -> UpdateStatement {
    Query::update()
        .table("trust")
        .value("deleted_at", Expr::val(time(dialect, now)))
        .and_where(Expr::col("deleted_at").is_null())
        .to_owned()
}

fn select() -> SelectStatement {
    Query::select()
        .columns([
            "id",
            "trustor_user_id",
            "trustee_user_id",
            "project_id",
            "impersonation",
            "expires_at",
            "expires_at_int",
            "remaining_uses",
            "redelegated_trust_id",
            "redelegation_count",
            "extra",
        ])
        .from("trust")
        .and_where(Expr::col("deleted_at").is_null())
        .to_owned()
}

async fn load(session: &mut Session, query: &SelectStatement) -> Result<Vec<Trust>> {
    let rows = session.fetch_all(query).await?;
    let mut trusts = rows.iter().map(read).collect::<Result<Vec<_>>>()?;
    let mut roles: HashMap<String, Vec<RoleId>> = HashMap::new();
    for batch in trusts.chunks(BATCH) {
        let query = Query::select()
            .columns(["trust_id", "role_id"])
            .from("trust_role")
            .and_where(Expr::col("trust_id").is_in(batch.iter().map(|trust| trust.id.as_str())))
            .order_by("role_id", Order::Asc)
            .to_owned();
        for row in session.fetch_all(&query).await? {
            let held = roles.entry(row.text("trust_id")?).or_default();
            held.push(row.text("role_id")?.into());
        }
    }
    for trust in &mut trusts {
        trust.roles = roles.remove(trust.id.as_str()).unwrap_or_default();
    }
    Ok(trusts)
}

/// A trust without its roles, which are in a table of their own.
fn read(row: &Row) -> Result<Trust> {
    let mut extra = row.extra()?;
    // Keystone leaves a copy of the roles here, which nobody reads.
    extra.shift_remove("roles");
    let expires_at = match row.opt_micros("expires_at_int")? {
        Some(expires_at) => Some(expires_at),
        None => row.opt_time("expires_at")?,
    };
    Ok(Trust {
        id: row.text("id")?.into(),
        trustor_user_id: row.text("trustor_user_id")?.into(),
        trustee_user_id: row.text("trustee_user_id")?.into(),
        project_id: row.opt_text("project_id")?.map(Into::into),
        impersonation: row.bool("impersonation")?,
        roles: Vec::new(),
        expires_at,
        remaining_uses: small(row.opt_int("remaining_uses")?),
        redelegated_trust_id: row.opt_text("redelegated_trust_id")?.map(Into::into),
        redelegation_count: small(row.opt_int("redelegation_count")?),
        extra,
    })
}

/// The column holds no more than 32 bits.
fn small(number: Option<i64>) -> Option<i32> {
    number.map(|number| i32::try_from(number).unwrap_or_default())
}
