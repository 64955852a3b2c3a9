//! Which roles somebody effectively has: assignments of their groups, those inherited from above,
//! and what each role implies.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::{
    id::{DomainId, ProjectId, RoleId},
    role::{Assignment, ImpliedRole, Target},
};

/// Which role implies which, ready for walking.
#[derive(Debug, Clone, Default)]
pub struct RoleInference(HashMap<RoleId, Vec<RoleId>>);

impl RoleInference {
    pub fn new(implications: impl IntoIterator<Item = ImpliedRole>) -> Self {
        let mut implied: HashMap<RoleId, Vec<RoleId>> = HashMap::new();
        for ImpliedRole {
            prior,
            implied: role,
        } in implications
        {
            implied.entry(prior).or_default().push(role);
        }
        Self(implied)
    }

    /// These roles and everything they imply, however far. Circles are harmless.
    pub fn expand(&self, roles: impl IntoIterator<Item = RoleId>) -> BTreeSet<RoleId> {
        let mut all = BTreeSet::new();
        let mut open: Vec<RoleId> = roles.into_iter().collect();
        while let Some(role) = open.pop() {
            if all.insert(role.clone()) {
                open.extend(self.directly(&role).cloned());
            }
        }
        all
    }

    /// What one role implies in one step.
    pub fn directly(&self, role: &RoleId) -> impl Iterator<Item = &RoleId> {
        self.0.get(role).into_iter().flatten()
    }

    /// Whether `prior` implies `role` in any number of steps.
    pub fn implies(&self, prior: &RoleId, role: &RoleId) -> bool {
        let mut seen = HashSet::new();
        let mut open = vec![prior];
        while let Some(next) = open.pop() {
            for implied in self.directly(next) {
                if implied == role {
                    return true;
                }
                if seen.insert(implied) {
                    open.push(implied);
                }
            }
        }
        false
    }
}

/// A place to hold roles in, with everything above it that hands roles down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A project, the projects above it, and its domain.
    Project {
        id: ProjectId,
        above: Vec<ProjectId>,
        domain_id: DomainId,
    },
    Domain(DomainId),
    System,
}

impl Place {
    /// The target that is this place.
    pub fn target(&self) -> Target {
        match self {
            Self::Project { id, .. } => Target::Project(id.clone()),
            Self::Domain(id) => Target::Domain(id.clone()),
            Self::System => Target::System,
        }
    }

    /// Every target whose assignments may matter here.
    pub fn targets(&self) -> Vec<Target> {
        match self {
            Self::Project {
                id,
                above,
                domain_id,
            } => std::iter::once(id)
                .chain(above)
                .cloned()
                .map(Target::Project)
                .chain([Target::Domain(domain_id.clone())])
                .collect(),
            Self::Domain(id) => vec![Target::Domain(id.clone())],
            Self::System => vec![Target::System],
        }
    }

    /// Whether an assignment gives its role here: directly, or handed down from above.
    pub fn receives(&self, assignment: &Assignment) -> bool {
        match (self, &assignment.target) {
            (Self::Project { id, .. }, Target::Project(target)) if target == id => {
                !assignment.inherited
            }
            (Self::Project { above, .. }, Target::Project(target)) => {
                assignment.inherited && above.contains(target)
            }
            (Self::Project { domain_id, .. }, Target::Domain(target)) => {
                assignment.inherited && target == domain_id
            }
            (Self::Domain(id), Target::Domain(target)) => !assignment.inherited && target == id,
            (Self::System, Target::System) => !assignment.inherited,
            _ => false,
        }
    }
}

/// The roles that these assignments give in a place, with what they imply. The assignments are
/// those of one user and of their groups.
pub fn effective_roles(
    assignments: &[Assignment],
    place: &Place,
    inference: &RoleInference,
) -> BTreeSet<RoleId> {
    inference.expand(
        assignments
            .iter()
            .filter(|assignment| place.receives(assignment))
            .map(|assignment| assignment.role_id.clone()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::role::Actor;

    fn implies(prior: &str, implied: &str) -> ImpliedRole {
        ImpliedRole {
            prior: prior.into(),
            implied: implied.into(),
        }
    }

    fn grant(target: Target, role: &str, inherited: bool) -> Assignment {
        Assignment {
            actor: Actor::User("ada".into()),
            target,
            role_id: role.into(),
            inherited,
        }
    }

    fn place() -> Place {
        Place::Project {
            id: "leaf".into(),
            above: vec!["middle".into(), "top".into()],
            domain_id: "default".into(),
        }
    }

    #[test]
    fn implications_are_followed_to_the_end_and_round_circles() {
        let inference =
            RoleInference::new([implies("a", "b"), implies("b", "c"), implies("c", "a")]);
        let all: Vec<_> = inference
            .expand(["a".into()])
            .into_iter()
            .map(String::from)
            .collect();
        assert_eq!(all, ["a", "b", "c"]);
        assert!(inference.implies(&"a".into(), &"a".into()));
        assert!(!inference.implies(&"x".into(), &"a".into()));
    }

    #[test]
    fn inherited_roles_reach_projects_below_and_not_their_target() {
        let above = grant(Target::Project("top".into()), "member", true);
        let own = grant(Target::Project("leaf".into()), "reader", true);
        let domain = grant(Target::Domain("default".into()), "auditor", true);
        let roles = effective_roles(&[above, own, domain], &place(), &RoleInference::default());
        let roles: Vec<_> = roles.into_iter().map(String::from).collect();
        assert_eq!(roles, ["auditor", "member"]);
    }

    #[test]
    fn a_direct_role_above_stays_there() {
        let above = grant(Target::Project("top".into()), "member", false);
        let domain = grant(Target::Domain("default".into()), "admin", false);
        assert!(effective_roles(&[above, domain], &place(), &RoleInference::default()).is_empty());
    }
}
