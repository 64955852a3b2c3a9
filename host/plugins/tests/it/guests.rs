//! The guests, built once, and a registry to run them in.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI64, Ordering},
    },
};

use archstone_model::clock::Clock;
use archstone_plugins::{
    Assertion, MemoryState, Outcome, PluginError, Registry, Runtime, RuntimeOptions, Settings, Step,
};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// A component, by the name of its crate.
pub fn component(name: &str) -> Vec<u8> {
    static BUILT: OnceLock<HashMap<String, Vec<u8>>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        by_name(archstone_plugin_kit::build_plugins(&root).unwrap())
    });
    built[name].clone()
}

/// A component in JavaScript or Python, by the name of its project.
pub fn scripted(name: &str) -> Vec<u8> {
    static BUILT: OnceLock<HashMap<String, Vec<u8>>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        by_name(archstone_plugin_kit::build_scripted_plugins(&root).unwrap())
    });
    built[name].clone()
}

fn by_name(paths: Vec<PathBuf>) -> HashMap<String, Vec<u8>> {
    let named = paths.into_iter().map(|path| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, fs::read(path).unwrap())
    });
    named.collect()
}

/// The same component with another digest: a custom section is appended, which means nothing.
pub fn rebuilt(mut component: Vec<u8>, version: u8) -> Vec<u8> {
    component.extend([0, 3, 1, b'v', version]);
    component
}

pub fn settings(settings: Value) -> Settings {
    Settings::from_json(settings.to_string().as_bytes()).unwrap()
}

/// A registry of its own for each test, with a clock that stands still.
pub struct Bench {
    pub registry: Registry,
    pub time: Arc<AtomicI64>,
}

impl Bench {
    pub fn new() -> Self {
        Self::with(|options| options)
    }

    pub fn with(adjust: impl FnOnce(RuntimeOptions) -> RuntimeOptions) -> Self {
        let time = Arc::new(AtomicI64::new(1_800_000_000));
        let told = Arc::clone(&time);
        let clock = Clock::new(move || {
            DateTime::<Utc>::from_timestamp(told.load(Ordering::Relaxed), 0).unwrap()
        });
        let mut options = RuntimeOptions::new(Arc::new(MemoryState::default()));
        // Compiled once for all tests: each may be a process of its own.
        options.cache = Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled-plugins"));
        options.instances = 40;
        options.clock = clock;
        let runtime = Runtime::new(adjust(options)).unwrap();
        Self {
            registry: Registry::new(runtime),
            time,
        }
    }

    pub fn set_time(&self, seconds: i64) {
        self.time.store(seconds, Ordering::Relaxed);
    }

    pub async fn serve(&self, method: &str, component: Vec<u8>, with: Value) {
        let prepared = self
            .registry
            .prepare(method, component, settings(with))
            .await;
        self.registry.publish(prepared.unwrap());
    }

    pub async fn serve_hello(&self) {
        let settings = json!({"config": {"pin": "1234"}});
        self.serve("hello", component("hello"), settings).await;
    }

    /// A hostile guest with small limits, so that tests are quick.
    pub async fn serve_hostile(&self) {
        let limits = json!({
            "deadline_ms": 2000,
            "cpu_ms": 200,
            "memory_bytes": 16 << 20,
            "breaker_failures": 1000,
        });
        self.serve_hostile_within(limits).await;
    }

    pub async fn serve_hostile_within(&self, limits: Value) {
        let settings = json!({"grant": some_server(), "limits": limits});
        self.serve("hostile", component("hostile"), settings).await;
    }

    pub async fn commit(&self, misdeed: Value) -> Result<Outcome, PluginError> {
        self.registry
            .authenticate("hostile", Step::new(misdeed))
            .await
    }

    pub async fn hello(&self) -> Result<Outcome, PluginError> {
        let payload = json!({"name": "ada", "pin": "1234"});
        self.registry
            .authenticate("hello", Step::new(payload))
            .await
    }

    /// Asserts that the hello plugin answers as ever.
    pub async fn expect_hello(&self) {
        let assertion = asserted(self.hello().await);
        assert_eq!(assertion.method, "hello");
        assert_eq!(assertion.subject, "ada");
    }
}

/// A grant of requests to a server that does not exist: what the hostile guest starts with.
pub fn some_server() -> Value {
    json!({"http": {"origins": ["https://granted.example"]}})
}

pub fn asserted(outcome: Result<Outcome, PluginError>) -> Assertion {
    match outcome {
        Ok(Outcome::Asserted(assertion)) => assertion,
        other => panic!("expected an assertion, got {other:?}"),
    }
}

/// The word for what a denial says, or for the error.
pub fn refusal(outcome: Result<Outcome, PluginError>) -> &'static str {
    match outcome {
        Ok(Outcome::Denied(denial)) => denial.reason.as_str(),
        Ok(other) => panic!("expected a refusal, got {other:?}"),
        Err(error) => error.kind(),
    }
}

/// The detail of a denial.
pub fn detail(outcome: Result<Outcome, PluginError>) -> String {
    match outcome {
        Ok(Outcome::Denied(denial)) => denial.detail,
        other => panic!("expected a denial, got {other:?}"),
    }
}
