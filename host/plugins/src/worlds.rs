//! The worlds of the contract, in every published version: which one a component is of, and what
//! all of them export. What differs between versions ends here; the rest of the host speaks the
//! newest.

use wasmtime::{
    Engine, Store,
    component::{Component, Linker},
};

use crate::{
    PrepareError,
    bindings::{
        self,
        archstone::plugin::authentication as wire,
        archstone::plugin::types,
        authorizer::{Authorizer, AuthorizerPre},
        directory_connector::{DirectoryConnector, DirectoryConnectorPre},
        enrollable_method::{EnrollableMethod, EnrollableMethodPre},
        event_sink::{EventSink, EventSinkPre},
        redirect_connector::{RedirectConnector, RedirectConnectorPre},
        token_connector::TokenConnectorPre,
        v0_1,
    },
    call::Call,
};

/// What a plugin is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A method of `POST /v3/auth/tokens`.
    AuthMethod,
    /// Such a method, which users enrol in first.
    EnrollableMethod,
    /// Connectors to identity providers where people log in.
    RedirectConnector,
    /// Connectors that know workloads by the tokens their platform gives them.
    TokenConnector,
    /// Connectors to directories that hold a domain's users and groups.
    DirectoryConnector,
    /// Takes audited events elsewhere.
    EventSink,
    /// Has a say in who may do what.
    Authorizer,
}

impl Kind {
    /// The name of its world in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AuthMethod => "auth-method",
            Self::EnrollableMethod => "enrollable-method",
            Self::RedirectConnector => "redirect-connector",
            Self::TokenConnector => "token-connector",
            Self::DirectoryConnector => "directory-connector",
            Self::EventSink => "event-sink",
            Self::Authorizer => "authorizer",
        }
    }

    /// Whether it serves connectors, each with a configuration of its own, and is none itself.
    pub fn is_connector(self) -> bool {
        matches!(
            self,
            Self::RedirectConnector | Self::TokenConnector | Self::DirectoryConnector
        )
    }

    /// Whether it is a method of `POST /v3/auth/tokens`.
    pub fn is_method(self) -> bool {
        matches!(self, Self::AuthMethod | Self::EnrollableMethod)
    }
}

/// Calls what every world exports, in a fresh instance. The last argument makes of what the first
/// version answers what the newest does.
macro_rules! call_any {
    ($world:expr, $store:ident, $call:ident($($argument:expr),*), $from_first:expr) => {
        match $world {
            World::MethodOf0_1(pre) => {
                let instance = pre.instantiate_async(&mut *$store).await?;
                instance.$call($store, $($argument),*).await.map($from_first)
            }
            World::Method(pre) => call_any!(pre, $store, $call($($argument),*)),
            World::Enrollable(pre) => call_any!(pre, $store, $call($($argument),*)),
            World::Redirect(pre) => call_any!(pre, $store, $call($($argument),*)),
            World::Token(pre) => call_any!(pre, $store, $call($($argument),*)),
            World::Directory(pre) => call_any!(pre, $store, $call($($argument),*)),
            World::Sink(pre) => call_any!(pre, $store, $call($($argument),*)),
            World::Authorizer(pre) => call_any!(pre, $store, $call($($argument),*)),
        }
    };
    ($pre:ident, $store:ident, $call:ident($($argument:expr),*)) => {{
        let instance = $pre.instantiate_async(&mut *$store).await?;
        instance.$call($store, $($argument),*).await
    }};
}

/// A component linked and ready to be instantiated, as a plugin of its world.
pub(crate) enum World {
    MethodOf0_1(v0_1::AuthMethodPre<Call>),
    Method(bindings::AuthMethodPre<Call>),
    Enrollable(EnrollableMethodPre<Call>),
    Redirect(RedirectConnectorPre<Call>),
    Token(TokenConnectorPre<Call>),
    Directory(DirectoryConnectorPre<Call>),
    Sink(EventSinkPre<Call>),
    Authorizer(AuthorizerPre<Call>),
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "World({:?})", self.kind())
    }
}

impl World {
    /// Tells the world by what the component exports, and the version by what it imports.
    pub fn new(
        engine: &Engine,
        component: &Component,
        linker: &Linker<Call>,
    ) -> Result<Self, PrepareError> {
        let wrong = |error: wasmtime::Error| PrepareError::WrongWorld {
            reason: format!("{error:#}"),
        };
        let kind = component.component_type();
        let exports = |name: &str| kind.exports(engine).any(|(export, _)| export == name);
        let first_version = kind
            .imports(engine)
            .any(|(import, _)| import.ends_with("@0.1.0"));
        let pre = linker.instantiate_pre(component).map_err(wrong)?;
        if exports("authenticate") && first_version {
            v0_1::AuthMethodPre::new(pre).map(Self::MethodOf0_1)
        } else if exports("begin-enrollment") {
            EnrollableMethodPre::new(pre).map(Self::Enrollable)
        } else if exports("authenticate") {
            bindings::AuthMethodPre::new(pre).map(Self::Method)
        } else if exports("begin") {
            RedirectConnectorPre::new(pre).map(Self::Redirect)
        } else if exports("present") {
            TokenConnectorPre::new(pre).map(Self::Token)
        } else if exports("verify") {
            DirectoryConnectorPre::new(pre).map(Self::Directory)
        } else if exports("deliver") {
            EventSinkPre::new(pre).map(Self::Sink)
        } else if exports("decide") {
            AuthorizerPre::new(pre).map(Self::Authorizer)
        } else {
            return Err(PrepareError::WrongWorld {
                reason: "it exports none of `authenticate`, `begin`, `present`, `verify`, `deliver` and \
                         `decide`"
                    .to_owned(),
            });
        }
        .map_err(wrong)
    }

    pub fn kind(&self) -> Kind {
        match self {
            Self::MethodOf0_1(_) | Self::Method(_) => Kind::AuthMethod,
            Self::Enrollable(_) => Kind::EnrollableMethod,
            Self::Redirect(_) => Kind::RedirectConnector,
            Self::Token(_) => Kind::TokenConnector,
            Self::Directory(_) => Kind::DirectoryConnector,
            Self::Sink(_) => Kind::EventSink,
            Self::Authorizer(_) => Kind::Authorizer,
        }
    }

    pub async fn describe(&self, store: &mut Store<Call>) -> wasmtime::Result<types::Description> {
        call_any!(self, store, call_describe(), Into::into)
    }

    #[allow(clippy::ptr_arg)] // as the generated bindings take it
    pub async fn check(
        &self,
        store: &mut Store<Call>,
        config: &String,
    ) -> wasmtime::Result<Result<(), types::ConfigError>> {
        call_any!(self, store, call_check(config), |checked| checked
            .map_err(Into::into))
    }

    /// One step of a login by a method that needs no enrollment.
    pub async fn authenticate(
        &self,
        store: &mut Store<Call>,
        step: wire::Step,
    ) -> wasmtime::Result<wire::Outcome> {
        match self {
            Self::MethodOf0_1(pre) => {
                let instance = pre.instantiate_async(&mut *store).await?;
                let outcome = instance.call_authenticate(store, &step.into()).await?;
                Ok(outcome.into())
            }
            Self::Method(pre) => {
                let instance = pre.instantiate_async(&mut *store).await?;
                instance.call_authenticate(store, &step).await
            }
            _ => Err(self.has_no("such steps of a login")),
        }
    }

    /// The error for what this world does not have. The registry never asks.
    pub fn has_no(&self, what: &str) -> wasmtime::Error {
        wasmtime::Error::msg(format!("a plugin of kind {:?} has no {what}", self.kind()))
    }
}

/// Instances of one world each, for what only that world exports.
macro_rules! instances {
    ($($name:ident: $variant:ident -> $instance:ty, $what:literal;)*) => {
        impl World {$(
            pub async fn $name(&self, store: &mut Store<Call>) -> wasmtime::Result<$instance> {
                match self {
                    Self::$variant(pre) => pre.instantiate_async(store).await,
                    other => Err(other.has_no($what)),
                }
            }
        )*}
    };
}

instances! {
    enrollable: Enrollable -> EnrollableMethod, "enrollments";
    redirect: Redirect -> RedirectConnector, "logins by redirect";
    directory: Directory -> DirectoryConnector, "users";
    sink: Sink -> EventSink, "deliveries";
    authorizer: Authorizer -> Authorizer, "decisions";
}
