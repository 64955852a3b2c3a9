//! Connectors, each with the identity provider, the protocol and the mapping that are its own.

use archstone_model::{
    connector::{Connector, ConnectorFilter, ConnectorPatch, NewConnector},
    entity::Entity,
    federation::{IdentityProvider, Protocol},
    id::{ConnectorId, IdentityProviderId, ProjectId, ProtocolId},
    secret::Sealed,
};
use chrono::{DateTime, Utc};
use sea_query::{Expr, ExprTrait, Query, SelectStatement};
use serde_json::Value;

use crate::{
    Error, Result, Store,
    changes::Touches,
    database::Session,
    error::OnDuplicate,
    federation::{delete_provider, insert_protocol, insert_provider},
    filter::{by_name, by_page},
    mappings::{insert_mapping, update_mapping},
    row::Row,
    users::delete_where,
    write,
};

const TABLE: &str = "archstone_connector";

/// What clients say of a connector's mapping. Its columns have names of their own, so that none of
/// the connectors' is ambiguous.
const MAPPING_TABLE: &str = "archstone_connector_mapping";

const MAPPING_COLUMNS: [&str; 2] = ["mapping_name", "token_project_id"];

const COLUMNS: [&str; 15] = [
    "id",
    "domain_id",
    "name",
    "plugin",
    "idp_id",
    "protocol_id",
    "mapping_id",
    "config",
    "sealed_secrets",
    "key_hash",
    "redirect_uris",
    "enabled",
    "revision",
    "created_at_int",
    "updated_at_int",
];

impl Store {
    /// # Errors
    /// `NotFound`.
    pub async fn connector(&self, id: &ConnectorId) -> Result<Connector> {
        let mut session = self.db.session().await?;
        load(&mut session, id).await
    }

    /// The connector that is the way in of an identity provider by a protocol, where there is one.
    pub async fn connector_of(
        &self,
        idp_id: &IdentityProviderId,
        protocol_id: &ProtocolId,
    ) -> Result<Option<Connector>> {
        let mut session = self.db.session().await?;
        let mut query = select();
        query
            .and_where(Expr::col("idp_id").eq(idp_id.as_str()))
            .and_where(Expr::col("protocol_id").eq(protocol_id.as_str()));
        let row = session.fetch_optional(&query).await?;
        row.as_ref().map(read).transpose()
    }

    /// Connectors in id order.
    pub async fn connectors(&self, filter: &ConnectorFilter) -> Result<Vec<Connector>> {
        let mut session = self.db.session().await?;
        let mut query = select();
        if let Some(domain_id) = &filter.domain_id {
            query.and_where(Expr::col("domain_id").eq(domain_id.as_str()));
        }
        if let Some(plugin) = &filter.plugin {
            query.and_where(Expr::col("plugin").eq(plugin.as_str()));
        }
        if let Some(enabled) = filter.enabled {
            query.and_where(Expr::col("enabled").eq(enabled));
        }
        by_name(&mut query, (TABLE, "name"), &filter.names);
        by_page(&mut query, (TABLE, "id"), &filter.page);
        let rows = session.fetch_all(&query).await?;
        let mut found = rows.iter().map(read).collect::<Result<Vec<_>>>()?;
        self.keep_exact(&mut found, &filter.names, |connector| &connector.name);
        Ok(found)
    }

    /// Stores a connector with the identity provider, protocol and mapping that are made for it.
    ///
    /// # Errors
    /// `Conflict` where its domain has one of this name.
    pub async fn create_connector(&self, new: &NewConnector) -> Result<()> {
        let NewConnector { connector, mapping } = new;
        write!(self, Touches::Nothing, tx => {
            let provider = IdentityProvider {
                id: connector.idp_id.clone(),
                domain_id: connector.domain_id.clone(),
                enabled: connector.enabled,
                description: Some(connector.name.clone()),
                remote_ids: Vec::new(),
                authorization_ttl: None,
            };
            insert_provider(tx, &provider).await?;
            insert_mapping(tx, mapping).await?;
            let protocol = Protocol {
                id: connector.protocol_id.clone(),
                idp_id: connector.idp_id.clone(),
                mapping_id: connector.mapping_id.clone(),
                remote_id_attribute: None,
            };
            insert_protocol(tx, &protocol).await?;
            let insert = Query::insert()
                .into_table(TABLE)
                .columns(COLUMNS)
                .values_panic([
                    connector.id.as_str().into(),
                    connector.domain_id.as_str().into(),
                    connector.name.as_str().into(),
                    connector.plugin.as_str().into(),
                    connector.idp_id.as_str().into(),
                    connector.protocol_id.as_str().into(),
                    connector.mapping_id.as_str().into(),
                    Value::Object(connector.config.clone()).to_string().into(),
                    connector.secrets.text.as_str().into(),
                    connector.secrets.key_hash.as_str().into(),
                    Value::from(connector.redirect_uris.clone()).to_string().into(),
                    connector.enabled.into(),
                    connector.revision.into(),
                    connector.created_at.timestamp_micros().into(),
                    connector.updated_at.timestamp_micros().into(),
                ])
                .to_owned();
            tx.execute(&insert).await.on_duplicate(Entity::Connector, || {
                format!("the domain has a connector named {}", connector.name)
            })?;
            insert_mapping_words(tx, connector).await?;
        })
    }

    /// Changes a connector; its identity provider and mapping follow.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where the name is taken.
    pub async fn update_connector(
        &self,
        id: &ConnectorId,
        patch: &ConnectorPatch,
        now: DateTime<Utc>,
    ) -> Result<Connector> {
        write!(self, tx => {
            let mut connector = load(tx, id).await?;
            if let Some(name) = patch.name.as_set() {
                connector.name.clone_from(name);
            }
            if let Some((config, secrets)) = patch.config.as_set() {
                connector.config.clone_from(config);
                connector.secrets.clone_from(secrets);
            }
            if let Some(redirect_uris) = patch.redirect_uris.as_set() {
                connector.redirect_uris.clone_from(redirect_uris);
            }
            if let Some(enabled) = patch.enabled.as_set() {
                connector.enabled = *enabled;
            }
            if let Some(name) = patch.mapping_name.as_set() {
                connector.mapping_name.clone_from(name);
            }
            if let Some(project_id) = patch.token_project_id.as_set() {
                connector.token_project_id.clone_from(project_id);
            }
            connector.revision += 1;
            connector.updated_at = now;
            let update = Query::update()
                .table(TABLE)
                .value("name", connector.name.as_str())
                .value("config", Value::Object(connector.config.clone()).to_string())
                .value("sealed_secrets", connector.secrets.text.as_str())
                .value("key_hash", connector.secrets.key_hash.as_str())
                .value("redirect_uris", Value::from(connector.redirect_uris.clone()).to_string())
                .value("enabled", connector.enabled)
                .value("revision", connector.revision)
                .value("updated_at_int", now.timestamp_micros())
                .and_where(Expr::col("id").eq(id.as_str()))
                .to_owned();
            tx.execute(&update).await.on_duplicate(Entity::Connector, || {
                format!("the domain has a connector named {}", connector.name)
            })?;
            let provider = Query::update()
                .table("identity_provider")
                .value("enabled", connector.enabled)
                .value("description", connector.name.as_str())
                .and_where(Expr::col("id").eq(connector.idp_id.as_str()))
                .to_owned();
            tx.execute(&provider).await?;
            if let Some(mapping) = patch.mapping.as_set() {
                update_mapping(tx, mapping).await?;
            }
            delete_where(tx, MAPPING_TABLE, "connector_id", id.as_str()).await?;
            insert_mapping_words(tx, &connector).await?;
            connector
        })
    }

    /// Deletes a connector with its identity provider and mapping, and the users whom it alone
    /// knows.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_connector(&self, id: &ConnectorId) -> Result<()> {
        write!(self, tx => {
            let connector = load(tx, id).await?;
            delete_provider(tx, connector.idp_id.as_str()).await?;
        })
    }
}

async fn load(session: &mut Session, id: &ConnectorId) -> Result<Connector> {
    let mut query = select();
    query.and_where(Expr::col("id").eq(id.as_str()));
    match session.fetch_optional(&query).await? {
        Some(row) => read(&row),
        None => Err(Error::not_found(Entity::Connector, id.as_str())),
    }
}

fn select() -> SelectStatement {
    let of_the_connector = Expr::col((TABLE, "id")).equals((MAPPING_TABLE, "connector_id"));
    Query::select()
        .columns(COLUMNS)
        .columns(MAPPING_COLUMNS)
        .from(TABLE)
        .left_join(MAPPING_TABLE, of_the_connector)
        .to_owned()
}

async fn insert_mapping_words(tx: &mut Session, connector: &Connector) -> Result<()> {
    let project_id = connector.token_project_id.as_ref().map(ProjectId::as_str);
    if connector.mapping_name.is_none() && project_id.is_none() {
        return Ok(());
    }
    let insert = Query::insert()
        .into_table(MAPPING_TABLE)
        .columns(["connector_id", "mapping_name", "token_project_id"])
        .values_panic([
            connector.id.as_str().into(),
            connector.mapping_name.clone().into(),
            project_id.map(str::to_owned).into(),
        ])
        .to_owned();
    tx.execute(&insert).await?;
    Ok(())
}

fn read(row: &Row) -> Result<Connector> {
    Ok(Connector {
        id: row.text("id")?.into(),
        domain_id: row.text("domain_id")?.into(),
        name: row.text("name")?,
        plugin: row.text("plugin")?,
        idp_id: row.text("idp_id")?.into(),
        protocol_id: row.text("protocol_id")?.into(),
        mapping_id: row.text("mapping_id")?.into(),
        mapping_name: row.opt_text("mapping_name")?,
        token_project_id: row.opt_text("token_project_id")?.map(ProjectId::from),
        config: row.json("config")?,
        secrets: Sealed {
            text: row.text("sealed_secrets")?,
            key_hash: row.text("key_hash")?,
        },
        redirect_uris: row.json("redirect_uris")?,
        enabled: row.bool("enabled")?,
        revision: row.int("revision")?,
        created_at: row.opt_micros("created_at_int")?.unwrap_or_default(),
        updated_at: row.opt_micros("updated_at_int")?.unwrap_or_default(),
    })
}
