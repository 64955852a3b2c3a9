//! `[identity] domain_specific_drivers_enabled` and what goes with it: domains whose users live in a
//! directory.

use std::{collections::BTreeMap, fs, io, path::Path, time::Duration};

use archstone_identity::{ConfigSource, DirectoryConfig, DirectoryOptions, Unusable};
use archstone_model::domain_config::{CompleteConfig, ConfigOption, ConfigValue};
use serde_json::Value;

use super::{ConfigError, Result, source::Source};

/// The longest that an answer of a directory is believed without asking again.
const REMEMBERED_FOR: Duration = Duration::from_secs(5);
const DIRECTORY: &str = "/etc/keystone/domains";

type Files = BTreeMap<String, std::result::Result<Option<DirectoryConfig>, Unusable>>;

pub(super) fn directories(source: &Source) -> Result<DirectoryOptions> {
    let chosen = |option, default| source.bool("identity", option, default);
    let from_database = chosen("domain_configurations_from_database", false)?;
    let files = source.path("identity", "domain_config_dir")?;
    Ok(DirectoryOptions {
        source: match (
            chosen("domain_specific_drivers_enabled", false)?,
            from_database,
        ) {
            (false, _) => ConfigSource::Nowhere,
            (true, true) => ConfigSource::Database,
            (true, false) => {
                let directory = files.unwrap_or_else(|| DIRECTORY.into());
                ConfigSource::Files(domains(&directory)?)
            }
        },
        remembered_for: source.remembered_for("identity", REMEMBERED_FOR, REMEMBERED_FOR)?,
    })
}

/// What files named `keystone.DOMAIN.conf` say, in this directory and below. It need not be there.
fn domains(directory: &Path) -> Result<Files> {
    let mut domains = Files::new();
    let mut left = vec![directory.to_owned()];
    while let Some(directory) = left.pop() {
        let unreadable = |source: io::Error| ConfigError::Unreadable {
            path: directory.clone(),
            source,
        };
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries.map_err(unreadable)?,
        };
        for entry in entries {
            let path = entry.map_err(unreadable)?.path();
            if path.is_dir() {
                left.push(path);
                continue;
            }
            let name = path.file_name().and_then(|name| name.to_str());
            let domain = name
                .and_then(|name| name.strip_prefix("keystone."))
                .and_then(|name| name.strip_suffix(".conf"));
            if let Some(domain) = domain.filter(|domain| !domain.is_empty()) {
                domains.insert(domain.to_owned(), domain_in(&path)?);
            }
        }
    }
    Ok(domains)
}

fn domain_in(path: &Path) -> Result<std::result::Result<Option<DirectoryConfig>, Unusable>> {
    let mut source = Source::default();
    source.read(path)?;
    let mut options = Vec::new();
    for (group, option) in DirectoryConfig::options() {
        if let Some(text) = source.text(group, option)? {
            options.push(ConfigOption {
                group: group.to_owned(),
                option: option.to_owned(),
                // A file's text stands for itself, whatever per cent signs there are in it.
                value: ConfigValue::Sensitive(Value::from(text).to_string().into()),
            });
        }
    }
    Ok(DirectoryConfig::read(&CompleteConfig::new(options).0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> DirectoryOptions {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        let mut source = Source::default();
        source.read(file.path()).unwrap();
        directories(&source).unwrap()
    }

    #[test]
    fn nothing_is_looked_for_unless_it_is_asked_for() {
        assert!(matches!(read("").source, ConfigSource::Nowhere));
        let text = "[identity]\ndomain_specific_drivers_enabled = true\n\
                    domain_configurations_from_database = true\n";
        assert!(matches!(read(text).source, ConfigSource::Database));
    }

    #[test]
    fn domains_are_in_files_named_after_them() {
        let directory = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
        put(
            "keystone.a.b.conf",
            "[identity]\ndriver = ldap\n[ldap]\nuse_tls = true\npassword = 5%\n",
        );
        put("keystone.plain.conf", "[ldap]\nurl = ldap://x\n");
        put("keystone.odd.conf", "[identity]\ndriver = acme\n");
        put("keystone..conf", "[identity]\ndriver = ldap\n");
        put("other.conf", "[identity]\ndriver = ldap\n");
        let text = format!(
            "[identity]\ndomain_specific_drivers_enabled = true\ndomain_config_dir = {}\n",
            directory.path().display()
        );
        let ConfigSource::Files(files) = read(&text).source else {
            panic!()
        };
        assert_eq!(
            files.keys().collect::<Vec<_>>(),
            [".", "a.b", "odd", "plain"][1..]
        );
        assert!(matches!(files["a.b"], Ok(Some(_))));
        assert_eq!(files["plain"], Ok(None));
        assert_eq!(files["odd"], Err(Unusable::UnknownDriver));
    }

    #[test]
    fn nothing_is_remembered_where_nothing_is_to_be_cached() {
        let of = |text: &str| read(text).remembered_for;
        assert_eq!(of(""), REMEMBERED_FOR);
        assert_eq!(of("[cache]\nenabled = false\n"), Duration::ZERO);
        assert_eq!(of("[identity]\ncaching = false\n"), Duration::ZERO);
        assert_eq!(of("[identity]\ncache_time = 2\n"), Duration::from_secs(2));
        assert_eq!(of("[identity]\ncache_time = 600\n"), REMEMBERED_FOR);
    }
}
