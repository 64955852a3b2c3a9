//! `keystone.conf`: oslo.config's INI files, overridden by `OS_GROUP__OPTION` in the environment.
//! Options of Keystone's that have no effect here are accepted; unknown ones of Archstone's own
//! section are reported.

use std::{
    collections::HashMap,
    fmt::Display,
    fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::{Context, Result, anyhow, bail};
use archstone_api as api;
use archstone_identity::{HashAlgorithm, HashOptions, Options};
use archstone_model::{password_rules::{PasswordPattern, PasswordRules}, policy::PolicyOptions};
use archstone_store::DatabaseUrl;
use chrono::TimeDelta;
use ini::{Ini, ParseOption};

/// Everything an operator can set.
#[derive(Debug)]
pub(crate) struct Config {
    pub debug: bool,
    pub text_logs: bool,
    pub listen: String,
    /// Commands that only look at keys and files do without.
    pub database: Option<DatabaseUrl>,
    pub max_connections: u32,
    pub fernet_keys: PathBuf,
    pub max_active_keys: usize,
    pub receipt_keys: PathBuf,
    pub credential_keys: PathBuf,
    pub plugin_dir: Option<PathBuf>,
    pub plugin_cache: Option<PathBuf>,
    pub policy_file: Option<PathBuf>,
    pub policy: PolicyOptions,
    pub identity: Options,
    pub hashing: HashOptions,
    pub compliance: PasswordRules,
    pub api: api::Options,
    pub unknown: Vec<String>,
}

/// `[archstone]`, the section of our own: a misspelling here is worth a warning.
const OWN_OPTIONS: [&str; 4] = ["listen", "plugin_directory", "plugin_cache", "log_format"];

impl Config {
    /// Reads the files in order.
    ///
    /// # Errors
    /// Names the file, the section and the option that cannot be used.
    pub(crate) fn load(files: &[PathBuf]) -> Result<Self> {
        let mut raw = Raw::default();
        for file in files {
            raw.read(file)?;
        }
        raw.into_config(files.last().map(PathBuf::as_path))
    }
}

/// Options as text, by section and name in lower case.
#[derive(Debug, Default)]
struct Raw {
    values: HashMap<(String, String), String>,
}

impl Raw {
    fn read(&mut self, file: &Path) -> Result<()> {
        let text =
            fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let options = ParseOption {
            enabled_quote: false,
            enabled_escape: false,
            enabled_indented_mutiline_value: true,
            ..ParseOption::default()
        };
        let ini = Ini::load_from_str_opt(&text, options)
            .map_err(|error| anyhow!("{}: {error}", file.display()))?;
        for (section, properties) in &ini {
            let section = section.unwrap_or("DEFAULT");
            for (name, value) in properties.iter() {
                let key = (section.to_lowercase(), name.to_lowercase());
                self.values.insert(key, value.trim().to_owned());
            }
        }
        Ok(())
    }

    fn text(&self, section: &str, name: &str) -> Option<String> {
        let variable = format!("OS_{}__{}", section.to_uppercase(), name.to_uppercase());
        std::env::var(variable)
            .ok()
            .or_else(|| {
                self.values
                    .get(&(section.to_lowercase(), name.to_owned()))
                    .cloned()
            })
            .filter(|value| !value.is_empty() && value != "<None>")
    }

    fn parsed<T: FromStr>(&self, section: &str, name: &str) -> Result<Option<T>>
    where
        T::Err: Display,
    {
        self.text(section, name)
            .map(|text| {
                text.parse()
                    .map_err(|error| anyhow!("[{section}] {name} = {text}: {error}"))
            })
            .transpose()
    }

    fn bool(&self, section: &str, name: &str, default: bool) -> Result<bool> {
        match self
            .text(section, name)
            .map(|text| text.to_lowercase())
            .as_deref()
        {
            None => Ok(default),
            Some("true" | "1" | "yes" | "on") => Ok(true),
            Some("false" | "0" | "no" | "off") => Ok(false),
            Some(other) => bail!("[{section}] {name} = {other}: expected true or false"),
        }
    }

    fn seconds(&self, section: &str, name: &str, default: i64) -> Result<TimeDelta> {
        let seconds = self.parsed(section, name)?.unwrap_or(default);
        TimeDelta::try_seconds(seconds)
            .ok_or_else(|| anyhow!("[{section}] {name} = {seconds}: too many seconds"))
    }

    fn list(&self, section: &str, name: &str) -> Option<Vec<String>> {
        self.text(section, name).map(|text| {
            text.split(',')
                .map(|item| item.trim().to_owned())
                .filter(|item| !item.is_empty())
                .collect()
        })
    }

    fn into_config(self, last_file: Option<&Path>) -> Result<Config> {
        let path = |section: &str, name: &str, default: &str| {
            PathBuf::from(
                self.text(section, name)
                    .unwrap_or_else(|| default.to_owned()),
            )
        };
        let database = self
            .text("database", "connection")
            .map(|connection| DatabaseUrl::parse(&connection))
            .transpose()
            .context("[database] connection")?;
        // oslo.policy looks for policy.yaml beside the configuration.
        let policy_name = self.text("oslo_policy", "policy_file");
        let beside = last_file.and_then(Path::parent);
        let policy_path =
            beside.map(|directory| directory.join(policy_name.as_deref().unwrap_or("policy.yaml")));
        let policy_file = policy_path.filter(|path| policy_name.is_some() || path.exists());
        let fernet_keys = path(
            "fernet_tokens",
            "key_repository",
            "/etc/keystone/fernet-keys/",
        );
        Ok(Config {
            debug: self.bool("DEFAULT", "debug", false)?,
            text_logs: self.text("archstone", "log_format").as_deref() == Some("text"),
            listen: self
                .text("archstone", "listen")
                .unwrap_or_else(|| "127.0.0.1:5000".to_owned()),
            database,
            max_connections: self.parsed("database", "max_pool_size")?.unwrap_or(16),
            receipt_keys: self
                .text("fernet_receipts", "key_repository")
                .map_or_else(|| fernet_keys.clone(), PathBuf::from),
            fernet_keys,
            max_active_keys: self
                .parsed("fernet_tokens", "max_active_keys")?
                .unwrap_or(3),
            credential_keys: path(
                "credential",
                "key_repository",
                "/etc/keystone/credential-keys/",
            ),
            plugin_dir: self
                .text("archstone", "plugin_directory")
                .map(PathBuf::from),
            plugin_cache: self.text("archstone", "plugin_cache").map(PathBuf::from),
            policy_file,
            policy: PolicyOptions {
                enforce_scope: self.bool("oslo_policy", "enforce_scope", true)?,
            },
            identity: self.identity()?,
            hashing: self.hashing()?,
            compliance: self.compliance()?,
            api: api::Options {
                public_endpoint: self.text("DEFAULT", "public_endpoint"),
                max_request_body_size: self
                    .parsed("oslo_middleware", "max_request_body_size")?
                    .unwrap_or(114_688),
            },
            unknown: self.unknown(),
        })
    }

    fn identity(&self) -> Result<Options> {
        let defaults = Options::default();
        let strict = |name: &str| self.text("resource", name).as_deref() == Some("strict");
        Ok(Options {
            auth_methods: self
                .list("auth", "methods")
                .unwrap_or(defaults.auth_methods),
            token_lifetime: self.seconds("token", "expiration", 3600)?,
            allow_expired_window: self.seconds("token", "allow_expired_window", 48 * 3600)?,
            allow_rescope_scoped_token: self.bool("token", "allow_rescope_scoped_token", true)?,
            receipt_lifetime: self.seconds("receipt", "expiration", 300)?,
            default_domain_id: self
                .text("identity", "default_domain_id")
                .map_or(defaults.default_domain_id, Into::into),
            list_limit: self.parsed("DEFAULT", "list_limit")?,
            application_credential_user_limit: self
                .limit("application_credential", "user_limit")?,
            credential_user_limit: self.limit("credential", "user_limit")?,
            strict_project_names: strict("project_name_url_safe"),
            strict_domain_names: strict("domain_name_url_safe"),
            prohibited_implied_roles: self
                .list("assignment", "prohibited_implied_role")
                .unwrap_or(defaults.prohibited_implied_roles),
            max_project_tree_depth: self
                .parsed("DEFAULT", "max_project_tree_depth")?
                .unwrap_or(5),
        })
    }

    /// A limit where a negative number means none.
    fn limit(&self, section: &str, name: &str) -> Result<Option<u64>> {
        Ok(self
            .parsed::<i64>(section, name)?
            .and_then(|limit| limit.try_into().ok()))
    }

    fn hashing(&self) -> Result<HashOptions> {
        let rounds: Option<u32> = self.parsed("identity", "password_hash_rounds")?;
        let cost = rounds.unwrap_or(12);
        let name = self.text("identity", "password_hash_algorithm");
        let algorithm = match name.as_deref() {
            None | Some("bcrypt") => HashAlgorithm::Bcrypt { cost },
            Some("bcrypt_sha256") => HashAlgorithm::BcryptSha256 { cost },
            Some("scrypt") => HashAlgorithm::Scrypt {
                block_size: self.parsed("identity", "scrypt_block_size")?.unwrap_or(8),
                parallelism: self.parsed("identity", "scrypt_parallelism")?.unwrap_or(1),
            },
            Some("pbkdf2_sha512") => HashAlgorithm::Pbkdf2Sha512 {
                rounds: rounds.unwrap_or(25_000),
            },
            Some(other) => bail!(
                "[identity] password_hash_algorithm = {other}: use bcrypt, bcrypt_sha256, scrypt or pbkdf2_sha512"
            ),
        };
        Ok(HashOptions {
            algorithm,
            max_length: self
                .parsed("identity", "max_password_length")?
                .unwrap_or(4096),
            strict: self.bool("DEFAULT", "strict_password_check", false)?,
            ..HashOptions::default()
        })
    }

    fn compliance(&self) -> Result<PasswordRules> {
        const SECTION: &str = "security_compliance";
        let attempts = self.parsed(SECTION, "lockout_failure_attempts")?;
        Ok(PasswordRules {
            lockout_failure_attempts: attempts,
            lockout_duration: Some(self.seconds(SECTION, "lockout_duration", 1800)?),
            disable_after_days_inactive: self
                .parsed(SECTION, "disable_user_account_days_inactive")?,
            password_expires_days: self.parsed(SECTION, "password_expires_days")?,
            unique_last_password_count: self
                .parsed(SECTION, "unique_last_password_count")?
                .unwrap_or(0),
            minimum_password_age_days: self.parsed(SECTION, "minimum_password_age")?.unwrap_or(0),
            password_regex: self
                .text(SECTION, "password_regex")
                .map(|expression| PasswordPattern::new(&expression))
                .transpose()
                .context("[security_compliance] password_regex")?,
            password_regex_description: self.text(SECTION, "password_regex_description"),
            change_password_upon_first_use: self.bool(
                SECTION,
                "change_password_upon_first_use",
                false,
            )?,
        })
    }

    fn unknown(&self) -> Vec<String> {
        let mut unknown: Vec<String> = self
            .values
            .keys()
            .filter(|(section, name)| {
                section == "archstone" && !OWN_OPTIONS.contains(&name.as_str())
            })
            .map(|(section, name)| format!("[{section}] {name}"))
            .collect();
        unknown.sort();
        unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Result<Config> {
        let file = tempfile::NamedTempFile::new()?;
        fs::write(file.path(), text)?;
        Config::load(&[file.path().to_owned()])
    }

    #[test]
    fn a_keystone_conf_is_understood() {
        let config = config(
            "[DEFAULT]\ndebug = true\n# a comment\n[database]\n\
             connection = mysql+pymysql://keystone:pa%ss@db/keystone?charset=utf8\n\
             [token]\nexpiration = 7200\n[auth]\nmethods = password,token,totp\n\
             [security_compliance]\nlockout_failure_attempts = 5\n",
        )
        .unwrap();
        assert!(config.debug);
        assert_eq!(config.identity.token_lifetime, TimeDelta::hours(2));
        assert_eq!(config.identity.auth_methods, ["password", "token", "totp"]);
        assert_eq!(config.compliance.lockout_failure_attempts, Some(5));
    }

    #[test]
    fn a_value_of_the_wrong_type_is_named() {
        let error = config("[database]\nconnection = sqlite://\n[token]\nexpiration = soon\n");
        assert!(format!("{:#}", error.unwrap_err()).contains("[token] expiration = soon"));
    }

    #[test]
    fn a_misspelled_option_of_our_own_is_reported() {
        let config = config("[database]\nconnection = sqlite://\n[archstone]\nlitsen = x\n");
        assert_eq!(config.unwrap().unknown, ["[archstone] litsen"]);
    }
}
