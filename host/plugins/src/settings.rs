//! What the operator says about one plugin: its configuration, what it is granted, its limits.

use std::{collections::BTreeSet, fmt, path::PathBuf, time::Duration};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use crate::{Digest, PrepareError};

/// The contents of `NAME.json` beside `NAME.wasm`. Everything can be left out.
///
/// ```json
/// {
///   "config": { "issuer": "https://id.example", "client_secret": { "env": "OIDC_SECRET" } },
///   "grant": { "http": { "origins": ["https://id.example"] } },
///   "limits": { "deadline_ms": 3000 }
/// }
/// ```
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What the plugin is told. The value of a secret field is the secret itself,
    /// `{"env": "VARIABLE"}`, or `{"file": "/path"}`.
    pub config: Map<String, Value>,
    pub grant: Grants,
    pub limits: Limits,
    /// For a plugin that serves connectors: what those who make them may decide.
    pub connectors: ConnectorRule,
}

impl fmt::Debug for Settings {
    /// Leaves the configuration's values out: which of them are secrets, only the plugin can tell.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("config", &self.config.keys().collect::<Vec<_>>())
            .field("grant", &self.grant)
            .field("limits", &self.limits)
            .field("connectors", &self.connectors)
            .finish()
    }
}

/// What the owners of connectors may decide about them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectorRule {
    /// Which servers they may name in the configuration, besides those of `grant.http`.
    pub servers: ServerRule,
    /// The ids of the domains that may have connectors; without it, all may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domains: Option<BTreeSet<String>>,
}

/// Which servers the owner of a connector may let it reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerRule {
    /// Every `https` server with a public address.
    Public,
    /// These, each as `https://host[:port]`.
    #[serde(untagged)]
    Listed(BTreeSet<Origin>),
}

impl Default for ServerRule {
    fn default() -> Self {
        Self::Listed(BTreeSet::new())
    }
}

/// What the plugin may reach beyond its own things.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Grants {
    /// Requests to these servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpGrant>,
    /// Connections to these servers, for other protocols than HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamGrant>,
    /// The types of the claimed user's credentials that may be read, e.g. `totp`.
    pub credentials: BTreeSet<String>,
}

impl Grants {
    /// For a plugin that is looked at and reaches nothing: everything, of nobody.
    pub(crate) fn of_everything() -> Self {
        Self {
            http: Some(HttpGrant {
                origins: BTreeSet::new(),
                private_networks: Vec::new(),
                ca_file: None,
                max_response_bytes: default_response_bytes(),
                max_requests: default_requests(),
                timeout_ms: default_timeout(),
            }),
            stream: Some(StreamGrant {
                servers: Some(BTreeSet::new()),
                private_networks: Vec::new(),
                ca_file: None,
                max_bytes: default_stream_bytes(),
                max_connections: default_connections(),
                timeout_ms: default_timeout(),
            }),
            credentials: BTreeSet::from([String::new()]),
        }
    }
}

/// Which servers a plugin may send requests to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpGrant {
    /// `https://host[:port]`, each in full.
    pub origins: BTreeSet<Origin>,
    /// Networks that are not public and yet may be connected to, e.g. `10.1.0.0/16`.
    #[serde(default)]
    pub private_networks: Vec<IpNet>,
    /// A file of PEM certificates to trust besides the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The longest answer, in bytes.
    #[serde(default = "default_response_bytes")]
    pub max_response_bytes: usize,
    /// How many requests one call may make.
    #[serde(default = "default_requests")]
    pub max_requests: u32,
    /// How long one request may take.
    #[serde(default = "default_timeout")]
    pub timeout_ms: u64,
}

fn default_response_bytes() -> usize {
    1 << 20
}

fn default_requests() -> u32 {
    8
}

fn default_timeout() -> u64 {
    5_000
}

/// Which servers a plugin may connect to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamGrant {
    /// `host:port`, each in full. Without it, a connector reaches the servers that its configuration
    /// names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub servers: Option<BTreeSet<StreamServer>>,
    /// Networks that are not public and yet may be connected to, e.g. `10.1.0.0/16`.
    #[serde(default)]
    pub private_networks: Vec<IpNet>,
    /// A file of PEM certificates to trust, and no others, unless a connector has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// How many bytes one call may read and write, together.
    #[serde(default = "default_stream_bytes")]
    pub max_bytes: usize,
    /// How many connections one call may open.
    #[serde(default = "default_connections")]
    pub max_connections: u32,
    /// How long the server may take, each time.
    #[serde(default = "default_timeout")]
    pub timeout_ms: u64,
}

fn default_stream_bytes() -> usize {
    64 << 20
}

fn default_connections() -> u32 {
    4
}

/// Host and port of a server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StreamServer {
    host: String,
    port: u16,
}

impl StreamServer {
    /// The host is a name, or an address without brackets.
    pub fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.to_ascii_lowercase(),
            port,
        }
    }
}

impl TryFrom<String> for StreamServer {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let complaint = || format!("`{text}` is no server; write `host:port`");
        let (host, port) = text.rsplit_once(':').ok_or_else(complaint)?;
        let literal = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let host = literal.unwrap_or(host);
        let good = !host.is_empty() && (literal.is_some() || !host.contains(':'));
        match port.parse() {
            Ok(port) if good && !host.contains(['/', '@']) => Ok(Self::new(host, port)),
            _ => Err(complaint()),
        }
    }
}

impl From<StreamServer> for String {
    fn from(server: StreamServer) -> Self {
        match server.host.contains(':') {
            true => format!("[{}]:{}", server.host, server.port),
            false => format!("{}:{}", server.host, server.port),
        }
    }
}

/// Scheme, host and port of a server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin(String);

impl Origin {
    /// The origin of a URL, if it is one of HTTP.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        matches!(url.scheme(), "http" | "https").then(|| Self(url.origin().ascii_serialization()))
    }

    /// The host, as it is looked up.
    pub(crate) fn host(&self) -> Option<String> {
        Some(Url::parse(&self.0).ok()?.host_str()?.to_owned())
    }
}

impl TryFrom<String> for Origin {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let complaint = || format!("`{text}` is no origin; write `https://host` or with a port");
        let url = Url::parse(&text).map_err(|_| complaint())?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let anonymous = url.username().is_empty() && url.password().is_none();
        match Self::of(&url) {
            Some(origin) if bare && anonymous => Ok(origin),
            _ => Err(complaint()),
        }
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> Self {
        origin.0
    }
}

/// What one call, and all calls together, may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// From beginning to end of a call, waiting included.
    pub deadline_ms: u64,
    /// Of that, computing.
    pub cpu_ms: u64,
    /// Linear memory of one instance.
    pub memory_bytes: u64,
    /// Longest JSON text the plugin may hand over.
    pub output_bytes: usize,
    /// Calls at once, on each node.
    pub concurrency: u32,
    /// How long a call may wait for its turn.
    pub queue_ms: u64,
    /// Failures in a row that open the circuit breaker.
    pub breaker_failures: u32,
    /// How long the breaker stays open at first; each failed trial doubles it, up to 32 times.
    pub breaker_open_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline_ms: 10_000,
            cpu_ms: 500,
            memory_bytes: 32 << 20,
            output_bytes: 256 << 10,
            concurrency: 64,
            queue_ms: 250,
            breaker_failures: 10,
            breaker_open_ms: 1_000,
        }
    }
}

impl Limits {
    pub(crate) fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }

    pub(crate) fn cpu(&self) -> Duration {
        Duration::from_millis(self.cpu_ms)
    }

    fn check(&self) -> Result<(), String> {
        let within = |name: &str, value: u64, most: u64| match value {
            0 => Err(format!("`limits.{name}` must not be 0")),
            _ if value > most => Err(format!("`limits.{name}` must be at most {most}")),
            _ => Ok(()),
        };
        within("deadline_ms", self.deadline_ms, 120_000)?;
        within("cpu_ms", self.cpu_ms, 60_000)?;
        within("memory_bytes", self.memory_bytes, crate::engine::MAX_MEMORY)?;
        within("output_bytes", self.output_bytes as u64, 4 << 20)?;
        within("concurrency", self.concurrency.into(), 10_000)?;
        within("breaker_failures", self.breaker_failures.into(), 1_000_000)?;
        within("breaker_open_ms", self.breaker_open_ms, 3_600_000)
    }
}

impl Settings {
    /// Reads settings from JSON. An error never repeats a value, which may be a secret.
    ///
    /// # Errors
    /// [`PrepareError::BadSettings`] if it is not JSON, has an unknown or ill-typed property, or a
    /// limit is out of bounds.
    pub fn from_json(text: &[u8]) -> Result<Self, PrepareError> {
        let refused = |reason: String| PrepareError::BadSettings { reason };
        let settings: Self = serde_json::from_slice(text).map_err(|error| {
            refused(format!(
                "{} at line {}, column {}",
                match error.classify() {
                    serde_json::error::Category::Data => "an unknown or ill-typed property",
                    _ => "not JSON",
                },
                error.line(),
                error.column()
            ))
        })?;
        settings.limits.check().map_err(refused)?;
        Ok(settings)
    }

    /// The origins of these servers that a connector may reach because its owner names them, and
    /// that the operator does not grant anyway.
    ///
    /// # Errors
    /// [`PrepareError::ConfigRefused`] for a server that its owner may not name.
    pub(crate) fn named_by_owner(
        &self,
        servers: &[(String, Url)],
    ) -> Result<BTreeSet<Origin>, PrepareError> {
        let granted = self.grant.http.as_ref().map(|http| &http.origins);
        let mut named = BTreeSet::new();
        for (pointer, url) in servers {
            let refused = |message: &str| PrepareError::ConfigRefused {
                pointer: pointer.clone(),
                message: message.to_owned(),
            };
            let origin = Origin::of(url).ok_or_else(|| refused("this is no https URL"))?;
            if granted.is_some_and(|granted| granted.contains(&origin)) {
                continue;
            }
            let allowed = match &self.connectors.servers {
                ServerRule::Public => url.scheme() == "https",
                ServerRule::Listed(listed) => listed.contains(&origin),
            };
            if !allowed {
                return Err(refused(
                    "the operator does not allow connectors to this server",
                ));
            }
            named.insert(origin);
        }
        Ok(named)
    }

    /// What changes when anything in the settings does.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(serde_json::to_string(self).unwrap_or_default().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port_only() {
        let origin = |text: &str| Origin::try_from(text.to_owned());
        assert_eq!(
            origin("https://ID.example:443/"),
            origin("https://id.example")
        );
        for wrong in [
            "id.example",
            "ftp://x",
            "https://x/path",
            "https://u:p@x",
            "https://x/?q",
        ] {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_error_in_settings_never_repeats_a_secret() {
        let text = br#"{"config": {"key": "hunter2"}, "limits": {"cpu_ms": "hunter2"}}"#;
        let error = Settings::from_json(text).unwrap_err().to_string();
        assert!(error.contains("line 1"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
