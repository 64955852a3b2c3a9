//! `/v3/OS-REVOKE`: what ended which tokens; and the end of all tokens of one user.

use archstone_model::{id::UserId, revocation::RevocationEvent};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use chrono::SubsecRound;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    caller::Authenticated,
    error::{ApiError, Result},
    links::BaseUrl,
    query::ListQuery,
    resource::{List, Resource},
    time::{iso, read_iso},
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(events))
        .routes(routes!(revoke_tokens_of_user))
}

/// Lists revocation events, or those made since a time.
#[utoipa::path(get, path = "/OS-REVOKE/events", tag = "tokens",
    params(("since" = Option<String>, Query, description = "ISO 8601")), responses((status = 200, body = List<RevocationView>)))]
async fn events(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<List<RevocationView>> {
    let since = query
        .get("since")
        .filter(|since| !since.is_empty())
        .map(|since| {
            read_iso(since)
                .ok_or_else(|| ApiError::bad_request(format!("invalidate date format {since}")))
        })
        .transpose()?;
    let events = app.identity.revocation_events(&caller, since).await?;
    let (view, path) = (RevocationView::new, "OS-REVOKE/events");
    let query = ListQuery::default();
    Ok(List::new(events, view, path, &base_url, &query))
}

/// Revokes every token that a user holds.
#[utoipa::path(delete, path = "/users/{user_id}/tokens", tag = "tokens",
    params(("user_id" = String, Path)), responses((status = 204)))]
async fn revoke_tokens_of_user(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(user_id): Path<UserId>,
) -> Result<StatusCode> {
    app.identity
        .revoke_tokens_of_user(&caller, &user_id)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What an event says of the tokens that it ended; what it leaves open is left out.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RevocationEvent)]
struct RevocationView {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    role_id: Option<String>,
    /// Tokens of all in this domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    domain_id: Option<String>,
    /// Tokens that are scoped to this domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    domain_scope_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    project_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    audit_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    audit_chain_id: Option<String>,
    #[serde(rename = "OS-TRUST:trust_id", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    trust_id: Option<String>,
    #[serde(
        rename = "OS-OAUTH1:consumer_id",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(nullable = false)]
    consumer_id: Option<String>,
    #[serde(
        rename = "OS-OAUTH1:access_token_id",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(nullable = false)]
    access_token_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    expires_at: Option<String>,
    issued_before: String,
    revoked_at: String,
}

impl RevocationView {
    fn new(event: RevocationEvent, _: &BaseUrl) -> Self {
        let domain_id = event.domain_id.map(String::from);
        // With an end, it is about tokens that are scoped to the domain; without, about all in it.
        let (domain_id, domain_scope_id) = match event.expires_at {
            Some(_) => (None, domain_id),
            None => (domain_id, None),
        };
        Self {
            user_id: event.user_id.map(Into::into),
            role_id: event.role_id.map(Into::into),
            domain_id,
            domain_scope_id,
            project_id: event.project_id.map(Into::into),
            audit_id: event.audit_id,
            audit_chain_id: event.audit_chain_id,
            trust_id: event.trust_id.map(Into::into),
            consumer_id: event.consumer_id,
            access_token_id: event.access_token_id,
            expires_at: event
                .expires_at
                .map(|time| time.format("%Y-%m-%dT%H:%M:%SZ").to_string()),
            issued_before: iso(event.issued_before.trunc_subsecs(0)),
            revoked_at: iso(event.revoked_at.trunc_subsecs(0)),
        }
    }
}

impl Resource for RevocationView {
    const ONE: &'static str = "event";
    const MANY: &'static str = "events";
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;
    use chrono::DateTime;
    use serde_json::{Value, json};

    use super::*;

    fn view(event: RevocationEvent) -> Value {
        json!(RevocationView::new(
            event,
            &BaseUrl::of(None, &HeaderMap::new())
        ))
    }

    #[test]
    fn an_event_says_what_it_is_about_and_nothing_else() {
        let event = RevocationEvent::for_user("ada".into(), DateTime::UNIX_EPOCH);
        let times = json!("1970-01-01T00:00:00.000000Z");
        assert_eq!(
            view(event),
            json!({ "user_id": "ada", "issued_before": times, "revoked_at": times })
        );
    }

    #[test]
    fn a_domain_with_an_end_is_a_scope() {
        let event = RevocationEvent {
            domain_id: Some("default".into()),
            expires_at: Some(DateTime::UNIX_EPOCH),
            ..RevocationEvent::at(DateTime::UNIX_EPOCH)
        };
        let view = view(event);
        assert_eq!(view["domain_scope_id"], "default");
        assert_eq!(view["expires_at"], "1970-01-01T00:00:00Z");
        assert_eq!(view.get("domain_id"), None);
    }
}
