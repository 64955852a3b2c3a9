//! `/v3/domains`.

use archstone_identity::{DomainCreation, DomainRef, ProjectChange};
use archstone_model::{
    Extra,
    id::DomainId,
    listing::Change,
    project::{Domain, ProjectFilter},
};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    body::{Body, LenientBool, non_empty, nullable, without_reserved},
    caller::Authenticated,
    error::{ApiError, Result},
    links::{BaseUrl, SelfLink},
    project_tags::check_tags,
    projects::{ResourceOptionsBody, ResourceOptionsRequest},
    query::{Comparisons, Filters, ListQuery, Name, Paging},
    resource::{Envelope, List, Resource},
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, update, delete))
}

/// Lists domains.
#[utoipa::path(get, path = "/domains", tag = "domains",
    params(Filters<DomainQuery>, Comparisons<Name>, Paging), responses((status = 200, body = List<DomainView>)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<List<DomainView>> {
    query.check::<DomainQuery>()?;
    let filter = ProjectFilter {
        is_domain: Some(true),
        enabled: query.bool("enabled"),
        names: query.names(),
        page: query.page()?,
        ..ProjectFilter::default()
    };
    let domains = app.identity.domains(&caller, filter).await?;
    let (view, path) = (DomainView::new, "domains");
    Ok(List::new(domains, view, path, &base_url, &query))
}

/// Creates a domain.
#[utoipa::path(post, path = "/domains", tag = "domains", request_body = DomainCreateRequest,
    responses((status = 201, body = Envelope<DomainView>)))]
async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Body(request): Body<DomainCreateRequest>,
) -> Result<(StatusCode, Envelope<DomainView>)> {
    let domain = app
        .identity
        .create_domain(&caller, request.domain.try_into()?)
        .await?;
    let view = DomainView::new(domain, &base_url);
    Ok((StatusCode::CREATED, Envelope(view)))
}

/// Shows a domain.
#[utoipa::path(get, path = "/domains/{domain_id}", tag = "domains",
    params(("domain_id" = String, Path)), responses((status = 200, body = Envelope<DomainView>)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(domain_id): Path<DomainId>,
) -> Result<Envelope<DomainView>> {
    let domain = app.identity.domain(&caller, &domain_id).await?;
    Ok(Envelope(DomainView::new(domain, &base_url)))
}

/// Changes a domain.
#[utoipa::path(patch, path = "/domains/{domain_id}", tag = "domains",
    params(("domain_id" = String, Path)), request_body = DomainUpdateRequest,
    responses((status = 200, body = Envelope<DomainView>)))]
async fn update(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(domain_id): Path<DomainId>,
    Body(request): Body<DomainUpdateRequest>,
) -> Result<Envelope<DomainView>> {
    let domain = app
        .identity
        .update_domain(&caller, &domain_id, request.domain.try_into()?)
        .await?;
    Ok(Envelope(DomainView::new(domain, &base_url)))
}

/// Deletes a disabled domain with everything in it but its roles.
#[utoipa::path(delete, path = "/domains/{domain_id}", tag = "domains",
    params(("domain_id" = String, Path)), responses((status = 204)))]
async fn delete(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(domain_id): Path<DomainId>,
) -> Result<StatusCode> {
    app.identity.delete_domain(&caller, &domain_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The filters of a list of domains.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "read by its schema only")]
struct DomainQuery {
    #[schema(min_length = 1, max_length = 64, pattern = r"[\S]+", nullable = false)]
    name: Option<String>,
    #[schema(nullable = false)]
    enabled: Option<LenientBool>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DomainCreateRequest {
    domain: DomainCreate,
}

#[derive(Debug, Deserialize, ToSchema)]
struct DomainCreate {
    #[schema(min_length = 1, max_length = 64, pattern = r"[\S]+")]
    name: String,
    /// 32 hexadecimal digits, where another cloud has the domain already.
    #[schema(pattern = "^[0-9a-f]{32}$", nullable = false)]
    explicit_domain_id: Option<String>,
    #[schema(nullable = false)]
    enabled: Option<bool>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(max_length = 255, value_type = Option<String>)]
    description: Change<Option<String>>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    options: ResourceOptionsRequest,
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
}

impl TryFrom<DomainCreate> for DomainCreation {
    type Error = ApiError;

    fn try_from(domain: DomainCreate) -> Result<Self, ApiError> {
        check_tags(&domain.tags)?;
        Ok(Self {
            name: domain.name,
            explicit_id: domain.explicit_domain_id.map(DomainId::from),
            enabled: domain.enabled.unwrap_or(true),
            description: domain.description.into_set().unwrap_or(Some(String::new())),
            tags: domain.tags,
            options: domain.options.into(),
            extra: without_what_domains_lack(domain.extra),
        })
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DomainUpdateRequest {
    #[serde(deserialize_with = "non_empty")]
    domain: DomainUpdate,
}

#[derive(Debug, Deserialize, ToSchema)]
struct DomainUpdate {
    #[schema(min_length = 1, max_length = 64, pattern = r"[\S]+", nullable = false)]
    name: Option<String>,
    #[schema(nullable = false)]
    enabled: Option<bool>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(max_length = 255, value_type = Option<String>)]
    description: Change<Option<String>>,
    #[schema(nullable = false)]
    tags: Option<Vec<String>>,
    #[schema(nullable = false)]
    options: Option<ResourceOptionsRequest>,
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
}

impl TryFrom<DomainUpdate> for ProjectChange {
    type Error = ApiError;

    fn try_from(domain: DomainUpdate) -> Result<Self, ApiError> {
        check_tags(domain.tags.as_deref().unwrap_or_default())?;
        Ok(Self {
            name: domain.name.into(),
            enabled: domain.enabled.into(),
            description: domain.description,
            tags: domain.tags.into(),
            immutable: ResourceOptionsRequest::into_change(domain.options),
            extra: without_what_domains_lack(domain.extra),
            ..Self::default()
        })
    }
}

/// Drops what a domain never has, though it is a project underneath; clients may send it.
fn without_what_domains_lack(extra: Extra) -> Extra {
    let mut extra = without_reserved(extra);
    for name in ["domain_id", "parent_id", "is_domain"] {
        extra.shift_remove(name);
    }
    extra
}

/// A domain as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Domain)]
pub(crate) struct DomainView {
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
    #[schema(value_type = String)]
    id: DomainId,
    name: String,
    description: Option<String>,
    enabled: bool,
    tags: Vec<String>,
    options: ResourceOptionsBody,
    links: SelfLink,
}

impl DomainView {
    pub(crate) fn new(domain: Domain, base_url: &BaseUrl) -> Self {
        Self {
            links: base_url.self_link(format_args!("domains/{}", domain.id)),
            extra: domain.extra,
            id: domain.id,
            name: domain.name,
            description: domain.description,
            enabled: domain.enabled,
            tags: domain.tags,
            options: domain.options.into(),
        }
    }
}

impl Resource for DomainView {
    const ONE: &'static str = "domain";
    const MANY: &'static str = "domains";
}

/// A domain where it is only named.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DomainReference {
    id: String,
    name: String,
}

impl From<&Domain> for DomainReference {
    fn from(domain: &Domain) -> Self {
        Self {
            id: domain.id.to_string(),
            name: domain.name.clone(),
        }
    }
}

impl From<&DomainRef> for DomainReference {
    fn from(domain: &DomainRef) -> Self {
        Self {
            id: domain.id.to_string(),
            name: domain.name.clone(),
        }
    }
}
