//! What a method's plugin is asked and may answer: one step of a login.

use std::time::Duration;

use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::{
    Account, Outcome, PluginError, Proof,
    bindings::archstone::plugin::authentication as wire,
    outcome::denial,
    plugin::{LONGEST_CHALLENGE, LONGEST_MEMORY, LoadedPlugin},
};

/// What a call gave, before the registry keeps a challenge's memory.
#[derive(Debug)]
pub(crate) enum Answer {
    Final(Outcome),
    Challenge(Question),
}

/// A question of a plugin's, and what it wants back with the answer.
#[derive(Debug)]
pub(crate) struct Question {
    pub message: Map<String, Value>,
    pub memory: String,
    pub expires_in: Duration,
}

impl Answer {
    fn word(&self) -> &'static str {
        match self {
            Self::Final(Outcome::Verified) => "verified",
            Self::Final(Outcome::Asserted(_)) => "asserted",
            Self::Final(Outcome::Denied(_)) => "denied",
            Self::Challenge(_) | Self::Final(Outcome::Challenged(_)) => "challenged",
        }
    }
}

impl LoadedPlugin {
    /// Looks at one step, within every limit. Counts and times it.
    pub async fn authenticate(
        &self,
        payload: &Value,
        account: Option<Account>,
        memory: Option<String>,
    ) -> Result<Answer, PluginError> {
        let step = wire::Step {
            config: self.config.clone(),
            payload: payload.to_string(),
            account: account.as_ref().map(|account| wire::Account {
                handle: account.handle(&self.method),
            }),
            memory,
        };
        let call = self.call(
            account,
            async |world, store| world.authenticate(store, step).await,
            |outcome| self.accept(outcome),
            Answer::word,
        );
        call.await
    }

    /// Turns what the plugin answered into what the host works with, or refuses it.
    fn accept(&self, outcome: wire::Outcome) -> Result<Answer, PluginError> {
        match (outcome, self.description.proves) {
            (wire::Outcome::Verified, Proof::Account) => Ok(Answer::Final(Outcome::Verified)),
            (wire::Outcome::Asserted(said), Proof::Subject) => {
                let assertion = self.assertion(said)?;
                Ok(Answer::Final(Outcome::Asserted(assertion)))
            }
            (wire::Outcome::Challenged(said), _) => self.question(said).map(Answer::Challenge),
            (wire::Outcome::Denied(said), _) => Ok(Answer::Final(Outcome::Denied(denial(said)))),
            (wire::Outcome::Verified, Proof::Subject) => {
                Err(self.broke("`verified`, though it proves subjects"))
            }
            (wire::Outcome::Asserted(_), Proof::Account) => {
                Err(self.broke("`asserted`, though it proves accounts"))
            }
        }
    }

    pub fn question(&self, said: wire::Challenge) -> Result<Question, PluginError> {
        Ok(Question {
            message: self.object(&said.message, "challenge")?,
            memory: self.memory(said.memory)?,
            expires_in: self.patience(said.expires_in)?,
        })
    }

    /// What is kept between two steps.
    pub fn memory(&self, memory: String) -> Result<String, PluginError> {
        if memory.len() > LONGEST_MEMORY {
            return Err(self.broke("a memory longer than 16 KiB"));
        }
        if serde_json::from_str::<IgnoredAny>(&memory).is_err() {
            return Err(self.broke("a memory that is no JSON"));
        }
        Ok(memory)
    }

    /// How long somebody may take between two steps.
    pub fn patience(&self, seconds: u32) -> Result<Duration, PluginError> {
        match seconds {
            1..=LONGEST_CHALLENGE => Ok(Duration::from_secs(seconds.into())),
            _ => Err(self.broke("a challenge that does not expire in 1 to 600 seconds")),
        }
    }
}
