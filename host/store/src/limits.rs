//! Registered limits and limits. A limit's row only refers to the registered limit that says what
//! it is for.

use archstone_model::{
    entity::Entity,
    id::{LimitId, RegisteredLimitId},
    limit::{
        Limit, LimitFilter, LimitPatch, LimitScope, RegisteredLimit, RegisteredLimitFilter,
        RegisteredLimitPatch, Resource,
    },
};
use sea_query::{Cond, Expr, ExprTrait, Query, SelectStatement};

use crate::{
    Error, Result, Store,
    changes::Touches,
    database::Session,
    filter::{by_name, by_page, equals_or_null},
    row::Row,
    users::delete_where,
    write,
};

const REGISTERED: &str = "registered_limit";
const LIMIT: &str = "limit";

impl Store {
    /// # Errors
    /// `NotFound`.
    pub async fn registered_limit(&self, id: &RegisteredLimitId) -> Result<RegisteredLimit> {
        let mut session = self.db.session().await?;
        load_registered(&mut session, id).await
    }

    /// Registered limits in id order.
    pub async fn registered_limits(
        &self,
        filter: &RegisteredLimitFilter,
    ) -> Result<Vec<RegisteredLimit>> {
        let mut session = self.db.session().await?;
        let mut query = select_registered();
        by_name(&mut query, (REGISTERED, "service_id"), &filter.service_id);
        by_name(&mut query, (REGISTERED, "region_id"), &filter.region_id);
        by_name(
            &mut query,
            (REGISTERED, "resource_name"),
            &filter.resource_name,
        );
        by_page(&mut query, (REGISTERED, "id"), &filter.page);
        let rows = session.fetch_all(&query).await?;
        rows.iter().map(read_registered).collect()
    }

    /// Stores all or none.
    ///
    /// # Errors
    /// `Conflict` where a resource has a registered limit already.
    pub async fn create_registered_limits(&self, limits: &[RegisteredLimit]) -> Result<()> {
        write!(self, Touches::Nothing, tx => {
            for limit in limits {
                refuse_second_registered(tx, &limit.resource).await?;
                let insert = Query::insert()
                    .into_table(REGISTERED)
                    .columns([
                        "id", "service_id", "region_id", "resource_name", "default_limit",
                        "description",
                    ])
                    .values_panic([
                        limit.id.as_str().into(),
                        limit.resource.service_id.as_str().into(),
                        limit.resource.region_id.as_ref().map(|id| id.as_str()).into(),
                        limit.resource.name.as_str().into(),
                        limit.default_limit.into(),
                        limit.description.as_deref().into(),
                    ])
                    .to_owned();
                tx.execute(&insert).await?;
            }
        })
    }

    /// # Errors
    /// `NotFound`; `InUse` where a limit refers to it; `Conflict` where the patch names a resource
    /// that has a registered limit, be it this one.
    pub async fn update_registered_limit(
        &self,
        id: &RegisteredLimitId,
        patch: &RegisteredLimitPatch,
    ) -> Result<RegisteredLimit> {
        write!(self, Touches::Nothing, tx => {
            let mut limit = load_registered(tx, id).await?;
            refuse_referenced(tx, id).await?;
            if let Some(service_id) = patch.service_id.as_set() {
                limit.resource.service_id.clone_from(service_id);
            }
            if let Some(region_id) = patch.region_id.as_set() {
                limit.resource.region_id.clone_from(region_id);
            }
            if let Some(name) = patch.resource_name.as_set() {
                limit.resource.name.clone_from(name);
            }
            if patch.names_resource() {
                refuse_second_registered(tx, &limit.resource).await?;
            }
            if let Some(default_limit) = patch.default_limit.as_set() {
                limit.default_limit = *default_limit;
            }
            if let Some(description) = patch.description.as_set() {
                limit.description.clone_from(description);
            }
            let update = Query::update()
                .table(REGISTERED)
                .value("service_id", limit.resource.service_id.as_str())
                .value("region_id", limit.resource.region_id.as_ref().map(|id| id.as_str()))
                .value("resource_name", limit.resource.name.as_str())
                .value("default_limit", limit.default_limit)
                .value("description", limit.description.as_deref())
                .and_where(Expr::col("id").eq(id.as_str()))
                .to_owned();
            tx.execute(&update).await?;
            limit
        })
    }

    /// # Errors
    /// `NotFound`; `InUse` where a limit refers to it.
    pub async fn delete_registered_limit(&self, id: &RegisteredLimitId) -> Result<()> {
        write!(self, Touches::Nothing, tx => {
            load_registered(tx, id).await?;
            refuse_referenced(tx, id).await?;
            delete_where(tx, REGISTERED, "id", id.as_str()).await?;
        })
    }

    /// # Errors
    /// `NotFound`.
    pub async fn limit(&self, id: &LimitId) -> Result<Limit> {
        let mut session = self.db.session().await?;
        load_limit(&mut session, id).await
    }

    /// Limits in id order.
    pub async fn limits(&self, filter: &LimitFilter) -> Result<Vec<Limit>> {
        let mut session = self.db.session().await?;
        let mut query = select_limits();
        by_name(&mut query, (REGISTERED, "service_id"), &filter.service_id);
        by_name(&mut query, (REGISTERED, "region_id"), &filter.region_id);
        by_name(
            &mut query,
            (REGISTERED, "resource_name"),
            &filter.resource_name,
        );
        by_name(&mut query, (LIMIT, "project_id"), &filter.project_id);
        by_name(&mut query, (LIMIT, "domain_id"), &filter.domain_id);
        match &filter.within {
            None => {}
            Some(LimitScope::Project(id)) => {
                query.and_where(Expr::col((LIMIT, "project_id")).eq(id.as_str()));
            }
            Some(LimitScope::Domain(id)) => {
                let projects = Query::select()
                    .column("id")
                    .from("project")
                    .and_where(Expr::col("domain_id").eq(id.as_str()))
                    .to_owned();
                query.cond_where(
                    Cond::any()
                        .add(Expr::col((LIMIT, "domain_id")).eq(id.as_str()))
                        .add(Expr::col((LIMIT, "project_id")).in_subquery(projects)),
                );
            }
        }
        by_page(&mut query, (LIMIT, "id"), &filter.page);
        session
            .fetch_all(&query)
            .await?
            .iter()
            .map(read_limit)
            .collect()
    }

    /// Stores all or none.
    ///
    /// # Errors
    /// `NotFound` of a registered limit for a resource; `Conflict` where a project or domain has a
    /// limit on one already.
    pub async fn create_limits(&self, limits: &[Limit]) -> Result<()> {
        write!(self, Touches::Nothing, tx => {
            for limit in limits {
                let registered = registered_for(tx, &limit.resource).await?.ok_or_else(|| {
                    Error::not_found(Entity::RegisteredLimit, limit.resource.name.as_str())
                })?;
                refuse_second_limit(tx, limit, &registered).await?;
                let insert = Query::insert()
                    .into_table(LIMIT)
                    .columns([
                        "id", "project_id", "domain_id", "resource_limit", "description",
                        "registered_limit_id",
                    ])
                    .values_panic([
                        limit.id.as_str().into(),
                        limit.project_id.as_ref().map(|id| id.as_str()).into(),
                        limit.domain_id.as_ref().map(|id| id.as_str()).into(),
                        limit.resource_limit.into(),
                        limit.description.as_deref().into(),
                        registered.as_str().into(),
                    ])
                    .to_owned();
                tx.execute(&insert).await?;
            }
        })
    }

    /// # Errors
    /// `NotFound`.
    pub async fn update_limit(&self, id: &LimitId, patch: &LimitPatch) -> Result<Limit> {
        write!(self, Touches::Nothing, tx => {
            let mut limit = load_limit(tx, id).await?;
            if let Some(resource_limit) = patch.resource_limit.as_set() {
                limit.resource_limit = *resource_limit;
            }
            if let Some(description) = patch.description.as_set() {
                limit.description.clone_from(description);
            }
            let update = Query::update()
                .table(LIMIT)
                .value("resource_limit", limit.resource_limit)
                .value("description", limit.description.as_deref())
                .and_where(Expr::col("id").eq(id.as_str()))
                .to_owned();
            tx.execute(&update).await?;
            limit
        })
    }

    /// # Errors
    /// `NotFound`.
    pub async fn delete_limit(&self, id: &LimitId) -> Result<()> {
        write!(self, Touches::Nothing, tx => {
            if delete_where(tx, LIMIT, "id", id.as_str()).await? == 0 {
                return Err(Error::not_found(Entity::Limit, id.as_str()));
            }
        })
    }
}

async fn refuse_second_registered(tx: &mut Session, resource: &Resource) -> Result<()> {
    match registered_for(tx, resource).await? {
        None => Ok(()),
        Some(_) => Err(duplicate(Entity::RegisteredLimit)),
    }
}

async fn refuse_second_limit(
    tx: &mut Session,
    limit: &Limit,
    registered: &RegisteredLimitId,
) -> Result<()> {
    let mut query = Query::select();
    query
        .column("id")
        .from(LIMIT)
        .and_where(Expr::col("registered_limit_id").eq(registered.as_str()));
    match &limit.project_id {
        Some(project_id) => query.and_where(Expr::col("project_id").eq(project_id.as_str())),
        None => query.and_where(equals_or_null(
            "domain_id",
            limit.domain_id.as_ref().map(|id| id.as_str()),
        )),
    };
    match tx.fetch_optional(&query).await? {
        None => Ok(()),
        Some(_) => Err(duplicate(Entity::Limit)),
    }
}

fn duplicate(entity: Entity) -> Error {
    Error::Conflict {
        entity,
        message: "Duplicate entry".to_owned(),
    }
}

async fn refuse_referenced(tx: &mut Session, id: &RegisteredLimitId) -> Result<()> {
    let query = Query::select()
        .column("id")
        .from(LIMIT)
        .and_where(Expr::col("registered_limit_id").eq(id.as_str()))
        .limit(1)
        .to_owned();
    match tx.fetch_optional(&query).await? {
        None => Ok(()),
        Some(_) => Err(Error::InUse(format!(
            "Unable to update or delete registered limit {id} because there are project limits \
             associated with it."
        ))),
    }
}

async fn registered_for(
    session: &mut Session,
    resource: &Resource,
) -> Result<Option<RegisteredLimitId>> {
    let query = Query::select()
        .column("id")
        .from(REGISTERED)
        .and_where(Expr::col("service_id").eq(resource.service_id.as_str()))
        .and_where(Expr::col("resource_name").eq(resource.name.as_str()))
        .and_where(equals_or_null(
            "region_id",
            resource.region_id.as_ref().map(|id| id.as_str()),
        ))
        .limit(1)
        .to_owned();
    let row = session.fetch_optional(&query).await?;
    row.map(|row| Ok(row.text("id")?.into())).transpose()
}

fn select_registered() -> SelectStatement {
    Query::select()
        .columns([
            "id",
            "service_id",
            "region_id",
            "resource_name",
            "default_limit",
            "description",
        ])
        .from(REGISTERED)
        .to_owned()
}

fn read_registered(row: &Row) -> Result<RegisteredLimit> {
    Ok(RegisteredLimit {
        id: row.text("id")?.into(),
        resource: read_resource(row)?,
        default_limit: amount(row, "default_limit")?,
        description: row.opt_text("description")?,
    })
}

async fn load_registered(session: &mut Session, id: &RegisteredLimitId) -> Result<RegisteredLimit> {
    let mut query = select_registered();
    query.and_where(Expr::col("id").eq(id.as_str()));
    match session.fetch_optional(&query).await? {
        Some(row) => read_registered(&row),
        None => Err(Error::not_found(Entity::RegisteredLimit, id.as_str())),
    }
}

fn select_limits() -> SelectStatement {
    Query::select()
        .columns([
            (LIMIT, "id"),
            (LIMIT, "project_id"),
            (LIMIT, "domain_id"),
            (LIMIT, "resource_limit"),
            (LIMIT, "description"),
            (REGISTERED, "service_id"),
            (REGISTERED, "region_id"),
            (REGISTERED, "resource_name"),
        ])
        .from(LIMIT)
        .inner_join(
            REGISTERED,
            Expr::col((LIMIT, "registered_limit_id")).equals((REGISTERED, "id")),
        )
        .to_owned()
}

fn read_limit(row: &Row) -> Result<Limit> {
    Ok(Limit {
        id: row.text("id")?.into(),
        project_id: row.opt_text("project_id")?.map(Into::into),
        domain_id: row.opt_text("domain_id")?.map(Into::into),
        resource: read_resource(row)?,
        resource_limit: amount(row, "resource_limit")?,
        description: row.opt_text("description")?,
    })
}

async fn load_limit(session: &mut Session, id: &LimitId) -> Result<Limit> {
    let mut query = select_limits();
    query.and_where(Expr::col((LIMIT, "id")).eq(id.as_str()));
    match session.fetch_optional(&query).await? {
        Some(row) => read_limit(&row),
        None => Err(Error::not_found(Entity::Limit, id.as_str())),
    }
}

fn read_resource(row: &Row) -> Result<Resource> {
    Ok(Resource {
        service_id: row.opt_text("service_id")?.unwrap_or_default().into(),
        region_id: row.opt_text("region_id")?.map(Into::into),
        name: row.opt_text("resource_name")?.unwrap_or_default(),
    })
}

/// A limit's number; the column has 32 bits.
fn amount(row: &Row, column: &str) -> Result<i32> {
    i32::try_from(row.int(column)?).map_err(|error| Error::Corrupt {
        column: column.to_owned(),
        reason: error.to_string(),
    })
}
