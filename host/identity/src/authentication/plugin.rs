//! Methods that are plugins. The host finds the user that a login claims to be, hands the plugin
//! that user's secrets of the granted kinds, and decides what its outcome means.

use archstone_plugins::{
    Account, Challenge, Credential, Denial, Method, Outcome, PluginError, Proof as Proves, Reason,
    Step,
};
use serde_json::{Map, Value, json};

use super::{AuthRequest, Proof, UserReference, text};
use crate::{Error, Identity, Result};

/// The member of a payload that says which challenge it answers.
const CONTINUATION: &str = "continuation";

impl Identity {
    pub(super) async fn prove_by_plugin(
        &self,
        name: &str,
        request: &AuthRequest,
        proof: &mut Proof,
    ) -> Result<()> {
        if let Some(method) = self.plugins.method(name) {
            return self.prove_by_method(&method, request, proof).await;
        }
        let method = self.plugins.enrollable(name);
        let method = method.ok_or_else(|| Error::UnsupportedMethod {
            supported: self.supported_methods(),
        })?;
        self.prove_by_enrollment(&method, request, proof).await
    }

    async fn prove_by_method(
        &self,
        method: &Method,
        request: &AuthRequest,
        proof: &mut Proof,
    ) -> Result<()> {
        let name = method.name().to_owned();
        let payload = request.payload(&name)?;
        let mut step = first_or_next_step(payload);
        let claimed = match method.proves() {
            Proves::Subject => None,
            Proves::Account => {
                let reference = UserReference::from_payload(payload, &name)?;
                let (user, _) = self.login_user(&reference).await?;
                let mut credentials = Vec::new();
                for kind in method.credential_types() {
                    credentials.extend(self.secrets_of(&user.id, kind).await?.into_iter().map(
                        |credential| Credential {
                            id: credential.id.into_string(),
                            kind: credential.kind,
                            blob: credential.blob,
                        },
                    ));
                }
                step = step.by(Account {
                    user_id: user.id.clone(),
                    credentials,
                });
                Some(user)
            }
        };
        match method.authenticate(step).await.map_err(failed)? {
            Outcome::Verified => match claimed {
                Some(user) => proof.add(&name, user.id.clone()),
                None => Err(Error::unauthenticated(format!(
                    "{name} verified nobody in particular"
                ))),
            },
            Outcome::Asserted(_) => Err(Error::unauthenticated(format!(
                "{name} asserted a subject and no mapping says who that is here"
            ))),
            Outcome::Challenged(challenge) => Err(challenged(&name, challenge)),
            Outcome::Denied(denial) => Err(denied(&name, denial)),
        }
    }
}

/// The question that the client has to answer before it gets on.
pub(super) fn challenged(method: &str, challenge: Challenge) -> Error {
    let mut answer = challenge.message;
    answer.insert(CONTINUATION.to_owned(), challenge.continuation.into());
    Error::MoreStepsNeeded {
        continuation: json!({ "methods": [method], method: answer }),
    }
}

/// What a plugin's refusal is to the client.
pub(crate) fn denied(method: &str, denial: Denial) -> Error {
    match denial.reason {
        Reason::Malformed => malformed(method, &denial.detail),
        Reason::Unavailable => Error::Unavailable {
            reason: denial.detail,
        },
        reason => Error::unauthenticated(format!(
            "{method} denied: {}: {}",
            reason.as_str(),
            denial.detail
        )),
    }
}

/// The step that a payload is.
fn first_or_next_step(payload: &Map<String, Value>) -> Step {
    let (rest, continuation) = without_continuation(payload);
    let step = Step::new(rest);
    match continuation {
        Some(continuation) => step.answering(continuation),
        None => step,
    }
}

/// A payload for a plugin. Which challenge it answers is between the client and the host; the
/// plugin gets what it remembered, and never the continuation.
pub(super) fn without_continuation(payload: &Map<String, Value>) -> (Value, Option<&str>) {
    let mut rest = payload.clone();
    rest.shift_remove(CONTINUATION);
    (Value::Object(rest), text(payload, CONTINUATION))
}

/// What the plugin says of the payload may quote it, and is for the operator.
fn malformed(method: &str, detail: &str) -> Error {
    tracing::info!(method, detail, "a plugin finds a payload malformed");
    Error::invalid(format!(
        "Invalid input for field 'identity/{method}': it is not what the method expects."
    ))
}

/// A plugin that fails costs this login and nothing else. An answer to a challenge that is not
/// there is the client's failure, who has to begin anew.
pub(crate) fn failed(error: PluginError) -> Error {
    match error {
        PluginError::ContinuationRefused { .. } | PluginError::ContinuationStale { .. } => {
            Error::unauthenticated(error.to_string())
        }
        other => Error::Unavailable {
            reason: other.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugin_never_sees_a_continuation() {
        let payload = json!({ "passcode": "123456", "continuation": "c" });
        let step = first_or_next_step(payload.as_object().unwrap());
        assert_eq!(step.payload, json!({ "passcode": "123456" }));
        assert_eq!(step.continuation.as_deref(), Some("c"));
    }

    #[test]
    fn a_lost_challenge_is_a_failed_login_and_a_lost_plugin_is_not() {
        let method = "totp".to_owned();
        let refused = failed(PluginError::ContinuationRefused {
            method: method.clone(),
        });
        assert!(matches!(refused, Error::Unauthenticated { .. }));
        let trapped = failed(PluginError::Trapped {
            method,
            trap: "unreachable".to_owned(),
        });
        assert!(matches!(trapped, Error::Unavailable { .. }));
    }

    #[test]
    fn the_client_does_not_read_a_plugins_detail() {
        let error = malformed("totp", "the passcode 123456 has six digits");
        assert!(matches!(&error, Error::Invalid(message) if !message.contains("123456")));
    }
}
