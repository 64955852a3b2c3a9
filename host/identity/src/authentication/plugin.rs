//! Methods that are plugins. The host finds the user that a login claims to be, hands the plugin
//! that user's secrets of the granted kinds, and decides what its outcome means.

use archstone_plugins::{
    Account, Credential, Method, Outcome, PluginError, Proof as Proves, Reason, Step,
};
use serde_json::{Value, json};

use super::{AuthRequest, Proof, UserReference, text};
use crate::{Error, Identity, Result};

impl Identity {
    pub(super) async fn prove_by_plugin(
        &self,
        method: &Method,
        request: &AuthRequest,
        proof: &mut Proof,
    ) -> Result<()> {
        let name = method.name().to_owned();
        let payload = request.payload(&name)?;
        let mut step = Step::new(Value::Object(payload.clone()));
        if let Some(continuation) = text(payload, "continuation") {
            step = step.answering(continuation);
        }
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
                Some(user) => proof.add(&name, user.id),
                None => Err(Error::unauthenticated(format!(
                    "{name} verified nobody in particular"
                ))),
            },
            Outcome::Asserted(_) => Err(Error::unauthenticated(format!(
                "{name} asserted a subject and no mapping says who that is here"
            ))),
            Outcome::Challenged(challenge) => {
                let mut answer = challenge.message;
                answer.insert("continuation".to_owned(), challenge.continuation.into());
                Err(Error::MoreStepsNeeded {
                    continuation: json!({ "methods": [name.clone()], name: answer }),
                })
            }
            Outcome::Denied(denial) => Err(match denial.reason {
                Reason::Malformed => Error::invalid(format!(
                    "Invalid input for field 'identity/{name}': {}",
                    denial.detail
                )),
                Reason::Unavailable => Error::Unavailable {
                    reason: denial.detail,
                },
                reason => Error::unauthenticated(format!(
                    "{name} denied: {}: {}",
                    reason.as_str(),
                    denial.detail
                )),
            }),
        }
    }
}

/// A plugin that fails costs this login and nothing else.
fn failed(error: PluginError) -> Error {
    Error::Unavailable {
        reason: error.to_string(),
    }
}
