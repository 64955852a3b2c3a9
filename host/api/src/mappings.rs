//! `/v3/OS-FEDERATION/mappings`.

use archstone_model::{Extra, id::MappingId, mapping::Mapping};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde_json::{Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    body::RawBody,
    caller::Authenticated,
    error::{ApiError, Result},
    links::{BaseUrl, ListLinks},
    query::ListQuery,
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(create, show, replace, delete))
}

/// Lists mappings.
#[utoipa::path(get, path = "/OS-FEDERATION/mappings", tag = "federation",
    responses((status = 200)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<Json<Value>> {
    let mappings = app.identity.mappings(&caller).await?;
    let views: Vec<_> = mappings
        .into_iter()
        .map(|mapping| view(mapping, &base_url))
        .collect();
    let path = format!("OS-FEDERATION/mappings{}", query.suffix());
    Ok(Json(
        json!({ "mappings": views, "links": ListLinks::complete(base_url.v3(path)) }),
    ))
}

/// Creates a mapping.
#[utoipa::path(put, path = "/OS-FEDERATION/mappings/{mapping_id}", tag = "federation",
    params(("mapping_id" = String, Path)),
    request_body(content = serde_json::Value, description = "`{\"mapping\": {\"rules\": [...], \"schema_version\": \"2.0\"}}`"),
    responses((status = 201)))]
async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(id): Path<MappingId>,
    RawBody(body): RawBody,
) -> Result<(StatusCode, Json<Value>)> {
    let given = given(body)?;
    let mapping = app.identity.create_mapping(&caller, id, &given).await?;
    Ok((
        StatusCode::CREATED,
        Json(json!({ "mapping": view(mapping, &base_url) })),
    ))
}

/// Shows a mapping.
#[utoipa::path(get, path = "/OS-FEDERATION/mappings/{mapping_id}", tag = "federation",
    params(("mapping_id" = String, Path)), responses((status = 200)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(id): Path<MappingId>,
) -> Result<Json<Value>> {
    let mapping = app.identity.mapping(&caller, &id).await?;
    Ok(Json(json!({ "mapping": view(mapping, &base_url) })))
}

/// Puts other rules in place of a mapping's.
#[utoipa::path(patch, path = "/OS-FEDERATION/mappings/{mapping_id}", tag = "federation",
    params(("mapping_id" = String, Path)),
    request_body(content = serde_json::Value, description = "`{\"mapping\": {\"rules\": [...], \"schema_version\": \"2.0\"}}`"),
    responses((status = 200)))]
async fn replace(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(id): Path<MappingId>,
    RawBody(body): RawBody,
) -> Result<Json<Value>> {
    let given = given(body)?;
    let mapping = app.identity.replace_mapping(&caller, id, &given).await?;
    Ok(Json(json!({ "mapping": view(mapping, &base_url) })))
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

fn view(mapping: Mapping, base_url: &BaseUrl) -> Value {
    let path = format!("OS-FEDERATION/mappings/{}", mapping.id);
    json!({
        "id": mapping.id,
        "rules": mapping.rules,
        "schema_version": mapping.schema_version,
        "links": base_url.self_link(path),
    })
}
