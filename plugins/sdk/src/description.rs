//! What a plugin says about itself.

use serde_json::{Value, json};

use crate::bindings::archstone::plugin::types;
pub use crate::bindings::archstone::plugin::types::{Capability, Proof};

/// What a plugin is, and what it needs.
#[derive(Debug, Clone)]
pub struct Description {
    name: String,
    version: String,
    summary: String,
    proves: Proof,
    config_schema: Value,
    secret_fields: Vec<String>,
    server_fields: Vec<String>,
    capabilities: Vec<Capability>,
}

impl Description {
    /// A plugin that proves subjects, has no configuration and needs no grant. The summary is one
    /// line for operators.
    pub fn new(
        name: impl Into<String>,
        version: impl Into<String>,
        summary: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            summary: summary.into(),
            proves: Proof::Subject,
            config_schema: json!({"type": "object", "additionalProperties": false}),
            secret_fields: Vec::new(),
            server_fields: Vec::new(),
            capabilities: Vec::new(),
        }
    }

    /// Whom its answers are about.
    pub fn proves(mut self, proof: Proof) -> Self {
        self.proves = proof;
        self
    }

    /// JSON Schema of the configuration, secret fields included.
    pub fn config_schema(mut self, schema: Value) -> Self {
        self.config_schema = schema;
        self
    }

    /// The properties of the configuration that are secrets. They are not part of
    /// [`crate::AuthMethod::Config`]; [`crate::secrets::get`] gives them.
    pub fn secret_fields<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Self {
        self.secret_fields = fields.into_iter().map(Into::into).collect();
        self
    }

    /// The properties of the configuration that are URLs of servers it talks to, or lists of
    /// such: what a connector's owner allows it to reach.
    pub fn server_fields<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Self {
        self.server_fields = fields.into_iter().map(Into::into).collect();
        self
    }

    /// The capabilities it cannot do without.
    pub fn needs(mut self, capabilities: impl IntoIterator<Item = Capability>) -> Self {
        self.capabilities = capabilities.into_iter().collect();
        self
    }

    pub(crate) fn into_wire(self) -> types::Description {
        types::Description {
            name: self.name,
            version: self.version,
            summary: self.summary,
            proves: self.proves,
            config_schema: self.config_schema.to_string(),
            secret_fields: self.secret_fields,
            server_fields: self.server_fields,
            capabilities: self.capabilities,
        }
    }
}

/// What is wrong with a configuration, for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    pub(crate) pointer: String,
    pub(crate) message: String,
}

impl ConfigError {
    /// `pointer` is a JSON pointer to the offending value. The message must not repeat secrets.
    pub fn at(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            message: message.into(),
        }
    }

    pub(crate) fn into_wire(self) -> types::ConfigError {
        types::ConfigError {
            pointer: self.pointer,
            message: self.message,
        }
    }
}
