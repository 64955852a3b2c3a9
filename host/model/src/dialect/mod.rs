//! Connectors as the Rust client (`osc`) speaks of them: an identity provider whose settings have
//! names of their own, and a mapping that names claims where Keystone's has rules.
//!
//! What the client says becomes a connector's configuration and rules, and these become what it
//! says again. What one side cannot say is refused, and never left out.

mod mapping;
mod provider;

use serde_json::{Map, Value};

pub use self::{
    mapping::ClaimMapping,
    provider::{configure, kind_for, provisional, settings},
};

/// What a client gives of one object: a field that is null is to be emptied, one that is missing is
/// to stay.
pub type Fields = Map<String, Value>;

/// The plugins that the dialect has words for. A mapping's `type` is called as its plugin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// People of an OpenID provider.
    OpenId,
    /// Workloads, which show a JWT.
    Workloads,
}

impl Kind {
    pub fn of_plugin(name: &str) -> Option<Self> {
        [Self::OpenId, Self::Workloads]
            .into_iter()
            .find(|kind| kind.plugin() == name)
    }

    pub fn plugin(self) -> &'static str {
        match self {
            Self::OpenId => "oidc",
            Self::Workloads => "jwt",
        }
    }
}

/// What a connector cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid input for field '{field}': {why}")]
pub struct Inexpressible {
    field: String,
    why: String,
}

impl Inexpressible {
    pub fn new(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            why: why.into(),
        }
    }
}

/// A field's text, where it is there and not null.
pub fn text<'a>(fields: &'a Fields, field: &str) -> Option<&'a str> {
    fields.get(field).and_then(Value::as_str)
}

/// A list of texts; nothing for one that is null or empty.
fn texts(value: Option<&Value>) -> Option<Vec<String>> {
    let items = value?.as_array()?;
    let items: Vec<_> = items.iter().filter_map(Value::as_str).collect();
    (!items.is_empty()).then(|| items.into_iter().map(str::to_owned).collect())
}
