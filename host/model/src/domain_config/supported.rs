//! Which options a domain may have for itself, and whether a configuration that a client sends holds
//! those and no others.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{ConfigOption, ConfigPart, ConfigValue, SERVER_OPTIONS, ServerOption};

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidConfig {
    #[error("No options specified")]
    Empty,
    #[error("The configuration must be an object of groups")]
    NotAnObject,
    #[error("The value of group {group} must be an object with at least one option")]
    NotAGroup { group: String },
    #[error("Group {group} is not supported for domain specific configurations")]
    UnsupportedGroup { group: String },
    #[error("Option {option} in group {group} is not supported for domain specific configurations")]
    UnsupportedOption { group: String, option: String },
    #[error("To update group {group}, the configuration must hold that group and no other")]
    OtherGroup { group: String },
    #[error(
        "To update option {option} in group {group}, the configuration must hold that option and \
         no other"
    )]
    OtherOption { group: String, option: String },
    #[error("Reading the default of option {option} in group {group} is not supported")]
    NoDefault { group: String, option: String },
    #[error(
        "Security compliance can be read for the default domain only, and not for any other \
         domain"
    )]
    ComplianceOfOtherDomain,
    #[error(
        "Of security compliance, only password_regex and password_regex_description can be read"
    )]
    UnreadableCompliance,
}

/// The options that a domain may have for itself.
#[derive(Debug, Clone)]
pub struct SupportedOptions {
    readable: BTreeMap<String, Vec<String>>,
    sensitive: BTreeMap<String, Vec<String>>,
}

impl Default for SupportedOptions {
    fn default() -> Self {
        let readable = |group: &str, options: &[ServerOption]| {
            let names = options.iter().map(|option| option.name.to_owned());
            (group.to_owned(), names.collect())
        };
        Self {
            readable: SERVER_OPTIONS
                .iter()
                .map(|(group, options)| readable(group, options))
                .collect(),
            sensitive: BTreeMap::from([("ldap".to_owned(), vec!["password".to_owned()])]),
        }
    }
}

impl SupportedOptions {
    /// Adds what an operator allows besides. A group that is known already gets these options in
    /// place of its own.
    #[must_use]
    pub fn with_additional(
        mut self,
        readable: BTreeMap<String, Vec<String>>,
        sensitive: BTreeMap<String, Vec<String>>,
    ) -> Self {
        self.readable.extend(readable);
        self.sensitive.extend(sensitive);
        self
    }

    /// The readable options, by group.
    pub fn readable(&self) -> impl Iterator<Item = (&str, &str)> {
        let options = self.readable.iter().flat_map(|(group, options)| {
            options
                .iter()
                .map(move |option| (group.as_str(), option.as_str()))
        });
        options.filter(move |(group, option)| self.is_readable(group, option))
    }

    /// What is sensitive is not readable, whatever else an operator says of it.
    fn is_readable(&self, group: &str, option: &str) -> bool {
        has(&self.readable, group, option) && !has(&self.sensitive, group, option)
    }

    /// # Errors
    /// Where the group or the option is none of those that a domain may have.
    pub fn check(&self, part: &ConfigPart) -> Result<(), InvalidConfig> {
        let Some(group) = part.group() else {
            return Ok(());
        };
        if !self.readable.contains_key(group) && !self.sensitive.contains_key(group) {
            return Err(InvalidConfig::UnsupportedGroup {
                group: group.to_owned(),
            });
        }
        let Some(option) = part.option() else {
            return Ok(());
        };
        if has(&self.readable, group, option) || has(&self.sensitive, group, option) {
            Ok(())
        } else {
            Err(InvalidConfig::UnsupportedOption {
                group: group.to_owned(),
                option: option.to_owned(),
            })
        }
    }

    /// # Errors
    /// Where `part` is not supported, or has no default that may be read.
    pub fn check_default(&self, part: &ConfigPart) -> Result<(), InvalidConfig> {
        self.check(part)?;
        match part {
            ConfigPart::Option { group, option } if !self.is_readable(group, option) => {
                Err(InvalidConfig::NoDefault {
                    group: group.clone(),
                    option: option.clone(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Reads a whole configuration that a client sends.
    ///
    /// # Errors
    /// Where it is empty, has another form or holds what is not supported.
    pub fn read(&self, config: &Value) -> Result<Vec<ConfigOption>, InvalidConfig> {
        let groups = match config {
            Value::Object(groups) if !groups.is_empty() => groups,
            Value::String(text) if !text.is_empty() => return Err(InvalidConfig::NotAnObject),
            Value::Array(items) if !items.is_empty() => return Err(InvalidConfig::NotAnObject),
            Value::Bool(true) | Value::Number(_) => return Err(InvalidConfig::NotAnObject),
            _ => return Err(InvalidConfig::Empty),
        };
        let mut read = Vec::new();
        for (group, options) in groups {
            let options = options
                .as_object()
                .filter(|options| !options.is_empty())
                .ok_or_else(|| InvalidConfig::NotAGroup {
                    group: group.clone(),
                })?;
            for (option, value) in options {
                let part = ConfigPart::Option {
                    group: group.clone(),
                    option: option.clone(),
                };
                self.check(&part)?;
                read.push(ConfigOption {
                    group: group.clone(),
                    option: option.clone(),
                    value: if has(&self.sensitive, group, option) {
                        ConfigValue::Sensitive(value.to_string().into())
                    } else {
                        ConfigValue::Readable(value.clone())
                    },
                });
            }
        }
        Ok(read)
    }

    /// Reads a change of a part. That of one option comes without its group.
    ///
    /// # Errors
    /// As [`SupportedOptions::read`], and where it holds more or other than that part.
    pub fn read_change(
        &self,
        part: &ConfigPart,
        change: Value,
    ) -> Result<Vec<ConfigOption>, InvalidConfig> {
        let change = match part {
            ConfigPart::Option { group, .. } => {
                Value::Object(Map::from_iter([(group.clone(), change)]))
            }
            ConfigPart::All | ConfigPart::Group(_) => change,
        };
        let options = self.read(&change)?;
        self.check(part)?;
        match part {
            ConfigPart::Group(group) if options.iter().any(|option| option.group != *group) => {
                Err(InvalidConfig::OtherGroup {
                    group: group.clone(),
                })
            }
            ConfigPart::Option { group, option }
                if options.iter().any(|given| given.option != *option) =>
            {
                Err(InvalidConfig::OtherOption {
                    group: group.clone(),
                    option: option.clone(),
                })
            }
            _ => Ok(options),
        }
    }
}

fn has(groups: &BTreeMap<String, Vec<String>>, group: &str, option: &str) -> bool {
    groups
        .get(group)
        .is_some_and(|options| options.iter().any(|known| known == option))
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
    fn a_password_is_told_apart_and_does_not_print() {
        let config = json!({ "ldap": { "url": "ldap://x", "password": "hunter2" } });
        let read = SupportedOptions::default().read(&config).unwrap();
        assert!(matches!(&read[0].value, ConfigValue::Readable(url) if url == "ldap://x"));
        assert!(
            matches!(&read[1].value, ConfigValue::Sensitive(text) if text.expose() == "\"hunter2\"")
        );
        assert!(!format!("{read:?}").contains("hunter2"));
    }

    #[test]
    fn what_is_no_object_is_told_from_what_is_nothing() {
        let read = |config| SupportedOptions::default().read(&config).unwrap_err();
        for nothing in [json!(null), json!({}), json!([]), json!("")] {
            assert_eq!(read(nothing), InvalidConfig::Empty);
        }
        for other in [json!("x"), json!(5), json!(true), json!(["ldap"])] {
            assert_eq!(read(other), InvalidConfig::NotAnObject);
        }
        for group in [json!({ "ldap": {} }), json!({ "ldap": "url" })] {
            assert!(matches!(read(group), InvalidConfig::NotAGroup { .. }));
        }
    }

    #[test]
    fn a_change_of_a_part_holds_that_part_only() {
        let supported = SupportedOptions::default();
        let group = ConfigPart::Group("ldap".into());
        let both = json!({ "ldap": { "url": "x" }, "identity": { "driver": "ldap" } });
        assert!(
            supported
                .read_change(&ConfigPart::All, both.clone())
                .is_ok()
        );
        assert_eq!(
            supported.read_change(&group, both).unwrap_err(),
            InvalidConfig::OtherGroup {
                group: "ldap".into()
            }
        );
        let url = option("ldap", "url");
        assert!(supported.read_change(&url, json!({ "url": "x" })).is_ok());
        for other in [json!({ "user": "x" }), json!({ "url": "x", "user": "x" })] {
            assert!(matches!(
                supported.read_change(&url, other),
                Err(InvalidConfig::OtherOption { .. })
            ));
        }
    }

    #[test]
    fn an_operator_can_allow_more_options() {
        let groups = |group: &str, option: &str| {
            BTreeMap::from([(group.to_owned(), vec![option.to_owned()])])
        };
        let supported = SupportedOptions::default()
            .with_additional(groups("acme", "url"), groups("acme", "token"));
        assert!(supported.check(&option("acme", "url")).is_ok());
        assert!(supported.check(&option("ldap", "url")).is_ok());
        assert!(supported.check_default(&option("acme", "token")).is_err());
        let read = supported.read(&json!({ "acme": { "token": 5 } })).unwrap();
        assert!(matches!(read[0].value, ConfigValue::Sensitive(_)));
    }

    #[test]
    fn what_is_sensitive_stays_so_whatever_else_is_said_of_it() {
        let password = BTreeMap::from([("ldap".to_owned(), vec!["password".to_owned()])]);
        let supported = SupportedOptions::default().with_additional(password, BTreeMap::new());
        assert!(supported.readable().all(|(_, option)| option != "password"));
        assert!(
            supported
                .check_default(&option("ldap", "password"))
                .is_err()
        );
    }
}
