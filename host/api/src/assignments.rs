//! Grants of roles on projects, domains and the system, OS-INHERIT, and `/v3/role_assignments`.

use archstone_identity::{AssignmentQuery, EffectiveAssignment, Named};
use archstone_model::{
    id::{DomainId, GroupId, ProjectId, RoleId, UserId},
    project::Domain,
    role::{Actor, Assignment, Target},
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde_json::{Map, Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    caller::Authenticated,
    error::Result,
    links::{BaseUrl, ListLinks},
    query::ListQuery,
    roles::render_list,
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
                params($(($name = String, Path)),+), responses((status = 200)))]
            pub(super) async fn list(
                State(app): State<App>,
                Authenticated(caller): Authenticated,
                base_url: BaseUrl,
                uri: axum::extract::OriginalUri,
                Path(($($parameter,)+)): Path<($($kind,)+)>,
            ) -> Result<Json<Value>> {
                let (actor, target) = ($actor, $target);
                let roles = app.identity.grants(&caller, &actor, &target, $inherited).await?;
                let path = uri.path().trim_start_matches("/v3/").to_owned();
                Ok(Json(render_list(roles, &base_url, path)))
            }

            #[doc = "Whether a role is granted here."]
            #[utoipa::path(get, path = $one, tag = "grants",
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
    let router = OpenApiRouter::new().routes(routes!(list));
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
#[utoipa::path(get, path = "/role_assignments", tag = "grants", responses((status = 200)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<Json<Value>> {
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
    let rendered: Vec<_> = assignments
        .iter()
        .map(|assignment| render(assignment, named.as_ref(), asked.effective, &base_url))
        .collect();
    let path = format!("role_assignments{}", query.suffix());
    Ok(Json(json!({
        "role_assignments": rendered,
        "links": ListLinks::complete(base_url.v3(path)),
    })))
}

fn render(
    effective: &EffectiveAssignment,
    named: Option<&Named>,
    is_effective: bool,
    base_url: &BaseUrl,
) -> Value {
    let Assignment {
        actor,
        target,
        role_id,
        inherited,
    } = &effective.assignment;
    let mut body = Map::new();
    let mut role = json!({ "id": role_id });
    if let Some(known) = named.and_then(|named| named.roles.get(role_id)) {
        role["name"] = json!(known.name);
        if let Some(domain) = named.and_then(|named| named.role_domains.get(role_id)) {
            role["domain"] = render_domain(domain);
        }
    }
    body.insert("role".to_owned(), role);
    match actor {
        Actor::User(id) => {
            let known = named.and_then(|named| named.users.get(id));
            body.insert("user".to_owned(), render_named(id.as_str(), known));
        }
        Actor::Group(id) => {
            let known = named.and_then(|named| named.groups.get(id));
            body.insert("group".to_owned(), render_named(id.as_str(), known));
        }
    }
    let mut scope = match target {
        Target::Project(id) => {
            let known = named.and_then(|named| named.projects.get(id));
            json!({ "project": render_named(id.as_str(), known) })
        }
        Target::Domain(id) => {
            let mut domain = json!({ "id": id });
            if let Some(name) = named.and_then(|named| named.domains.get(id)) {
                domain["name"] = json!(name);
            }
            json!({ "domain": domain })
        }
        Target::System => json!({ "system": { "all": true } }),
    };
    if *inherited {
        scope["OS-INHERIT:inherited_to"] = json!("projects");
    }
    body.insert("scope".to_owned(), scope);
    body.insert("links".to_owned(), links(effective, is_effective, base_url));
    Value::Object(body)
}

fn links(effective: &EffectiveAssignment, is_effective: bool, base_url: &BaseUrl) -> Value {
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
    let mut links = json!({ "assignment": base_url.v3(path) });
    if is_effective && let Some(group) = &effective.via_group {
        let member = made.actor.id();
        links["membership"] = json!(base_url.v3(format_args!("groups/{group}/users/{member}")));
    }
    if let Some(prior) = &effective.prior_role {
        // Keystone names the implied role first, though the path says otherwise.
        let implied = &made.role_id;
        let path = format_args!("prior_role/{implied}/implies/{prior}");
        links["prior_role"] = json!(base_url.v3(path));
    }
    links
}

fn render_named(id: &str, known: Option<&(String, Domain)>) -> Value {
    match known {
        Some((name, domain)) => {
            json!({ "id": id, "name": name, "domain": render_domain(domain) })
        }
        None => json!({ "id": id }),
    }
}

fn render_domain(domain: &Domain) -> Value {
    json!({ "id": domain.id, "name": domain.name })
}
