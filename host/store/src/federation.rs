//! Identity providers with their remote ids, and protocols.

use archstone_model::{
    entity::Entity,
    federation::{
        IdentityProvider, IdentityProviderPatch, Protocol, ProtocolPatch, ProviderFilter,
    },
    id::{DomainId, IdentityProviderId, ProtocolId},
    project::Project,
};
use sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};

use crate::{
    Error, Result, Store,
    changes::Touches,
    database::Session,
    error::OnDuplicate,
    filter::{by_name, by_page},
    projects,
    row::Row,
    users::{delete_where, delete_with_belongings},
    write,
};

impl Store {
    /// # Errors
    /// `NotFound`.
    pub async fn identity_provider(&self, id: &IdentityProviderId) -> Result<IdentityProvider> {
        let mut session = self.db.session().await?;
        load_provider(&mut session, id).await
    }

    /// Identity providers in id order.
    pub async fn identity_providers(
        &self,
        filter: &ProviderFilter,
    ) -> Result<Vec<IdentityProvider>> {
        let mut session = self.db.session().await?;
        let mut query = select_providers();
        by_name(&mut query, ("identity_provider", "id"), &filter.ids);
        if let Some(enabled) = filter.enabled {
            query.and_where(Expr::col("enabled").eq(enabled));
        }
        by_page(&mut query, ("identity_provider", "id"), &filter.page);
        let mut providers = Vec::new();
        for row in session.fetch_all(&query).await? {
            providers.push(read_provider(&row)?);
        }
        for provider in &mut providers {
            provider.remote_ids = remote_ids(&mut session, &provider.id).await?;
        }
        Ok(providers)
    }

    /// The identity provider that calls itself this in assertions.
    ///
    /// # Errors
    /// `NotFound`, with the remote id as its id.
    pub async fn identity_provider_by_remote_id(
        &self,
        remote_id: &str,
    ) -> Result<IdentityProviderId> {
        let mut session = self.db.session().await?;
        let query = Query::select()
            .column("idp_id")
            .from("idp_remote_ids")
            .and_where(Expr::col("remote_id").eq(remote_id))
            .to_owned();
        match session.fetch_optional(&query).await? {
            Some(row) => Ok(row.text("idp_id")?.into()),
            None => Err(Error::not_found(Entity::IdentityProvider, remote_id)),
        }
    }

    /// Stores an identity provider, and the domain that is made for it where there is one.
    ///
    /// # Errors
    /// `Conflict` where the id, or one of its remote ids, is taken.
    pub async fn create_identity_provider(
        &self,
        provider: &IdentityProvider,
        domain: Option<&Project>,
    ) -> Result<()> {
        write!(self, Touches::Nothing, tx => {
            if let Some(domain) = domain {
                projects::insert(tx, domain).await?;
            }
            insert_provider(tx, provider).await?;
        })
    }

    /// # Errors
    /// `NotFound`; `Conflict` where a remote id is another provider's.
    pub async fn update_identity_provider(
        &self,
        id: &IdentityProviderId,
        patch: &IdentityProviderPatch,
    ) -> Result<IdentityProvider> {
        write!(self, tx => {
            let mut provider = load_provider(tx, id).await?;
            if let Some(enabled) = patch.enabled.as_set() {
                provider.enabled = *enabled;
            }
            if let Some(description) = patch.description.as_set() {
                provider.description.clone_from(description);
            }
            if let Some(ttl) = patch.authorization_ttl.as_set() {
                provider.authorization_ttl = *ttl;
            }
            let update = Query::update()
                .table("identity_provider")
                .value("enabled", provider.enabled)
                .value("description", provider.description.as_deref())
                .value("authorization_ttl", provider.authorization_ttl)
                .and_where(Expr::col("id").eq(id.as_str()))
                .to_owned();
            tx.execute(&update).await?;
            if let Some(remote_ids) = patch.remote_ids.as_set() {
                set_remote_ids(tx, id, remote_ids).await?;
                provider.remote_ids.clone_from(remote_ids);
            }
            provider
        })
    }

    /// Deletes an identity provider with its protocols, and the users whom it alone knows.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_identity_provider(&self, id: &IdentityProviderId) -> Result<()> {
        write!(self, tx => {
            if !delete_provider(tx, id.as_str()).await? {
                return Err(Error::not_found(Entity::IdentityProvider, id.as_str()));
            }
        })
    }

    /// # Errors
    /// `NotFound`.
    pub async fn protocol(&self, idp_id: &IdentityProviderId, id: &ProtocolId) -> Result<Protocol> {
        let mut session = self.db.session().await?;
        load_protocol(&mut session, idp_id, id).await
    }

    /// The protocols of an identity provider, in id order. None for one that does not exist.
    pub async fn protocols(&self, idp_id: &IdentityProviderId) -> Result<Vec<Protocol>> {
        let mut session = self.db.session().await?;
        let mut query = select_protocols(idp_id);
        query.order_by("id", Order::Asc);
        session
            .fetch_all(&query)
            .await?
            .iter()
            .map(read_protocol)
            .collect()
    }

    /// # Errors
    /// `NotFound` for the identity provider; `Conflict` where it has this protocol already.
    pub async fn create_protocol(&self, protocol: &Protocol) -> Result<()> {
        write!(self, Touches::Nothing, tx => {
            load_provider(tx, &protocol.idp_id).await?;
            insert_protocol(tx, protocol).await?;
        })
    }

    /// # Errors
    /// `NotFound`.
    pub async fn update_protocol(
        &self,
        idp_id: &IdentityProviderId,
        id: &ProtocolId,
        patch: &ProtocolPatch,
    ) -> Result<Protocol> {
        write!(self, tx => {
            let mut protocol = load_protocol(tx, idp_id, id).await?;
            if let Some(mapping_id) = patch.mapping_id.as_set() {
                protocol.mapping_id.clone_from(mapping_id);
            }
            if let Some(attribute) = patch.remote_id_attribute.as_set() {
                protocol.remote_id_attribute.clone_from(attribute);
            }
            let update = Query::update()
                .table("federation_protocol")
                .value("mapping_id", protocol.mapping_id.as_str())
                .value("remote_id_attribute", protocol.remote_id_attribute.as_deref())
                .and_where(Expr::col("id").eq(id.as_str()))
                .and_where(Expr::col("idp_id").eq(idp_id.as_str()))
                .to_owned();
            tx.execute(&update).await?;
            protocol
        })
    }

    /// Deletes a protocol, and the users who are known through it alone.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_protocol(
        &self,
        idp_id: &IdentityProviderId,
        id: &ProtocolId,
    ) -> Result<()> {
        write!(self, tx => {
            load_protocol(tx, idp_id, id).await?;
            forget_accounts(tx, idp_id.as_str(), Some(id.as_str())).await?;
            let delete = Query::delete()
                .from_table("federation_protocol")
                .and_where(Expr::col("id").eq(id.as_str()))
                .and_where(Expr::col("idp_id").eq(idp_id.as_str()))
                .to_owned();
            tx.execute(&delete).await?;
        })
    }
}

pub(crate) async fn insert_provider(tx: &mut Session, provider: &IdentityProvider) -> Result<()> {
    let insert = Query::insert()
        .into_table("identity_provider")
        .columns([
            "id",
            "enabled",
            "description",
            "domain_id",
            "authorization_ttl",
        ])
        .values_panic([
            provider.id.as_str().into(),
            provider.enabled.into(),
            provider.description.as_deref().into(),
            provider.domain_id.as_str().into(),
            provider.authorization_ttl.into(),
        ])
        .to_owned();
    tx.execute(&insert)
        .await
        .on_duplicate(Entity::IdentityProvider, || {
            format!("Duplicate entry: {}", provider.id)
        })?;
    set_remote_ids(tx, &provider.id, &provider.remote_ids).await
}

pub(crate) async fn insert_protocol(tx: &mut Session, protocol: &Protocol) -> Result<()> {
    let insert = Query::insert()
        .into_table("federation_protocol")
        .columns(["id", "idp_id", "mapping_id", "remote_id_attribute"])
        .values_panic([
            protocol.id.as_str().into(),
            protocol.idp_id.as_str().into(),
            protocol.mapping_id.as_str().into(),
            protocol.remote_id_attribute.as_deref().into(),
        ])
        .to_owned();
    let inserted = tx.execute(&insert).await;
    inserted
        .on_duplicate(Entity::Protocol, || {
            format!("Duplicate entry found with ID {}", protocol.id)
        })
        .map(drop)
}

/// Deletes the identity providers whose users live in a domain.
pub(crate) async fn delete_providers_of_domain(tx: &mut Session, id: &DomainId) -> Result<()> {
    let mut query = select_providers();
    query.and_where(Expr::col("domain_id").eq(id.as_str()));
    for row in tx.fetch_all(&query).await? {
        delete_provider(tx, &row.text("id")?).await?;
    }
    Ok(())
}

/// Deletes an identity provider with all that hangs on it; says whether there was one.
pub(crate) async fn delete_provider(tx: &mut Session, id: &str) -> Result<bool> {
    forget_accounts(tx, id, None).await?;
    let own_mappings = Query::select()
        .columns(["id", "mapping_id"])
        .from("archstone_connector")
        .and_where(Expr::col("idp_id").eq(id))
        .to_owned();
    for row in tx.fetch_all(&own_mappings).await? {
        delete_where(tx, "mapping", "id", &row.text("mapping_id")?).await?;
        let connector_id = row.text("id")?;
        delete_where(
            tx,
            "archstone_connector_mapping",
            "connector_id",
            &connector_id,
        )
        .await?;
    }
    for table in [
        "archstone_connector",
        "expiring_user_group_membership",
        "federation_protocol",
        "idp_remote_ids",
    ] {
        delete_where(tx, table, "idp_id", id).await?;
    }
    Ok(delete_where(tx, "identity_provider", "id", id).await? > 0)
}

/// Deletes the accounts that an identity provider vouches for, and the users who have no other.
async fn forget_accounts(tx: &mut Session, idp_id: &str, protocol_id: Option<&str>) -> Result<()> {
    let mut accounts = Query::select();
    accounts
        .column("user_id")
        .distinct()
        .from("federated_user")
        .and_where(Expr::col("idp_id").eq(idp_id));
    let mut delete = Query::delete();
    delete
        .from_table("federated_user")
        .and_where(Expr::col("idp_id").eq(idp_id));
    if let Some(protocol_id) = protocol_id {
        accounts.and_where(Expr::col("protocol_id").eq(protocol_id));
        delete.and_where(Expr::col("protocol_id").eq(protocol_id));
    }
    let known = tx.fetch_all(&accounts).await?;
    tx.execute(&delete).await?;
    for row in known {
        let user_id = row.text("user_id")?;
        if !has_an_account(tx, &user_id).await? {
            delete_with_belongings(tx, &user_id).await?;
        }
    }
    Ok(())
}

async fn has_an_account(tx: &mut Session, user_id: &str) -> Result<bool> {
    for table in ["local_user", "nonlocal_user", "federated_user"] {
        let query = Query::select()
            .column("user_id")
            .from(table)
            .and_where(Expr::col("user_id").eq(user_id))
            .limit(1)
            .to_owned();
        if tx.fetch_optional(&query).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn set_remote_ids(
    tx: &mut Session,
    id: &IdentityProviderId,
    remote_ids: &[String],
) -> Result<()> {
    delete_where(tx, "idp_remote_ids", "idp_id", id.as_str()).await?;
    for remote_id in remote_ids {
        let insert = Query::insert()
            .into_table("idp_remote_ids")
            .columns(["idp_id", "remote_id"])
            .values_panic([id.as_str().into(), remote_id.as_str().into()])
            .to_owned();
        tx.execute(&insert)
            .await
            .on_duplicate(Entity::IdentityProvider, || {
                format!("Duplicate remote ID: {remote_id}")
            })?;
    }
    Ok(())
}

fn select_providers() -> SelectStatement {
    Query::select()
        .columns([
            "id",
            "domain_id",
            "enabled",
            "description",
            "authorization_ttl",
        ])
        .from("identity_provider")
        .to_owned()
}

/// All of a provider but its remote ids.
fn read_provider(row: &Row) -> Result<IdentityProvider> {
    Ok(IdentityProvider {
        id: row.text("id")?.into(),
        domain_id: row.text("domain_id")?.into(),
        enabled: row.bool("enabled")?,
        description: row.opt_text("description")?,
        remote_ids: Vec::new(),
        authorization_ttl: row.opt_int("authorization_ttl")?,
    })
}

async fn load_provider(session: &mut Session, id: &IdentityProviderId) -> Result<IdentityProvider> {
    let mut query = select_providers();
    query.and_where(Expr::col("id").eq(id.as_str()));
    let Some(row) = session.fetch_optional(&query).await? else {
        return Err(Error::not_found(Entity::IdentityProvider, id.as_str()));
    };
    let mut provider = read_provider(&row)?;
    provider.remote_ids = remote_ids(session, id).await?;
    Ok(provider)
}

async fn remote_ids(session: &mut Session, id: &IdentityProviderId) -> Result<Vec<String>> {
    let query = Query::select()
        .column("remote_id")
        .from("idp_remote_ids")
        .and_where(Expr::col("idp_id").eq(id.as_str()))
        .order_by("remote_id", Order::Asc)
        .to_owned();
    let rows = session.fetch_all(&query).await?;
    rows.iter().map(|row| row.text("remote_id")).collect()
}

fn select_protocols(idp_id: &IdentityProviderId) -> SelectStatement {
    Query::select()
        .columns(["id", "idp_id", "mapping_id", "remote_id_attribute"])
        .from("federation_protocol")
        .and_where(Expr::col("idp_id").eq(idp_id.as_str()))
        .to_owned()
}

fn read_protocol(row: &Row) -> Result<Protocol> {
    Ok(Protocol {
        id: row.text("id")?.into(),
        idp_id: row.text("idp_id")?.into(),
        mapping_id: row.text("mapping_id")?.into(),
        remote_id_attribute: row.opt_text("remote_id_attribute")?,
    })
}

async fn load_protocol(
    session: &mut Session,
    idp_id: &IdentityProviderId,
    id: &ProtocolId,
) -> Result<Protocol> {
    let mut query = select_protocols(idp_id);
    query.and_where(Expr::col("id").eq(id.as_str()));
    match session.fetch_optional(&query).await? {
        Some(row) => read_protocol(&row),
        None => Err(Error::not_found(Entity::Protocol, id.as_str())),
    }
}
