//! `/v4/connectors`: a domain's own ways in, managed by the domain's manager.

use archstone_identity::{
    ConnectorChange, ConnectorCreation, ConnectorDetails, PluginProfile, Trial,
};
use archstone_model::{
    Extra,
    connector::ConnectorFilter,
    id::{ConnectorId, DomainId, ProjectId, ProtocolId},
    listing::Change,
    mapping::{Mapped, MappedDomain, MappedUserKind},
    secret::Secret,
};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    body::{Body, nullable},
    caller::Authenticated,
    error::{ApiError, Result},
    links::{BaseUrl, SelfLink},
    query::{Filters, ListQuery, Paging},
    resource::{Envelope, List, Resource},
    time::{iso, read_iso},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, update, delete))
        .routes(routes!(list_plugins))
        .routes(routes!(attempt))
        .routes(routes!(revoke))
}

/// Lists connectors: all for an administrator, those of their domain for a domain's manager.
#[utoipa::path(get, path = "/connectors", tag = "connectors",
    params(Filters<ConnectorQuery>, Paging),
    responses((status = 200, body = List<ConnectorView>)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<List<ConnectorView>> {
    let filter = ConnectorFilter {
        domain_id: query.get("domain_id").map(DomainId::from),
        plugin: query.get("plugin").map(str::to_owned),
        enabled: query.bool("enabled"),
        names: query.names(),
        page: query.page()?,
    };
    let found = app.identity.connectors(&caller, filter).await?;
    let root = base_url.v4("connectors");
    Ok(List::below(
        root,
        found,
        ConnectorView::new,
        &base_url,
        &query,
    ))
}

/// Lists the plugins that connectors of a domain may be made of, with what their configuration is.
#[utoipa::path(get, path = "/connector_plugins", tag = "connectors",
    params(("domain_id" = Option<String>, Query, description = "The caller's domain where it is left out")),
    responses((status = 200, body = ConnectorPluginList)))]
async fn list_plugins(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    query: ListQuery,
) -> Result<axum::Json<ConnectorPluginList>> {
    let domain_id = query.get("domain_id").map(DomainId::from);
    let found = app.identity.connector_plugins(&caller, domain_id).await?;
    let view = |(name, profile): (String, PluginProfile)| ConnectorPluginView {
        name,
        kind: profile.kind.as_str(),
        version: profile.version,
        config_schema: profile.config_schema,
        secret_fields: profile.secret_fields,
    };
    Ok(axum::Json(ConnectorPluginList {
        connector_plugins: found.into_iter().map(view).collect(),
    }))
}

/// Creates a connector, once its plugin accepts the configuration. It is an identity provider with a
/// protocol and a mapping of its own, and shows as such under `/v3/OS-FEDERATION`.
#[utoipa::path(post, path = "/connectors", tag = "connectors",
    request_body = ConnectorCreateRequest,
    responses((status = 201, body = Envelope<ConnectorView>), (status = 409)))]
async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Body(request): Body<ConnectorCreateRequest>,
) -> Result<(StatusCode, Envelope<ConnectorView>)> {
    let given = request.connector;
    let creation = ConnectorCreation {
        domain_id: given.domain_id.map(DomainId::from),
        name: given.name,
        plugin: given.plugin,
        protocol: given.protocol_id.map(ProtocolId::from),
        config: given.config,
        mapping: Some(given.mapping),
        mapping_name: None,
        token_project_id: given.token_project_id.map(ProjectId::from),
        redirect_uris: given.redirect_uris.unwrap_or_default(),
        enabled: given.enabled.unwrap_or(true),
    };
    let created = app.identity.create_connector(&caller, creation).await?;
    let view = ConnectorView::new(created, &base_url);
    Ok((StatusCode::CREATED, Envelope(view)))
}

/// Shows a connector. Its secrets are named and never shown.
#[utoipa::path(get, path = "/connectors/{connector_id}", tag = "connectors",
    params(("connector_id" = String, Path)), responses((status = 200, body = Envelope<ConnectorView>)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(id): Path<ConnectorId>,
) -> Result<Envelope<ConnectorView>> {
    let found = app.identity.connector(&caller, &id).await?;
    Ok(Envelope(ConnectorView::new(found, &base_url)))
}

/// Changes a connector, once its plugin accepts the configuration. A `config` takes the place of the
/// whole one; secrets that it leaves out stay as they are. Logins under way end on what they began
/// with. Disabling a connector ends the tokens that came by it.
#[utoipa::path(patch, path = "/connectors/{connector_id}", tag = "connectors",
    params(("connector_id" = String, Path)), request_body = ConnectorUpdateRequest,
    responses((status = 200, body = Envelope<ConnectorView>), (status = 409)))]
async fn update(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(id): Path<ConnectorId>,
    Body(request): Body<ConnectorUpdateRequest>,
) -> Result<Envelope<ConnectorView>> {
    let given = request.connector;
    let change = ConnectorChange {
        name: given.name,
        config: given.config,
        mapping: given.mapping.map(Some).into(),
        token_project_id: given.token_project_id.map(|id| id.map(ProjectId::from)),
        redirect_uris: given.redirect_uris,
        enabled: given.enabled,
        ..ConnectorChange::default()
    };
    let updated = app.identity.update_connector(&caller, &id, change).await?;
    Ok(Envelope(ConnectorView::new(updated, &base_url)))
}

/// Deletes a connector with its identity provider and mapping, and the users whom it alone knows.
#[utoipa::path(delete, path = "/connectors/{connector_id}", tag = "connectors",
    params(("connector_id" = String, Path)), responses((status = 204)))]
async fn delete(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(id): Path<ConnectorId>,
) -> Result<StatusCode> {
    app.identity.delete_connector(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Tries a connector: with a token, as clients show it, or with claims that somebody made up. Tells
/// what the plugin says, what rules can ask for, which rules fit, and whom they give. Nobody is
/// logged in and nothing is made.
#[utoipa::path(post, path = "/connectors/{connector_id}/trial", tag = "connectors",
    params(("connector_id" = String, Path)), request_body = TrialRequest,
    responses((status = 200, body = TrialEnvelope)))]
async fn attempt(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(id): Path<ConnectorId>,
    Body(request): Body<TrialRequest>,
) -> Result<axum::Json<TrialEnvelope>> {
    let given = request.trial;
    let trial = match (given.token, given.subject) {
        (Some(token), None) => {
            let token = Secret::new(token);
            let tried = app.identity.try_connector_with_token(&caller, &id, &token);
            tried.await?
        }
        (None, Some(subject)) => {
            let claims = given.claims.unwrap_or_default();
            let tried = app
                .identity
                .try_connector_with_claims(&caller, &id, subject, claims);
            tried.await?
        }
        _ => {
            return Err(ApiError::bad_request(
                "A trial takes either a token or a subject with claims.",
            ));
        }
    };
    Ok(axum::Json(TrialEnvelope {
        trial: TrialView::new(trial),
    }))
}

/// Ends every token that came by a connector, or came by it since a time.
#[utoipa::path(post, path = "/connectors/{connector_id}/revoke", tag = "connectors",
    params(("connector_id" = String, Path)), request_body = RevocationRequest,
    responses((status = 204)))]
async fn revoke(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(id): Path<ConnectorId>,
    Body(request): Body<RevocationRequest>,
) -> Result<StatusCode> {
    let since = since(request.since.as_deref())?;
    app.identity.revoke_connector(&caller, &id, since).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize, ToSchema)]
struct ConnectorPluginList {
    connector_plugins: Vec<ConnectorPluginView>,
}

/// A plugin as those who make connectors see it.
#[derive(Serialize, ToSchema)]
#[schema(as = ConnectorPlugin)]
struct ConnectorPluginView {
    name: String,
    /// `redirect-connector` where people log in, `token-connector` for workloads.
    kind: &'static str,
    version: String,
    /// JSON Schema of a connector's configuration, secrets included.
    #[schema(value_type = Object)]
    config_schema: Value,
    /// The properties that are secrets.
    secret_fields: Vec<String>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct ConnectorQuery {
    domain_id: Option<String>,
    plugin: Option<String>,
    name: Option<String>,
    #[schema(nullable = false)]
    enabled: Option<bool>,
}

/// A connector as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Connector)]
struct ConnectorView {
    id: String,
    domain_id: String,
    name: String,
    plugin: String,
    /// The identity provider that it is, for `/v3/OS-FEDERATION`.
    identity_provider_id: String,
    protocol_id: String,
    config: Map<String, Value>,
    /// The names of the secrets that are set.
    secrets: Vec<String>,
    mapping: MappingContents,
    /// The one project that tokens are for which come by it.
    token_project_id: Option<String>,
    redirect_uris: Vec<String>,
    enabled: bool,
    /// Grows with every change.
    revision: i64,
    created_at: String,
    updated_at: String,
    links: SelfLink,
}

#[derive(Debug, Serialize, ToSchema)]
struct MappingContents {
    rules: Value,
    schema_version: String,
}

impl Resource for ConnectorView {
    const ONE: &'static str = "connector";
    const MANY: &'static str = "connectors";
}

impl ConnectorView {
    fn new(details: ConnectorDetails, base_url: &BaseUrl) -> Self {
        let ConnectorDetails {
            connector,
            mapping,
            secrets,
        } = details;
        Self {
            links: SelfLink::to(base_url.v4(format_args!("connectors/{}", connector.id))),
            id: connector.id.into_string(),
            domain_id: connector.domain_id.into_string(),
            name: connector.name,
            plugin: connector.plugin,
            identity_provider_id: connector.idp_id.into_string(),
            protocol_id: connector.protocol_id.into_string(),
            config: connector.config,
            secrets,
            mapping: MappingContents {
                rules: mapping.rules,
                schema_version: mapping.schema_version,
            },
            token_project_id: connector.token_project_id.map(ProjectId::into_string),
            redirect_uris: connector.redirect_uris,
            enabled: connector.enabled,
            revision: connector.revision,
            created_at: iso(connector.created_at),
            updated_at: iso(connector.updated_at),
        }
    }
}

#[derive(Deserialize, ToSchema)]
struct ConnectorCreateRequest {
    connector: ConnectorCreate,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ConnectorCreate {
    /// The caller's domain where it is left out.
    #[schema(max_length = 64, nullable = false)]
    domain_id: Option<String>,
    #[schema(min_length = 1, max_length = 255)]
    name: String,
    /// One of those that `/v4/plugins` shows as serving connectors.
    #[schema(min_length = 1, max_length = 64)]
    plugin: String,
    /// `openid`, or `jwt` for a plugin that knows workloads, where it is left out.
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = "^[a-zA-Z0-9_-]+$",
        nullable = false
    )]
    protocol_id: Option<String>,
    /// By the plugin's schema, secrets included.
    #[schema(value_type = Object)]
    config: Map<String, Value>,
    /// `rules` and, if it is not 1.0, `schema_version`; as for `/v3/OS-FEDERATION/mappings`.
    #[schema(value_type = Object)]
    mapping: Extra,
    /// A project of the domain: tokens are for that one alone, whatever scope is asked for.
    #[schema(max_length = 64, nullable = false)]
    token_project_id: Option<String>,
    /// Where a client may have browsers sent back to, in full.
    #[schema(max_items = 32, nullable = false)]
    redirect_uris: Option<Vec<String>>,
    #[schema(nullable = false)]
    enabled: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
struct ConnectorUpdateRequest {
    connector: ConnectorUpdate,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ConnectorUpdate {
    #[schema(min_length = 1, max_length = 255, nullable = false)]
    name: Option<String>,
    #[schema(value_type = Option<Object>, nullable = false)]
    config: Option<Map<String, Value>>,
    #[schema(value_type = Option<Object>, nullable = false)]
    mapping: Option<Extra>,
    /// Null: tokens are for any scope again.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(max_length = 64, value_type = Option<String>, required = false)]
    token_project_id: Change<Option<String>>,
    #[schema(max_items = 32, nullable = false)]
    redirect_uris: Option<Vec<String>>,
    #[schema(nullable = false)]
    enabled: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
struct TrialRequest {
    trial: TrialGiven,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TrialGiven {
    /// As a client would show it.
    #[schema(nullable = false)]
    token: Option<String>,
    /// In place of a token, with `claims`.
    #[schema(nullable = false)]
    subject: Option<String>,
    #[schema(value_type = Option<Object>, nullable = false)]
    claims: Option<Map<String, Value>>,
}

#[derive(Serialize, ToSchema)]
struct TrialEnvelope {
    trial: TrialView,
}

/// What came of a trial, step by step.
#[derive(Serialize, ToSchema)]
#[schema(as = Trial)]
struct TrialView {
    subject: String,
    claims: Map<String, Value>,
    /// What the mapping's rules can ask for, by name.
    attributes: Map<String, Value>,
    rules: Vec<TrialRuleView>,
    /// Whom the rules give, if they give anybody.
    #[schema(value_type = Option<Object>)]
    mapped: Option<Value>,
    /// Why nobody would be logged in; null where somebody would.
    error: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = TrialRule)]
struct TrialRuleView {
    /// Its place in the mapping, beginning with 0.
    place: usize,
    fits: bool,
    error: Option<String>,
}

impl TrialView {
    fn new(trial: Trial) -> Self {
        let attributes = trial.attributes.into_iter();
        Self {
            subject: trial.subject,
            claims: trial.claims,
            attributes: attributes
                .map(|(name, value)| (name, Value::from(value)))
                .collect(),
            rules: trial
                .rules
                .into_iter()
                .map(|rule| TrialRuleView {
                    place: rule.place,
                    fits: rule.fits,
                    error: rule.error,
                })
                .collect(),
            mapped: trial.mapped.as_ref().map(mapped),
            error: trial.error,
        }
    }
}

fn mapped(mapped: &Mapped) -> Value {
    let domain = |domain: &MappedDomain| json!({ "id": domain.id, "name": domain.name });
    json!({
        "user": {
            "type": match mapped.user.kind {
                MappedUserKind::Ephemeral => "ephemeral",
                MappedUserKind::Local => "local",
            },
            "id": mapped.user.id,
            "name": mapped.user.name,
            "email": mapped.user.email,
            "domain": mapped.user.domain.as_ref().map(domain),
        },
        "group_ids": mapped.group_ids,
        "groups": mapped.group_names.iter().map(|group| json!({
            "name": group.name, "domain": domain(&group.domain),
        })).collect::<Vec<_>>(),
        "projects": mapped.projects.iter().map(|project| json!({
            "name": project.name,
            "domain": project.domain.as_ref().map(domain),
            "roles": project.roles,
        })).collect::<Vec<_>>(),
    })
}

/// Whose tokens end.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RevocationRequest {
    /// A time in ISO 8601: only tokens issued since then.
    #[schema(nullable = false)]
    since: Option<String>,
}

/// A time since which tokens end.
pub(super) fn since(text: Option<&str>) -> Result<Option<chrono::DateTime<chrono::Utc>>, ApiError> {
    let read = |text| {
        read_iso(text).ok_or_else(|| ApiError::bad_request("`since` is no time in ISO 8601."))
    };
    text.map(read).transpose()
}
