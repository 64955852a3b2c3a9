//! What a plugin's author implements.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    ConfigError, Denial, Description, Outcome, bindings::archstone::plugin::authentication as wire,
};

/// A method of authentication: one entry of `auth.identity.methods`.
///
/// Each call runs in a fresh instance. Statics, caches and globals are empty every time; what has
/// to last goes into [`crate::state`] or a challenge's memory.
pub trait AuthMethod {
    /// The configuration, without its secret fields.
    type Config: DeserializeOwned;

    /// What this plugin is.
    fn describe() -> Description;

    /// Whether this configuration will work. Called before it goes live. The schema has been
    /// checked; this is for what a schema cannot say.
    ///
    /// # Errors
    /// What is wrong, for the operator. The configuration before stays.
    fn check(config: &Self::Config) -> Result<(), ConfigError> {
        let _ = config;
        Ok(())
    }

    /// Looks at one step of a login.
    ///
    /// # Errors
    /// A [`Denial`] is the same as `Ok(Outcome::Denied(..))`, for the sake of `?`.
    fn authenticate(config: Self::Config, step: Step) -> Result<Outcome, Denial>;
}

/// One step of a login.
#[derive(Debug, Clone)]
pub struct Step {
    /// What the client sent for this method. Nothing about it has been checked.
    payload: Value,
    /// The claimed user; always there for a plugin that proves an account, and never otherwise.
    pub account: Option<Account>,
    /// What this plugin put into the challenge that this step answers; absent in the first step.
    pub memory: Option<Value>,
}

/// The local user that the request claims to come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// A name for this user that only this plugin ever sees, the same at every login.
    pub handle: String,
}

impl Step {
    /// What the client sent, as a type.
    ///
    /// # Errors
    /// A denial as malformed, if it is not of that type. What was sent is not repeated.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, Denial> {
        T::deserialize(&self.payload)
            .map_err(|_| Denial::malformed("the payload is not what this method expects"))
    }

    /// The claimed user.
    ///
    /// # Errors
    /// A denial, if the plugin does not prove accounts.
    pub fn account(&self) -> Result<&Account, Denial> {
        let missing = || Denial::unavailable("this plugin was handed no account");
        self.account.as_ref().ok_or_else(missing)
    }

    pub(crate) fn from_wire(step: wire::Step) -> Result<Self, Denial> {
        let read = |text: &str| {
            serde_json::from_str(text).map_err(|_| Denial::malformed("the step is not JSON"))
        };
        Ok(Self {
            payload: read(&step.payload)?,
            account: step.account.map(|account| Account {
                handle: account.handle,
            }),
            memory: step.memory.as_deref().map(read).transpose()?,
        })
    }
}
