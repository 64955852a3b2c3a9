//! What assignments come to: groups, inheritance and implied roles worked out.

use std::collections::{BTreeSet, HashMap, HashSet};

use archstone_model::{
    id::{GroupId, ProjectId, RoleId, UserId},
    project::{Project, ProjectFilter},
    role::{Actor, Assignment, AssignmentFilter, Target},
    roles::{Place, RoleInference},
};

use super::{AssignmentQuery, EffectiveAssignment};
use crate::{Identity, Result};

impl Identity {
    pub(super) async fn effective_assignments(
        &self,
        query: &AssignmentQuery,
        targets: Option<Vec<Target>>,
    ) -> Result<Vec<EffectiveAssignment>> {
        let mut filter = AssignmentFilter::default();
        let mut members: HashMap<GroupId, Vec<UserId>> = HashMap::new();
        if let Some(user_id) = &query.user_id {
            self.find_user(user_id).await?;
            // As in Keystone, memberships by an identity provider's word count where a user is
            // asked for, and not in the list of everybody.
            for group_id in self.current_groups(user_id).await? {
                filter.actors.push(Actor::Group(group_id.clone()));
                members.insert(group_id, vec![user_id.clone()]);
            }
            filter.actors.push(Actor::User(user_id.clone()));
        }
        if let Some(project_id) = &query.project_id {
            self.store.project(project_id).await?;
        }
        let places = match &targets {
            Some(wanted) => self.places(wanted).await?,
            None => None,
        };
        if let Some(places) = &places {
            let above: HashSet<Target> = places.iter().flat_map(Place::targets).collect();
            filter.targets.extend(above);
        }
        let stored = self.store.assignments(&filter).await?;
        let mut direct = Vec::new();
        // Roles on the system are never among the effective ones, as in Keystone.
        let wanted: Option<HashSet<Target>> = targets.map(|targets| targets.into_iter().collect());
        let mut below = Below::default();
        for assignment in stored
            .into_iter()
            .filter(|assignment| assignment.target != Target::System)
        {
            if let Some(places) = &places {
                let here = places.iter().filter(|place| place.receives(&assignment));
                direct.extend(here.map(|place| EffectiveAssignment::on(place, &assignment)));
                continue;
            }
            below.learn(self, &assignment).await?;
            direct.extend(below.hand_down(assignment).filter(|effective| {
                let target = &effective.assignment.target;
                wanted.as_ref().is_none_or(|all| all.contains(target))
            }));
        }
        let unknown: BTreeSet<GroupId> = direct
            .iter()
            .filter_map(|effective| match &effective.assignment.actor {
                Actor::Group(id) if !members.contains_key(id) => Some(id.clone()),
                _ => None,
            })
            .collect();
        members.extend(self.everybody_in(unknown).await?);
        let mut persons = Vec::new();
        for effective in direct {
            let Actor::Group(group_id) = effective.assignment.actor.clone() else {
                persons.push(effective);
                continue;
            };
            for user_id in members.get(&group_id).into_iter().flatten() {
                let mut through = effective.clone();
                through.assignment.actor = Actor::User(user_id.clone());
                through.via_group = Some(group_id.clone());
                persons.push(through);
            }
        }
        let inference = RoleInference::new(self.store.implied_roles().await?);
        let mut all = Vec::new();
        let mut seen = HashSet::new();
        for effective in persons {
            let held = effective.assignment.role_id.clone();
            for (role_id, prior_role) in implied_by(&held, &inference) {
                let mut implied = effective.clone();
                implied.assignment.role_id = role_id;
                implied.prior_role = prior_role;
                if seen.insert(implied.clone()) {
                    all.push(implied);
                }
            }
        }
        // Roles of a domain take effect only through what they imply.
        let roles = self.store.all_roles().await?;
        all.retain(|effective| {
            roles
                .get(&effective.assignment.role_id)
                .is_some_and(|role| role.domain_id.is_none())
                && query
                    .role_id
                    .as_ref()
                    .is_none_or(|id| *id == effective.assignment.role_id)
                && query
                    .inherited
                    .is_none_or(|inherited| effective.inherited_from.is_some() == inherited)
        });
        Ok(all)
    }

    /// What is above each of a few targets, so that only assignments are read that matter there.
    /// `None` where it takes less to read all of them.
    async fn places(&self, targets: &[Target]) -> Result<Option<Vec<Place>>> {
        if targets.len() > FEW {
            return Ok(None);
        }
        let mut places = Vec::new();
        for target in targets {
            places.push(match target {
                Target::Project(id) => {
                    let project = self.store.project(id).await?;
                    // Nothing is handed down to what is a domain.
                    if project.is_domain {
                        return Ok(None);
                    }
                    self.place_of(&project).await?
                }
                Target::Domain(id) => Place::Domain(id.clone()),
                Target::System => Place::System,
            });
        }
        Ok(Some(places))
    }
}

/// How many targets are looked at one by one.
const FEW: usize = 20;

impl EffectiveAssignment {
    /// An assignment where a place receives it.
    fn on(place: &Place, assignment: &Assignment) -> Self {
        Self {
            inherited_from: assignment.inherited.then(|| assignment.target.clone()),
            via_group: None,
            prior_role: None,
            assignment: Assignment {
                target: place.target(),
                ..assignment.clone()
            },
        }
    }
}

/// The projects below domains and projects that roles are inherited from, each looked up once.
#[derive(Debug, Default)]
pub(super) struct Below(HashMap<Target, Vec<ProjectId>>);

impl Below {
    /// Looks up what is below an assignment's target, where that matters.
    pub(super) async fn learn(
        &mut self,
        identity: &Identity,
        assignment: &Assignment,
    ) -> Result<()> {
        if !assignment.inherited || self.0.contains_key(&assignment.target) {
            return Ok(());
        }
        let below: Vec<Project> = match &assignment.target {
            Target::Domain(domain_id) => {
                let filter = ProjectFilter {
                    domain_id: Some(domain_id.clone()),
                    is_domain: Some(false),
                    ..ProjectFilter::default()
                };
                identity.store.projects(&filter).await?
            }
            Target::Project(project_id) => identity.project_subtree(project_id).await?,
            Target::System => Vec::new(),
        };
        let ids = below.into_iter().map(|project| project.id).collect();
        self.0.insert(assignment.target.clone(), ids);
        Ok(())
    }

    /// Where a stored assignment takes effect: on its target, or on what is below.
    pub(super) fn hand_down(
        &self,
        assignment: Assignment,
    ) -> impl Iterator<Item = EffectiveAssignment> {
        let (on_target, below) = match assignment.inherited {
            false => (Some(EffectiveAssignment::stored(assignment.clone())), None),
            true => (None, self.0.get(&assignment.target)),
        };
        let below = below.into_iter().flatten().map(move |project| {
            let target = Target::Project(project.clone());
            EffectiveAssignment {
                inherited_from: Some(assignment.target.clone()),
                via_group: None,
                prior_role: None,
                assignment: Assignment {
                    target,
                    ..assignment.clone()
                },
            }
        });
        on_target.into_iter().chain(below)
    }
}

/// A role and all it implies, each with the role that implied it directly.
fn implied_by(held: &RoleId, inference: &RoleInference) -> Vec<(RoleId, Option<RoleId>)> {
    let mut all = vec![(held.clone(), None)];
    let mut next = 0;
    while next < all.len() {
        let prior = all[next].0.clone();
        for implied in inference.directly(&prior) {
            if !all.iter().any(|(known, _)| known == implied) {
                all.push((implied.clone(), Some(prior.clone())));
            }
        }
        next += 1;
    }
    all
}
