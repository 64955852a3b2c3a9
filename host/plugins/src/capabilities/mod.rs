//! Everything a plugin can reach, and what it takes to reach it. There is nothing else: a plugin
//! that imports anything that is not in [`link`] is refused.

mod account;
mod ambient;
mod http;
mod signatures;
mod state;

use wasmtime::{
    Engine,
    component::{Component, HasSelf, Linker},
};

pub(crate) use ambient::LOG_MESSAGES;
pub(crate) use http::HttpClient;

use crate::{Grants, PrepareError, bindings::archstone::plugin as imports, call::Call};

/// The most that a plugin hands over to a host function at once.
pub(crate) const LARGEST_INPUT: usize = 1 << 20;

const PACKAGE: &str = "archstone:plugin/";
const VERSION: &str = "@0.1.0";

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
    for (import, _) in component.component_type().imports(engine) {
        link_one(&mut linker, import, grants)?;
    }
    Ok(linker)
}

fn link_one(linker: &mut Linker<Call>, import: &str, grants: &Grants) -> Result<(), PrepareError> {
    let interface = import
        .strip_prefix(PACKAGE)
        .and_then(|rest| rest.strip_suffix(VERSION))
        .unwrap_or_default();
    let linked = match interface {
        // Types alone: there is nothing to call.
        "types" | "authentication" => Ok(()),

        // Always granted: these reach the plugin's own things only.
        "clock" => imports::clock::add_to_linker::<_, HasSelf<Call>>(linker, |call| call),
        "random" => imports::random::add_to_linker::<_, HasSelf<Call>>(linker, |call| call),
        "log" => imports::log::add_to_linker::<_, HasSelf<Call>>(linker, |call| call),
        "secrets" => imports::secrets::add_to_linker::<_, HasSelf<Call>>(linker, |call| call),
        "state" => imports::state::add_to_linker::<_, HasSelf<Call>>(linker, |call| call),
        "signatures" => imports::signatures::add_to_linker::<_, HasSelf<Call>>(linker, |call| call),

        // Granted by the operator.
        "http" if grants.http.is_some() => {
            imports::http::add_to_linker::<_, HasSelf<Call>>(linker, |call| call)
        }
        "credentials" if !grants.credentials.is_empty() => {
            imports::credentials::add_to_linker::<_, HasSelf<Call>>(linker, |call| call)
        }
        "http" => return Err(not_granted("http")),
        "credentials" => return Err(not_granted("credentials")),

        _ => {
            return Err(PrepareError::UnknownImport {
                import: import.to_owned(),
            });
        }
    };
    linked.map_err(|error| PrepareError::WrongWorld {
        reason: format!("{error:#}"),
    })
}

/// The error for a capability that is the operator's to grant, with how to grant it.
pub(crate) fn not_granted(capability: &'static str) -> PrepareError {
    let remedy = match capability {
        "http" => r#"name the servers it may reach: `"grant": {"http": {"origins": [...]}}`"#,
        _ => r#"name the types it may read: `"grant": {"credentials": [...]}`"#,
    };
    PrepareError::NotGranted { capability, remedy }
}
