//! `/v3/domains/{domain_id}/config`, and the defaults of such configurations.

use archstone_identity::Caller;
use archstone_model::{domain_config::ConfigPart, id::DomainId};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{App, body::RawBody, caller::Authenticated, error::Result};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(show, replace, update, delete))
        .routes(routes!(show_group, update_group, delete_group))
        .routes(routes!(show_option, update_option, delete_option))
        .routes(routes!(defaults))
        .routes(routes!(group_defaults))
        .routes(routes!(option_default))
}

type GroupPath = Path<(DomainId, String)>;
type OptionPath = Path<(DomainId, String, String)>;

/// Shows what a domain has configured for itself.
#[utoipa::path(get, path = "/domains/{domain_id}/config", tag = "domains",
    params(("domain_id" = String, Path)), responses((status = 200, body = ConfigEnvelope)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(domain_id): Path<DomainId>,
) -> Result<Json<ConfigEnvelope>> {
    part(&app, &caller, &domain_id, &ConfigPart::All).await
}

/// Shows a group of a domain's options.
#[utoipa::path(get, path = "/domains/{domain_id}/config/{group}", tag = "domains",
    params(("domain_id" = String, Path), ("group" = String, Path)), responses((status = 200, body = ConfigEnvelope)))]
async fn show_group(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((domain_id, group)): GroupPath,
) -> Result<Json<ConfigEnvelope>> {
    part(&app, &caller, &domain_id, &ConfigPart::Group(group)).await
}

/// Shows an option of a domain's.
#[utoipa::path(get, path = "/domains/{domain_id}/config/{group}/{option}", tag = "domains",
    params(("domain_id" = String, Path), ("group" = String, Path), ("option" = String, Path)),
    responses((status = 200, body = ConfigEnvelope)))]
async fn show_option(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((domain_id, group, option)): OptionPath,
) -> Result<Json<ConfigEnvelope>> {
    let option = ConfigPart::Option { group, option };
    part(&app, &caller, &domain_id, &option).await
}

/// Configures a domain, in place of what it had.
#[utoipa::path(put, path = "/domains/{domain_id}/config", tag = "domains",
    params(("domain_id" = String, Path)), request_body = ConfigEnvelope,
    responses((status = 200, body = ConfigEnvelope), (status = 201, body = ConfigEnvelope)))]
async fn replace(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(domain_id): Path<DomainId>,
    RawBody(body): RawBody,
) -> Result<(StatusCode, Json<ConfigEnvelope>)> {
    let (had_one, config) = app
        .identity
        .replace_domain_config(&caller, &domain_id, &sent(body))
        .await?;
    let status = if had_one {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    Ok((status, Json(ConfigEnvelope { config })))
}

/// Changes some of a domain's options.
#[utoipa::path(patch, path = "/domains/{domain_id}/config", tag = "domains",
    params(("domain_id" = String, Path)), request_body = ConfigEnvelope, responses((status = 200, body = ConfigEnvelope)))]
async fn update(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(domain_id): Path<DomainId>,
    RawBody(body): RawBody,
) -> Result<Json<ConfigEnvelope>> {
    change(&app, &caller, &domain_id, &ConfigPart::All, body).await
}

/// Changes a group of a domain's options.
#[utoipa::path(patch, path = "/domains/{domain_id}/config/{group}", tag = "domains",
    params(("domain_id" = String, Path), ("group" = String, Path)), request_body = ConfigEnvelope,
    responses((status = 200, body = ConfigEnvelope)))]
async fn update_group(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((domain_id, group)): GroupPath,
    RawBody(body): RawBody,
) -> Result<Json<ConfigEnvelope>> {
    change(&app, &caller, &domain_id, &ConfigPart::Group(group), body).await
}

/// Changes an option of a domain's.
#[utoipa::path(patch, path = "/domains/{domain_id}/config/{group}/{option}", tag = "domains",
    params(("domain_id" = String, Path), ("group" = String, Path), ("option" = String, Path)),
    request_body = ConfigEnvelope, responses((status = 200, body = ConfigEnvelope)))]
async fn update_option(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((domain_id, group, option)): OptionPath,
    RawBody(body): RawBody,
) -> Result<Json<ConfigEnvelope>> {
    let option = ConfigPart::Option { group, option };
    change(&app, &caller, &domain_id, &option, body).await
}

/// Deletes what a domain has configured for itself.
#[utoipa::path(delete, path = "/domains/{domain_id}/config", tag = "domains",
    params(("domain_id" = String, Path)), responses((status = 204)))]
async fn delete(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(domain_id): Path<DomainId>,
) -> Result<StatusCode> {
    remove(&app, &caller, &domain_id, &ConfigPart::All).await
}

/// Deletes a group of a domain's options.
#[utoipa::path(delete, path = "/domains/{domain_id}/config/{group}", tag = "domains",
    params(("domain_id" = String, Path), ("group" = String, Path)), responses((status = 204)))]
async fn delete_group(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((domain_id, group)): GroupPath,
) -> Result<StatusCode> {
    remove(&app, &caller, &domain_id, &ConfigPart::Group(group)).await
}

/// Deletes an option of a domain's.
#[utoipa::path(delete, path = "/domains/{domain_id}/config/{group}/{option}", tag = "domains",
    params(("domain_id" = String, Path), ("group" = String, Path), ("option" = String, Path)),
    responses((status = 204)))]
async fn delete_option(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((domain_id, group, option)): OptionPath,
) -> Result<StatusCode> {
    let option = ConfigPart::Option { group, option };
    remove(&app, &caller, &domain_id, &option).await
}

/// Shows what counts for domains that configure nothing.
#[utoipa::path(get, path = "/domains/config/default", tag = "domains", responses((status = 200, body = ConfigEnvelope)))]
async fn defaults(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
) -> Result<Json<ConfigEnvelope>> {
    default_of(&app, &caller, &ConfigPart::All).await
}

/// Shows what counts for domains that do not configure a group.
#[utoipa::path(get, path = "/domains/config/{group}/default", tag = "domains",
    params(("group" = String, Path)), responses((status = 200, body = ConfigEnvelope)))]
async fn group_defaults(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(group): Path<String>,
) -> Result<Json<ConfigEnvelope>> {
    default_of(&app, &caller, &ConfigPart::Group(group)).await
}

/// Shows what counts for domains that do not configure an option.
#[utoipa::path(get, path = "/domains/config/{group}/{option}/default", tag = "domains",
    params(("group" = String, Path), ("option" = String, Path)), responses((status = 200, body = ConfigEnvelope)))]
async fn option_default(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path((group, option)): Path<(String, String)>,
) -> Result<Json<ConfigEnvelope>> {
    default_of(&app, &caller, &ConfigPart::Option { group, option }).await
}

async fn part(
    app: &App,
    caller: &Caller,
    id: &DomainId,
    part: &ConfigPart,
) -> Result<Json<ConfigEnvelope>> {
    let config = app.identity.domain_config(caller, id, part).await?;
    Ok(Json(ConfigEnvelope { config }))
}

async fn change(
    app: &App,
    caller: &Caller,
    id: &DomainId,
    part: &ConfigPart,
    body: Value,
) -> Result<Json<ConfigEnvelope>> {
    let config = app
        .identity
        .update_domain_config(caller, id, part, sent(body))
        .await?;
    Ok(Json(ConfigEnvelope { config }))
}

async fn remove(
    app: &App,
    caller: &Caller,
    id: &DomainId,
    part: &ConfigPart,
) -> Result<StatusCode> {
    app.identity.delete_domain_config(caller, id, part).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn default_of(app: &App, caller: &Caller, part: &ConfigPart) -> Result<Json<ConfigEnvelope>> {
    let config = app.identity.default_domain_config(caller, part).await?;
    Ok(Json(ConfigEnvelope { config }))
}

/// The configuration in a body; whoever reads it refuses what is missing.
fn sent(mut body: Value) -> Value {
    body.get_mut("config").map(Value::take).unwrap_or_default()
}

/// A configuration, a group of it, or an option of it.
#[derive(Serialize, ToSchema)]
struct ConfigEnvelope {
    #[schema(value_type = Object)]
    config: Value,
}
