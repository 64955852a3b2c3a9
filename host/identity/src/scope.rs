//! From what a login names to what exists: domains, projects and users that are there and enabled.

use std::sync::Arc;

use archstone_model::{
    id::{DomainId, ProjectId},
    project::{Domain, Project},
    user::{User, UserKind},
};

use crate::{
    Error, Identity, Result,
    authentication::{DomainReference, ProjectReference, UserReference},
    subject::{DomainRef, ProjectRef, UserRef},
};

impl Identity {
    /// The enabled domain that a login names; anything else is a failed login.
    pub(crate) async fn login_domain(&self, reference: &DomainReference) -> Result<Domain> {
        let domain = match reference {
            DomainReference::Id(id) => {
                let known = self.known_domain(id).await;
                known.map(Arc::unwrap_or_clone)
            }
            DomainReference::Name(name) => {
                self.store.domain_by_name(name).await.map_err(Error::from)
            }
        }
        .map_err(Error::into_unauthenticated)?;
        if domain.enabled {
            Ok(domain)
        } else {
            Err(Error::unauthenticated(format!(
                "domain {} is disabled",
                domain.id
            )))
        }
    }

    /// The enabled project, in an enabled domain, that a login names.
    pub(crate) async fn login_project(&self, reference: &ProjectReference) -> Result<ProjectRef> {
        let project = match reference {
            ProjectReference::Id(id) => {
                let known = self.known_project(id).await;
                known.map(|known| known.0.clone())
            }
            ProjectReference::Name { name, domain } => {
                let domain = self.login_domain(domain).await?;
                let found = self.store.project_by_name(name, &domain.id).await;
                found.map_err(Error::from)
            }
        }
        .map_err(Error::into_unauthenticated)?;
        self.usable_project(project).await
    }

    /// `project` as a scope, if it and its domain are enabled.
    pub(crate) async fn usable_project(&self, project: Project) -> Result<ProjectRef> {
        if !project.enabled {
            return Err(Error::unauthenticated(format!(
                "project {} is disabled",
                project.id
            )));
        }
        let Some(domain_id) = project.domain_id else {
            return Err(Error::unauthenticated(format!(
                "project {} is a domain",
                project.id
            )));
        };
        let domain = self.login_domain(&DomainReference::Id(domain_id)).await?;
        Ok(ProjectRef {
            id: project.id,
            name: project.name,
            domain: (&domain).into(),
            is_domain: project.is_domain,
        })
    }

    /// The enabled user, in an enabled domain, that a login names.
    pub(crate) async fn login_user(
        &self,
        reference: &UserReference,
    ) -> Result<(Arc<User>, DomainRef)> {
        let (user, domain) = match reference {
            UserReference::Id(id) => {
                let user = self
                    .known_user(id)
                    .await
                    .map_err(Error::into_unauthenticated)?;
                let domain = self
                    .login_domain(&DomainReference::Id(user.domain_id.clone()))
                    .await?;
                (user, domain)
            }
            UserReference::Name { name, domain } => {
                let domain = self.login_domain(domain).await?;
                let user = self
                    .find_user_by_name(name, &domain.id)
                    .await
                    .map_err(Error::into_unauthenticated)?;
                (Arc::new(user), domain)
            }
        };
        if user.enabled {
            Ok((user, (&domain).into()))
        } else {
            Err(Error::unauthenticated(format!(
                "user {} is disabled",
                user.id
            )))
        }
    }

    /// Refuses a domain that does not exist, as a fault of the request.
    pub(crate) async fn require_domain(&self, id: &DomainId) -> Result<()> {
        self.store.domain(id).await.map(drop).map_err(Error::from)
    }

    /// Refuses a domain where a project is wanted.
    pub(crate) async fn require_project_is_no_domain(&self, id: &ProjectId) -> Result<()> {
        match self.store.project(id).await {
            Ok(project) if project.is_domain => Err(Error::invalid(
                "Domain cannot be set as the default project of a user. Expecting to find a \
                 project that is not acting as a domain.",
            )),
            // A default project that does not exist is ignored at login, not refused here.
            Ok(_) | Err(archstone_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl From<&Domain> for DomainRef {
    fn from(domain: &Domain) -> Self {
        Self {
            id: domain.id.clone(),
            name: domain.name.clone(),
        }
    }
}

impl UserRef {
    pub(crate) fn new(user: &User, domain: DomainRef) -> Self {
        let changes_elsewhere = user.kind != UserKind::Local || !user.federated.is_empty();
        Self {
            id: user.id.clone(),
            name: user.name.clone(),
            changes_elsewhere,
            domain,
            password_expires_at: user.password_expires_at,
        }
    }
}
