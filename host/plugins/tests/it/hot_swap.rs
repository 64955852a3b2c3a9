//! Versions are swapped while calls run.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use archstone_plugins::{PluginState, PrepareError};
use serde_json::json;

use crate::guests::{Bench, asserted, component, rebuilt, settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_while_versions_are_swapped() {
    let bench = Arc::new(Bench::new());
    bench.serve_hello().await;
    let done = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicU64::new(0));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (bench, done, answered) = (bench.clone(), done.clone(), answered.clone());
            tokio::spawn(async move {
                while !done.load(Ordering::Relaxed) {
                    bench.expect_hello().await;
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();

    for swap in 0..25 {
        let greeting = format!("hello {swap}");
        let with = json!({"config": {"pin": "1234", "greeting": greeting}});
        bench
            .serve("hello", rebuilt(component("hello"), swap), with)
            .await;
        let assertion = asserted(bench.hello().await);
        assert_eq!(assertion.claims["greeting"], format!("{greeting}, ada"));
    }

    done.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    assert!(answered.load(Ordering::Relaxed) > 25);
}

#[tokio::test]
async fn a_broken_version_leaves_the_old_one_serving_and_says_why() {
    let bench = Bench::new();
    bench.serve_hello().await;
    let registry = &bench.registry;
    let before = registry.method("hello").unwrap().digest();

    let mut truncated = component("hello");
    truncated.truncate(truncated.len() / 2);
    let with = || settings(json!({"config": {"pin": "1234"}}));
    let refused = registry
        .prepare("hello", truncated, with())
        .await
        .unwrap_err();
    assert!(
        matches!(refused, PrepareError::DoesNotCompile { .. }),
        "{refused}"
    );

    bench.expect_hello().await;
    let status = &registry.status()[0];
    assert_eq!(status.state, PluginState::ServingOlder);
    assert_eq!(status.serving.as_ref().unwrap().digest, before);
    let message = &status.last_error.as_ref().unwrap().message;
    assert!(message.contains("does not compile"), "{message}");

    bench.serve_hello().await;
    assert_eq!(registry.status()[0].state, PluginState::Serving);
}

#[tokio::test]
async fn a_configuration_that_is_refused_leaves_the_old_one() {
    let bench = Bench::new();
    bench.serve_hello().await;
    for (config, pointer) in [
        (json!({"pin": "1234", "greeting": " "}), "/greeting"),
        (json!({"pin": "123"}), "/pin"),
        (json!({"pin": "1234", "unheard-of": 1}), ""),
    ] {
        let with = settings(json!({"config": config}));
        let refused = bench
            .registry
            .prepare("hello", component("hello"), with)
            .await;
        match refused.unwrap_err() {
            PrepareError::ConfigRefused {
                pointer: at,
                message,
            } => {
                assert_eq!(at, pointer, "{message}");
                assert!(!message.contains("123"), "{message}");
            }
            other => panic!("{other}"),
        }
    }
    bench.expect_hello().await;
}

#[tokio::test]
async fn a_candidate_that_is_not_published_changes_nothing() {
    let bench = Bench::new();
    bench.serve_hello().await;
    let other = settings(json!({"config": {"pin": "9999"}}));
    let candidate = bench
        .registry
        .prepare("hello", component("hello"), other)
        .await
        .unwrap();
    assert_eq!(candidate.method(), "hello");
    bench.expect_hello().await;
    bench.registry.publish(candidate);
    assert!(matches!(
        bench.hello().await,
        Ok(archstone_plugins::Outcome::Denied(_))
    ));
}
