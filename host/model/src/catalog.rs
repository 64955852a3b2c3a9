//! The service catalog: regions, services and endpoints.

use std::fmt;

use crate::{
    Extra,
    id::{EndpointId, RegionId, ServiceId},
    listing::{Change, NameFilter, Page},
};

/// A region; regions form a tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    pub id: RegionId,
    pub description: String,
    pub parent_region_id: Option<RegionId>,
    pub extra: Extra,
}

/// An update of a region.
#[derive(Debug, Clone, Default)]
pub struct RegionPatch {
    pub description: Change<String>,
    pub parent_region_id: Change<Option<RegionId>>,
    pub extra: Change<Extra>,
}

/// Which regions to list.
#[derive(Debug, Clone, Default)]
pub struct RegionFilter {
    pub parent_region_id: Option<RegionId>,
    pub page: Page,
}

/// A service. `name` and `description` live in `extra`, as in Keystone's table.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    pub id: ServiceId,
    pub service_type: String,
    pub enabled: bool,
    pub extra: Extra,
}

impl Service {
    pub fn name(&self) -> Option<&str> {
        self.extra.get("name").and_then(|name| name.as_str())
    }
}

/// An update of a service.
#[derive(Debug, Clone, Default)]
pub struct ServicePatch {
    pub service_type: Change<String>,
    pub enabled: Change<bool>,
    pub extra: Change<Extra>,
}

/// Which services to list.
#[derive(Debug, Clone, Default)]
pub struct ServiceFilter {
    pub types: Vec<NameFilter>,
    pub names: Vec<NameFilter>,
    pub page: Page,
}

/// The three kinds of endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Interface {
    Public,
    Internal,
    Admin,
}

impl Interface {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Admin => "admin",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "public" => Self::Public,
            "internal" => Self::Internal,
            "admin" => Self::Admin,
            _ => return None,
        })
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An endpoint of a service. `name` and `description`, where given, live in `extra`.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    pub id: EndpointId,
    pub interface: Interface,
    pub service_id: ServiceId,
    pub region_id: Option<RegionId>,
    /// May hold templates such as `$(project_id)s`.
    pub url: String,
    pub enabled: bool,
    pub extra: Extra,
}

/// An update of an endpoint.
#[derive(Debug, Clone, Default)]
pub struct EndpointPatch {
    pub interface: Change<Interface>,
    pub service_id: Change<ServiceId>,
    pub region_id: Change<Option<RegionId>>,
    pub url: Change<String>,
    pub enabled: Change<bool>,
    pub extra: Change<Extra>,
}

/// Which endpoints to list.
#[derive(Debug, Clone, Default)]
pub struct EndpointFilter {
    pub interface: Option<Interface>,
    pub service_id: Option<ServiceId>,
    pub region_id: Option<RegionId>,
    pub page: Page,
}
