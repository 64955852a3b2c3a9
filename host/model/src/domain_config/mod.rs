//! Domain configuration: options of `[identity]` and `[ldap]` that a domain has for itself, which
//! of them may be set, and which are secrets.

mod complete;
mod server_options;
mod supported;

use serde_json::{Map, Value};

pub use self::{
    complete::CompleteConfig,
    server_options::{OptionKind, SERVER_OPTIONS, ServerOption},
    supported::{InvalidConfig, SupportedOptions},
};

use crate::secret::Secret;

/// Which part of a configuration is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigPart {
    All,
    Group(String),
    Option { group: String, option: String },
}

impl ConfigPart {
    pub fn group(&self) -> Option<&str> {
        match self {
            Self::All => None,
            Self::Group(group) | Self::Option { group, .. } => Some(group),
        }
    }

    pub fn option(&self) -> Option<&str> {
        match self {
            Self::Option { option, .. } => Some(option),
            Self::All | Self::Group(_) => None,
        }
    }
}

/// An option of a domain's, as it is to be stored.
#[derive(Debug, Clone)]
pub struct ConfigOption {
    pub group: String,
    pub option: String,
    pub value: ConfigValue,
}

/// A value, which goes to one table or the other.
#[derive(Debug, Clone)]
pub enum ConfigValue {
    Readable(Value),
    /// A JSON text that is never given back.
    Sensitive(Secret),
}

/// Options that clients may read, by group.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConfigOptions(Map<String, Value>);

impl ConfigOptions {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn insert(&mut self, group: &str, option: &str, value: Value) {
        let options = self
            .0
            .entry(group)
            .or_insert_with(|| Value::Object(Map::new()));
        if let Some(options) = options.as_object_mut() {
            options.insert(option.to_owned(), value);
        }
    }

    /// A part as a client sees it: an option comes without its group. `None` where nothing is set.
    pub fn part(mut self, part: &ConfigPart) -> Option<Value> {
        let Some(group) = part.group() else {
            return (!self.0.is_empty()).then_some(Value::Object(self.0));
        };
        let (group, mut options) = self.0.shift_remove_entry(group)?;
        let Some(option) = part.option() else {
            return Some(Value::Object(Map::from_iter([(group, options)])));
        };
        let (option, value) = options.as_object_mut()?.shift_remove_entry(option)?;
        Some(Value::Object(Map::from_iter([(option, value)])))
    }

    /// All of it as a client sees it.
    pub fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn option(group: &str, option: &str) -> ConfigPart {
        ConfigPart::Option {
            group: group.into(),
            option: option.into(),
        }
    }

    #[test]
    fn an_option_is_shown_without_its_group() {
        let mut options = ConfigOptions::default();
        options.insert("ldap", "url", json!("x"));
        options.insert("ldap", "user", json!("y"));
        let part = |part| options.clone().part(&part);
        assert_eq!(part(option("ldap", "url")), Some(json!({ "url": "x" })));
        let ldap = json!({ "ldap": { "url": "x", "user": "y" } });
        assert_eq!(part(ConfigPart::Group("ldap".into())), Some(ldap.clone()));
        assert_eq!(part(ConfigPart::All), Some(ldap));
        assert_eq!(part(option("ldap", "suffix")), None);
    }
}
