//! The service catalog: who may change it, and how it looks in a token.

use archstone_model::{
    Extra,
    catalog::{
        Endpoint, EndpointFilter, EndpointPatch, Interface, Region, RegionFilter, RegionPatch,
        Service, ServiceFilter, ServicePatch,
    },
    catalog_url::UrlTemplate,
    entity::Entity,
    id::{EndpointId, ProjectId, RegionId, ServiceId, UserId},
    listing::{Change, Listing},
    policy::Target,
};

use crate::{Caller, Error, Identity, Result};

/// A service with its endpoints, as tokens and `GET /v3/auth/catalog` show it.
#[derive(Debug, Clone, PartialEq)]
pub struct CatalogService {
    pub id: ServiceId,
    pub service_type: String,
    pub name: String,
    pub endpoints: Vec<CatalogEndpoint>,
}

/// An endpoint whose URL has everything filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct CatalogEndpoint {
    pub id: EndpointId,
    pub interface: Interface,
    pub region_id: Option<RegionId>,
    pub url: String,
    /// `name`, `description` and what else its creator said of it.
    pub extra: Extra,
}

impl Identity {
    /// The catalog for a user in a project. Endpoints whose URL cannot be filled in are left out:
    /// without a project, those that need one. A project that has endpoints of its own sees only
    /// these, and only services that have one.
    pub async fn catalog_for(
        &self,
        user_id: &UserId,
        project_id: Option<&ProjectId>,
    ) -> Result<Vec<CatalogService>> {
        let parts = self.catalog_parts().await?;
        let mut endpoints: Vec<_> = parts.endpoints.iter().collect();
        let mut own = Vec::new();
        if let Some(project_id) = project_id {
            let chosen = self.chosen_endpoints(project_id).await?;
            own.clone_from(&endpoints);
            own.retain(|endpoint| chosen.has(endpoint));
        }
        let is_filtered = !own.is_empty();
        if is_filtered {
            endpoints = own;
        } else if !self.options.return_all_endpoints_if_no_filter {
            return Ok(Vec::new());
        }
        let value = |name: &str| match name {
            "tenant_id" | "project_id" => project_id.map(ProjectId::as_str),
            "user_id" => Some(user_id.as_str()),
            "public_endpoint" => self.options.public_endpoint.as_deref(),
            _ => None,
        };
        let mut catalog: Vec<CatalogService> = parts
            .services
            .iter()
            .filter(|service| service.enabled)
            .map(|service| CatalogService {
                name: service.name().unwrap_or_default().to_owned(),
                id: service.id.clone(),
                service_type: service.service_type.clone(),
                endpoints: Vec::new(),
            })
            .collect();
        for endpoint in endpoints.into_iter().filter(|endpoint| endpoint.enabled) {
            let template = UrlTemplate::parse(&endpoint.url);
            let Some(url) = template.ok().and_then(|template| template.fill(value)) else {
                continue;
            };
            let service = catalog
                .iter_mut()
                .find(|service| service.id == endpoint.service_id);
            if let Some(service) = service {
                service.endpoints.push(CatalogEndpoint {
                    id: endpoint.id.clone(),
                    interface: endpoint.interface,
                    region_id: endpoint.region_id.clone(),
                    url,
                    extra: endpoint.extra.clone(),
                });
            }
        }
        if is_filtered {
            catalog.retain(|service| !service.endpoints.is_empty());
        }
        Ok(catalog)
    }

    /// The catalog of a caller's own scope.
    ///
    /// # Errors
    /// `Forbidden` where the token is not project-scoped.
    pub async fn own_catalog(&self, caller: &Caller) -> Result<Vec<CatalogService>> {
        self.enforce(caller, "identity:get_auth_catalog", Target::new())
            .await?;
        let Some(project) = caller.token().project() else {
            return Err(Error::forbidden(
                "only a project-scoped token has a catalog",
            ));
        };
        self.catalog_for(caller.user_id(), Some(&project.id)).await
    }

    pub async fn region(&self, caller: &Caller, id: &RegionId) -> Result<Region> {
        self.enforce(caller, "identity:get_region", Target::new())
            .await?;
        Ok(self.store.region(id).await?)
    }

    pub async fn regions(
        &self,
        caller: &Caller,
        mut filter: RegionFilter,
    ) -> Result<Listing<Region>> {
        self.enforce(caller, "identity:list_regions", Target::new())
            .await?;
        let page = self.page_of(filter.page, self.options.catalog_list_limit);
        filter.page = page.and_one();
        Ok(Listing::of(&page, self.store.regions(&filter).await?))
    }

    pub async fn create_region(&self, caller: &Caller, region: Region) -> Result<Region> {
        self.enforce(caller, "identity:create_region", Target::new())
            .await?;
        self.store.create_region(&region).await?;
        self.audit_write(caller, "create", Entity::Region, region.id.as_str());
        Ok(region)
    }

    pub async fn update_region(
        &self,
        caller: &Caller,
        id: &RegionId,
        patch: RegionPatch,
    ) -> Result<Region> {
        self.enforce(caller, "identity:update_region", Target::new())
            .await?;
        let current = self.store.region(id).await?;
        let patch = RegionPatch {
            extra: added_to(current.extra, patch.extra),
            ..patch
        };
        let region = self
            .store
            .update_region(id, &patch)
            .await
            .map_err(|error| match error {
                archstone_store::Error::InUse(message) => Error::Invalid(message),
                other => other.into(),
            })?;
        self.audit_write(caller, "update", Entity::Region, id.as_str());
        Ok(region)
    }

    pub async fn delete_region(&self, caller: &Caller, id: &RegionId) -> Result<()> {
        self.enforce(caller, "identity:delete_region", Target::new())
            .await?;
        self.store.delete_region(id).await?;
        self.audit_write(caller, "delete", Entity::Region, id.as_str());
        Ok(())
    }

    pub async fn service(&self, caller: &Caller, id: &ServiceId) -> Result<Service> {
        self.enforce(caller, "identity:get_service", Target::new())
            .await?;
        Ok(self.store.service(id).await?)
    }

    pub async fn services(
        &self,
        caller: &Caller,
        mut filter: ServiceFilter,
    ) -> Result<Listing<Service>> {
        self.enforce(caller, "identity:list_services", Target::new())
            .await?;
        let page = self.page_of(filter.page, self.options.catalog_list_limit);
        filter.page = page.and_one();
        Ok(Listing::of(&page, self.store.services(&filter).await?))
    }

    pub async fn create_service(&self, caller: &Caller, service: Service) -> Result<Service> {
        self.enforce(caller, "identity:create_service", Target::new())
            .await?;
        self.store.create_service(&service).await?;
        self.audit_write(caller, "create", Entity::Service, service.id.as_str());
        Ok(service)
    }

    pub async fn update_service(
        &self,
        caller: &Caller,
        id: &ServiceId,
        patch: ServicePatch,
    ) -> Result<Service> {
        self.enforce(caller, "identity:update_service", Target::new())
            .await?;
        let current = self.store.service(id).await?;
        let patch = ServicePatch {
            extra: added_to(current.extra, patch.extra),
            ..patch
        };
        let service = self.store.update_service(id, &patch).await?;
        self.audit_write(caller, "update", Entity::Service, id.as_str());
        Ok(service)
    }

    pub async fn delete_service(&self, caller: &Caller, id: &ServiceId) -> Result<()> {
        self.enforce(caller, "identity:delete_service", Target::new())
            .await?;
        self.store.delete_service(id).await?;
        self.audit_write(caller, "delete", Entity::Service, id.as_str());
        Ok(())
    }

    pub async fn endpoint(&self, caller: &Caller, id: &EndpointId) -> Result<Endpoint> {
        self.enforce(caller, "identity:get_endpoint", Target::new())
            .await?;
        Ok(self.store.endpoint(id).await?)
    }

    pub async fn endpoints(
        &self,
        caller: &Caller,
        mut filter: EndpointFilter,
    ) -> Result<Listing<Endpoint>> {
        self.enforce(caller, "identity:list_endpoints", Target::new())
            .await?;
        let page = self.page_of(filter.page, self.options.catalog_list_limit);
        filter.page = page.and_one();
        Ok(Listing::of(&page, self.store.endpoints(&filter).await?))
    }

    /// Makes the region that an endpoint's old `region` attribute names, where it is not there yet.
    /// `action` is what is about to happen to the endpoint; who may do that may do this.
    pub async fn ensure_region(
        &self,
        caller: &Caller,
        action: &'static str,
        id: &RegionId,
    ) -> Result<()> {
        self.enforce(caller, action, Target::new()).await?;
        match self.store.region(id).await {
            Ok(_) => Ok(()),
            Err(archstone_store::Error::NotFound { .. }) => {
                let region = Region {
                    id: id.clone(),
                    description: String::new(),
                    parent_region_id: None,
                    extra: Extra::default(),
                };
                self.store.create_region(&region).await?;
                self.audit_write(caller, "create", Entity::Region, id.as_str());
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// # Errors
    /// `Invalid` where the URL refers to something that no catalog fills in, or where the service
    /// or the region is not there.
    pub async fn create_endpoint(&self, caller: &Caller, endpoint: Endpoint) -> Result<Endpoint> {
        self.enforce(caller, "identity:create_endpoint", Target::new())
            .await?;
        if UrlTemplate::parse(&endpoint.url).is_err() {
            return Err(Error::Invalid(format!(
                "Cannot create an endpoint with an invalid URL: {}.",
                endpoint.url
            )));
        }
        self.store
            .create_endpoint(&endpoint)
            .await
            .map_err(named_in_request)?;
        self.audit_write(caller, "create", Entity::Endpoint, endpoint.id.as_str());
        Ok(endpoint)
    }

    pub async fn update_endpoint(
        &self,
        caller: &Caller,
        id: &EndpointId,
        patch: EndpointPatch,
    ) -> Result<Endpoint> {
        self.enforce(caller, "identity:update_endpoint", Target::new())
            .await?;
        let current = self.store.endpoint(id).await?;
        let patch = EndpointPatch {
            extra: added_to(current.extra, patch.extra),
            ..patch
        };
        let endpoint = self
            .store
            .update_endpoint(id, &patch)
            .await
            .map_err(named_in_request)?;
        self.audit_write(caller, "update", Entity::Endpoint, id.as_str());
        Ok(endpoint)
    }

    pub async fn delete_endpoint(&self, caller: &Caller, id: &EndpointId) -> Result<()> {
        self.enforce(caller, "identity:delete_endpoint", Target::new())
            .await?;
        self.store.delete_endpoint(id).await?;
        self.audit_write(caller, "delete", Entity::Endpoint, id.as_str());
        Ok(())
    }
}

/// What a patch says of further attributes, and those that it does not speak of as they are.
fn added_to(mut current: Extra, given: Change<Extra>) -> Change<Extra> {
    given.map(|given| {
        current.extend(given);
        current
    })
}

/// A service or region that an endpoint's body names and that is not there is a fault of the body.
fn named_in_request(error: archstone_store::Error) -> Error {
    match error {
        archstone_store::Error::NotFound { .. } => Error::Invalid(Error::from(error).to_string()),
        other => other.into(),
    }
}
