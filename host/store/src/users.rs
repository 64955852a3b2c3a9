//! Writing users: `user`, `local_user`, `nonlocal_user`, `federated_user` and `user_option`.

use archstone_model::{
    entity::Entity,
    id::{DomainId, UserId},
    user::{FederatedAccount, NewPassword, NewUser, User, UserKind, UserOptions, UserPatch},
};
use chrono::{NaiveDate, Utc};
use sea_query::{Expr, ExprTrait, Query};

use crate::{
    Error, Result, Store,
    changes::Touches,
    database::Session,
    error::OnDuplicate,
    extra::{json, time, user_option_rows},
    passwords::{add_password, clear_failures},
    trusts::delete_trusts_of,
    user_queries::load_one,
    write,
};

impl Store {
    /// # Errors
    /// `Conflict` where the name is taken in the domain.
    pub async fn create_user(&self, user: &NewUser) -> Result<User> {
        write!(self, Touches::Nothing, tx => {
            let insert = Query::insert()
                .into_table("user")
                .columns(["id", "extra", "enabled", "default_project_id", "created_at", "domain_id"])
                .values_panic([
                    user.id.as_str().into(),
                    json(&user.extra).into(),
                    user.enabled.into(),
                    user.default_project_id.as_ref().map(|id| id.as_str()).into(),
                    time(tx.dialect(), user.created_at).into(),
                    user.domain_id.as_str().into(),
                ])
                .to_owned();
            tx.execute(&insert).await?;
            let insert = Query::insert()
                .into_table("local_user")
                .columns(["user_id", "domain_id", "name", "failed_auth_count"])
                .values_panic([
                    user.id.as_str().into(),
                    user.domain_id.as_str().into(),
                    user.name.as_str().into(),
                    0.into(),
                ])
                .to_owned();
            tx.execute(&insert).await.on_duplicate(Entity::User, || {
                duplicate(&user.name, &user.domain_id)
            })?;
            if let Some(password) = &user.password {
                add_password(tx, &user.id, password).await?;
            }
            set_options(tx, &user.id, &user.options).await?;
            let name = Some(user.name.as_str());
            add_federated(tx, &user.id, &user.federated, name).await?;
            load_one(tx, &user.id).await?
        })
    }

    /// # Errors
    /// `NotFound`; `Conflict` where the new name is taken in the domain.
    pub async fn update_user(&self, id: &UserId, patch: &UserPatch) -> Result<User> {
        write!(self, tx => {
            let before = load_one(tx, id).await?;
            let mut update = Query::update();
            update.table("user").and_where(Expr::col("id").eq(id.as_str()));
            let mut touched = false;
            if let Some(enabled) = patch.enabled.as_set() {
                update.value("enabled", *enabled);
                touched = true;
            }
            if let Some(project) = patch.default_project_id.as_set() {
                update.value("default_project_id", project.as_ref().map(|id| id.as_str()));
                touched = true;
            }
            if let Some(extra) = patch.extra.as_set() {
                update.value("extra", json(extra));
                touched = true;
            }
            if touched {
                tx.execute(&update).await?;
            }
            if patch.enabled.as_set() == Some(&true) {
                clear_failures(tx, id).await?;
            }
            if let Some(name) = patch.name.as_set() {
                rename(tx, &before, name).await?;
            }
            if let Some(password) = patch.password.as_set() {
                match password {
                    Some(password) => add_password(tx, id, password).await?,
                    None => {
                        let none = NewPassword {
                            hash: String::new(),
                            created_at: Utc::now(),
                            expires_at: None,
                            self_service: false,
                        };
                        add_password(tx, id, &none).await?;
                    }
                }
            }
            if let Some(options) = patch.options.as_set() {
                set_options(tx, id, options).await?;
            }
            if let Some(federated) = patch.federated.as_set() {
                delete_where(tx, "federated_user", "user_id", id.as_str()).await?;
                add_federated(tx, id, federated, Some(&before.name)).await?;
            }
            load_one(tx, id).await?
        })
    }

    /// Deletes a user and everything that is theirs.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_user(&self, id: &UserId) -> Result<()> {
        write!(self, tx => {
            if delete_with_belongings(tx, id.as_str()).await? == 0 {
                return Err(Error::not_found(Entity::User, id.as_str()));
            }
        })
    }

    /// Notes the day of a user's last login.
    pub async fn record_activity(&self, id: &UserId, day: NaiveDate) -> Result<()> {
        write!(self, Touches::Nothing, tx => {
            let update = Query::update()
                .table("user")
                .value("last_active_at", day)
                .and_where(Expr::col("id").eq(id.as_str()))
                .to_owned();
            tx.execute(&update).await?;
        })
    }
}

/// Deletes a user and everything that is theirs; says how many users that were.
pub(crate) async fn delete_with_belongings(tx: &mut Session, id: &str) -> Result<u64> {
    for (table, column) in [
        ("user_group_membership", "user_id"),
        ("expiring_user_group_membership", "user_id"),
        ("assignment", "actor_id"),
        ("system_assignment", "actor_id"),
        ("credential", "user_id"),
        ("application_credential", "user_id"),
        ("access_rule", "user_id"),
        ("federated_user", "user_id"),
        ("nonlocal_user", "user_id"),
        ("local_user", "user_id"),
        ("user_option", "user_id"),
    ] {
        delete_where(tx, table, column, id).await?;
    }
    for side in ["trustor_user_id", "trustee_user_id"] {
        delete_trusts_of(tx, Expr::col(side).eq(id)).await?;
    }
    delete_where(tx, "user", "id", id).await
}

async fn rename(tx: &mut Session, before: &User, name: &str) -> Result<()> {
    let (table, column) = match before.kind {
        UserKind::Local => ("local_user", "name"),
        UserKind::NonLocal => ("nonlocal_user", "name"),
        UserKind::Federated => ("federated_user", "display_name"),
    };
    let update = Query::update()
        .table(table)
        .value(column, name)
        .and_where(Expr::col("user_id").eq(before.id.as_str()))
        .to_owned();
    tx.execute(&update)
        .await
        .on_duplicate(Entity::User, || duplicate(name, &before.domain_id))
        .map(drop)
}

async fn set_options(tx: &mut Session, id: &UserId, options: &UserOptions) -> Result<()> {
    delete_where(tx, "user_option", "user_id", id.as_str()).await?;
    for (option, value) in user_option_rows(options) {
        let insert = Query::insert()
            .into_table("user_option")
            .columns(["user_id", "option_id", "option_value"])
            .values_panic([id.as_str().into(), option.into(), value.into()])
            .to_owned();
        tx.execute(&insert).await?;
    }
    Ok(())
}

pub(crate) async fn add_federated(
    tx: &mut Session,
    id: &UserId,
    accounts: &[FederatedAccount],
    name: Option<&str>,
) -> Result<()> {
    for account in accounts {
        let insert = Query::insert()
            .into_table("federated_user")
            .columns([
                "user_id",
                "idp_id",
                "protocol_id",
                "unique_id",
                "display_name",
            ])
            .values_panic([
                id.as_str().into(),
                account.idp_id.as_str().into(),
                account.protocol_id.as_str().into(),
                account.unique_id.as_str().into(),
                account.display_name.as_deref().or(name).into(),
            ])
            .to_owned();
        tx.execute(&insert)
            .await
            .map_err(|error| {
                if error.is_reference_violation() {
                    Error::not_found(Entity::Protocol, account.protocol_id.as_str())
                } else {
                    error
                }
            })
            .on_duplicate(Entity::FederatedUser, || {
                format!("Duplicate entry found with ID {}", account.unique_id)
            })?;
    }
    Ok(())
}

/// Deletes the rows of `table` whose `column` is `value`; says how many.
pub(crate) async fn delete_where(
    tx: &mut Session,
    table: &'static str,
    column: &'static str,
    value: &str,
) -> Result<u64> {
    let delete = Query::delete()
        .from_table(table)
        .and_where(Expr::col(column).eq(value))
        .to_owned();
    tx.execute(&delete).await
}

fn duplicate(name: &str, domain_id: &DomainId) -> String {
    format!("Duplicate entry found with name {name} at domain ID {domain_id}")
}
