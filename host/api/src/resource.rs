//! How resources are written: one in an envelope, `{"user": {...}}`, and many in a list,
//! `{"users": [...], "links": {...}}`. What renders them here also describes them in the OpenAPI
//! document.

use std::borrow::Cow;

use archstone_model::listing::Listing;
use axum::{
    Json,
    response::{IntoResponse, Response},
};
use serde::{
    Serialize, Serializer,
    ser::{Error as _, SerializeMap},
};
use serde_json::json;
use utoipa::{
    __dev::ComposeSchema,
    PartialSchema, ToSchema,
    openapi::{
        ArrayBuilder, ObjectBuilder, Ref, RefOr, Schema,
        schema::{SchemaType, Type},
    },
};

use crate::{
    links::{BaseUrl, ListLinks},
    query::ListQuery,
};

/// Something that clients see by itself and in lists.
pub(crate) trait Resource: Serialize + ToSchema {
    /// What one is under.
    const ONE: &'static str;
    /// What many are under.
    const MANY: &'static str;

    /// Whether no attribute outside the schema has a name of one in it, so that it can be written as it
    /// is. Else the schema's has to take the place of the other. To say so makes long lists quick.
    fn has_unique_names(&self) -> bool {
        false
    }
}

/// One of many, each name once.
struct Entry<'a, T>(&'a T);

impl<T: Resource> Serialize for Entry<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.has_unique_names() {
            return self.0.serialize(serializer);
        }
        let merged = serde_json::to_value(self.0).map_err(S::Error::custom)?;
        merged.serialize(serializer)
    }
}

/// The body that shows one resource.
pub(crate) struct Envelope<T>(pub T);

/// The body that shows many.
pub(crate) struct List<T> {
    entries: Vec<T>,
    links: ListLinks,
    is_truncated: bool,
}

/// The body that shows those that one request created.
pub(crate) struct Created<T>(Vec<T>);

impl<T: Resource> List<T> {
    /// What was found, each as `view` shows it, with a link to what comes next where the list was
    /// cut short. `path` is that of the request, without its query.
    pub(crate) fn new<E>(
        found: impl Into<Listing<E>>,
        view: impl Fn(E, &BaseUrl) -> T,
        path: &str,
        base_url: &BaseUrl,
        query: &ListQuery,
    ) -> Self {
        Self::below(base_url.v3(path), found, view, base_url, query)
    }

    /// The same for a list whose own URL, without its query, is `url`.
    pub(crate) fn below<E>(
        url: String,
        found: impl Into<Listing<E>>,
        view: impl Fn(E, &BaseUrl) -> T,
        base_url: &BaseUrl,
        query: &ListQuery,
    ) -> Self {
        let Listing { entries, cut_at } = found.into();
        let entries: Vec<_> = entries
            .into_iter()
            .map(|entry| view(entry, base_url))
            .collect();
        let mut links = ListLinks::complete(format!("{url}{}", query.suffix()));
        if let (Some(limit), Some(last)) = (cut_at, entries.last())
            && let Some(marker) = json!(last)["id"].as_str()
        {
            let next = query.continued(marker, limit);
            links.next = Some(format!("{url}?{next}"));
        }
        Self {
            entries,
            links,
            is_truncated: cut_at.is_some(),
        }
    }
}

impl<T> Created<T> {
    pub(crate) fn new<E>(
        created: Vec<E>,
        view: impl Fn(E, &BaseUrl) -> T,
        base_url: &BaseUrl,
    ) -> Self {
        Self(
            created
                .into_iter()
                .map(|entry| view(entry, base_url))
                .collect(),
        )
    }
}

impl<T: Resource> IntoResponse for Envelope<T> {
    fn into_response(self) -> Response {
        Json(json!({ T::ONE: self.0 })).into_response()
    }
}

impl<T: Resource> IntoResponse for List<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

impl<T: Resource> Serialize for List<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entries: Vec<_> = self.entries.iter().map(Entry).collect();
        let mut body = serializer.serialize_map(None)?;
        body.serialize_entry(T::MANY, &entries)?;
        body.serialize_entry("links", &self.links)?;
        if self.is_truncated {
            body.serialize_entry("truncated", &true)?;
        }
        body.end()
    }
}

impl<T: Resource> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        Json(json!({ T::MANY: self.0 })).into_response()
    }
}

impl<T: Resource> ComposeSchema for Envelope<T> {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        ObjectBuilder::new()
            .property(T::ONE, Ref::from_schema_name(T::name()))
            .required(T::ONE)
            .into()
    }
}

impl<T: Resource> ToSchema for Envelope<T> {
    fn name() -> Cow<'static, str> {
        "Envelope".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}

impl<T: Resource> ComposeSchema for List<T> {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        let truncated = ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::Boolean))
            .description(Some("There where the list was cut short."));
        ObjectBuilder::new()
            .property(T::MANY, array_of::<T>())
            .required(T::MANY)
            .property("links", Ref::from_schema_name(ListLinks::name()))
            .required("links")
            .property("truncated", truncated)
            .into()
    }
}

impl<T: Resource> ToSchema for List<T> {
    fn name() -> Cow<'static, str> {
        "List".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((ListLinks::name().into_owned(), ListLinks::schema()));
        Envelope::<T>::schemas(schemas);
    }
}

impl<T: Resource> ComposeSchema for Created<T> {
    fn compose(_: Vec<RefOr<Schema>>) -> RefOr<Schema> {
        ObjectBuilder::new()
            .property(T::MANY, array_of::<T>())
            .required(T::MANY)
            .into()
    }
}

impl<T: Resource> ToSchema for Created<T> {
    fn name() -> Cow<'static, str> {
        "Created".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Envelope::<T>::schemas(schemas);
    }
}

fn array_of<T: ToSchema>() -> ArrayBuilder {
    ArrayBuilder::new().items(Ref::from_schema_name(T::name()))
}
