//! What a plugin says about itself, checked.

use serde_json::{Map, Value};

use crate::{
    Grants, PrepareError, Proof,
    bindings::archstone::plugin::types::{self, Capability},
    capabilities,
};

#[derive(Debug, Clone)]
pub(crate) struct Description {
    /// The plugin's own name, whatever the method is called.
    pub plugin: String,
    pub version: String,
    pub summary: String,
    pub proves: Proof,
    pub config_schema: Value,
    pub secret_fields: Vec<String>,
    pub server_fields: Vec<String>,
}

impl Description {
    /// Checks what `describe` answered, and that what it needs was granted.
    pub fn read(said: types::Description, grants: &Grants) -> Result<Self, PrepareError> {
        let wrong = |reason: &str| PrepareError::BadDescription {
            reason: reason.to_owned(),
        };
        let line = |text: &str, most: usize| {
            !text.is_empty() && text.len() <= most && !text.chars().any(char::is_control)
        };
        if !line(&said.name, 64) || !line(&said.version, 64) {
            return Err(wrong("name and version must be 1 to 64 bytes of text"));
        }
        if !line(&said.summary, 256) {
            return Err(wrong("the summary must be one line of at most 256 bytes"));
        }
        let config_schema: Map<String, Value> = serde_json::from_str(&said.config_schema)
            .map_err(|_| wrong("config-schema is not a JSON object"))?;
        for capability in said.capabilities {
            match capability {
                Capability::Http if grants.http.is_none() => {
                    return Err(capabilities::not_granted("http"));
                }
                Capability::Stream if grants.stream.is_none() => {
                    return Err(capabilities::not_granted("stream"));
                }
                Capability::Credentials if grants.credentials.is_empty() => {
                    return Err(capabilities::not_granted("credentials"));
                }
                _ => {}
            }
        }
        Ok(Self {
            plugin: said.name,
            version: said.version,
            summary: said.summary,
            proves: match said.proves {
                types::Proof::Account => Proof::Account,
                types::Proof::Subject => Proof::Subject,
            },
            config_schema: Value::Object(config_schema),
            secret_fields: said.secret_fields,
            server_fields: said.server_fields,
        })
    }
}
