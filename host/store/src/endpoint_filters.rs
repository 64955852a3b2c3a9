//! Endpoint groups, and which endpoints and groups of them projects have.

use archstone_model::{
    endpoint_filter::{EndpointGroup, EndpointGroupFilter, EndpointGroupPatch},
    entity::Entity,
    id::{EndpointGroupId, EndpointId, ProjectId},
};
use sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};

use crate::{
    Error, Result, Store, changes::Touches, database::Session, error::OnDuplicate, extra::json,
    filter::by_name, row::Row, users::delete_where, write,
};

impl Store {
    /// # Errors
    /// `NotFound`.
    pub async fn endpoint_group(&self, id: &EndpointGroupId) -> Result<EndpointGroup> {
        let mut session = self.db.session().await?;
        load_one(&mut session, id).await
    }

    /// Endpoint groups in id order.
    pub async fn endpoint_groups(
        &self,
        filter: &EndpointGroupFilter,
    ) -> Result<Vec<EndpointGroup>> {
        let mut session = self.db.session().await?;
        let mut query = select();
        by_name(&mut query, ("endpoint_group", "name"), &filter.names);
        query.order_by(("endpoint_group", "id"), Order::Asc);
        session.fetch_all(&query).await?.iter().map(read).collect()
    }

    /// The endpoint groups that a project has, in id order.
    pub async fn endpoint_groups_of_project(&self, id: &ProjectId) -> Result<Vec<EndpointGroup>> {
        let mut session = self.db.session().await?;
        let groups = Query::select()
            .column("endpoint_group_id")
            .from("project_endpoint_group")
            .and_where(Expr::col("project_id").eq(id.as_str()))
            .to_owned();
        let mut query = select();
        query
            .and_where(Expr::col("id").in_subquery(groups))
            .order_by(("endpoint_group", "id"), Order::Asc);
        session.fetch_all(&query).await?.iter().map(read).collect()
    }

    pub async fn create_endpoint_group(&self, group: &EndpointGroup) -> Result<()> {
        write!(self, Touches::Nothing, tx => {
            let insert = Query::insert()
                .into_table("endpoint_group")
                .columns(["id", "name", "description", "filters"])
                .values_panic([
                    group.id.as_str().into(),
                    group.name.as_str().into(),
                    group.description.as_deref().into(),
                    json(&group.filters).into(),
                ])
                .to_owned();
            tx.execute(&insert).await?;
        })
    }

    /// # Errors
    /// `NotFound`.
    pub async fn update_endpoint_group(
        &self,
        id: &EndpointGroupId,
        patch: &EndpointGroupPatch,
    ) -> Result<EndpointGroup> {
        write!(self, tx => {
            let mut group = load_one(tx, id).await?;
            if let Some(name) = patch.name.as_set() {
                group.name.clone_from(name);
            }
            if let Some(description) = patch.description.as_set() {
                group.description.clone_from(description);
            }
            if let Some(filters) = patch.filters.as_set() {
                group.filters.clone_from(filters);
            }
            let update = Query::update()
                .table("endpoint_group")
                .value("name", group.name.as_str())
                .value("description", group.description.as_deref())
                .value("filters", json(&group.filters))
                .and_where(Expr::col("id").eq(id.as_str()))
                .to_owned();
            tx.execute(&update).await?;
            group
        })
    }

    /// Deletes an endpoint group, and takes it from the projects that have it.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_endpoint_group(&self, id: &EndpointGroupId) -> Result<()> {
        write!(self, tx => {
            delete_where(tx, "project_endpoint_group", "endpoint_group_id", id.as_str()).await?;
            if delete_where(tx, "endpoint_group", "id", id.as_str()).await? == 0 {
                return Err(Error::not_found(Entity::EndpointGroup, id.as_str()));
            }
        })
    }

    /// # Errors
    /// `Conflict` where the project has it already.
    pub async fn add_endpoint_to_project(
        &self,
        endpoint_id: &EndpointId,
        project_id: &ProjectId,
    ) -> Result<()> {
        write!(self, tx => {
            let insert = Query::insert()
                .into_table("project_endpoint")
                .columns(["endpoint_id", "project_id"])
                .values_panic([endpoint_id.as_str().into(), project_id.as_str().into()])
                .to_owned();
            tx.execute(&insert)
                .await
                .on_duplicate(Entity::ProjectEndpoint, || "Duplicate entry".to_owned())?;
        })
    }

    /// Takes an endpoint from a project, and says whether it had it.
    pub async fn remove_endpoint_from_project(
        &self,
        endpoint_id: &EndpointId,
        project_id: &ProjectId,
    ) -> Result<bool> {
        write!(self, tx => {
            let delete = Query::delete()
                .from_table("project_endpoint")
                .and_where(Expr::col("endpoint_id").eq(endpoint_id.as_str()))
                .and_where(Expr::col("project_id").eq(project_id.as_str()))
                .to_owned();
            tx.execute(&delete).await? > 0
        })
    }

    /// The endpoints that were added to a project by themselves.
    pub async fn endpoint_ids_of_project(&self, id: &ProjectId) -> Result<Vec<EndpointId>> {
        let ids = self.related(
            "project_endpoint",
            "endpoint_id",
            ("project_id", id.as_str()),
        );
        Ok(ids.await?.into_iter().map(EndpointId::from).collect())
    }

    /// The projects that an endpoint was added to by itself.
    pub async fn project_ids_of_endpoint(&self, id: &EndpointId) -> Result<Vec<ProjectId>> {
        let ids = self.related(
            "project_endpoint",
            "project_id",
            ("endpoint_id", id.as_str()),
        );
        Ok(ids.await?.into_iter().map(ProjectId::from).collect())
    }

    /// # Errors
    /// `Conflict` where the project has it already.
    pub async fn add_endpoint_group_to_project(
        &self,
        group_id: &EndpointGroupId,
        project_id: &ProjectId,
    ) -> Result<()> {
        write!(self, tx => {
            let insert = Query::insert()
                .into_table("project_endpoint_group")
                .columns(["endpoint_group_id", "project_id"])
                .values_panic([group_id.as_str().into(), project_id.as_str().into()])
                .to_owned();
            tx.execute(&insert)
                .await
                .on_duplicate(Entity::ProjectEndpointGroup, || "Duplicate entry".to_owned())?;
        })
    }

    /// Takes an endpoint group from a project, and says whether it had it.
    pub async fn remove_endpoint_group_from_project(
        &self,
        group_id: &EndpointGroupId,
        project_id: &ProjectId,
    ) -> Result<bool> {
        write!(self, tx => {
            let delete = Query::delete()
                .from_table("project_endpoint_group")
                .and_where(Expr::col("endpoint_group_id").eq(group_id.as_str()))
                .and_where(Expr::col("project_id").eq(project_id.as_str()))
                .to_owned();
            tx.execute(&delete).await? > 0
        })
    }

    /// The projects that have an endpoint group.
    pub async fn project_ids_of_endpoint_group(
        &self,
        id: &EndpointGroupId,
    ) -> Result<Vec<ProjectId>> {
        let group = ("endpoint_group_id", id.as_str());
        let ids = self.related("project_endpoint_group", "project_id", group);
        Ok(ids.await?.into_iter().map(ProjectId::from).collect())
    }

    async fn related(
        &self,
        table: &'static str,
        wanted: &'static str,
        (column, value): (&'static str, &str),
    ) -> Result<Vec<String>> {
        let mut session = self.db.session().await?;
        let query = Query::select()
            .column(wanted)
            .from(table)
            .and_where(Expr::col(column).eq(value))
            .order_by(wanted, Order::Asc)
            .to_owned();
        let rows = session.fetch_all(&query).await?;
        rows.iter().map(|row| row.text(wanted)).collect()
    }
}

fn select() -> SelectStatement {
    Query::select()
        .columns(["id", "name", "description", "filters"])
        .from("endpoint_group")
        .to_owned()
}

fn read(row: &Row) -> Result<EndpointGroup> {
    Ok(EndpointGroup {
        id: row.text("id")?.into(),
        name: row.text("name")?,
        description: row.opt_text("description")?,
        filters: row.json("filters")?,
    })
}

async fn load_one(session: &mut Session, id: &EndpointGroupId) -> Result<EndpointGroup> {
    let mut query = select();
    query.and_where(Expr::col("id").eq(id.as_str()));
    match session.fetch_optional(&query).await? {
        Some(row) => read(&row),
        None => Err(Error::not_found(Entity::EndpointGroup, id.as_str())),
    }
}
