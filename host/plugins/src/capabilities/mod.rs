//! Everything a plugin can reach, and what it takes to reach it. There is nothing else: a plugin
//! that imports anything that is not in [`link`] is refused.

mod account;
mod ambient;
mod http;
mod signatures;
mod state;
mod stream;
mod wasi;

use wasmtime::{
    Engine,
    component::{Component, HasSelf, Linker},
};

pub(crate) use ambient::LOG_MESSAGES;
pub(crate) use http::HttpClient;
pub use stream::Line;
pub(crate) use stream::StreamClient;
pub(crate) use wasi::NoSystem;

use crate::{
    Grants, PrepareError,
    bindings::{archstone::plugin as current, directory_connector, v0_1},
    call::Call,
};

/// The most that a plugin hands over to a host function at once.
pub(crate) const LARGEST_INPUT: usize = 1 << 20;

/// The most that a plugin with connections of its own hands over at once: all that a directory
/// holds.
pub(crate) const LARGEST_LISTING: usize = 32 << 20;

/// The target of events that tell what plugins ask of the host, one for each call. They are traced,
/// and nothing is done for them unless somebody listens (`archstone plugin run` does). None has a
/// secret: values never, keys and texts that may hold one as digests.
pub(crate) const CALLS: &str = "archstone::plugin::calls";

const PACKAGE: &str = "archstone:plugin/";

/// Links one interface of one version of the contract; nothing for one that version does not have.
macro_rules! link_interface {
    ($version:path, $linker:expr, $interface:expr) => {{
        use $version as imports;
        let linker: &mut Linker<Call> = $linker;
        match $interface {
            // Types alone: there is nothing to call.
            "types" | "outcomes" | "authentication" | "enrolling" | "redirection"
            | "presenting" | "directory" | "delivering" | "authorizing" => Some(Ok(())),
            "clock" => Some(imports::clock::add_to_linker::<_, HasSelf<Call>>(
                linker,
                |call| call,
            )),
            "random" => Some(imports::random::add_to_linker::<_, HasSelf<Call>>(
                linker,
                |call| call,
            )),
            "log" => Some(imports::log::add_to_linker::<_, HasSelf<Call>>(
                linker,
                |call| call,
            )),
            "secrets" => Some(imports::secrets::add_to_linker::<_, HasSelf<Call>>(
                linker,
                |call| call,
            )),
            "state" => Some(imports::state::add_to_linker::<_, HasSelf<Call>>(
                linker,
                |call| call,
            )),
            "signatures" => Some(imports::signatures::add_to_linker::<_, HasSelf<Call>>(
                linker,
                |call| call,
            )),
            "http" => Some(imports::http::add_to_linker::<_, HasSelf<Call>>(
                linker,
                |call| call,
            )),
            "credentials" => Some(imports::credentials::add_to_linker::<_, HasSelf<Call>>(
                linker,
                |call| call,
            )),
            _ => None,
        }
    }};
}

/// Links what the component imports and was granted.
///
/// # Errors
/// [`PrepareError::UnknownImport`] or [`PrepareError::NotGranted`], for the first import that
/// cannot be had.
pub(crate) fn link(
    engine: &Engine,
    component: &Component,
    grants: &Grants,
) -> Result<Linker<Call>, PrepareError> {
    let mut linker = Linker::new(engine);
    for (import, found) in component.component_type().imports(engine) {
        let (interface, version) = parts_of(import);
        granted(interface, grants)?;
        let linked = match version {
            "0.2.0" if interface == "stream" => Some(
                directory_connector::archstone::plugin::stream::add_to_linker::<_, HasSelf<Call>>(
                    &mut linker,
                    |call| call,
                ),
            ),
            "0.2.0" => link_interface!(current, &mut linker, interface),
            "0.1.0" => link_interface!(v0_1::archstone::plugin, &mut linker, interface),
            _ => wasi::link(&mut linker, engine, import, &found.ty),
        };
        match linked {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                return Err(PrepareError::WrongWorld {
                    reason: format!("{error:#}"),
                });
            }
            None => {
                return Err(PrepareError::UnknownImport {
                    import: import.to_owned(),
                });
            }
        }
    }
    Ok(linker)
}

/// The interface of the contract that an import is, and its version; both empty for anything else.
fn parts_of(import: &str) -> (&str, &str) {
    let rest = import.strip_prefix(PACKAGE);
    rest.and_then(|rest| rest.split_once('@'))
        .unwrap_or_default()
}

/// The interface of the contract that an import is, or nothing.
pub(crate) fn interface_of(import: &str) -> &str {
    parts_of(import).0
}

/// Refuses what is the operator's to grant and was not. All else reaches the plugin's own things
/// only.
fn granted(interface: &str, grants: &Grants) -> Result<(), PrepareError> {
    match interface {
        "http" if grants.http.is_none() => Err(not_granted("http")),
        "stream" if grants.stream.is_none() => Err(not_granted("stream")),
        "credentials" if grants.credentials.is_empty() => Err(not_granted("credentials")),
        _ => Ok(()),
    }
}

/// Makes ring the process's TLS provider, unless it has one.
fn install_tls_provider() {
    // An error means that there is one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The error for a capability that is the operator's to grant, with how to grant it.
pub(crate) fn not_granted(capability: &'static str) -> PrepareError {
    PrepareError::NotGranted {
        capability,
        remedy: remedy(capability),
    }
}

/// How a capability is granted that is the operator's to grant.
pub(crate) fn remedy(capability: &str) -> &'static str {
    match capability {
        "http" => r#"name the servers it may reach: `"grant": {"http": {"origins": [...]}}`"#,
        "stream" => r#"say that it may connect to servers: `"grant": {"stream": {...}}`"#,
        _ => r#"name the types it may read: `"grant": {"credentials": [...]}`"#,
    }
}
