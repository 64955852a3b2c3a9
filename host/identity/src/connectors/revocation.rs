//! Ending, at once, all that came by one way: for the day an identity provider or a plugin turns out
//! to be compromised.

use archstone_model::{
    connector::{Connector, ConnectorFilter, OriginRevocation, TokenOrigin},
    entity::Entity,
    id::ConnectorId,
    policy::Target,
};
use chrono::{DateTime, TimeDelta, Utc};

use crate::{Caller, Error, Identity, Result};

/// Tokens of this second are covered: they tell the time by the second.
const THIS_SECOND: TimeDelta = TimeDelta::seconds(1);

impl Identity {
    /// Ends every token that came by a connector since a time, or ever.
    pub async fn revoke_connector(
        &self,
        caller: &Caller,
        id: &ConnectorId,
        since: Option<DateTime<Utc>>,
    ) -> Result<()> {
        let connector = self
            .enforced_connector(caller, "archstone:revoke_connector", id)
            .await?;
        self.end_origins(vec![origin(&connector)], since, self.now() + THIS_SECOND)
            .await?;
        self.audit_write(caller, "revoke", Entity::Connector, id.as_str());
        Ok(())
    }

    /// Ends every token that came by a plugin since a time, or ever: by any connector of it, or by
    /// the method of its name.
    ///
    /// # Errors
    /// `Missing` where nothing is known of such a plugin.
    pub async fn revoke_plugin(
        &self,
        caller: &Caller,
        name: &str,
        since: Option<DateTime<Utc>>,
    ) -> Result<()> {
        self.enforce(caller, "archstone:revoke_plugin", Target::new())?;
        let filter = ConnectorFilter {
            plugin: Some(name.to_owned()),
            ..ConnectorFilter::default()
        };
        let connectors = self.store.connectors(&filter).await?;
        let mut origins: Vec<_> = connectors.iter().map(origin).collect();
        if self
            .options
            .auth_methods
            .iter()
            .any(|method| method == name)
        {
            origins.push(TokenOrigin::Method(name.to_owned()));
        }
        if origins.is_empty() {
            return Err(Error::Missing(format!(
                "Could not find plugin: nothing comes by {name}."
            )));
        }
        self.end_origins(origins, since, self.now() + THIS_SECOND)
            .await?;
        self.audit_write(caller, "revoke", Entity::Plugin, name);
        Ok(())
    }

    /// Ends what came by a connector that is out of use now.
    pub(super) async fn revoke_connector_now(&self, connector: &Connector) -> Result<()> {
        self.end_origins(vec![origin(connector)], None, self.now() + THIS_SECOND)
            .await
    }

    async fn end_origins(
        &self,
        origins: Vec<TokenOrigin>,
        since: Option<DateTime<Utc>>,
        until: DateTime<Utc>,
    ) -> Result<()> {
        let revocations: Vec<_> = origins
            .into_iter()
            .map(|origin| OriginRevocation {
                origin,
                issued_from: since.unwrap_or(DateTime::UNIX_EPOCH),
                issued_until: until,
            })
            .collect();
        let oldest = self.now() - self.options.token_lifetime - self.options.allow_expired_window;
        Ok(self.store.revoke_origins(&revocations, oldest).await?)
    }
}

fn origin(connector: &Connector) -> TokenOrigin {
    TokenOrigin::Provider(connector.idp_id.clone(), connector.protocol_id.clone())
}
