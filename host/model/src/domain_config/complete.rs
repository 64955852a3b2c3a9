//! The whole configuration of a domain as its driver needs it: what is sensitive included, and put in
//! place of each `%(name)s` in what is readable.

use std::{collections::BTreeMap, fmt};

use serde_json::{Map, Value};

use super::{ConfigOption, ConfigValue};

/// A domain's whole configuration. It holds secrets in any option, so it never prints.
#[derive(Clone, Default, PartialEq)]
pub struct CompleteConfig(BTreeMap<String, Map<String, Value>>);

/// A readable option whose references could not be put in: it stays as it is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadReference {
    /// Perhaps the option is yet to be added.
    #[error("option {option} of group {group} refers to an option that is not set")]
    Unmatched { group: String, option: String },
    #[error("option {option} of group {group} refers to another in a wrong form")]
    Malformed { group: String, option: String },
}

impl CompleteConfig {
    /// Puts what is sensitive in place of the references to it. A reference names an option and no
    /// group; of two sensitive options of one name, the later counts.
    ///
    /// What could not be put in is told besides.
    pub fn new(options: Vec<ConfigOption>) -> (Self, Vec<BadReference>) {
        let mut secrets = BTreeMap::new();
        let (mut readable, mut sensitive) = (Vec::new(), Vec::new());
        for ConfigOption {
            group,
            option,
            value,
        } in options
        {
            match value {
                ConfigValue::Readable(value) => readable.push((group, option, value)),
                ConfigValue::Sensitive(text) => {
                    // The driver is what the secret is for.
                    let value: Value = serde_json::from_str(text.expose()).unwrap_or_default();
                    secrets.insert(option.clone(), value.clone());
                    sensitive.push((group, option, value));
                }
            }
        }
        let mut bad = Vec::new();
        for (group, option, value) in &mut readable {
            let Value::String(text) = value else {
                continue;
            };
            match substituted(text, &secrets) {
                Ok(complete) => *text = complete,
                Err(problem) => {
                    let (group, option) = (group.clone(), option.clone());
                    bad.push(match problem {
                        Problem::Unmatched => BadReference::Unmatched { group, option },
                        Problem::Malformed => BadReference::Malformed { group, option },
                    });
                }
            }
        }
        let mut config = Self::default();
        for (group, option, value) in readable.into_iter().chain(sensitive) {
            config.0.entry(group).or_default().insert(option, value);
        }
        (config, bad)
    }

    /// Whether the domain has no configuration.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// An option that is set. Name the reason at each call: this is where a leak would start.
    pub fn expose(&self, group: &str, option: &str) -> Option<&Value> {
        self.0.get(group)?.get(option)
    }

    /// The names of the options that are set in a group.
    pub fn options(&self, group: &str) -> impl Iterator<Item = &str> {
        let options = self.0.get(group).into_iter().flat_map(Map::keys);
        options.map(String::as_str)
    }
}

impl fmt::Debug for CompleteConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|(group, options)| {
            let options: Vec<&String> = options.keys().collect();
            (group, options)
        });
        f.debug_map().entries(names).finish()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Problem {
    Unmatched,
    Malformed,
}

/// Python's `text % secrets`, for what can stand for text: `%(name)s` with flags, width and precision,
/// and `%%`. A conversion without a name would be all secrets at once, and is refused.
fn substituted(text: &str, secrets: &BTreeMap<String, Value>) -> Result<String, Problem> {
    let mut complete = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        complete.push_str(before);
        if let Some(after) = after.strip_prefix('%') {
            complete.push('%');
            rest = after;
            continue;
        }
        let (name, after) = reference(after)?;
        let secret = secrets.get(name).ok_or(Problem::Unmatched)?;
        let (form, after) = Form::read(after)?;
        form.write(secret, &mut complete)?;
        rest = after;
    }
    complete.push_str(rest);
    Ok(complete)
}

/// The name in parentheses, which may hold pairs of them.
fn reference(text: &str) -> Result<(&str, &str), Problem> {
    let inner = text.strip_prefix('(').ok_or(Problem::Malformed)?;
    let mut open = 1;
    for (place, c) in inner.char_indices() {
        match c {
            '(' => open += 1,
            ')' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Ok((&inner[..place], &inner[place + 1..]));
        }
    }
    Err(Problem::Malformed)
}

/// How a reference is to be written.
struct Form {
    to_the_left: bool,
    width: usize,
    precision: Option<usize>,
    conversion: char,
}

impl Form {
    /// Wider than any option is.
    const MOST: usize = 4096;

    fn read(text: &str) -> Result<(Self, &str), Problem> {
        let unflagged = text.trim_start_matches(['-', '+', ' ', '#', '0']);
        let flags = &text[..text.len() - unflagged.len()];
        let (width, rest) = number(unflagged)?;
        let (precision, rest) = match rest.strip_prefix('.') {
            Some(rest) => number(rest).map(|(number, rest)| (Some(number), rest))?,
            None => (None, rest),
        };
        // Lengths of C's types say nothing.
        let rest = rest.strip_prefix(['h', 'l', 'L']).unwrap_or(rest);
        let conversion = rest.chars().next().ok_or(Problem::Malformed)?;
        let form = Self {
            to_the_left: flags.contains('-'),
            width,
            precision,
            conversion,
        };
        Ok((form, &rest[conversion.len_utf8()..]))
    }

    fn write(&self, secret: &Value, complete: &mut String) -> Result<(), Problem> {
        let text = match (self.conversion, secret) {
            ('s', Value::String(text)) => text.clone(),
            ('s' | 'd' | 'i' | 'u', Value::Number(number)) if !number.is_f64() => {
                number.to_string()
            }
            ('s', Value::Bool(true)) => "True".to_owned(),
            ('s', Value::Bool(false)) => "False".to_owned(),
            ('s', Value::Null) => "None".to_owned(),
            _ => return Err(Problem::Malformed),
        };
        let cut = match (self.precision, self.conversion) {
            (Some(most), 's') => text.chars().take(most).collect(),
            (Some(_), _) => return Err(Problem::Malformed),
            (None, _) => text,
        };
        let blanks = " ".repeat(self.width.saturating_sub(cut.chars().count()));
        let (before, after) = if self.to_the_left {
            ("", blanks.as_str())
        } else {
            (blanks.as_str(), "")
        };
        complete.extend([before, &cut, after]);
        Ok(())
    }
}

/// A number at the beginning; none is 0.
fn number(text: &str) -> Result<(usize, &str), Problem> {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = &text[..text.len() - rest.len()];
    if digits.is_empty() {
        return Ok((0, rest));
    }
    let number: usize = digits.parse().map_err(|_| Problem::Malformed)?;
    if number > Form::MOST {
        return Err(Problem::Malformed);
    }
    Ok((number, rest))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn readable(group: &str, option: &str, value: Value) -> ConfigOption {
        ConfigOption {
            group: group.into(),
            option: option.into(),
            value: ConfigValue::Readable(value),
        }
    }

    fn sensitive(group: &str, option: &str, value: Value) -> ConfigOption {
        ConfigOption {
            group: group.into(),
            option: option.into(),
            value: ConfigValue::Sensitive(value.to_string().into()),
        }
    }

    fn url_of(text: &str, password: Value) -> (Value, Vec<BadReference>) {
        let (config, bad) = CompleteConfig::new(vec![
            readable("ldap", "url", json!(text)),
            sensitive("ldap", "password", password),
        ]);
        (config.expose("ldap", "url").unwrap().clone(), bad)
    }

    /// What Python makes of `text % {"password": "hunter2"}`.
    #[test]
    fn references_are_put_in_as_python_does() {
        for (text, complete) in [
            ("ldap://%(password)s@x", "ldap://hunter2@x"),
            ("%(password)s%(password)s", "hunter2hunter2"),
            ("100%% %(password)s", "100% hunter2"),
            ("%(password)10s|", "   hunter2|"),
            ("%(password)-10s|", "hunter2   |"),
            ("%(password)03s|", "hunter2|"),
            ("%(password).3s|", "hun|"),
            ("%(password)10.3s|", "       hun|"),
            ("%(password).s|", "|"),
            ("%(password)ls|", "hunter2|"),
            ("%%(password)s", "%(password)s"),
            ("nothing", "nothing"),
            ("", ""),
        ] {
            let (url, bad) = url_of(text, json!("hunter2"));
            assert_eq!(url, json!(complete), "{text}");
            assert_eq!(bad, [], "{text}");
        }
    }

    #[test]
    fn what_cannot_be_put_in_stays_as_it_is() {
        let unmatched = ["%(user)s", "%(password)s%(user)s", "%()s", "%((password))s"];
        let malformed = [
            "%",
            "50% of",
            "%s",
            "%(password)",
            "%(password)%",
            "%(password",
            "%(password)d",
            "%(password)5",
            "%(password)x",
            "%(password)*s",
            "%(password)99999999999999999999s",
        ];
        let named = |text: &&str| url_of(text, json!("hunter2"));
        for text in unmatched {
            let (url, bad) = named(&text);
            assert_eq!(url, json!(text));
            assert!(
                matches!(&bad[..], [BadReference::Unmatched { .. }]),
                "{text}"
            );
        }
        for text in malformed {
            let (url, bad) = named(&text);
            assert_eq!(url, json!(text));
            assert!(
                matches!(&bad[..], [BadReference::Malformed { .. }]),
                "{text}"
            );
        }
    }

    #[test]
    fn secrets_that_are_no_text_are_written_as_python_writes_them() {
        for (secret, complete) in [
            (json!(5), "5"),
            (json!(true), "True"),
            (json!(null), "None"),
        ] {
            assert_eq!(url_of("%(password)s", secret).0, json!(complete));
        }
        assert_eq!(url_of("%(password)3d", json!(5)).0, json!("  5"));
    }

    #[test]
    fn only_text_holds_references_and_a_secret_goes_before_what_is_readable() {
        let list = json!(["%(password)s"]);
        let (config, bad) = CompleteConfig::new(vec![
            sensitive("ldap", "password", json!("hunter2")),
            readable("ldap", "user_attribute_ignore", list.clone()),
            readable("ldap", "page_size", json!(5)),
            readable("identity", "driver", json!("%(password)s")),
            readable("ldap", "password", json!("not this one")),
        ]);
        assert_eq!(bad, []);
        assert_eq!(config.expose("ldap", "user_attribute_ignore"), Some(&list));
        assert_eq!(config.expose("ldap", "page_size"), Some(&json!(5)));
        assert_eq!(config.expose("ldap", "password"), Some(&json!("hunter2")));
        // A secret of one group reaches the options of every group.
        assert_eq!(config.expose("identity", "driver"), Some(&json!("hunter2")));
        assert_eq!(config.expose("ldap", "url"), None);
        assert_eq!(config.options("identity").collect::<Vec<_>>(), ["driver"]);
        assert!(!config.is_empty() && CompleteConfig::new(Vec::new()).0.is_empty());
    }

    #[test]
    fn neither_the_configuration_nor_a_complaint_tells_a_secret() {
        let (config, bad) = CompleteConfig::new(vec![
            sensitive("ldap", "password", json!("hunter2")),
            readable("ldap", "url", json!("%(password)s")),
            readable("ldap", "user", json!("%(password)s%(x)s")),
        ]);
        assert!(!format!("{config:?} {bad:?} {}", bad[0]).contains("hunter2"));
        assert!(format!("{config:?}").contains("url"));
    }
}
