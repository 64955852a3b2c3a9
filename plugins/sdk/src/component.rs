//! Between the generated bindings and [`AuthMethod`].

use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use crate::{
    AuthMethod, ConfigError, Denial, Step,
    bindings::{Guest, archstone::plugin::authentication as wire, archstone::plugin::types},
    log,
};

/// The component that a method is exported as.
#[derive(Debug)]
pub struct Component<M>(PhantomData<M>);

impl<M: AuthMethod> Guest for Component<M> {
    fn describe() -> types::Description {
        report_panics();
        M::describe().into_wire()
    }

    fn check(config: String) -> Result<(), types::ConfigError> {
        report_panics();
        let config = config_from(&config).map_err(ConfigError::into_wire)?;
        M::check(&config).map_err(ConfigError::into_wire)
    }

    fn authenticate(step: wire::Step) -> wire::Outcome {
        report_panics();
        let answer = config_from(&step.config)
            .map_err(|error| Denial::unavailable(error.message))
            .and_then(|config| M::authenticate(config, Step::from_wire(step)?));
        match answer {
            Ok(outcome) => outcome.into_wire(),
            Err(denial) => wire::Outcome::Denied(denial.into_wire()),
        }
    }
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
