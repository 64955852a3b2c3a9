//! The passwords of users, current and past, and their failed logins: `password` and `local_user`.

use archstone_model::{
    id::UserId,
    user::{NewPassword, StoredPassword, UserWithPasswords},
};
use chrono::{DateTime, Utc};
use sea_query::{Expr, ExprTrait, JoinType, Order, Query};

use crate::{
    Error, Result, Store,
    changes::Touches,
    database::Session,
    extra::{opt_time, time},
    user_queries::load_one,
    write,
};

impl Store {
    /// A user with their passwords, oldest first.
    pub async fn user_with_passwords(&self, id: &UserId) -> Result<UserWithPasswords> {
        let mut session = self.db.session().await?;
        let user = load_one(&mut session, id).await?;
        let query = Query::select()
            .columns([
                "password_hash",
                "created_at_int",
                "self_service",
                "failed_auth_count",
                "failed_auth_at",
            ])
            .expr_as(Expr::col(("password", "expires_at")), "expires_at")
            .from("local_user")
            .join(
                JoinType::LeftJoin,
                "password",
                Expr::col(("password", "local_user_id")).equals(("local_user", "id")),
            )
            .and_where(Expr::col("user_id").eq(id.as_str()))
            .order_by("created_at_int", Order::Asc)
            .order_by(("password", "id"), Order::Asc)
            .to_owned();
        let mut account = UserWithPasswords {
            user,
            passwords: Vec::new(),
            failed_auth_count: 0,
            failed_auth_at: None,
        };
        for row in session.fetch_all(&query).await? {
            account.failed_auth_count = row
                .opt_int("failed_auth_count")?
                .and_then(|count| count.try_into().ok())
                .unwrap_or(0);
            account.failed_auth_at = row.opt_time("failed_auth_at")?;
            if let Some(created_at) = row.opt_micros("created_at_int")? {
                account.passwords.push(StoredPassword {
                    hash: row.opt_text("password_hash")?,
                    created_at,
                    expires_at: row.opt_time("expires_at")?,
                    self_service: row.bool("self_service")?,
                });
            }
        }
        Ok(account)
    }

    /// Counts a failed login.
    pub async fn record_failed_login(&self, id: &UserId, now: DateTime<Utc>) -> Result<()> {
        write!(self, Touches::Nothing, tx => {
            let update = Query::update()
                .table("local_user")
                .value("failed_auth_count", Expr::cust("COALESCE(failed_auth_count, 0) + 1"))
                .value("failed_auth_at", time(tx.dialect(), now))
                .and_where(Expr::col("user_id").eq(id.as_str()))
                .to_owned();
            tx.execute(&update).await?;
        })
    }

    /// Puts another hash of the same password in place of one, unless the password has changed since.
    pub async fn renew_password_hash(&self, id: &UserId, old: &str, new: &str) -> Result<()> {
        write!(self, Touches::Nothing, tx => {
            let local_user = Query::select()
                .column("id")
                .from("local_user")
                .and_where(Expr::col("user_id").eq(id.as_str()))
                .to_owned();
            let update = Query::update()
                .table("password")
                .value("password_hash", new)
                .and_where(Expr::col("local_user_id").in_subquery(local_user))
                .and_where(Expr::col("password_hash").eq(old))
                .to_owned();
            tx.execute(&update).await?;
        })
    }

    /// Forgets failed logins.
    pub async fn reset_failed_logins(&self, id: &UserId) -> Result<()> {
        write!(self, Touches::Nothing, tx => { clear_failures(tx, id).await? })
    }
}

/// Makes a password the current one. Those before it stay as history, expired.
pub(crate) async fn add_password(
    tx: &mut Session,
    id: &UserId,
    password: &NewPassword,
) -> Result<()> {
    let dialect = tx.dialect();
    let local_user = Query::select()
        .column("id")
        .from("local_user")
        .and_where(Expr::col("user_id").eq(id.as_str()))
        .to_owned();
    let Some(row) = tx.fetch_optional(&local_user).await? else {
        return Err(Error::InUse(format!(
            "user {id} has no local account to hold a password"
        )));
    };
    let local_user_id = row.int("id")?;
    let now = password.created_at;
    let expire_older = Query::update()
        .table("password")
        .value("expires_at", time(dialect, now))
        .value("expires_at_int", now.timestamp_micros())
        .and_where(Expr::col("local_user_id").eq(local_user_id))
        .and_where(
            Expr::col("expires_at")
                .is_null()
                .or(Expr::col("expires_at").gt(time(dialect, now))),
        )
        .to_owned();
    tx.execute(&expire_older).await?;
    let hash = (!password.hash.is_empty()).then_some(password.hash.as_str());
    let insert = Query::insert()
        .into_table("password")
        .columns([
            "local_user_id",
            "expires_at",
            "self_service",
            "password_hash",
            "created_at_int",
            "expires_at_int",
            "created_at",
        ])
        .values_panic([
            local_user_id.into(),
            opt_time(dialect, password.expires_at).into(),
            password.self_service.into(),
            hash.into(),
            now.timestamp_micros().into(),
            password
                .expires_at
                .map(|time| time.timestamp_micros())
                .into(),
            time(dialect, now).into(),
        ])
        .to_owned();
    tx.execute(&insert).await.map(drop)
}

/// Forgets failed logins.
pub(crate) async fn clear_failures(tx: &mut Session, id: &UserId) -> Result<()> {
    let dialect = tx.dialect();
    let update = Query::update()
        .table("local_user")
        .value("failed_auth_count", 0)
        .value("failed_auth_at", opt_time(dialect, None))
        .and_where(Expr::col("user_id").eq(id.as_str()))
        .to_owned();
    tx.execute(&update).await.map(drop)
}
