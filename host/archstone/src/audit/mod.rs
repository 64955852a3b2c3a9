//! The audit trail as CADF events (DMTF DSP0262), JSON objects in the names that Keystone's
//! notifications have: made of the events that the log has under `archstone::audit`.

mod file;
mod outbox;

use std::{collections::BTreeMap, fmt::Debug, sync::Arc};

use chrono::Utc;
use serde_json::{Value, json};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span::{Attributes, Id},
};
use tracing_subscriber::{Layer, filter::filter_fn, layer::Context, registry::LookupSpan};
use uuid::Uuid;

pub(crate) use self::{
    file::AuditFile,
    outbox::{Courier, Outbox, to},
};

const AUDIT: &str = "archstone::audit";
/// The span that knows the request's id and the client's address.
const REQUEST: &str = "request";

const EVENT: &str = "http://schemas.dmtf.org/cloud/audit/1.0/event";
const USER: &str = "service/security/account/user";
const IDENTITY_SERVICE: &str = "service/security";
const UNKNOWN: &str = "unknown";

/// The places that audited events go to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Destinations {
    pub file: Option<Arc<AuditFile>>,
    pub outboxes: Vec<Outbox>,
}

impl Destinations {
    fn is_empty(&self) -> bool {
        self.file.is_none() && self.outboxes.is_empty()
    }

    fn tell(&self, event: Value) {
        if let Some(file) = &self.file {
            file.append(&event);
        }
        for outbox in &self.outboxes {
            outbox.put(&event);
        }
    }
}

/// Tells what is audited, whatever level the log has; nothing where there is nobody to tell.
pub(crate) fn layer<S>(destinations: Destinations) -> Option<impl Layer<S>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let wanted = filter_fn(|metadata: &Metadata<'_>| {
        if metadata.is_span() {
            metadata.name() == REQUEST
        } else {
            metadata.target() == AUDIT
        }
    })
    .with_max_level_hint(LevelFilter::INFO);
    (!destinations.is_empty()).then(|| AuditLayer { destinations }.with_filter(wanted))
}

struct AuditLayer {
    destinations: Destinations,
}

/// Fields by their name.
#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Fields {
    fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl<S> Layer<S> for AuditLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let told = match context.lookup_current() {
            Some(span) => match span.extensions().get::<Fields>() {
                Some(request) => cadf(&fields, request),
                None => cadf(&fields, &Fields::default()),
            },
            None => cadf(&fields, &Fields::default()),
        };
        self.destinations.tell(told);
    }
}

/// A CADF event of what was audited.
fn cadf(audited: &Fields, request: &Fields) -> Value {
    let action = audited.get("action").unwrap_or(UNKNOWN);
    let mut event = json!({
        "typeURI": EVENT,
        "eventType": audited.get("event_type").unwrap_or("activity"),
        "id": Uuid::new_v4().to_string(),
        "eventTime": Utc::now().format("%Y-%m-%dT%H:%M:%S%.6f%z").to_string(),
        "action": action,
        "outcome": audited.get("outcome").unwrap_or(UNKNOWN),
        "initiator": initiator(audited, request),
        "target": {"typeURI": IDENTITY_SERVICE, "id": "identity"},
        "observer": {"typeURI": IDENTITY_SERVICE, "id": "identity"},
    });
    if let (Some(kind), Some(id)) = (audited.get("target_type"), audited.get("target_id")) {
        let kind = resource_type(kind);
        event["action"] = format!("{}.{kind}", past_tense(action)).into();
        event["target"] = json!({"typeURI": resource_uri(&kind), "id": id});
        event["resource_info"] = id.into();
    } else if action == "authenticate" {
        let id = audited.get("initiator").unwrap_or(UNKNOWN);
        event["target"] = json!({"typeURI": USER, "id": id});
    }
    let message = audited.get("message").or(audited.get("reason"));
    if let Some(message) = message {
        event["reason"] = json!({"reasonType": message});
    }
    add_grant(&mut event, audited);
    event
}

/// Who did it, and from where. Somebody who is not known yet is called what they call themselves.
fn initiator(audited: &Fields, request: &Fields) -> Value {
    let known = audited.get("initiator");
    let mut initiator = json!({"typeURI": USER, "id": known.unwrap_or(UNKNOWN)});
    let details = [
        ("user_id", known),
        ("username", audited.get("claimed_user")),
        ("request_id", request.get("request_id")),
    ];
    for (name, value) in details {
        if let Some(value) = value {
            initiator[name] = value.into();
        }
    }
    if let Some(address) = request.get("client") {
        initiator["host"] = json!({"address": address});
    }
    initiator
}

/// What a role was given to and where, as Keystone tells of role assignments.
fn add_grant(event: &mut Value, audited: &Fields) {
    let (Some(role), Some(actor)) = (audited.get("role"), audited.get("actor")) else {
        return;
    };
    event["role"] = role.into();
    event[audited.get("actor_type").unwrap_or("user")] = actor.into();
    if let Some(scope) = audited.get("scope") {
        event[audited.get("scope_type").unwrap_or("project")] = scope.into();
    }
    event["inherited_to_projects"] = (audited.get("inherited") == Some("true")).into();
}

fn past_tense(action: &str) -> &str {
    match action {
        "create" => "created",
        "update" => "updated",
        "delete" => "deleted",
        other => other,
    }
}

/// A kind of thing as Keystone's notifications call it.
fn resource_type(kind: &str) -> String {
    match kind {
        "trust" => "OS-TRUST:trust".to_owned(),
        "consumer" => "OS-OAUTH1:consumer".to_owned(),
        "request token" => "OS-OAUTH1:request_token".to_owned(),
        "access token" => "OS-OAUTH1:access_token".to_owned(),
        other => other.to_lowercase().replace(' ', "_"),
    }
}

fn resource_uri(kind: &str) -> &'static str {
    match kind {
        "group" => "data/security/group",
        "project" => "data/security/project",
        "role" => "data/security/role",
        "user" => "data/security/account/user",
        "domain" => "data/security/domain",
        "region" => "data/security/region",
        "endpoint" => "data/security/endpoint",
        "service" => "data/security/service",
        "policy" => "data/security/policy",
        "OS-TRUST:trust" => "data/security/trust",
        "OS-OAUTH1:access_token" | "OS-OAUTH1:request_token" | "application_credential" => {
            "data/security/credential"
        }
        "OS-OAUTH1:consumer" => "data/security/account",
        "role_assignment" => USER,
        _ => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// What is written while `audited` runs within a request.
    fn written(audited: impl FnOnce()) -> Vec<Value> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        let destinations = Destinations {
            file: Some(AuditFile::open(&path).unwrap()),
            outboxes: Vec::new(),
        };
        let subscriber = tracing_subscriber::registry().with(layer(destinations));
        tracing::subscriber::with_default(subscriber, || {
            let client = Some("10.0.0.7");
            tracing::info_span!("request", request_id = "req-1", client).in_scope(|| {
                tracing::info!("not audited");
                tracing::info_span!("inner").in_scope(audited);
            });
        });
        let text = std::fs::read_to_string(&path).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn a_write_is_told_as_keystone_tells_it() {
        let events = written(|| {
            tracing::info!(
                target: AUDIT, event_type = "activity", action = "create", outcome = "success",
                initiator = "ada", target_type = %"application credential", target_id = "c1",
            );
        });
        let [event] = &events[..] else {
            panic!("{events:?}");
        };
        for (name, value) in [
            ("typeURI", json!(EVENT)),
            ("eventType", json!("activity")),
            ("action", json!("created.application_credential")),
            ("outcome", json!("success")),
            (
                "target",
                json!({"typeURI": "data/security/credential", "id": "c1"}),
            ),
            (
                "observer",
                json!({"typeURI": "service/security", "id": "identity"}),
            ),
            (
                "initiator",
                json!({
                    "typeURI": USER, "id": "ada", "user_id": "ada", "request_id": "req-1",
                    "host": {"address": "10.0.0.7"},
                }),
            ),
        ] {
            assert_eq!(event[name], value, "{name}");
        }
        assert!(event["id"].is_string());
        let time = event["eventTime"].as_str().unwrap();
        assert!(chrono::DateTime::parse_from_str(time, "%Y-%m-%dT%H:%M:%S%.6f%z").is_ok());
    }

    #[test]
    fn a_failed_login_tells_who_it_claimed_to_be_and_why_it_failed() {
        let events = written(|| {
            tracing::warn!(
                target: AUDIT, event_type = "activity", action = "authenticate",
                outcome = "failure", claimed_user = Some("ada\n{"), reason = "wrong",
            );
        });
        assert_eq!(events[0]["action"], "authenticate");
        assert_eq!(events[0]["initiator"]["id"], UNKNOWN);
        assert_eq!(events[0]["initiator"]["username"], "ada\n{");
        assert_eq!(events[0]["reason"], json!({"reasonType": "wrong"}));
    }

    #[test]
    fn a_role_assignment_tells_whose_it_is_and_where() {
        let events = written(|| {
            tracing::info!(
                target: AUDIT, event_type = "activity", action = "delete", outcome = "success",
                initiator = %"ada", target_type = %"role assignment", target_id = %"reader",
                role = %"reader", actor_type = %"group", actor = "staff",
                scope_type = "domain", scope = "default", inherited = true,
            );
        });
        assert_eq!(events[0]["action"], "deleted.role_assignment");
        let told =
            ["role", "group", "domain", "inherited_to_projects"].map(|name| &events[0][name]);
        let expected = [
            &json!("reader"),
            &json!("staff"),
            &json!("default"),
            &json!(true),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let (path, moved) = (directory.path().join("audit"), directory.path().join("old"));
        let file = AuditFile::open(&path).unwrap();
        file.append(&json!(1));
        std::fs::rename(&path, &moved).unwrap();
        file.append(&json!(2));
        file.reopen().unwrap();
        file.append(&json!(3));
        assert_eq!(std::fs::read_to_string(&moved).unwrap(), "1\n2\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "3\n");
    }
}
