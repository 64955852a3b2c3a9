//! Ending, at once, all that came by one way: for the day an identity provider or a plugin turns out
//! to be compromised.

use archstone_model::{
    connector::{Connector, ConnectorFilter, OriginRevocation, TokenOrigin},
    entity::Entity,
    id::ConnectorId,
    plugin::times_in_service,
    policy::Target,
};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use crate::{Caller, Error, Identity, Result};

/// Tokens of this second are covered: they tell the time by the second.
const THIS_SECOND: TimeDelta = TimeDelta::seconds(1);

/// A login ends on the artifact that it began on, ten minutes later at most, and nodes take up a
/// change within seconds.
const LONGEST_LOGIN: TimeDelta = TimeDelta::seconds(610);

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
        self.end_origins(vec![origin(&connector)], vec![self.period(since)])
            .await?;
        self.audit_write(caller, "revoke", Entity::Connector, id.as_str());
        Ok(())
    }

    /// Ends every token that came by a plugin since a time, or ever: by any connector of it, or by
    /// the method of its name. With a digest, only those that came while the plugin was that
    /// artifact, or as long after as a login that had begun may take.
    ///
    /// # Errors
    /// `Missing` where nothing comes by such a plugin, or it never was that artifact.
    pub async fn revoke_plugin(
        &self,
        caller: &Caller,
        name: &str,
        digest: Option<&str>,
        since: Option<DateTime<Utc>>,
    ) -> Result<()> {
        self.enforce(caller, "archstone:revoke_plugin", Target::new())
            .await?;
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
        let periods = match digest {
            None => vec![self.period(since)],
            Some(digest) => {
                let history = self.store.plugin_history(name).await?;
                let (from, until) = self.period(since);
                times_in_service(&history, digest)
                    .into_iter()
                    .map(|(began, ended)| {
                        let ended = ended.map_or(until, |ended| ended + LONGEST_LOGIN);
                        (began.max(from), ended.min(until))
                    })
                    .collect()
            }
        };
        if origins.is_empty() || periods.is_empty() {
            return Err(Error::Missing(format!(
                "Could not find plugin: nothing came by {name}, or by that artifact of it."
            )));
        }
        self.end_origins(origins, periods).await?;
        self.audit_write(caller, "revoke", Entity::Plugin, name);
        Ok(())
    }

    /// Ends what came by a connector that is out of use now.
    pub(super) async fn revoke_connector_now(&self, connector: &Connector) -> Result<()> {
        self.end_origins(vec![origin(connector)], vec![self.period(None)])
            .await
    }

    /// From a time, or from ever, until now.
    fn period(&self, since: Option<DateTime<Utc>>) -> (DateTime<Utc>, DateTime<Utc>) {
        let until = self.now().trunc_subsecs(0) + THIS_SECOND;
        (since.unwrap_or(DateTime::UNIX_EPOCH), until)
    }

    async fn end_origins(
        &self,
        origins: Vec<TokenOrigin>,
        periods: Vec<(DateTime<Utc>, DateTime<Utc>)>,
    ) -> Result<()> {
        let ended = |origin: &TokenOrigin| {
            let origin = origin.clone();
            let revocation = move |(issued_from, issued_until)| OriginRevocation {
                origin: origin.clone(),
                issued_from,
                issued_until,
            };
            periods.clone().into_iter().map(revocation)
        };
        let revocations: Vec<_> = origins.iter().flat_map(ended).collect();
        let oldest = self.now() - self.options.token_lifetime - self.options.allow_expired_window;
        Ok(self.store.revoke_origins(&revocations, oldest).await?)
    }
}

fn origin(connector: &Connector) -> TokenOrigin {
    TokenOrigin::Provider(connector.idp_id.clone(), connector.protocol_id.clone())
}
