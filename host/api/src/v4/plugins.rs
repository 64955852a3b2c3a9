//! `/v4/plugins`: what is installed and how it fares, for administrators.

use archstone_identity::{InstalledPlugin, PluginDetails, Settings};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::connectors::since;
use crate::{
    App,
    body::Body,
    caller::Authenticated,
    error::{ApiError, Result},
    time::iso,
};

/// The route of components, which are longer than what other requests may send.
pub(crate) const ARTIFACT: &str = "/v4/plugins/{plugin}/artifact";

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(install))
        .routes(routes!(list))
        .routes(routes!(show, remove))
        .routes(routes!(configure))
        .routes(routes!(roll_back))
        .routes(routes!(revoke))
}

/// Lists plugins with how they fare on this node.
#[utoipa::path(get, path = "/plugins", tag = "plugins",
    responses((status = 200, body = PluginList)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
) -> Result<Json<PluginList>> {
    let plugins = app.identity.plugins(&caller).await?;
    Ok(Json(PluginList {
        plugins: plugins.into_iter().map(PluginView::new).collect(),
    }))
}

/// Shows a plugin as all nodes are to have it.
#[utoipa::path(get, path = "/plugins/{plugin}", tag = "plugins",
    params(("plugin" = String, Path)), responses((status = 200, body = InstalledEnvelope)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(plugin): Path<String>,
) -> Result<Json<InstalledEnvelope>> {
    let found = app.identity.installed_plugin(&caller, &plugin).await?;
    Ok(Json(found.into()))
}

/// Installs a component, once this node could serve it with the plugin's settings. This node serves it
/// then, and the others take it up within two seconds; calls that run finish on the version they began
/// with.
#[utoipa::path(put, path = "/plugins/{plugin}/artifact", tag = "plugins",
    params(("plugin" = String, Path)),
    request_body(content = Vec<u8>, content_type = "application/wasm"),
    responses((status = 200, body = InstalledEnvelope)))]
async fn install(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(plugin): Path<String>,
    artifact: Bytes,
) -> Result<Json<InstalledEnvelope>> {
    let installed = app
        .identity
        .install_plugin(&caller, &plugin, artifact.into());
    Ok(Json(installed.await?.into()))
}

/// Changes the settings of a plugin (`config`, `grant`, `limits`, `connectors`), once this node could
/// serve it with them. They are sealed, and shown to nobody.
#[utoipa::path(put, path = "/plugins/{plugin}/settings", tag = "plugins",
    params(("plugin" = String, Path)), request_body = SettingsRequest,
    responses((status = 200, body = InstalledEnvelope)))]
async fn configure(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(plugin): Path<String>,
    Body(request): Body<SettingsRequest>,
) -> Result<Json<InstalledEnvelope>> {
    let text = request.settings.to_string();
    let settings = Settings::from_json(text.as_bytes())
        .map_err(|error| ApiError::bad_request(error.to_string()))?;
    let configured = app.identity.configure_plugin(&caller, &plugin, settings);
    Ok(Json(configured.await?.into()))
}

/// Goes back to the version installed before, or to one by the beginning of its digest.
#[utoipa::path(post, path = "/plugins/{plugin}/rollback", tag = "plugins",
    params(("plugin" = String, Path)), request_body = RollbackRequest,
    responses((status = 200, body = InstalledEnvelope)))]
async fn roll_back(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(plugin): Path<String>,
    Body(request): Body<RollbackRequest>,
) -> Result<Json<InstalledEnvelope>> {
    let to = request.digest.as_deref();
    let installed = app.identity.roll_back_plugin(&caller, &plugin, to);
    Ok(Json(installed.await?.into()))
}

/// Takes a plugin out of service on all nodes. Its versions and settings stay, for a rollback.
#[utoipa::path(delete, path = "/plugins/{plugin}", tag = "plugins",
    params(("plugin" = String, Path)), responses((status = 204)))]
async fn remove(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(plugin): Path<String>,
) -> Result<StatusCode> {
    app.identity.remove_plugin(&caller, &plugin).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends every token that came by a plugin, or came by it since a time, or while it was one artifact:
/// by its method, or by any connector of it.
#[utoipa::path(post, path = "/plugins/{plugin}/revoke", tag = "plugins",
    params(("plugin" = String, Path)), request_body = PluginRevocationRequest,
    responses((status = 204)))]
async fn revoke(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(plugin): Path<String>,
    Body(request): Body<PluginRevocationRequest>,
) -> Result<StatusCode> {
    let since = since(request.since.as_deref())?;
    let digest = request.digest.as_deref();
    app.identity
        .revoke_plugin(&caller, &plugin, digest, since)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SettingsRequest {
    #[schema(value_type = Object)]
    settings: Value,
}

/// Whose tokens end.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PluginRevocationRequest {
    /// A time in ISO 8601: only tokens issued since then.
    #[schema(nullable = false)]
    since: Option<String>,
    /// Only tokens issued while the plugin was this artifact, or as long after as a login may take.
    #[schema(min_length = 64, max_length = 64, nullable = false)]
    digest: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RollbackRequest {
    #[schema(min_length = 4, max_length = 64, nullable = false)]
    digest: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct InstalledEnvelope {
    plugin: InstalledView,
}

/// A plugin as all nodes are to have it.
#[derive(Serialize, ToSchema)]
#[schema(as = InstalledPlugin)]
struct InstalledView {
    name: String,
    /// SHA-256 of the artifact; null where it is out of service.
    digest: Option<String>,
    /// In the order of their first installation.
    versions: Vec<VersionView>,
    /// Grows with every change.
    revision: i64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = PluginVersion)]
struct VersionView {
    digest: String,
    installed_at: String,
}

impl From<InstalledPlugin> for InstalledEnvelope {
    fn from(plugin: InstalledPlugin) -> Self {
        let version = |(digest, since)| VersionView {
            digest,
            installed_at: iso(since),
        };
        Self {
            plugin: InstalledView {
                name: plugin.name,
                digest: plugin.digest,
                versions: plugin.versions.into_iter().map(version).collect(),
                revision: plugin.revision,
            },
        }
    }
}

#[derive(Serialize, ToSchema)]
struct PluginList {
    plugins: Vec<PluginView>,
}

/// A plugin as it serves here.
#[derive(Serialize, ToSchema)]
#[schema(as = Plugin)]
struct PluginView {
    /// The name that it is installed by: the method's, or the one that connectors name.
    name: String,
    /// `auth-method`, `redirect-connector`, `token-connector` ...; null where no version serves.
    kind: Option<String>,
    /// `serving`, `serving-older` where the newest version was refused, `failed` where none serves.
    state: String,
    version: Option<String>,
    summary: Option<String>,
    /// SHA-256 of the artifact.
    digest: Option<String>,
    /// JSON Schema of the configuration.
    #[schema(value_type = Option<Object>)]
    config_schema: Option<Value>,
    /// The properties of the configuration that are secrets.
    secret_fields: Vec<String>,
    /// Calls and failures of the version that serves, on this node.
    calls: u64,
    failures: u64,
    /// Whether it failed so often that it is not called for now.
    breaker_open: bool,
    /// Why the newest version does not serve.
    error: Option<String>,
}

impl PluginView {
    fn new(details: PluginDetails) -> Self {
        let PluginDetails {
            status,
            kind,
            config_schema,
            secret_fields,
        } = details;
        let serving = status.serving.as_ref();
        Self {
            name: status.method,
            kind: kind.map(|kind| kind.as_str().to_owned()),
            state: status.state.as_str().to_owned(),
            version: serving.map(|it| it.version.clone()),
            summary: serving.map(|it| it.summary.clone()),
            digest: serving.map(|it| it.digest.to_string()),
            config_schema,
            secret_fields,
            calls: serving.map_or(0, |it| it.calls),
            failures: serving.map_or(0, |it| it.failures),
            breaker_open: serving.is_some_and(|it| it.breaker_open),
            error: status.last_error.map(|error| error.message),
        }
    }
}
