//! A method as it serves, and the questions that it has asked: kept in the state that all nodes
//! share, each for one answer.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::RngCore;
use serde::{Deserialize, Serialize};

use crate::{
    Challenge, Digest, Outcome, PluginError, Proof, Runtime, Step,
    method::{Answer, Question},
    plugin::{LoadedPlugin, Revision},
    registry::Versions,
};

/// A method as it serves at one moment.
#[derive(Debug, Clone)]
pub struct Method {
    pub(crate) versions: Arc<Versions>,
    pub(crate) runtime: Runtime,
}

/// What a challenge is for, when it is one of a login.
pub(crate) const LOGIN: &str = "challenge";

/// What the host remembers between a challenge and its answer.
#[derive(Serialize, Deserialize)]
struct Remembered {
    revision: Revision,
    account: Option<String>,
    memory: String,
}

impl Method {
    pub fn name(&self) -> &str {
        &self.serving().method
    }

    /// Who its answers are about: whether a [`Step`] must come with the claimed account.
    pub fn proves(&self) -> Proof {
        self.serving().description.proves
    }

    /// The types of the account's credentials that it may read: what belongs into
    /// [`crate::Account::credentials`].
    pub fn credential_types(&self) -> &[String] {
        self.serving().credential_types()
    }

    pub fn digest(&self) -> Digest {
        self.serving().revision.artifact
    }

    /// What the plugin calls its version.
    pub fn version(&self) -> &str {
        &self.serving().description.version
    }

    /// Looks at one step of a login, in a fresh instance and within the plugin's limits. A step
    /// that answers a challenge goes to the version that made the challenge.
    ///
    /// # Errors
    /// [`PluginError`]: nothing is proven, and this login alone fails.
    pub async fn authenticate(&self, step: Step) -> Result<Outcome, PluginError> {
        let method = self.name().to_owned();
        match (self.proves(), &step.account) {
            (Proof::Account, None) => return Err(PluginError::AccountMissing { method }),
            (Proof::Subject, Some(_)) => return Err(PluginError::AccountUnexpected { method }),
            _ => {}
        }
        let handle = step.account.as_ref().map(|account| account.handle(&method));
        let (plugin, memory) = match &step.continuation {
            None => (self.serving(), None),
            Some(continuation) => {
                let (plugin, memory) = self.recall(LOGIN, continuation, handle.as_deref()).await?;
                (plugin, Some(memory))
            }
        };
        let answer = plugin
            .authenticate(&step.payload, step.account, memory)
            .await?;
        match answer {
            Answer::Final(outcome) => Ok(outcome),
            Answer::Challenge(asked) => {
                let challenge = self.ask(LOGIN, plugin, handle, asked).await?;
                Ok(Outcome::Challenged(challenge))
            }
        }
    }

    pub(crate) fn serving(&self) -> &Arc<LoadedPlugin> {
        &self.versions.serving
    }

    /// Remembers a question until it is answered, for one purpose and one account.
    pub(crate) async fn ask(
        &self,
        purpose: &str,
        plugin: &LoadedPlugin,
        account: Option<String>,
        asked: Question,
    ) -> Result<Challenge, PluginError> {
        let mut secret = [0; 32];
        rand::rng().fill_bytes(&mut secret);
        let continuation = URL_SAFE_NO_PAD.encode(secret);
        let remembered = Remembered {
            revision: plugin.revision,
            account,
            memory: asked.memory,
        };
        let value = serde_json::to_string(&remembered).unwrap_or_default();
        let (scope, ttl) = (self.scope(purpose), asked.expires_in);
        let state = self.runtime.state();
        let kept = state.put(&scope, &key(&continuation), &value, ttl).await;
        kept.map_err(|error| PluginError::StateUnavailable { reason: error.0 })?;
        Ok(Challenge {
            message: asked.message,
            continuation,
            expires_in: asked.expires_in,
        })
    }

    /// Takes back what was remembered, which can be done once, and finds the version it belongs to.
    pub(crate) async fn recall(
        &self,
        purpose: &str,
        continuation: &str,
        account: Option<&str>,
    ) -> Result<(&Arc<LoadedPlugin>, String), PluginError> {
        let refused = || PluginError::ContinuationRefused {
            method: self.name().to_owned(),
        };
        let taken = self
            .runtime
            .state()
            .take(&self.scope(purpose), &key(continuation))
            .await;
        let value = taken
            .map_err(|error| PluginError::StateUnavailable { reason: error.0 })?
            .ok_or_else(refused)?;
        let remembered: Remembered = serde_json::from_str(&value).map_err(|_| refused())?;
        if remembered.account.as_deref() != account {
            return Err(refused());
        }
        let plugin = self.versions.of_revision(remembered.revision);
        let plugin = plugin.ok_or_else(|| PluginError::ContinuationStale {
            method: self.name().to_owned(),
        })?;
        Ok((plugin, remembered.memory))
    }

    fn scope(&self, purpose: &str) -> String {
        format!("{purpose}/{}", self.name())
    }
}

/// The store sees digests of continuations: who can read it cannot answer anybody's challenge.
fn key(continuation: &str) -> String {
    Digest::of(continuation.as_bytes()).to_string()
}
