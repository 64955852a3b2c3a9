//! The `mapped` method, also known as `saml2`, `openid` and `x509`: an identity provider proved who
//! somebody is, a trusted proxy hands its assertion on, and a mapping says who that is here.

use archstone_model::{
    directory::EntryKind,
    federation::{FederatedLogin, IdentityProvider},
    id::{DomainId, GroupId, IdentityProviderId, MappingId, ProtocolId, UserId},
    mapping::{
        Assertion, Mapped, MappedDomain, MappedGroup, MappedUser, MappedUserKind, MappingError,
        Rules,
    },
    revocation::RevocationEvent,
    user::FederatedAccount,
};
use archstone_token::Federation;
use chrono::TimeDelta;

use super::{
    AuthRequest, DomainReference, Proof, UserReference, confined::user_of_connector, text,
};
use crate::{
    Error, Identity, Result, connectors::Proven, directories, federation::tell_what_is_missing,
};

/// The names that the method is known by.
pub(super) const METHODS: [&str; 4] = ["mapped", "saml2", "openid", "x509"];

/// Where an assertion came from.
pub(super) struct Source {
    pub(super) provider: IdentityProvider,
    pub(super) protocol_id: ProtocolId,
}

impl Identity {
    pub(super) async fn prove_by_mapping(
        &self,
        method: &str,
        request: &AuthRequest,
        proof: &mut Proof,
    ) -> Result<()> {
        let payload = request.payload(method)?;
        if let Some(token) = text(payload, "id") {
            return self
                .prove_by_federated_token(method, token, request, proof)
                .await;
        }
        let idp_id = text(payload, "identity_provider")
            .map(IdentityProviderId::from)
            .ok_or_else(|| Error::missing_attribute("identity_provider", "mapped"))?;
        let protocol_id = text(payload, "protocol")
            .map(ProtocolId::from)
            .ok_or_else(|| Error::missing_attribute("protocol", "mapped"))?;
        let source = Source {
            provider: self.enabled_provider(&idp_id).await?,
            protocol_id,
        };
        let proven = self.require_own_voice(&source, request).await?;
        self.require_own_remote_id(&source, &request.assertion)
            .await?;
        let (rules, mapping_id) = self.rules_of(&source).await?;
        let mut mapped = rules
            .apply(&request.assertion)
            .map_err(|error| not_mapped(&mapping_id, error))?;
        if let Some(proven) = proven {
            self.confine(&proven.connector.domain_id, &mut mapped)
                .await?;
        }
        let groups = self.mapped_groups(&mapping_id, &mapped).await?;
        match mapped.user.kind {
            MappedUserKind::Local => {
                let reference = local_user(&mapped.user)?;
                let (user, _) = self.login_user(&reference).await?;
                proof.add(method, user.id.clone())
            }
            MappedUserKind::Ephemeral => {
                let user_id = self.shadow(&source, request, &mapped, &groups).await?;
                self.provision(&source.provider, &user_id, &mapped, rules.version())
                    .await?;
                proof.federation = Some(Federation {
                    identity_provider_id: source.provider.id.into_string(),
                    protocol_id: source.protocol_id.into_string(),
                    group_ids: groups.into_iter().map(String::from).collect(),
                });
                proof.add(method, user_id)
            }
        }
    }

    /// Where a connector is the way to a provider, nobody else speaks for it, whatever a proxy says;
    /// and a connector speaks for no other.
    async fn require_own_voice<'a>(
        &self,
        source: &Source,
        request: &'a AuthRequest,
    ) -> Result<Option<&'a Proven>> {
        let known = self
            .connector_of(&source.provider.id, &source.protocol_id)
            .await?;
        match (known, &request.proven) {
            (None, None) => Ok(None),
            (Some(known), Some(proven)) if known.id == proven.connector.id => Ok(Some(proven)),
            _ => Err(Error::unauthenticated(
                "an assertion that does not come from the provider's own connector",
            )),
        }
    }

    /// Refuses to go on with a federated token whose source is no longer good for it.
    pub(super) async fn require_federation_holds(&self, federation: &Federation) -> Result<()> {
        let source = Source {
            provider: self
                .enabled_provider(&federation.identity_provider_id.as_str().into())
                .await?,
            protocol_id: federation.protocol_id.as_str().into(),
        };
        let (_, mapping_id) = self.rules_of(&source).await?;
        for id in &federation.group_ids {
            self.require_mapped_group(&mapping_id, &id.as_str().into())
                .await?;
        }
        Ok(())
    }

    /// A federated token in place of an assertion, as older clients scope one.
    async fn prove_by_federated_token(
        &self,
        method: &str,
        token: &str,
        request: &AuthRequest,
        proof: &mut Proof,
    ) -> Result<()> {
        if self.validate_now(token).await?.federation.is_none() {
            return Err(Error::unauthenticated("the token is not a federated one"));
        }
        self.prove_by_token(method, token, request, proof).await
    }

    pub(super) async fn enabled_provider(
        &self,
        id: &IdentityProviderId,
    ) -> Result<IdentityProvider> {
        let found = self.store.identity_provider(id).await;
        let provider = found.map_err(tell_what_is_missing)?;
        if provider.enabled {
            Ok(provider)
        } else {
            Err(Error::refused(format!(
                "Identity Provider {id} is disabled"
            )))
        }
    }

    /// An assertion must come from the provider that the login names, where that can be told.
    async fn require_own_remote_id(&self, source: &Source, assertion: &Assertion) -> Result<()> {
        let attribute = self
            .remote_id_attribute(&source.provider.id, &source.protocol_id)
            .await?;
        let (Some(attribute), false) = (attribute, source.provider.remote_ids.is_empty()) else {
            return Ok(());
        };
        match assertion.get(&attribute) {
            None => Err(Error::unauthenticated(format!(
                "the assertion has no {attribute}, which would tell its provider"
            ))),
            Some(id) if source.provider.remote_ids.iter().any(|known| known == id) => Ok(()),
            Some(_) => Err(Error::refused(
                "Incoming identity provider identifier not included among the accepted \
                 identifiers.",
            )),
        }
    }

    pub(super) async fn rules_of(&self, source: &Source) -> Result<(Rules, MappingId)> {
        let protocol = self
            .named_protocol(&source.provider.id, &source.protocol_id)
            .await?;
        let found = self.store.mapping(&protocol.mapping_id).await;
        let mapping = found.map_err(tell_what_is_missing)?;
        let rules = Rules::read(&mapping.schema_version, &mapping.rules)
            .map_err(|error| not_mapped(&mapping.id, error))?;
        Ok((rules, mapping.id))
    }

    /// The groups that a mapping gives. Those named by id must exist; of those named by name, the
    /// ones that do.
    pub(super) async fn mapped_groups(
        &self,
        mapping_id: &MappingId,
        mapped: &Mapped,
    ) -> Result<Vec<GroupId>> {
        let mut groups: Vec<GroupId> = Vec::new();
        for id in &mapped.group_ids {
            self.require_mapped_group(mapping_id, id).await?;
            groups.push(id.clone());
        }
        for MappedGroup { name, domain } in &mapped.group_names {
            let domain_id = self.mapped_domain(domain).await?;
            match self.find_group_by_name(name, &domain_id).await {
                Ok(group) if groups.contains(&group.id) => {}
                Ok(group) => groups.push(group.id),
                Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(groups)
    }

    async fn require_mapped_group(&self, mapping_id: &MappingId, id: &GroupId) -> Result<()> {
        match self.find_group(id).await {
            Ok(_) => Ok(()),
            Err(Error::NotFound { .. }) => Err(Error::internal(format!(
                "mapping {mapping_id} gives group {id}, which does not exist"
            ))),
            Err(error) => Err(error),
        }
    }

    /// A domain that a mapping names.
    pub(super) async fn mapped_domain(&self, domain: &MappedDomain) -> Result<DomainId> {
        match (&domain.id, &domain.name) {
            (Some(id), _) => Ok(id.clone()),
            (None, Some(name)) => {
                let found = self.store.domain_by_name(name).await;
                Ok(found.map_err(tell_what_is_missing)?.id)
            }
            (None, None) => Err(Error::unauthenticated(
                "the mapping names a domain by neither id nor name",
            )),
        }
    }

    /// The user whom this provider knows by this name, made at the first login.
    async fn shadow(
        &self,
        source: &Source,
        request: &AuthRequest,
        mapped: &Mapped,
        groups: &[GroupId],
    ) -> Result<UserId> {
        let user = &mapped.user;
        let assertion = &request.assertion;
        let name = user
            .name
            .clone()
            .filter(|name| !name.is_empty())
            .or_else(|| assertion.get("REMOTE_USER").map(str::to_owned))
            .or_else(|| user.id.as_ref().map(ToString::to_string))
            .filter(|name| !name.is_empty())
            .ok_or_else(|| Error::LoginRefused {
                message:
                    "Could not map user while setting ephemeral user identity. Either mapping \
                          rules must specify user id/name or REMOTE_USER environment variable \
                          must be set."
                        .to_owned(),
            })?;
        let id = user.id.as_ref().map(UserId::as_str);
        // A name, or whatever a mapping takes for an id, may pass to somebody else; a connector's
        // subject never does.
        let unique_id = match &request.proven {
            Some(proven) => quoted(&proven.subject),
            None => quoted(id.filter(|id| !id.is_empty()).unwrap_or(&name)),
        };
        let domain_id = match &user.domain {
            Some(domain) => self.mapped_domain(domain).await?,
            None => source.provider.domain_id.clone(),
        };
        // A user is never made in a domain that is not there or not in use.
        self.login_domain(&DomainReference::Id(domain_id.clone()))
            .await?;
        let new_id = match &request.proven {
            Some(proven) => user_of_connector(&domain_id, &proven.connector.id, &proven.subject),
            None => public_id(&domain_id, &unique_id),
        };
        // Ids of a directory's entries are made in the same way. A provider's word is no proof of
        // being one of them.
        if self.store.id_mapping(new_id.as_str()).await?.is_some() {
            return Err(Error::unauthenticated(
                "the provider's user would have the id of an entry of the domain's directory",
            ));
        }
        let login = FederatedLogin {
            new_id,
            domain_id,
            account: FederatedAccount {
                idp_id: source.provider.id.clone(),
                protocol_id: source.protocol_id.clone(),
                unique_id,
                display_name: Some(name),
            },
            email: user.email.clone().filter(|email| !email.is_empty()),
            groups: groups.to_vec(),
            now: self.now(),
        };
        let shadowed = self.store.shadow(&login).await?;
        if shadowed.lost_or_gained_groups {
            // Not the token that this login gives, which is issued within the same second.
            let before = login.now - TimeDelta::seconds(1);
            self.revoke(RevocationEvent::for_user(shadowed.user_id.clone(), before))
                .await?;
        }
        Ok(shadowed.user_id)
    }
}

/// The user of this cloud whom a mapping names.
pub(super) fn local_user(user: &MappedUser) -> Result<UserReference> {
    if let Some(name) = user.name.as_ref().filter(|name| !name.is_empty()) {
        let domain = user
            .domain
            .as_ref()
            .ok_or_else(|| Error::missing_attribute("domain", "user"))?;
        let domain = match (&domain.name, &domain.id) {
            (Some(name), _) => DomainReference::Name(name.clone()),
            (None, Some(id)) => DomainReference::Id(id.clone()),
            (None, None) => return Err(Error::missing_attribute("id or name", "domain")),
        };
        return Ok(UserReference::Name {
            name: name.clone(),
            domain,
        });
    }
    user.id
        .clone()
        .map(UserReference::Id)
        .ok_or_else(|| Error::missing_attribute("id or name", "user"))
}

/// The id of a user whom another system knows by `unique_id`.
pub(super) fn public_id(domain_id: &DomainId, unique_id: &str) -> UserId {
    UserId::new(directories::public_id(
        domain_id,
        EntryKind::User,
        unique_id,
    ))
}

/// Text as it stands in a path, `/` included.
pub(super) fn quoted(text: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
        .remove(b'_')
        .remove(b'.')
        .remove(b'-')
        .remove(b'~')
        .remove(b'/');
    percent_encoding::utf8_percent_encode(text, KEPT).to_string()
}

fn not_mapped(mapping_id: &MappingId, error: MappingError) -> Error {
    match error {
        MappingError::NotMapped(reason) => {
            Error::unauthenticated(format!("mapping {mapping_id}: {reason}"))
        }
        MappingError::Faulty(reason) => Error::internal(format!("mapping {mapping_id}: {reason}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unique_id_is_quoted_as_python_quotes_it() {
        assert_eq!(
            quoted("ada lovelace@x/y?~é"),
            "ada%20lovelace%40x/y%3F~%C3%A9"
        );
    }
}
