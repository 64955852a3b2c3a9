//! What assignments come to: groups, inheritance and implied roles worked out.

use std::collections::{HashMap, HashSet};

use archstone_model::{
    id::{GroupId, RoleId, UserId},
    project::{Project, ProjectFilter},
    role::{Actor, Assignment, AssignmentFilter, Target},
    roles::RoleInference,
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
        let stored = self.store.assignments(&filter).await?;
        let mut direct = Vec::new();
        // Roles on the system are never among the effective ones, as in Keystone.
        for assignment in stored
            .into_iter()
            .filter(|assignment| assignment.target != Target::System)
        {
            direct.extend(self.handed_down(assignment, &targets).await?);
        }
        let mut persons = Vec::new();
        for effective in direct {
            let Actor::Group(group_id) = effective.assignment.actor.clone() else {
                persons.push(effective);
                continue;
            };
            let users = match members.get(&group_id) {
                Some(users) => users,
                None => {
                    let users = self.everybody_in(&group_id).await?;
                    members.entry(group_id.clone()).or_insert(users)
                }
            };
            for user_id in users {
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

    /// Where a stored assignment takes effect: on its target, or on what is below.
    pub(super) async fn handed_down(
        &self,
        assignment: Assignment,
        targets: &Option<Vec<Target>>,
    ) -> Result<Vec<EffectiveAssignment>> {
        let wanted = |target: &Target| targets.as_ref().is_none_or(|all| all.contains(target));
        if !assignment.inherited {
            return Ok(if wanted(&assignment.target) {
                vec![EffectiveAssignment::stored(assignment)]
            } else {
                Vec::new()
            });
        }
        let below: Vec<Project> = match &assignment.target {
            Target::Domain(domain_id) => {
                self.store
                    .projects(&ProjectFilter {
                        domain_id: Some(domain_id.clone()),
                        is_domain: Some(false),
                        ..ProjectFilter::default()
                    })
                    .await?
            }
            Target::Project(project_id) => self.project_subtree(project_id).await?,
            Target::System => Vec::new(),
        };
        Ok(below
            .into_iter()
            .map(|project| Target::Project(project.id))
            .filter(wanted)
            .map(|target| EffectiveAssignment {
                inherited_from: Some(assignment.target.clone()),
                via_group: None,
                prior_role: None,
                assignment: Assignment {
                    target,
                    ..assignment.clone()
                },
            })
            .collect())
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
