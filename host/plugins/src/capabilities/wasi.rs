//! WASI for plugins in languages that cannot do without: what their runtimes import, and nothing that
//! reaches anywhere. Time and randomness are the host's, what is printed goes to the log, and there
//! are no files, variables, arguments and networks.
//!
//! Every function of the interfaces below that has no definition here ends the call. Interfaces that
//! are not below are not linked at all.

use std::{fmt, sync::LazyLock, time::Instant};

use rand::RngCore;
use wasmtime::{
    Engine, StoreContextMut,
    component::{
        ComponentType, Linker, LinkerInstance, Lower, Resource, ResourceType, types::ComponentItem,
    },
};

use crate::{
    bindings::archstone::plugin::{
        clock,
        log::{self, Level},
    },
    call::Call,
};

/// What the runtimes of JavaScript (ComponentizeJS) and Python (componentize-py) import.
const INTERFACES: [&str; 25] = [
    "cli/environment",
    "cli/exit",
    "cli/stderr",
    "cli/stdin",
    "cli/stdout",
    "cli/terminal-input",
    "cli/terminal-output",
    "cli/terminal-stderr",
    "cli/terminal-stdin",
    "cli/terminal-stdout",
    "clocks/monotonic-clock",
    "clocks/wall-clock",
    "filesystem/preopens",
    "filesystem/types",
    "io/error",
    "io/poll",
    "io/streams",
    "random/random",
    "sockets/instance-network",
    "sockets/ip-name-lookup",
    "sockets/network",
    "sockets/tcp",
    "sockets/tcp-create-socket",
    "sockets/udp",
    "sockets/udp-create-socket",
];

/// The most random bytes at once; a runtime asks for a few to seed its own.
const MOST_RANDOM_BYTES: u64 = 64 << 10;

/// What an output stream takes at once.
const PERMITTED_BYTES: u64 = 4 << 10;

/// One millisecond, as clocks have it.
const RESOLUTION: u32 = 1_000_000;

/// A standard stream, which is what its handle is.
struct Stream;

const STDIN: u32 = 0;
const STDOUT: u32 = 1;
const STDERR: u32 = 2;

/// A resource of which there is none.
struct Nothing;

#[derive(ComponentType, Lower)]
#[component(variant)]
#[allow(dead_code)] // the other way to fail is part of the type
enum StreamError {
    #[component(name = "last-operation-failed")]
    LastOperationFailed(Resource<Nothing>),
    #[component(name = "closed")]
    Closed,
}

/// The plugin asked its system for what it does not have.
#[derive(Debug)]
pub(crate) struct NoSystem(String);

impl fmt::Display for NoSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it called `{}`, which no plugin is given", self.0)
    }
}

impl std::error::Error for NoSystem {}

/// Links what a component imports of WASI. Nothing for what is not WASI, or not given to plugins.
pub(super) fn link(
    linker: &mut Linker<Call>,
    engine: &Engine,
    import: &str,
    item: &ComponentItem,
) -> Option<wasmtime::Result<()>> {
    let (interface, version) = import.strip_prefix("wasi:")?.split_once('@')?;
    // All of 0.2 is one: later versions add, and change nothing.
    if !version.starts_with("0.2.") || !INTERFACES.contains(&interface) {
        return None;
    }
    let ComponentItem::ComponentInstance(instance) = item else {
        return None;
    };
    let items = instance.exports(engine);
    let items: Vec<_> = items.map(|(name, found)| (name, found.ty)).collect();
    Some(linker.instance(import).and_then(|mut linked| {
        for (name, item) in &items {
            match item {
                ComponentItem::Resource(_) => {
                    let kind = match *name {
                        "input-stream" | "output-stream" => ResourceType::host::<Stream>(),
                        _ => ResourceType::host::<Nothing>(),
                    };
                    linked.resource(name, kind, |_, _| Ok(()))?;
                }
                ComponentItem::ComponentFunc(_) => define(&mut linked, interface, name)?,
                _ => {}
            }
        }
        Ok(())
    }))
}

fn define(
    linked: &mut LinkerInstance<'_, Call>,
    interface: &str,
    name: &str,
) -> wasmtime::Result<()> {
    match (interface, name) {
        ("random/random", "get-random-bytes") => {
            linked.func_wrap(name, |_, (count,): (u64,)| Ok((random_bytes(count)?,)))
        }
        ("random/random", "get-random-u64") => {
            linked.func_wrap(name, |_, ()| Ok((rand::rng().next_u64(),)))
        }
        ("clocks/wall-clock", "now") => linked
            .func_wrap(name, |mut call: StoreContextMut<'_, Call>, ()| {
                Ok((clock::Host::now(call.data_mut()),))
            }),
        ("clocks/wall-clock", "resolution") => linked.func_wrap(name, |_, ()| {
            Ok((clock::Instant {
                seconds: 0,
                nanoseconds: RESOLUTION,
            },))
        }),
        ("clocks/monotonic-clock", "now") => linked.func_wrap(name, |_, ()| Ok((elapsed(),))),
        ("clocks/monotonic-clock", "resolution") => {
            linked.func_wrap(name, |_, ()| Ok((u64::from(RESOLUTION),)))
        }
        ("cli/environment", "get-environment") => {
            linked.func_wrap(name, |_, ()| Ok((Vec::<(String, String)>::new(),)))
        }
        ("cli/environment", "get-arguments") => {
            linked.func_wrap(name, |_, ()| Ok((Vec::<String>::new(),)))
        }
        ("cli/environment", "initial-cwd") => linked.func_wrap(name, |_, ()| Ok((None::<String>,))),
        ("filesystem/preopens", "get-directories") => linked.func_wrap(name, |_, ()| {
            Ok((Vec::<(Resource<Nothing>, String)>::new(),))
        }),
        ("cli/terminal-stdin" | "cli/terminal-stdout" | "cli/terminal-stderr", _) => {
            linked.func_wrap(name, |_, ()| Ok((None::<Resource<Nothing>>,)))
        }
        ("cli/stdin", "get-stdin") => stream(linked, name, STDIN),
        ("cli/stdout", "get-stdout") => stream(linked, name, STDOUT),
        ("cli/stderr", "get-stderr") => stream(linked, name, STDERR),
        ("io/streams", "[method]input-stream.read" | "[method]input-stream.blocking-read") => {
            linked.func_wrap(name, |_, _: (Resource<Stream>, u64)| {
                Ok((Err::<Vec<u8>, _>(StreamError::Closed),))
            })
        }
        ("io/streams", "[method]output-stream.check-write") => linked
            .func_wrap(name, |_, _: (Resource<Stream>,)| {
                Ok((Ok::<_, StreamError>(PERMITTED_BYTES),))
            }),
        (
            "io/streams",
            "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush",
        ) => linked.func_wrap(name, |call, (stream, text): (Resource<Stream>, Vec<u8>)| {
            print(call, &stream, &text);
            Ok((Ok::<_, StreamError>(()),))
        }),
        ("io/streams", "[method]output-stream.flush" | "[method]output-stream.blocking-flush") => {
            linked.func_wrap(name, |_, _: (Resource<Stream>,)| {
                Ok((Ok::<_, StreamError>(()),))
            })
        }
        _ => {
            let called = format!("wasi:{interface} {name}");
            linked.func_new(name, move |_, _, _, _| {
                Err(wasmtime::Error::new(NoSystem(called.clone())))
            })
        }
    }
}

fn stream(linked: &mut LinkerInstance<'_, Call>, name: &str, which: u32) -> wasmtime::Result<()> {
    linked.func_wrap(name, move |_, ()| Ok((Resource::<Stream>::new_own(which),)))
}

fn random_bytes(count: u64) -> wasmtime::Result<Vec<u8>> {
    if count > MOST_RANDOM_BYTES {
        let called = format!("wasi:random/random get-random-bytes({count})");
        return Err(wasmtime::Error::new(NoSystem(called)));
    }
    let mut bytes = vec![0; count.try_into().unwrap_or(0)];
    rand::rng().fill_bytes(&mut bytes);
    Ok(bytes)
}

/// Since some moment: what a monotonic clock tells.
fn elapsed() -> u64 {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    BEGAN.elapsed().as_nanos().try_into().unwrap_or(u64::MAX)
}

/// What a plugin prints is what it logs, as far as it may.
fn print(mut call: StoreContextMut<'_, Call>, stream: &Resource<Stream>, text: &[u8]) {
    let level = match stream.rep() {
        STDERR => Level::Warn,
        _ => Level::Info,
    };
    let text = String::from_utf8_lossy(text);
    let text = text.trim_end();
    if !text.is_empty() {
        log::Host::write(call.data_mut(), level, text.to_owned());
    }
}
