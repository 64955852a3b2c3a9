//! An operator's configuration, made ready for a plugin: secrets found and set apart, the rest
//! checked against the plugin's schema.

use std::{collections::BTreeMap, env, fs};

use archstone_model::secret::Secret;
use serde_json::{Map, Value};

use crate::{PrepareError, description::Description};

#[derive(Debug)]
pub(crate) struct Configuration {
    /// What the plugin is handed: JSON without the secret fields.
    pub public: String,
    pub secrets: BTreeMap<String, Secret>,
}

impl Configuration {
    /// # Errors
    /// [`PrepareError::SecretUnavailable`], or [`PrepareError::ConfigRefused`] by the schema.
    /// Neither repeats a value.
    pub fn read(
        mut config: Map<String, Value>,
        description: &Description,
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
        }
    }
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
        let ready = read(json!({"issuer": "a", "key": {"file": file.path()}})).unwrap();
        assert_eq!(ready.public, r#"{"issuer":"a"}"#);
        assert_eq!(ready.secrets["key"].expose(), "hunter2");
    }

    #[test]
    fn what_the_schema_refuses_is_named_but_not_repeated() {
        let error = read(json!({"issuer": "a", "key": "pin"}))
            .unwrap_err()
            .to_string();
        assert!(error.contains("/key"), "{error}");
        assert!(!error.contains("pin"), "{error}");
        let error = read(json!({"issuer": "a", "key": {"env": "ARCHSTONE_NO_SUCH"}}));
        assert!(matches!(error, Err(PrepareError::SecretUnavailable { .. })));
    }
}
