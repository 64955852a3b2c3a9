//! Role assignments: granting them, listing them as stored or as effective, and where they lead.

mod effective;
mod grants;
mod reach;

use std::collections::{BTreeSet, HashMap};

use archstone_model::{
    id::{DomainId, GroupId, ProjectId, RoleId, UserId},
    policy::Target as PolicyTarget,
    project::{Domain, ProjectFilter},
    role::{Actor, Assignment, AssignmentFilter, Role, Target},
};

use crate::{Caller, Error, Identity, Result};

/// What `GET /v3/role_assignments` asks for.
#[derive(Debug, Clone, Default)]
pub struct AssignmentQuery {
    pub user_id: Option<UserId>,
    pub group_id: Option<GroupId>,
    pub role_id: Option<RoleId>,
    pub project_id: Option<ProjectId>,
    pub domain_id: Option<DomainId>,
    pub system: bool,
    /// `scope.OS-INHERIT:inherited_to`: only inherited assignments, only others, or all.
    pub inherited: Option<bool>,
    /// Groups, inheritance and implications worked out.
    pub effective: bool,
    pub include_names: bool,
    pub include_subtree: bool,
}

/// An assignment as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EffectiveAssignment {
    pub assignment: Assignment,
    /// The group through which an effective assignment came.
    pub via_group: Option<GroupId>,
    /// The role that implied this one.
    pub prior_role: Option<RoleId>,
    /// Where an inherited assignment was made.
    pub inherited_from: Option<Target>,
}

/// Names for ids in a list, where they were asked for: each with the domain it lives in.
#[derive(Debug, Clone, Default)]
pub struct Named {
    pub users: HashMap<UserId, (String, Domain)>,
    pub groups: HashMap<GroupId, (String, Domain)>,
    pub projects: HashMap<ProjectId, (String, Domain)>,
    pub domains: HashMap<DomainId, String>,
    pub roles: HashMap<RoleId, Role>,
    pub role_domains: HashMap<RoleId, Domain>,
}

impl Identity {
    /// Lists assignments.
    pub async fn role_assignments(
        &self,
        caller: &Caller,
        query: &AssignmentQuery,
    ) -> Result<(Vec<EffectiveAssignment>, Option<Named>)> {
        let own_domain = caller.scope_domain_id();
        let mut target = PolicyTarget::new();
        let action = if query.include_subtree {
            let Some(project_id) = &query.project_id else {
                return Err(Error::invalid(
                    "scope.project.id must be specified if include_subtree is also specified",
                ));
            };
            if let Ok(project) = self.store.project(project_id).await {
                target.set("target.domain_id", project.owning_domain().as_str());
            }
            "identity:list_role_assignments_for_tree"
        } else {
            if let Some(domain_id) = own_domain {
                target.set("target.domain_id", domain_id.as_str());
            }
            "identity:list_role_assignments"
        };
        if !self.may_see_as_their_own(caller, query) {
            self.enforce(caller, action, target).await?;
        }
        refuse_contradictions(query)?;
        let mut found = self.find_assignments(query).await?;
        // Who may see a tree sees all of it; other lists end at the domain that a token is for.
        if let Some(domain_id) = own_domain.filter(|_| !query.include_subtree) {
            found = self.within_domain(found, domain_id).await?;
        }
        let named = if query.include_names {
            let named = self.names(&found).await?;
            // What was deleted since the list was read took its assignments with it.
            found.retain(|effective| named.has(&effective.assignment.target));
            Some(named)
        } else {
            None
        };
        Ok((found, named))
    }

    /// Whether somebody asks for their own roles, and the operator lets users see those.
    fn may_see_as_their_own(&self, caller: &Caller, query: &AssignmentQuery) -> bool {
        self.options.departures.show_own_role_assignments
            && !query.include_subtree
            && !caller.is_delegated()
            && caller
                .own_user_id()
                .is_ok_and(|id| query.user_id.as_ref() == Some(id))
    }

    async fn find_assignments(&self, query: &AssignmentQuery) -> Result<Vec<EffectiveAssignment>> {
        let targets = self.asked_targets(query).await?;
        if !query.effective {
            let actors = [
                query.user_id.clone().map(Actor::User),
                query.group_id.clone().map(Actor::Group),
            ];
            let filter = AssignmentFilter {
                actors: actors.into_iter().flatten().collect(),
                targets: targets.clone().unwrap_or_default(),
                role_id: query.role_id.clone(),
                inherited: query.inherited,
            };
            let mut stored = self.store.assignments(&filter).await?;
            if targets.is_none() && query.inherited == Some(true) {
                // Nothing inherits from the system; Keystone lists its assignments all the same.
                let system = AssignmentFilter {
                    targets: vec![Target::System],
                    inherited: None,
                    ..filter
                };
                stored.extend(self.store.assignments(&system).await?);
            }
            return Ok(stored
                .into_iter()
                .map(EffectiveAssignment::stored)
                .collect());
        }
        self.effective_assignments(query, targets).await
    }

    /// The targets a query is limited to; `None` where it is not.
    async fn asked_targets(&self, query: &AssignmentQuery) -> Result<Option<Vec<Target>>> {
        if query.system && !query.effective {
            return Ok(Some(vec![Target::System]));
        }
        if let Some(domain_id) = &query.domain_id {
            return Ok(Some(vec![Target::Domain(domain_id.clone())]));
        }
        let Some(project_id) = &query.project_id else {
            return Ok(None);
        };
        let mut targets = vec![Target::Project(project_id.clone())];
        if query.include_subtree {
            let subtree = self.project_subtree(project_id).await?;
            targets.extend(
                subtree
                    .into_iter()
                    .map(|project| Target::Project(project.id)),
            );
        }
        Ok(Some(targets))
    }

    async fn within_domain(
        &self,
        found: Vec<EffectiveAssignment>,
        domain_id: &DomainId,
    ) -> Result<Vec<EffectiveAssignment>> {
        let projects = self
            .store
            .projects(&ProjectFilter {
                domain_id: Some(domain_id.clone()),
                is_domain: Some(false),
                ..ProjectFilter::default()
            })
            .await?;
        let projects: BTreeSet<ProjectId> =
            projects.into_iter().map(|project| project.id).collect();
        Ok(found
            .into_iter()
            .filter(|effective| match &effective.assignment.target {
                Target::Project(id) => projects.contains(id),
                Target::Domain(id) => id == domain_id,
                Target::System => false,
            })
            .collect())
    }

    async fn names(&self, found: &[EffectiveAssignment]) -> Result<Named> {
        let mut named = Named {
            roles: self.store.all_roles().await?,
            ..Named::default()
        };
        for effective in found {
            match &effective.assignment.actor {
                Actor::User(id) if !named.users.contains_key(id) => {
                    if let Some(user) = if_known(self.find_user(id).await)?
                        && let Some(domain) = if_there(self.store.domain(&user.domain_id).await)?
                    {
                        named.users.insert(id.clone(), (user.name, domain));
                    }
                }
                Actor::Group(id) if !named.groups.contains_key(id) => {
                    if let Some(group) = if_known(self.find_group(id).await)?
                        && let Some(domain) = if_there(self.store.domain(&group.domain_id).await)?
                    {
                        named.groups.insert(id.clone(), (group.name, domain));
                    }
                }
                _ => {}
            }
            match &effective.assignment.target {
                Target::Project(id) if !named.projects.contains_key(id) => {
                    if let Some(project) = if_there(self.store.project(id).await)?
                        && let Some(domain) =
                            if_there(self.store.domain(&project.owning_domain()).await)?
                    {
                        named.projects.insert(id.clone(), (project.name, domain));
                    }
                }
                Target::Domain(id) if !named.domains.contains_key(id) => {
                    if let Some(domain) = if_there(self.store.domain(id).await)? {
                        named.domains.insert(id.clone(), domain.name);
                    }
                }
                _ => {}
            }
            let role_id = &effective.assignment.role_id;
            let role_domain = named
                .roles
                .get(role_id)
                .and_then(|role| role.domain_id.clone());
            // Roles outlive their domain.
            if let Some(domain_id) = role_domain
                && let Some(domain) = if_there(self.store.domain(&domain_id).await)?
            {
                named.role_domains.insert(role_id.clone(), domain);
            }
        }
        Ok(named)
    }
}

impl Named {
    fn has(&self, target: &Target) -> bool {
        match target {
            Target::Project(id) => self.projects.contains_key(id),
            Target::Domain(id) => self.domains.contains_key(id),
            Target::System => true,
        }
    }
}

/// What is found, unless it is gone.
fn if_there<T>(found: archstone_store::Result<T>) -> archstone_store::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(archstone_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What is there, as far as its directory says: one that does not answer leaves its names out.
fn if_known<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Error::NotFound { .. } | Error::Unavailable { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

impl EffectiveAssignment {
    fn stored(assignment: Assignment) -> Self {
        Self {
            assignment,
            via_group: None,
            prior_role: None,
            inherited_from: None,
        }
    }
}

fn refuse_contradictions(query: &AssignmentQuery) -> Result<()> {
    let scopes = [
        query.project_id.is_some(),
        query.domain_id.is_some(),
        query.system,
    ];
    if scopes.into_iter().filter(|asked| *asked).count() > 1 {
        return Err(Error::invalid("Specify a domain or project, not both"));
    }
    if query.user_id.is_some() && query.group_id.is_some() {
        return Err(Error::invalid("Specify a user or group, not both"));
    }
    if query.effective && query.group_id.is_some() {
        return Err(Error::invalid(
            "Combining effective and group filter will always result in an empty list.",
        ));
    }
    if query.effective && query.inherited == Some(true) && query.domain_id.is_some() {
        return Err(Error::invalid(
            "Combining effective, domain and inherited filters will always result in an empty \
             list.",
        ));
    }
    Ok(())
}
