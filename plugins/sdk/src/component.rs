//! Between the generated bindings and the traits.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use crate::{
    Assertion, AuthMethod, Authorizer, Beginning, Completion, ConfigError, Decision, Denial,
    Description, DirectoryConnector, DirectoryFailure, EnrollableMethod, EnrolledStep, Enrolling,
    Enrollment, EnrollmentAnswer, EventSink, Parameters, Question, RedirectConnector, Refusal,
    Step, TokenConnector,
    bindings::{
        Guest,
        archstone::plugin::{authentication as wire, outcomes, types},
        authorizer::{self, archstone::plugin::authorizing},
        directory_connector::{self, archstone::plugin::directory},
        enrollable_method::{self, archstone::plugin::enrolling},
        event_sink::{self, archstone::plugin::delivering},
        redirect_connector::{
            self,
            archstone::plugin::{presenting, redirection},
        },
        token_connector,
    },
    log,
};

/// The component that a plugin is exported as.
#[derive(Debug)]
pub struct Component<M>(PhantomData<M>);

impl<M: AuthMethod> Guest for Component<M> {
    fn describe() -> types::Description {
        described(M::describe)
    }

    fn check(config: String) -> Result<(), types::ConfigError> {
        checked(&config, M::check)
    }

    fn authenticate(step: wire::Step) -> wire::Outcome {
        report_panics();
        let answer =
            usable(&step.config).and_then(|config| M::authenticate(config, Step::from_wire(step)?));
        match answer {
            Ok(outcome) => outcome.into_wire(),
            Err(denial) => wire::Outcome::Denied(denial.into_wire()),
        }
    }
}

impl<M: EnrollableMethod> enrollable_method::Guest for Component<M> {
    fn describe() -> types::Description {
        described(M::describe)
    }

    fn check(config: String) -> Result<(), types::ConfigError> {
        checked(&config, M::check)
    }

    fn begin_enrollment(beginning: enrolling::Beginning) -> enrolling::Begun {
        report_panics();
        let begun = usable(&beginning.config)
            .and_then(|config| M::begin_enrollment(config, Enrolling::from_wire(beginning)?));
        match begun {
            Ok(challenge) => enrolling::Begun::Challenged(challenge.into_wire()),
            Err(denial) => enrolling::Begun::Denied(denial.into_wire()),
        }
    }

    fn complete_enrollment(completion: enrolling::Completion) -> enrolling::Completed {
        report_panics();
        let completed = usable(&completion.config).and_then(|config| {
            M::complete_enrollment(config, EnrollmentAnswer::from_wire(completion)?)
        });
        match completed.map(Enrollment::into_wire) {
            Ok(enrollment) => enrolling::Completed::Enrolled(enrollment),
            Err(denial) => enrolling::Completed::Denied(denial.into_wire()),
        }
    }

    fn named_in(payload: String) -> Option<String> {
        report_panics();
        M::named_in(serde_json::from_str(&payload).ok()?)
    }

    fn authenticate(step: enrolling::Step) -> enrolling::Outcome {
        report_panics();
        let answer = usable(&step.config)
            .and_then(|config| M::authenticate(config, EnrolledStep::from_wire(step)?));
        match answer {
            Ok(outcome) => outcome.into_wire(),
            Err(denial) => enrolling::Outcome::Denied(denial.into_wire()),
        }
    }
}

impl<C: RedirectConnector> redirect_connector::Guest for Component<C> {
    fn describe() -> types::Description {
        described(C::describe)
    }

    fn check(config: String) -> Result<(), types::ConfigError> {
        checked(&config, C::check)
    }

    fn begin(beginning: redirection::Beginning) -> redirection::Begun {
        report_panics();
        let asked = Beginning {
            way: beginning.way,
            redirect_uri: beginning.redirect_uri,
            state: beginning.state,
        };
        match usable(&beginning.config).and_then(|config| C::begin(config, asked)) {
            Ok(begun) => begun.into_wire(),
            Err(denial) => redirection::Begun::Denied(denial.into_wire()),
        }
    }

    fn complete(completion: redirection::Completion) -> redirection::Outcome {
        report_panics();
        let answer = usable(&completion.config).and_then(|config| {
            let memory = serde_json::from_str(&completion.memory)
                .map_err(|_| Denial::unavailable("the memory is not JSON"))?;
            let came = Completion {
                redirect_uri: completion.redirect_uri,
                parameters: Parameters::new(completion.parameters),
                memory,
            };
            C::complete(config, came)
        });
        match answer {
            Ok(completed) => completed.into_wire(),
            Err(denial) => redirection::Outcome::Denied(denial.into_wire()),
        }
    }

    fn present(
        presentation: presenting::Presentation,
    ) -> Result<outcomes::Assertion, outcomes::Denial> {
        presented(presentation, C::present)
    }

    fn logout(notice: redirection::Notice) -> Result<redirection::Ended, outcomes::Denial> {
        report_panics();
        usable(&notice.config)
            .and_then(|config| C::logout(config, Parameters::new(notice.parameters)))
            .map(|subject| redirection::Ended { subject })
            .map_err(Denial::into_wire)
    }
}

impl<C: TokenConnector> token_connector::Guest for Component<C> {
    fn describe() -> types::Description {
        described(C::describe)
    }

    fn check(config: String) -> Result<(), types::ConfigError> {
        checked(&config, C::check)
    }

    fn present(
        presentation: presenting::Presentation,
    ) -> Result<outcomes::Assertion, outcomes::Denial> {
        presented(presentation, C::present)
    }
}

impl<C: DirectoryConnector> directory_connector::Guest for Component<C> {
    fn describe() -> types::Description {
        described(C::describe)
    }

    fn check(config: String) -> Result<(), types::ConfigError> {
        checked(&config, C::check)
    }

    fn find_user(
        lookup: directory::Lookup,
    ) -> Result<Option<directory::Entry>, directory::Failure> {
        asked(&lookup.config, |config| C::find_user(config, lookup.key))
    }

    fn find_group(
        lookup: directory::Lookup,
    ) -> Result<Option<directory::Entry>, directory::Failure> {
        asked(&lookup.config, |config| C::find_group(config, lookup.key))
    }

    fn list_users(query: directory::Query) -> Result<directory::Listing, directory::Failure> {
        let directory::Query {
            config,
            conditions,
            most,
        } = query;
        asked(&config, |config| C::list_users(config, conditions, most))
    }

    fn list_groups(query: directory::Query) -> Result<directory::Listing, directory::Failure> {
        let directory::Query {
            config,
            conditions,
            most,
        } = query;
        asked(&config, |config| C::list_groups(config, conditions, most))
    }

    fn groups_of_user(
        belonging: directory::Belonging,
    ) -> Result<Option<directory::Listing>, directory::Failure> {
        let directory::Belonging {
            config,
            id,
            conditions,
            most,
        } = belonging;
        asked(&config, |config| {
            C::groups_of_user(config, id, conditions, most)
        })
    }

    fn members_of_group(
        belonging: directory::Belonging,
    ) -> Result<Option<directory::Listing>, directory::Failure> {
        let directory::Belonging {
            config,
            id,
            conditions,
            most,
        } = belonging;
        asked(&config, |config| {
            C::members_of_group(config, id, conditions, most)
        })
    }

    fn verify(claim: directory::Claim) -> Result<directory::Proof, directory::Failure> {
        asked(&claim.config, |config| {
            C::verify(config, claim.key, &claim.password)
        })
    }
}

fn asked<C: DeserializeOwned, T>(
    config: &str,
    answer: impl FnOnce(C) -> Result<T, DirectoryFailure>,
) -> Result<T, DirectoryFailure> {
    report_panics();
    let config = config_from(config).map_err(|error| DirectoryFailure::Refused(error.message))?;
    answer(config)
}

impl<P: EventSink> event_sink::Guest for Component<P> {
    fn describe() -> types::Description {
        described(P::describe)
    }

    fn check(config: String) -> Result<(), types::ConfigError> {
        checked(&config, P::check)
    }

    fn deliver(batch: delivering::Batch) -> Result<(), Refusal> {
        report_panics();
        let config = usable(&batch.config)?;
        let read = |event: &String| {
            serde_json::from_str(event).map_err(|_| Refusal::for_ever("an event is not JSON"))
        };
        let events = batch.events.iter().map(read).collect::<Result<_, _>>()?;
        P::deliver(config, events)
    }
}

impl<P: Authorizer> authorizer::Guest for Component<P> {
    fn describe() -> types::Description {
        described(P::describe)
    }

    fn check(config: String) -> Result<(), types::ConfigError> {
        checked(&config, P::check)
    }

    fn decide(question: authorizing::Question) -> Decision {
        report_panics();
        let config = match usable(&question.config) {
            Ok(config) => config,
            Err(denial) => return Decision::Unavailable(denial.into_wire().detail),
        };
        match (
            serde_json::from_str(&question.credentials),
            serde_json::from_str(&question.target),
        ) {
            (Ok(credentials), Ok(target)) => P::decide(
                config,
                Question {
                    action: question.action,
                    credentials,
                    target,
                },
            ),
            _ => Decision::Unavailable("the question is not JSON".to_owned()),
        }
    }
}

fn described(describe: impl FnOnce() -> Description) -> types::Description {
    report_panics();
    describe().into_wire()
}

fn checked<C: DeserializeOwned>(
    config: &str,
    check: impl FnOnce(&C) -> Result<(), ConfigError>,
) -> Result<(), types::ConfigError> {
    report_panics();
    config_from(config)
        .and_then(|config| check(&config))
        .map_err(ConfigError::into_wire)
}

fn presented<C: DeserializeOwned>(
    presentation: presenting::Presentation,
    present: impl FnOnce(C, String) -> Result<Assertion, Denial>,
) -> Result<outcomes::Assertion, outcomes::Denial> {
    report_panics();
    usable(&presentation.config)
        .and_then(|config| present(config, presentation.token))
        .map(Assertion::into_wire)
        .map_err(Denial::into_wire)
}

/// Reads a configuration in the middle of a login.
fn usable<C: DeserializeOwned>(text: &str) -> Result<C, Denial> {
    config_from(text).map_err(|error| Denial::unavailable(error.message))
}

/// Reads a configuration. The host has checked it by the schema, so this fails only where schema
/// and type disagree.
fn config_from<C: DeserializeOwned>(text: &str) -> Result<C, ConfigError> {
    serde_json::from_str(text).map_err(|error| {
        ConfigError::at(
            "",
            format!(
                "the plugin cannot read its configuration (column {}), though its schema allows it",
                error.column()
            ),
        )
    })
}

/// A panic ends the call as a trap; its message would be lost without this.
fn report_panics() {
    std::panic::set_hook(Box::new(|panic| log::error(&panic.to_string())));
}
