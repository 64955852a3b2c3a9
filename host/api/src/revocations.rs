//! `/v3/OS-REVOKE`: what ended which tokens; and the end of all tokens of one user.

use archstone_model::{id::UserId, revocation::RevocationEvent};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use chrono::SubsecRound;
use serde_json::{Map, Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    caller::Authenticated,
    error::{ApiError, Result},
    links::{BaseUrl, ListLinks},
    query::ListQuery,
    time::{iso, read_iso},
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(events))
        .routes(routes!(revoke_tokens_of_user))
}

/// Lists revocation events, or those made since a time.
#[utoipa::path(get, path = "/OS-REVOKE/events", tag = "tokens",
    params(("since" = Option<String>, Query, description = "ISO 8601")), responses((status = 200)))]
async fn events(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    base_url: BaseUrl,
    query: ListQuery,
) -> Result<Json<Value>> {
    let since = query
        .get("since")
        .filter(|since| !since.is_empty())
        .map(|since| {
            read_iso(since)
                .ok_or_else(|| ApiError::bad_request(format!("invalidate date format {since}")))
        })
        .transpose()?;
    let events = app.identity.revocation_events(&caller, since).await?;
    let views: Vec<_> = events.into_iter().map(view).collect();
    Ok(Json(json!({
        "events": views,
        "links": ListLinks::complete(base_url.v3("OS-REVOKE/events")),
    })))
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
fn view(event: RevocationEvent) -> Value {
    // With an end, it is about tokens that are scoped to the domain; without, about all in it.
    let domain = match event.expires_at {
        Some(_) => "domain_scope_id",
        None => "domain_id",
    };
    let narrowed = [
        ("user_id", event.user_id.map(|id| id.into_string())),
        ("role_id", event.role_id.map(|id| id.into_string())),
        (domain, event.domain_id.map(|id| id.into_string())),
        ("project_id", event.project_id.map(|id| id.into_string())),
        ("audit_id", event.audit_id),
        ("audit_chain_id", event.audit_chain_id),
        (
            "OS-TRUST:trust_id",
            event.trust_id.map(|id| id.into_string()),
        ),
        ("OS-OAUTH1:consumer_id", event.consumer_id),
        ("OS-OAUTH1:access_token_id", event.access_token_id),
        (
            "expires_at",
            event
                .expires_at
                .map(|time| time.format("%Y-%m-%dT%H:%M:%SZ").to_string()),
        ),
        (
            "issued_before",
            Some(iso(event.issued_before.trunc_subsecs(0))),
        ),
        ("revoked_at", Some(iso(event.revoked_at.trunc_subsecs(0)))),
    ];
    let members: Map<String, Value> = narrowed
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), json!(value?))))
        .collect();
    Value::Object(members)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

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
