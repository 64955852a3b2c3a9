//! What is loaded, what is refused, and what is not compiled twice.

use std::{fs, time::Instant};

use archstone_plugins::{Digest, PrepareError, Step};
use serde_json::json;

use crate::guests::{Bench, asserted, component, refusal, settings};

async fn refused(artifact: Vec<u8>, with: serde_json::Value) -> PrepareError {
    let bench = Bench::new();
    let prepared = bench
        .registry
        .prepare("method", artifact, settings(with))
        .await;
    prepared.unwrap_err()
}

#[tokio::test]
async fn an_unknown_import_is_refused_by_name() {
    for unknown in [
        "wasi:http/outgoing-handler@0.2.0",
        "wasi:sockets/tcp@0.3.0",
        "wasi:keyvalue/store@0.2.0",
        "somebody:else/anything@1.0.0",
    ] {
        let component = format!(r#"(component (import "{unknown}" (instance)))"#);
        match refused(wat::parse_str(component).unwrap(), json!({})).await {
            PrepareError::UnknownImport { import } => assert_eq!(import, unknown),
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn an_unknown_function_of_a_known_interface_is_refused() {
    let future = r#"(component (import "archstone:plugin/clock@0.1.0" (instance
        (export "set" (func (param "seconds" u64))))))"#;
    let error = refused(wat::parse_str(future).unwrap(), json!({})).await;
    assert!(matches!(error, PrepareError::WrongWorld { .. }), "{error}");
}

#[tokio::test]
async fn a_component_without_the_exports_is_refused() {
    let error = refused(wat::parse_str("(component)").unwrap(), json!({})).await;
    assert!(matches!(error, PrepareError::WrongWorld { .. }), "{error}");
}

#[tokio::test]
async fn a_core_module_is_refused_with_advice() {
    let error = refused(wat::parse_str("(module)").unwrap(), json!({})).await;
    assert!(matches!(error, PrepareError::NotAComponent), "{error}");
}

#[tokio::test]
async fn what_is_no_webassembly_is_refused() {
    let error = refused(b"#!/bin/sh".to_vec(), json!({})).await;
    assert!(
        matches!(error, PrepareError::DoesNotCompile { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_capability_has_to_be_granted() {
    let error = refused(component("totp"), json!({})).await;
    let message = error.to_string();
    assert!(
        matches!(error, PrepareError::NotGranted { .. }),
        "{message}"
    );
    assert!(message.contains(r#""grant": {"credentials""#), "{message}");
    let error = refused(component("hostile"), json!({})).await;
    assert!(
        matches!(
            error,
            PrepareError::NotGranted {
                capability: "http",
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_secret_that_cannot_be_had_keeps_a_plugin_from_going_live() {
    let config = json!({"config": {"pin": {"env": "ARCHSTONE_TEST_NO_SUCH_PIN"}}});
    let error = refused(component("hello"), config).await;
    assert!(
        matches!(error, PrepareError::SecretUnavailable { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_second_start_does_not_compile_again() {
    let home = tempfile::tempdir().unwrap();
    let start = async || {
        let bench = Bench::with(|mut options| {
            options.cache = Some(home.path().join("cache"));
            options
        });
        let began = Instant::now();
        bench.serve_hello().await;
        bench.expect_hello().await;
        began.elapsed()
    };
    component("hello");
    let cold = start().await;
    let kept = fs::read_dir(home.path().join("cache"))
        .unwrap()
        .next()
        .unwrap();
    let name = format!("{}.cwasm", Digest::of(&component("hello")));
    let compiled = kept.unwrap().path().join(name);
    let made = fs::metadata(&compiled).unwrap().modified().unwrap();
    let warm = start().await;
    assert!(warm * 2 < cold, "cold {cold:?}, warm {warm:?}");
    assert_eq!(fs::metadata(&compiled).unwrap().modified().unwrap(), made);

    fs::write(&compiled, b"damaged").unwrap();
    start().await;
    assert!(fs::metadata(&compiled).unwrap().len() > 1000);
}

/// What was built against an earlier version of the contract goes on working, with all that it
/// could use.
#[tokio::test]
async fn a_plugin_of_version_0_1_0_serves() {
    let bench = Bench::new();
    let with = json!({
        "config": {"pin": "1234"},
        "grant": {"http": {"origins": ["https://granted.example"]}},
    });
    bench.serve("old", component("contract-0-1"), with).await;
    let payload = json!({"name": "ada", "pin": "1234"});
    let step = Step::new(payload);
    let assertion = asserted(bench.registry.authenticate("old", step).await);
    assert_eq!(assertion.subject, "ada");
    let claims = json!({
        "now": 1_800_000_000, "random": 8, "first": true, "taken": "here", "refused": true,
        "digest": 32,
    });
    assert_eq!(serde_json::Value::Object(assertion.claims), claims);
    let wrong = Step::new(json!({"name": "ada", "pin": "4321"}));
    let refused = bench.registry.authenticate("old", wrong).await;
    assert_eq!(refusal(refused), "rejected");
    let error = bench
        .registry
        .prepare(
            "old",
            component("contract-0-1"),
            settings(json!({
                "config": {"pin": "1"},
                "grant": {"http": {"origins": ["https://granted.example"]}},
            })),
        )
        .await
        .unwrap_err();
    assert!(matches!(error, PrepareError::ConfigRefused { pointer, .. } if pointer == "/pin"));
}
