//! The first administrator: user, project, roles, region and identity endpoints. Running it again
//! completes what is missing and sets the password anew, as `keystone-manage bootstrap` does.

use archstone_model::{
    Extra,
    catalog::{Endpoint, EndpointFilter, EndpointPatch, Interface, Region, Service, ServiceFilter},
    id::{DomainId, EndpointId, ProjectId, RegionId, RoleId, ServiceId, UserId},
    listing::{Change, Comparison, NameFilter},
    project::{Project, ResourceOptions},
    role::{Actor, Assignment, ImpliedRole, Role, Target},
    secret::Secret,
    user::{NewPassword, NewUser, UserOptions, UserPatch},
};
use archstone_store::Error as StoreError;

use crate::{Identity, Result, new_id};

/// What to bootstrap: the `--bootstrap-*` options.
#[derive(Debug, Clone)]
pub struct Bootstrap {
    pub username: String,
    pub password: Secret,
    pub project_name: String,
    pub role_name: String,
    pub service_name: String,
    pub region_id: Option<String>,
    pub admin_url: Option<String>,
    pub public_url: Option<String>,
    pub internal_url: Option<String>,
    /// Makes the standard roles immutable.
    pub immutable_roles: bool,
}

/// What there is after a bootstrap.
#[derive(Debug, Clone)]
pub struct Bootstrapped {
    pub user_id: UserId,
    pub project_id: ProjectId,
    pub domain_id: DomainId,
}

impl Identity {
    /// # Errors
    /// Only where the database or the password refuses.
    pub async fn bootstrap(&self, bootstrap: &Bootstrap) -> Result<Bootstrapped> {
        let domain_id = self.bootstrap_domain().await?;
        let project_id = self
            .bootstrap_project(&domain_id, &bootstrap.project_name)
            .await?;
        let user_id = self.bootstrap_user(&domain_id, bootstrap).await?;
        let immutable = bootstrap.immutable_roles;
        let reader = self.bootstrap_role("reader", immutable).await?;
        let member = self.bootstrap_role("member", immutable).await?;
        let manager = self.bootstrap_role("manager", immutable).await?;
        let admin = self.bootstrap_role(&bootstrap.role_name, immutable).await?;
        self.bootstrap_role("service", immutable).await?;
        for (prior, implied) in [(&admin, &manager), (&manager, &member), (&member, &reader)] {
            let implication = ImpliedRole {
                prior: prior.clone(),
                implied: implied.clone(),
            };
            self.store.create_implied_role(&implication).await?;
        }
        for target in [Target::Project(project_id.clone()), Target::System] {
            self.store
                .grant(&Assignment {
                    actor: Actor::User(user_id.clone()),
                    target,
                    role_id: admin.clone(),
                    inherited: false,
                })
                .await?;
        }
        self.bootstrap_catalog(bootstrap).await?;
        Ok(Bootstrapped {
            user_id,
            project_id,
            domain_id,
        })
    }

    async fn bootstrap_domain(&self) -> Result<DomainId> {
        let id = self.options.default_domain_id.clone();
        let domain = Project {
            id: id.as_project(),
            name: "Default".to_owned(),
            domain_id: None,
            parent_id: None,
            is_domain: true,
            enabled: true,
            description: Some("The default domain".to_owned()),
            tags: Vec::new(),
            options: ResourceOptions::default(),
            extra: Extra::new(),
        };
        match self.store.domain(&id).await {
            Ok(_) => {}
            Err(StoreError::NotFound { .. }) => self.store.create_project(&domain).await?,
            Err(error) => return Err(error.into()),
        }
        Ok(id)
    }

    async fn bootstrap_project(&self, domain_id: &DomainId, name: &str) -> Result<ProjectId> {
        match self.store.project_by_name(name, domain_id).await {
            Ok(project) => Ok(project.id),
            Err(StoreError::NotFound { .. }) => {
                let project = Project {
                    id: ProjectId::new(new_id()),
                    name: name.to_owned(),
                    domain_id: Some(domain_id.clone()),
                    parent_id: Some(domain_id.as_project()),
                    is_domain: false,
                    enabled: true,
                    description: Some("Bootstrap project for initializing the cloud.".to_owned()),
                    tags: Vec::new(),
                    options: ResourceOptions::default(),
                    extra: Extra::new(),
                };
                self.store.create_project(&project).await?;
                Ok(project.id)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn bootstrap_user(&self, domain_id: &DomainId, bootstrap: &Bootstrap) -> Result<UserId> {
        let now = self.now();
        let password = |hash| NewPassword {
            hash,
            created_at: now,
            expires_at: None,
            self_service: false,
        };
        match self
            .store
            .user_by_name(&bootstrap.username, domain_id)
            .await
        {
            Ok(user) => {
                // A password that is already right stays, and with it the tokens made by it.
                let account = self.store.user_with_passwords(&user.id).await?;
                let hash = account
                    .passwords
                    .last()
                    .and_then(|current| current.hash.clone());
                let is_right = match hash {
                    Some(hash) => {
                        self.passwords
                            .verify(bootstrap.password.clone(), hash)
                            .await?
                    }
                    None => false,
                };
                let mut patch = UserPatch {
                    enabled: Change::Set(true),
                    ..UserPatch::default()
                };
                if !is_right {
                    let hash = self.passwords.hash(bootstrap.password.clone()).await?;
                    patch.password = Change::Set(Some(password(hash)));
                }
                self.store.update_user(&user.id, &patch).await?;
                Ok(user.id)
            }
            Err(StoreError::NotFound { .. }) => {
                let hash = self.passwords.hash(bootstrap.password.clone()).await?;
                let user = NewUser {
                    id: UserId::new(new_id()),
                    domain_id: domain_id.clone(),
                    name: bootstrap.username.clone(),
                    enabled: true,
                    default_project_id: None,
                    password: Some(password(hash)),
                    options: UserOptions::default(),
                    federated: Vec::new(),
                    extra: Extra::new(),
                    created_at: now,
                };
                Ok(self.store.create_user(&user).await?.id)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn bootstrap_role(&self, name: &str, immutable: bool) -> Result<RoleId> {
        match self.store.role_by_name(name, None).await {
            Ok(role) => Ok(role.id),
            Err(StoreError::NotFound { .. }) => {
                let role = Role {
                    id: RoleId::new(new_id()),
                    name: name.to_owned(),
                    domain_id: None,
                    description: None,
                    options: ResourceOptions {
                        immutable: immutable.then_some(true),
                    },
                    extra: Extra::new(),
                };
                self.store.create_role(&role).await?;
                Ok(role.id)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn bootstrap_catalog(&self, bootstrap: &Bootstrap) -> Result<()> {
        let region_id = bootstrap.region_id.as_deref().map(RegionId::from);
        if let Some(id) = &region_id
            && matches!(
                self.store.region(id).await,
                Err(StoreError::NotFound { .. })
            )
        {
            let region = Region {
                id: id.clone(),
                description: String::new(),
                parent_region_id: None,
                extra: Extra::new(),
            };
            self.store.create_region(&region).await?;
        }
        let urls = [
            (Interface::Public, &bootstrap.public_url),
            (Interface::Internal, &bootstrap.internal_url),
            (Interface::Admin, &bootstrap.admin_url),
        ];
        if urls.iter().all(|(_, url)| url.is_none()) {
            return Ok(());
        }
        let service_id = self.bootstrap_service(&bootstrap.service_name).await?;
        let filter = EndpointFilter {
            service_id: Some(service_id.clone()),
            region_id: region_id.clone(),
            ..EndpointFilter::default()
        };
        let known = self.store.endpoints(&filter).await?;
        for (interface, url) in urls {
            let Some(url) = url else { continue };
            match known
                .iter()
                .find(|endpoint| endpoint.interface == interface)
            {
                Some(endpoint) => {
                    let patch = EndpointPatch {
                        url: Change::Set(url.clone()),
                        ..EndpointPatch::default()
                    };
                    self.store.update_endpoint(&endpoint.id, &patch).await?;
                }
                None => {
                    self.store
                        .create_endpoint(&Endpoint {
                            id: EndpointId::new(new_id()),
                            interface,
                            service_id: service_id.clone(),
                            region_id: region_id.clone(),
                            url: url.clone(),
                            enabled: true,
                            extra: Extra::new(),
                        })
                        .await?;
                }
            }
        }
        Ok(())
    }

    async fn bootstrap_service(&self, name: &str) -> Result<ServiceId> {
        let filter = ServiceFilter {
            types: vec![NameFilter {
                comparison: Comparison::Equals,
                value: "identity".to_owned(),
            }],
            ..ServiceFilter::default()
        };
        if let Some(service) = self.store.services(&filter).await?.into_iter().next() {
            return Ok(service.id);
        }
        let mut extra = Extra::new();
        extra.insert("name".to_owned(), name.into());
        let service = Service {
            id: ServiceId::new(new_id()),
            service_type: "identity".to_owned(),
            enabled: true,
            extra,
        };
        self.store.create_service(&service).await?;
        Ok(service.id)
    }
}
