//! Methods that users enrol in before they log in by them: what such a plugin is asked, and what it
//! may answer.

use archstone_model::id::UserId;
use serde_json::{Map, Value};

use crate::{
    Account, Challenge, Denial, Method, PluginError,
    bindings::{
        archstone::plugin::authentication, enrollable_method::archstone::plugin::enrolling as wire,
    },
    challenges::LOGIN,
    method::Question,
    outcome::denial,
    plugin::{LONGEST_MEMORY, LoadedPlugin},
};

/// What a challenge is for, when it is one of an enrollment. Its answer is none to a login's.
const ENROLLMENT: &str = "enrollment";

const LONGEST_NAME: usize = 1400;

/// Something that a user enrolled.
#[derive(Debug, Clone, PartialEq)]
pub struct Enrolled {
    /// The plugin's name for it.
    pub name: String,
    /// What the plugin wants to be kept of it.
    pub data: Map<String, Value>,
}

/// Who enrols.
#[derive(Debug, Clone)]
pub struct Enrolling {
    pub user_id: UserId,
    /// What they are called, which their device may show.
    pub label: String,
    /// What they enrolled before.
    pub enrolled: Vec<Enrolled>,
}

/// What [`Enrollable::begin_enrollment`] gives.
#[derive(Debug, Clone, PartialEq)]
pub enum EnrollmentBegun {
    Challenged(Challenge),
    Denied(Denial),
}

/// What [`Enrollable::complete_enrollment`] gives.
#[derive(Debug, Clone, PartialEq)]
pub enum EnrollmentCompleted {
    Enrolled(Enrolled),
    Denied(Denial),
}

/// One step of a login by a method that users enrol in.
#[derive(Debug, Clone)]
pub struct EnrolledStep {
    /// The object at `auth.identity.METHOD` of the request.
    pub payload: Value,
    /// Whose login it is, as far as that is known.
    pub user_id: Option<UserId>,
    /// Whether the client named that user; otherwise the payload was found to be theirs.
    pub is_claimed: bool,
    /// What that user enrolled.
    pub enrolled: Vec<Enrolled>,
    /// The [`Challenge::continuation`] that this step answers.
    pub continuation: Option<String>,
}

/// What a step found.
#[derive(Debug, Clone, PartialEq)]
pub enum EnrolledOutcome {
    Verified(Verified),
    Challenged(Challenge),
    Denied(Denial),
}

/// The step's user proved to have what they enrolled.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// The name of one of the step's [`Enrolled`].
    pub name: String,
    /// What is to be kept of it from now on, where that changed.
    pub data: Option<Map<String, Value>>,
}

/// A method that users enrol in, as it serves at one moment.
#[derive(Debug, Clone)]
pub struct Enrollable(pub(crate) Method);

impl Enrollable {
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Asks what a user has to answer to enrol something.
    ///
    /// # Errors
    /// [`PluginError`]: this enrollment alone fails.
    pub async fn begin_enrollment(
        &self,
        enrolling: Enrolling,
    ) -> Result<EnrollmentBegun, PluginError> {
        let plugin = self.0.serving();
        let handle = plugin.handle_of(&enrolling.user_id);
        let beginning = wire::Beginning {
            config: plugin.config.clone(),
            account: account(&handle),
            label: enrolling.label,
            enrolled: to_wire(enrolling.enrolled),
        };
        let begun = plugin.call(
            None,
            async |world, store| {
                let instance = world.enrollable(store).await?;
                instance.call_begin_enrollment(store, &beginning).await
            },
            |begun| match begun {
                wire::Begun::Challenged(said) => plugin.question(said).map(Ok),
                wire::Begun::Denied(said) => Ok(Err(denial(said))),
            },
            |begun: &Result<Question, Denial>| word(begun.is_ok(), "challenged"),
        );
        match begun.await? {
            Ok(asked) => {
                let challenge = self.0.ask(ENROLLMENT, plugin, Some(handle), asked).await?;
                Ok(EnrollmentBegun::Challenged(challenge))
            }
            Err(denial) => Ok(EnrollmentBegun::Denied(denial)),
        }
    }

    /// Looks at a user's answer to [`Self::begin_enrollment`], by the version that asked.
    ///
    /// # Errors
    /// [`PluginError`]: this enrollment alone fails.
    pub async fn complete_enrollment(
        &self,
        enrolling: Enrolling,
        payload: Value,
        continuation: &str,
    ) -> Result<EnrollmentCompleted, PluginError> {
        let handle = self.0.serving().handle_of(&enrolling.user_id);
        let (plugin, memory) = self
            .0
            .recall(ENROLLMENT, continuation, Some(&handle))
            .await?;
        let completion = wire::Completion {
            config: plugin.config.clone(),
            account: account(&handle),
            enrolled: to_wire(enrolling.enrolled),
            payload: payload.to_string(),
            memory,
        };
        let completed = plugin.call(
            None,
            async |world, store| {
                let instance = world.enrollable(store).await?;
                instance.call_complete_enrollment(store, &completion).await
            },
            |completed| match completed {
                wire::Completed::Enrolled(said) => {
                    plugin.enrolled(said).map(EnrollmentCompleted::Enrolled)
                }
                wire::Completed::Denied(said) => Ok(EnrollmentCompleted::Denied(denial(said))),
            },
            |completed| {
                word(
                    matches!(completed, EnrollmentCompleted::Enrolled(_)),
                    "enrolled",
                )
            },
        );
        completed.await
    }

    /// The name of what a payload says it answers with, if it says any. Nothing is proven by it.
    ///
    /// # Errors
    /// [`PluginError`]: this login alone fails.
    pub async fn named_in(&self, payload: &Value) -> Result<Option<String>, PluginError> {
        let (plugin, payload) = (self.0.serving(), payload.to_string());
        let named = plugin.call(
            None,
            async |world, store| {
                let instance = world.enrollable(store).await?;
                instance.call_named_in(store, &payload).await
            },
            Ok,
            |name| word(name.is_some(), "named"),
        );
        named.await
    }

    /// Looks at one step of a login, as [`Method::authenticate`] does.
    ///
    /// # Errors
    /// [`PluginError`]: nothing is proven, and this login alone fails.
    pub async fn authenticate(&self, step: EnrolledStep) -> Result<EnrolledOutcome, PluginError> {
        let user_id = step.user_id.as_ref();
        let handle = user_id.map(|id| self.0.serving().handle_of(id));
        let claimed = handle.clone().filter(|_| step.is_claimed);
        let (plugin, memory) = match &step.continuation {
            None => (self.0.serving(), None),
            Some(continuation) => {
                let recalled = self.0.recall(LOGIN, continuation, claimed.as_deref());
                let (plugin, memory) = recalled.await?;
                (plugin, Some(memory))
            }
        };
        let names: Vec<_> = step.enrolled.iter().map(|one| one.name.clone()).collect();
        let asked = wire::Step {
            config: plugin.config.clone(),
            payload: step.payload.to_string(),
            account: handle.as_deref().map(account),
            enrolled: to_wire(step.enrolled),
            memory,
        };
        let answer = plugin.call(
            None,
            async |world, store| {
                let instance = world.enrollable(store).await?;
                instance.call_authenticate(store, &asked).await
            },
            |outcome| match outcome {
                wire::Outcome::Verified(said) if names.contains(&said.name) => {
                    let data = said.data.map(|data| plugin.kept(&data)).transpose()?;
                    let name = said.name;
                    Ok(Answer::Verified(Verified { name, data }))
                }
                wire::Outcome::Verified(_) => {
                    Err(plugin.broke("`verified`, by what its user did not enroll"))
                }
                wire::Outcome::Challenged(said) => plugin.question(said).map(Answer::Challenged),
                wire::Outcome::Denied(said) => Ok(Answer::Denied(denial(said))),
            },
            |answer| match answer {
                Answer::Verified(_) => "verified",
                Answer::Challenged(_) => "challenged",
                Answer::Denied(_) => "denied",
            },
        );
        Ok(match answer.await? {
            Answer::Verified(verified) => EnrolledOutcome::Verified(verified),
            Answer::Challenged(asked) => {
                EnrolledOutcome::Challenged(self.0.ask(LOGIN, plugin, claimed, asked).await?)
            }
            Answer::Denied(denial) => EnrolledOutcome::Denied(denial),
        })
    }
}

/// What a call gave, before a challenge's memory is kept.
enum Answer {
    Verified(Verified),
    Challenged(Question),
    Denied(Denial),
}

impl LoadedPlugin {
    fn handle_of(&self, user_id: &UserId) -> String {
        let account = Account {
            user_id: user_id.clone(),
            credentials: Vec::new(),
        };
        account.handle(&self.method)
    }

    fn enrolled(&self, said: wire::Enrollment) -> Result<Enrolled, PluginError> {
        match said.name.len() {
            1..=LONGEST_NAME => Ok(Enrolled {
                data: self.kept(&said.data)?,
                name: said.name,
            }),
            _ => Err(self.broke("a name that is empty or longer than 1400 bytes")),
        }
    }

    /// What is to be kept of an enrollment.
    fn kept(&self, data: &str) -> Result<Map<String, Value>, PluginError> {
        if data.len() > LONGEST_MEMORY {
            return Err(self.broke("more than 16 KiB to keep of an enrollment"));
        }
        self.object(data, "thing to keep")
    }
}

fn account(handle: &str) -> authentication::Account {
    authentication::Account {
        handle: handle.to_owned(),
    }
}

fn to_wire(enrolled: Vec<Enrolled>) -> Vec<wire::Enrollment> {
    let one = |Enrolled { name, data }| wire::Enrollment {
        name,
        data: Value::Object(data).to_string(),
    };
    enrolled.into_iter().map(one).collect()
}

fn word(is_found: bool, found: &'static str) -> &'static str {
    if is_found { found } else { "denied" }
}
