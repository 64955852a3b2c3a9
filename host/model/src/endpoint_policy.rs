//! Policy documents that services keep here, and which endpoint each one is for.

use serde_json::Value;

use crate::{
    Extra,
    catalog::{Endpoint, Region},
    id::{EndpointId, PolicyId, RegionId, ServiceId},
    listing::{Change, Page},
};

/// A policy document. This server stores it and does not read it.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyDocument {
    pub id: PolicyId,
    /// Usually the media type of the blob.
    pub kind: String,
    /// Text, unless something else wrote the row.
    pub blob: Value,
    pub extra: Extra,
}

/// An update of a policy document.
#[derive(Debug, Clone, Default)]
pub struct PolicyDocumentPatch {
    pub kind: Change<String>,
    pub blob: Change<String>,
    pub extra: Extra,
}

/// Which policy documents to list.
#[derive(Debug, Clone, Default)]
pub struct PolicyDocumentFilter {
    pub kinds: Vec<crate::listing::NameFilter>,
    pub page: Page,
}

/// What a policy document can be for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PolicySubject {
    Endpoint(EndpointId),
    /// The endpoints of a service.
    Service(ServiceId),
    /// The endpoints of a service in a region and those below it.
    ServiceInRegion(ServiceId, RegionId),
}

/// Where to look for an endpoint's policy, the nearest first: at the endpoint, at its service in
/// its region and the regions above, at its service.
pub fn policy_subjects_of(endpoint: &Endpoint, regions: &[Region]) -> Vec<PolicySubject> {
    let mut subjects = vec![PolicySubject::Endpoint(endpoint.id.clone())];
    let mut next = endpoint.region_id.as_ref();
    while let Some(region_id) = next {
        let subject =
            PolicySubject::ServiceInRegion(endpoint.service_id.clone(), region_id.clone());
        if subjects.contains(&subject) {
            // Somebody made a region its own ancestor.
            break;
        }
        subjects.push(subject);
        next = regions
            .iter()
            .find(|region| region.id == *region_id)
            .and_then(|region| region.parent_region_id.as_ref());
    }
    subjects.push(PolicySubject::Service(endpoint.service_id.clone()));
    subjects
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Interface;

    fn region(id: &str, parent: Option<&str>) -> Region {
        Region {
            id: id.into(),
            description: String::new(),
            parent_region_id: parent.map(Into::into),
            extra: Extra::new(),
        }
    }

    fn endpoint(region_id: Option<&str>) -> Endpoint {
        Endpoint {
            id: "e".into(),
            interface: Interface::Public,
            service_id: "s".into(),
            region_id: region_id.map(Into::into),
            url: "http://x".to_owned(),
            enabled: true,
            extra: Extra::new(),
        }
    }

    fn in_region(id: &str) -> PolicySubject {
        PolicySubject::ServiceInRegion("s".into(), id.into())
    }

    #[test]
    fn the_endpoint_comes_first_then_the_regions_upwards_then_the_service() {
        let regions = [
            region("top", None),
            region("middle", Some("top")),
            region("low", Some("middle")),
            region("beside", Some("top")),
        ];
        assert_eq!(
            policy_subjects_of(&endpoint(Some("low")), &regions),
            [
                PolicySubject::Endpoint("e".into()),
                in_region("low"),
                in_region("middle"),
                in_region("top"),
                PolicySubject::Service("s".into()),
            ]
        );
    }

    #[test]
    fn an_endpoint_without_a_region_has_only_its_own_and_its_service() {
        assert_eq!(
            policy_subjects_of(&endpoint(None), &[]),
            [
                PolicySubject::Endpoint("e".into()),
                PolicySubject::Service("s".into())
            ]
        );
    }

    #[test]
    fn regions_in_a_circle_end_the_walk() {
        let regions = [region("a", Some("b")), region("b", Some("a"))];
        let subjects = policy_subjects_of(&endpoint(Some("a")), &regions);
        assert_eq!(subjects.len(), 4);
    }
}
