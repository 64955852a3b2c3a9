//! Identity providers, their protocols, mappings, and service providers.

use std::collections::BTreeSet;

use archstone_model::{
    Extra,
    directory::EntryKind,
    entity::Entity,
    federation::{
        IdentityProvider, IdentityProviderPatch, Membership, Protocol, ProtocolPatch,
        ProviderFilter, ServiceProvider, ServiceProviderPatch,
    },
    id::{
        DomainId, GroupId, IdentityProviderId, MappingId, ProjectId, ProtocolId, ServiceProviderId,
        UserId,
    },
    mapping::{Assertion, Mapping, SchemaVersion, check_structure},
    policy::Target,
    project::{Project, ResourceOptions},
    user::FederatedAccount,
};
use serde_json::Value;

use crate::{Caller, Error, Identity, Result, directories::Place, new_id};

/// What a client gives to create an identity provider.
#[derive(Debug, Clone)]
pub struct IdentityProviderCreation {
    pub id: IdentityProviderId,
    /// A domain of its own is made where it is absent.
    pub domain_id: Option<DomainId>,
    pub enabled: bool,
    pub description: Option<String>,
    pub remote_ids: Vec<String>,
    pub authorization_ttl: Option<i64>,
}

impl Identity {
    pub async fn identity_provider(
        &self,
        caller: &Caller,
        id: &IdentityProviderId,
    ) -> Result<IdentityProvider> {
        self.enforce(caller, "identity:get_identity_provider", Target::new())
            .await?;
        Ok(self.store.identity_provider(id).await?)
    }

    pub async fn identity_providers(
        &self,
        caller: &Caller,
        mut filter: ProviderFilter,
    ) -> Result<Vec<IdentityProvider>> {
        self.enforce(caller, "identity:list_identity_providers", Target::new())
            .await?;
        filter.page = self.page_asked_for(filter.page);
        let mut providers = self.store.identity_providers(&filter).await?;
        // Some databases compare without regard to case.
        providers.retain(|it| {
            filter
                .ids
                .iter()
                .all(|wanted| wanted.accepts(it.id.as_str()))
        });
        Ok(providers)
    }

    /// # Errors
    /// `NotFound` for the domain, `Conflict` where the id or a remote id is taken.
    pub async fn create_identity_provider(
        &self,
        caller: &Caller,
        creation: IdentityProviderCreation,
    ) -> Result<IdentityProvider> {
        self.enforce(caller, "identity:create_identity_provider", Target::new())
            .await?;
        let own_domain = match &creation.domain_id {
            Some(id) => {
                self.require_domain(id).await?;
                None
            }
            None => Some(domain_of(&creation.id)),
        };
        let provider = IdentityProvider {
            domain_id: match (&own_domain, creation.domain_id) {
                (Some(domain), _) => domain.id.as_domain(),
                (None, given) => given.unwrap_or_else(|| self.options.default_domain_id.clone()),
            },
            id: creation.id,
            enabled: creation.enabled,
            description: creation.description,
            remote_ids: creation.remote_ids,
            authorization_ttl: creation.authorization_ttl,
        };
        self.store
            .create_identity_provider(&provider, own_domain.as_ref())
            .await?;
        if let Some(domain) = own_domain {
            self.audit_write(caller, "create", Entity::Domain, domain.id.as_str());
        }
        self.audit_write(
            caller,
            "create",
            Entity::IdentityProvider,
            provider.id.as_str(),
        );
        Ok(provider)
    }

    pub async fn update_identity_provider(
        &self,
        caller: &Caller,
        id: &IdentityProviderId,
        patch: IdentityProviderPatch,
    ) -> Result<IdentityProvider> {
        self.enforce(caller, "identity:update_identity_provider", Target::new())
            .await?;
        let provider = self.store.update_identity_provider(id, &patch).await?;
        self.audit_write(caller, "update", Entity::IdentityProvider, id.as_str());
        Ok(provider)
    }

    /// Deletes an identity provider with its protocols, and the users whom it alone knows. Tokens
    /// that its word gave end with it.
    pub async fn delete_identity_provider(
        &self,
        caller: &Caller,
        id: &IdentityProviderId,
    ) -> Result<()> {
        self.enforce(caller, "identity:delete_identity_provider", Target::new())
            .await?;
        self.store.delete_identity_provider(id).await?;
        self.audit_write(caller, "delete", Entity::IdentityProvider, id.as_str());
        Ok(())
    }

    pub async fn protocol(
        &self,
        caller: &Caller,
        idp_id: &IdentityProviderId,
        id: &ProtocolId,
    ) -> Result<Protocol> {
        self.enforce(caller, "identity:get_protocol", Target::new())
            .await?;
        self.named_protocol(idp_id, id).await
    }

    pub async fn protocols(
        &self,
        caller: &Caller,
        idp_id: &IdentityProviderId,
    ) -> Result<Vec<Protocol>> {
        self.enforce(caller, "identity:list_protocols", Target::new())
            .await?;
        Ok(self.store.protocols(idp_id).await?)
    }

    /// # Errors
    /// `Invalid` where there is no such mapping, `NotFound` for the identity provider, `Conflict`.
    pub async fn create_protocol(&self, caller: &Caller, protocol: Protocol) -> Result<Protocol> {
        self.enforce(caller, "identity:create_protocol", Target::new())
            .await?;
        self.require_mapping(&protocol.mapping_id).await?;
        self.store.create_protocol(&protocol).await?;
        self.audit_write(caller, "create", Entity::Protocol, protocol.id.as_str());
        Ok(protocol)
    }

    pub async fn update_protocol(
        &self,
        caller: &Caller,
        idp_id: &IdentityProviderId,
        id: &ProtocolId,
        patch: ProtocolPatch,
    ) -> Result<Protocol> {
        self.enforce(caller, "identity:update_protocol", Target::new())
            .await?;
        if let Some(mapping_id) = patch.mapping_id.as_set() {
            self.require_mapping(mapping_id).await?;
        }
        let updated = self.store.update_protocol(idp_id, id, &patch).await;
        let protocol = updated.map_err(|error| protocol_of(idp_id, error))?;
        self.audit_write(caller, "update", Entity::Protocol, id.as_str());
        Ok(protocol)
    }

    pub async fn delete_protocol(
        &self,
        caller: &Caller,
        idp_id: &IdentityProviderId,
        id: &ProtocolId,
    ) -> Result<()> {
        self.enforce(caller, "identity:delete_protocol", Target::new())
            .await?;
        let deleted = self.store.delete_protocol(idp_id, id).await;
        deleted.map_err(|error| protocol_of(idp_id, error))?;
        self.audit_write(caller, "delete", Entity::Protocol, id.as_str());
        Ok(())
    }

    pub async fn mapping(&self, caller: &Caller, id: &MappingId) -> Result<Mapping> {
        self.enforce(caller, "identity:get_mapping", Target::new())
            .await?;
        Ok(self.store.mapping(id).await?)
    }

    pub async fn mappings(&self, caller: &Caller) -> Result<Vec<Mapping>> {
        self.enforce(caller, "identity:list_mappings", Target::new())
            .await?;
        Ok(self.store.mappings().await?)
    }

    /// Stores a new mapping.
    ///
    /// # Errors
    /// `Invalid` with all that is wrong with it, `Conflict` where the id is taken.
    pub async fn create_mapping(
        &self,
        caller: &Caller,
        id: MappingId,
        given: &Extra,
    ) -> Result<Mapping> {
        self.enforce(caller, "identity:create_mapping", Target::new())
            .await?;
        let mapping = self.checked_mapping(id, given)?;
        self.store.create_mapping(&mapping).await?;
        self.audit_write(caller, "create", Entity::Mapping, mapping.id.as_str());
        Ok(mapping)
    }

    /// Puts a mapping in place of another.
    pub async fn replace_mapping(
        &self,
        caller: &Caller,
        id: MappingId,
        given: &Extra,
    ) -> Result<Mapping> {
        self.enforce(caller, "identity:update_mapping", Target::new())
            .await?;
        let mapping = self.checked_mapping(id, given)?;
        self.store.replace_mapping(&mapping).await?;
        self.audit_write(caller, "update", Entity::Mapping, mapping.id.as_str());
        Ok(mapping)
    }

    pub async fn delete_mapping(&self, caller: &Caller, id: &MappingId) -> Result<()> {
        self.enforce(caller, "identity:delete_mapping", Target::new())
            .await?;
        self.store.delete_mapping(id).await?;
        self.audit_write(caller, "delete", Entity::Mapping, id.as_str());
        Ok(())
    }

    pub async fn service_provider(
        &self,
        caller: &Caller,
        id: &ServiceProviderId,
    ) -> Result<ServiceProvider> {
        self.enforce(caller, "identity:get_service_provider", Target::new())
            .await?;
        Ok(self.store.service_provider(id).await?)
    }

    pub async fn service_providers(
        &self,
        caller: &Caller,
        mut filter: ProviderFilter,
    ) -> Result<Vec<ServiceProvider>> {
        self.enforce(caller, "identity:list_service_providers", Target::new())
            .await?;
        filter.page = self.page_asked_for(filter.page);
        let mut providers = self.store.service_providers(&filter).await?;
        providers.retain(|it| {
            filter
                .ids
                .iter()
                .all(|wanted| wanted.accepts(it.id.as_str()))
        });
        Ok(providers)
    }

    pub async fn create_service_provider(
        &self,
        caller: &Caller,
        provider: ServiceProvider,
    ) -> Result<ServiceProvider> {
        self.enforce(caller, "identity:create_service_provider", Target::new())
            .await?;
        self.store.create_service_provider(&provider).await?;
        self.audit_write(
            caller,
            "create",
            Entity::ServiceProvider,
            provider.id.as_str(),
        );
        Ok(provider)
    }

    pub async fn update_service_provider(
        &self,
        caller: &Caller,
        id: &ServiceProviderId,
        patch: ServiceProviderPatch,
    ) -> Result<ServiceProvider> {
        self.enforce(caller, "identity:update_service_provider", Target::new())
            .await?;
        let provider = self.store.update_service_provider(id, &patch).await?;
        self.audit_write(caller, "update", Entity::ServiceProvider, id.as_str());
        Ok(provider)
    }

    pub async fn delete_service_provider(
        &self,
        caller: &Caller,
        id: &ServiceProviderId,
    ) -> Result<()> {
        self.enforce(caller, "identity:delete_service_provider", Target::new())
            .await?;
        self.store.delete_service_provider(id).await?;
        self.audit_write(caller, "delete", Entity::ServiceProvider, id.as_str());
        Ok(())
    }

    /// The `RelayState` prefix of a service provider that is given none.
    pub fn default_relay_state_prefix(&self) -> &str {
        &self.options.federation.relay_state_prefix
    }

    /// The groups that a user is in: for good, and by the word of identity providers while it
    /// lasts.
    pub(crate) async fn memberships(&self, user_id: &UserId) -> Result<Vec<Membership>> {
        if let Place::Directory {
            directory,
            local_id,
        } = self.place_of_id(user_id.as_str(), EntryKind::User).await?
        {
            return self
                .groups_by_directory(&directory, &local_id, user_id)
                .await;
        }
        let lasting = self.store.groups_of_user(user_id).await?;
        let expiring = self
            .store
            .expiring_memberships(
                user_id,
                self.options.federation.default_membership_lifetime,
                self.now(),
            )
            .await?;
        let lasting = lasting.into_iter().map(|group| Membership {
            group,
            expires_at: None,
        });
        Ok(lasting.chain(expiring).collect())
    }

    /// The ids of the groups that a user is in now.
    pub(crate) async fn current_groups(&self, user_id: &UserId) -> Result<BTreeSet<GroupId>> {
        let memberships = self.memberships(user_id).await?;
        Ok(memberships
            .into_iter()
            .map(|membership| membership.group.id)
            .collect())
    }

    /// The provider that an assertion is by, where only the protocol is known.
    ///
    /// # Errors
    /// `LoginRefused` where the assertion does not tell, `Missing` where nobody has that id.
    pub async fn provider_of(
        &self,
        protocol_id: &ProtocolId,
        assertion: &Assertion,
    ) -> Result<IdentityProviderId> {
        let providers = self
            .store
            .identity_providers(&ProviderFilter::default())
            .await?;
        for provider in providers {
            let attribute = match self.remote_id_attribute(&provider.id, protocol_id).await {
                Ok(attribute) => attribute,
                Err(Error::Missing(_)) => continue,
                Err(error) => return Err(error),
            };
            let remote_id = attribute.and_then(|attribute| assertion.get(&attribute));
            if let Some(remote_id) = remote_id.filter(|id| !id.is_empty()) {
                let found = self.store.identity_provider_by_remote_id(remote_id).await;
                return found.map_err(tell_what_is_missing);
            }
        }
        Err(Error::LoginRefused {
            message: "Missing entity ID from environment".to_owned(),
        })
    }

    /// The attribute that tells which provider made an assertion.
    pub(crate) async fn remote_id_attribute(
        &self,
        idp_id: &IdentityProviderId,
        protocol_id: &ProtocolId,
    ) -> Result<Option<String>> {
        let protocol = self.named_protocol(idp_id, protocol_id).await?;
        let options = &self.options.federation;
        let configured = || {
            options
                .remote_id_attributes
                .get(protocol_id.as_str())
                .cloned()
                .or_else(|| options.remote_id_attribute.clone())
        };
        Ok(protocol
            .remote_id_attribute
            .filter(|attribute| !attribute.is_empty())
            .or_else(configured))
    }

    /// Refuses accounts at identity providers, or by protocols, that do not exist.
    pub(crate) async fn require_accounts_exist(&self, accounts: &[FederatedAccount]) -> Result<()> {
        for account in accounts {
            let idp_id = &account.idp_id;
            self.store
                .identity_provider(idp_id)
                .await
                .map_err(|error| match error {
                    archstone_store::Error::NotFound { .. } => {
                        Error::invalid(format!("Could not find Identity Provider: {idp_id}"))
                    }
                    other => other.into(),
                })?;
            self.named_protocol(idp_id, &account.protocol_id)
                .await
                .map_err(|error| match error {
                    Error::Missing(message) => Error::Invalid(message),
                    other => other,
                })?;
        }
        Ok(())
    }

    /// A protocol of an identity provider.
    ///
    /// # Errors
    /// `Missing`, where either does not exist.
    pub(crate) async fn named_protocol(
        &self,
        idp_id: &IdentityProviderId,
        id: &ProtocolId,
    ) -> Result<Protocol> {
        let found = self.store.protocol(idp_id, id).await;
        found.map_err(|error| protocol_of(idp_id, error))
    }

    async fn require_mapping(&self, id: &MappingId) -> Result<()> {
        match self.store.mapping(id).await {
            Ok(_) => Ok(()),
            Err(archstone_store::Error::NotFound { .. }) => {
                Err(Error::invalid(format!("Invalid mapping id: {id}")))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What a client gave, as a mapping. Members may be spelt with `-` or `:` for `_`.
    pub(crate) fn checked_mapping(&self, id: MappingId, given: &Extra) -> Result<Mapping> {
        let mut members: Extra = given
            .iter()
            .map(|(name, value)| (name.replace(['-', ':'], "_"), value.clone()))
            .collect();
        let version = match members.get("schema_version").and_then(Value::as_str) {
            Some(version) if !version.is_empty() => version.to_owned(),
            _ => self.options.federation.default_schema_version.clone(),
        };
        members.insert("schema_version".to_owned(), version.as_str().into());
        let known = SchemaVersion::parse(&version).ok_or_else(|| {
            Error::invalid(format!(
                "Invalid input for field 'schema_version': {version} is not one of 1.0, 2.0, 3.0"
            ))
        })?;
        let mut mapping = Value::Object(members);
        check_structure(known, &mapping).map_err(Error::Invalid)?;
        Ok(Mapping {
            id,
            rules: mapping["rules"].take(),
            schema_version: version,
        })
    }
}

/// The domain that is made for an identity provider which is given none.
fn domain_of(id: &IdentityProviderId) -> Project {
    let domain_id = new_id();
    Project {
        id: ProjectId::from(domain_id.as_str()),
        name: domain_id,
        domain_id: None,
        parent_id: None,
        is_domain: true,
        enabled: true,
        description: Some(format!(
            "Auto generated federated domain for Identity Provider: {id}"
        )),
        tags: Vec::new(),
        options: ResourceOptions::default(),
        extra: Extra::new(),
    }
}

/// What federation is made of is no secret, and a login that lacks it says what to mend.
pub(crate) fn tell_what_is_missing(error: archstone_store::Error) -> Error {
    match error {
        archstone_store::Error::NotFound {
            entity: entity @ (Entity::IdentityProvider | Entity::Mapping | Entity::Domain),
            id,
        } => Error::Missing(format!("Could not find {entity}: {id}.")),
        other => other.into(),
    }
}

/// A protocol is told apart by its provider too.
fn protocol_of(idp_id: &IdentityProviderId, error: archstone_store::Error) -> Error {
    match error {
        archstone_store::Error::NotFound {
            entity: Entity::Protocol,
            id,
        } => Error::Missing(format!(
            "Could not find federated protocol {id} for Identity Provider: {idp_id}."
        )),
        other => other.into(),
    }
}
