//! Service providers: clouds that believe this one.

use archstone_model::{
    entity::Entity,
    federation::{ProviderFilter, ServiceProvider, ServiceProviderPatch},
    id::ServiceProviderId,
};
use sea_query::{Expr, ExprTrait, Query, SelectStatement};

use crate::{
    Error, Result, Store,
    database::Session,
    error::OnDuplicate,
    filter::{by_name, by_page},
    row::Row,
    users::delete_where,
    write,
};

impl Store {
    /// # Errors
    /// `NotFound`.
    pub async fn service_provider(&self, id: &ServiceProviderId) -> Result<ServiceProvider> {
        let mut session = self.db.session().await?;
        load_one(&mut session, id).await
    }

    /// Service providers in id order.
    pub async fn service_providers(&self, filter: &ProviderFilter) -> Result<Vec<ServiceProvider>> {
        let mut session = self.db.session().await?;
        let mut query = select();
        by_name(&mut query, ("service_provider", "id"), &filter.ids);
        if let Some(enabled) = filter.enabled {
            query.and_where(Expr::col("enabled").eq(enabled));
        }
        by_page(&mut query, ("service_provider", "id"), &filter.page);
        session.fetch_all(&query).await?.iter().map(read).collect()
    }

    /// # Errors
    /// `Conflict` where the id is taken.
    pub async fn create_service_provider(&self, provider: &ServiceProvider) -> Result<()> {
        write!(self, tx => {
            let insert = Query::insert()
                .into_table("service_provider")
                .columns(["id", "auth_url", "sp_url", "description", "enabled", "relay_state_prefix"])
                .values_panic([
                    provider.id.as_str().into(),
                    provider.auth_url.as_str().into(),
                    provider.sp_url.as_str().into(),
                    provider.description.as_deref().into(),
                    provider.enabled.into(),
                    provider.relay_state_prefix.as_str().into(),
                ])
                .to_owned();
            tx.execute(&insert).await.on_duplicate(Entity::ServiceProvider, || {
                format!("Duplicate entry found with ID {}", provider.id)
            })?;
        })
    }

    /// # Errors
    /// `NotFound`.
    pub async fn update_service_provider(
        &self,
        id: &ServiceProviderId,
        patch: &ServiceProviderPatch,
    ) -> Result<ServiceProvider> {
        write!(self, tx => {
            let mut provider = load_one(tx, id).await?;
            let texts = [
                (&patch.auth_url, &mut provider.auth_url),
                (&patch.sp_url, &mut provider.sp_url),
                (&patch.relay_state_prefix, &mut provider.relay_state_prefix),
            ];
            for (change, value) in texts {
                if let Some(new) = change.as_set() {
                    value.clone_from(new);
                }
            }
            if let Some(description) = patch.description.as_set() {
                provider.description.clone_from(description);
            }
            if let Some(enabled) = patch.enabled.as_set() {
                provider.enabled = *enabled;
            }
            let update = Query::update()
                .table("service_provider")
                .value("auth_url", provider.auth_url.as_str())
                .value("sp_url", provider.sp_url.as_str())
                .value("description", provider.description.as_deref())
                .value("enabled", provider.enabled)
                .value("relay_state_prefix", provider.relay_state_prefix.as_str())
                .and_where(Expr::col("id").eq(id.as_str()))
                .to_owned();
            tx.execute(&update).await?;
            provider
        })
    }

    /// # Errors
    /// `NotFound`.
    pub async fn delete_service_provider(&self, id: &ServiceProviderId) -> Result<()> {
        write!(self, tx => {
            if delete_where(tx, "service_provider", "id", id.as_str()).await? == 0 {
                return Err(Error::not_found(Entity::ServiceProvider, id.as_str()));
            }
        })
    }
}

fn select() -> SelectStatement {
    Query::select()
        .columns([
            "id",
            "auth_url",
            "sp_url",
            "description",
            "enabled",
            "relay_state_prefix",
        ])
        .from("service_provider")
        .to_owned()
}

fn read(row: &Row) -> Result<ServiceProvider> {
    Ok(ServiceProvider {
        id: row.text("id")?.into(),
        auth_url: row.text("auth_url")?,
        sp_url: row.text("sp_url")?,
        description: row.opt_text("description")?,
        enabled: row.bool("enabled")?,
        relay_state_prefix: row.text("relay_state_prefix")?,
    })
}

async fn load_one(session: &mut Session, id: &ServiceProviderId) -> Result<ServiceProvider> {
    let mut query = select();
    query.and_where(Expr::col("id").eq(id.as_str()));
    match session.fetch_optional(&query).await? {
        Some(row) => read(&row),
        None => Err(Error::not_found(Entity::ServiceProvider, id.as_str())),
    }
}
