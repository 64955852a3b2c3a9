//! What an identity provider says of somebody.

use std::collections::BTreeMap;

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
