//! Revocation events.

use std::collections::BTreeMap;

use archstone_model::revocation::RevocationEvent;
use chrono::{DateTime, Utc};
use sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};

use crate::{
    Result, Store,
    changes::Touches,
    extra::{opt_time, time},
    row::Row,
    write,
};

impl Store {
    /// Records an event, and deletes those that were made before `oldest`.
    pub async fn record_revocation(
        &self,
        event: &RevocationEvent,
        oldest: DateTime<Utc>,
    ) -> Result<()> {
        write!(self, Touches::Revocations, tx => {
            let dialect = tx.dialect();
            let delete = Query::delete()
                .from_table("revocation_event")
                .and_where(Expr::col("revoked_at").lt(time(dialect, oldest)))
                .to_owned();
            tx.execute(&delete).await?;
            let insert = Query::insert()
                .into_table("revocation_event")
                .columns([
                    "domain_id", "project_id", "user_id", "role_id", "trust_id", "consumer_id",
                    "access_token_id", "issued_before", "expires_at", "revoked_at", "audit_id",
                    "audit_chain_id",
                ])
                .values_panic([
                    event.domain_id.as_ref().map(|id| id.as_str()).into(),
                    event.project_id.as_ref().map(|id| id.as_str()).into(),
                    event.user_id.as_ref().map(|id| id.as_str()).into(),
                    event.role_id.as_ref().map(|id| id.as_str()).into(),
                    event.trust_id.as_ref().map(|id| id.as_str()).into(),
                    event.consumer_id.as_deref().into(),
                    event.access_token_id.as_deref().into(),
                    time(dialect, event.issued_before).into(),
                    opt_time(dialect, event.expires_at).into(),
                    time(dialect, event.revoked_at).into(),
                    event.audit_id.as_deref().into(),
                    event.audit_chain_id.as_deref().into(),
                ])
                .to_owned();
            tx.execute(&insert).await?;
        })
    }

    /// The events that may touch a token issued at this time, oldest first.
    pub async fn revocations_covering(
        &self,
        issued_at: DateTime<Utc>,
    ) -> Result<Vec<RevocationEvent>> {
        let mut session = self.db.session().await?;
        let mut query = select();
        query
            .and_where(Expr::col("issued_before").gte(time(session.dialect(), issued_at)))
            .order_by("id", Order::Asc);
        session.fetch_all(&query).await?.iter().map(read).collect()
    }

    /// The events made after `since`, or all that are kept, oldest first.
    pub async fn revocations(&self, since: Option<DateTime<Utc>>) -> Result<Vec<RevocationEvent>> {
        let mut session = self.db.session().await?;
        let mut query = select();
        if let Some(since) = since {
            query.and_where(Expr::col("revoked_at").gt(time(session.dialect(), since)));
        }
        query
            .order_by("revoked_at", Order::Asc)
            .order_by("id", Order::Asc);
        session.fetch_all(&query).await?.iter().map(read).collect()
    }

    /// Events by their numbers, from the one after `number` on: a part of them, or none where there are
    /// no more.
    pub async fn revocations_after(&self, number: i64) -> Result<BTreeMap<i64, RevocationEvent>> {
        let mut session = self.db.session().await?;
        let mut query = select();
        query
            .column("id")
            .and_where(Expr::col("id").gt(number))
            .order_by("id", Order::Asc)
            .limit(PART);
        numbered(session.fetch_all(&query).await?)
    }

    /// The events that may have come since `last`, and that one, unless it is kept no more.
    pub async fn revocations_since(
        &self,
        last: LastRevocation,
    ) -> Result<BTreeMap<i64, RevocationEvent>> {
        let mut session = self.db.session().await?;
        let young = Expr::col("revoked_at").gt(time(session.dialect(), last.since));
        let mut query = select();
        query
            .column("id")
            .and_where(Expr::col("id").gt(last.number.saturating_sub(MOST_UNDER_WAY)))
            .and_where(young.or(Expr::col("id").eq(last.number)));
        numbered(session.fetch_all(&query).await?)
    }
}

/// How many events are read at once.
const PART: u64 = 2_000;

fn numbered(rows: Vec<Row>) -> Result<BTreeMap<i64, RevocationEvent>> {
    rows.iter()
        .map(|row| Ok((row.int("id")?, read(row)?)))
        .collect()
}

/// How far behind the newest event the number of one may be that was not committed yet when that was
/// read. Each node has a few connections to write with, and on Galera takes every so many-th number.
pub const MOST_UNDER_WAY: i64 = 512;

/// The newest event that is known, and the time after which one may have been made that is not.
#[derive(Debug, Clone, Copy)]
pub struct LastRevocation {
    pub number: i64,
    pub since: DateTime<Utc>,
}

fn select() -> SelectStatement {
    Query::select()
        .columns([
            "domain_id",
            "project_id",
            "user_id",
            "role_id",
            "trust_id",
            "consumer_id",
            "access_token_id",
            "issued_before",
            "expires_at",
            "revoked_at",
            "audit_id",
            "audit_chain_id",
        ])
        .from("revocation_event")
        .to_owned()
}

fn read(row: &Row) -> Result<RevocationEvent> {
    let issued_before = row.opt_time("issued_before")?.unwrap_or_default();
    Ok(RevocationEvent {
        domain_id: row.opt_text("domain_id")?.map(Into::into),
        project_id: row.opt_text("project_id")?.map(Into::into),
        user_id: row.opt_text("user_id")?.map(Into::into),
        role_id: row.opt_text("role_id")?.map(Into::into),
        trust_id: row.opt_text("trust_id")?.map(Into::into),
        consumer_id: row.opt_text("consumer_id")?,
        access_token_id: row.opt_text("access_token_id")?,
        audit_id: row.opt_text("audit_id")?,
        audit_chain_id: row.opt_text("audit_chain_id")?,
        expires_at: row.opt_time("expires_at")?,
        issued_before,
        revoked_at: row.opt_time("revoked_at")?.unwrap_or(issued_before),
    })
}
