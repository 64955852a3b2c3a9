//! Plugins for the operator's own ends: where audited events go, and who has a say in decisions.

use serde_json::Value;

use crate::{
    PluginError,
    bindings::{
        authorizer::archstone::plugin::authorizing, event_sink::archstone::plugin::delivering,
    },
    plugin::LoadedPlugin,
    run::shortened,
};

/// Why events were not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Whether the same events may be delivered later.
    pub again: bool,
    pub detail: String,
}

/// What an authorizer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    Allow,
    /// With why, for the audit log.
    Deny(String),
    /// Whom it asks does not answer.
    Unavailable(String),
}

impl LoadedPlugin {
    pub async fn deliver(&self, events: &[Value]) -> Result<Result<(), Refusal>, PluginError> {
        let batch = delivering::Batch {
            config: self.config.clone(),
            events: events.iter().map(Value::to_string).collect(),
        };
        let call = self.call(
            None,
            async |world, store| {
                let instance = world.sink(&mut *store).await?;
                instance.call_deliver(store, &batch).await
            },
            |said| {
                Ok(said.map_err(|refusal| Refusal {
                    again: refusal.again,
                    detail: shortened(refusal.detail),
                }))
            },
            |delivered| match delivered {
                Ok(()) => "delivered",
                Err(_) => "refused",
            },
        );
        call.await
    }

    pub async fn decide(
        &self,
        action: &str,
        credentials: String,
        target: String,
    ) -> Result<Decision, PluginError> {
        let question = authorizing::Question {
            config: self.config.clone(),
            action: action.to_owned(),
            credentials,
            target,
        };
        let call = self.call(
            None,
            async |world, store| {
                let instance = world.authorizer(&mut *store).await?;
                instance.call_decide(store, &question).await
            },
            |said| {
                Ok(match said {
                    authorizing::Decision::Allow => Decision::Allow,
                    authorizing::Decision::Deny(why) => Decision::Deny(shortened(why)),
                    authorizing::Decision::Unavailable(why) => {
                        Decision::Unavailable(shortened(why))
                    }
                })
            },
            |decision| match decision {
                Decision::Allow => "allowed",
                Decision::Deny(_) => "denied",
                Decision::Unavailable(_) => "unavailable",
            },
        );
        call.await
    }
}
