//! Domain configuration: options of `[identity]` and `[ldap]` that a domain has for itself, which
//! of them may be set, and which are secrets.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

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

/// An option of the server's own configuration that a domain may have another value of.
#[derive(Debug, Clone, Copy)]
pub struct ServerOption {
    pub name: &'static str,
    pub kind: OptionKind,
}

/// The type of an option, with its default.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum OptionKind {
    Text(Option<&'static str>),
    Choice(&'static [&'static str], &'static str),
    Integer { default: Option<i64>, least: i64 },
    Real(f64),
    Bool(Option<bool>),
    List(&'static [&'static str]),
}

const fn text(name: &'static str) -> ServerOption {
    let kind = OptionKind::Text(None);
    ServerOption { name, kind }
}

const fn text_or(name: &'static str, default: &'static str) -> ServerOption {
    let kind = OptionKind::Text(Some(default));
    ServerOption { name, kind }
}

const fn integer(name: &'static str, default: i64, least: i64) -> ServerOption {
    let kind = OptionKind::Integer {
        default: Some(default),
        least,
    };
    ServerOption { name, kind }
}

const fn switch(name: &'static str, default: bool) -> ServerOption {
    let kind = OptionKind::Bool(Some(default));
    ServerOption { name, kind }
}

const fn list(name: &'static str, default: &'static [&'static str]) -> ServerOption {
    let kind = OptionKind::List(default);
    ServerOption { name, kind }
}

/// The readable options of each group, with Keystone's types and defaults.
pub static SERVER_OPTIONS: [(&str, &[ServerOption]); 2] = [
    (
        "identity",
        &[
            text_or("driver", "sql"),
            ServerOption {
                name: "list_limit",
                kind: OptionKind::Integer {
                    default: None,
                    least: i64::MIN,
                },
            },
        ],
    ),
    (
        "ldap",
        &[
            text_or("url", "ldap://localhost"),
            text("user"),
            text_or("suffix", "cn=example,cn=com"),
            ServerOption {
                name: "query_scope",
                kind: OptionKind::Choice(&["one", "sub"], "one"),
            },
            integer("page_size", 0, 0),
            ServerOption {
                name: "alias_dereferencing",
                kind: OptionKind::Choice(
                    &["never", "searching", "always", "finding", "default"],
                    "default",
                ),
            },
            ServerOption {
                name: "debug_level",
                kind: OptionKind::Integer {
                    default: None,
                    least: -1,
                },
            },
            ServerOption {
                name: "chase_referrals",
                kind: OptionKind::Bool(None),
            },
            text("user_tree_dn"),
            text("user_filter"),
            text_or("user_objectclass", "inetOrgPerson"),
            text_or("user_id_attribute", "cn"),
            text_or("user_name_attribute", "sn"),
            text_or("user_mail_attribute", "mail"),
            text_or("user_description_attribute", "description"),
            text_or("user_pass_attribute", "userPassword"),
            text_or("user_enabled_attribute", "enabled"),
            switch("user_enabled_invert", false),
            integer("user_enabled_mask", 0, 0),
            text_or("user_enabled_default", "True"),
            list("user_attribute_ignore", &["default_project_id"]),
            text("user_default_project_id_attribute"),
            switch("user_enabled_emulation", false),
            text("user_enabled_emulation_dn"),
            switch("user_enabled_emulation_use_group_config", false),
            list("user_additional_attribute_mapping", &[]),
            text("group_tree_dn"),
            text("group_filter"),
            text_or("group_objectclass", "groupOfNames"),
            text_or("group_id_attribute", "cn"),
            text_or("group_name_attribute", "ou"),
            switch("group_members_are_ids", false),
            text_or("group_member_attribute", "member"),
            text_or("group_desc_attribute", "description"),
            list("group_attribute_ignore", &[]),
            list("group_additional_attribute_mapping", &[]),
            text("tls_cacertfile"),
            text("tls_cacertdir"),
            switch("use_tls", false),
            ServerOption {
                name: "tls_req_cert",
                kind: OptionKind::Choice(&["demand", "never", "allow"], "demand"),
            },
            switch("use_pool", true),
            integer("pool_size", 10, 1),
            integer("pool_retry_max", 3, 1),
            ServerOption {
                name: "pool_retry_delay",
                kind: OptionKind::Real(0.1),
            },
            integer("pool_connection_timeout", -1, -1),
            integer("pool_connection_lifetime", 600, 1),
            switch("use_auth_pool", true),
            integer("auth_pool_size", 100, 1),
            integer("auth_pool_connection_lifetime", 60, 1),
        ],
    ),
];

/// A server option's default as JSON.
impl From<OptionKind> for Value {
    fn from(kind: OptionKind) -> Self {
        match kind {
            OptionKind::Text(default) => default.into(),
            OptionKind::Choice(_, default) => default.into(),
            OptionKind::Integer { default, .. } => default.into(),
            OptionKind::Real(default) => default.into(),
            OptionKind::Bool(default) => default.into(),
            OptionKind::List(default) => default.into(),
        }
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
