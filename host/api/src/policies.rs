//! `/v3/policies`, and what policies are for: `OS-ENDPOINT-POLICY`.

use archstone_identity::PolicyDocumentCreation;
use archstone_model::{
    Extra,
    endpoint_policy::{PolicyDocument, PolicyDocumentFilter, PolicyDocumentPatch, PolicySubject},
    id::{EndpointId, PolicyId, RegionId, ServiceId},
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    body::{RawBody, non_empty, parse},
    caller::Authenticated,
    catalog::view_endpoint,
    error::{ApiError, Result},
    links::{BaseUrl, list_body},
    query::ListQuery,
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
#[utoipa::path(get, path = "/policies", tag = "policies", responses((status = 200)))]
async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<Json<Value>> {
    let filter = PolicyDocumentFilter {
        kinds: query.comparisons("type"),
        page: query.page()?,
    };
    let policies = app.identity.policy_documents(&caller, filter).await?;
    let views = policies
        .entries
        .into_iter()
        .map(|policy| view(policy, "policies", &base_url))
        .collect();
    Ok(Json(list_body(
        "policies",
        "policies",
        views,
        policies.cut_at,
        &base_url,
        &query,
    )))
}

/// Keeps a policy.
#[utoipa::path(post, path = "/policies", tag = "policies", request_body = PolicyCreateRequest,
    responses((status = 201)))]
async fn create(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    RawBody(body): RawBody,
) -> Result<(StatusCode, Json<Value>)> {
    app.identity.may_create_policy_documents(&caller)?;
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
    Ok((
        StatusCode::CREATED,
        Json(json!({ "policy": view(policy, "policies", &base_url) })),
    ))
}

/// Shows a policy.
#[utoipa::path(get, path = "/policies/{policy_id}", tag = "policies",
    params(("policy_id" = String, Path)), responses((status = 200)))]
async fn show(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(policy_id): Path<PolicyId>,
) -> Result<Json<Value>> {
    let policy = app.identity.policy_document(&caller, &policy_id).await?;
    Ok(Json(
        json!({ "policy": view(policy, "policies", &base_url) }),
    ))
}

/// Changes a policy.
#[utoipa::path(patch, path = "/policies/{policy_id}", tag = "policies",
    params(("policy_id" = String, Path)), request_body = PolicyUpdateRequest,
    responses((status = 200)))]
async fn update(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(policy_id): Path<PolicyId>,
    RawBody(body): RawBody,
) -> Result<Json<Value>> {
    app.identity
        .may_update_policy_document(&caller, &policy_id)?;
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
    Ok(Json(
        json!({ "policy": view(policy, "policies", &base_url) }),
    ))
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
    params(("policy_id" = String, Path)), responses((status = 200)))]
async fn list_endpoints(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(policy_id): Path<PolicyId>,
    query: ListQuery,
) -> Result<Json<Value>> {
    let endpoints = app
        .identity
        .endpoints_of_policy(&caller, &policy_id)
        .await?;
    let views = endpoints
        .into_iter()
        .map(|endpoint| {
            let mut view = view_endpoint(endpoint, &base_url);
            if let Some(members) = view.as_object_mut() {
                // The old name of `region_id` is not told here.
                members.shift_remove("region");
            }
            view
        })
        .collect();
    let path = format!("policies/{policy_id}/OS-ENDPOINT-POLICY/endpoints");
    Ok(Json(list_body(
        "endpoints",
        &path,
        views,
        None,
        &base_url,
        &query,
    )))
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
    params(("endpoint_id" = String, Path)), responses((status = 200)))]
async fn of_endpoint(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    Path(endpoint_id): Path<EndpointId>,
) -> Result<Json<Value>> {
    let policy = app
        .identity
        .policy_of_endpoint(&caller, &endpoint_id)
        .await?;
    // Keystone links the policy as if it were an endpoint, and clients may compare.
    Ok(Json(
        json!({ "policy": view(policy, "endpoints", &base_url) }),
    ))
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

fn view(policy: PolicyDocument, collection: &str, base_url: &BaseUrl) -> Value {
    let mut view: Map<String, Value> = policy.extra;
    let links = base_url.self_link(format_args!("{collection}/{}", policy.id));
    view.insert("id".to_owned(), json!(policy.id));
    view.insert("type".to_owned(), json!(policy.kind));
    view.insert("blob".to_owned(), policy.blob);
    view.insert("links".to_owned(), json!(links));
    Value::Object(view)
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
