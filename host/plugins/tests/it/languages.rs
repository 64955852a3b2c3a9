//! Plugins in other languages: the same contract, and no more of a system than those in Rust have.

use std::path::Path;

use archstone_plugins::{Inspection, PrepareError, Proof, Runtime, RuntimeOptions, Step};
use serde_json::{Value, json};

use crate::guests::{Bench, asserted, component, refusal, scripted, settings};

/// An interpreter is compiled once for all tests and all runs, if it stays the same.
fn bench() -> Bench {
    Bench::with(|mut options| {
        options.cache = Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("languages"));
        options.instances = 80;
        options
    })
}

/// What an interpreter needs more than the defaults allow.
fn limits() -> Value {
    json!({"memory_bytes": 128 << 20, "cpu_ms": 5000, "deadline_ms": 20_000})
}

/// What `plugins/examples/hello` does, whatever it is written in.
async fn is_hello(artifact: Vec<u8>) {
    let bench = bench();
    let with = |config: Value| settings(json!({"config": config, "limits": limits()}));
    let prepare = async |config: Value| {
        let candidate = bench
            .registry
            .prepare("hello", artifact.clone(), with(config));
        candidate.await
    };
    let silent = prepare(json!({"pin": "1234", "greeting": " "})).await;
    match silent.unwrap_err() {
        PrepareError::ConfigRefused { pointer, message } => {
            assert_eq!(pointer, "/greeting");
            assert_eq!(message, "a greeting has to say something");
        }
        other => panic!("{other}"),
    }
    let short = prepare(json!({"pin": "1"})).await.unwrap_err();
    assert!(matches!(short, PrepareError::ConfigRefused { pointer, .. } if pointer == "/pin"));
    let candidate = prepare(json!({"pin": "1234", "greeting": "good day"})).await;
    bench.registry.publish(candidate.unwrap());
    assert_eq!(
        bench.registry.method("hello").unwrap().proves(),
        Proof::Subject
    );

    let log_in = async |payload: Value| {
        let step = Step::new(payload);
        bench.registry.authenticate("hello", step).await
    };
    let ada = asserted(log_in(json!({"name": "ada", "pin": "1234"})).await);
    assert_eq!(ada.subject, "ada");
    assert_eq!(
        Value::Object(ada.claims),
        json!({"greeting": "good day, ada"})
    );
    let named = json!({"name": "Ада 🦊", "pin": "1234"});
    assert_eq!(asserted(log_in(named).await).subject, "Ада 🦊");
    let wrong = log_in(json!({"name": "ada", "pin": "4321"})).await;
    assert_eq!(refusal(wrong), "rejected");
    for malformed in [json!({}), json!({"name": 1, "pin": "1234"}), json!([])] {
        assert_eq!(refusal(log_in(malformed).await), "malformed");
    }
    let logins = (0..8).map(|_| log_in(json!({"name": "ada", "pin": "1234"})));
    for outcome in futures::future::join_all(logins).await {
        assert_eq!(asserted(outcome).subject, "ada");
    }
}

#[tokio::test]
async fn hello_in_rust_is_hello() {
    is_hello(component("hello")).await;
}

#[tokio::test]
async fn hello_in_javascript_is_hello() {
    is_hello(scripted("hello-js")).await;
}

#[tokio::test]
async fn hello_in_python_is_hello() {
    is_hello(scripted("hello-py")).await;
}

/// A component of a scripting language imports what its world names: the examples name no more than
/// they use, so that nothing has to be granted.
#[tokio::test]
async fn the_examples_have_to_be_granted_nothing() {
    let state = std::sync::Arc::new(archstone_plugins::MemoryState::default());
    let mut options = RuntimeOptions::new(state);
    options.cache = Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("languages"));
    let runtime = Runtime::new(options).unwrap();
    for artifact in [
        component("hello"),
        scripted("hello-js"),
        scripted("hello-py"),
    ] {
        let inspected = Inspection::of(&runtime, artifact).await.unwrap();
        assert_eq!(inspected.to_grant, []);
        assert_eq!(inspected.plugin, "hello");
    }
}

async fn hostile() -> Bench {
    let bench = bench();
    let with = json!({"limits": limits()});
    bench.serve("hostile", scripted("hostile-py"), with).await;
    bench
}

#[tokio::test]
async fn a_plugins_system_has_nothing() {
    let bench = hostile().await;
    let got = async |misdeed: &str| {
        let step = Step::new(json!({"do": misdeed}));
        let outcome = bench.registry.authenticate("hostile", step).await;
        match outcome {
            Ok(_) => asserted(outcome).claims["got"].clone(),
            Err(error) => json!({"error": error.kind(), "told": error.to_string()}),
        }
    };
    assert_eq!(got("nothing").await, Value::Null);
    assert_eq!(got("environment").await, json!({}));
    assert_eq!(got("arguments").await, json!([]));
    assert_eq!(got("standard-input").await, json!(""));
    for misdeed in [
        "read-file",
        "write-file",
        "list-files",
        "connect",
        "resolve",
    ] {
        let got = got(misdeed).await;
        let refused = got
            .as_str()
            .is_some_and(|text| text.starts_with("refused:"));
        assert!(refused || got["error"] == "trapped", "{misdeed}: {got}");
    }
    for misdeed in ["sleep", "exit"] {
        let got = got(misdeed).await;
        assert_eq!(got["error"], "trapped", "{misdeed}: {got}");
        assert!(got["told"].as_str().unwrap().contains("wasi:"), "{got}");
    }
    assert!(!Path::new("/tmp/archstone-hostile").exists());
    // What it prints is in the log, as far as it may log.
    assert_eq!(got("print").await, Value::Null);
    let printed = got("print-forever").await;
    let ended = ["cpu-exceeded", "deadline-exceeded"];
    assert!(
        printed == 100_000 || ended.iter().any(|limit| printed["error"] == *limit),
        "{printed}"
    );
    // Time is the host's, which stands still here, and randomness is new in every instance.
    assert_eq!(
        got("time").await,
        json!([1_800_000_000, 1_800_000_000, true])
    );
    for misdeed in ["random", "random-again"] {
        assert_ne!(got(misdeed).await, got(misdeed).await, "{misdeed}");
    }
}
