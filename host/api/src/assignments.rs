//! Grants of roles on projects, domains and the system, OS-INHERIT, and `/v3/role_assignments`.

use archstone_identity::{AssignmentQuery, EffectiveAssignment, Named};
use archstone_model::{
    id::{DomainId, GroupId, ProjectId, RoleId, UserId},
    project::Domain,
    role::{Actor, Assignment, Target},
};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    caller::Authenticated,
    domains::DomainReference,
    error::Result,
    links::BaseUrl,
    query::{Filters, ListQuery},
    resource::{List, Resource},
    roles::RoleView,
    token_body::WholeSystem,
};

/// Writes the handlers of one kind of grant: a list of roles, and check, create and revoke of one.
/// `$target` and `$actor` make the nouns from the path's parameters.
macro_rules! grants {
    (
        $module:ident, $list:literal, $one:literal, ($($parameter:ident $name:literal: $kind:ty),+),
        $actor:expr, $target:expr, inherited: $inherited:literal
    ) => {
        mod $module {
            use super::*;

            #[doc = "Lists the roles granted here."]
            #[utoipa::path(get, path = $list, tag = "grants",
                operation_id = concat!(stringify!($module), "_list"),
                params($(($name = String, Path)),+),
                responses((status = 200, body = List<RoleView>)))]
            pub(super) async fn list(
                State(app): State<App>,
                Authenticated(caller): Authenticated,
                base_url: BaseUrl,
                uri: axum::extract::OriginalUri,
                Path(($($parameter,)+)): Path<($($kind,)+)>,
            ) -> Result<List<RoleView>> {
                let (actor, target) = ($actor, $target);
                let roles = app.identity.grants(&caller, &actor, &target, $inherited).await?;
                let path = uri.path().trim_start_matches("/v3/");
                let query = ListQuery::default();
                Ok(List::new(roles, RoleView::new, path, &base_url, &query))
            }

            #[doc = "Whether a role is granted here."]
            #[utoipa::path(get, path = $one, tag = "grants",
                operation_id = concat!(stringify!($module), "_check"),
                params($(($name = String, Path)),+, ("role_id" = String, Path)),
                responses((status = 204)))]
            pub(super) async fn check(
                State(app): State<App>,
                Authenticated(caller): Authenticated,
                Path(($($parameter,)+ role_id)): Path<($($kind,)+ RoleId)>,
            ) -> Result<StatusCode> {
                let grant = Assignment {
                    actor: $actor, target: $target, role_id, inherited: $inherited,
                };
                app.identity.check_grant(&caller, &grant).await?;
                Ok(StatusCode::NO_CONTENT)
            }

            #[doc = "Grants a role here."]
            #[utoipa::path(put, path = $one, tag = "grants",
                operation_id = concat!(stringify!($module), "_create"),
                params($(($name = String, Path)),+, ("role_id" = String, Path)),
                responses((status = 204)))]
            pub(super) async fn create(
                State(app): State<App>,
                Authenticated(caller): Authenticated,
                Path(($($parameter,)+ role_id)): Path<($($kind,)+ RoleId)>,
            ) -> Result<StatusCode> {
                let grant = Assignment {
                    actor: $actor, target: $target, role_id, inherited: $inherited,
                };
                app.identity.create_grant(&caller, &grant).await?;
                Ok(StatusCode::NO_CONTENT)
            }

            #[doc = "Takes a role away here."]
            #[utoipa::path(delete, path = $one, tag = "grants",
                operation_id = concat!(stringify!($module), "_revoke"),
                params($(($name = String, Path)),+, ("role_id" = String, Path)),
                responses((status = 204)))]
            pub(super) async fn revoke(
                State(app): State<App>,
                Authenticated(caller): Authenticated,
                Path(($($parameter,)+ role_id)): Path<($($kind,)+ RoleId)>,
            ) -> Result<StatusCode> {
                let grant = Assignment {
                    actor: $actor, target: $target, role_id, inherited: $inherited,
                };
                app.identity.revoke_grant(&caller, &grant).await?;
                Ok(StatusCode::NO_CONTENT)
            }
        }
    };
}

grants!(project_user, "/projects/{project_id}/users/{user_id}/roles",
    "/projects/{project_id}/users/{user_id}/roles/{role_id}",
    (project_id "project_id": ProjectId, user_id "user_id": UserId),
    Actor::User(user_id), Target::Project(project_id), inherited: false);
grants!(project_group, "/projects/{project_id}/groups/{group_id}/roles",
    "/projects/{project_id}/groups/{group_id}/roles/{role_id}",
    (project_id "project_id": ProjectId, group_id "group_id": GroupId),
    Actor::Group(group_id), Target::Project(project_id), inherited: false);
grants!(domain_user, "/domains/{domain_id}/users/{user_id}/roles",
    "/domains/{domain_id}/users/{user_id}/roles/{role_id}",
    (domain_id "domain_id": DomainId, user_id "user_id": UserId),
    Actor::User(user_id), Target::Domain(domain_id), inherited: false);
grants!(domain_group, "/domains/{domain_id}/groups/{group_id}/roles",
    "/domains/{domain_id}/groups/{group_id}/roles/{role_id}",
    (domain_id "domain_id": DomainId, group_id "group_id": GroupId),
    Actor::Group(group_id), Target::Domain(domain_id), inherited: false);
grants!(system_user, "/system/users/{user_id}/roles", "/system/users/{user_id}/roles/{role_id}",
    (user_id "user_id": UserId), Actor::User(user_id), Target::System, inherited: false);
grants!(system_group, "/system/groups/{group_id}/roles",
    "/system/groups/{group_id}/roles/{role_id}",
    (group_id "group_id": GroupId), Actor::Group(group_id), Target::System, inherited: false);
grants!(inherited_domain_user,
    "/OS-INHERIT/domains/{domain_id}/users/{user_id}/roles/inherited_to_projects",
    "/OS-INHERIT/domains/{domain_id}/users/{user_id}/roles/{role_id}/inherited_to_projects",
    (domain_id "domain_id": DomainId, user_id "user_id": UserId),
    Actor::User(user_id), Target::Domain(domain_id), inherited: true);
grants!(inherited_domain_group,
    "/OS-INHERIT/domains/{domain_id}/groups/{group_id}/roles/inherited_to_projects",
    "/OS-INHERIT/domains/{domain_id}/groups/{group_id}/roles/{role_id}/inherited_to_projects",
    (domain_id "domain_id": DomainId, group_id "group_id": GroupId),
    Actor::Group(group_id), Target::Domain(domain_id), inherited: true);
grants!(inherited_project_user,
    "/OS-INHERIT/projects/{project_id}/users/{user_id}/roles/inherited_to_projects",
    "/OS-INHERIT/projects/{project_id}/users/{user_id}/roles/{role_id}/inherited_to_projects",
    (project_id "project_id": ProjectId, user_id "user_id": UserId),
    Actor::User(user_id), Target::Project(project_id), inherited: true);
grants!(inherited_project_group,
    "/OS-INHERIT/projects/{project_id}/groups/{group_id}/roles/inherited_to_projects",
    "/OS-INHERIT/projects/{project_id}/groups/{group_id}/roles/{role_id}/inherited_to_projects",
    (project_id "project_id": ProjectId, group_id "group_id": GroupId),
    Actor::Group(group_id), Target::Project(project_id), inherited: true);

macro_rules! grant_routes {
    ($router:expr, $($module:ident),+) => {
        $router$(
            .routes(routes!($module::list))
            .routes(routes!($module::check, $module::create, $module::revoke))
        )+
    };
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    let router = OpenApiRouter::new().routes(routes!(list_assignments));
    grant_routes!(
        router,
        project_user,
        project_group,
        domain_user,
        domain_group,
        system_user,
        system_group,
        inherited_domain_user,
        inherited_domain_group,
        inherited_project_user,
        inherited_project_group
    )
}

/// Lists role assignments, as stored or as effective.
#[utoipa::path(get, path = "/role_assignments", tag = "grants",
    params(Filters<AssignmentFilters>), responses((status = 200, body = List<AssignmentView>), (status = 404)))]
async fn list_assignments(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<List<AssignmentView>> {
    let asks = |name: &str| query.bool(name).unwrap_or(false);
    let asked = AssignmentQuery {
        user_id: query.get("user.id").map(UserId::from),
        group_id: query.get("group.id").map(GroupId::from),
        role_id: query.get("role.id").map(RoleId::from),
        project_id: query.get("scope.project.id").map(ProjectId::from),
        domain_id: query.get("scope.domain.id").map(DomainId::from),
        system: query.get("scope.system") == Some("all"),
        inherited: query
            .get("scope.OS-INHERIT:inherited_to")
            .map(|heirs| heirs == "projects"),
        effective: asks("effective"),
        include_names: asks("include_names"),
        include_subtree: asks("include_subtree"),
    };
    let (assignments, named) = app.identity.role_assignments(&caller, &asked).await?;
    let view = |assignment, base_url: &BaseUrl| {
        AssignmentView::new(&assignment, named.as_ref(), asked.effective, base_url)
    };
    Ok(List::new(
        assignments,
        view,
        "role_assignments",
        &base_url,
        &query,
    ))
}

/// The filters of a list of role assignments.
#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct AssignmentFilters {
    #[schema(rename = "user.id")]
    user_id: Option<String>,
    #[schema(rename = "group.id")]
    group_id: Option<String>,
    #[schema(rename = "role.id")]
    role_id: Option<String>,
    #[schema(rename = "scope.project.id")]
    project_id: Option<String>,
    #[schema(rename = "scope.domain.id")]
    domain_id: Option<String>,
    #[schema(rename = "scope.system")]
    system: Option<String>,
    #[schema(rename = "scope.OS-INHERIT:inherited_to")]
    inherited_to: Option<String>,
    /// What members of groups and heirs have, rather than what was granted.
    effective: Option<String>,
    include_names: Option<String>,
    /// Of the projects below one as well.
    include_subtree: Option<String>,
}

/// A role assignment as clients see it: of a user or a group.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RoleAssignment)]
struct AssignmentView {
    role: Reference,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    user: Option<Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    group: Option<Reference>,
    scope: AssignmentScope,
    links: AssignmentLinks,
}

/// Where a role is assigned: one of a project, a domain and the system.
#[derive(Debug, Default, Serialize, ToSchema)]
struct AssignmentScope {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    project: Option<Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    domain: Option<Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    system: Option<WholeSystem>,
    #[serde(
        rename = "OS-INHERIT:inherited_to",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(nullable = false)]
    inherited_to: Option<&'static str>,
}

/// Where an assignment comes from.
#[derive(Debug, Serialize, ToSchema)]
struct AssignmentLinks {
    assignment: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    membership: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    prior_role: Option<String>,
}

/// Something by its id, and by its name where names are asked for.
#[derive(Debug, Serialize, ToSchema)]
struct Reference {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    domain: Option<DomainReference>,
}

impl AssignmentView {
    fn new(
        effective: &EffectiveAssignment,
        named: Option<&Named>,
        is_effective: bool,
        base_url: &BaseUrl,
    ) -> Self {
        let Assignment {
            actor,
            target,
            role_id,
            inherited,
        } = &effective.assignment;
        let known = named.and_then(|named| named.roles.get(role_id));
        let domain = named.and_then(|named| named.role_domains.get(role_id));
        let role = Reference {
            id: role_id.to_string(),
            name: known.map(|role| role.name.clone()),
            domain: known.and(domain).map(DomainReference::from),
        };
        let (user, group) = match actor {
            Actor::User(id) => {
                let known = named.and_then(|named| named.users.get(id));
                (Some(Reference::new(id.as_str(), known)), None)
            }
            Actor::Group(id) => {
                let known = named.and_then(|named| named.groups.get(id));
                (None, Some(Reference::new(id.as_str(), known)))
            }
        };
        let mut scope = AssignmentScope::default();
        match target {
            Target::Project(id) => {
                let known = named.and_then(|named| named.projects.get(id));
                scope.project = Some(Reference::new(id.as_str(), known));
            }
            Target::Domain(id) => {
                let name = named.and_then(|named| named.domains.get(id)).cloned();
                scope.domain = Some(Reference {
                    name,
                    ..Reference::new(id.as_str(), None)
                });
            }
            Target::System => scope.system = Some(WholeSystem { all: true }),
        }
        scope.inherited_to = inherited.then_some("projects");
        Self {
            role,
            user,
            group,
            scope,
            links: AssignmentLinks::new(effective, is_effective, base_url),
        }
    }
}

impl Resource for AssignmentView {
    const ONE: &'static str = "role_assignment";
    const MANY: &'static str = "role_assignments";
}

impl AssignmentLinks {
    fn new(effective: &EffectiveAssignment, is_effective: bool, base_url: &BaseUrl) -> Self {
        let made = &effective.assignment;
        let actor = match (&made.actor, &effective.via_group) {
            (_, Some(group)) => format!("groups/{group}"),
            (Actor::User(id), None) => format!("users/{id}"),
            (Actor::Group(id), None) => format!("groups/{id}"),
        };
        let target = match effective.inherited_from.as_ref().unwrap_or(&made.target) {
            Target::Project(id) => format!("projects/{id}"),
            Target::Domain(id) => format!("domains/{id}"),
            Target::System => "system".to_owned(),
        };
        let role = effective.prior_role.as_ref().unwrap_or(&made.role_id);
        let path = if made.inherited {
            format!("OS-INHERIT/{target}/{actor}/roles/{role}/inherited_to_projects")
        } else {
            format!("{target}/{actor}/roles/{role}")
        };
        let group = effective.via_group.as_ref().filter(|_| is_effective);
        Self {
            assignment: base_url.v3(path),
            membership: group.map(|group| {
                let member = made.actor.id();
                base_url.v3(format_args!("groups/{group}/users/{member}"))
            }),
            prior_role: effective.prior_role.as_ref().map(|prior| {
                // Keystone names the implied role first, though the path says otherwise.
                let implied = &made.role_id;
                base_url.v3(format_args!("prior_role/{implied}/implies/{prior}"))
            }),
        }
    }
}

impl Reference {
    fn new(id: &str, known: Option<&(String, Domain)>) -> Self {
        Self {
            id: id.to_owned(),
            name: known.map(|(name, _)| name.clone()),
            domain: known.map(|(_, domain)| domain.into()),
        }
    }
}
