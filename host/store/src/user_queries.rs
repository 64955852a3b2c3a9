//! Reading users, one or many, with what other tables hold of them.
//!
//! One is read by a single statement that joins all of it. Many are read by a statement for each kind of
//! thing: a row for each combination of somebody's options and accounts would repeat the user every time.

use std::collections::{BTreeMap, HashMap};

use archstone_model::{
    entity::Entity,
    id::{DomainId, GroupId, UserId},
    listing::Comparison,
    user::{FederatedAccount, TimeComparison, User, UserFilter, UserKind, UserOptions},
};
use sea_query::{Cond, Expr, ExprTrait, JoinType, Order, Query, SelectStatement, Value};

use crate::{
    BATCH, Dialect, Error, Result, Store,
    database::Session,
    extra::{read_user_option, time},
    filter::{by_name, by_page},
    row::Row,
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
        let wanted = conditions(filter, session.dialect());
        let mut users = load(&mut session, &chosen(wanted, filter)).await?;
        self.keep_exact(&mut users, &filter.names, |user| &user.name);
        Ok(users)
    }

    /// The ids of the same users, in the same order, where the filter names none.
    pub async fn user_ids(&self, filter: &UserFilter) -> Result<Vec<UserId>> {
        let mut session = self.db.session().await?;
        let mut query = ids(conditions(filter, session.dialect()));
        by_page(&mut query, ("user", "id"), &filter.page);
        let rows = session.fetch_all(&query).await?;
        rows.iter().map(|row| Ok(row.text("id")?.into())).collect()
    }

    /// Those of these users that there are, in id order.
    pub async fn users_with_ids(&self, ids: &[UserId]) -> Result<Vec<User>> {
        let mut session = self.db.session().await?;
        let mut users = Vec::with_capacity(ids.len());
        for batch in ids.chunks(BATCH) {
            // One of a few lengths, for each is a statement of its own to prepare and keep.
            let length = batch.len().next_power_of_two();
            let named = batch.iter().map(UserId::as_str).cycle().take(length);
            let is_one = Expr::col(("user", "id")).is_in(named);
            users.extend(load(&mut session, &Cond::all().add(is_one)).await?);
        }
        Ok(users)
    }

    /// The members of a group, in id order.
    pub async fn users_of_group(&self, id: &GroupId, filter: &UserFilter) -> Result<Vec<User>> {
        let mut session = self.db.session().await?;
        let members = Query::select()
            .column("user_id")
            .from("user_group_membership")
            .and_where(Expr::col("group_id").eq(id.as_str()))
            .to_owned();
        let wanted = conditions(filter, session.dialect())
            .add(Expr::col(("user", "id")).in_subquery(members));
        let mut members = load(&mut session, &chosen(wanted, filter)).await?;
        self.keep_exact(&mut members, &filter.names, |user| &user.name);
        Ok(members)
    }
}

fn select_users() -> SelectStatement {
    Query::select()
        .columns(
            [
                "id",
                "domain_id",
                "extra",
                "enabled",
                "default_project_id",
                "created_at",
                "last_active_at",
            ]
            .map(|name| ("user", name)),
        )
        .expr_as(Expr::col(("local_user", "name")), "local_name")
        .expr_as(Expr::col(("password", "id")), "password_id")
        .columns(["created_at_int", "expires_at"].map(|name| ("password", name)))
        .from("user")
        .join(
            JoinType::LeftJoin,
            "local_user",
            Expr::col(("local_user", "user_id")).equals(("user", "id")),
        )
        .join(
            JoinType::LeftJoin,
            "password",
            Expr::col(("password", "local_user_id")).equals(("local_user", "id")),
        )
        .to_owned()
}

/// What other tables hold of a user.
#[derive(Debug, Clone, Copy)]
enum Part {
    NonlocalName,
    Options,
    Accounts,
}

impl Part {
    const ALL: [Self; 3] = [Self::NonlocalName, Self::Options, Self::Accounts];

    fn table(self) -> &'static str {
        match self {
            Self::NonlocalName => "nonlocal_user",
            Self::Options => "user_option",
            Self::Accounts => "federated_user",
        }
    }

    /// The columns that tell of it, and what they are called in an answer.
    fn columns(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::NonlocalName => &[("name", "nonlocal_name")],
            Self::Options => &[("option_id", "option_id"), ("option_value", "option_value")],
            Self::Accounts => &[
                ("id", "account_id"),
                ("idp_id", "idp_id"),
                ("protocol_id", "protocol_id"),
                ("unique_id", "unique_id"),
                ("display_name", "display_name"),
            ],
        }
    }

    fn select_from(self, query: &mut SelectStatement) {
        for (column, name) in self.columns() {
            query.expr_as(Expr::col((self.table(), *column)), *name);
        }
    }
}

/// Whom a filter lets pass, its page aside.
fn conditions(filter: &UserFilter, dialect: Dialect) -> Cond {
    let mut wanted = Cond::all();
    if let Some(domain_id) = &filter.domain_id {
        wanted = wanted.add(Expr::col(("user", "domain_id")).eq(domain_id.as_str()));
    }
    if let Some(enabled) = filter.enabled {
        wanted = wanted.add(Expr::col(("user", "enabled")).eq(enabled));
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
        wanted = wanted.add(named);
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
        wanted = wanted.add(Expr::col(("user", "id")).in_subquery(federated));
    }
    for (comparison, when) in &filter.password_expires {
        let column = Expr::col(("password", "expires_at"));
        let when: Value = time(dialect, *when);
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
        wanted = wanted.add(Expr::col(("user", "id")).in_subquery(expiring));
    }
    wanted
}

/// The ids of those who meet a condition.
fn ids(wanted: Cond) -> SelectStatement {
    Query::select()
        .column(("user", "id"))
        .from("user")
        .cond_where(wanted)
        .to_owned()
}

/// The same people as a condition that also says which page of them. A limit has to count users before
/// they are joined with anything.
fn chosen(wanted: Cond, filter: &UserFilter) -> Cond {
    if filter.page.marker.is_none() && filter.page.limit.is_none() {
        return wanted;
    }
    let mut page = ids(wanted);
    by_page(&mut page, ("user", "id"), &filter.page);
    // MariaDB takes no limit in a subquery, but in one of that.
    let page = Query::select()
        .column("id")
        .from_subquery(page, "page")
        .to_owned();
    Cond::all().add(Expr::col(("user", "id")).in_subquery(page))
}

pub(crate) async fn load_one(session: &mut Session, id: &UserId) -> Result<User> {
    let mut query = select_users();
    query.and_where(Expr::col(("user", "id")).eq(id.as_str()));
    for part in Part::ALL {
        let table = part.table();
        let is_theirs = Expr::col((table, "user_id")).equals(("user", "id"));
        query.join(JoinType::LeftJoin, table, is_theirs);
        part.select_from(&mut query);
    }
    let rows = session.fetch_all(&query).await?;
    let mut user = read(&rows)?.ok_or_else(|| Error::not_found(Entity::User, id.as_str()))?;
    let mut parts = Parts::default();
    for row in &rows {
        for part in Part::ALL {
            parts.take(part, row)?;
        }
    }
    parts.complete(&mut user);
    Ok(user)
}

/// All who meet a condition, in id order.
async fn load(session: &mut Session, wanted: &Cond) -> Result<Vec<User>> {
    let mut query = select_users();
    query
        .cond_where(wanted.clone())
        .order_by(("user", "id"), Order::Asc);
    let rows = session.fetch_all(&query).await?;
    let mut row_ids = Vec::with_capacity(rows.len());
    for row in &rows {
        row_ids.push(row.text("id")?);
    }
    let mut users = Vec::with_capacity(rows.len());
    let mut rest = rows.as_slice();
    for of_one in row_ids.chunk_by(PartialEq::eq) {
        let (rows, others) = rest.split_at(of_one.len());
        users.extend(read(rows)?);
        rest = others;
    }
    let mut parts: HashMap<String, Parts> = HashMap::new();
    for part in Part::ALL {
        let table = part.table();
        let mut query = Query::select();
        query
            .column("user_id")
            .from(table)
            .and_where(Expr::col("user_id").in_subquery(ids(wanted.clone())));
        part.select_from(&mut query);
        for row in session.fetch_all(&query).await? {
            let of_user = parts.entry(row.text("user_id")?).or_default();
            of_user.take(part, &row)?;
        }
    }
    for user in &mut users {
        parts
            .remove(user.id.as_str())
            .unwrap_or_default()
            .complete(user);
    }
    Ok(users)
}

/// A user as the rows of one tell, of which there is one for each of their passwords.
fn read(rows: &[Row]) -> Result<Option<User>> {
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let mut newest = None;
    for row in rows {
        let made = (row.opt_int("created_at_int")?, row.opt_int("password_id")?);
        if newest.as_ref().is_none_or(|(other, _)| *other < made) {
            newest = Some((made, row));
        }
    }
    let password_expires_at = match newest {
        Some((_, row)) => row.opt_time("expires_at")?,
        None => None,
    };
    let local_name = row.opt_text("local_name")?;
    Ok(Some(User {
        id: row.text("id")?.into(),
        domain_id: row.text("domain_id")?.into(),
        kind: match local_name {
            Some(_) => UserKind::Local,
            None => UserKind::Federated,
        },
        name: local_name.unwrap_or_default(),
        enabled: row.opt_bool("enabled")?.unwrap_or(true),
        default_project_id: row.opt_text("default_project_id")?.map(Into::into),
        created_at: row.opt_time("created_at")?,
        last_active_at: row.opt_date("last_active_at")?,
        password_expires_at,
        options: UserOptions::default(),
        federated: Vec::new(),
        extra: row.extra()?,
    }))
}

/// What other tables hold of one user. The same thing may be told many times.
#[derive(Debug, Default)]
struct Parts {
    nonlocal_name: Option<String>,
    options: UserOptions,
    accounts: BTreeMap<i64, FederatedAccount>,
}

impl Parts {
    fn take(&mut self, part: Part, row: &Row) -> Result<()> {
        match part {
            Part::NonlocalName => {
                let name = row.opt_text("nonlocal_name")?;
                self.nonlocal_name = name.or_else(|| self.nonlocal_name.take());
            }
            Part::Options => {
                if let Some(id) = row.opt_text("option_id")? {
                    let value = row.opt_text("option_value")?;
                    read_user_option(&mut self.options, &id, value.as_deref());
                }
            }
            Part::Accounts => {
                if let Some(id) = row.opt_int("account_id")? {
                    let account = FederatedAccount {
                        idp_id: row.text("idp_id")?.into(),
                        protocol_id: row.text("protocol_id")?.into(),
                        unique_id: row.text("unique_id")?,
                        display_name: row.opt_text("display_name")?,
                    };
                    self.accounts.insert(id, account);
                }
            }
        }
        Ok(())
    }

    fn complete(self, user: &mut User) {
        user.options = self.options;
        user.federated = self.accounts.into_values().collect();
        match self.nonlocal_name {
            Some(name) if user.kind != UserKind::Local => {
                user.kind = UserKind::NonLocal;
                user.name = name;
            }
            _ => {}
        }
        if user.name.is_empty()
            && let Some(name) = user.federated.iter().find_map(|it| it.display_name.clone())
        {
            user.name = name;
        }
    }
}
