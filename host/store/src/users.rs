//! Users: `user`, `local_user`, `nonlocal_user`, `federated_user` and `user_option`.

use std::collections::HashMap;

use archstone_model::{
    entity::Entity,
    id::{DomainId, UserId},
    listing::Comparison,
    user::{
        FederatedAccount, NewPassword, NewUser, TimeComparison, User, UserFilter, UserKind,
        UserOptions, UserPatch,
    },
};
use chrono::{NaiveDate, Utc};
use sea_query::{Expr, ExprTrait, JoinType, Order, Query, SelectStatement, Value};

use crate::{
    BATCH, Error, Result, Store,
    changes::Touches,
    database::Session,
    error::OnDuplicate,
    extra::{json, read_user_option, time, user_option_rows},
    filter::{by_name, by_page},
    passwords::{add_password, clear_failures},
    row::Row,
    trusts::delete_trusts_of,
    write,
};

impl Store {
    /// # Errors
    /// `NotFound`.
    pub async fn user(&self, id: &UserId) -> Result<User> {
        let mut session = self.db.session().await?;
        load_one(&mut session, id).await
    }

    /// The local or nonlocal user with this name in this domain.
    pub async fn user_by_name(&self, name: &str, domain_id: &DomainId) -> Result<User> {
        let mut session = self.db.session().await?;
        for table in ["local_user", "nonlocal_user"] {
            let query = Query::select()
                .columns(["user_id", "name"])
                .from(table)
                .and_where(Expr::col("name").eq(name))
                .and_where(Expr::col("domain_id").eq(domain_id.as_str()))
                .to_owned();
            if let Some(row) = session.fetch_optional(&query).await?
                && self.is_named(&row.text("name")?, name)
            {
                return load_one(&mut session, &UserId::from(row.text("user_id")?)).await;
            }
        }
        Err(Error::not_found(Entity::User, name))
    }

    /// Users in id order.
    pub async fn users(&self, filter: &UserFilter) -> Result<Vec<User>> {
        let mut session = self.db.session().await?;
        let mut query = select_users();
        narrow(&mut query, filter, &session);
        let mut users = load(&mut session, &query).await?;
        self.keep_exact(&mut users, &filter.names, |user| &user.name);
        Ok(users)
    }

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

pub(crate) fn select_users() -> SelectStatement {
    Query::select()
        .expr_as(Expr::col(("user", "id")), "id")
        .expr_as(Expr::col(("user", "domain_id")), "domain_id")
        .expr_as(Expr::col(("user", "extra")), "extra")
        .expr_as(Expr::col(("user", "enabled")), "enabled")
        .expr_as(
            Expr::col(("user", "default_project_id")),
            "default_project_id",
        )
        .expr_as(Expr::col(("user", "created_at")), "created_at")
        .expr_as(Expr::col(("user", "last_active_at")), "last_active_at")
        .expr_as(Expr::col(("local_user", "name")), "local_name")
        .expr_as(Expr::col(("nonlocal_user", "name")), "nonlocal_name")
        .from("user")
        .join(
            JoinType::LeftJoin,
            "local_user",
            Expr::col(("local_user", "user_id")).equals(("user", "id")),
        )
        .join(
            JoinType::LeftJoin,
            "nonlocal_user",
            Expr::col(("nonlocal_user", "user_id")).equals(("user", "id")),
        )
        .to_owned()
}

pub(crate) fn narrow(query: &mut SelectStatement, filter: &UserFilter, session: &Session) {
    if let Some(domain_id) = &filter.domain_id {
        query.and_where(Expr::col(("user", "domain_id")).eq(domain_id.as_str()));
    }
    if let Some(enabled) = filter.enabled {
        query.and_where(Expr::col(("user", "enabled")).eq(enabled));
    }
    for name in &filter.names {
        let mut local = Query::select();
        local.column("user_id").from("local_user");
        by_name(
            &mut local,
            ("local_user", "name"),
            std::slice::from_ref(name),
        );
        let mut named = Expr::col(("user", "id")).in_subquery(local);
        if name.comparison == Comparison::Equals {
            let federated = Query::select()
                .column("user_id")
                .from("federated_user")
                .and_where(Expr::col("display_name").eq(name.value.as_str()))
                .to_owned();
            named = named.or(Expr::col(("user", "id")).in_subquery(federated));
        }
        query.and_where(named);
    }
    let external = [
        ("idp_id", filter.idp_id.as_ref().map(|id| id.as_str())),
        (
            "protocol_id",
            filter.protocol_id.as_ref().map(|id| id.as_str()),
        ),
        ("unique_id", filter.unique_id.as_deref()),
    ];
    if external.iter().any(|(_, value)| value.is_some()) {
        let mut federated = Query::select();
        federated.column("user_id").from("federated_user");
        for (column, value) in external {
            if let Some(value) = value {
                federated.and_where(Expr::col(column).eq(value));
            }
        }
        query.and_where(Expr::col(("user", "id")).in_subquery(federated));
    }
    for (comparison, when) in &filter.password_expires {
        let column = Expr::col(("password", "expires_at"));
        let when: Value = time(session.dialect(), *when);
        let condition = match comparison {
            TimeComparison::Before => column.lt(when),
            TimeComparison::NotAfter => column.lte(when),
            TimeComparison::After => column.gt(when),
            TimeComparison::NotBefore => column.gte(when),
            TimeComparison::At => column.eq(when),
            TimeComparison::NotAt => column.ne(when),
        };
        let expiring = Query::select()
            .column(("local_user", "user_id"))
            .from("password")
            .join(
                JoinType::InnerJoin,
                "local_user",
                Expr::col(("password", "local_user_id")).equals(("local_user", "id")),
            )
            .and_where(condition)
            .to_owned();
        query.and_where(Expr::col(("user", "id")).in_subquery(expiring));
    }
    by_page(query, ("user", "id"), &filter.page);
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

pub(crate) async fn load_one(session: &mut Session, id: &UserId) -> Result<User> {
    let mut query = select_users();
    query.and_where(Expr::col(("user", "id")).eq(id.as_str()));
    let found = load(session, &query).await?.into_iter().next();
    found.ok_or_else(|| Error::not_found(Entity::User, id.as_str()))
}

/// Runs a query made by [`select_users`] and completes each user with what other tables hold.
pub(crate) async fn load(session: &mut Session, query: &SelectStatement) -> Result<Vec<User>> {
    let mut users = Vec::new();
    for row in session.fetch_all(query).await? {
        users.push(read(&row)?);
    }
    let places: HashMap<String, usize> = users
        .iter()
        .enumerate()
        .map(|(place, user)| (user.id.to_string(), place))
        .collect();
    let ids: Vec<String> = users.iter().map(|user| user.id.to_string()).collect();
    for batch in ids.chunks(BATCH) {
        let is_in_batch = || Expr::col("user_id").is_in(batch.iter().map(String::as_str));
        let options = Query::select()
            .columns(["user_id", "option_id", "option_value"])
            .from("user_option")
            .and_where(is_in_batch())
            .to_owned();
        for row in session.fetch_all(&options).await? {
            if let Some(place) = places.get(&row.text("user_id")?) {
                let value = row.opt_text("option_value")?;
                let options = &mut users[*place].options;
                read_user_option(options, &row.text("option_id")?, value.as_deref());
            }
        }
        let passwords = Query::select()
            .column("user_id")
            .expr_as(Expr::col(("password", "expires_at")), "expires_at")
            .from("password")
            .join(
                JoinType::InnerJoin,
                "local_user",
                Expr::col(("password", "local_user_id")).equals(("local_user", "id")),
            )
            .and_where(is_in_batch())
            .order_by("created_at_int", Order::Asc)
            .order_by(("password", "id"), Order::Asc)
            .to_owned();
        for row in session.fetch_all(&passwords).await? {
            if let Some(place) = places.get(&row.text("user_id")?) {
                users[*place].password_expires_at = row.opt_time("expires_at")?;
            }
        }
        let federated = Query::select()
            .columns([
                "user_id",
                "idp_id",
                "protocol_id",
                "unique_id",
                "display_name",
            ])
            .from("federated_user")
            .and_where(is_in_batch())
            .order_by("id", Order::Asc)
            .to_owned();
        for row in session.fetch_all(&federated).await? {
            if let Some(place) = places.get(&row.text("user_id")?) {
                let user = &mut users[*place];
                let account = FederatedAccount {
                    idp_id: row.text("idp_id")?.into(),
                    protocol_id: row.text("protocol_id")?.into(),
                    unique_id: row.text("unique_id")?,
                    display_name: row.opt_text("display_name")?,
                };
                if user.name.is_empty() {
                    user.name = account.display_name.clone().unwrap_or_default();
                }
                user.federated.push(account);
            }
        }
    }
    Ok(users)
}

fn read(row: &Row) -> Result<User> {
    let (kind, name) = match (row.opt_text("local_name")?, row.opt_text("nonlocal_name")?) {
        (Some(name), _) => (UserKind::Local, name),
        (None, Some(name)) => (UserKind::NonLocal, name),
        (None, None) => (UserKind::Federated, String::new()),
    };
    Ok(User {
        id: row.text("id")?.into(),
        domain_id: row.text("domain_id")?.into(),
        name,
        kind,
        enabled: row.opt_bool("enabled")?.unwrap_or(true),
        default_project_id: row.opt_text("default_project_id")?.map(Into::into),
        created_at: row.opt_time("created_at")?,
        last_active_at: row.opt_date("last_active_at")?,
        password_expires_at: None,
        options: UserOptions::default(),
        federated: Vec::new(),
        extra: row.extra()?,
    })
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
