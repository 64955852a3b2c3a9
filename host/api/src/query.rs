//! Query strings of lists: `limit` and `marker`, `name` filters in all their forms, booleans in all
//! of theirs. Unknown filters are ignored, as in Keystone.

use std::marker::PhantomData;

use archstone_model::listing::{Comparison, NameFilter, Page};
use axum::{
    extract::{FromRequestParts, RawQuery},
    http::request::Parts,
};
use serde::de::DeserializeOwned;
use url::form_urlencoded;
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{
        RefOr, Required, Schema,
        path::{Parameter, ParameterBuilder, ParameterIn},
        schema::{SchemaType, Type},
    },
};

use crate::{
    body::{self, LenientBool},
    error::ApiError,
};

/// The decoded pairs of a query string, in order.
#[derive(Debug, Default)]
pub struct ListQuery {
    pairs: Vec<(String, String)>,
    raw: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for ListQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let raw = RawQuery::from_request_parts(parts, state)
            .await
            .ok()
            .and_then(|query| query.0);
        let pairs = form_urlencoded::parse(raw.as_deref().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
        Ok(Self { pairs, raw })
    }
}

impl ListQuery {
    /// The first value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether there is no parameter at all.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Whether a parameter is present, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// A boolean filter: everything but `0`, `false`, `no`, `off`, `n`, `f` is true.
    pub fn bool(&self, name: &str) -> Option<bool> {
        self.get(name).map(|value| {
            !matches!(
                value.to_ascii_lowercase().as_str(),
                "0" | "false" | "no" | "off" | "n" | "f"
            )
        })
    }

    /// A boolean filter that must be one of the spellings of a boolean.
    ///
    /// # Errors
    /// 400 where it is not.
    pub fn spelt_bool(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.get(name) {
            Some(text) if !LenientBool::is_spelling(text) => Err(ApiError::bad_request(format!(
                "Invalid input for field '{name}': '{text}' is not a boolean"
            ))),
            _ => Ok(self.bool(name)),
        }
    }

    /// Whether a parameter is present and anything but `0`, such as `parents_as_ids`.
    pub fn asks(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value != "0")
    }

    /// A boolean that must be spelled as true to be true, such as `allow_expired`.
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| {
            matches!(
                value.to_ascii_lowercase().as_str(),
                "1" | "true" | "yes" | "on" | "y" | "t"
            )
        })
    }

    /// The filters on an entity's name: `name=x`, `name__contains=x`, ...
    pub fn names(&self) -> Vec<NameFilter> {
        self.comparisons("name")
    }

    /// The filters on a text attribute, exact and not: `id=x`, `id__startswith=x`, ...
    pub fn comparisons(&self, attribute: &str) -> Vec<NameFilter> {
        self.pairs
            .iter()
            .filter_map(|(key, value)| {
                let comparison = match key.strip_prefix(attribute)? {
                    "" => Comparison::Equals,
                    suffix => Comparison::from_suffix(suffix.strip_prefix("__")?)?,
                };
                Some(NameFilter {
                    comparison,
                    value: value.clone(),
                })
            })
            .collect()
    }

    /// Checks the parameters, the first of each name, against the schema of `T`.
    ///
    /// # Errors
    /// 400 with the reason of the first violation.
    pub fn check<T: DeserializeOwned + ToSchema + 'static>(&self) -> Result<T, ApiError> {
        let mut parameters = serde_json::Map::new();
        for (name, value) in &self.pairs {
            parameters
                .entry(name.as_str())
                .or_insert_with(|| value.as_str().into());
        }
        body::parse(parameters.into())
    }

    /// The page that `limit` and `marker` ask for.
    ///
    /// # Errors
    /// 400 where `limit` is not a number.
    pub fn page(&self) -> Result<Page, ApiError> {
        let limit = self
            .get("limit")
            .map(|limit| {
                limit.parse::<u64>().map_err(|_| {
                    ApiError::bad_request(format!(
                        "Invalid input for field 'limit': '{limit}' is not a number of entries"
                    ))
                })
            })
            .transpose()?;
        Ok(Page {
            limit,
            marker: self.get("marker").map(str::to_owned),
        })
    }

    /// The query that asks for what comes after `marker`.
    pub fn continued(&self, marker: &str, limit: u64) -> String {
        let others = self
            .pairs
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "marker" | "limit"));
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(others)
            .append_pair("marker", marker)
            .append_pair("limit", &limit.to_string())
            .finish()
    }

    /// The query as it was sent, with its question mark, for the `self` link.
    pub fn suffix(&self) -> String {
        self.raw
            .as_ref()
            .filter(|raw| !raw.is_empty())
            .map_or_else(String::new, |raw| format!("?{raw}"))
    }
}

/// What every list that comes in pages takes.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "its parameters are all that is used")]
pub(crate) struct Paging {
    /// How many entries at most.
    #[param(nullable = false)]
    limit: Option<u64>,
    /// The id of the last entry of the page before.
    #[param(nullable = false)]
    marker: Option<String>,
}

/// The members of `T` as parameters of a query.
pub(crate) struct Filters<T>(PhantomData<T>);

/// The members of `T` as parameters of a query that compare otherwise: `name__contains`, ...
pub(crate) struct Comparisons<T>(PhantomData<T>);

/// The name, which most lists can be filtered by.
#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
pub(crate) struct Name {
    name: String,
}

impl<T: ToSchema> IntoParams for Filters<T> {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        members::<T>()
            .into_iter()
            .map(|(name, schema)| parameter(name, schema))
            .collect()
    }
}

impl<T: ToSchema> IntoParams for Comparisons<T> {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let suffixes = Comparison::BY_SUFFIX.into_iter().map(|(suffix, _)| suffix);
        members::<T>()
            .into_iter()
            .flat_map(|(name, _)| {
                suffixes
                    .clone()
                    .map(move |suffix| format!("{name}__{suffix}"))
            })
            .map(|name| parameter(name, String::schema()))
            .collect()
    }
}

fn parameter(name: String, schema: RefOr<Schema>) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .schema(Some(schema))
        .build()
}

/// The members of `T` with their schemas. No query holds a null.
fn members<T: ToSchema>() -> Vec<(String, RefOr<Schema>)> {
    let mut parts = Vec::new();
    T::schemas(&mut parts);
    let RefOr::T(Schema::Object(object)) = T::schema() else {
        return Vec::new();
    };
    let whole = |schema| match schema {
        RefOr::Ref(reference) => parts
            .iter()
            .find(|(name, _)| reference.ref_location.ends_with(&format!("/{name}")))
            .map_or(RefOr::Ref(reference), |(_, schema)| schema.clone()),
        RefOr::T(Schema::Object(mut object)) => {
            if let SchemaType::Array(types) = &mut object.schema_type {
                types.retain(|kind| *kind != Type::Null);
            }
            RefOr::T(Schema::Object(object))
        }
        other => other,
    };
    object
        .properties
        .into_iter()
        .map(|(name, schema)| (name, whole(schema)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(raw: &str) -> ListQuery {
        ListQuery {
            pairs: form_urlencoded::parse(raw.as_bytes())
                .into_owned()
                .collect(),
            raw: Some(raw.to_owned()),
        }
    }

    #[test]
    fn a_boolean_filter_is_true_unless_it_says_no() {
        assert_eq!(query("enabled").bool("enabled"), Some(true));
        assert_eq!(query("enabled=0").bool("enabled"), Some(false));
        assert_eq!(query("enabled=False").bool("enabled"), Some(false));
        assert_eq!(query("").bool("enabled"), None);
    }

    #[test]
    fn name_filters_keep_their_comparison() {
        assert_eq!(
            query("name__icontains=ada&names=x&name__bogus=y").names(),
            [NameFilter {
                comparison: Comparison::ContainsIgnoringCase,
                value: "ada".to_owned()
            }]
        );
    }
}
