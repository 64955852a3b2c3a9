//! The audit trail: one structured log event, in the words of CADF, for every authentication,
//! refusal and write. Nothing secret is ever a field.

use archstone_model::entity::Entity;

use crate::{Caller, Error, Identity};

impl Identity {
    /// A write that happened.
    pub(crate) fn audit_write(&self, caller: &Caller, action: &str, entity: Entity, id: &str) {
        self.audit_write_by(caller.user_id().as_str(), action, entity, id);
    }

    /// A write that happened for somebody who has no token: an OAuth consumer.
    pub(crate) fn audit_write_by(&self, initiator: &str, action: &str, entity: Entity, id: &str) {
        tracing::info!(
            target: "archstone::audit",
            event_type = "activity",
            action,
            outcome = "success",
            initiator,
            target_type = %entity,
            target_id = id,
        );
    }

    /// Something policy refused.
    pub(crate) fn audit_denial(&self, caller: &Caller, action: &str) {
        tracing::warn!(
            target: "archstone::audit",
            event_type = "control",
            action,
            outcome = "failure",
            initiator = %caller.user_id(),
        );
        metrics::counter!("archstone_policy_denials_total").increment(1);
    }

    /// A login that worked.
    pub(crate) fn audit_login(&self, user_id: &str, methods: &[String]) {
        tracing::info!(
            target: "archstone::audit",
            event_type = "activity",
            action = "authenticate",
            outcome = "success",
            initiator = user_id,
            methods = methods.join(","),
        );
        metrics::counter!("archstone_logins_total", "outcome" => "success").increment(1);
    }

    /// A login that gave no token: refused, or waiting for a further step or method.
    pub(crate) fn audit_unfinished_login(
        &self,
        methods: &[String],
        claimed: Option<&str>,
        error: &Error,
    ) {
        let outcome = match error {
            Error::MoreStepsNeeded { .. } | Error::MoreMethodsNeeded { .. } => "pending",
            _ => "failure",
        };
        tracing::warn!(
            target: "archstone::audit",
            event_type = "activity",
            action = "authenticate",
            outcome,
            claimed_user = claimed,
            methods = methods.join(","),
            reason = error.reason().unwrap_or_default(),
            message = %error,
        );
        metrics::counter!("archstone_logins_total", "outcome" => outcome).increment(1);
    }
}
