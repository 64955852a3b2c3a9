//! `keystone.conf` and Archstone's own section in it, overridden by the environment. Nothing else
//! in Archstone knows this file.

mod directories;
mod domain_config;
mod error;
mod files;
mod ini;
mod notice;
mod passwords;
mod saml;
mod source;

use std::{collections::HashMap, net::IpAddr, path::PathBuf, time::Duration};

use archstone_api::{self as api, CallbackPage, TrustedProxies};
use archstone_identity::{
    Departures, ExternalUsers, FederationOptions, HashOptions, Options, ThrottleOptions,
    TokenlessOptions,
};
use archstone_model::{
    limit::EnforcementModel, password_rules::PasswordRules, policy::PolicyOptions,
    throttle::FailureLimit,
};
use archstone_store::DatabaseUrl;
use archstone_token::JwsKeyRepository;
use chrono::TimeDelta;
use ipnet::IpNet;

use self::source::Source;
pub(crate) use self::{
    error::ConfigError,
    files::{ConfigArgs, ConfigFiles},
    notice::Notice,
};

use crate::{login_routes_file::LoginRoutesFile, policy_files::PolicyFiles};

type Result<T> = std::result::Result<T, ConfigError>;

/// Everything an operator can set.
#[derive(Debug)]
pub(crate) struct Config {
    pub debug: bool,
    pub text_logs: bool,
    pub listen: String,
    /// Where the audit trail goes besides the log.
    pub audit_file: Option<PathBuf>,
    /// The plugins that audited events are delivered to.
    pub event_sinks: Vec<String>,
    /// How many clients are served at once; more wait.
    pub most_connections: usize,
    /// How long the server goes on serving once it is asked to stop.
    pub drain_time: Duration,
    /// Threads that serve requests; one per core unless set.
    pub workers: Option<usize>,
    /// Commands that only look at keys and files do without.
    pub database: Option<DatabaseUrl>,
    pub max_connections: u32,
    /// Which statements of ours a member of a Galera cluster holds until it has all that was committed.
    pub mysql_wsrep_sync_wait: Option<u8>,
    /// Names count as written, whatever the database takes for the same.
    pub exact_names: bool,
    /// Tokens are Fernet tokens unless `[token] provider` is `jws`.
    pub jws_keys: Option<JwsKeyRepository>,
    pub fernet_keys: PathBuf,
    pub max_active_keys: usize,
    pub receipt_keys: PathBuf,
    pub credential_keys: PathBuf,
    pub plugin_dir: Option<PathBuf>,
    pub login_routes: Option<LoginRoutesFile>,
    pub plugin_cache: Option<PathBuf>,
    /// Public keys: only plugins that one of them signed are loaded.
    pub plugin_signers: Option<PathBuf>,
    pub policy_files: PolicyFiles,
    pub policy: PolicyOptions,
    pub identity: Options,
    pub hashing: HashOptions,
    pub compliance: PasswordRules,
    pub api: api::Options,
    /// What was given and does not do what somebody may expect of it.
    pub notices: Vec<Notice>,
}

impl Config {
    /// Reads the files, and the process's environment over them.
    ///
    /// # Errors
    /// Names the file, the line, the section and the option that cannot be used.
    pub(crate) fn load(files: &ConfigFiles) -> Result<Self> {
        // A variable that is not text cannot be meant for us.
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        let mut source = Source::from_environment(variables);
        for file in files.paths() {
            source.read(file)?;
        }
        Self::from_source(&source, files)
    }

    fn from_source(source: &Source, files: &ConfigFiles) -> Result<Self> {
        let fernet_keys = source
            .path("fernet_tokens", "key_repository")?
            .unwrap_or_else(|| "/etc/keystone/fernet-keys/".into());
        let mut config = Self {
            debug: source.bool("DEFAULT", "debug", false)?,
            text_logs: source.choice(
                "archstone",
                "log_format",
                &[("json", false), ("text", true)],
                false,
            )?,
            listen: source
                .text("archstone", "listen")?
                .unwrap_or_else(|| "127.0.0.1:5000".to_owned()),
            audit_file: source.path("archstone", "audit_file")?,
            event_sinks: source.list("archstone", "event_sinks")?.unwrap_or_default(),
            workers: source.integer("archstone", "workers", 1..=1024)?,
            most_connections: source
                .integer("archstone", "most_connections", 1..)?
                .unwrap_or(8192),
            drain_time: source
                .integer("archstone", "drain_time", 0..=3600)?
                .map_or(Duration::ZERO, Duration::from_secs),
            database: source.read_as("database", "connection", DatabaseUrl::parse)?,
            max_connections: source
                .integer("database", "max_pool_size", 1..)?
                .unwrap_or(16),
            mysql_wsrep_sync_wait: source.integer("database", "mysql_wsrep_sync_wait", 0..=15)?,
            exact_names: source.bool("archstone", "exact_names", false)?,
            jws_keys: jws_keys(source)?,
            max_active_keys: source
                .integer("fernet_tokens", "max_active_keys", 1..)?
                .unwrap_or(3),
            receipt_keys: source
                .path("fernet_receipts", "key_repository")?
                .unwrap_or_else(|| fernet_keys.clone()),
            fernet_keys,
            credential_keys: source
                .path("credential", "key_repository")?
                .unwrap_or_else(|| "/etc/keystone/credential-keys/".into()),
            plugin_dir: source.path("archstone", "plugin_directory")?,
            login_routes: source
                .path("archstone", "login_routes")?
                .map(LoginRoutesFile),
            plugin_cache: source.path("archstone", "plugin_cache")?,
            plugin_signers: source.path("archstone", "plugin_signers")?,
            policy_files: policy_files(source, files)?,
            policy: PolicyOptions {
                enforce_new_defaults: source.bool("oslo_policy", "enforce_new_defaults", true)?,
            },
            identity: identity(source)?,
            hashing: passwords::hashing(source)?,
            compliance: passwords::compliance(source)?,
            api: api(source)?,
            notices: Vec::new(),
        };
        // Only now is it known which options matter.
        config.notices = notice::notices(source);
        Ok(config)
    }
}

/// How long a valid token is remembered, as long as nothing is known to have changed.
fn remembered_for(source: &Source) -> Result<Duration> {
    const AT_MOST: Duration = Duration::from_secs(60);
    let of_all: Option<u64> = source.integer("cache", "expiration_time", 0..)?;
    let usual = of_all.map_or(AT_MOST, Duration::from_secs);
    source.remembered_for("token", usual, AT_MOST)
}

/// How many failed logins a minute are borne.
fn throttle(source: &Source) -> Result<ThrottleOptions> {
    let defaults = ThrottleOptions::default();
    let limit = |option, default| {
        let given: Option<u32> = source.integer("archstone", option, 0..)?;
        Ok(given.map_or(default, FailureLimit::per_minute))
    };
    Ok(ThrottleOptions {
        per_user: limit("failed_logins_per_user", defaults.per_user)?,
        per_address: limit("failed_logins_per_address", defaults.per_address)?,
    })
}

fn jws_keys(source: &Source) -> Result<Option<JwsKeyRepository>> {
    let directory = |option, default: &str| {
        let given = source.path("jwt_tokens", option)?;
        Ok(given.unwrap_or_else(|| default.into()))
    };
    let repository = JwsKeyRepository {
        private_directory: directory(
            "jws_private_key_repository",
            "/etc/keystone/jws-keys/private",
        )?,
        public_directory: directory("jws_public_key_repository", "/etc/keystone/jws-keys/public")?,
    };
    let providers = [("fernet", false), ("jws", true)];
    let signed = source.choice("token", "provider", &providers, false)?;
    Ok(signed.then_some(repository))
}

/// oslo.policy looks for its files beside the configuration.
fn policy_files(source: &Source, files: &ConfigFiles) -> Result<PolicyFiles> {
    const SECTION: &str = "oslo_policy";
    let beside = |name: PathBuf| match files.directory() {
        Some(directory) => directory.join(name),
        None => name,
    };
    let named = source.path(SECTION, "policy_file")?;
    let directories = source.list(SECTION, "policy_dirs")?;
    Ok(PolicyFiles {
        file_is_named: named.is_some(),
        file: beside(named.unwrap_or_else(|| "policy.yaml".into())),
        directories: directories
            .unwrap_or_else(|| vec!["policy.d".to_owned()])
            .into_iter()
            .map(|name| beside(name.into()))
            .collect(),
    })
}

fn identity(source: &Source) -> Result<Options> {
    let defaults = Options::default();
    let url_safe = [("off", false), ("new", false), ("strict", true)];
    let strict = |option| source.choice("resource", option, &url_safe, false);
    // A negative number stands for no limit.
    let limit = |section| {
        let limit: Option<i64> = source.integer(section, "user_limit", ..)?;
        Ok(limit.and_then(|limit| limit.try_into().ok()))
    };
    // Zero stands for no limit.
    let list_limit = |section| {
        let most: Option<u64> = source.integer(section, "list_limit", 0..)?;
        Ok(most.filter(|most| *most > 0))
    };
    let client_methods = source.list("oauth2", "oauth2_authn_methods")?;
    let accepts_client = |method: &str| match &client_methods {
        Some(methods) => methods.iter().any(|name| name == method),
        None => true,
    };
    Ok(Options {
        auth_methods: source
            .list("auth", "methods")?
            .unwrap_or(defaults.auth_methods),
        authorizers: source.list("archstone", "authorizers")?.unwrap_or_default(),
        token_lifetime: source.seconds("token", "expiration", defaults.token_lifetime)?,
        remember_tokens_for: remembered_for(source)?,
        throttle: throttle(source)?,
        allow_expired_window: source.seconds(
            "token",
            "allow_expired_window",
            defaults.allow_expired_window,
        )?,
        allow_rescope_scoped_token: source.bool(
            "token",
            "allow_rescope_scoped_token",
            defaults.allow_rescope_scoped_token,
        )?,
        revoke_by_id: source.bool("token", "revoke_by_id", defaults.revoke_by_id)?,
        revocation_buffer: source.seconds(
            "revoke",
            "expiration_buffer",
            defaults.revocation_buffer,
        )?,
        receipt_lifetime: source.seconds("receipt", "expiration", defaults.receipt_lifetime)?,
        default_domain_id: source
            .text("identity", "default_domain_id")?
            .map_or(defaults.default_domain_id, Into::into),
        domain_specific_drivers: source.bool(
            "identity",
            "domain_specific_drivers_enabled",
            defaults.domain_specific_drivers,
        )?,
        list_limit: list_limit("DEFAULT")?,
        application_credential_user_limit: limit("application_credential")?,
        credential_user_limit: limit("credential")?,
        request_token_lifetime: source.seconds(
            "oauth1",
            "request_token_duration",
            defaults.request_token_lifetime,
        )?,
        access_token_lifetime: source.seconds(
            "oauth1",
            "access_token_duration",
            defaults.access_token_lifetime,
        )?,
        accept_client_secrets: accepts_client("client_secret_basic"),
        accept_client_certificates: accepts_client("tls_client_auth"),
        certificate_mapping_id: source
            .text("oauth2", "oauth2_cert_dn_mapping_id")?
            .map_or(defaults.certificate_mapping_id, Into::into),
        signature_lifetime: source
            .integer("credential", "auth_ttl", 0..)?
            .map_or(defaults.signature_lifetime, |minutes: u32| {
                chrono::TimeDelta::minutes(minutes.into())
            }),
        strict_project_names: strict("project_name_url_safe")?,
        strict_domain_names: strict("domain_name_url_safe")?,
        prohibited_implied_roles: source
            .list("assignment", "prohibited_implied_role")?
            .unwrap_or(defaults.prohibited_implied_roles),
        max_redelegation_count: source
            .integer("trust", "max_redelegation_count", ..)?
            .unwrap_or(defaults.max_redelegation_count),
        max_project_tree_depth: source
            .integer("DEFAULT", "max_project_tree_depth", 0..)?
            .unwrap_or(defaults.max_project_tree_depth),
        public_endpoint: source.text("DEFAULT", "public_endpoint")?,
        policy_list_limit: list_limit("policy")?,
        catalog_list_limit: list_limit("catalog")?,
        return_all_endpoints_if_no_filter: source.bool(
            "endpoint_filter",
            "return_all_endpoints_if_no_filter",
            defaults.return_all_endpoints_if_no_filter,
        )?,
        enforcement_model: source.choice(
            "unified_limit",
            "enforcement_model",
            &[EnforcementModel::Flat, EnforcementModel::StrictTwoLevel]
                .map(|model| (model.name(), model)),
            defaults.enforcement_model,
        )?,
        federation: federation(source, defaults.federation)?,
        saml: saml::options(source)?,
        domain_config: domain_config::domain_config(source)?,
        directories: directories::directories(source)?,
        external_users: external_users(source)?,
        tokenless: tokenless(source, defaults.tokenless)?,
        departures: departures(source)?,
        max_db_limit: source
            .integer("DEFAULT", "max_db_limit", 0..)?
            .unwrap_or(defaults.max_db_limit),
    })
}

fn departures(source: &Source) -> Result<Departures> {
    let chosen = |option| source.bool("archstone", option, false);
    Ok(Departures {
        keep_tokens_of_former_members: chosen("keep_tokens_of_former_members")?,
        show_own_role_assignments: chosen("show_own_role_assignments")?,
        renew_password_hashes: chosen("renew_password_hashes")?,
    })
}

fn external_users(source: &Source) -> Result<Option<ExternalUsers>> {
    let places = [
        ("DefaultDomain", ExternalUsers::DefaultDomain),
        ("Domain", ExternalUsers::NamedDomain),
    ];
    let places = places.map(|(word, place)| (word, Some(place)));
    source.choice("auth", "external", &places, None)
}

fn tokenless(source: &Source, defaults: TokenlessOptions) -> Result<TokenlessOptions> {
    const SECTION: &str = "tokenless_auth";
    Ok(TokenlessOptions {
        trusted_issuers: source.repeated(SECTION, "trusted_issuer")?,
        issuer_attribute: source
            .text(SECTION, "issuer_attribute")?
            .unwrap_or(defaults.issuer_attribute),
        protocol_id: source
            .text(SECTION, "protocol")?
            .map_or(defaults.protocol_id, Into::into),
    })
}

fn federation(source: &Source, defaults: FederationOptions) -> Result<FederationOptions> {
    const SECTION: &str = "federation";
    /// More minutes than anybody is a member for.
    const MOST_MINUTES: i64 = 1_000_000_000;
    let versions = ["1.0", "2.0", "3.0"].map(|version| (version, version));
    let mut remote_id_attributes = HashMap::new();
    for section in source.sections_with("remote_id_attribute") {
        if let Some(attribute) = source.text(&section, "remote_id_attribute")? {
            remote_id_attributes.insert(section, attribute);
        }
    }
    let minutes = source.integer(SECTION, "default_authorization_ttl", 0..=MOST_MINUTES)?;
    Ok(FederationOptions {
        default_schema_version: source
            .choice(
                SECTION,
                "attribute_mapping_default_schema_version",
                &versions,
                "1.0",
            )?
            .to_owned(),
        remote_id_attribute: remote_id_attributes.remove(SECTION),
        remote_id_attributes,
        default_membership_lifetime: minutes
            .map_or(defaults.default_membership_lifetime, TimeDelta::minutes),
        relay_state_prefix: source
            .text("saml", "relay_state_prefix")?
            .unwrap_or(defaults.relay_state_prefix),
    })
}

/// Both must be set for anything to be believed.
fn trusted_proxies(source: &Source) -> Result<Option<TrustedProxies>> {
    let networks = source.read_as("archstone", "trusted_proxies", |text| {
        let items = text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty());
        items
            .map(network)
            .collect::<std::result::Result<Vec<_>, _>>()
    })?;
    let header_prefix = source.text("archstone", "assertion_header_prefix")?;
    let attribute_prefix = source.text("federation", "assertion_prefix")?;
    let (Some(networks), Some(header_prefix)) = (networks, header_prefix) else {
        return Ok(None);
    };
    Ok(Some(TrustedProxies {
        networks,
        header_prefix,
        attribute_prefix: attribute_prefix.unwrap_or_default(),
    }))
}

/// A network, or one address.
fn network(text: &str) -> std::result::Result<IpNet, String> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| format!("{text:?} is neither an address nor a network such as 10.0.0.0/8"))
}

/// The operator's page. The stock path may be missing, as it is where nobody uses the page.
fn callback_page(source: &Source) -> Result<CallbackPage> {
    const STOCK: &str = "/etc/keystone/sso_callback_template.html";
    let read = |path: &str| match std::fs::read_to_string(path) {
        Ok(page) => Ok(CallbackPage::new(page)),
        Err(_) if path == STOCK => Ok(CallbackPage::default()),
        Err(error) => Err(format!("cannot read {path}: {error}")),
    };
    match source.read_as("federation", "sso_callback_template", read)? {
        Some(page) => Ok(page),
        None => Ok(read(STOCK).unwrap_or_default()),
    }
}

fn api(source: &Source) -> Result<api::Options> {
    let defaults = api::Options::default();
    Ok(api::Options {
        public_endpoint: source.text("DEFAULT", "public_endpoint")?,
        max_request_body_size: source
            .integer("oslo_middleware", "max_request_body_size", 1..)?
            .unwrap_or(defaults.max_request_body_size),
        trusted_proxies: trusted_proxies(source)?,
        trusted_dashboards: source.repeated("federation", "trusted_dashboard")?,
        callback_page: callback_page(source)?,
        saml_metadata: source
            .path("saml", "idp_metadata_path")?
            .unwrap_or(defaults.saml_metadata),
        passkey_method: source
            .text("archstone", "passkey_method")?
            .unwrap_or(defaults.passkey_method),
        announce_v4: source.bool("archstone", "announce_v4", defaults.announce_v4)?,
    })
}

#[cfg(test)]
mod tests {
    use archstone_identity::HashAlgorithm;
    use archstone_model::secret::Secret;

    use super::*;

    /// A configuration of one file's text.
    pub(super) fn config(text: &str) -> Result<Config> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("keystone.conf");
        std::fs::write(&file, text).unwrap();
        let files = ConfigFiles::named(vec![file]);
        let mut source = Source::from_environment(std::iter::empty());
        for file in files.paths() {
            source.read(file)?;
        }
        Config::from_source(&source, &files)
    }

    pub(super) fn error(text: &str) -> String {
        let message = config(text).unwrap_err().to_string();
        message.split_once("keystone.conf").unwrap().1.to_owned()
    }

    #[test]
    fn a_keystone_conf_is_understood() {
        let config = config(
            "[DEFAULT]\ndebug = true\n# a comment\n[database]\n\
             connection = mysql+pymysql://keystone:pa%ss@db/keystone?charset=utf8\n\
             mysql_wsrep_sync_wait = 1\n\
             [token]\nexpiration = 7200\n[auth]\nmethods = password,token,totp\n\
             [security_compliance]\nlockout_failure_attempts = 5\n\
             password_regex = ^(?=.*\\d)(?=.*[a-zA-Z]).{7,}$\n",
        )
        .unwrap();
        assert!(config.debug);
        assert!(matches!(config.database, Some(DatabaseUrl::MySql(_))));
        assert_eq!(config.mysql_wsrep_sync_wait, Some(1));
        assert_eq!(config.identity.token_lifetime, TimeDelta::hours(2));
        assert_eq!(config.identity.auth_methods, ["password", "token", "totp"]);
        assert_eq!(config.compliance.lockout_failure_attempts, Some(5));
        let strength = |password| config.compliance.check_strength(&Secret::new(password));
        assert!(strength("passw0rd").is_ok() && strength("password").is_err());
    }

    #[test]
    fn an_empty_file_gives_keystones_defaults() {
        let config = config("").unwrap();
        assert_eq!(config.identity.token_lifetime, TimeDelta::hours(1));
        assert_eq!(
            config.fernet_keys,
            PathBuf::from("/etc/keystone/fernet-keys/")
        );
        assert_eq!(config.hashing.algorithm, HashAlgorithm::Bcrypt { cost: 12 });
        assert_eq!(config.api.max_request_body_size, 114_688);
        assert_eq!(config.database, None);
        assert_eq!(config.mysql_wsrep_sync_wait, None);
        assert!(config.notices.is_empty(), "{:?}", config.notices);
    }

    #[test]
    fn what_cannot_be_used_is_named_with_its_line() {
        for (text, expected) in [
            (
                "[token]\nexpiration = soon\n",
                ":2: [token] expiration: \"soon\" is not a whole number",
            ),
            (
                "[token]\nprovider = uuid\n",
                ":2: [token] provider: \"uuid\" is not one of fernet, jws",
            ),
            (
                "[identity]\npassword_hash_rounds = 3\n",
                ":2: [identity] password_hash_rounds: 3 is not within 4..=31",
            ),
            (
                "[database]\nmysql_wsrep_sync_wait = 16\n",
                ":2: [database] mysql_wsrep_sync_wait: 16 is not within 0..=15",
            ),
            ("[token\n", ":1: a section's name must end with `]`"),
        ] {
            assert_eq!(error(text), expected);
        }
        let error = error("[security_compliance]\n\npassword_regex = (\n");
        assert!(
            error.starts_with(":3: [security_compliance] password_regex:"),
            "{error}"
        );
    }

    #[test]
    fn a_database_password_is_in_no_error_and_in_no_print() {
        let error = error("[database]\nconnection = oracle://keystone:hunter2@db/keystone\n");
        assert!(error.starts_with(":2: [database] connection:"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
        let config = config("[database]\nconnection = mysql://keystone:hunter2@db/k\n").unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn a_keystone_that_signs_its_tokens_is_followed() {
        let text = "[token]\nprovider = jws\n[jwt_tokens]\njws_private_key_repository = /k\n";
        let keys = config(text).unwrap().jws_keys.unwrap();
        assert_eq!(keys.private_directory, PathBuf::from("/k"));
        assert_eq!(
            keys.public_directory,
            PathBuf::from("/etc/keystone/jws-keys/public")
        );
    }

    #[test]
    fn a_negative_user_limit_is_none() {
        let text = "[credential]\nuser_limit = -1\n[application_credential]\nuser_limit = 4\n";
        let identity = config(text).unwrap().identity;
        assert_eq!(identity.credential_user_limit, None);
        assert_eq!(identity.application_credential_user_limit, Some(4));
    }

    #[test]
    fn a_list_limit_of_zero_is_none() {
        let text = "[DEFAULT]\nlist_limit = 0\n[catalog]\nlist_limit = 7\n";
        let identity = config(text).unwrap().identity;
        assert_eq!(identity.list_limit, None);
        assert_eq!(identity.catalog_list_limit, Some(7));
    }

    #[test]
    fn departures_from_keystone_are_chosen_one_by_one() {
        let none = config("").unwrap();
        assert_eq!(none.identity.departures, Departures::default());
        assert!(!none.exact_names);
        let text = "[archstone]\nexact_names = true\nrenew_password_hashes = yes\n";
        let two = config(text).unwrap();
        let expected = Departures {
            renew_password_hashes: true,
            ..Departures::default()
        };
        assert_eq!(two.identity.departures, expected);
        assert!(two.exact_names);
    }

    #[test]
    fn the_enforcement_model_is_one_of_two() {
        let text = "[unified_limit]\nenforcement_model = strict_two_level\n";
        let identity = config(text).unwrap().identity;
        assert_eq!(identity.enforcement_model, EnforcementModel::StrictTwoLevel);
        assert!(error("[unified_limit]\nenforcement_model = deep\n").contains("flat"));
    }
}
