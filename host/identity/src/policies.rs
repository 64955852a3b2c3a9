//! Policy documents that services keep here, and which of them is for which endpoint.

use archstone_model::{
    Extra,
    catalog::{Endpoint, EndpointFilter, RegionFilter},
    endpoint_policy::{
        PolicyDocument, PolicyDocumentFilter, PolicyDocumentPatch, PolicySubject,
        policy_subjects_of,
    },
    entity::Entity,
    id::{EndpointId, PolicyId},
    listing::Listing,
    policy::Target,
};

use crate::{Caller, Error, Identity, Result, new_id};

/// What a client gives to keep a policy document.
#[derive(Debug, Clone)]
pub struct PolicyDocumentCreation {
    pub kind: String,
    pub blob: String,
    pub extra: Extra,
}

/// The policy rules of one operation on associations, by what the policy is for.
struct AssociationRules {
    of_endpoint: &'static str,
    of_service: &'static str,
    of_region_and_service: &'static str,
}

impl AssociationRules {
    const CREATE: Self = Self {
        of_endpoint: "identity:create_policy_association_for_endpoint",
        of_service: "identity:create_policy_association_for_service",
        of_region_and_service: "identity:create_policy_association_for_region_and_service",
    };
    const CHECK: Self = Self {
        of_endpoint: "identity:check_policy_association_for_endpoint",
        of_service: "identity:check_policy_association_for_service",
        of_region_and_service: "identity:check_policy_association_for_region_and_service",
    };
    const DELETE: Self = Self {
        of_endpoint: "identity:delete_policy_association_for_endpoint",
        of_service: "identity:delete_policy_association_for_service",
        of_region_and_service: "identity:delete_policy_association_for_region_and_service",
    };
}

impl Identity {
    /// Whether the caller may keep policy documents, which is asked before their body is read.
    pub async fn may_create_policy_documents(&self, caller: &Caller) -> Result<()> {
        self.enforce(caller, "identity:create_policy", Target::new())
            .await
    }

    /// Whether the caller may change a policy document, which is asked before the body is read.
    pub async fn may_update_policy_document(&self, caller: &Caller, id: &PolicyId) -> Result<()> {
        let target = Target::new().with("policy_id", id.as_str());
        self.enforce(caller, "identity:update_policy", target).await
    }

    pub async fn policy_document(&self, caller: &Caller, id: &PolicyId) -> Result<PolicyDocument> {
        let target = Target::new().with("policy_id", id.as_str());
        self.enforce(caller, "identity:get_policy", target).await?;
        Ok(self.store.policy_document(id).await?)
    }

    pub async fn policy_documents(
        &self,
        caller: &Caller,
        mut filter: PolicyDocumentFilter,
    ) -> Result<Listing<PolicyDocument>> {
        self.enforce(caller, "identity:list_policies", Target::new())
            .await?;
        let page = self.page_of(filter.page, self.options.policy_list_limit);
        filter.page = page.and_one();
        let policies = self.store.policy_documents(&filter).await?;
        Ok(Listing::of(&page, policies))
    }

    pub async fn create_policy_document(
        &self,
        caller: &Caller,
        creation: PolicyDocumentCreation,
    ) -> Result<PolicyDocument> {
        self.may_create_policy_documents(caller).await?;
        let policy = PolicyDocument {
            id: PolicyId::new(new_id()),
            kind: creation.kind,
            blob: creation.blob.into(),
            extra: creation.extra,
        };
        self.store.create_policy_document(&policy).await?;
        self.audit_write(caller, "create", Entity::Policy, policy.id.as_str());
        Ok(policy)
    }

    pub async fn update_policy_document(
        &self,
        caller: &Caller,
        id: &PolicyId,
        patch: PolicyDocumentPatch,
    ) -> Result<PolicyDocument> {
        self.may_update_policy_document(caller, id).await?;
        let policy = self.store.update_policy_document(id, &patch).await?;
        self.audit_write(caller, "update", Entity::Policy, id.as_str());
        Ok(policy)
    }

    pub async fn delete_policy_document(&self, caller: &Caller, id: &PolicyId) -> Result<()> {
        let target = Target::new().with("policy_id", id.as_str());
        self.enforce(caller, "identity:delete_policy", target)
            .await?;
        self.store.delete_policy_document(id).await?;
        self.audit_write(caller, "delete", Entity::Policy, id.as_str());
        Ok(())
    }

    /// # Errors
    /// `NotFound` of the policy or the subject.
    pub async fn associate_policy(
        &self,
        caller: &Caller,
        id: &PolicyId,
        subject: &PolicySubject,
    ) -> Result<()> {
        self.enforce_association(caller, AssociationRules::CREATE, id, subject)
            .await?;
        self.store.associate_policy(id, subject).await?;
        self.audit_write(caller, "create", Entity::PolicyAssociation, id.as_str());
        Ok(())
    }

    /// # Errors
    /// `NotFound` of the policy or the subject; `Missing` where they do not belong together.
    pub async fn check_policy_association(
        &self,
        caller: &Caller,
        id: &PolicyId,
        subject: &PolicySubject,
    ) -> Result<()> {
        self.enforce_association(caller, AssociationRules::CHECK, id, subject)
            .await?;
        if self.store.policy_of(subject).await?.as_ref() == Some(id) {
            Ok(())
        } else {
            Err(Error::Missing(
                "Could not find policy association.".to_owned(),
            ))
        }
    }

    /// Takes a policy from a subject, be it its or not.
    ///
    /// # Errors
    /// `NotFound` of the policy or the subject.
    pub async fn dissociate_policy(
        &self,
        caller: &Caller,
        id: &PolicyId,
        subject: &PolicySubject,
    ) -> Result<()> {
        self.enforce_association(caller, AssociationRules::DELETE, id, subject)
            .await?;
        self.store.dissociate_policy(id, subject).await?;
        self.audit_write(caller, "delete", Entity::PolicyAssociation, id.as_str());
        Ok(())
    }

    /// The endpoints that a policy is associated with, by themselves, their service or region.
    pub async fn endpoints_of_policy(
        &self,
        caller: &Caller,
        id: &PolicyId,
    ) -> Result<Vec<Endpoint>> {
        let target = Target::new().with("policy_id", id.as_str());
        self.enforce(caller, "identity:list_endpoints_for_policy", target)
            .await?;
        self.store.policy_document(id).await?;
        let subjects = self.store.subjects_of_policy(id).await?;
        let endpoints = self.store.endpoints(&EndpointFilter::default()).await?;
        let regions = self.store.regions(&RegionFilter::default()).await?;
        let policed = endpoints.into_iter().filter(|endpoint| {
            policy_subjects_of(endpoint, &regions)
                .iter()
                .any(|subject| subjects.contains(subject))
        });
        Ok(policed.collect())
    }

    /// The policy of an endpoint: the one nearest to it.
    ///
    /// # Errors
    /// `NotFound` of the endpoint; `Missing` where it has no policy.
    pub async fn policy_of_endpoint(
        &self,
        caller: &Caller,
        id: &EndpointId,
    ) -> Result<PolicyDocument> {
        let target = Target::new().with("endpoint_id", id.as_str());
        self.enforce(caller, "identity:get_policy_for_endpoint", target)
            .await?;
        let endpoint = self.store.endpoint(id).await?;
        let regions = self.store.regions(&RegionFilter::default()).await?;
        for subject in policy_subjects_of(&endpoint, &regions) {
            if let Some(policy_id) = self.store.policy_of(&subject).await? {
                return Ok(self.store.policy_document(&policy_id).await?);
            }
        }
        Err(Error::Missing(format!(
            "No policy is associated with endpoint {id}."
        )))
    }

    async fn enforce_association(
        &self,
        caller: &Caller,
        rules: AssociationRules,
        id: &PolicyId,
        subject: &PolicySubject,
    ) -> Result<()> {
        let mut target = Target::new().with("policy_id", id.as_str());
        let action = match subject {
            PolicySubject::Endpoint(endpoint) => {
                target.set("endpoint_id", endpoint.as_str());
                rules.of_endpoint
            }
            PolicySubject::Service(service) => {
                target.set("service_id", service.as_str());
                rules.of_service
            }
            PolicySubject::ServiceInRegion(service, region) => {
                target.set("service_id", service.as_str());
                target.set("region_id", region.as_str());
                rules.of_region_and_service
            }
        };
        self.enforce(caller, action, target).await?;
        self.store.policy_document(id).await?;
        match subject {
            PolicySubject::Endpoint(endpoint) => drop(self.store.endpoint(endpoint).await?),
            PolicySubject::Service(service) => drop(self.store.service(service).await?),
            PolicySubject::ServiceInRegion(service, region) => {
                self.store.service(service).await?;
                self.store.region(region).await?;
            }
        }
        Ok(())
    }
}
