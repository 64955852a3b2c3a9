//! What the author of a connector implements.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    Assertion, ConfigError, Denial, Description,
    bindings::redirect_connector::archstone::plugin::redirection as wire, outcome::seconds,
};

pub use crate::bindings::redirect_connector::archstone::plugin::redirection::Way;

/// A plugin that connects to an identity provider where people log in.
///
/// Many connectors run on it, each with a configuration of its own. Each call runs in a fresh
/// instance.
pub trait RedirectConnector {
    /// A connector's configuration, without its secret fields.
    type Config: DeserializeOwned;

    /// What this plugin is.
    fn describe() -> Description;

    /// Whether this configuration will work. Called before it goes live.
    ///
    /// # Errors
    /// What is wrong, for the connector's owner.
    fn check(config: &Self::Config) -> Result<(), ConfigError> {
        let _ = config;
        Ok(())
    }

    /// Sends somebody to the identity provider.
    ///
    /// # Errors
    /// A [`Denial`] where the login cannot begin.
    fn begin(config: Self::Config, beginning: Beginning) -> Result<Begun, Denial>;

    /// Looks at what they came back with.
    ///
    /// # Errors
    /// A [`Denial`] where nothing is proven.
    fn complete(config: Self::Config, completion: Completion) -> Result<Completed, Denial>;

    /// Looks at a token that a client got from the identity provider by itself.
    ///
    /// # Errors
    /// A [`Denial`] where nothing is proven.
    fn present(config: Self::Config, token: String) -> Result<Assertion, Denial>;

    /// Looks at a notice of the identity provider that somebody logged out, and gives the subject
    /// whose sessions end.
    ///
    /// # Errors
    /// A [`Denial`] where the notice proves nothing.
    fn logout(config: Self::Config, form: Parameters) -> Result<String, Denial>;
}

/// A plugin that knows workloads by the tokens their platform gives them.
pub trait TokenConnector {
    /// A connector's configuration, without its secret fields.
    type Config: DeserializeOwned;

    /// What this plugin is.
    fn describe() -> Description;

    /// Whether this configuration will work. Called before it goes live.
    ///
    /// # Errors
    /// What is wrong, for the connector's owner.
    fn check(config: &Self::Config) -> Result<(), ConfigError> {
        let _ = config;
        Ok(())
    }

    /// Looks at a token.
    ///
    /// # Errors
    /// A [`Denial`] where nothing is proven.
    fn present(config: Self::Config, token: String) -> Result<Assertion, Denial>;
}

/// A login begins.
#[derive(Debug, Clone)]
pub struct Beginning {
    pub way: Way,
    /// Where the identity provider sends the browser back to.
    pub redirect_uri: String,
    /// What it has to give back with the browser.
    pub state: String,
}

/// How a login goes on.
#[derive(Debug, Clone)]
pub enum Begun {
    /// The browser goes to `location`. `memory` comes back in [`Completion::memory`], once.
    Redirect {
        location: String,
        memory: Value,
        expires_in: Duration,
    },
    /// The person is told `message`: `user_code`, `verification_uri` and so on.
    Device {
        message: Value,
        memory: Value,
        interval: Duration,
        expires_in: Duration,
    },
}

/// Somebody came back, or a client asks whether they have logged in elsewhere.
#[derive(Debug, Clone)]
pub struct Completion {
    pub redirect_uri: String,
    /// What came with the browser, without `state`. Nothing about it has been checked.
    pub parameters: Parameters,
    pub memory: Value,
}

/// What was found.
#[derive(Debug, Clone)]
pub enum Completed {
    Asserted(Assertion),
    /// Nobody yet. Only for a device.
    Pending {
        memory: Value,
        interval: Duration,
    },
}

/// The parameters of a query or a form.
#[derive(Debug, Clone, Default)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// The one value of this name. One that comes twice is none: nobody knows which one others
    /// would take.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.0.iter().filter(|(this, _)| this == name);
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }

    /// Whether there is a value of this name, or more than one.
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|(this, _)| this == name)
    }

    pub(crate) fn new(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }
}

impl Begun {
    pub(crate) fn into_wire(self) -> wire::Begun {
        match self {
            Self::Redirect {
                location,
                memory,
                expires_in,
            } => wire::Begun::Redirect(wire::Redirect {
                location,
                memory: memory.to_string(),
                expires_in: seconds(expires_in),
            }),
            Self::Device {
                message,
                memory,
                interval,
                expires_in,
            } => wire::Begun::Device(wire::Device {
                message: message.to_string(),
                memory: memory.to_string(),
                interval: seconds(interval),
                expires_in: seconds(expires_in),
            }),
        }
    }
}

impl Completed {
    pub(crate) fn into_wire(self) -> wire::Outcome {
        match self {
            Self::Asserted(assertion) => wire::Outcome::Asserted(assertion.into_wire()),
            Self::Pending { memory, interval } => wire::Outcome::Pending(wire::Pending {
                memory: memory.to_string(),
                interval: seconds(interval),
            }),
        }
    }
}
