//! Groups and who is in them.

use std::collections::HashMap;

use archstone_model::{
    entity::Entity,
    id::{DomainId, GroupId, UserId},
    user::{Group, GroupFilter, GroupKind, GroupPatch},
};
use sea_query::{Expr, ExprTrait, JoinType, Order, Query, SelectStatement};

use crate::{
    BATCH, Error, Result, Store,
    changes::Touches,
    database::Session,
    error::OnDuplicate,
    extra::json,
    filter::{by_name, by_page},
    row::Row,
    users::delete_where,
    write,
};

impl Store {
    /// # Errors
    /// `NotFound`.
    pub async fn group(&self, id: &GroupId) -> Result<Group> {
        let mut session = self.db.session().await?;
        load_one(&mut session, id).await
    }

    /// # Errors
    /// `NotFound`, with the name as its id.
    pub async fn group_by_name(&self, name: &str, domain_id: &DomainId) -> Result<Group> {
        let mut session = self.db.session().await?;
        let mut query = select();
        query
            .and_where(Expr::col("name").eq(name))
            .and_where(Expr::col("domain_id").eq(domain_id.as_str()));
        let found = session.fetch_optional(&query).await?;
        let group = found.map(|row| read(&row)).transpose()?;
        group
            .filter(|group| self.is_named(&group.name, name))
            .ok_or_else(|| Error::not_found(Entity::Group, name))
    }

    /// Groups in id order.
    pub async fn groups(&self, filter: &GroupFilter) -> Result<Vec<Group>> {
        let mut session = self.db.session().await?;
        let mut query = select();
        if let Some(domain_id) = &filter.domain_id {
            query.and_where(Expr::col("domain_id").eq(domain_id.as_str()));
        }
        by_name(&mut query, ("group", "name"), &filter.names);
        by_page(&mut query, ("group", "id"), &filter.page);
        let rows = session.fetch_all(&query).await?;
        let mut groups: Vec<Group> = rows.iter().map(read).collect::<Result<_>>()?;
        self.keep_exact(&mut groups, &filter.names, |group| &group.name);
        Ok(groups)
    }

    /// # Errors
    /// `Conflict` where the name is taken in the domain.
    pub async fn create_group(&self, group: &Group) -> Result<()> {
        write!(self, Touches::Nothing, tx => {
            let insert = Query::insert()
                .into_table("group")
                .columns(["id", "domain_id", "name", "description", "extra"])
                .values_panic([
                    group.id.as_str().into(),
                    group.domain_id.as_str().into(),
                    group.name.as_str().into(),
                    group.description.as_deref().into(),
                    json(&group.extra).into(),
                ])
                .to_owned();
            tx.execute(&insert)
                .await
                .on_duplicate(Entity::Group, || duplicate(&group.name, &group.domain_id))?;
        })
    }

    /// # Errors
    /// `NotFound`; `Conflict` where the new name is taken in the domain.
    pub async fn update_group(&self, id: &GroupId, patch: &GroupPatch) -> Result<Group> {
        write!(self, tx => {
            let mut group = load_one(tx, id).await?;
            if let Some(name) = patch.name.as_set() {
                group.name.clone_from(name);
            }
            if let Some(description) = patch.description.as_set() {
                group.description.clone_from(description);
            }
            if let Some(extra) = patch.extra.as_set() {
                group.extra.clone_from(extra);
            }
            let update = Query::update()
                .table("group")
                .value("name", group.name.as_str())
                .value("description", group.description.as_deref())
                .value("extra", json(&group.extra))
                .and_where(Expr::col("id").eq(id.as_str()))
                .to_owned();
            tx.execute(&update)
                .await
                .on_duplicate(Entity::Group, || duplicate(&group.name, &group.domain_id))?;
            group
        })
    }

    /// Deletes a group with its memberships and assignments.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_group(&self, id: &GroupId) -> Result<()> {
        write!(self, tx => {
            for (table, column) in [
                ("user_group_membership", "group_id"),
                ("expiring_user_group_membership", "group_id"),
                ("assignment", "actor_id"),
                ("system_assignment", "actor_id"),
            ] {
                delete_where(tx, table, column, id.as_str()).await?;
            }
            if delete_where(tx, "group", "id", id.as_str()).await? == 0 {
                return Err(Error::not_found(Entity::Group, id.as_str()));
            }
        })
    }

    /// Adds a member; adding one again changes nothing.
    pub async fn add_user_to_group(&self, user_id: &UserId, group_id: &GroupId) -> Result<()> {
        write!(self, tx => {
            if !is_member(tx, user_id, group_id).await? {
                let insert = Query::insert()
                    .into_table("user_group_membership")
                    .columns(["user_id", "group_id"])
                    .values_panic([user_id.as_str().into(), group_id.as_str().into()])
                    .to_owned();
                tx.execute(&insert).await?;
            }
        })
    }

    /// # Errors
    /// `NotFound` where the user is not a member.
    pub async fn remove_user_from_group(&self, user_id: &UserId, group_id: &GroupId) -> Result<()> {
        write!(self, tx => {
            let delete = Query::delete()
                .from_table("user_group_membership")
                .and_where(Expr::col("user_id").eq(user_id.as_str()))
                .and_where(Expr::col("group_id").eq(group_id.as_str()))
                .to_owned();
            if tx.execute(&delete).await? == 0 {
                return Err(Error::not_found(
                    Entity::User,
                    format!("User '{user_id}' not found in group '{group_id}'"),
                ));
            }
        })
    }

    pub async fn is_member(&self, user_id: &UserId, group_id: &GroupId) -> Result<bool> {
        let mut session = self.db.session().await?;
        is_member(&mut session, user_id, group_id).await
    }

    /// The groups a user is in, in id order.
    pub async fn groups_of_user(&self, user_id: &UserId) -> Result<Vec<Group>> {
        let mut session = self.db.session().await?;
        let mut query = select();
        query
            .join(
                JoinType::InnerJoin,
                "user_group_membership",
                Expr::col(("user_group_membership", "group_id")).equals(("group", "id")),
            )
            .and_where(Expr::col(("user_group_membership", "user_id")).eq(user_id.as_str()));
        by_page(&mut query, ("group", "id"), &Default::default());
        session.fetch_all(&query).await?.iter().map(read).collect()
    }

    /// The ids of the members of each of these groups, in id order. Groups without any are left out.
    pub async fn members_of_groups(
        &self,
        ids: &[GroupId],
    ) -> Result<HashMap<GroupId, Vec<UserId>>> {
        let mut session = self.db.session().await?;
        let mut members: HashMap<GroupId, Vec<UserId>> = HashMap::new();
        for ids in ids.chunks(BATCH) {
            let query = Query::select()
                .columns(["group_id", "user_id"])
                .from("user_group_membership")
                .and_where(Expr::col("group_id").is_in(ids.iter().map(GroupId::as_str)))
                .order_by("user_id", Order::Asc)
                .to_owned();
            for row in session.fetch_all(&query).await? {
                let of_group = members.entry(row.text("group_id")?.into()).or_default();
                of_group.push(row.text("user_id")?.into());
            }
        }
        Ok(members)
    }
}

pub(crate) fn select() -> SelectStatement {
    Query::select()
        .columns([
            ("group", "id"),
            ("group", "domain_id"),
            ("group", "name"),
            ("group", "description"),
            ("group", "extra"),
        ])
        .from("group")
        .to_owned()
}

pub(crate) fn read(row: &Row) -> Result<Group> {
    Ok(Group {
        id: row.text("id")?.into(),
        domain_id: row.text("domain_id")?.into(),
        name: row.text("name")?,
        kind: GroupKind::Local,
        description: row.opt_text("description")?,
        extra: row.extra()?,
    })
}

async fn load_one(session: &mut Session, id: &GroupId) -> Result<Group> {
    let mut query = select();
    query.and_where(Expr::col("id").eq(id.as_str()));
    match session.fetch_optional(&query).await? {
        Some(row) => read(&row),
        None => Err(Error::not_found(Entity::Group, id.as_str())),
    }
}

async fn is_member(session: &mut Session, user_id: &UserId, group_id: &GroupId) -> Result<bool> {
    let query = Query::select()
        .column("user_id")
        .from("user_group_membership")
        .and_where(Expr::col("user_id").eq(user_id.as_str()))
        .and_where(Expr::col("group_id").eq(group_id.as_str()))
        .to_owned();
    Ok(session.fetch_optional(&query).await?.is_some())
}

fn duplicate(name: &str, domain_id: &DomainId) -> String {
    format!("Duplicate entry found with name {name} at domain ID {domain_id}")
}
