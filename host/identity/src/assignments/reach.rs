//! Where a user can go: the projects, domains and system in which they have a role.

use std::collections::BTreeSet;

use archstone_model::{
    id::{GroupId, ProjectId, UserId},
    project::{Domain, Project},
    role::{Actor, Assignment, AssignmentFilter, Target},
};

use super::effective::Below;
use crate::{Identity, Result};

impl Identity {
    /// The projects where a user (with the groups a federated login gave them) has a role.
    pub(crate) async fn reachable_projects(
        &self,
        user_id: &UserId,
        federated_groups: &[GroupId],
    ) -> Result<Vec<Project>> {
        let mut ids = BTreeSet::new();
        let mut below = Below::default();
        for assignment in self.held_by(user_id, federated_groups).await? {
            below.learn(self, &assignment).await?;
            for effective in below.hand_down(assignment) {
                if let Target::Project(id) = effective.assignment.target {
                    ids.insert(id);
                }
            }
        }
        Ok(self
            .store
            .projects_by_id(&ids.into_iter().collect::<Vec<_>>())
            .await?)
    }

    /// The domains where a user has a role.
    pub(crate) async fn reachable_domains(
        &self,
        user_id: &UserId,
        federated_groups: &[GroupId],
    ) -> Result<Vec<Domain>> {
        let ids: BTreeSet<ProjectId> = self
            .held_by(user_id, federated_groups)
            .await?
            .into_iter()
            .filter_map(|assignment| match assignment.target {
                Target::Domain(id) if !assignment.inherited => Some(id.as_project()),
                _ => None,
            })
            .collect();
        let domains = self
            .store
            .projects_by_id(&ids.into_iter().collect::<Vec<_>>())
            .await?;
        Ok(domains.into_iter().map(Domain::from).collect())
    }

    /// Whether somebody has a role on the system. As in Keystone, one through a group of theirs is
    /// not told here, though it counts when they log in.
    pub(crate) async fn reaches_system(
        &self,
        user_id: &UserId,
        federated_groups: &[GroupId],
    ) -> Result<bool> {
        let actors = std::iter::once(Actor::User(user_id.clone()))
            .chain(federated_groups.iter().cloned().map(Actor::Group))
            .collect();
        let filter = AssignmentFilter {
            actors,
            targets: vec![Target::System],
            ..AssignmentFilter::default()
        };
        Ok(!self.store.assignments(&filter).await?.is_empty())
    }

    async fn held_by(&self, user_id: &UserId, groups: &[GroupId]) -> Result<Vec<Assignment>> {
        let own_groups = self.current_groups(user_id).await?;
        let actors = std::iter::once(Actor::User(user_id.clone()))
            .chain(own_groups.into_iter().map(Actor::Group))
            .chain(groups.iter().cloned().map(Actor::Group))
            .collect();
        Ok(self
            .store
            .assignments(&AssignmentFilter {
                actors,
                ..AssignmentFilter::default()
            })
            .await?)
    }
}
