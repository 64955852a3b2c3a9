//! Role assignments: granting, checking, taking away, and listing them as stored or as effective.

use std::collections::{BTreeSet, HashMap};

use archstone_model::{
    entity::Entity,
    id::{DomainId, GroupId, ProjectId, RoleId, UserId},
    policy::Target as PolicyTarget,
    project::{Domain, Project, ProjectFilter},
    role::{Actor, Assignment, AssignmentFilter, Role, Target},
    roles::RoleInference,
    user::UserFilter,
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

/// The policy rule that a grant operation is subject to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantOperation {
    List,
    Check,
    Create,
    Revoke,
}

impl GrantOperation {
    fn action(self, target: &Target, actor: &Actor) -> &'static str {
        match (target, actor, self) {
            (Target::System, Actor::User(_), Self::List) => "identity:list_system_grants_for_user",
            (Target::System, Actor::User(_), Self::Check) => "identity:check_system_grant_for_user",
            (Target::System, Actor::User(_), Self::Create) => {
                "identity:create_system_grant_for_user"
            }
            (Target::System, Actor::User(_), Self::Revoke) => {
                "identity:revoke_system_grant_for_user"
            }
            (Target::System, Actor::Group(_), Self::List) => {
                "identity:list_system_grants_for_group"
            }
            (Target::System, Actor::Group(_), Self::Check) => {
                "identity:check_system_grant_for_group"
            }
            (Target::System, Actor::Group(_), Self::Create) => {
                "identity:create_system_grant_for_group"
            }
            (Target::System, Actor::Group(_), Self::Revoke) => {
                "identity:revoke_system_grant_for_group"
            }
            (_, _, Self::List) => "identity:list_grants",
            (_, _, Self::Check) => "identity:check_grant",
            (_, _, Self::Create) => "identity:create_grant",
            (_, _, Self::Revoke) => "identity:revoke_grant",
        }
    }
}

impl Identity {
    /// The roles directly assigned to an actor in a place.
    pub async fn grants(
        &self,
        caller: &Caller,
        actor: &Actor,
        target: &Target,
        inherited: bool,
    ) -> Result<Vec<Role>> {
        self.enforce_grant(caller, GrantOperation::List, actor, target, None)
            .await?;
        let filter = AssignmentFilter {
            actors: vec![actor.clone()],
            targets: vec![target.clone()],
            inherited: Some(inherited),
            role_id: None,
        };
        let mut roles = self.store.all_roles().await?;
        let assignments = self.store.assignments(&filter).await?;
        Ok(assignments
            .into_iter()
            .filter_map(|grant| roles.remove(&grant.role_id))
            .collect())
    }

    /// # Errors
    /// `Missing` where there is no such assignment.
    pub async fn check_grant(&self, caller: &Caller, grant: &Assignment) -> Result<()> {
        self.enforce_grant(
            caller,
            GrantOperation::Check,
            &grant.actor,
            &grant.target,
            Some(&grant.role_id),
        )
        .await?;
        if self.has_grant(grant).await? {
            Ok(())
        } else {
            Err(no_assignment(grant))
        }
    }

    /// Assigns a role; assigning it again changes nothing.
    pub async fn create_grant(&self, caller: &Caller, grant: &Assignment) -> Result<()> {
        let role = self
            .enforce_grant(
                caller,
                GrantOperation::Create,
                &grant.actor,
                &grant.target,
                Some(&grant.role_id),
            )
            .await?;
        if let Some(role) = role {
            self.refuse_foreign_role(&role, &grant.target).await?;
        }
        self.store.grant(grant).await?;
        self.audit_grant(caller, "create", grant);
        Ok(())
    }

    /// Takes a role away. Tokens go on with the roles that are left, and end where none is.
    ///
    /// # Errors
    /// `Missing` where there is no such assignment.
    pub async fn revoke_grant(&self, caller: &Caller, grant: &Assignment) -> Result<()> {
        self.enforce_grant(
            caller,
            GrantOperation::Revoke,
            &grant.actor,
            &grant.target,
            Some(&grant.role_id),
        )
        .await?;
        if !self.has_grant(grant).await? {
            return Err(no_assignment(grant));
        }
        self.store.revoke_grant(grant).await?;
        self.audit_grant(caller, "delete", grant);
        Ok(())
    }

    async fn has_grant(&self, grant: &Assignment) -> Result<bool> {
        let filter = AssignmentFilter {
            actors: vec![grant.actor.clone()],
            targets: vec![grant.target.clone()],
            role_id: Some(grant.role_id.clone()),
            inherited: Some(grant.inherited),
        };
        Ok(!self.store.assignments(&filter).await?.is_empty())
    }

    /// A role of one domain may be used in that domain only.
    async fn refuse_foreign_role(&self, role: &Role, target: &Target) -> Result<()> {
        let Some(role_domain) = &role.domain_id else {
            return Ok(());
        };
        let target_domain = match target {
            Target::Project(id) => self.store.project(id).await?.owning_domain(),
            Target::Domain(id) => id.clone(),
            Target::System => {
                return Err(Error::invalid(format!(
                    "Role {} is a domain-specific role. Unable to use a domain-specific role in a \
                     system assignment.",
                    role.id
                )));
            }
        };
        if *role_domain == target_domain {
            Ok(())
        } else {
            Err(Error::forbidden("the role belongs to another domain"))
        }
    }

    /// Asks policy about a grant, then refuses what does not exist. Gives the role, if one is named.
    async fn enforce_grant(
        &self,
        caller: &Caller,
        operation: GrantOperation,
        actor: &Actor,
        target: &Target,
        role_id: Option<&RoleId>,
    ) -> Result<Option<Role>> {
        let mut policy = PolicyTarget::new();
        let mut missing: Option<Error> = None;
        let role = match role_id {
            Some(id) => {
                policy.set("role_id", id.as_str());
                keep_missing(self.store.role(id).await, &mut missing)
            }
            None => None,
        };
        if let Some(role) = &role {
            policy.set("target.role.id", role.id.as_str());
            policy.set("target.role.name", &role.name);
            policy.set_opt(
                "target.role.domain_id",
                role.domain_id.as_ref().map(DomainId::as_str),
            );
        }
        match actor {
            Actor::User(id) => {
                policy.set("user_id", id.as_str());
                if let Some(user) = keep_missing(self.store.user(id).await, &mut missing) {
                    policy.set("target.user.id", user.id.as_str());
                    policy.set("target.user.domain_id", user.domain_id.as_str());
                }
            }
            Actor::Group(id) => {
                policy.set("group_id", id.as_str());
                if let Some(group) = keep_missing(self.store.group(id).await, &mut missing) {
                    policy.set("target.group.id", group.id.as_str());
                    policy.set("target.group.domain_id", group.domain_id.as_str());
                }
            }
        }
        match target {
            Target::Project(id) => {
                policy.set("project_id", id.as_str());
                if let Some(project) = keep_missing(self.store.project(id).await, &mut missing) {
                    policy.set("target.project.id", project.id.as_str());
                    let domain_id = project.domain_id.as_ref().map(DomainId::as_str);
                    policy.set_opt("target.project.domain_id", domain_id);
                }
            }
            Target::Domain(id) => {
                policy.set("domain_id", id.as_str());
                if let Some(domain) = keep_missing(self.store.domain(id).await, &mut missing) {
                    policy.set("target.domain.id", domain.id.as_str());
                }
            }
            Target::System => {}
        }
        self.enforce(caller, operation.action(target, actor), policy)?;
        match missing {
            // A grant may outlive its user where the user lives in a directory.
            Some(Error::NotFound {
                entity: Entity::User | Entity::Group,
                ..
            }) if operation == GrantOperation::Revoke => Ok(role),
            Some(error) => Err(error),
            None => Ok(role),
        }
    }

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
        self.enforce(caller, action, target)?;
        refuse_contradictions(query)?;
        let mut found = self.find_assignments(query).await?;
        if let Some(domain_id) = own_domain {
            found = self.within_domain(found, domain_id).await?;
        }
        let named = if query.include_names {
            Some(self.names(&found).await?)
        } else {
            None
        };
        Ok((found, named))
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

    async fn effective_assignments(
        &self,
        query: &AssignmentQuery,
        targets: Option<Vec<Target>>,
    ) -> Result<Vec<EffectiveAssignment>> {
        let mut filter = AssignmentFilter::default();
        let mut members: HashMap<GroupId, Vec<UserId>> = HashMap::new();
        if let Some(user_id) = &query.user_id {
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
                    let users = self
                        .store
                        .users_of_group(&group_id, &UserFilter::default())
                        .await?;
                    let users = users.into_iter().map(|user| user.id).collect();
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
        let mut seen = std::collections::HashSet::new();
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
    async fn handed_down(
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
                    if let Ok(user) = self.store.user(id).await {
                        let domain = self.store.domain(&user.domain_id).await?;
                        named.users.insert(id.clone(), (user.name, domain));
                    }
                }
                Actor::Group(id) if !named.groups.contains_key(id) => {
                    if let Ok(group) = self.store.group(id).await {
                        let domain = self.store.domain(&group.domain_id).await?;
                        named.groups.insert(id.clone(), (group.name, domain));
                    }
                }
                _ => {}
            }
            match &effective.assignment.target {
                Target::Project(id) if !named.projects.contains_key(id) => {
                    let project = self.store.project(id).await?;
                    let domain = self.store.domain(&project.owning_domain()).await?;
                    named.projects.insert(id.clone(), (project.name, domain));
                }
                Target::Domain(id) if !named.domains.contains_key(id) => {
                    named
                        .domains
                        .insert(id.clone(), self.store.domain(id).await?.name);
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
                && let Ok(domain) = self.store.domain(&domain_id).await
            {
                named.role_domains.insert(role_id.clone(), domain);
            }
        }
        Ok(named)
    }

    /// The projects where a user (with the groups a federated login gave them) has a role.
    pub(crate) async fn reachable_projects(
        &self,
        user_id: &UserId,
        federated_groups: &[GroupId],
    ) -> Result<Vec<Project>> {
        let mut ids = BTreeSet::new();
        for assignment in self.held_by(user_id, federated_groups).await? {
            for effective in self.handed_down(assignment, &None).await? {
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

/// Remembers the first thing that does not exist, to be told after policy allowed asking.
fn keep_missing<T>(found: archstone_store::Result<T>, missing: &mut Option<Error>) -> Option<T> {
    match found {
        Ok(value) => Some(value),
        Err(error) => {
            missing.get_or_insert_with(|| error.into());
            None
        }
    }
}

fn no_assignment(grant: &Assignment) -> Error {
    let actor = match &grant.actor {
        Actor::User(id) => format!("user ID: {id}"),
        Actor::Group(id) => format!("group ID: {id}"),
    };
    let target = match &grant.target {
        Target::Project(id) => format!("project ID: {id}"),
        Target::Domain(id) => format!("domain ID: {id}"),
        Target::System => "the system".to_owned(),
    };
    Error::Missing(format!(
        "Could not find role assignment with role: {}, user or group: {actor}, project, domain, or \
         system: {target}.",
        grant.role_id
    ))
}
