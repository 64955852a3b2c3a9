//! The configuration: the options of Keystone's `[ldap]` section, by the same names and with the
//! same defaults.

use ldap3_proto::proto::{LdapDerefAliases, LdapFilter, LdapSearchScope};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::filter;

#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Config {
    pub url: String,
    pub randomize_urls: bool,
    pub user: Option<String>,
    pub suffix: String,
    pub query_scope: Scope,
    pub page_size: u32,
    pub alias_dereferencing: Aliases,
    pub use_tls: bool,
    pub user_tree_dn: Option<String>,
    pub user_filter: Option<String>,
    pub user_objectclass: String,
    pub user_id_attribute: String,
    pub user_name_attribute: String,
    pub user_description_attribute: Option<String>,
    pub user_mail_attribute: Option<String>,
    pub user_enabled_attribute: Option<String>,
    pub user_enabled_invert: bool,
    pub user_enabled_mask: i64,
    pub user_enabled_default: String,
    pub user_attribute_ignore: Vec<String>,
    pub user_default_project_id_attribute: Option<String>,
    pub user_enabled_emulation: bool,
    pub user_enabled_emulation_dn: Option<String>,
    pub user_enabled_emulation_use_group_config: bool,
    pub user_additional_attribute_mapping: Vec<String>,
    pub group_tree_dn: Option<String>,
    pub group_filter: Option<String>,
    pub group_objectclass: String,
    pub group_id_attribute: String,
    pub group_name_attribute: String,
    pub group_member_attribute: String,
    pub group_members_are_ids: bool,
    pub group_desc_attribute: Option<String>,
    pub group_attribute_ignore: Vec<String>,
    pub group_additional_attribute_mapping: Vec<String>,
    pub group_ad_nesting: bool,
}

impl Default for Config {
    fn default() -> Self {
        let text = |text: &str| text.to_owned();
        Self {
            url: text("ldap://localhost"),
            randomize_urls: false,
            user: None,
            suffix: text("cn=example,cn=com"),
            query_scope: Scope::One,
            page_size: 0,
            alias_dereferencing: Aliases::Default,
            use_tls: false,
            user_tree_dn: None,
            user_filter: None,
            user_objectclass: text("inetOrgPerson"),
            user_id_attribute: text("cn"),
            user_name_attribute: text("sn"),
            user_description_attribute: Some(text("description")),
            user_mail_attribute: Some(text("mail")),
            user_enabled_attribute: Some(text("enabled")),
            user_enabled_invert: false,
            user_enabled_mask: 0,
            user_enabled_default: text("True"),
            user_attribute_ignore: vec![text("default_project_id")],
            user_default_project_id_attribute: None,
            user_enabled_emulation: false,
            user_enabled_emulation_dn: None,
            user_enabled_emulation_use_group_config: false,
            user_additional_attribute_mapping: Vec::new(),
            group_tree_dn: None,
            group_filter: None,
            group_objectclass: text("groupOfNames"),
            group_id_attribute: text("cn"),
            group_name_attribute: text("ou"),
            group_member_attribute: text("member"),
            group_members_are_ids: false,
            group_desc_attribute: Some(text("description")),
            group_attribute_ignore: Vec::new(),
            group_additional_attribute_mapping: Vec::new(),
            group_ad_nesting: false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    One,
    Sub,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Aliases {
    Default,
    Never,
    Searching,
    Finding,
    Always,
}

/// Where a directory listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub host: String,
    pub port: u16,
    /// TLS from the first byte on.
    pub tls: bool,
}

/// What is wrong with an option, for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    pub option: &'static str,
    pub what: String,
}

/// How entries of one kind are found and read.
#[derive(Debug, Clone)]
pub struct Tree {
    pub base: String,
    pub object_class: String,
    pub id_attribute: String,
    pub name_attribute: String,
    pub filter: Option<LdapFilter>,
    /// What else is shown of an entry: the name it is shown under, and the directory's attribute.
    pub shown: Vec<(String, String)>,
}

impl Config {
    /// # Errors
    /// The first option that cannot work.
    pub fn check(&self) -> Result<(), Wrong> {
        self.servers()?;
        self.users()?;
        self.groups()?;
        let attributes = [
            ("user_id_attribute", Some(&self.user_id_attribute)),
            ("user_name_attribute", Some(&self.user_name_attribute)),
            (
                "user_description_attribute",
                self.user_description_attribute.as_ref(),
            ),
            ("user_mail_attribute", self.user_mail_attribute.as_ref()),
            (
                "user_enabled_attribute",
                self.user_enabled_attribute.as_ref(),
            ),
            (
                "user_default_project_id_attribute",
                self.user_default_project_id_attribute.as_ref(),
            ),
            ("group_id_attribute", Some(&self.group_id_attribute)),
            ("group_name_attribute", Some(&self.group_name_attribute)),
            ("group_member_attribute", Some(&self.group_member_attribute)),
            ("group_desc_attribute", self.group_desc_attribute.as_ref()),
        ];
        for (option, attribute) in attributes {
            if let Some(attribute) = attribute
                && !filter::is_attribute(attribute)
            {
                let what = format!("`{attribute}` is no name of an attribute");
                return Err(Wrong { option, what });
            }
        }
        if self.user_enabled_mask != 0 && self.enabled_default_bits().is_none() {
            return Err(Wrong {
                option: "user_enabled_default",
                what: "with user_enabled_mask, this must be a whole number".to_owned(),
            });
        }
        Ok(())
    }

    /// The servers, in the order in which they are tried.
    ///
    /// # Errors
    /// Where one of the URLs is none of LDAP.
    pub fn servers(&self) -> Result<Vec<Server>, Wrong> {
        let urls = self.url.split([',', ' ', '\t', '\n', '\r']);
        let servers: Result<Vec<_>, _> = urls
            .filter(|url| !url.is_empty())
            .map(|url| {
                server(url).ok_or_else(|| Wrong {
                    option: "url",
                    what: "write ldap://host[:port] or ldaps://host[:port]".to_owned(),
                })
            })
            .collect();
        match servers {
            Ok(servers) if servers.is_empty() => Err(Wrong {
                option: "url",
                what: "no server is named".to_owned(),
            }),
            other => other,
        }
    }

    /// # Errors
    /// Where `user_filter` is no filter.
    pub fn users(&self) -> Result<Tree, Wrong> {
        let shown = [
            ("description", self.user_description_attribute.as_deref()),
            ("email", self.user_mail_attribute.as_deref()),
            (
                "default_project_id",
                self.user_default_project_id_attribute.as_deref(),
            ),
        ];
        Ok(Tree {
            base: below(self.user_tree_dn.as_deref(), "ou=Users", &self.suffix),
            object_class: self.user_objectclass.clone(),
            id_attribute: self.user_id_attribute.clone(),
            name_attribute: self.user_name_attribute.clone(),
            filter: filter_of("user_filter", self.user_filter.as_deref())?,
            shown: shown_as(
                &shown,
                &self.user_attribute_ignore,
                &self.user_additional_attribute_mapping,
            ),
        })
    }

    /// # Errors
    /// Where `group_filter` is no filter.
    pub fn groups(&self) -> Result<Tree, Wrong> {
        let shown = [("description", self.group_desc_attribute.as_deref())];
        Ok(Tree {
            base: below(self.group_tree_dn.as_deref(), "ou=UserGroups", &self.suffix),
            object_class: self.group_objectclass.clone(),
            id_attribute: self.group_id_attribute.clone(),
            name_attribute: self.group_name_attribute.clone(),
            filter: filter_of("group_filter", self.group_filter.as_deref())?,
            shown: shown_as(
                &shown,
                &self.group_attribute_ignore,
                &self.group_additional_attribute_mapping,
            ),
        })
    }

    /// The attribute that says whether a user is enabled, where one does.
    pub fn enabled_attribute(&self) -> Option<&str> {
        let ignored = self
            .user_attribute_ignore
            .iter()
            .any(|name| name == "enabled");
        self.user_enabled_attribute
            .as_deref()
            .filter(|_| !ignored && !self.emulates_enabled())
    }

    /// Whether it is membership in a group that makes a user enabled.
    pub fn emulates_enabled(&self) -> bool {
        let ignored = self
            .user_attribute_ignore
            .iter()
            .any(|name| name == "enabled");
        self.user_enabled_emulation && !ignored
    }

    /// The group whose members are enabled, and its attribute for members.
    pub fn enabled_group(&self) -> (String, &str) {
        let dn = self.user_enabled_emulation_dn.clone().unwrap_or_else(|| {
            let users = below(self.user_tree_dn.as_deref(), "ou=Users", &self.suffix);
            format!("cn=enabled_users,{users}")
        });
        match self.user_enabled_emulation_use_group_config {
            true => (dn, &self.group_member_attribute),
            false => (dn, "member"),
        }
    }

    /// What a value of the enabled attribute says, or its absence.
    pub fn says_enabled(&self, value: Option<&str>) -> bool {
        if self.user_enabled_mask != 0 {
            let bits = match value {
                Some(value) => value.trim().parse().ok(),
                None => self.enabled_default_bits(),
            };
            // A user of whom nothing certain is known stays out.
            return bits
                .is_some_and(|bits| bits & self.user_enabled_mask != self.user_enabled_mask);
        }
        let said = value.unwrap_or(&self.user_enabled_default).trim();
        let number: Option<i64> = said.parse().ok();
        let enabled = match number {
            // Keystone takes numbers for what they say only in an attribute of this name.
            Some(number) => value.is_some() && number != 0 && self.is_plain_enabled_attribute(),
            None => said.eq_ignore_ascii_case("true"),
        };
        enabled != self.user_enabled_invert
    }

    fn is_plain_enabled_attribute(&self) -> bool {
        self.user_enabled_attribute.as_deref() == Some("enabled")
    }

    fn enabled_default_bits(&self) -> Option<i64> {
        self.user_enabled_default.trim().parse().ok()
    }

    pub fn scope(&self) -> LdapSearchScope {
        match self.query_scope {
            Scope::One => LdapSearchScope::OneLevel,
            Scope::Sub => LdapSearchScope::Subtree,
        }
    }

    pub fn aliases(&self) -> LdapDerefAliases {
        match self.alias_dereferencing {
            Aliases::Default | Aliases::Never => LdapDerefAliases::Never,
            Aliases::Searching => LdapDerefAliases::InSearching,
            Aliases::Finding => LdapDerefAliases::FindingBaseObj,
            Aliases::Always => LdapDerefAliases::Always,
        }
    }
}

fn below(tree: Option<&str>, unit: &str, suffix: &str) -> String {
    match tree {
        Some(tree) if !tree.is_empty() => tree.to_owned(),
        _ => format!("{unit},{suffix}"),
    }
}

fn filter_of(option: &'static str, text: Option<&str>) -> Result<Option<LdapFilter>, Wrong> {
    match text.map(str::trim) {
        None | Some("") => Ok(None),
        Some(text) => match filter::read(text) {
            Ok(filter) => Ok(Some(filter)),
            Err(what) => Err(Wrong { option, what }),
        },
    }
}

fn shown_as(
    known: &[(&str, Option<&str>)],
    ignored: &[String],
    additional: &[String],
) -> Vec<(String, String)> {
    let known = known
        .iter()
        .filter(|(name, _)| !ignored.iter().any(|ignored| ignored == name))
        .filter_map(|(name, attribute)| Some(((*name).to_owned(), (*attribute)?.to_owned())));
    // As in Keystone, what has not this form is passed over.
    let additional = additional.iter().filter_map(|mapping| {
        let (attribute, name) = mapping.split_once(':')?;
        let good = filter::is_attribute(attribute) && !name.is_empty() && !name.contains(':');
        good.then(|| (name.to_owned(), attribute.to_owned()))
    });
    known.chain(additional).collect()
}

fn server(url: &str) -> Option<Server> {
    let (scheme, rest) = url.split_once("://")?;
    let tls = match scheme.to_ascii_lowercase().as_str() {
        "ldap" => false,
        "ldaps" => true,
        _ => return None,
    };
    let authority = rest.split(['/', '?']).next()?;
    let default = if tls { 636 } else { 389 };
    let (host, port) = match authority.strip_prefix('[') {
        Some(literal) => {
            let (host, after) = literal.split_once(']')?;
            (
                host,
                after.strip_prefix(':').or(after.is_empty().then_some(""))?,
            )
        }
        None => authority.split_once(':').unwrap_or((authority, "")),
    };
    if host.is_empty() || host.contains(['@', ' ']) {
        return None;
    }
    let port = match port {
        "" => default,
        port => port.parse().ok()?,
    };
    Some(Server {
        host: host.to_owned(),
        port,
        tls,
    })
}

/// JSON Schema of the configuration. Options of Keystone's that are the host's (`tls_cacertfile`,
/// the sizes of its pools ...) may be there and say nothing here.
pub fn schema() -> Value {
    let text = json!({"type": "string"});
    let switch = json!({"type": "boolean"});
    let list = json!({"type": "array", "items": {"type": "string"}});
    let mut properties = json!({
        "url": {"type": "string", "description": "ldap:// or ldaps:// URLs, with commas between them"},
        "password": {"type": "string", "description": "the password of `user`"},
        "query_scope": {"enum": ["one", "sub"]},
        "page_size": {"type": "integer", "minimum": 0, "maximum": 100_000},
        "alias_dereferencing": {"enum": ["never", "searching", "always", "finding", "default"]},
        "user_enabled_mask": {"type": "integer", "minimum": 0},
    });
    let groups = [
        (
            &text,
            [
                "user",
                "suffix",
                "user_tree_dn",
                "user_filter",
                "user_objectclass",
                "user_id_attribute",
                "user_name_attribute",
                "user_description_attribute",
                "user_mail_attribute",
                "user_enabled_attribute",
                "user_enabled_default",
                "user_default_project_id_attribute",
                "user_enabled_emulation_dn",
                "group_tree_dn",
                "group_filter",
                "group_objectclass",
                "group_id_attribute",
                "group_name_attribute",
                "group_member_attribute",
                "group_desc_attribute",
            ]
            .as_slice(),
        ),
        (
            &switch,
            [
                "randomize_urls",
                "use_tls",
                "chase_referrals",
                "user_enabled_invert",
                "user_enabled_emulation",
                "user_enabled_emulation_use_group_config",
                "group_members_are_ids",
                "group_ad_nesting",
            ]
            .as_slice(),
        ),
        (
            &list,
            [
                "user_attribute_ignore",
                "user_additional_attribute_mapping",
                "group_attribute_ignore",
                "group_additional_attribute_mapping",
            ]
            .as_slice(),
        ),
    ];
    for (kind, names) in groups {
        for name in names {
            properties[name] = kind.clone();
        }
    }
    json!({"type": "object", "properties": properties})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(value: Value) -> Config {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn nothing_is_needed() {
        let config = config(json!({}));
        assert_eq!(config.check(), Ok(()));
        let users = config.users().unwrap();
        assert_eq!(users.base, "ou=Users,cn=example,cn=com");
        assert_eq!(
            (users.id_attribute.as_str(), users.name_attribute.as_str()),
            ("cn", "sn")
        );
    }

    #[test]
    fn several_servers_can_be_named() {
        let config =
            config(json!({"url": "ldaps://a.example, ldap://[2001:db8::1]:1389 LDAP://b/"}));
        let server = |host: &str, port, tls| Server {
            host: host.to_owned(),
            port,
            tls,
        };
        assert_eq!(
            config.servers().unwrap(),
            [
                server("a.example", 636, true),
                server("2001:db8::1", 1389, false),
                server("b", 389, false)
            ]
        );
        for wrong in [
            "",
            "http://a",
            "ldap://",
            "a.example",
            "ldap://a:x",
            "ldap://u@a",
            "ldapi://%2f",
        ] {
            assert!(
                super::Config {
                    url: wrong.to_owned(),
                    ..Config::default()
                }
                .servers()
                .is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_wrong_option_is_named() {
        for (option, value) in [
            ("url", json!("http://x")),
            ("user_filter", json!("(cn=a")),
            ("group_filter", json!("x")),
            ("user_id_attribute", json!("cn=*)(cn")),
            ("group_member_attribute", json!("")),
        ] {
            let wrong = config(json!({option: value})).check().unwrap_err();
            assert_eq!(wrong.option, option);
        }
        let wrong = config(json!({"user_enabled_mask": 2})).check().unwrap_err();
        assert_eq!(wrong.option, "user_enabled_default");
    }

    #[test]
    fn a_mask_tells_who_is_enabled() {
        let ad = config(json!({
            "user_enabled_attribute": "userAccountControl",
            "user_enabled_mask": 2,
            "user_enabled_default": "512",
        }));
        assert_eq!(ad.check(), Ok(()));
        for (value, enabled) in [
            (Some("512"), true),
            (Some("514"), false),
            (Some("66048"), true),
            (Some("66050"), false),
            (Some("x"), false),
            (None, true),
        ] {
            assert_eq!(ad.says_enabled(value), enabled, "{value:?}");
        }
    }

    #[test]
    fn an_attribute_tells_who_is_enabled() {
        let plain = config(json!({}));
        for (value, enabled) in [
            (Some("TRUE"), true),
            (Some("false"), false),
            (Some("1"), true),
            (Some("0"), false),
            (Some("x"), false),
            (None, true),
        ] {
            assert_eq!(plain.says_enabled(value), enabled, "{value:?}");
        }
        let locked = config(json!({
            "user_enabled_attribute": "nsAccountLock",
            "user_enabled_invert": true,
            "user_enabled_default": "False",
        }));
        assert!(locked.says_enabled(None));
        assert!(!locked.says_enabled(Some("true")));
        assert!(locked.says_enabled(Some("FALSE")));
    }

    #[test]
    fn attributes_are_shown_by_the_names_of_the_configuration() {
        let users = config(json!({
            "user_attribute_ignore": ["description"],
            "user_mail_attribute": "rfc822Mailbox",
            "user_additional_attribute_mapping": ["telephoneNumber:phone", "nonsense", "a:b:c"],
        }));
        let shown = users.users().unwrap().shown;
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            shown,
            [
                pair("email", "rfc822Mailbox"),
                pair("phone", "telephoneNumber")
            ]
        );
    }
}
