//! Connectors as the Rust client (`osc`) makes them: an identity provider first, and then a mapping
//! that lets people in by it.

use archstone_model::{
    Extra,
    connector::{Connector, ConnectorFilter},
    dialect::{ClaimMapping, Fields, Inexpressible, Kind, configure, kind_for, settings, text},
    entity::Entity,
    id::{ConnectorId, DomainId, ProjectId},
    listing::{Change, Listing, Page},
};
use serde_json::{Map, Value, json};

use super::{ConnectorChange, ConnectorCreation, ConnectorDetails};
use crate::{Caller, Error, Identity, Result, public_key};

/// Which mappings to list, besides those of which connectors.
#[derive(Debug, Clone, Default)]
pub struct ClaimMappingFilter {
    pub name: Option<String>,
    pub connector_id: Option<ConnectorId>,
}

impl ConnectorDetails {
    /// The settings of the identity provider that it is, in the words of the dialect.
    pub fn settings(&self) -> Fields {
        let default = self.connector.mapping_name.as_deref();
        let default = default.or_else(|| self.has_rules().then_some(self.mapping_name()));
        settings(&self.connector, default)
    }

    /// Its mapping in the words of the dialect, where they can say it.
    pub fn claim_mapping(&self) -> Option<Fields> {
        let (kind, mapping) = self.read_claim_mapping()?;
        let connector = &self.connector;
        let of_people = |value: Value| match kind {
            Kind::OpenId => value,
            Kind::Workloads => Value::Null,
        };
        let mut fields = mapping.fields();
        let scopes = connector.config.get("scopes").cloned().unwrap_or_default();
        for (field, value) in [
            ("name", self.mapping_name().into()),
            ("type", kind.plugin().into()),
            ("idp_id", connector.idp_id.as_str().into()),
            ("domain_id", connector.domain_id.as_str().into()),
            ("domain_id_claim", Value::Null),
            ("enabled", connector.enabled.into()),
            (
                "allowed_redirect_uris",
                of_people(connector.redirect_uris.clone().into()),
            ),
            ("oidc_scopes", of_people(scopes)),
            ("token_project_id", json!(connector.token_project_id)),
            ("token_restriction_id", Value::Null),
        ] {
            fields.insert(field.to_owned(), value);
        }
        Some(fields)
    }

    fn read_claim_mapping(&self) -> Option<(Kind, ClaimMapping)> {
        let kind = Kind::of_plugin(&self.connector.plugin)?;
        let mapping = ClaimMapping::of(kind, &self.connector.config, &self.mapping.rules)?;
        Some((kind, mapping))
    }

    /// What the mapping is called. One that nobody gave a name has the connector's.
    fn mapping_name(&self) -> &str {
        let name = self.connector.mapping_name.as_deref();
        name.unwrap_or(&self.connector.name)
    }
}

impl Identity {
    /// Makes a connector of an identity provider's fields. It lets nobody in before it has a
    /// mapping.
    ///
    /// # Errors
    /// As for [`Self::create_connector`].
    pub async fn create_provider(
        &self,
        caller: &Caller,
        fields: &Fields,
    ) -> Result<ConnectorDetails> {
        let name = text(fields, "name")
            .ok_or_else(|| Error::invalid("'name' is a required property"))?
            .to_owned();
        let kind = kind_for(fields);
        let mut config = Map::new();
        configure(Some(kind), &mut config, fields, public_key::jwk).map_err(refused)?;
        config.retain(|_, value| !value.is_null());
        let creation = ConnectorCreation {
            domain_id: text(fields, "domain_id").map(DomainId::from),
            name,
            plugin: kind.plugin().to_owned(),
            protocol: None,
            config,
            mapping: None,
            mapping_name: text(fields, "default_mapping_name").map(str::to_owned),
            token_project_id: None,
            redirect_uris: redirect_uris(fields).unwrap_or_default(),
            enabled: enabled(fields).unwrap_or(true),
        };
        self.create_connector(caller, creation).await
    }

    /// Changes a connector by an identity provider's fields.
    ///
    /// # Errors
    /// As for [`Self::update_connector`].
    pub async fn update_provider(
        &self,
        caller: &Caller,
        id: &ConnectorId,
        fields: &Fields,
    ) -> Result<ConnectorDetails> {
        let known = self.connector(caller, id).await?;
        require_same(fields, "domain_id", known.connector.domain_id.as_str())?;
        let kind = Kind::of_plugin(&known.connector.plugin);
        let mut config = known.connector.config.clone();
        configure(kind, &mut config, fields, public_key::jwk).map_err(refused)?;
        let mut change = ConnectorChange {
            name: text(fields, "name").map(str::to_owned),
            config: (config != known.connector.config).then_some(config),
            redirect_uris: redirect_uris(fields),
            enabled: enabled(fields),
            ..ConnectorChange::default()
        };
        if let Some(default) = fields.get("default_mapping_name") {
            let default = default.as_str();
            if !known.has_rules() {
                change.mapping_name = Change::Set(default.map(str::to_owned));
            } else if default != Some(known.mapping_name()) {
                return Err(refused(Inexpressible::new(
                    "default_mapping_name",
                    format!(
                        "it has one mapping, which is called {}",
                        known.mapping_name()
                    ),
                )));
            }
        }
        self.update_connector(caller, id, change).await
    }

    /// The connector of a mapping that can be said in the dialect.
    ///
    /// # Errors
    /// `NotFound` where there is no mapping; `Invalid` where its rules say more.
    pub async fn connector_of_claims(
        &self,
        caller: &Caller,
        id: &ConnectorId,
    ) -> Result<ConnectorDetails> {
        Ok(self.known_claims(caller, id).await?.0)
    }

    async fn known_claims(
        &self,
        caller: &Caller,
        id: &ConnectorId,
    ) -> Result<(ConnectorDetails, ClaimMapping)> {
        let found = self.connector(caller, id).await?;
        if !found.has_rules() {
            return Err(Error::not_found(Entity::Mapping, id.as_str()));
        }
        match found.read_claim_mapping() {
            Some((_, mapping)) => Ok((found, mapping)),
            None => Err(Error::invalid(format!(
                "The rules of this mapping say more than names of claims: see /v4/connectors/{id}."
            ))),
        }
    }

    /// Lists the connectors that the caller may see whose mappings can be said in the dialect.
    pub async fn connectors_of_claims(
        &self,
        caller: &Caller,
        mut filter: ConnectorFilter,
        wanted: ClaimMappingFilter,
    ) -> Result<Listing<ConnectorDetails>> {
        let mut limit = filter.page.limit;
        let fits = |found: &ConnectorDetails| {
            let name = wanted.name.as_deref();
            let id = wanted.connector_id.as_ref();
            found.read_claim_mapping().is_some()
                && name.is_none_or(|name| name == found.mapping_name())
                && id.is_none_or(|id| *id == found.connector.id)
        };
        let mut entries = Vec::new();
        // Others stand between those that are wanted, so that one page may not be enough.
        loop {
            let found = self.connectors(caller, filter.clone()).await?;
            limit = limit.or(found.cut_at);
            let last = found.entries.last().map(|it| it.connector.id.to_string());
            entries.extend(found.entries.into_iter().filter(&fits));
            let enough = limit.is_some_and(|limit| entries.len() as u64 >= limit);
            match (found.cut_at, last) {
                (Some(_), Some(last)) if !enough => filter.page.marker = Some(last),
                (more, _) => {
                    let page = Page {
                        limit,
                        marker: None,
                    };
                    let mut listing = Listing::of(&page, entries);
                    listing.cut_at = listing.cut_at.or(more);
                    return Ok(listing);
                }
            }
        }
    }

    /// Gives an identity provider the mapping that lets people in by it.
    ///
    /// # Errors
    /// `Invalid` with what is wrong; `Conflict` where it has a mapping.
    pub async fn create_claim_mapping(
        &self,
        caller: &Caller,
        fields: &Fields,
    ) -> Result<ConnectorDetails> {
        let missing = |field: &str| Error::invalid(format!("'{field}' is a required property"));
        let idp_id = text(fields, "idp_id").ok_or_else(|| missing("idp_id"))?;
        let name = text(fields, "name").ok_or_else(|| missing("name"))?;
        let id = ConnectorId::from(idp_id);
        let known = self.connector(caller, &id).await?;
        if known.has_rules() {
            let details = format!("the identity provider has {}", known.mapping_name());
            return Err(Error::conflict(Entity::Mapping, details));
        }
        if let Some(default) = &known.connector.mapping_name
            && default != name
        {
            return Err(refused(Inexpressible::new(
                "name",
                format!("the identity provider's default_mapping_name is {default}"),
            )));
        }
        let change = change_of_mapping(&known.connector, &ClaimMapping::default(), fields)?;
        self.update_connector(caller, &id, change).await
    }

    /// Changes a mapping.
    ///
    /// # Errors
    /// `Invalid` with what is wrong; `NotFound`.
    pub async fn update_claim_mapping(
        &self,
        caller: &Caller,
        id: &ConnectorId,
        fields: &Fields,
    ) -> Result<ConnectorDetails> {
        let (known, mapping) = self.known_claims(caller, id).await?;
        let change = change_of_mapping(&known.connector, &mapping, fields)?;
        self.update_connector(caller, id, change).await
    }

    /// Takes a mapping away: nobody comes by the identity provider any more, and the tokens of those
    /// who did end.
    ///
    /// # Errors
    /// As for [`Self::connector_of_claims`].
    pub async fn delete_claim_mapping(&self, caller: &Caller, id: &ConnectorId) -> Result<()> {
        let (known, _) = self.known_claims(caller, id).await?;
        let mut config = known.connector.config;
        ClaimMapping::remove_from(&mut config);
        let change = ConnectorChange {
            config: Some(config),
            mapping: Change::Set(None),
            mapping_name: Change::Set(None),
            token_project_id: Change::Set(None),
            ..ConnectorChange::default()
        };
        self.update_connector(caller, id, change).await?;
        Ok(())
    }
}

/// The change of a connector that a mapping's fields are.
fn change_of_mapping(
    connector: &Connector,
    mapping: &ClaimMapping,
    fields: &Fields,
) -> Result<ConnectorChange> {
    let kind = Kind::of_plugin(&connector.plugin).ok_or_else(|| {
        Error::invalid("The identity provider is of a plugin whose mappings are rules.")
    })?;
    for (field, only) in [
        ("id", connector.mapping_id.as_str()),
        ("idp_id", connector.idp_id.as_str()),
        ("domain_id", connector.domain_id.as_str()),
        ("type", kind.plugin()),
    ] {
        require_same(fields, field, only)?;
    }
    for (field, why) in [
        (
            "domain_id_claim",
            "whoever comes by an identity provider lives in its domain",
        ),
        ("token_restriction_id", "there are no such restrictions"),
    ] {
        if fields.get(field).is_some_and(|value| !value.is_null()) {
            return Err(refused(Inexpressible::new(field, why)));
        }
    }
    let scopes = fields.get("oidc_scopes").cloned();
    let redirect_uris = redirect_uris(fields);
    if kind == Kind::Workloads {
        let given = |list: Option<&Value>| {
            list.and_then(Value::as_array)
                .is_some_and(|it| !it.is_empty())
        };
        for field in ["allowed_redirect_uris", "oidc_scopes"] {
            if given(fields.get(field)) {
                let why = "a mapping of type jwt has none: workloads are sent nowhere";
                return Err(refused(Inexpressible::new(field, why)));
            }
        }
    }
    let mapping = mapping.changed(kind, fields).map_err(refused)?;
    let mut config = connector.config.clone();
    mapping.configure(kind, &mut config);
    if let (Some(scopes), Kind::OpenId) = (scopes, kind) {
        config.insert("scopes".to_owned(), scopes);
    }
    let mut rules = Extra::new();
    rules.insert(
        "rules".to_owned(),
        mapping.rules(kind, &connector.domain_id),
    );
    let name = text(fields, "name").map(|name| Some(name.to_owned()));
    let project_id = fields.get("token_project_id");
    Ok(ConnectorChange {
        config: Some(config),
        mapping: Change::Set(Some(rules)),
        mapping_name: name.into(),
        token_project_id: project_id
            .map(|project_id| project_id.as_str().map(ProjectId::from))
            .into(),
        redirect_uris,
        enabled: enabled(fields),
        ..ConnectorChange::default()
    })
}

/// Refuses another value than the one that cannot be changed. One that is not given will do.
fn require_same(fields: &Fields, field: &str, only: &str) -> Result<()> {
    match fields.get(field) {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(given)) if given == only => Ok(()),
        Some(_) => Err(refused(Inexpressible::new(
            field,
            format!("it is {only} and does not change"),
        ))),
    }
}

fn redirect_uris(fields: &Fields) -> Option<Vec<String>> {
    let given = fields.get("allowed_redirect_uris")?;
    let uris = given.as_array().into_iter().flatten();
    Some(uris.filter_map(Value::as_str).map(str::to_owned).collect())
}

fn enabled(fields: &Fields) -> Option<bool> {
    fields.get("enabled").and_then(Value::as_bool)
}

fn refused(error: Inexpressible) -> Error {
    Error::invalid(error.to_string())
}
