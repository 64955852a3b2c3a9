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
    oauth2, policies, project_tags, projects, retired, revocations, roles, saml, service_providers,
    trusts, users, versions,
};

/// Every route of Keystone 30, as `METHOD<TAB>PATH` lines.
const KEYSTONE_ROUTES: &str = include_str!("keystone_routes.tsv");

#[derive(OpenApi)]
#[openapi(info(
    title = "Archstone",
    description = "An OpenStack Identity v3 endpoint, extensible with WebAssembly plugins."
))]
struct ApiDoc;

/// All served routes with their documentation.
pub(crate) fn documented() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(ApiDoc::openapi())
        .merge(versions::routes())
        .merge(health::routes())
        .merge(retired::unversioned_routes())
        .nest(
            "/v3",
            OpenApiRouter::new()
                .merge(auth::routes())
                .merge(users::routes())
                .merge(domains::routes())
                .merge(domain_configs::routes())
                .merge(projects::routes())
                .merge(project_tags::routes())
                .merge(groups::routes())
                .merge(roles::routes())
                .merge(assignments::routes())
                .merge(catalog::routes())
                .merge(credentials::routes())
                .merge(ec2_credentials::routes())
                .merge(ec2_tokens::routes())
                .merge(oauth1::routes())
                .merge(oauth1_grants::routes())
                .merge(oauth2::routes())
                .merge(application_credentials::routes())
                .merge(limits::routes())
                .merge(policies::routes())
                .merge(endpoint_filters::routes())
                .merge(identity_providers::routes())
                .merge(mappings::routes())
                .merge(service_providers::routes())
                .merge(federated_login::routes())
                .merge(saml::routes())
                .merge(trusts::routes())
                .merge(revocations::routes())
                .merge(malformed_urls::routes())
                .merge(retired::routes()),
        )
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
    use super::*;

    #[test]
    fn every_keystone_route_has_a_state() {
        assert_eq!(route_status().len(), KEYSTONE_ROUTES.lines().count());
    }

    #[test]
    fn the_login_route_is_served() {
        assert!(route_status().iter().any(|route| route.method == "POST"
            && route.path == "/v3/auth/tokens"
            && route.state == RouteState::Served));
    }
}
