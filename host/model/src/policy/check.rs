//! Checks, and the two things they look at: credentials and targets.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

/// A parsed check string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Check {
    Always,
    Never,
    Not(Box<Check>),
    All(Vec<Check>),
    Any(Vec<Check>),
    Rule(String),
    Role(Template),
    /// A literal on the left: `'manager':%(target.role.name)s`, `None:%(...)s`.
    Literal(String, Template),
    /// A credential on the left, by its dotted path.
    Attribute(String, Template),
}

/// The right side of a check: text with `%(key)s` references to the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(pub(super) Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    Reference(String),
}

/// What policy may know of a caller, projected from a valid token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    pub user_id: Option<String>,
    pub user_domain_id: Option<String>,
    pub project_id: Option<String>,
    pub project_domain_id: Option<String>,
    /// The domain of a domain-scoped token.
    pub domain_id: Option<String>,
    /// `all` for a system-scoped token.
    pub system_scope: Option<String>,
    /// `token.domain.id`: as `domain_id`, but absent rather than null elsewhere.
    pub token_domain_id: Option<String>,
    /// `token.project.domain.id`
    pub token_project_domain_id: Option<String>,
    /// Role names in lower case.
    pub roles: HashSet<String>,
    pub trust_id: Option<String>,
    pub trustor_id: Option<String>,
    pub trustee_id: Option<String>,
}

impl Credentials {
    /// All of them, for who decides elsewhere.
    pub fn to_json(&self) -> Value {
        let mut roles: Vec<_> = self.roles.iter().collect();
        roles.sort();
        json!({
            "user_id": self.user_id,
            "user_domain_id": self.user_domain_id,
            "project_id": self.project_id,
            "project_domain_id": self.project_domain_id,
            "domain_id": self.domain_id,
            "system_scope": self.system_scope,
            "roles": roles,
            "trust_id": self.trust_id,
            "trustor_id": self.trustor_id,
            "trustee_id": self.trustee_id,
        })
    }

    /// Whether the credential at `path` reads as `wanted`. A null credential reads as `None`; one
    /// that does not exist equals nothing.
    pub(super) fn has(&self, path: &str, wanted: &str) -> bool {
        let nullable = |value: &Option<String>| value.as_deref().unwrap_or("None") == wanted;
        let present = |value: &Option<String>| value.as_deref() == Some(wanted);
        match path {
            "user_id" => nullable(&self.user_id),
            "user_domain_id" => nullable(&self.user_domain_id),
            "project_id" | "tenant_id" => nullable(&self.project_id),
            "project_domain_id" => nullable(&self.project_domain_id),
            "domain_id" => nullable(&self.domain_id),
            "system_scope" => nullable(&self.system_scope),
            "trust_id" => nullable(&self.trust_id),
            "trustor_id" => nullable(&self.trustor_id),
            "trustee_id" => nullable(&self.trustee_id),
            // oslo.policy's older name for it, which is absent where it would be null.
            "system" => present(&self.system_scope),
            "token.user.id" => present(&self.user_id),
            "token.user.domain.id" => present(&self.user_domain_id),
            "token.domain.id" => present(&self.token_domain_id),
            "token.project.id" => present(&self.project_id),
            "token.project.domain.id" => present(&self.token_project_domain_id),
            "roles" => self.roles.contains(wanted),
            _ => false,
        }
    }
}

/// What an operation is about: a flat map of dotted keys, as `target.user.domain_id`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target(HashMap<String, Option<String>>);

impl Target {
    /// All of it, for who decides elsewhere.
    pub fn to_json(&self) -> Value {
        let members = self.0.iter();
        let members = members.map(|(key, value)| (key.clone(), json!(value)));
        Value::Object(members.collect())
    }

    pub fn new() -> Self {
        Self::default()
    }

    pub fn set(&mut self, key: &str, value: &str) {
        self.0.insert(key.to_owned(), Some(value.to_owned()));
    }

    /// Sets a key that is there and null, which reads as `None`.
    pub fn set_null(&mut self, key: &str) {
        self.0.insert(key.to_owned(), None);
    }

    /// Sets a key to a value or to null.
    pub fn set_opt(&mut self, key: &str, value: Option<&str>) {
        self.0.insert(key.to_owned(), value.map(str::to_owned));
    }

    /// As [`Target::set`], for building a target in one expression.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.set(key, value);
        self
    }

    /// The template's text, or nothing where a key is missing.
    pub(super) fn format(&self, template: &Template) -> Option<String> {
        let mut text = String::new();
        for piece in &template.0 {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Reference(key) => {
                    text.push_str(self.0.get(key)?.as_deref().unwrap_or("None"));
                }
            }
        }
        Some(text)
    }
}
