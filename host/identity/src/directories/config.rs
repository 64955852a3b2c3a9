//! What a domain's configuration says about where its users and groups live.

use std::{collections::BTreeSet, path::PathBuf};

use archstone_model::domain_config::{CompleteConfig, OptionKind, SERVER_OPTIONS};
use archstone_plugins::{Reach, StreamServer};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use url::Url;

/// The driver that is a plugin, by the name of the plugin.
pub(crate) const LDAP: &str = "ldap";

/// Options of `[ldap]` that are not the plugin's: how connections are made and kept is the host's.
const HOSTS_OPTIONS: [&str; 14] = [
    "auth_pool_connection_lifetime",
    "auth_pool_size",
    "connection_timeout",
    "debug_level",
    "pool_connection_lifetime",
    "pool_connection_timeout",
    "pool_retry_delay",
    "pool_retry_max",
    "pool_size",
    "tls_cacertdir",
    "tls_cacertfile",
    "tls_req_cert",
    "use_auth_pool",
    "use_pool",
];

/// Options of `[ldap]` that a domain has by a file, or where the operator allows them besides.
const FURTHER_OPTIONS: [(&str, OptionKind); 4] = [
    (
        "connection_timeout",
        OptionKind::Integer {
            default: None,
            least: -1,
        },
    ),
    ("group_ad_nesting", OptionKind::Bool(None)),
    ("password", OptionKind::Text(None)),
    ("randomize_urls", OptionKind::Bool(None)),
];

/// Where a domain's users and groups live, other than in the database.
#[derive(Clone, PartialEq)]
pub struct DirectoryConfig {
    /// `[identity] list_limit`
    pub list_limit: Option<u64>,
    /// The options of `[ldap]` that are set, secrets included.
    ldap: Map<String, Value>,
}

/// Why a configuration cannot be used. Never holds a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("[identity] driver names no driver that there is; `sql` and `ldap` can be used")]
    UnknownDriver,
    #[error("[{group}] {option} has a value that it cannot have")]
    WrongValue { group: &'static str, option: String },
    #[error(
        "[ldap] tls_req_cert must be `demand`; a certificate that no authority of the system's \
         vouches for is trusted by tls_cacertfile"
    )]
    CertificatesNotDemanded,
    #[error("[ldap] tls_cacertdir cannot be used; name a file by tls_cacertfile")]
    CertificateDirectory,
}

impl std::fmt::Debug for DirectoryConfig {
    /// Leaves the values out, among which are secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DirectoryConfig")
            .field("list_limit", &self.list_limit)
            .field("ldap", &self.ldap.keys().collect::<Vec<_>>())
            .finish()
    }
}

impl DirectoryConfig {
    /// Every option that counts, with its group.
    pub fn options() -> impl Iterator<Item = (&'static str, &'static str)> {
        let known = SERVER_OPTIONS
            .iter()
            .flat_map(|(group, options)| options.iter().map(move |option| (*group, option.name)));
        known.chain(FURTHER_OPTIONS.iter().map(|(option, _)| ("ldap", *option)))
    }

    /// Reads a domain's whole configuration. Nothing where its users live in the database.
    ///
    /// # Errors
    /// Where they live somewhere else that is not told in a way that can be used.
    pub fn read(config: &CompleteConfig) -> Result<Option<Self>, Unusable> {
        match config.expose("identity", "driver").map(Value::as_str) {
            None | Some(Some("sql")) => return Ok(None),
            Some(Some(LDAP)) => {}
            Some(_) => return Err(Unusable::UnknownDriver),
        }
        let mut ldap = Map::new();
        for option in config.options("ldap") {
            let Some(value) = config
                .expose("ldap", option)
                .filter(|value| !value.is_null())
            else {
                continue;
            };
            let value = typed("ldap", option, value.clone())?;
            ldap.insert(option.to_owned(), value);
        }
        match ldap.get("tls_req_cert").and_then(Value::as_str) {
            None | Some("demand") => {}
            Some(_) => return Err(Unusable::CertificatesNotDemanded),
        }
        if ldap.contains_key("tls_cacertdir") && !ldap.contains_key("tls_cacertfile") {
            return Err(Unusable::CertificateDirectory);
        }
        let limit = config.expose("identity", "list_limit");
        let limit = limit.map(|limit| typed("identity", "list_limit", limit.clone()));
        Ok(Some(Self {
            // As in Keystone, nothing and less than that stand for no limit.
            list_limit: limit
                .transpose()?
                .and_then(|limit| limit.as_u64())
                .filter(|most| *most > 0),
            ldap,
        }))
    }

    /// What the plugin is told.
    pub(crate) fn for_plugin(&self) -> Map<String, Value> {
        let mut config = self.ldap.clone();
        config.retain(|option, _| !HOSTS_OPTIONS.contains(&option.as_str()));
        config
    }

    /// The servers that are named, and the file that vouches for them.
    pub(crate) fn reach(&self) -> Reach {
        let urls = self.ldap.get("url").and_then(Value::as_str);
        let urls = urls.unwrap_or("ldap://localhost").split([',', ' ', '\t']);
        let server = |text: &str| {
            let url = Url::parse(text).ok()?;
            let port = match url.scheme() {
                "ldap" => 389,
                "ldaps" => 636,
                _ => return None,
            };
            let host = url
                .host_str()?
                .trim_start_matches('[')
                .trim_end_matches(']');
            Some(StreamServer::new(host, url.port().unwrap_or(port)))
        };
        Reach {
            servers: urls.filter_map(server).collect::<BTreeSet<_>>(),
            ca_file: self
                .ldap
                .get("tls_cacertfile")
                .and_then(Value::as_str)
                .map(PathBuf::from),
        }
    }

    /// A number that changes with everything in here.
    pub(crate) fn revision(&self) -> i64 {
        let mut options: Vec<_> = self.ldap.iter().collect();
        options.sort_by_key(|(name, _)| name.as_str());
        let text = serde_json::to_string(&(self.list_limit, options)).unwrap_or_default();
        let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        let [a, b, c, d, e, f, g, h, ..] = digest;
        i64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

/// A value as Keystone's driver would take it: texts stand for switches, numbers and lists too.
fn typed(group: &'static str, option: &str, value: Value) -> Result<Value, Unusable> {
    let known = SERVER_OPTIONS.iter().find(|(name, _)| *name == group);
    let known = known.and_then(|(_, options)| options.iter().find(|known| known.name == option));
    let further = || FURTHER_OPTIONS.iter().find(|(known, _)| *known == option);
    let wrong = || Unusable::WrongValue {
        group,
        option: option.to_owned(),
    };
    let kind = known
        .map(|known| known.kind)
        .or_else(|| further().map(|(_, kind)| *kind))
        .unwrap_or(OptionKind::Text(None));
    Ok(match (kind, value) {
        (OptionKind::Text(_) | OptionKind::Choice(..), Value::Number(number)) => {
            number.to_string().into()
        }
        (OptionKind::Text(_) | OptionKind::Choice(..), Value::Bool(value)) => {
            if value { "True" } else { "False" }.into()
        }
        (OptionKind::Text(_) | OptionKind::Choice(..), text @ Value::String(_)) => text,
        (OptionKind::Integer { .. }, number @ Value::Number(_)) => number,
        (OptionKind::Integer { .. }, Value::String(text)) => {
            text.trim().parse::<i64>().map_err(|_| wrong())?.into()
        }
        (OptionKind::Real(_), number) => number,
        (OptionKind::Bool(_), value @ Value::Bool(_)) => value,
        (OptionKind::Bool(_), Value::String(text)) => {
            match text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" | "on" | "yes" => true.into(),
                "false" | "0" | "off" | "no" => false.into(),
                _ => return Err(wrong()),
            }
        }
        (OptionKind::List(_), list @ Value::Array(_)) => list,
        (OptionKind::List(_), Value::String(text)) => text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .collect::<Vec<_>>()
            .into(),
        _ => return Err(wrong()),
    })
}

#[cfg(test)]
mod tests {
    use archstone_model::domain_config::{ConfigOption, ConfigValue};
    use serde_json::json;

    use super::*;

    fn read(config: Value) -> Result<Option<DirectoryConfig>, Unusable> {
        let mut options = Vec::new();
        for (group, values) in config.as_object().unwrap() {
            for (option, value) in values.as_object().unwrap() {
                options.push(ConfigOption {
                    group: group.clone(),
                    option: option.clone(),
                    value: ConfigValue::Readable(value.clone()),
                });
            }
        }
        DirectoryConfig::read(&CompleteConfig::new(options).0)
    }

    #[test]
    fn only_another_driver_than_sql_leads_elsewhere() {
        assert_eq!(read(json!({})), Ok(None));
        assert_eq!(read(json!({"identity": {"driver": "sql"}})), Ok(None));
        assert_eq!(read(json!({"ldap": {"url": "ldap://x"}})), Ok(None));
        assert!(
            read(json!({"identity": {"driver": "ldap"}}))
                .unwrap()
                .is_some()
        );
        let unknown = Err(Unusable::UnknownDriver);
        assert_eq!(read(json!({"identity": {"driver": "acme"}})), unknown);
    }

    #[test]
    fn values_are_taken_as_keystone_takes_them() {
        let config = read(json!({
            "identity": {"driver": "ldap", "list_limit": "7"},
            "ldap": {
                "url": "ldaps://A.example,ldap://[::1]:1389",
                "use_tls": "yes",
                "page_size": "100",
                "user_enabled_default": 512,
                "user_attribute_ignore": "tenant_id, x",
                "user_filter": null,
                "tls_cacertfile": "/ca.pem",
                "pool_size": 3,
                "group_ad_nesting": "true",
            },
        }));
        let config = config.unwrap().unwrap();
        assert_eq!(config.list_limit, Some(7));
        assert_eq!(
            Value::Object(config.for_plugin()),
            json!({
                "url": "ldaps://A.example,ldap://[::1]:1389",
                "use_tls": true,
                "page_size": 100,
                "user_enabled_default": "512",
                "user_attribute_ignore": ["tenant_id", "x"],
                "group_ad_nesting": true,
            })
        );
        let reach = config.reach();
        let servers = [
            StreamServer::new("a.example", 636),
            StreamServer::new("::1", 1389),
        ];
        assert_eq!(reach.servers, servers.into());
        assert_eq!(reach.ca_file, Some("/ca.pem".into()));
    }

    #[test]
    fn a_wrong_value_is_named_but_not_repeated() {
        for option in ["use_tls", "page_size"] {
            let wrong = read(json!({"identity": {"driver": "ldap"}, "ldap": {option: "hunter2"}}));
            let text = wrong.unwrap_err().to_string();
            assert!(text.contains(option) && !text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn unproven_servers_are_refused() {
        let tls = |option: &str, value: &str| {
            read(json!({"identity": {"driver": "ldap"}, "ldap": {option: value}}))
        };
        for word in ["never", "allow"] {
            assert_eq!(
                tls("tls_req_cert", word),
                Err(Unusable::CertificatesNotDemanded)
            );
        }
        assert!(tls("tls_req_cert", "demand").is_ok());
        assert_eq!(
            tls("tls_cacertdir", "/x"),
            Err(Unusable::CertificateDirectory)
        );
    }

    #[test]
    fn every_change_makes_a_new_revision() {
        let of = |url: &str, limit: u64| {
            let config = read(json!({
                "identity": {"driver": "ldap", "list_limit": limit},
                "ldap": {"url": url},
            }));
            config.unwrap().unwrap().revision()
        };
        assert_eq!(of("ldap://a", 1), of("ldap://a", 1));
        assert_ne!(of("ldap://a", 1), of("ldap://b", 1));
        assert_ne!(of("ldap://a", 1), of("ldap://a", 2));
    }
}
