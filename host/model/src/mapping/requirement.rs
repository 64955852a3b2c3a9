//! The left side of a rule: what an assertion must say for the rule to apply.

use fancy_regex::Regex;
use serde::Deserialize;
use serde_json::Value;

use super::MappingError;

/// One requirement about one attribute.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Requirement {
    #[serde(rename = "type")]
    pub(super) attribute: String,
    any_one_of: Option<Vec<Value>>,
    not_any_of: Option<Vec<Value>>,
    blacklist: Option<Vec<Value>>,
    whitelist: Option<Vec<Value>>,
    #[serde(default)]
    regex: bool,
}

/// How an assertion meets a requirement.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Met {
    No,
    /// Met, with nothing to put into the right side.
    Silently,
    With(Vec<String>),
}

impl Requirement {
    /// # Errors
    /// `Faulty` where a pattern cannot be used; it is never taken for one that does not match.
    pub(super) fn meet(&self, value: &str) -> Result<Met, MappingError> {
        let values: Vec<&str> = value.split(';').collect();
        let condition = |holds: bool| if holds { Met::Silently } else { Met::No };
        if let Some(wanted) = &self.any_one_of {
            return Ok(condition(self.named(wanted, &values)?.contains(&true)));
        }
        if let Some(unwanted) = &self.not_any_of {
            return Ok(condition(!self.named(unwanted, &values)?.contains(&true)));
        }
        let (list, kept) = match (&self.blacklist, &self.whitelist) {
            (Some(list), _) => (list, false),
            (None, Some(list)) => (list, true),
            (None, None) => return Ok(Met::With(values.into_iter().map(str::to_owned).collect())),
        };
        let named = self.named(list, &values)?;
        let mut left: Vec<String> = Vec::new();
        for (value, named) in values.into_iter().zip(named) {
            if named == kept && !left.iter().any(|known| known == value) {
                left.push(value.to_owned());
            }
        }
        Ok(Met::With(left))
    }

    /// Which of the values the list names.
    fn named(&self, list: &[Value], values: &[&str]) -> Result<Vec<bool>, MappingError> {
        if !self.regex {
            let is_listed = |value: &&str| list.iter().any(|item| item.as_str() == Some(value));
            return Ok(values.iter().map(is_listed).collect());
        }
        let patterns = list.iter().map(pattern).collect::<Result<Vec<_>, _>>()?;
        let mut named = Vec::new();
        for value in values {
            let mut matched = false;
            for pattern in &patterns {
                matched = matched || pattern.is_match(value).map_err(unusable)?;
            }
            named.push(matched);
        }
        Ok(named)
    }
}

fn pattern(item: &Value) -> Result<Regex, MappingError> {
    let text = item
        .as_str()
        .ok_or_else(|| MappingError::Faulty(format!("{item} is no regular expression")))?;
    Regex::new(text).map_err(unusable)
}

fn unusable(error: fancy_regex::Error) -> MappingError {
    MappingError::Faulty(format!("a regular expression cannot be used: {error}"))
}
