//! Routes of logins: an operator's rules by which a login that names one method is another one's, told
//! by the shape of what it sends. For clients that know only Keystone's own methods.
//!
//! A route proves nothing. It says which members of what was sent go where; who gets them verifies
//! them as if they had been sent there.

use std::collections::BTreeMap;

use regex::Regex;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value};

use crate::id::ConnectorId;

/// An operator's routes. The first that fits is taken.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct LoginRoutes(Vec<LoginRoute>);

/// One rule.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginRoute {
    /// The method that the client names.
    from: String,
    /// What has to fit: a member of what was sent, by its path (`user.name`), and a regular
    /// expression for the whole of it.
    when: BTreeMap<String, Pattern>,
    to: Destination,
}

/// Who gets what was sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Destination {
    Method {
        method: String,
        /// What it is sent: each member, by its path, and where it is taken from.
        payload: BTreeMap<String, String>,
    },
    Connector {
        connector: String,
        /// The member that is the token.
        token: String,
    },
}

/// A login that a route leads elsewhere.
#[derive(Debug, Clone)]
pub enum Routed {
    Method {
        method: String,
        payload: Map<String, Value>,
    },
    Connector {
        connector: ConnectorId,
        token: crate::secret::Secret,
    },
}

#[derive(Debug, Clone)]
struct Pattern(Regex);

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let whole = Regex::new(&format!("^(?:{text})$"));
        whole.map(Self).map_err(D::Error::custom)
    }
}

impl LoginRoutes {
    /// Reads routes from YAML: a list.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn read(text: &str) -> Result<Self, String> {
        let routes: Option<Self> =
            serde_yaml_ng::from_str(text).map_err(|error| error.to_string())?;
        let routes = routes.unwrap_or_default();
        match routes.0.iter().find(|route| route.when.is_empty()) {
            None => Ok(routes),
            Some(route) => Err(format!(
                "a route from `{}` has no `when`, and would take every login by that method",
                route.from
            )),
        }
    }

    /// Where a login by this method goes, if a route takes it.
    pub fn route(&self, method: &str, payload: &Value) -> Option<Routed> {
        let mut fitting = self.0.iter().filter(|route| route.from == method);
        let route = fitting.find(|route| route.fits(payload))?;
        Some(match &route.to {
            Destination::Connector { connector, token } => Routed::Connector {
                connector: connector.as_str().into(),
                token: member(payload, token)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .into(),
            },
            Destination::Method {
                method,
                payload: wanted,
            } => {
                let mut sent = Map::new();
                for (path, from) in wanted {
                    if let Some(value) = member(payload, from) {
                        put(&mut sent, path, value.clone());
                    }
                }
                Routed::Method {
                    method: method.clone(),
                    payload: sent,
                }
            }
        })
    }
}

impl LoginRoute {
    fn fits(&self, payload: &Value) -> bool {
        self.when.iter().all(|(path, pattern)| {
            let text = member(payload, path).and_then(Value::as_str);
            text.is_some_and(|text| pattern.0.is_match(text))
        })
    }
}

fn member<'a>(payload: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.')
        .try_fold(payload, |value, name| value.get(name))
}

fn put(object: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            object.insert(path.to_owned(), value);
        }
        Some((name, rest)) => {
            let inner = object
                .entry(name)
                .or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ROUTES: &str = r#"
- from: application_credential
  when: {id: "ci:[a-z]+"}
  to: {connector: abc, token: secret}
- from: password
  when: {user.name: ".*@vault", user.domain.id: default}
  to: {method: vault, payload: {user.name: user.name, ticket: user.password}}
"#;

    #[test]
    fn a_login_goes_where_its_shape_leads() {
        let routes = LoginRoutes::read(ROUTES).unwrap();
        let sent = json!({"id": "ci:acme", "secret": "jwt"});
        let routed = routes.route("application_credential", &sent);
        assert!(matches!(
            routed,
            Some(Routed::Connector { connector, token })
                if connector == "abc" && token.expose() == "jwt"
        ));
        let sent =
            json!({"user": {"name": "ada@vault", "domain": {"id": "default"}, "password": "p"}});
        match routes.route("password", &sent) {
            Some(Routed::Method { method, payload }) => {
                assert_eq!(method, "vault");
                let handed_over = json!({"user": {"name": "ada@vault"}, "ticket": "p"});
                assert_eq!(Value::Object(payload), handed_over);
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_pattern_is_for_the_whole_of_a_member() {
        let routes = LoginRoutes::read(ROUTES).unwrap();
        for id in ["ci:acme:x", "xci:acme", "0123", "ci:"] {
            let sent = json!({"id": id, "secret": "jwt"});
            assert!(
                routes.route("application_credential", &sent).is_none(),
                "{id}"
            );
            assert!(routes.route("password", &sent).is_none());
        }
        assert!(
            routes
                .route("application_credential", &json!({"id": 1}))
                .is_none()
        );
    }

    #[test]
    fn a_route_that_would_take_everything_is_refused() {
        for wrong in [
            "- {from: password, when: {}, to: {connector: a, token: b}}",
            "- {from: password, to: {connector: a, token: b}}",
            "- {from: password, when: {id: '('}, to: {connector: a, token: b}}",
            "- {from: password, when: {id: a}, to: {connector: a}}",
            "- {from: password, when: {id: a}, to: {connector: a, token: b}, more: 1}",
        ] {
            assert!(LoginRoutes::read(wrong).is_err(), "{wrong}");
        }
        assert!(LoginRoutes::read("").is_ok());
    }
}
