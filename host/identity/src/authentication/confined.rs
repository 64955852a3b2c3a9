//! What a connector's mapping may give: nothing outside of the domain that owns it, and nothing that
//! the domain's manager could not give.

use archstone_model::{
    id::{ConnectorId, DomainId, GroupId, UserId},
    mapping::{Mapped, MappedDomain, MappedGroup, MappedUserKind},
};
use archstone_token::Federation;

use super::{
    ProjectReference, RequestedScope,
    mapped::{public_id, quoted},
};
use crate::{Error, Identity, Result};

/// The roles that the manager of a domain may hand out, as Keystone's policy has it
/// (`domain_managed_target_role`).
const MANAGED_ROLES: [&str; 3] = ["manager", "member", "reader"];

/// The id of whoever a connector knows by this subject. Connectors never share a user, even of one
/// identity provider in one domain.
pub(crate) fn user_of_connector(
    domain_id: &DomainId,
    connector_id: &ConnectorId,
    subject: &str,
) -> UserId {
    public_id(domain_id, &format!("{connector_id}/{}", quoted(subject)))
}

impl Identity {
    /// Refuses what is not the owner's to give. Domains that are named become those that are meant,
    /// so that nothing later finds another one.
    pub(crate) async fn confine(&self, owner: &DomainId, mapped: &mut Mapped) -> Result<()> {
        let refused =
            |what: String| Error::unauthenticated(format!("the connector's mapping gives {what}"));
        if mapped.user.kind == MappedUserKind::Local {
            return Err(refused(
                "a local user, who has not linked themselves".to_owned(),
            ));
        }
        self.confine_domain(owner, &mut mapped.user.domain).await?;
        for id in &mapped.group_ids {
            self.confine_group(owner, id).await?;
        }
        for MappedGroup { domain, .. } in &mut mapped.group_names {
            let mut named = Some(domain.clone());
            self.confine_domain(owner, &mut named).await?;
            *domain = named.unwrap_or_default();
        }
        for project in &mut mapped.projects {
            self.confine_domain(owner, &mut project.domain).await?;
            for role in &project.roles {
                let own = !MANAGED_ROLES.contains(&role.as_str())
                    && !self.is_role_of(role, owner).await?;
                if own {
                    return Err(refused(format!(
                        "the role {role}, which is not the domain's to give"
                    )));
                }
            }
        }
        Ok(())
    }

    /// The scope of tokens that come by a connector which is for one project alone.
    ///
    /// # Errors
    /// `Refused` where another scope was asked for.
    pub(super) async fn fixed_scope(
        &self,
        asked: &RequestedScope,
        origin: &Option<Federation>,
    ) -> Result<Option<RequestedScope>> {
        let Some(origin) = origin else {
            return Ok(None);
        };
        let idp_id = origin.identity_provider_id.as_str().into();
        let protocol_id = origin.protocol_id.as_str().into();
        let connector = self.connector_of(&idp_id, &protocol_id).await?;
        let Some(project_id) = connector.and_then(|connector| connector.token_project_id) else {
            return Ok(None);
        };
        let is_that = match asked {
            RequestedScope::Default | RequestedScope::Unscoped => true,
            RequestedScope::Project(asked) => self.login_project(asked).await?.id == project_id,
            RequestedScope::Domain(_) | RequestedScope::System | RequestedScope::Trust(_) => false,
        };
        match is_that {
            true => Ok(Some(RequestedScope::Project(ProjectReference::Id(
                project_id,
            )))),
            false => Err(Error::refused(
                "Tokens that come by this identity provider are for one project alone.",
            )),
        }
    }

    async fn confine_domain(
        &self,
        owner: &DomainId,
        named: &mut Option<MappedDomain>,
    ) -> Result<()> {
        if let Some(domain) = named.as_ref()
            && (domain.id.is_some() || domain.name.is_some())
            && self.mapped_domain(domain).await? != *owner
        {
            return Err(Error::unauthenticated(
                "the connector's mapping names another domain than the connector's",
            ));
        }
        *named = Some(MappedDomain {
            id: Some(owner.clone()),
            name: None,
        });
        Ok(())
    }

    async fn confine_group(&self, owner: &DomainId, id: &GroupId) -> Result<()> {
        match self.find_group(id).await {
            Ok(group) if group.domain_id == *owner => Ok(()),
            Ok(_) | Err(Error::NotFound { .. }) => Err(Error::unauthenticated(format!(
                "the connector's mapping gives group {id}, which is none of its domain"
            ))),
            Err(error) => Err(error),
        }
    }

    async fn is_role_of(&self, name: &str, domain: &DomainId) -> Result<bool> {
        let roles = self.store.all_roles().await?;
        Ok(roles
            .values()
            .any(|role| role.name == name && role.domain_id.as_ref() == Some(domain)))
    }
}
