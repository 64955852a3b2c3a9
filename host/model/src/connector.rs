//! Connectors: a domain's own links to identity providers, each a plugin with a configuration.
//!
//! A connector is the way in of one identity provider by one protocol, the same ones that
//! `OS-FEDERATION` shows. Whoever comes that way lives in the connector's domain and gets nothing
//! outside of it.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::{
    id::{ConnectorId, DomainId, IdentityProviderId, MappingId, ProjectId, ProtocolId},
    listing::{Change, NameFilter, Page},
    mapping::Mapping,
    secret::Sealed,
};

/// A connector as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Connector {
    pub id: ConnectorId,
    /// Who owns it, and where those live whom it proves.
    pub domain_id: DomainId,
    pub name: String,
    /// The name of the plugin that serves it.
    pub plugin: String,
    pub idp_id: IdentityProviderId,
    pub protocol_id: ProtocolId,
    pub mapping_id: MappingId,
    /// What clients may call the mapping, besides its id.
    pub mapping_name: Option<String>,
    /// The one project that tokens are for which come by it, where there is one.
    pub token_project_id: Option<ProjectId>,
    /// Without its secrets.
    pub config: Map<String, Value>,
    /// A JSON object, when open.
    pub secrets: Sealed,
    /// Where a login may send a browser back to, besides this server.
    pub redirect_uris: Vec<String>,
    pub enabled: bool,
    /// Grows with every change.
    pub revision: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What is made together with a connector: the mapping that is its own.
#[derive(Debug, Clone, PartialEq)]
pub struct NewConnector {
    pub connector: Connector,
    pub mapping: Mapping,
}

/// A change of a connector.
#[derive(Debug, Clone, Default)]
pub struct ConnectorPatch {
    pub name: Change<String>,
    pub config: Change<(Map<String, Value>, Sealed)>,
    pub redirect_uris: Change<Vec<String>>,
    pub enabled: Change<bool>,
    pub mapping: Change<Mapping>,
    pub mapping_name: Change<Option<String>>,
    pub token_project_id: Change<Option<ProjectId>>,
}

/// Which connectors to list.
#[derive(Debug, Clone, Default)]
pub struct ConnectorFilter {
    pub domain_id: Option<DomainId>,
    pub plugin: Option<String>,
    pub enabled: Option<bool>,
    pub names: Vec<NameFilter>,
    pub page: Page,
}

/// Tokens that end because of how they came about: everything that came by these ways in that time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginRevocation {
    pub origin: TokenOrigin,
    /// Tokens issued at or after this.
    pub issued_from: DateTime<Utc>,
    /// Tokens issued before this.
    pub issued_until: DateTime<Utc>,
}

/// How a token came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenOrigin {
    /// By this identity provider and protocol: a connector.
    Provider(IdentityProviderId, ProtocolId),
    /// By this method, perhaps among others.
    Method(String),
}

impl OriginRevocation {
    /// Whether a token ends by this.
    pub fn covers(
        &self,
        provider: Option<(&IdentityProviderId, &ProtocolId)>,
        methods: &[String],
        issued_at: DateTime<Utc>,
    ) -> bool {
        let came_so = match &self.origin {
            TokenOrigin::Provider(idp_id, protocol_id) => provider == Some((idp_id, protocol_id)),
            TokenOrigin::Method(name) => methods.contains(name),
        };
        came_so && (self.issued_from..self.issued_until).contains(&issued_at)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn an_origin_is_revoked_for_what_it_gave_in_that_time() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let (idp, protocol) = ("corp".into(), "openid".into());
        let revocation = OriginRevocation {
            origin: TokenOrigin::Provider("corp".into(), "openid".into()),
            issued_from: now - TimeDelta::hours(1),
            issued_until: now,
        };
        let just_before = now - TimeDelta::seconds(1);
        assert!(revocation.covers(Some((&idp, &protocol)), &[], just_before));
        assert!(!revocation.covers(Some((&idp, &protocol)), &[], now));
        assert!(!revocation.covers(Some((&idp, &"other".into())), &[], just_before));
        assert!(!revocation.covers(None, &["openid".to_owned()], just_before));
        let by_method = OriginRevocation {
            origin: TokenOrigin::Method("totp".to_owned()),
            ..revocation
        };
        let methods = ["password".to_owned(), "totp".to_owned()];
        assert!(by_method.covers(None, &methods, just_before));
        assert!(!by_method.covers(None, &methods[..1], just_before));
    }
}
