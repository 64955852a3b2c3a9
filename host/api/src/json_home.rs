//! The JSON Home document: where each resource of the API lives, by the URI of its relation.

use std::collections::HashMap;

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

const MEDIA_TYPE: &str = "application/json-home";

/// Resources by the URI of their relation.
#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
pub(crate) struct JsonHome {
    resources: HashMap<String, Value>,
}

/// What relations and parameters are named under.
const RELATIONS: &str = "https://docs.openstack.org/api/openstack-identity/3/";

/// `RELATION<TAB>PATH` lines, with a third field where the resource is not stable.
const RESOURCES: &str = include_str!("json_home.tsv");

/// Whether a client would rather have this document than plain JSON.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .unwrap_or_default();
    let home = preference(accept, MEDIA_TYPE);
    home.0 > 0.0 && home > preference(accept, "application/json")
}

/// The document, with paths that begin with `prefix`.
pub(crate) fn document(prefix: &str) -> Response {
    let resources: Map<String, Value> = RESOURCES
        .lines()
        .filter_map(|line| resource(line, prefix))
        .collect();
    let mut response = Json(json!({ "resources": resources })).into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    response
}

fn resource(line: &str, prefix: &str) -> Option<(String, Value)> {
    let mut fields = line.split('\t');
    let (relation, path) = (fields.next()?, fields.next()?);
    let parameters: Map<String, Value> = path
        .split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| (name.to_owned(), parameter(name).into()))
        .collect();
    let mut resource = if parameters.is_empty() {
        json!({ "href": format!("{prefix}{path}") })
    } else {
        json!({ "href-template": format!("{prefix}{path}"), "href-vars": parameters })
    };
    if let Some(status) = fields.next() {
        resource["hints"] = json!({ "status": status });
    }
    Some((format!("{RELATIONS}{relation}"), resource))
}

/// The URI that says what a path's parameter is.
fn parameter(name: &str) -> String {
    let extension = match name {
        "idp_id" | "protocol_id" | "mapping_id" | "service_provider_id" => "ext/OS-FEDERATION/1.0/",
        "endpoint_group_id" => "ext/OS-EP-FILTER/1.0/",
        "consumer_id" | "request_token_id" | "access_token_id" => "ext/OS-OAUTH1/1.0/",
        "trust_id" => "ext/OS-TRUST/1.0/",
        _ => "",
    };
    let name = match name {
        "group" => "config_group",
        "option" => "config_option",
        "value" => "tag_value",
        "prior_role_id" | "implied_role_id" => "role_id",
        name => name,
    };
    format!("{RELATIONS}{extension}param/{name}")
}

/// How much an `Accept` header wants a media type: its quality there, then how closely it is named.
fn preference(accept: &str, media_type: &str) -> (f32, u8) {
    let mut preference = (0.0, 0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let closeness = match parts.next().unwrap_or_default() {
            named if named.eq_ignore_ascii_case(media_type) => 3,
            "application/*" => 2,
            "*/*" => 1,
            _ => continue,
        };
        let quality = parts
            .find_map(|parameter| parameter.strip_prefix("q="))
            .map_or(Some(1.0), |quality| quality.parse().ok())
            .unwrap_or(0.0);
        if closeness > preference.1 {
            preference = (quality, closeness);
        }
    }
    preference
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(accept: &'static str) -> bool {
        let accept = HeaderValue::from_static(accept);
        is_wanted(&HeaderMap::from_iter([(header::ACCEPT, accept)]))
    }

    #[test]
    fn the_document_is_for_who_asks_for_it() {
        assert!(wanted("application/json-home"));
        assert!(wanted("application/json-home, */*"));
        assert!(wanted("application/json;q=0.5, application/json-home"));
        assert!(!wanted("application/json, application/json-home"));
        assert!(!wanted("application/json-home;q=0"));
        assert!(!wanted("*/*"));
        assert!(!is_wanted(&HeaderMap::new()));
    }

    #[test]
    fn a_path_with_parameters_is_a_template_that_explains_them() {
        let line = "ext/OS-TRUST/1.0/rel/trust\t/OS-TRUST/trusts/{trust_id}";
        let (relation, resource) = resource(line, "/v3").unwrap();
        assert_eq!(
            relation,
            "https://docs.openstack.org/api/openstack-identity/3/ext/OS-TRUST/1.0/rel/trust"
        );
        assert_eq!(
            resource,
            json!({
                "href-template": "/v3/OS-TRUST/trusts/{trust_id}",
                "href-vars": {
                    "trust_id": "https://docs.openstack.org/api/openstack-identity/3/ext/OS-TRUST/1.0/param/trust_id",
                },
            })
        );
    }
}
