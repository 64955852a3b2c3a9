//! What an identity provider says of somebody.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Attributes by name. Values that are several are joined by semicolons.
///
/// Attributes that came in HTTP headers have two names: the one that a CGI environment gives them
/// (`HTTP_X_SHIB_MAIL`), and the one without the operator's prefix (`MAIL`), for which case and
/// the difference between `-` and `_` do not count, since headers keep neither.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assertion {
    environment: BTreeMap<String, String>,
    short: BTreeMap<String, String>,
}

impl Assertion {
    /// Adds what a header said whose name, after the prefix, is `short`.
    pub fn add_header(&mut self, header: &str, short: &str, value: String) {
        let name = format!("HTTP_{}", plain(header));
        self.environment.insert(name, value.clone());
        self.short.insert(plain(short), value);
    }

    /// What a connector says of somebody. A claim has its own name, and those that mod_auth_oidc
    /// gives it (`OIDC-email`, `HTTP_OIDC_EMAIL`), so that mappings written for that go on working.
    /// Lists of text are several values, of which those with a semicolon cannot be told and are left
    /// out; what is neither text, number nor truth is JSON.
    pub fn from_claims(subject: &str, claims: &Map<String, Value>) -> Self {
        let mut assertion = Self::default();
        let others = claims.iter().filter(|(name, _)| *name != "sub");
        let subject = ("sub".to_owned(), Value::from(subject));
        let others = others.map(|(name, value)| (name.clone(), value.clone()));
        for (name, value) in [subject].into_iter().chain(others) {
            let Some(value) = as_text(&value) else {
                continue;
            };
            let environment = format!("HTTP_OIDC_{}", plain(&name));
            for alias in [format!("OIDC-{name}"), environment, name] {
                assertion.environment.insert(alias, value.clone());
            }
        }
        assertion
    }

    pub fn is_empty(&self) -> bool {
        self.environment.is_empty() && self.short.is_empty()
    }

    /// Every attribute by the names that it has.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.environment.iter().chain(&self.short);
        all.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.environment
            .get(name)
            .or_else(|| self.short.get(&plain(name)))
            .map(String::as_str)
    }

    /// Only the attributes whose environment name begins with `prefix`.
    #[must_use]
    pub fn beginning_with(mut self, prefix: &str) -> Self {
        self.environment.retain(|name, _| name.starts_with(prefix));
        self.short.retain(|name, _| name.starts_with(prefix));
        self
    }
}

impl FromIterator<(String, String)> for Assertion {
    /// Attributes by the names that they have in the environment.
    fn from_iter<T: IntoIterator<Item = (String, String)>>(attributes: T) -> Self {
        Self {
            environment: attributes.into_iter().collect(),
            short: BTreeMap::new(),
        }
    }
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            // One with a semicolon in it would be taken for several: a group of a name that somebody
            // chose, for membership of another.
            let items = items.iter().filter_map(Value::as_str);
            let items: Vec<_> = items.filter(|item| !item.contains(';')).collect();
            Some(items.join(";"))
        }
        Value::Array(_) | Value::Object(_) => Some(value.to_string()),
    }
}

fn plain(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_the_name_of_the_environment_and_a_short_one() {
        let mut assertion = Assertion::default();
        assertion.add_header("x-idp-mellon_name_id", "mellon_name_id", "ada".to_owned());
        assert_eq!(assertion.get("HTTP_X_IDP_MELLON_NAME_ID"), Some("ada"));
        assert_eq!(assertion.get("MELLON_NAME_ID"), Some("ada"));
        assert_eq!(assertion.get("Mellon-Name-Id"), Some("ada"));
        assert_eq!(assertion.get("http_x_idp_mellon_name_id"), None);
    }

    #[test]
    fn a_claim_has_the_names_that_mod_auth_oidc_gives_it() {
        let claims = serde_json::json!({
            "email": "ada@example", "groups": ["a", "b"], "verified": true, "sub": "forged",
            "address": {"city": "London"},
        });
        let assertion = Assertion::from_claims("ada", claims.as_object().unwrap());
        for name in ["email", "OIDC-email", "HTTP_OIDC_EMAIL"] {
            assert_eq!(assertion.get(name), Some("ada@example"), "{name}");
        }
        assert_eq!(assertion.get("sub"), Some("ada"));
        assert_eq!(assertion.get("OIDC-sub"), Some("ada"));
        assert_eq!(assertion.get("groups"), Some("a;b"));
        assert_eq!(assertion.get("verified"), Some("true"));
        assert_eq!(assertion.get("address"), Some(r#"{"city":"London"}"#));
    }

    #[test]
    fn a_value_of_a_list_never_becomes_two() {
        let claims = serde_json::json!({"groups": ["readers", "x;admins", ";", "writers"]});
        let assertion = Assertion::from_claims("ada", claims.as_object().unwrap());
        assert_eq!(assertion.get("groups"), Some("readers;writers"));
    }

    #[test]
    fn attributes_outside_the_prefix_are_not_seen() {
        let attributes = [("OIDC_SUB", "ada"), ("PATH", "/bin")];
        let assertion: Assertion = attributes
            .map(|(n, v)| (n.into(), v.into()))
            .into_iter()
            .collect();
        let assertion = assertion.beginning_with("OIDC_");
        assert_eq!(assertion.get("OIDC_SUB"), Some("ada"));
        assert_eq!(assertion.get("PATH"), None);
    }
}
