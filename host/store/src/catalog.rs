//! Regions, services and endpoints.

use archstone_model::{
    catalog::{
        Endpoint, EndpointFilter, EndpointPatch, Interface, Region, RegionFilter, RegionPatch,
        Service, ServiceFilter, ServicePatch,
    },
    entity::Entity,
    id::{EndpointId, RegionId, ServiceId},
    listing::Page,
};
use sea_query::{Expr, ExprTrait, Query, SelectStatement};

use crate::{
    Error, Result, Store,
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
    pub async fn region(&self, id: &RegionId) -> Result<Region> {
        let mut session = self.db.session().await?;
        load_region(&mut session, id).await
    }

    /// Regions in id order.
    pub async fn regions(&self, filter: &RegionFilter) -> Result<Vec<Region>> {
        let mut session = self.db.session().await?;
        let mut query = select_regions();
        if let Some(parent) = &filter.parent_region_id {
            query.and_where(Expr::col("parent_region_id").eq(parent.as_str()));
        }
        by_page(&mut query, ("region", "id"), &filter.page);
        session
            .fetch_all(&query)
            .await?
            .iter()
            .map(read_region)
            .collect()
    }

    /// # Errors
    /// `Conflict` where the id is taken; `NotFound` where the parent does not exist.
    pub async fn create_region(&self, region: &Region) -> Result<()> {
        write!(self, Touches::Nothing, tx => {
            if let Some(parent) = &region.parent_region_id {
                load_region(tx, parent).await?;
            }
            let insert = Query::insert()
                .into_table("region")
                .columns(["id", "description", "parent_region_id", "extra"])
                .values_panic([
                    region.id.as_str().into(),
                    region.description.as_str().into(),
                    region.parent_region_id.as_ref().map(|id| id.as_str()).into(),
                    json(&region.extra).into(),
                ])
                .to_owned();
            tx.execute(&insert)
                .await
                .on_duplicate(Entity::Region, || format!("Duplicate ID, {}", region.id))?;
        })
    }

    /// # Errors
    /// `NotFound`, of the region or of its new parent; `InUse` where the new parent is below it.
    pub async fn update_region(&self, id: &RegionId, patch: &RegionPatch) -> Result<Region> {
        write!(self, tx => {
            let mut region = load_region(tx, id).await?;
            if let Some(description) = patch.description.as_set() {
                region.description.clone_from(description);
            }
            if let Some(parent) = patch.parent_region_id.as_set() {
                let mut above = parent.clone();
                while let Some(ancestor) = above {
                    if ancestor == *id {
                        return Err(Error::InUse(format!(
                            "The specified parent region {id} would create a circular region \
                             hierarchy."
                        )));
                    }
                    above = load_region(tx, &ancestor).await?.parent_region_id;
                }
                region.parent_region_id.clone_from(parent);
            }
            if let Some(extra) = patch.extra.as_set() {
                region.extra.clone_from(extra);
            }
            let update = Query::update()
                .table("region")
                .value("description", region.description.as_str())
                .value("parent_region_id", region.parent_region_id.as_ref().map(|id| id.as_str()))
                .value("extra", json(&region.extra))
                .and_where(Expr::col("id").eq(id.as_str()))
                .to_owned();
            tx.execute(&update).await?;
            region
        })
    }

    /// Deletes a region and those below it.
    ///
    /// # Errors
    /// `NotFound`; `InUse` where an endpoint is in one of them.
    pub async fn delete_region(&self, id: &RegionId) -> Result<()> {
        write!(self, tx => {
            load_region(tx, id).await?;
            let mut doomed = vec![id.clone()];
            let mut next = 0;
            while next < doomed.len() {
                let mut query = select_regions();
                query.and_where(Expr::col("parent_region_id").eq(doomed[next].as_str()));
                for row in tx.fetch_all(&query).await? {
                    let child = read_region(&row)?.id;
                    if !doomed.contains(&child) {
                        doomed.push(child);
                    }
                }
                next += 1;
            }
            for region in doomed.iter().rev() {
                delete_where(tx, "policy_association", "region_id", region.as_str()).await?;
                delete_where(tx, "region", "id", region.as_str()).await.map_err(|error| {
                    if error.is_reference_violation() {
                        Error::InUse(format!(
                            "Unable to delete region {id} because it or its child regions have \
                             associated endpoints."
                        ))
                    } else {
                        error
                    }
                })?;
            }
        })
    }

    /// # Errors
    /// `NotFound`.
    pub async fn service(&self, id: &ServiceId) -> Result<Service> {
        let mut session = self.db.session().await?;
        load_service(&mut session, id).await
    }

    /// Services in id order. Names live in `extra`, so they are compared here.
    pub async fn services(&self, filter: &ServiceFilter) -> Result<Vec<Service>> {
        let mut session = self.db.session().await?;
        let mut query = select_services();
        by_name(&mut query, ("service", "type"), &filter.types);
        let named = !filter.names.is_empty();
        let in_database = Page {
            limit: filter.page.limit.filter(|_| !named),
            marker: filter.page.marker.clone(),
        };
        by_page(&mut query, ("service", "id"), &in_database);
        let services: Result<Vec<Service>> = session
            .fetch_all(&query)
            .await?
            .iter()
            .map(read_service)
            .collect();
        let mut services = services?;
        services.retain(|service| {
            filter
                .names
                .iter()
                .all(|name| name.accepts(service.name().unwrap_or_default()))
        });
        if let Some(limit) = filter.page.limit {
            services.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        }
        Ok(services)
    }

    pub async fn create_service(&self, service: &Service) -> Result<()> {
        write!(self, tx => {
            let insert = Query::insert()
                .into_table("service")
                .columns(["id", "type", "enabled", "extra"])
                .values_panic([
                    service.id.as_str().into(),
                    service.service_type.as_str().into(),
                    service.enabled.into(),
                    json(&service.extra).into(),
                ])
                .to_owned();
            tx.execute(&insert).await?;
        })
    }

    /// # Errors
    /// `NotFound`.
    pub async fn update_service(&self, id: &ServiceId, patch: &ServicePatch) -> Result<Service> {
        write!(self, tx => {
            let mut service = load_service(tx, id).await?;
            if let Some(service_type) = patch.service_type.as_set() {
                service.service_type.clone_from(service_type);
            }
            if let Some(enabled) = patch.enabled.as_set() {
                service.enabled = *enabled;
            }
            if let Some(extra) = patch.extra.as_set() {
                service.extra.clone_from(extra);
            }
            let update = Query::update()
                .table("service")
                .value("type", service.service_type.as_str())
                .value("enabled", service.enabled)
                .value("extra", json(&service.extra))
                .and_where(Expr::col("id").eq(id.as_str()))
                .to_owned();
            tx.execute(&update).await?;
            service
        })
    }

    /// Deletes a service with its endpoints.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_service(&self, id: &ServiceId) -> Result<()> {
        write!(self, tx => {
            let endpoints = Query::select()
                .column("id")
                .from("endpoint")
                .and_where(Expr::col("service_id").eq(id.as_str()))
                .to_owned();
            let associations = Query::delete()
                .from_table("project_endpoint")
                .and_where(Expr::col("endpoint_id").in_subquery(endpoints))
                .to_owned();
            tx.execute(&associations).await?;
            delete_where(tx, "endpoint", "service_id", id.as_str()).await?;
            delete_where(tx, "policy_association", "service_id", id.as_str()).await?;
            if delete_where(tx, "service", "id", id.as_str()).await? == 0 {
                return Err(Error::not_found(Entity::Service, id.as_str()));
            }
        })
    }

    /// # Errors
    /// `NotFound`.
    pub async fn endpoint(&self, id: &EndpointId) -> Result<Endpoint> {
        let mut session = self.db.session().await?;
        load_endpoint(&mut session, id).await
    }

    /// Endpoints in id order.
    pub async fn endpoints(&self, filter: &EndpointFilter) -> Result<Vec<Endpoint>> {
        let mut session = self.db.session().await?;
        let mut query = select_endpoints();
        if let Some(interface) = filter.interface {
            query.and_where(Expr::col("interface").eq(interface.as_str()));
        }
        if let Some(service_id) = &filter.service_id {
            query.and_where(Expr::col("service_id").eq(service_id.as_str()));
        }
        if let Some(region_id) = &filter.region_id {
            query.and_where(Expr::col("region_id").eq(region_id.as_str()));
        }
        by_page(&mut query, ("endpoint", "id"), &filter.page);
        session
            .fetch_all(&query)
            .await?
            .iter()
            .map(read_endpoint)
            .collect()
    }

    /// # Errors
    /// `NotFound` where its service or region does not exist.
    pub async fn create_endpoint(&self, endpoint: &Endpoint) -> Result<()> {
        write!(self, tx => {
            require_places(tx, endpoint).await?;
            let insert = Query::insert()
                .into_table("endpoint")
                .columns(["id", "interface", "service_id", "url", "extra", "enabled", "region_id"])
                .values_panic([
                    endpoint.id.as_str().into(),
                    endpoint.interface.as_str().into(),
                    endpoint.service_id.as_str().into(),
                    endpoint.url.as_str().into(),
                    json(&endpoint.extra).into(),
                    endpoint.enabled.into(),
                    endpoint.region_id.as_ref().map(|id| id.as_str()).into(),
                ])
                .to_owned();
            tx.execute(&insert).await?;
        })
    }

    /// # Errors
    /// `NotFound`, of the endpoint or of its new service or region.
    pub async fn update_endpoint(
        &self,
        id: &EndpointId,
        patch: &EndpointPatch,
    ) -> Result<Endpoint> {
        write!(self, tx => {
            let mut endpoint = load_endpoint(tx, id).await?;
            if let Some(interface) = patch.interface.as_set() {
                endpoint.interface = *interface;
            }
            if let Some(service_id) = patch.service_id.as_set() {
                endpoint.service_id.clone_from(service_id);
            }
            if let Some(region_id) = patch.region_id.as_set() {
                endpoint.region_id.clone_from(region_id);
            }
            if let Some(url) = patch.url.as_set() {
                endpoint.url.clone_from(url);
            }
            if let Some(enabled) = patch.enabled.as_set() {
                endpoint.enabled = *enabled;
            }
            if let Some(extra) = patch.extra.as_set() {
                endpoint.extra.clone_from(extra);
            }
            require_places(tx, &endpoint).await?;
            let update = Query::update()
                .table("endpoint")
                .value("interface", endpoint.interface.as_str())
                .value("service_id", endpoint.service_id.as_str())
                .value("url", endpoint.url.as_str())
                .value("extra", json(&endpoint.extra))
                .value("enabled", endpoint.enabled)
                .value("region_id", endpoint.region_id.as_ref().map(|id| id.as_str()))
                .and_where(Expr::col("id").eq(id.as_str()))
                .to_owned();
            tx.execute(&update).await?;
            endpoint
        })
    }

    /// # Errors
    /// `NotFound`.
    pub async fn delete_endpoint(&self, id: &EndpointId) -> Result<()> {
        write!(self, tx => {
            delete_where(tx, "project_endpoint", "endpoint_id", id.as_str()).await?;
            delete_where(tx, "policy_association", "endpoint_id", id.as_str()).await?;
            if delete_where(tx, "endpoint", "id", id.as_str()).await? == 0 {
                return Err(Error::not_found(Entity::Endpoint, id.as_str()));
            }
        })
    }
}

async fn require_places(session: &mut Session, endpoint: &Endpoint) -> Result<()> {
    load_service(session, &endpoint.service_id).await?;
    if let Some(region_id) = &endpoint.region_id {
        load_region(session, region_id).await?;
    }
    Ok(())
}

fn select_regions() -> SelectStatement {
    Query::select()
        .columns(["id", "description", "parent_region_id", "extra"])
        .from("region")
        .to_owned()
}

fn read_region(row: &Row) -> Result<Region> {
    Ok(Region {
        id: row.text("id")?.into(),
        description: row.text("description")?,
        parent_region_id: row.opt_text("parent_region_id")?.map(Into::into),
        extra: row.extra()?,
    })
}

async fn load_region(session: &mut Session, id: &RegionId) -> Result<Region> {
    let mut query = select_regions();
    query.and_where(Expr::col("id").eq(id.as_str()));
    match session.fetch_optional(&query).await? {
        Some(row) => read_region(&row),
        None => Err(Error::not_found(Entity::Region, id.as_str())),
    }
}

fn select_services() -> SelectStatement {
    Query::select()
        .columns(["id", "type", "enabled", "extra"])
        .from("service")
        .to_owned()
}

fn read_service(row: &Row) -> Result<Service> {
    Ok(Service {
        id: row.text("id")?.into(),
        service_type: row.opt_text("type")?.unwrap_or_default(),
        enabled: row.bool("enabled")?,
        extra: row.extra()?,
    })
}

async fn load_service(session: &mut Session, id: &ServiceId) -> Result<Service> {
    let mut query = select_services();
    query.and_where(Expr::col("id").eq(id.as_str()));
    match session.fetch_optional(&query).await? {
        Some(row) => read_service(&row),
        None => Err(Error::not_found(Entity::Service, id.as_str())),
    }
}

fn select_endpoints() -> SelectStatement {
    Query::select()
        .columns([
            "id",
            "interface",
            "service_id",
            "url",
            "extra",
            "enabled",
            "region_id",
        ])
        .from("endpoint")
        .to_owned()
}

fn read_endpoint(row: &Row) -> Result<Endpoint> {
    let interface = row.text("interface")?;
    Ok(Endpoint {
        id: row.text("id")?.into(),
        interface: Interface::parse(&interface).ok_or_else(|| Error::Corrupt {
            column: "interface".to_owned(),
            reason: format!("{interface} is no interface"),
        })?,
        service_id: row.text("service_id")?.into(),
        region_id: row.opt_text("region_id")?.map(Into::into),
        url: row.text("url")?,
        enabled: row.bool("enabled")?,
        extra: row.extra()?,
    })
}

async fn load_endpoint(session: &mut Session, id: &EndpointId) -> Result<Endpoint> {
    let mut query = select_endpoints();
    query.and_where(Expr::col("id").eq(id.as_str()));
    match session.fetch_optional(&query).await? {
        Some(row) => read_endpoint(&row),
        None => Err(Error::not_found(Entity::Endpoint, id.as_str())),
    }
}
