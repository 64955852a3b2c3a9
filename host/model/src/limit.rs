//! Unified limits: how much of a service's resource a project or a domain may use. Registered limits
//! are the defaults of the whole cloud; limits override them for one project or domain.

use crate::{
    id::{DomainId, LimitId, ProjectId, RegionId, RegisteredLimitId, ServiceId},
    listing::{Change, NameFilter, Page},
};

/// What is limited: something that a service has, everywhere or in one region.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Resource {
    pub service_id: ServiceId,
    pub region_id: Option<RegionId>,
    pub name: String,
}

/// The default limit of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredLimit {
    pub id: RegisteredLimitId,
    pub resource: Resource,
    pub default_limit: i32,
    pub description: Option<String>,
}

/// An update of a registered limit.
#[derive(Debug, Clone, Default)]
pub struct RegisteredLimitPatch {
    pub service_id: Change<ServiceId>,
    pub region_id: Change<Option<RegionId>>,
    pub resource_name: Change<String>,
    pub default_limit: Change<i32>,
    pub description: Change<Option<String>>,
}

impl RegisteredLimitPatch {
    /// Whether it says what the limit is for, be it something new or not.
    pub fn names_resource(&self) -> bool {
        self.service_id.is_set() || self.region_id.is_set() || self.resource_name.is_set()
    }
}

/// Which registered limits to list. Every filter is on one attribute and all must accept.
#[derive(Debug, Clone, Default)]
pub struct RegisteredLimitFilter {
    pub service_id: Vec<NameFilter>,
    pub region_id: Vec<NameFilter>,
    pub resource_name: Vec<NameFilter>,
    pub page: Page,
}

/// The limit of one project or domain. Keystone's table has room for neither.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    pub id: LimitId,
    pub project_id: Option<ProjectId>,
    pub domain_id: Option<DomainId>,
    pub resource: Resource,
    pub resource_limit: i32,
    pub description: Option<String>,
}

/// An update of a limit.
#[derive(Debug, Clone, Default)]
pub struct LimitPatch {
    pub resource_limit: Change<i32>,
    pub description: Change<Option<String>>,
}

/// Which limits to list. Every filter is on one attribute and all must accept.
#[derive(Debug, Clone, Default)]
pub struct LimitFilter {
    pub service_id: Vec<NameFilter>,
    pub region_id: Vec<NameFilter>,
    pub resource_name: Vec<NameFilter>,
    pub project_id: Vec<NameFilter>,
    pub domain_id: Vec<NameFilter>,
    /// Only limits of these; `None` for all.
    pub within: Option<LimitScope>,
    pub page: Page,
}

/// Whose limits somebody may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimitScope {
    Project(ProjectId),
    /// A domain's own and those of its projects.
    Domain(DomainId),
}

/// How the limits of a project hang together with those around it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EnforcementModel {
    #[default]
    Flat,
    StrictTwoLevel,
}

impl EnforcementModel {
    pub fn name(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::StrictTwoLevel => "strict_two_level",
        }
    }

    /// What `GET /v3/limits/model` says of it.
    pub fn description(self) -> &'static str {
        match self {
            Self::Flat => {
                "Limit enforcement and validation does not take project hierarchy into \
                 consideration."
            }
            Self::StrictTwoLevel => {
                "This model requires project hierarchy never exceeds a depth of two"
            }
        }
    }

    /// How deep project trees may be, the domain being the first level.
    pub fn max_project_tree_depth(self) -> Option<u32> {
        match self {
            Self::Flat => None,
            Self::StrictTwoLevel => Some(2),
        }
    }
}

/// What is stored around limits that are to be set.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// What each project concerned is directly below: a domain, if the tree has two levels.
    pub parents: Vec<(ProjectId, DomainId)>,
    /// The projects below each domain concerned.
    pub projects: Vec<(DomainId, ProjectId)>,
    pub limits: Vec<Limit>,
    pub registered: Vec<RegisteredLimit>,
}

impl Surroundings {
    fn parent_of(&self, project_id: &ProjectId) -> Option<&DomainId> {
        let parent = self.parents.iter().find(|(id, _)| id == project_id);
        parent.map(|(_, parent)| parent)
    }

    /// A domain's own limit, or else the default.
    fn limit_of_domain(&self, domain_id: &DomainId, resource: &Resource) -> Option<i32> {
        own_limit_of_domain(&self.limits, domain_id, resource).or_else(|| {
            let mut registered = self.registered.iter();
            registered
                .find(|limit| limit.resource == *resource)
                .map(|limit| limit.default_limit)
        })
    }

    fn limits_of_projects_below<'a>(
        &'a self,
        domain_id: &'a DomainId,
        resource: &'a Resource,
    ) -> impl Iterator<Item = i32> + 'a {
        let below = move |limit: &&Limit| {
            limit.resource == *resource
                && limit.project_id.as_ref().is_some_and(|id| {
                    self.projects
                        .iter()
                        .any(|(domain, project)| domain == domain_id && project == id)
                })
        };
        self.limits
            .iter()
            .filter(below)
            .map(|limit| limit.resource_limit)
    }
}

/// Checks limits that are to be set against the strict two-level model: a project has no more than
/// its domain, and a domain no less than any of its projects. What is set together is compared
/// first. The numbers are compared as they are: -1, which stands for no limit, is less than all.
///
/// # Errors
/// The first limit that does not fit.
pub fn check_strict_two_level<'a>(
    proposed: &'a [Limit],
    stored: &Surroundings,
) -> Result<(), &'a Limit> {
    let breach = proposed.iter().find(|limit| match &limit.project_id {
        Some(project_id) => !project_limit_fits(limit, project_id, proposed, stored),
        None => !domain_limit_fits(limit, stored),
    });
    breach.map_or(Ok(()), Err)
}

fn project_limit_fits(
    limit: &Limit,
    project_id: &ProjectId,
    proposed: &[Limit],
    stored: &Surroundings,
) -> bool {
    let Some(parent) = stored.parent_of(project_id) else {
        return true;
    };
    own_limit_of_domain(proposed, parent, &limit.resource)
        .or_else(|| stored.limit_of_domain(parent, &limit.resource))
        .is_none_or(|most| limit.resource_limit <= most)
}

fn domain_limit_fits(limit: &Limit, stored: &Surroundings) -> bool {
    let Some(domain_id) = &limit.domain_id else {
        return true;
    };
    stored
        .limits_of_projects_below(domain_id, &limit.resource)
        .all(|used| used == 0 || used <= limit.resource_limit)
}

fn own_limit_of_domain(limits: &[Limit], domain_id: &DomainId, resource: &Resource) -> Option<i32> {
    limits
        .iter()
        .find(|limit| limit.domain_id.as_ref() == Some(domain_id) && limit.resource == *resource)
        .map(|limit| limit.resource_limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cores() -> Resource {
        Resource {
            service_id: "nova".into(),
            region_id: None,
            name: "cores".to_owned(),
        }
    }

    fn of_project(id: &str, resource_limit: i32) -> Limit {
        Limit {
            id: id.into(),
            project_id: Some(id.into()),
            domain_id: None,
            resource: cores(),
            resource_limit,
            description: None,
        }
    }

    fn of_domain(id: &str, resource_limit: i32) -> Limit {
        Limit {
            project_id: None,
            domain_id: Some(id.into()),
            ..of_project(id, resource_limit)
        }
    }

    /// Domain `d` with the projects `p` and `q`, where ten cores are the default.
    fn stored(limits: &[Limit]) -> Surroundings {
        Surroundings {
            parents: vec![("p".into(), "d".into()), ("q".into(), "d".into())],
            projects: vec![("d".into(), "p".into()), ("d".into(), "q".into())],
            limits: limits.to_vec(),
            registered: vec![RegisteredLimit {
                id: "r".into(),
                resource: cores(),
                default_limit: 10,
                description: None,
            }],
        }
    }

    fn fits(proposed: &[Limit], around: &Surroundings) -> bool {
        check_strict_two_level(proposed, around).is_ok()
    }

    #[test]
    fn a_project_has_no_more_than_its_domain() {
        let around = stored(&[of_domain("d", 5)]);
        assert!(fits(&[of_project("p", 5)], &around));
        assert!(!fits(&[of_project("p", 6)], &around));
    }

    #[test]
    fn a_domain_without_a_limit_has_the_default() {
        assert!(fits(&[of_project("p", 10)], &stored(&[])));
        assert!(!fits(&[of_project("p", 11)], &stored(&[])));
    }

    #[test]
    fn a_domain_with_nothing_gives_its_projects_nothing() {
        let around = stored(&[of_domain("d", 0)]);
        assert!(!fits(&[of_project("p", 1)], &around));
        assert!(fits(&[of_project("p", 0)], &around));
    }

    #[test]
    fn a_domain_has_no_less_than_any_of_its_projects() {
        let around = stored(&[of_project("p", 4), of_project("q", 7)]);
        assert!(fits(&[of_domain("d", 7)], &around));
        assert!(!fits(&[of_domain("d", 6)], &around));
        assert!(fits(&[of_domain("elsewhere", 1)], &around));
    }

    #[test]
    fn what_is_set_together_is_compared_with_each_other_first() {
        let around = stored(&[of_domain("d", 5)]);
        assert!(fits(&[of_domain("d", 20), of_project("p", 20)], &around));
        assert!(fits(&[of_project("p", 20), of_domain("d", 20)], &around));
        let both = [of_domain("d", 20), of_project("p", 21)];
        assert_eq!(check_strict_two_level(&both, &around), Err(&both[1]));
    }

    #[test]
    fn other_resources_do_not_count() {
        let mut elsewhere = of_project("p", 100);
        elsewhere.resource.region_id = Some("north".into());
        assert!(fits(&[elsewhere], &stored(&[of_domain("d", 5)])));
    }
}
