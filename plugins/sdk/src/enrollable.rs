//! What the author of a method implements that users enrol in before they log in by it.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    Account, Challenge, ConfigError, Denial, Description,
    bindings::{
        archstone::plugin::authentication, enrollable_method::archstone::plugin::enrolling as wire,
    },
};

/// A method of authentication that users enrol in: a key, a device.
///
/// The host keeps what they enrolled, and hands over what belongs to a step. Each call runs in a
/// fresh instance.
pub trait EnrollableMethod {
    /// The configuration, without its secret fields.
    type Config: DeserializeOwned;

    /// What this plugin is. It proves accounts.
    fn describe() -> Description;

    /// Whether this configuration will work. Called before it goes live.
    ///
    /// # Errors
    /// What is wrong, for the operator. The configuration before stays.
    fn check(config: &Self::Config) -> Result<(), ConfigError> {
        let _ = config;
        Ok(())
    }

    /// Asks what a user, who has logged in, has to answer to enrol something.
    ///
    /// # Errors
    /// A [`Denial`] where this user cannot enrol.
    fn begin_enrollment(config: Self::Config, enrolling: Enrolling) -> Result<Challenge, Denial>;

    /// Looks at the answer, and gives what is to be kept.
    ///
    /// # Errors
    /// A [`Denial`] where nothing is enrolled.
    fn complete_enrollment(
        config: Self::Config,
        answer: EnrollmentAnswer,
    ) -> Result<Enrollment, Denial>;

    /// The name of the enrollment that a payload says it answers with, by which the host finds
    /// somebody who names no user. Nothing is proven by it.
    fn named_in(payload: Value) -> Option<String>;

    /// Looks at one step of a login.
    ///
    /// # Errors
    /// A [`Denial`] is the same as `Ok(EnrolledOutcome::Denied(..))`, for the sake of `?`.
    fn authenticate(config: Self::Config, step: EnrolledStep) -> Result<EnrolledOutcome, Denial>;
}

/// Something that a user enrolled.
#[derive(Debug, Clone, PartialEq)]
pub struct Enrollment {
    /// The plugin's name for it, the same for nobody else's.
    pub name: String,
    /// What the plugin needs to recognise it: an object.
    pub data: Value,
}

/// A user who wants to enrol something.
#[derive(Debug, Clone)]
pub struct Enrolling {
    pub account: Account,
    /// What the user is called, for their own eyes.
    pub label: String,
    /// What they have enrolled already.
    pub enrolled: Vec<Enrollment>,
}

/// A user's answer to [`EnrollableMethod::begin_enrollment`].
#[derive(Debug, Clone)]
pub struct EnrollmentAnswer {
    pub account: Account,
    pub enrolled: Vec<Enrollment>,
    payload: Value,
    /// What this plugin put into the challenge.
    pub memory: Value,
}

/// One step of a login.
#[derive(Debug, Clone)]
pub struct EnrolledStep {
    payload: Value,
    /// The claimed user, or the one whose enrollment the payload names. Absent in the first step
    /// of a login that names nobody.
    pub account: Option<Account>,
    /// What that user has enrolled.
    pub enrolled: Vec<Enrollment>,
    /// What this plugin put into the challenge that this step answers; absent in the first step.
    pub memory: Option<Value>,
}

/// What a step found.
#[derive(Debug, Clone)]
pub enum EnrolledOutcome {
    /// The claimant has what was enrolled.
    Verified(Verified),
    /// The client has to answer first.
    Challenged(Challenge),
    /// Nothing was proven.
    Denied(Denial),
}

/// Which enrollment the claimant proved to have.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// One of the step's.
    pub name: String,
    /// What to keep of it from now on, where that changed.
    pub data: Option<Value>,
}

impl EnrollmentAnswer {
    /// What the client sent, as a type. Nothing about it has been checked.
    ///
    /// # Errors
    /// A denial as malformed, if it is not of that type.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, Denial> {
        typed(&self.payload)
    }

    pub(crate) fn from_wire(said: wire::Completion) -> Result<Self, Denial> {
        Ok(Self {
            account: account(said.account),
            enrolled: enrollments(said.enrolled)?,
            payload: read(&said.payload)?,
            memory: read(&said.memory)?,
        })
    }
}

impl EnrolledStep {
    /// What the client sent, as a type. Nothing about it has been checked.
    ///
    /// # Errors
    /// A denial as malformed, if it is not of that type.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, Denial> {
        typed(&self.payload)
    }

    pub(crate) fn from_wire(said: wire::Step) -> Result<Self, Denial> {
        Ok(Self {
            payload: read(&said.payload)?,
            account: said.account.map(account),
            enrolled: enrollments(said.enrolled)?,
            memory: said.memory.as_deref().map(read).transpose()?,
        })
    }
}

impl Enrolling {
    pub(crate) fn from_wire(said: wire::Beginning) -> Result<Self, Denial> {
        Ok(Self {
            account: account(said.account),
            label: said.label,
            enrolled: enrollments(said.enrolled)?,
        })
    }
}

impl Enrollment {
    pub(crate) fn into_wire(self) -> wire::Enrollment {
        wire::Enrollment {
            name: self.name,
            data: self.data.to_string(),
        }
    }
}

impl EnrolledOutcome {
    pub(crate) fn into_wire(self) -> wire::Outcome {
        match self {
            Self::Verified(verified) => wire::Outcome::Verified(wire::Verified {
                name: verified.name,
                data: verified.data.map(|data| data.to_string()),
            }),
            Self::Challenged(challenge) => wire::Outcome::Challenged(challenge.into_wire()),
            Self::Denied(denial) => wire::Outcome::Denied(denial.into_wire()),
        }
    }
}

fn typed<T: DeserializeOwned>(payload: &Value) -> Result<T, Denial> {
    T::deserialize(payload)
        .map_err(|_| Denial::malformed("the payload is not what this method expects"))
}

fn read(text: &str) -> Result<Value, Denial> {
    serde_json::from_str(text).map_err(|_| Denial::malformed("the step is not JSON"))
}

fn account(said: authentication::Account) -> Account {
    Account {
        handle: said.handle,
    }
}

fn enrollments(said: Vec<wire::Enrollment>) -> Result<Vec<Enrollment>, Denial> {
    said.into_iter()
        .map(|one| {
            Ok(Enrollment {
                name: one.name,
                data: read(&one.data)?,
            })
        })
        .collect()
}
