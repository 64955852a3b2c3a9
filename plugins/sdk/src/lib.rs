//! Write plugins for Archstone in Rust.
//!
//! A plugin proves who somebody is; the host decides what that means. This crate is the contract
//! of `wit/0.2.0` in the clothes of Rust: a trait for each world, a macro to export it, and one
//! module for each capability.
//!
//! ```ignore
//! use archstone_plugin::{AuthMethod, Denial, Description, Outcome, Proof, Step, secrets};
//! use serde::Deserialize;
//!
//! struct Pin;
//!
//! #[derive(Deserialize)]
//! struct Config {}
//!
//! #[derive(Deserialize)]
//! struct Payload {
//!     pin: String,
//! }
//!
//! impl AuthMethod for Pin {
//!     type Config = Config;
//!
//!     fn describe() -> Description {
//!         Description::new("pin", env!("CARGO_PKG_VERSION"), "One PIN for everybody")
//!             .proves(Proof::Account)
//!             .config_schema(serde_json::json!({
//!                 "type": "object",
//!                 "properties": {"pin": {"type": "string", "minLength": 4}},
//!                 "required": ["pin"],
//!             }))
//!             .secret_fields(["pin"])
//!     }
//!
//!     fn authenticate(_config: Config, step: Step) -> Result<Outcome, Denial> {
//!         let sent: Payload = step.payload()?;
//!         let right = secrets::get("pin").ok_or_else(|| Denial::unavailable("no PIN is set"))?;
//!         match archstone_plugin::signatures::equal(sent.pin.as_bytes(), right.as_bytes()) {
//!             true => Ok(Outcome::Verified),
//!             false => Err(Denial::rejected("wrong PIN")),
//!         }
//!     }
//! }
//!
//! archstone_plugin::export!(Pin);
//! ```
//!
//! `cargo xtask plugins` compiles it, and `archstone plugin install target/plugins/pin.wasm`
//! has a running server serve it. The whole story is in `docs/plugins.md`.

#[doc(hidden)]
pub mod bindings;
#[doc(hidden)]
pub mod component;

mod auth_method;
mod connector;
mod description;
mod directory;
mod enrollable;
mod operations;
mod outcome;

pub mod clock;
pub mod credentials;
pub mod http;
pub mod log;
pub mod random;
pub mod secrets;
pub mod signatures;
pub mod state;
pub mod stream;

pub use auth_method::{Account, AuthMethod, Step};
pub use connector::{
    Beginning, Begun, Completed, Completion, Parameters, RedirectConnector, TokenConnector, Way,
};
pub use description::{Capability, ConfigError, Description, Proof};
pub use directory::{
    Comparison, Condition, DirectoryConnector, DirectoryFailure, DirectoryProof, Entry, Key,
    Listing,
};
pub use enrollable::{
    EnrollableMethod, EnrolledOutcome, EnrolledStep, Enrolling, Enrollment, EnrollmentAnswer,
    Verified,
};
pub use operations::{Authorizer, Decision, EventSink, Question, Refusal};
pub use outcome::{Assertion, Challenge, Denial, Outcome, Reason};

/// Makes a type that implements [`AuthMethod`] the plugin that this crate builds.
#[macro_export]
macro_rules! export {
    ($method:ty) => {
        const _: () = {
            type Exported = $crate::component::Component<$method>;
            $crate::bindings::export_auth_method_component!(
                Exported with_types_in $crate::bindings
            );
        };
    };
}

/// Makes a type that implements [`EnrollableMethod`] the plugin that this crate builds.
#[macro_export]
macro_rules! export_enrollable_method {
    ($method:ty) => {
        const _: () = {
            type Exported = $crate::component::Component<$method>;
            $crate::bindings::enrollable_method::export_enrollable_method_component!(
                Exported with_types_in $crate::bindings::enrollable_method
            );
        };
    };
}

/// Makes a type that implements [`RedirectConnector`] the plugin that this crate builds.
#[macro_export]
macro_rules! export_redirect_connector {
    ($connector:ty) => {
        const _: () = {
            type Exported = $crate::component::Component<$connector>;
            $crate::bindings::redirect_connector::export_redirect_connector_component!(
                Exported with_types_in $crate::bindings::redirect_connector
            );
        };
    };
}

/// Makes a type that implements [`TokenConnector`] the plugin that this crate builds.
#[macro_export]
macro_rules! export_token_connector {
    ($connector:ty) => {
        const _: () = {
            type Exported = $crate::component::Component<$connector>;
            $crate::bindings::token_connector::export_token_connector_component!(
                Exported with_types_in $crate::bindings::token_connector
            );
        };
    };
}

/// Makes a type that implements [`DirectoryConnector`] the plugin that this crate builds.
#[macro_export]
macro_rules! export_directory_connector {
    ($connector:ty) => {
        const _: () = {
            type Exported = $crate::component::Component<$connector>;
            $crate::bindings::directory_connector::export_directory_connector_component!(
                Exported with_types_in $crate::bindings::directory_connector
            );
        };
    };
}

/// Makes a type that implements [`EventSink`] the plugin that this crate builds.
#[macro_export]
macro_rules! export_event_sink {
    ($plugin:ty) => {
        const _: () = {
            type Exported = $crate::component::Component<$plugin>;
            $crate::bindings::event_sink::export_event_sink_component!(
                Exported with_types_in $crate::bindings::event_sink
            );
        };
    };
}

/// Makes a type that implements [`Authorizer`] the plugin that this crate builds.
#[macro_export]
macro_rules! export_authorizer {
    ($plugin:ty) => {
        const _: () = {
            type Exported = $crate::component::Component<$plugin>;
            $crate::bindings::authorizer::export_authorizer_component!(
                Exported with_types_in $crate::bindings::authorizer
            );
        };
    };
}
