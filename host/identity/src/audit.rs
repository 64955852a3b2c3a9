//! The audit trail: one structured log event, in the words of CADF, for every authentication,
//! refusal and write. Nothing secret is ever a field.

use archstone_model::{
    connector::Connector,
    entity::Entity,
    id::UserId,
    role::{Actor, Assignment, Target},
};

use crate::{Caller, Error, Identity, Result};

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

    /// A role given or taken away: which, whose, and where.
    pub(crate) fn audit_grant(&self, caller: &Caller, action: &str, grant: &Assignment) {
        let (actor_type, actor) = match &grant.actor {
            Actor::User(id) => (Entity::User, id.as_str()),
            Actor::Group(id) => (Entity::Group, id.as_str()),
        };
        let scope_type = match &grant.target {
            Target::Project(_) => "project",
            Target::Domain(_) => "domain",
            Target::System => "system",
        };
        tracing::info!(
            target: "archstone::audit",
            event_type = "activity",
            action,
            outcome = "success",
            initiator = %caller.user_id(),
            target_type = %Entity::RoleAssignment,
            target_id = %grant.role_id,
            role = %grant.role_id,
            actor_type = %actor_type,
            actor,
            scope_type,
            scope = grant.target.id(),
            inherited = grant.inherited,
        );
    }

    /// A change of one's own password, for which no token is needed.
    pub(crate) fn audit_own_password(&self, id: &UserId, outcome: &Result<()>) {
        let (outcome, reason) = match outcome {
            Ok(()) => ("success", None),
            Err(error) => (
                "failure",
                Some(
                    error
                        .reason()
                        .map_or_else(|| error.to_string(), str::to_owned),
                ),
            ),
        };
        tracing::info!(
            target: "archstone::audit",
            event_type = "activity",
            action = "update",
            outcome,
            initiator = %id,
            target_type = %Entity::User,
            target_id = %id,
            changed = "password",
            reason,
        );
    }

    /// A step of an enrollment that enrolled nothing yet: a question, or an answer that was refused.
    pub(crate) fn audit_enrollment(
        &self,
        caller: &Caller,
        user_id: &UserId,
        method: &str,
        refusal: Option<&Error>,
    ) {
        tracing::info!(
            target: "archstone::audit",
            event_type = "activity",
            action = "enroll",
            outcome = if refusal.is_some() { "failure" } else { "pending" },
            initiator = %caller.user_id(),
            target_type = %Entity::User,
            target_id = %user_id,
            methods = method,
            reason = refusal.and_then(Error::reason),
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

    /// Sessions that ended because the identity provider said that somebody logged out.
    pub(crate) fn audit_logout(&self, connector: &Connector, subject: &str) {
        tracing::info!(
            target: "archstone::audit",
            event_type = "activity",
            action = "logout",
            outcome = "success",
            connector = %connector.id,
            subject,
        );
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
