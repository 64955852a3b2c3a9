//! What a claim's value has to be: a pattern, one of several, or a value as it stands.

use std::collections::BTreeMap;

use archstone_plugin::{ConfigError, Denial};
use regex_lite::{Regex, RegexBuilder};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Claims;

/// What claims have to say, all of them, by name or JSON pointer.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct BoundClaims(BTreeMap<String, Binding>);

impl BoundClaims {
    /// JSON Schema of them.
    pub fn schema() -> Value {
        let text = json!({"type": "string", "minLength": 1});
        let value = json!({"anyOf": [
            {"type": ["string", "boolean", "number"]},
            {
                "type": "object",
                "properties": {"regex": text},
                "required": ["regex"],
                "additionalProperties": false,
            },
        ]});
        json!({
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"anyOf": [
                value,
                {"type": "array", "items": value, "minItems": 1},
            ]},
            "description": "What claims have to say, by name or JSON pointer: a pattern with `*` (within a part) and `**`, {\"regex\": ...}, a number or truth value, or a list of which one will do",
        })
    }

    /// What the schema cannot say.
    ///
    /// # Errors
    /// The first regular expression that is none, of a configuration's `bound_claims`.
    pub fn check(&self) -> Result<(), ConfigError> {
        for (path, binding) in &self.0 {
            let escaped = path.replace('~', "~0").replace('/', "~1");
            binding
                .check()
                .map_err(|what| ConfigError::at(format!("/bound_claims/{escaped}"), what))?;
        }
        Ok(())
    }

    /// # Errors
    /// A denial, where a claim is missing or says something else.
    pub fn require(&self, claims: &Claims) -> Result<(), Denial> {
        for (path, binding) in &self.0 {
            if !claims.at(path).is_some_and(|value| binding.allows(value)) {
                let detail = format!("the token's `{path}` is not one that is allowed");
                return Err(Denial::rejected(detail));
            }
        }
        Ok(())
    }
}

/// What a claim may say.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Binding {
    Pattern(Glob),
    Regex { regex: String },
    Exactly(Plain),
    AnyOf(Vec<Binding>),
}

/// A number or a truth value.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Plain {
    Truth(bool),
    Number(serde_json::Number),
}

impl Binding {
    /// Whether its regular expressions are some.
    ///
    /// # Errors
    /// What is wrong with one that is none.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Regex { regex } => anchored(regex).map(drop).map_err(|error| error.to_string()),
            Self::AnyOf(several) => several.iter().try_for_each(Self::check),
            Self::Pattern(_) | Self::Exactly(_) => Ok(()),
        }
    }

    /// Whether the value is allowed. Of a list, one item has to be.
    pub fn allows(&self, value: &Value) -> bool {
        if let Value::Array(items) = value {
            return items
                .iter()
                .any(|item| !item.is_array() && self.allows(item));
        }
        match self {
            Self::AnyOf(several) => several.iter().any(|one| one.allows(value)),
            Self::Pattern(glob) => value.as_str().is_some_and(|text| glob.matches(text)),
            Self::Regex { regex } => value
                .as_str()
                .is_some_and(|text| anchored(regex).is_ok_and(|regex| regex.is_match(text))),
            Self::Exactly(Plain::Truth(truth)) => value.as_bool() == Some(*truth),
            Self::Exactly(Plain::Number(number)) => value.as_number() == Some(number),
        }
    }
}

/// A text in which `*` is any run of characters but `/` and `:`, and `**` any run at all.
///
/// Platforms put several parts into one claim, `repo:org/app:environment:prod`, and let their users
/// choose some of them. A `*` that went past a separator would let a part that somebody chooses
/// pass for the next one.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(from = "String")]
pub struct Glob(Vec<Piece>);

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Text(String),
    WithinPart,
    Anything,
}

impl From<String> for Glob {
    fn from(pattern: String) -> Self {
        let mut pieces = Vec::new();
        let mut rest = pattern.as_str();
        while let Some(place) = rest.find('*') {
            if place > 0 {
                pieces.push(Piece::Text(rest[..place].to_owned()));
            }
            let stars = rest[place..]
                .bytes()
                .take_while(|byte| *byte == b'*')
                .count();
            pieces.push(match stars {
                1 => Piece::WithinPart,
                _ => Piece::Anything,
            });
            rest = &rest[place + stars..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Self(pieces)
    }
}

impl Glob {
    /// Whether the whole text is of this pattern. Takes no longer than the product of the two
    /// lengths.
    pub fn matches(&self, text: &str) -> bool {
        // The places in the text that the pieces so far can end at.
        let mut ends = vec![false; text.len() + 1];
        ends[0] = true;
        for piece in &self.0 {
            let mut next = vec![false; text.len() + 1];
            match piece {
                Piece::Text(wanted) => {
                    let reached = (0..=text.len()).filter(|place| ends[*place]);
                    for place in reached {
                        if text.as_bytes()[place..].starts_with(wanted.as_bytes()) {
                            next[place + wanted.len()] = true;
                        }
                    }
                }
                Piece::WithinPart | Piece::Anything => {
                    let mut within = false;
                    for (place, end) in ends.iter().enumerate() {
                        within = within || *end;
                        next[place] = within;
                        let separator = matches!(text.as_bytes().get(place), Some(b'/' | b':'));
                        if separator && *piece == Piece::WithinPart {
                            within = false;
                        }
                    }
                }
            }
            ends = next;
        }
        ends[text.len()]
    }
}

/// The largest regular expression, compiled.
const LARGEST: usize = 256 << 10;

/// A regular expression that the whole text has to be of.
fn anchored(expression: &str) -> Result<Regex, regex_lite::Error> {
    let compile = |expression: &str| RegexBuilder::new(expression).size_limit(LARGEST).build();
    // Alone first, so that it cannot close the group that it is put into.
    compile(expression)?;
    compile(&format!(r"\A(?:{expression})\z"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn allows(binding: Value, value: Value) -> bool {
        let binding: Binding = serde_json::from_value(binding).unwrap();
        binding.allows(&value)
    }

    #[test]
    fn patterns_match_whole_texts() {
        for (pattern, text, matches) in [
            ("org/app", "org/app", true),
            ("org/app", "org/app2", false),
            ("org/app", "xorg/app", false),
            ("org/*", "org/app", true),
            ("org/*", "org/", true),
            ("org/*", "org/app/deep", false),
            ("org/*", "other/app", false),
            ("org/**", "org/app/deep", true),
            ("refs/tags/v*", "refs/tags/v1.2", true),
            ("refs/tags/v*", "refs/tags/w1.2", false),
            ("*-prod", "a-prod", true),
            ("*-prod", "a-prod-b", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxcyyb", false),
            ("**", "", true),
            ("*", "", true),
            ("*", "a:b", false),
            ("", "", true),
            ("", "a", false),
            ("ä*ü", "äöü", true),
            ("a.c", "abc", false),
        ] {
            let glob = Glob::from(pattern.to_owned());
            assert_eq!(glob.matches(text), matches, "{pattern} {text}");
        }
    }

    #[test]
    fn a_part_that_somebody_chooses_cannot_pass_for_the_next() {
        let glob = Glob::from("repo:org/*:ref:refs/heads/main".to_owned());
        assert!(glob.matches("repo:org/app:ref:refs/heads/main"));
        assert!(!glob.matches("repo:org/app:environment:x:ref:refs/heads/main"));
    }

    #[test]
    fn a_pattern_takes_no_longer_for_hostile_texts() {
        let glob = Glob::from("a*".repeat(200) + "b");
        assert!(!glob.matches(&"a".repeat(5_000)));
    }

    #[test]
    fn a_regular_expression_is_anchored() {
        let release = json!({"regex": "refs/tags/v[0-9]+|refs/heads/main"});
        assert!(allows(release.clone(), json!("refs/tags/v12")));
        assert!(allows(release.clone(), json!("refs/heads/main")));
        for other in ["refs/tags/v12x", "xrefs/tags/v1", "refs/heads/main\n"] {
            assert!(!allows(release.clone(), json!(other)), "{other}");
        }
        for bad in ["(", "a)|(b", "a{1000}{1000}{1000}"] {
            let binding: Binding = serde_json::from_value(json!(["x", {"regex": bad}])).unwrap();
            assert!(binding.check().is_err(), "{bad}");
            assert!(!binding.allows(&json!("a")), "{bad}");
        }
    }

    #[test]
    fn lists_and_plain_values() {
        let some = json!(["prod", "stage-*"]);
        assert!(allows(some.clone(), json!("stage-1")));
        assert!(!allows(some.clone(), json!("test")));
        assert!(allows(some.clone(), json!(["test", "prod"])));
        assert!(!allows(some.clone(), json!([["prod"]])));
        assert!(!allows(some, json!({"prod": "prod"})));
        assert!(allows(json!(true), json!(true)));
        assert!(!allows(json!(true), json!("true")));
        assert!(allows(json!(42), json!(42)));
        assert!(!allows(json!(42), json!("42")));
        assert!(!allows(json!("42"), json!(42)));
        assert!(!allows(json!([]), json!("prod")));
    }
}
