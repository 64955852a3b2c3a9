//! `/v4/plugins`: what is installed and how it fares, for administrators.

use archstone_identity::PluginDetails;
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::connectors::RevocationRequest;
use crate::{App, body::Body, caller::Authenticated, error::Result};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(revoke))
}

/// Lists plugins with how they fare on this node.
#[utoipa::path(get, path = "/plugins", tag = "plugins",
    responses((status = 200, body = PluginList)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
) -> Result<Json<PluginList>> {
    let plugins = app.identity.plugins(&caller)?;
    Ok(Json(PluginList {
        plugins: plugins.into_iter().map(PluginView::new).collect(),
    }))
}

/// Ends every token that came by a plugin, or came by it since a time: by its method, or by any
/// connector of it.
#[utoipa::path(post, path = "/plugins/{plugin}/revoke", tag = "plugins",
    params(("plugin" = String, Path)), request_body = RevocationRequest,
    responses((status = 204)))]
async fn revoke(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(plugin): Path<String>,
    Body(request): Body<RevocationRequest>,
) -> Result<StatusCode> {
    let since = request.since()?;
    app.identity.revoke_plugin(&caller, &plugin, since).await?;
    Ok(StatusCode::NO_CONTENT)
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
