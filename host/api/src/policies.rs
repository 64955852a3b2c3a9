//! `/v3/policies`, and what policies are for: `OS-ENDPOINT-POLICY`.

use archstone_identity::PolicyDocumentCreation;
use archstone_model::{
    Extra,
    endpoint_policy::{PolicyDocument, PolicyDocumentFilter, PolicyDocumentPatch, PolicySubject},
    id::{EndpointId, PolicyId, RegionId, ServiceId},
};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    body::{RawBody, non_empty, parse},
    caller::Authenticated,
    catalog::EndpointView,
    error::{ApiError, Result},
    links::{BaseUrl, SelfLink},
    query::{Comparisons, Filters, ListQuery, Paging},
    resource::{Envelope, List, Resource},
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, update, delete))
        .routes(routes!(list_endpoints))
        .routes(routes!(check_endpoint, add_endpoint, remove_endpoint))
        .routes(routes!(check_service, add_service, remove_service))
        .routes(routes!(check_region, add_region, remove_region))
        .routes(routes!(of_endpoint))
}

/// Lists policies.
#[utoipa::path(get, path = "/policies", tag = "policies",
    params(Filters<PolicyQuery>, Comparisons<PolicyQuery>, Paging),
    responses((status = 200, body = List<PolicyView>)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<List<PolicyView>> {
    let filter = PolicyDocumentFilter {
        kinds: query.comparisons("type"),
        page: query.page()?,
    };
    let policies = app.identity.policy_documents(&caller, filter).await?;
    Ok(List::new(
        policies,
        PolicyView::new,
        "policies",
        &base_url,
        &query,
    ))
}

/// Keeps a policy.
#[utoipa::path(post, path = "/policies", tag = "policies", request_body = PolicyCreateRequest,
    responses((status = 201, body = Envelope<PolicyView>)))]
async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    RawBody(body): RawBody,
) -> Result<(StatusCode, Envelope<PolicyView>)> {
    app.identity.may_create_policy_documents(&caller).await?;
    let PolicyCreate { kind, blob, extra } = parse::<PolicyCreateRequest>(body)?.policy;
    let creation = PolicyDocumentCreation {
        kind,
        blob,
        // Keystone spells attributes without colons and dashes.
        extra: without_reserved(extra)
            .into_iter()
            .map(|(name, value)| (name.replace([':', '-'], "_"), value))
            .collect(),
    };
    let policy = app
        .identity
        .create_policy_document(&caller, creation)
        .await?;
    let view = PolicyView::new(policy, &base_url);
    Ok((StatusCode::CREATED, Envelope(view)))
}

/// Shows a policy.
#[utoipa::path(get, path = "/policies/{policy_id}", tag = "policies",
    params(("policy_id" = String, Path)), responses((status = 200, body = Envelope<PolicyView>)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(policy_id): Path<PolicyId>,
) -> Result<Envelope<PolicyView>> {
    let policy = app.identity.policy_document(&caller, &policy_id).await?;
    Ok(Envelope(PolicyView::new(policy, &base_url)))
}

/// Changes a policy.
#[utoipa::path(patch, path = "/policies/{policy_id}", tag = "policies",
    params(("policy_id" = String, Path)), request_body = PolicyUpdateRequest,
    responses((status = 200, body = Envelope<PolicyView>)))]
async fn update(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(policy_id): Path<PolicyId>,
    RawBody(body): RawBody,
) -> Result<Envelope<PolicyView>> {
    app.identity
        .may_update_policy_document(&caller, &policy_id)
        .await?;
    let PolicyUpdate { kind, blob, extra } = parse::<PolicyUpdateRequest>(body)?.policy;
    if extra.get("id").is_some_and(|id| id != policy_id.as_str()) {
        return Err(ApiError::bad_request("Cannot change policy ID"));
    }
    let patch = PolicyDocumentPatch {
        kind: kind.into(),
        blob: blob.into(),
        extra: without_reserved(extra),
    };
    let policy = app
        .identity
        .update_policy_document(&caller, &policy_id, patch)
        .await?;
    Ok(Envelope(PolicyView::new(policy, &base_url)))
}

/// Deletes a policy.
#[utoipa::path(delete, path = "/policies/{policy_id}", tag = "policies",
    params(("policy_id" = String, Path)), responses((status = 204)))]
async fn delete(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(policy_id): Path<PolicyId>,
) -> Result<StatusCode> {
    app.identity
        .delete_policy_document(&caller, &policy_id)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the endpoints that a policy is for.
#[utoipa::path(get, path = "/policies/{policy_id}/OS-ENDPOINT-POLICY/endpoints", tag = "policies",
    params(("policy_id" = String, Path)), responses((status = 200, body = List<EndpointView>)))]
async fn list_endpoints(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(policy_id): Path<PolicyId>,
    query: ListQuery,
) -> Result<List<EndpointView>> {
    let endpoints = app
        .identity
        .endpoints_of_policy(&caller, &policy_id)
        .await?;
    let path = format!("policies/{policy_id}/OS-ENDPOINT-POLICY/endpoints");
    let view = EndpointView::without_old_name;
    Ok(List::new(endpoints, view, &path, &base_url, &query))
}

/// Says whether a policy is for an endpoint.
#[utoipa::path(get, path = "/policies/{policy_id}/OS-ENDPOINT-POLICY/endpoints/{endpoint_id}",
    tag = "policies", params(("policy_id" = String, Path), ("endpoint_id" = String, Path)),
    responses((status = 204)))]
async fn check_endpoint(
    app: State<App>,
    caller: Authenticated,
    Path((policy_id, endpoint_id)): Path<(PolicyId, EndpointId)>,
) -> Result<StatusCode> {
    check(app, caller, policy_id, PolicySubject::Endpoint(endpoint_id)).await
}

/// Makes a policy the one for an endpoint.
#[utoipa::path(put, path = "/policies/{policy_id}/OS-ENDPOINT-POLICY/endpoints/{endpoint_id}",
    tag = "policies", params(("policy_id" = String, Path), ("endpoint_id" = String, Path)),
    responses((status = 204)))]
async fn add_endpoint(
    app: State<App>,
    caller: Authenticated,
    Path((policy_id, endpoint_id)): Path<(PolicyId, EndpointId)>,
) -> Result<StatusCode> {
    add(app, caller, policy_id, PolicySubject::Endpoint(endpoint_id)).await
}

/// Takes a policy from an endpoint.
#[utoipa::path(delete, path = "/policies/{policy_id}/OS-ENDPOINT-POLICY/endpoints/{endpoint_id}",
    tag = "policies", params(("policy_id" = String, Path), ("endpoint_id" = String, Path)),
    responses((status = 204)))]
async fn remove_endpoint(
    app: State<App>,
    caller: Authenticated,
    Path((policy_id, endpoint_id)): Path<(PolicyId, EndpointId)>,
) -> Result<StatusCode> {
    remove(app, caller, policy_id, PolicySubject::Endpoint(endpoint_id)).await
}

/// Says whether a policy is for a service.
#[utoipa::path(get, path = "/policies/{policy_id}/OS-ENDPOINT-POLICY/services/{service_id}",
    tag = "policies", params(("policy_id" = String, Path), ("service_id" = String, Path)),
    responses((status = 204)))]
async fn check_service(
    app: State<App>,
    caller: Authenticated,
    Path((policy_id, service_id)): Path<(PolicyId, ServiceId)>,
) -> Result<StatusCode> {
    check(app, caller, policy_id, PolicySubject::Service(service_id)).await
}

/// Makes a policy the one for a service.
#[utoipa::path(put, path = "/policies/{policy_id}/OS-ENDPOINT-POLICY/services/{service_id}",
    tag = "policies", params(("policy_id" = String, Path), ("service_id" = String, Path)),
    responses((status = 204)))]
async fn add_service(
    app: State<App>,
    caller: Authenticated,
    Path((policy_id, service_id)): Path<(PolicyId, ServiceId)>,
) -> Result<StatusCode> {
    add(app, caller, policy_id, PolicySubject::Service(service_id)).await
}

/// Takes a policy from a service.
#[utoipa::path(delete, path = "/policies/{policy_id}/OS-ENDPOINT-POLICY/services/{service_id}",
    tag = "policies", params(("policy_id" = String, Path), ("service_id" = String, Path)),
    responses((status = 204)))]
async fn remove_service(
    app: State<App>,
    caller: Authenticated,
    Path((policy_id, service_id)): Path<(PolicyId, ServiceId)>,
) -> Result<StatusCode> {
    remove(app, caller, policy_id, PolicySubject::Service(service_id)).await
}

type InRegion = Path<(PolicyId, ServiceId, RegionId)>;

/// Says whether a policy is for a service in a region.
#[utoipa::path(get,
    path = "/policies/{policy_id}/OS-ENDPOINT-POLICY/services/{service_id}/regions/{region_id}",
    tag = "policies", params(("policy_id" = String, Path), ("service_id" = String, Path),
    ("region_id" = String, Path)), responses((status = 204)))]
async fn check_region(
    app: State<App>,
    caller: Authenticated,
    Path((policy_id, service_id, region_id)): InRegion,
) -> Result<StatusCode> {
    let subject = PolicySubject::ServiceInRegion(service_id, region_id);
    check(app, caller, policy_id, subject).await
}

/// Makes a policy the one for a service in a region and those below it.
#[utoipa::path(put,
    path = "/policies/{policy_id}/OS-ENDPOINT-POLICY/services/{service_id}/regions/{region_id}",
    tag = "policies", params(("policy_id" = String, Path), ("service_id" = String, Path),
    ("region_id" = String, Path)), responses((status = 204)))]
async fn add_region(
    app: State<App>,
    caller: Authenticated,
    Path((policy_id, service_id, region_id)): InRegion,
) -> Result<StatusCode> {
    let subject = PolicySubject::ServiceInRegion(service_id, region_id);
    add(app, caller, policy_id, subject).await
}

/// Takes a policy from a service in a region.
#[utoipa::path(delete,
    path = "/policies/{policy_id}/OS-ENDPOINT-POLICY/services/{service_id}/regions/{region_id}",
    tag = "policies", params(("policy_id" = String, Path), ("service_id" = String, Path),
    ("region_id" = String, Path)), responses((status = 204)))]
async fn remove_region(
    app: State<App>,
    caller: Authenticated,
    Path((policy_id, service_id, region_id)): InRegion,
) -> Result<StatusCode> {
    let subject = PolicySubject::ServiceInRegion(service_id, region_id);
    remove(app, caller, policy_id, subject).await
}

/// Shows the policy that is for an endpoint.
#[utoipa::path(get, path = "/endpoints/{endpoint_id}/OS-ENDPOINT-POLICY/policy", tag = "policies",
    params(("endpoint_id" = String, Path)), responses((status = 200, body = Envelope<PolicyView>)))]
async fn of_endpoint(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(endpoint_id): Path<EndpointId>,
) -> Result<Envelope<PolicyView>> {
    let policy = app
        .identity
        .policy_of_endpoint(&caller, &endpoint_id)
        .await?;
    // Keystone links the policy as if it were an endpoint, and clients may compare.
    let view = PolicyView::linked(policy, "endpoints", &base_url);
    Ok(Envelope(view))
}

async fn check(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    policy_id: PolicyId,
    subject: PolicySubject,
) -> Result<StatusCode> {
    app.identity
        .check_policy_association(&caller, &policy_id, &subject)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn add(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    policy_id: PolicyId,
    subject: PolicySubject,
) -> Result<StatusCode> {
    app.identity
        .associate_policy(&caller, &policy_id, &subject)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    policy_id: PolicyId,
    subject: PolicySubject,
) -> Result<StatusCode> {
    app.identity
        .dissociate_policy(&caller, &policy_id, &subject)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn without_reserved(mut extra: Extra) -> Extra {
    extra.shift_remove("id");
    extra
}

/// The filter of a list of policies.
#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is all that is used")]
struct PolicyQuery {
    r#type: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct PolicyCreateRequest {
    policy: PolicyCreate,
}

#[derive(Debug, Deserialize, ToSchema)]
struct PolicyCreate {
    blob: String,
    #[serde(rename = "type")]
    #[schema(max_length = 255)]
    kind: String,
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
}

#[derive(Debug, Deserialize, ToSchema)]
struct PolicyUpdateRequest {
    #[serde(deserialize_with = "non_empty")]
    policy: PolicyUpdate,
}

#[derive(Debug, Deserialize, ToSchema)]
struct PolicyUpdate {
    #[schema(nullable = false)]
    blob: Option<String>,
    #[serde(rename = "type")]
    #[schema(max_length = 255, nullable = false)]
    kind: Option<String>,
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
}

/// A policy as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Policy)]
struct PolicyView {
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Extra,
    id: String,
    #[serde(rename = "type")]
    kind: String,
    /// Text, unless something else wrote it to the database.
    blob: Value,
    links: SelfLink,
}

impl PolicyView {
    fn new(policy: PolicyDocument, base_url: &BaseUrl) -> Self {
        Self::linked(policy, "policies", base_url)
    }

    fn linked(policy: PolicyDocument, collection: &str, base_url: &BaseUrl) -> Self {
        Self {
            links: base_url.self_link(format_args!("{collection}/{}", policy.id)),
            extra: policy.extra,
            id: policy.id.into(),
            kind: policy.kind,
            blob: policy.blob,
        }
    }
}

impl Resource for PolicyView {
    const ONE: &'static str = "policy";
    const MANY: &'static str = "policies";
}
