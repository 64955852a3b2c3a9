//! `id_mapping`: the ids that users and groups of directories are known by; and what is kept of a
//! directory's user once they log in.

use std::collections::{HashMap, HashSet};

use archstone_model::{
    directory::{EntryKind, IdMapping},
    id::DomainId,
    user::User,
};
use chrono::{DateTime, Utc};
use sea_query::{Expr, ExprTrait, OnConflict, Query, SimpleExpr};

use crate::{
    BATCH, Dialect, Result, Store,
    database::Session,
    extra::{json, time},
    write,
};

impl Store {
    /// What this id stands for, if it is one of a directory.
    pub async fn id_mapping(&self, public_id: &str) -> Result<Option<IdMapping>> {
        let mut session = self.db.session().await?;
        let mut query = Query::select();
        query
            .columns(["public_id", "domain_id", "local_id"])
            .from("id_mapping")
            .and_where(Expr::col("public_id").eq(public_id));
        let kind = Expr::col("entity_type");
        match session.dialect() {
            Dialect::Postgres => query.expr_as(kind.cast_as("text"), "kind"),
            Dialect::Sqlite | Dialect::MySql => query.expr_as(kind, "kind"),
        };
        let Some(row) = session.fetch_optional(&query).await? else {
            return Ok(None);
        };
        Ok(Some(IdMapping {
            public_id: row.text("public_id")?,
            domain_id: row.text("domain_id")?.into(),
            local_id: row.text("local_id")?,
            kind: match row.text("kind")?.as_str() {
                "group" => EntryKind::Group,
                _ => EntryKind::User,
            },
        }))
    }

    /// The ids that these entries of a domain's directory are known by, by what the directory calls
    /// them. Those that have none so far get the one that `made` makes, unless it is that of a user
    /// whom an identity provider vouches for: these are left out.
    pub async fn public_ids(
        &self,
        domain_id: &DomainId,
        kind: EntryKind,
        local_ids: &[String],
        made: impl Fn(&str) -> String,
    ) -> Result<HashMap<String, String>> {
        let mut known = self.known_ids(domain_id, kind, local_ids).await?;
        let unknown = |known: &HashMap<String, String>| -> Vec<String> {
            let unknown = local_ids.iter().filter(|id| !known.contains_key(*id));
            unknown.cloned().collect()
        };
        let new = unknown(&known);
        if new.is_empty() {
            return Ok(known);
        }
        write!(self, tx => {
            let mut new = new.clone();
            if kind == EntryKind::User {
                let taken = of_accounts(tx, new.iter().map(|id| made(id))).await?;
                new.retain(|local_id| !taken.contains(&made(local_id)));
            }
            for batch in new.chunks(BATCH) {
                let mut insert = Query::insert();
                insert
                    .into_table("id_mapping")
                    .columns(["public_id", "domain_id", "local_id", "entity_type"])
                    // Somebody else may have seen the same entry in this moment.
                    .on_conflict(nothing_new(tx.dialect(), "public_id"));
                for local_id in batch {
                    insert.values_panic([
                        made(local_id).into(),
                        domain_id.as_str().into(),
                        local_id.as_str().into(),
                        of_kind(kind),
                    ]);
                }
                tx.execute(&insert).await?;
            }
        })?;
        known.extend(self.known_ids(domain_id, kind, &new).await?);
        Ok(known)
    }

    async fn known_ids(
        &self,
        domain_id: &DomainId,
        kind: EntryKind,
        local_ids: &[String],
    ) -> Result<HashMap<String, String>> {
        let mut session = self.db.session().await?;
        let mut known = HashMap::new();
        for batch in local_ids.chunks(BATCH) {
            let query = Query::select()
                .columns(["public_id", "local_id"])
                .from("id_mapping")
                .and_where(Expr::col("domain_id").eq(domain_id.as_str()))
                .and_where(Expr::col("entity_type").eq(of_kind(kind)))
                .and_where(Expr::col("local_id").is_in(batch.iter().map(String::as_str)))
                .to_owned();
            let rows = session.fetch_all(&query).await?;
            let mut found = HashMap::new();
            for row in rows {
                found.insert(row.text("local_id")?, row.text("public_id")?);
            }
            // A database that takes no notice of case has one row for both spellings.
            for local_id in batch.iter().filter(|id| !found.contains_key(*id)) {
                let lower = local_id.to_lowercase();
                let same = found
                    .iter()
                    .find(|(other, _)| other.to_lowercase() == lower);
                if session.dialect() == Dialect::MySql
                    && let Some((_, public_id)) = same
                {
                    known.insert(local_id.clone(), public_id.clone());
                }
            }
            known.extend(found);
        }
        Ok(known)
    }

    /// Keeps a directory's user who logs in, so that what they are given has something to hang on.
    /// Nothing happens where they are kept already.
    pub async fn keep_nonlocal_user(&self, user: &User, now: DateTime<Utc>) -> Result<()> {
        {
            let mut session = self.db.session().await?;
            if is_kept(&mut session, user).await? {
                return Ok(());
            }
        }
        write!(self, tx => {
            if !is_kept(tx, user).await? {
                insert(tx, user, now).await?;
            }
        })
    }
}

/// Those of these ids that are users with an account elsewhere.
async fn of_accounts(
    tx: &mut Session,
    ids: impl Iterator<Item = String>,
) -> Result<HashSet<String>> {
    let mut taken = HashSet::new();
    for batch in ids.collect::<Vec<_>>().chunks(BATCH) {
        let query = Query::select()
            .column("user_id")
            .from("federated_user")
            .and_where(Expr::col("user_id").is_in(batch.iter().map(String::as_str)))
            .to_owned();
        for row in tx.fetch_all(&query).await? {
            taken.insert(row.text("user_id")?);
        }
    }
    Ok(taken)
}

async fn is_kept(session: &mut Session, user: &User) -> Result<bool> {
    let query = Query::select()
        .column("id")
        .from("user")
        .and_where(Expr::col("id").eq(user.id.as_str()))
        .to_owned();
    Ok(session.fetch_optional(&query).await?.is_some())
}

async fn insert(tx: &mut Session, user: &User, now: DateTime<Utc>) -> Result<()> {
    let new = Query::insert()
        .into_table("user")
        .columns([
            "id",
            "extra",
            "enabled",
            "default_project_id",
            "created_at",
            "domain_id",
        ])
        .values_panic([
            user.id.as_str().into(),
            json(&user.extra).into(),
            user.enabled.into(),
            user.default_project_id
                .as_ref()
                .map(|id| id.as_str())
                .into(),
            time(tx.dialect(), now).into(),
            user.domain_id.as_str().into(),
        ])
        .to_owned();
    tx.execute(&new).await?;
    // The directory has given the name to somebody else since: it counts who has it now.
    let others = Query::delete()
        .from_table("nonlocal_user")
        .and_where(Expr::col("domain_id").eq(user.domain_id.as_str()))
        .and_where(Expr::col("name").eq(user.name.as_str()))
        .to_owned();
    tx.execute(&others).await?;
    let name = Query::insert()
        .into_table("nonlocal_user")
        .columns(["domain_id", "name", "user_id"])
        .values_panic([
            user.domain_id.as_str().into(),
            user.name.as_str().into(),
            user.id.as_str().into(),
        ])
        .to_owned();
    tx.execute(&name).await.map(drop)
}

/// Leaves a row that is there as it is.
pub(crate) fn nothing_new(dialect: Dialect, column: &'static str) -> OnConflict {
    let mut conflict = OnConflict::new();
    match dialect {
        // It has no way to do nothing, but can put in what is there.
        Dialect::MySql => conflict.do_nothing_on([column]),
        Dialect::Sqlite | Dialect::Postgres => conflict.do_nothing(),
    };
    conflict
}

fn of_kind(kind: EntryKind) -> SimpleExpr {
    Expr::val(kind.as_str()).as_enum("entity_type")
}
