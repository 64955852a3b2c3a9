//! Request bodies. A body's Rust type carries its JSON schema: the same schema is published in the
//! OpenAPI document and enforced here, so the two cannot differ.

use std::{
    any::TypeId,
    collections::HashMap,
    sync::{Arc, LazyLock, RwLock},
};

use archstone_model::Extra;
use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::header,
};
use jsonschema::Validator;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Value, json};
use utoipa::{PartialSchema, ToSchema};

use crate::error::ApiError;

/// A JSON body that satisfies the schema of `T`.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<S, T> FromRequest<S> for Body<T>
where
    S: Send + Sync,
    T: DeserializeOwned + ToSchema + 'static,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let RawBody(value) = RawBody::from_request(request, state).await?;
        parse(value).map(Self)
    }
}

/// A JSON object that nothing has been checked of yet.
#[derive(Debug)]
pub struct RawBody(pub Value);

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let is_json = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .is_none_or(|media_type| {
                matches!(
                    media_type.trim().to_ascii_lowercase().as_str(),
                    "" | "application/json" | "application/json-home"
                )
            });
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| {
                if rejection.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE {
                    ApiError::body_too_large()
                } else {
                    ApiError::bad_request("The request body could not be read.")
                }
            })?;
        if bytes.is_empty() {
            return Ok(Self(json!({})));
        }
        if !is_json {
            return Err(malformed("application/json", "Content-Type header"));
        }
        let value: Value =
            serde_json::from_slice(&bytes).map_err(|_| malformed("valid JSON", "request body"))?;
        if !value.is_object() {
            return Err(malformed("valid JSON", "request body"));
        }
        Ok(Self(value))
    }
}

fn malformed(attribute: &str, target: &str) -> ApiError {
    archstone_identity::Error::missing_attribute(attribute, target).into()
}

/// Checks `value` against the schema of `T` and reads it.
///
/// # Errors
/// 400 with the path and the reason of the first violation.
pub fn parse<T: DeserializeOwned + ToSchema + 'static>(value: Value) -> Result<T, ApiError> {
    let validator = validator::<T>();
    if let Some(validator) = &validator
        && let Some(error) = validator.iter_errors(&value).next()
    {
        let path = error.instance_path().to_string();
        // The outermost member ("user", "project") wraps the entity, and Keystone's paths start
        // inside it.
        let path = path
            .trim_start_matches('/')
            .split_once('/')
            .map_or("", |(_, inner)| inner);
        return Err(ApiError::bad_request(if path.is_empty() {
            error.to_string()
        } else {
            format!("Invalid input for field '{path}': {error}")
        }));
    }
    serde_json::from_value(value)
        .map_err(|error| ApiError::bad_request(format!("Invalid input: {error}")))
}

type Validators = RwLock<HashMap<TypeId, Option<Arc<Validator>>>>;

/// The compiled schema of `T`, compiled on first use. `None` only for a type without a schema.
fn validator<T: ToSchema + 'static>() -> Option<Arc<Validator>> {
    static VALIDATORS: LazyLock<Validators> = LazyLock::new(Validators::default);
    let key = TypeId::of::<T>();
    if let Ok(known) = VALIDATORS.read()
        && let Some(validator) = known.get(&key)
    {
        return validator.clone();
    }
    let compiled = compile::<T>().map(Arc::new);
    if let Ok(mut known) = VALIDATORS.write() {
        known.insert(key, compiled.clone());
    }
    compiled
}

fn compile<T: ToSchema>() -> Option<Validator> {
    let mut parts = Vec::new();
    T::schemas(&mut parts);
    let parts: serde_json::Map<String, Value> = parts
        .into_iter()
        .filter_map(|(name, schema)| Some((name, serde_json::to_value(schema).ok()?)))
        .collect();
    let mut schema = serde_json::to_value(<T as PartialSchema>::schema()).ok()?;
    schema
        .as_object_mut()?
        .insert("components".to_owned(), json!({ "schemas": parts }));
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .should_validate_formats(false)
        .build(&schema)
        .inspect_err(|error| tracing::error!(%error, "a request schema does not compile"))
        .ok()
}

/// Reads an attribute that may be absent, null, or set: `#[serde(default, deserialize_with = "nullable")]`.
pub fn nullable<'de, T, D>(
    deserializer: D,
) -> Result<archstone_model::listing::Change<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::<T>::deserialize(deserializer).map(archstone_model::listing::Change::Set)
}

/// Reads an object that must have at least one member: `#[serde(deserialize_with = "non_empty")]`.
pub fn non_empty<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: DeserializeOwned,
    D: Deserializer<'de>,
{
    let members = serde_json::Map::<String, Value>::deserialize(deserializer)?;
    if members.is_empty() {
        return Err(serde::de::Error::custom(
            "{} does not have enough properties",
        ));
    }
    serde_json::from_value(Value::Object(members)).map_err(serde::de::Error::custom)
}

/// Drops what is never among an entity's extra attributes, though clients may send it back.
pub fn without_reserved(mut extra: Extra) -> Extra {
    for name in ["id", "links", "extra"] {
        extra.shift_remove(name);
    }
    extra
}

/// A boolean in any of the spellings that Keystone accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LenientBool(bool);

impl From<LenientBool> for bool {
    fn from(value: LenientBool) -> Self {
        value.0
    }
}

impl LenientBool {
    pub(crate) fn is_spelling(text: &str) -> bool {
        SPELLINGS.iter().any(|(spelling, _)| *spelling == text)
    }
}

/// `true` and its spellings, then `false` and its.
const SPELLINGS: [(&str, bool); 19] = [
    ("True", true),
    ("TRUE", true),
    ("true", true),
    ("1", true),
    ("y", true),
    ("Y", true),
    ("on", true),
    ("ON", true),
    ("yes", true),
    ("False", false),
    ("FALSE", false),
    ("false", false),
    ("", false),
    ("0", false),
    ("n", false),
    ("N", false),
    ("off", false),
    ("OFF", false),
    ("no", false),
];

impl<'de> Deserialize<'de> for LenientBool {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        match &value {
            Value::Bool(value) => Some(*value),
            Value::String(text) => SPELLINGS
                .iter()
                .find(|(spelling, _)| spelling == text)
                .map(|(_, value)| *value),
            _ => None,
        }
        .map(Self)
        .ok_or_else(|| serde::de::Error::custom(format!("{value} is not a boolean")))
    }
}

impl PartialSchema for LenientBool {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        let spellings = SPELLINGS.iter().map(|(spelling, _)| json!(spelling));
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::SchemaType::AnyValue)
            .enum_values(Some(
                [json!(true), json!(false)].into_iter().chain(spellings),
            ))
            .into()
    }
}

impl ToSchema for LenientBool {}
