//! `/v3/OS-FEDERATION/mappings`.

use archstone_model::{Extra, id::MappingId, mapping::Mapping};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    body::RawBody,
    caller::Authenticated,
    error::{ApiError, Result},
    links::{BaseUrl, SelfLink},
    query::ListQuery,
    resource::{Envelope, List, Resource},
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(create, show, replace, delete))
}

/// Lists mappings.
#[utoipa::path(get, path = "/OS-FEDERATION/mappings", tag = "federation",
    responses((status = 200, body = List<MappingView>)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<List<MappingView>> {
    let mappings = app.identity.mappings(&caller).await?;
    let path = "OS-FEDERATION/mappings";
    Ok(List::new(
        mappings,
        MappingView::new,
        path,
        &base_url,
        &query,
    ))
}

/// Creates a mapping.
#[utoipa::path(put, path = "/OS-FEDERATION/mappings/{mapping_id}", tag = "federation",
    params(("mapping_id" = String, Path)),
    request_body = MappingRequest,
    responses((status = 201, body = Envelope<MappingView>)))]
async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(id): Path<MappingId>,
    RawBody(body): RawBody,
) -> Result<(StatusCode, Envelope<MappingView>)> {
    let given = given(body)?;
    let mapping = app.identity.create_mapping(&caller, id, &given).await?;
    let view = MappingView::new(mapping, &base_url);
    Ok((StatusCode::CREATED, Envelope(view)))
}

/// Shows a mapping.
#[utoipa::path(get, path = "/OS-FEDERATION/mappings/{mapping_id}", tag = "federation",
    params(("mapping_id" = String, Path)), responses((status = 200, body = Envelope<MappingView>)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(id): Path<MappingId>,
) -> Result<Envelope<MappingView>> {
    let mapping = app.identity.mapping(&caller, &id).await?;
    Ok(Envelope(MappingView::new(mapping, &base_url)))
}

/// Puts other rules in place of a mapping's.
#[utoipa::path(patch, path = "/OS-FEDERATION/mappings/{mapping_id}", tag = "federation",
    params(("mapping_id" = String, Path)),
    request_body = MappingRequest,
    responses((status = 200, body = Envelope<MappingView>)))]
async fn replace(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(id): Path<MappingId>,
    RawBody(body): RawBody,
) -> Result<Envelope<MappingView>> {
    let given = given(body)?;
    let mapping = app.identity.replace_mapping(&caller, id, &given).await?;
    Ok(Envelope(MappingView::new(mapping, &base_url)))
}

/// Deletes a mapping.
#[utoipa::path(delete, path = "/OS-FEDERATION/mappings/{mapping_id}", tag = "federation",
    params(("mapping_id" = String, Path)), responses((status = 204)))]
async fn delete(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(id): Path<MappingId>,
) -> Result<StatusCode> {
    app.identity.delete_mapping(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a body says of a mapping. The rules' own schema is checked once policy has allowed it.
fn given(body: Value) -> Result<Extra, ApiError> {
    match body.get("mapping") {
        None => Ok(Extra::new()),
        Some(Value::Object(mapping)) => Ok(mapping.clone()),
        Some(_) => Err(ApiError::bad_request(
            "Invalid input for field 'mapping': it is not of type 'object'",
        )),
    }
}

/// A mapping as clients give it. Its rules are checked by their own schema.
#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct MappingRequest {
    mapping: MappingMembers,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct MappingMembers {
    rules: Vec<Map<String, Value>>,
    schema_version: Option<String>,
}

/// A mapping as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Mapping)]
struct MappingView {
    id: String,
    rules: Value,
    schema_version: String,
    links: SelfLink,
}

impl MappingView {
    fn new(mapping: Mapping, base_url: &BaseUrl) -> Self {
        Self {
            links: base_url.self_link(format_args!("OS-FEDERATION/mappings/{}", mapping.id)),
            id: mapping.id.into(),
            rules: mapping.rules,
            schema_version: mapping.schema_version,
        }
    }
}

impl Resource for MappingView {
    const ONE: &'static str = "mapping";
    const MANY: &'static str = "mappings";
}
