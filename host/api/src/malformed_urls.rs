//! Methods that Keystone routes to paths on which they mean nothing: a change or a deletion of
//! nothing in particular, and a creation under an id. Whoever asks, the request is malformed.

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{App, error::ApiError};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(put_mappings, patch_mappings, delete_mappings))
        .routes(routes!(patch_consumers, delete_consumers))
        .routes(routes!(post_consumer))
        .routes(routes!(patch_policies, delete_policies))
        .routes(routes!(post_policy))
}

/// Malformed: it does not say which mapping.
#[utoipa::path(put, path = "/OS-FEDERATION/mappings", tag = "federation", security(()), responses((status = 400)))]
async fn put_mappings() -> ApiError {
    without_id()
}

/// Malformed: it does not say which mapping.
#[utoipa::path(patch, path = "/OS-FEDERATION/mappings", tag = "federation", security(()), responses((status = 400)))]
async fn patch_mappings() -> ApiError {
    without_id()
}

/// Malformed: it does not say which mapping.
#[utoipa::path(delete, path = "/OS-FEDERATION/mappings", tag = "federation", security(()), responses((status = 400)))]
async fn delete_mappings() -> ApiError {
    without_id()
}

/// Malformed: it does not say which consumer.
#[utoipa::path(patch, path = "/OS-OAUTH1/consumers", tag = "oauth1", security(()), responses((status = 400)))]
async fn patch_consumers() -> ApiError {
    without_id()
}

/// Malformed: it does not say which consumer.
#[utoipa::path(delete, path = "/OS-OAUTH1/consumers", tag = "oauth1", security(()), responses((status = 400)))]
async fn delete_consumers() -> ApiError {
    without_id()
}

/// Malformed: it does not say which policy.
#[utoipa::path(patch, path = "/policies", tag = "policies", security(()), responses((status = 400)))]
async fn patch_policies() -> ApiError {
    without_id()
}

/// Malformed: it does not say which policy.
#[utoipa::path(delete, path = "/policies", tag = "policies", security(()), responses((status = 400)))]
async fn delete_policies() -> ApiError {
    without_id()
}

/// Malformed: a new consumer has no id yet.
#[utoipa::path(post, path = "/OS-OAUTH1/consumers/{consumer_id}", tag = "oauth1", security(()),
    params(("consumer_id" = String, Path)), responses((status = 400)))]
async fn post_consumer() -> ApiError {
    with_id()
}

/// Malformed: a new policy has no id yet.
#[utoipa::path(post, path = "/policies/{policy_id}", tag = "policies", security(()),
    params(("policy_id" = String, Path)), responses((status = 400)))]
async fn post_policy() -> ApiError {
    with_id()
}

fn without_id() -> ApiError {
    ApiError::bad_request("The URL must end with an id.")
}

fn with_id() -> ApiError {
    ApiError::bad_request("The URL must not end with an id.")
}
