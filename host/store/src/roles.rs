//! Roles, their options, and which role implies which.

use std::collections::HashMap;

use archstone_model::{
    entity::Entity,
    id::{DomainId, RoleId},
    project::ResourceOptions,
    role::{ImpliedRole, Role, RoleFilter, RolePatch},
};
use sea_query::{Expr, ExprTrait, Query, SelectStatement};

use crate::{
    Error, Result, Store,
    changes::Touches,
    database::Session,
    error::OnDuplicate,
    extra::{json, read_resource_option, resource_option_rows},
    filter::{by_name, by_page},
    row::Row,
    users::delete_where,
    write,
};

/// What the `domain_id` of a global role holds, so that names stay unique on every database.
const NO_DOMAIN: &str = "<<null>>";

impl Store {
    /// # Errors
    /// `NotFound`.
    pub async fn role(&self, id: &RoleId) -> Result<Role> {
        let mut session = self.db.session().await?;
        load_one(&mut session, id).await
    }

    /// The global role with this name, or the one of a domain.
    ///
    /// # Errors
    /// `NotFound`, with the name as its id.
    pub async fn role_by_name(&self, name: &str, domain_id: Option<&DomainId>) -> Result<Role> {
        let mut session = self.db.session().await?;
        let mut query = select();
        query
            .and_where(Expr::col("name").eq(name))
            .and_where(Expr::col("domain_id").eq(domain_id.map_or(NO_DOMAIN, DomainId::as_str)));
        let mut found = load(&mut session, &query).await?.into_iter();
        found
            .find(|role| self.is_named(&role.name, name))
            .ok_or_else(|| Error::not_found(Entity::Role, name))
    }

    /// Roles in id order: the global ones, or those of the domain in the filter.
    pub async fn roles(&self, filter: &RoleFilter) -> Result<Vec<Role>> {
        let mut session = self.db.session().await?;
        let mut query = select();
        let domain_id = filter
            .domain_id
            .as_ref()
            .map_or(NO_DOMAIN, DomainId::as_str);
        query.and_where(Expr::col("domain_id").eq(domain_id));
        by_name(&mut query, ("role", "name"), &filter.names);
        by_page(&mut query, ("role", "id"), &filter.page);
        let mut roles = load(&mut session, &query).await?;
        self.keep_exact(&mut roles, &filter.names, |role| &role.name);
        Ok(roles)
    }

    /// Every role there is, by id.
    pub async fn all_roles(&self) -> Result<HashMap<RoleId, Role>> {
        let mut session = self.db.session().await?;
        let roles = load(&mut session, &select()).await?;
        Ok(roles
            .into_iter()
            .map(|role| (role.id.clone(), role))
            .collect())
    }

    /// # Errors
    /// `Conflict` where the name is taken.
    pub async fn create_role(&self, role: &Role) -> Result<()> {
        write!(self, Touches::Nothing, tx => {
            let insert = Query::insert()
                .into_table("role")
                .columns(["id", "name", "extra", "domain_id", "description"])
                .values_panic([
                    role.id.as_str().into(),
                    role.name.as_str().into(),
                    json(&role.extra).into(),
                    role.domain_id.as_ref().map_or(NO_DOMAIN, DomainId::as_str).into(),
                    role.description.as_deref().into(),
                ])
                .to_owned();
            tx.execute(&insert).await.on_duplicate(Entity::Role, || duplicate(role))?;
            set_options(tx, &role.id, &role.options).await?;
        })
    }

    /// # Errors
    /// `NotFound`; `Conflict` where the new name is taken.
    pub async fn update_role(&self, id: &RoleId, patch: &RolePatch) -> Result<Role> {
        write!(self, tx => {
            let mut role = load_one(tx, id).await?;
            if let Some(name) = patch.name.as_set() {
                role.name.clone_from(name);
            }
            if let Some(description) = patch.description.as_set() {
                role.description.clone_from(description);
            }
            if let Some(extra) = patch.extra.as_set() {
                role.extra.clone_from(extra);
            }
            let update = Query::update()
                .table("role")
                .value("name", role.name.as_str())
                .value("description", role.description.as_deref())
                .value("extra", json(&role.extra))
                .and_where(Expr::col("id").eq(id.as_str()))
                .to_owned();
            tx.execute(&update).await.on_duplicate(Entity::Role, || duplicate(&role))?;
            if let Some(options) = patch.options.as_set() {
                set_options(tx, id, options).await?;
                role.options.clone_from(options);
            }
            role
        })
    }

    /// Deletes a role with its assignments and implications. Trusts keep its id, and so are good
    /// for nothing any more: they do not silently give less than was agreed.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_role(&self, id: &RoleId) -> Result<()> {
        write!(self, tx => {
            for (table, column) in [
                ("assignment", "role_id"),
                ("system_assignment", "role_id"),
                ("implied_role", "prior_role_id"),
                ("implied_role", "implied_role_id"),
                ("application_credential_role", "role_id"),
                ("role_option", "role_id"),
            ] {
                delete_where(tx, table, column, id.as_str()).await?;
            }
            if delete_where(tx, "role", "id", id.as_str()).await? == 0 {
                return Err(Error::not_found(Entity::Role, id.as_str()));
            }
        })
    }

    /// Every implication there is.
    pub async fn implied_roles(&self) -> Result<Vec<ImpliedRole>> {
        let mut session = self.db.session().await?;
        let query = Query::select()
            .columns(["prior_role_id", "implied_role_id"])
            .from("implied_role")
            .to_owned();
        session
            .fetch_all(&query)
            .await?
            .iter()
            .map(|row| {
                Ok(ImpliedRole {
                    prior: row.text("prior_role_id")?.into(),
                    implied: row.text("implied_role_id")?.into(),
                })
            })
            .collect()
    }

    /// Adds an implication; adding one again changes nothing.
    pub async fn create_implied_role(&self, implication: &ImpliedRole) -> Result<()> {
        write!(self, tx => {
            if tx.fetch_optional(&find(implication)).await?.is_none() {
                let insert = Query::insert()
                    .into_table("implied_role")
                    .columns(["prior_role_id", "implied_role_id"])
                    .values_panic([
                        implication.prior.as_str().into(),
                        implication.implied.as_str().into(),
                    ])
                    .to_owned();
                tx.execute(&insert).await?;
            }
        })
    }

    /// # Errors
    /// `NotFound`.
    pub async fn delete_implied_role(&self, implication: &ImpliedRole) -> Result<()> {
        write!(self, tx => {
            let delete = Query::delete()
                .from_table("implied_role")
                .and_where(Expr::col("prior_role_id").eq(implication.prior.as_str()))
                .and_where(Expr::col("implied_role_id").eq(implication.implied.as_str()))
                .to_owned();
            if tx.execute(&delete).await? == 0 {
                return Err(Error::not_found(Entity::ImpliedRole, implication.implied.as_str()));
            }
        })
    }
}

fn find(implication: &ImpliedRole) -> SelectStatement {
    Query::select()
        .column("prior_role_id")
        .from("implied_role")
        .and_where(Expr::col("prior_role_id").eq(implication.prior.as_str()))
        .and_where(Expr::col("implied_role_id").eq(implication.implied.as_str()))
        .to_owned()
}

fn select() -> SelectStatement {
    Query::select()
        .columns(["id", "name", "extra", "domain_id", "description"])
        .from("role")
        .to_owned()
}

fn read(row: &Row) -> Result<Role> {
    let domain_id = row.text("domain_id")?;
    Ok(Role {
        id: row.text("id")?.into(),
        name: row.text("name")?,
        domain_id: (domain_id != NO_DOMAIN).then(|| domain_id.into()),
        description: row.opt_text("description")?,
        options: ResourceOptions::default(),
        extra: row.extra()?,
    })
}

async fn load_one(session: &mut Session, id: &RoleId) -> Result<Role> {
    let mut query = select();
    query.and_where(Expr::col("id").eq(id.as_str()));
    let found = load(session, &query).await?.into_iter().next();
    found.ok_or_else(|| Error::not_found(Entity::Role, id.as_str()))
}

async fn load(session: &mut Session, query: &SelectStatement) -> Result<Vec<Role>> {
    let mut roles = Vec::new();
    for row in session.fetch_all(query).await? {
        roles.push(read(&row)?);
    }
    if roles.is_empty() {
        return Ok(roles);
    }
    // Few roles have options, so all of them are read at once.
    let options = Query::select()
        .columns(["role_id", "option_id", "option_value"])
        .from("role_option")
        .to_owned();
    for row in session.fetch_all(&options).await? {
        let role_id = row.text("role_id")?;
        if let Some(role) = roles.iter_mut().find(|role| role.id.as_str() == role_id) {
            let value = row.opt_text("option_value")?;
            read_resource_option(&mut role.options, &row.text("option_id")?, value.as_deref());
        }
    }
    Ok(roles)
}

async fn set_options(tx: &mut Session, id: &RoleId, options: &ResourceOptions) -> Result<()> {
    delete_where(tx, "role_option", "role_id", id.as_str()).await?;
    for (option, value) in resource_option_rows(options) {
        let insert = Query::insert()
            .into_table("role_option")
            .columns(["role_id", "option_id", "option_value"])
            .values_panic([id.as_str().into(), option.into(), value.into()])
            .to_owned();
        tx.execute(&insert).await?;
    }
    Ok(())
}

fn duplicate(role: &Role) -> String {
    match &role.domain_id {
        Some(domain_id) => {
            format!(
                "Duplicate entry found with name {} at domain ID {domain_id}",
                role.name
            )
        }
        None => format!("Duplicate entry found with name {}", role.name),
    }
}
