//! An operator's configuration, made ready for a plugin: secrets found and set apart, the rest
//! checked against the plugin's schema.

use std::{collections::BTreeMap, env, fs};

use archstone_model::secret::Secret;
use serde_json::{Map, Value};
use url::Url;

use crate::{PrepareError, description::Description};

#[derive(Debug)]
pub(crate) struct Configuration {
    /// What the plugin is handed: JSON without the secret fields.
    pub public: String,
    pub secrets: BTreeMap<String, Secret>,
    /// The servers that the configuration names, with the pointers to them.
    pub servers: Vec<(String, Url)>,
}

impl Configuration {
    /// The operator's configuration: secrets may be in the environment or in files.
    ///
    /// # Errors
    /// [`PrepareError::SecretUnavailable`], or [`PrepareError::ConfigRefused`] by the schema.
    /// Neither repeats a value.
    pub fn read(
        config: Map<String, Value>,
        description: &Description,
    ) -> Result<Self, PrepareError> {
        Self::with_secrets(config, description, find)
    }

    /// The configuration of somebody who may not read this machine's files or environment: secrets
    /// are written out.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub fn of_owner(
        config: Map<String, Value>,
        description: &Description,
    ) -> Result<Self, PrepareError> {
        Self::with_secrets(config, description, |value| match value {
            Value::String(text) => Ok(Secret::new(text.as_str())),
            _ => Err("a secret is a string".to_owned()),
        })
    }

    fn with_secrets(
        mut config: Map<String, Value>,
        description: &Description,
        find: impl Fn(&Value) -> Result<Secret, String>,
    ) -> Result<Self, PrepareError> {
        let mut secrets = BTreeMap::new();
        for field in &description.secret_fields {
            if let Some(value) = config.get_mut(field) {
                let secret = find(value).map_err(|reason| PrepareError::SecretUnavailable {
                    field: field.clone(),
                    reason,
                })?;
                *value = Value::String(secret.expose().to_owned()); // the schema may restrict it
                secrets.insert(field.clone(), secret);
            }
        }
        let config = Value::Object(config);
        conform(&config, &description.config_schema)?;
        let Value::Object(mut public) = config else {
            return Ok(Self::default());
        };
        public.retain(|field, _| !secrets.contains_key(field));
        Ok(Self {
            servers: servers(&public, &description.server_fields)?,
            public: Value::Object(public).to_string(),
            secrets,
        })
    }
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            public: "{}".to_owned(),
            secrets: BTreeMap::new(),
            servers: Vec::new(),
        }
    }
}

/// The URLs in the fields that a plugin says are servers: one, or a list.
fn servers(
    config: &Map<String, Value>,
    fields: &[String],
) -> Result<Vec<(String, Url)>, PrepareError> {
    let mut found = Vec::new();
    for field in fields {
        let pointer = format!("/{field}");
        let texts: Vec<(String, &Value)> = match config.get(field) {
            None | Some(Value::Null) => continue,
            Some(Value::Array(items)) => items
                .iter()
                .enumerate()
                .map(|(place, item)| (format!("{pointer}/{place}"), item))
                .collect(),
            Some(one) => vec![(pointer, one)],
        };
        for (pointer, text) in texts {
            let url = text.as_str().and_then(|text| Url::parse(text).ok());
            let url = url.ok_or_else(|| PrepareError::ConfigRefused {
                pointer: pointer.clone(),
                message: "this is no absolute URL".to_owned(),
            })?;
            found.push((pointer, url));
        }
    }
    Ok(found)
}

/// A secret is written out, or named: `{"env": "VARIABLE"}` or `{"file": "/path"}`.
fn find(value: &Value) -> Result<Secret, String> {
    if let Value::String(text) = value {
        return Ok(Secret::new(text.as_str()));
    }
    let named = |key: &str| match value.as_object() {
        Some(object) if object.len() == 1 => object.get(key).and_then(Value::as_str),
        _ => None,
    };
    if let Some(variable) = named("env") {
        let found = env::var(variable);
        return found
            .map(Secret::new)
            .map_err(|_| format!("the environment has no variable `{variable}` that is text"));
    }
    if let Some(path) = named("file") {
        let found = fs::read_to_string(path);
        return found
            .map(|text| Secret::new(text.trim_end_matches(['\r', '\n'])))
            .map_err(|error| format!("cannot read `{path}`: {error}"));
    }
    Err(r#"write the secret itself, {"env": "VARIABLE"} or {"file": "/path"}"#.to_owned())
}

fn conform(config: &Value, schema: &Value) -> Result<(), PrepareError> {
    let validator =
        jsonschema::validator_for(schema).map_err(|error| PrepareError::BadDescription {
            reason: format!("config-schema is no JSON Schema: {}", error.masked()),
        })?;
    validator
        .validate(config)
        .map_err(|error| PrepareError::ConfigRefused {
            pointer: error.instance_path().to_string(),
            message: error.masked().to_string(),
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Proof;

    fn read(config: Value) -> Result<Configuration, PrepareError> {
        let description = Description {
            plugin: "test".to_owned(),
            version: "1".to_owned(),
            summary: "test".to_owned(),
            proves: Proof::Subject,
            config_schema: json!({
                "type": "object",
                "properties": {
                    "issuer": {"type": "string"},
                    "key": {"type": "string", "minLength": 4},
                },
                "required": ["issuer"],
                "additionalProperties": false,
            }),
            secret_fields: vec!["key".to_owned()],
            server_fields: vec!["issuer".to_owned()],
        };
        let Value::Object(config) = config else {
            unreachable!()
        };
        Configuration::read(config, &description)
    }

    #[test]
    fn secrets_are_set_apart() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "hunter2\n").unwrap();
        let ready =
            read(json!({"issuer": "https://a.example", "key": {"file": file.path()}})).unwrap();
        assert_eq!(ready.public, r#"{"issuer":"https://a.example"}"#);
        assert_eq!(ready.secrets["key"].expose(), "hunter2");
    }

    #[test]
    fn what_the_schema_refuses_is_named_but_not_repeated() {
        let error = read(json!({"issuer": "https://a.example", "key": "pin"}))
            .unwrap_err()
            .to_string();
        assert!(error.contains("/key"), "{error}");
        assert!(!error.contains("pin"), "{error}");
        let error =
            read(json!({"issuer": "https://a.example", "key": {"env": "ARCHSTONE_NO_SUCH"}}));
        assert!(matches!(error, Err(PrepareError::SecretUnavailable { .. })));
    }
}
