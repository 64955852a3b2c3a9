//! Endpoint groups: endpoints that have something in common. A project that endpoints or groups of
//! them are added to has only those in its catalog.

use serde_json::{Value, json};

use crate::{
    Extra,
    catalog::Endpoint,
    id::EndpointGroupId,
    listing::{Change, NameFilter},
};

/// The endpoints of which every attribute that `filters` names is as it says.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointGroup {
    pub id: EndpointGroupId,
    pub name: String,
    pub description: Option<String>,
    pub filters: Extra,
}

/// An update of an endpoint group.
#[derive(Debug, Clone, Default)]
pub struct EndpointGroupPatch {
    pub name: Change<String>,
    pub description: Change<Option<String>>,
    pub filters: Change<Extra>,
}

/// Which endpoint groups to list.
#[derive(Debug, Clone, Default)]
pub struct EndpointGroupFilter {
    pub names: Vec<NameFilter>,
}

/// What a group may filter endpoints by.
pub const FILTERED_BY: [&str; 3] = ["service_id", "region_id", "interface"];

impl EndpointGroup {
    pub fn has(&self, endpoint: &Endpoint) -> bool {
        self.filters
            .iter()
            .all(|(attribute, wanted)| attribute_of(endpoint, attribute).as_ref() == Some(wanted))
    }
}

fn attribute_of(endpoint: &Endpoint, attribute: &str) -> Option<Value> {
    Some(match attribute {
        "service_id" => json!(endpoint.service_id),
        "region_id" => json!(endpoint.region_id),
        "interface" => json!(endpoint.interface.as_str()),
        "enabled" => json!(endpoint.enabled),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Interface;

    fn has(filters: Value) -> bool {
        let group = EndpointGroup {
            id: "g".into(),
            name: "g".to_owned(),
            description: None,
            filters: filters.as_object().cloned().unwrap_or_default(),
        };
        group.has(&Endpoint {
            id: "e".into(),
            interface: Interface::Public,
            service_id: "s".into(),
            region_id: None,
            url: "http://x".to_owned(),
            enabled: true,
            extra: Extra::new(),
        })
    }

    #[test]
    fn every_filter_must_fit() {
        assert!(has(json!({ "service_id": "s" })));
        assert!(has(json!({ "service_id": "s", "interface": "public" })));
        assert!(!has(json!({ "service_id": "s", "interface": "admin" })));
    }

    #[test]
    fn a_null_region_is_that_of_endpoints_without_one() {
        assert!(has(json!({ "region_id": null })));
        assert!(!has(json!({ "region_id": "north" })));
    }

    #[test]
    fn an_unknown_filter_fits_nothing() {
        assert!(!has(json!({ "colour": "red" })));
    }
}
