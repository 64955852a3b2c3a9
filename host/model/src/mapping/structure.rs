//! The shape that a mapping must have to be stored, as JSON Schema.

use std::sync::LazyLock;

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

use super::SchemaVersion;

/// Checks the whole mapping: `rules` and `schema_version`.
///
/// # Errors
/// Everything that is wrong with it, a line each.
pub fn check_structure(version: SchemaVersion, mapping: &Value) -> Result<(), String> {
    static SCHEMAS: LazyLock<[Option<Validator>; 3]> = LazyLock::new(|| {
        [SchemaVersion::V1, SchemaVersion::V2, SchemaVersion::V3]
            .map(|version| compile(&mapping_schema(version)))
    });
    let place = match version {
        SchemaVersion::V1 => 0,
        SchemaVersion::V2 => 1,
        SchemaVersion::V3 => 2,
    };
    check(SCHEMAS[place].as_ref(), mapping)
}

/// Checks the projects that an assertion spells out.
pub(super) fn check_projects(projects: &Value) -> Result<(), String> {
    static SCHEMA: LazyLock<Option<Validator>> =
        LazyLock::new(|| compile(&projects_schema(SchemaVersion::V3)));
    check(SCHEMA.as_ref(), projects)
}

fn compile(schema: &Value) -> Option<Validator> {
    jsonschema::options()
        .with_draft(Draft::Draft4)
        .build(schema)
        .ok()
}

fn check(schema: Option<&Validator>, value: &Value) -> Result<(), String> {
    let schema = schema.ok_or_else(|| "there is no schema for this version".to_owned())?;
    let problems: Vec<String> = schema
        .iter_errors(value)
        .map(|error| error.to_string())
        .collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems.join("\n"))
    }
}

fn closed(required: Value, properties: Value) -> Value {
    json!({
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": false,
    })
}

fn open_ended(properties: Value) -> Value {
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn domain_schema() -> Value {
    open_ended(json!({ "id": { "type": "string" }, "name": { "type": "string" } }))
}

fn projects_schema(version: SchemaVersion) -> Value {
    let role = closed(json!(["name"]), json!({ "name": { "type": "string" } }));
    let mut properties = json!({
        "name": { "type": "string" },
        "roles": { "type": "array", "items": role },
    });
    if version >= SchemaVersion::V2 {
        properties["domain"] = domain_schema();
    }
    json!({ "type": "array", "items": closed(json!(["name", "roles"]), properties) })
}

fn local_schema(version: SchemaVersion) -> Value {
    let text = json!({ "type": "string" });
    let user = open_ended(json!({
        "id": text,
        "name": text,
        "email": text,
        "domain": domain_schema(),
        "type": { "type": "string", "enum": ["ephemeral", "local"] },
    }));
    let by_id = closed(json!(["id"]), json!({ "id": text }));
    let by_name = closed(
        json!(["name", "domain"]),
        json!({ "name": text, "domain": domain_schema() }),
    );
    let mut properties = json!({
        "user": user,
        "projects": projects_schema(version),
        "group": { "type": "object", "oneOf": [by_id, by_name] },
        "groups": text,
        "group_ids": text,
        "domain": domain_schema(),
    });
    if version >= SchemaVersion::V3 {
        properties["projects_json"] = text;
    }
    open_ended(properties)
}

fn remote_schema() -> Value {
    let mut forms = vec![closed(
        json!(["type"]),
        json!({ "type": { "type": "string" } }),
    )];
    for condition in ["any_one_of", "not_any_of", "blacklist", "whitelist"] {
        let properties = json!({
            "type": { "type": "string" },
            condition: { "type": "array" },
            "regex": { "type": "boolean" },
        });
        forms.push(closed(json!(["type", condition]), properties));
    }
    json!({ "type": "object", "oneOf": forms })
}

fn mapping_schema(version: SchemaVersion) -> Value {
    let rule = closed(
        json!(["local", "remote"]),
        json!({
            "local": { "type": "array", "items": local_schema(version) },
            "remote": { "type": "array", "minItems": 1, "items": remote_schema() },
        }),
    );
    json!({
        "type": "object",
        "required": ["rules"],
        "properties": {
            "rules": { "type": "array", "minItems": 1, "items": rule },
            "schema_version": { "type": "string" },
        },
    })
}
