//! The table of routes: what is served and documented, and what of Keystone's API is not served
//! yet and therefore answers 501. `docs/status.md` is generated from here.

use std::collections::BTreeMap;

use axum::{
    Router,
    http::Method,
    routing::{MethodFilter, on},
};
use utoipa::{OpenApi, openapi::OpenApi as Document};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    ApiError, App, application_credentials, assignments, auth, catalog, credentials,
    domain_configs, domains, ec2_credentials, ec2_tokens, endpoint_filters, federated_login,
    groups, health, identity_providers, limits, malformed_urls, mappings, oauth1, oauth1_grants,
    oauth2,
    openapi::{ApiDoc, complete, named},
    policies, project_tags, projects, retired, revocations, roles, saml, service_providers, trusts,
    users, v4, versions,
};

/// Every route of Keystone 30, as `METHOD<TAB>PATH` lines.
const KEYSTONE_ROUTES: &str = include_str!("keystone_routes.tsv");

/// The routes of each family under `/v3`, with their documentation.
fn families() -> Vec<(&'static str, OpenApiRouter<App>)> {
    macro_rules! families {
        ($($family:ident),* $(,)?) => {
            vec![$((stringify!($family), $family::routes())),*]
        };
    }
    families![
        auth,
        users,
        domains,
        domain_configs,
        projects,
        project_tags,
        groups,
        roles,
        assignments,
        catalog,
        credentials,
        ec2_credentials,
        ec2_tokens,
        oauth1,
        oauth1_grants,
        oauth2,
        application_credentials,
        limits,
        policies,
        endpoint_filters,
        identity_providers,
        mappings,
        service_providers,
        federated_login,
        saml,
        trusts,
        revocations,
        malformed_urls,
        retired,
    ]
}

/// All served routes with their documentation.
pub(crate) fn documented() -> OpenApiRouter<App> {
    let v3 = families()
        .into_iter()
        .fold(OpenApiRouter::new(), |router, (name, family)| {
            router.merge(named(name, family))
        });
    OpenApiRouter::with_openapi(ApiDoc::openapi())
        .merge(named("versions", versions::routes()))
        .merge(named("health", health::routes()))
        .merge(named("retired", retired::unversioned_routes()))
        .nest("/v3", v3)
        .nest("/v4", v4::routes())
}

/// The OpenAPI document of all served routes.
pub(crate) fn document() -> Document {
    complete(documented().into_openapi())
}

/// Whether a route of Keystone's is served here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteState {
    Served,
    /// Answers 501.
    NotYet,
}

/// One route of Keystone 30 and its state here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteStatus {
    pub method: String,
    pub path: String,
    pub state: RouteState,
}

/// The state of every Keystone route, from the router itself.
pub fn route_status() -> Vec<RouteStatus> {
    let document = documented().into_openapi();
    keystone_routes()
        .map(|(method, path)| RouteStatus {
            state: if serves(&document, method, &path) {
                RouteState::Served
            } else {
                RouteState::NotYet
            },
            method: method.to_owned(),
            path,
        })
        .collect()
}

/// Adds a 501 answer for every Keystone route that `document` does not have.
pub(crate) fn with_unserved(mut router: Router<App>, document: &Document) -> Router<App> {
    let mut missing: BTreeMap<String, MethodFilter> = BTreeMap::new();
    for (method, path) in keystone_routes() {
        if serves(document, method, &path) {
            continue;
        }
        let Some(filter) = method
            .parse::<Method>()
            .ok()
            .and_then(|method| MethodFilter::try_from(method).ok())
        else {
            continue;
        };
        // Routes must agree on a parameter's name wherever paths meet, so missing ones take the
        // spelling of the documented path of the same shape.
        let path = documented_spelling(document, &path).unwrap_or(path);
        missing
            .entry(path)
            .and_modify(|known| *known = known.or(filter))
            .or_insert(filter);
    }
    for (path, methods) in missing {
        router = router.route(&path, on(methods, async || ApiError::not_implemented()));
    }
    router
}

fn keystone_routes() -> impl Iterator<Item = (&'static str, String)> {
    KEYSTONE_ROUTES.lines().filter_map(|line| {
        let (method, path) = line.split_once('\t')?;
        Some((
            method,
            positional(
                &path
                    .replace("<string:", "{")
                    .replace("<path:", "{*")
                    .replace('>', "}"),
            ),
        ))
    })
}

fn serves(document: &Document, method: &str, path: &str) -> bool {
    document.paths.paths.iter().any(|(documented, item)| {
        positional(documented) == path
            && match method {
                "GET" => item.get.is_some(),
                "POST" => item.post.is_some(),
                "PUT" => item.put.is_some(),
                "PATCH" => item.patch.is_some(),
                "DELETE" => item.delete.is_some(),
                _ => false,
            }
    })
}

fn documented_spelling(document: &Document, path: &str) -> Option<String> {
    document
        .paths
        .paths
        .keys()
        .find(|documented| positional(documented) == path)
        .cloned()
}

/// A path with its parameters numbered instead of named, so that paths can be compared and share
/// one router node whatever each route calls its parameters.
fn positional(path: &str) -> String {
    let mut count = 0;
    path.split('/')
        .map(|segment| match segment.strip_prefix('{') {
            Some(rest) => {
                count += 1;
                if rest.starts_with('*') {
                    format!("{{*p{count}}}")
                } else {
                    format!("{{p{count}}}")
                }
            }
            None => segment.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("/")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use utoipa::openapi::{RefOr, path::ParameterIn};

    use super::*;
    use crate::openapi::operations;

    #[test]
    fn every_keystone_route_has_a_state() {
        assert_eq!(route_status().len(), KEYSTONE_ROUTES.lines().count());
    }

    #[test]
    fn every_route_of_the_router_is_in_the_document() {
        let (router, document) = documented().split_for_parts();
        // The router tells its paths nowhere else.
        let router = format!("{router:?}");
        let routed: BTreeSet<_> = router
            .split('"')
            .filter(|text| text.starts_with('/') && !text.contains("fallback"))
            .collect();
        let documented: BTreeSet<_> = document.paths.paths.keys().map(String::as_str).collect();
        assert_eq!(routed, documented);
    }

    #[test]
    fn every_answer_has_a_schema_or_says_that_there_is_no_body() {
        for (path, item) in &mut document().paths.paths {
            for (method, operation) in operations(item) {
                let responses = &operation.responses.responses;
                assert!(
                    responses.keys().any(|status| status != "5XX"),
                    "{method} {path}"
                );
                for (status, response) in responses {
                    let RefOr::T(response) = response else {
                        continue;
                    };
                    let mut contents = response.content.values();
                    let is_empty = status == "204" || response.description.ends_with("no body.");
                    assert!(contents.all(|content| content.schema.is_some()));
                    assert_ne!(
                        response.content.is_empty(),
                        !is_empty,
                        "{method} {path} {status}"
                    );
                }
            }
        }
    }

    #[test]
    fn every_parameter_of_a_path_is_documented() {
        for (path, item) in &mut document().paths.paths {
            let in_path: BTreeSet<_> = path
                .split('/')
                .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
                .collect();
            for (method, operation) in operations(item) {
                let documented: BTreeSet<_> = operation
                    .parameters
                    .iter()
                    .flatten()
                    .filter(|parameter| parameter.parameter_in == ParameterIn::Path)
                    .map(|parameter| parameter.name.as_str())
                    .collect();
                assert_eq!(in_path, documented, "{method} {path}");
            }
        }
    }

    #[test]
    fn no_name_stands_for_two_schemas() {
        let mut known = BTreeMap::new();
        for (family, routes) in families() {
            let components = routes.into_openapi().components.unwrap_or_default();
            for (name, schema) in components.schemas {
                let (first, described) = known
                    .entry(name.clone())
                    .or_insert((family, schema.clone()));
                assert!(*described == schema, "{name} of {first} and of {family}");
            }
        }
    }

    #[test]
    fn the_login_route_is_served() {
        assert!(route_status().iter().any(|route| route.method == "POST"
            && route.path == "/v3/auth/tokens"
            && route.state == RouteState::Served));
    }
}
