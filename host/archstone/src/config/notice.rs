//! What to tell an operator about options that are given and do nothing.

use std::collections::HashMap;

use super::{
    error::Place,
    source::{self, Name, Source},
};

/// Options of Keystone 30 and the libraries it is configured with that nothing here reads. One a
/// line under its section; after `=`, the only behaviour that is supported.
const WITHOUT_EFFECT: &str = include_str!("without_effect.txt");

/// An option that does nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    pub place: Place,
    /// `[section] option`
    pub option: String,
    pub meaning: Meaning,
}

/// What it means that an option does nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// No such option in Keystone or here: misspelt, perhaps.
    Unknown,
    /// Asks for something other than the one thing that is supported.
    Unsupported { supported: &'static str },
    /// Nothing here needs it.
    WithoutEffect,
}

impl Notice {
    /// Writes the notice to the log.
    pub(crate) fn log(&self) {
        let (place, option) = (self.place.to_string(), self.option.as_str());
        match self.meaning {
            Meaning::Unknown => {
                tracing::warn!(place, option, "this option is not known and has no effect");
            }
            Meaning::Unsupported { supported } => {
                tracing::warn!(place, option, supported, "this value is not supported");
            }
            Meaning::WithoutEffect => {
                tracing::debug!(
                    place,
                    option,
                    "this option of Keystone's has no effect here"
                );
            }
        }
    }
}

/// A notice for each given option that nobody asked for, unless it asks for what happens anyway.
pub(super) fn notices(source: &Source) -> Vec<Notice> {
    let known = without_effect();
    let notice = |(section, option, text, place): (&str, &str, &str, &Place)| {
        let meaning = match known.get(&source::name(section, option)) {
            None => Meaning::Unknown,
            Some(None) => Meaning::WithoutEffect,
            Some(Some(supported)) if supported.eq_ignore_ascii_case(text) => return None,
            Some(Some(supported)) => Meaning::Unsupported { supported },
        };
        Some(Notice {
            place: place.clone(),
            option: format!("[{section}] {option}"),
            meaning,
        })
    };
    source.ignored().filter_map(notice).collect()
}

/// Each option that has no effect, with the supported value where there is one.
fn without_effect() -> HashMap<Name, Option<&'static str>> {
    let mut section = "";
    let mut options = HashMap::new();
    for line in WITHOUT_EFFECT.lines() {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            section = name;
        } else if !line.is_empty() {
            let (option, supported) = match line.split_once(" = ") {
                Some((option, supported)) => (option, Some(supported)),
                None => (line, None),
            };
            options.insert(source::name(section, option), supported);
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Config, ConfigFiles},
        *,
    };

    /// Every option of Keystone 30 with its default, as `oslo-config-generator` writes it.
    const SAMPLE: &str = include_str!("every_option.conf");

    fn source(text: &str) -> Source {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut source = Source::default();
        source.read(file.path()).unwrap();
        source
    }

    fn meanings(text: &str) -> Vec<(String, Meaning)> {
        let source = source(text);
        let config = Config::from_source(&source, &ConfigFiles::default()).unwrap();
        let notices = config.notices.into_iter();
        notices
            .map(|notice| (notice.option, notice.meaning))
            .collect()
    }

    #[test]
    fn a_stock_file_gives_no_warnings() {
        let warnings: Vec<_> = meanings(SAMPLE)
            .into_iter()
            .filter(|(_, meaning)| *meaning != Meaning::WithoutEffect)
            .collect();
        assert!(SAMPLE.contains("expiration = 3600"));
        assert!(warnings.is_empty(), "{warnings:?}");
    }

    #[test]
    fn no_option_with_an_effect_is_listed_as_without() {
        let source = source("");
        Config::from_source(&source, &ConfigFiles::default()).unwrap();
        let known = without_effect();
        for name in source.asked() {
            assert!(!known.contains_key(&name), "{name:?}");
        }
    }

    #[test]
    fn what_somebody_may_miss_is_a_warning() {
        let text = "[identity]\ndriver = ldap\n[token]\nexpiry = 3\n[totally]\nnew = 1\n\
                    [credential]\ndriver = sql\n[default]\nlog_file = x\n";
        let expected = [
            ("[DEFAULT] log_file".to_owned(), Meaning::WithoutEffect),
            (
                "[identity] driver".to_owned(),
                Meaning::Unsupported { supported: "sql" },
            ),
            ("[token] expiry".to_owned(), Meaning::Unknown),
            ("[totally] new".to_owned(), Meaning::Unknown),
        ];
        assert_eq!(meanings(text), expected);
    }

    #[test]
    fn an_option_that_others_refer_to_has_an_effect() {
        let text = "[DEFAULT]\nstate = /var\n[fernet_tokens]\nkey_repository = $state/keys\n";
        assert_eq!(meanings(text), []);
    }
}
