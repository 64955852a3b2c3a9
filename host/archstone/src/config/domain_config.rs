//! `[domain_config]`, and the options that domains may have other values of.

use std::collections::BTreeMap;

use archstone_identity::DomainConfigOptions;
use archstone_model::domain_config::{ConfigOptions, OptionKind, SERVER_OPTIONS, SupportedOptions};
use serde_json::Value;

use super::{Result, source::Source};

type Groups = BTreeMap<String, Vec<String>>;

pub(super) fn domain_config(source: &Source) -> Result<DomainConfigOptions> {
    let groups = |option| -> Result<Groups> {
        let groups = source.read_as("domain_config", option, options_by_group)?;
        Ok(groups.unwrap_or_default())
    };
    let supported = SupportedOptions::default().with_additional(
        groups("additional_whitelisted_options")?,
        groups("additional_sensitive_options")?,
    );
    // To be told what they are changes nothing for these options: they have no other effect.
    let defaults = source.unnoticed(|source| defaults(source, &supported))?;
    Ok(DomainConfigOptions {
        supported,
        defaults,
    })
}

fn defaults(source: &Source, supported: &SupportedOptions) -> Result<ConfigOptions> {
    let mut defaults = ConfigOptions::default();
    for (group, option) in supported.readable() {
        let known = SERVER_OPTIONS.iter().find(|(name, _)| *name == group);
        let known = known.and_then(|(_, options)| options.iter().find(|o| o.name == option));
        // What an operator allows besides has no type that is known here.
        let kind = known.map_or(OptionKind::Text(None), |known| known.kind);
        defaults.insert(group, option, value(source, group, option, kind)?);
    }
    Ok(defaults)
}

/// The server's value of an option, or its default.
fn value(source: &Source, section: &str, option: &str, kind: OptionKind) -> Result<Value> {
    let given: Option<Value> = match kind {
        OptionKind::Text(_) => source.text(section, option)?.map(Value::from),
        OptionKind::Choice(words, default) => {
            let choices: Vec<_> = words.iter().map(|word| (*word, *word)).collect();
            Some(source.choice(section, option, &choices, default)?.into())
        }
        OptionKind::Integer { least, .. } => source
            .integer::<i64>(section, option, least..)?
            .map(Value::from),
        OptionKind::Real(_) => source
            .read_as(section, option, |text| {
                let number: Option<f64> = text.trim().parse().ok();
                number.ok_or_else(|| format!("{text:?} is not a number"))
            })?
            .map(Value::from),
        OptionKind::Bool(_) => match source.text(section, option)? {
            Some(_) => Some(source.bool(section, option, false)?.into()),
            None => None,
        },
        OptionKind::List(_) => source.list(section, option)?.map(Value::from),
    };
    Ok(given.unwrap_or_else(|| kind.into()))
}

/// Lists of options by group, as in `ldap:[url,user],acme:[token]`.
fn options_by_group(text: &str) -> std::result::Result<Groups, String> {
    let malformed = || format!("{text:?} has not the form group:[option,option],group:[option]");
    let mut groups = Groups::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (group, after) = rest.split_once(":[").ok_or_else(malformed)?;
        let (options, after) = after.split_once(']').ok_or_else(malformed)?;
        let options = options.split(',').map(str::trim);
        groups.insert(
            group.trim().to_owned(),
            options
                .filter(|option| !option.is_empty())
                .map(str::to_owned)
                .collect(),
        );
        rest = match after.trim() {
            "" => "",
            after => after.strip_prefix(',').ok_or_else(malformed)?.trim(),
        };
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use archstone_model::domain_config::ConfigPart;
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> DomainConfigOptions {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut source = Source::default();
        source.read(file.path()).unwrap();
        domain_config(&source).unwrap()
    }

    #[test]
    fn an_empty_file_gives_the_defaults_that_the_service_has_itself() {
        let defaults = DomainConfigOptions::default().defaults;
        assert_eq!(read("").defaults.into_value(), defaults.into_value());
    }

    #[test]
    fn what_the_server_is_configured_with_is_the_default_of_domains() {
        let options = read(
            "[ldap]\nurl = ldap://dir\npool_size = 3\nchase_referrals = no\n\
             pool_retry_delay = 2.5\nuser_attribute_ignore = a,b\nsuffix = dc=x\n",
        );
        let ldap = options.defaults.part(&ConfigPart::Group("ldap".into()));
        let ldap = &ldap.unwrap()["ldap"];
        assert_eq!(ldap["url"], json!("ldap://dir"));
        assert_eq!(ldap["pool_size"], json!(3));
        assert_eq!(ldap["chase_referrals"], json!(false));
        assert_eq!(ldap["pool_retry_delay"], json!(2.5));
        assert_eq!(ldap["user_attribute_ignore"], json!(["a", "b"]));
        assert_eq!(ldap["user_filter"], json!(null));
    }

    #[test]
    fn an_operator_can_allow_more() {
        let text = "[domain_config]\nadditional_whitelisted_options = acme:[url, user],b:[x]\n\
                    additional_sensitive_options = acme:[token]\n[acme]\nurl = u\n";
        let options = read(text);
        let acme = ConfigPart::Group("acme".into());
        assert!(options.supported.check(&acme).is_ok());
        let expected = json!({ "acme": { "url": "u", "user": null } });
        assert_eq!(options.defaults.part(&acme), Some(expected));
        for malformed in ["acme", "acme:url", "acme:[url", "a:[b] c:[d]"] {
            assert!(options_by_group(malformed).is_err(), "{malformed}");
        }
    }
}
