//! What hostile plugins do fails their own calls, and nothing else.

use std::time::{Duration, Instant};

use archstone_plugins::{PluginState, Step};
use serde_json::{Value, json};

use crate::guests::{Bench, asserted, component, refusal, settings, some_server};

async fn bench() -> Bench {
    let bench = Bench::new();
    bench.serve_hostile().await;
    bench.serve_hello().await;
    bench
}

async fn expect(misdeed: Value, kind: &str) {
    let bench = bench().await;
    let (outcome, ()) = tokio::join!(bench.commit(misdeed), bench.expect_hello());
    assert_eq!(refusal(outcome), kind);
    bench.expect_hello().await;
    asserted(bench.commit(json!("nothing")).await);
}

#[tokio::test]
async fn an_endless_loop_ends() {
    expect(json!("loop-forever"), "cpu-exceeded").await;
}

#[tokio::test]
async fn an_endless_loop_lets_others_work_meanwhile() {
    let bench = bench().await;
    let began = Instant::now();
    let looping = bench.commit(json!("loop-forever"));
    let quick = async {
        for _ in 0..5 {
            bench.expect_hello().await;
        }
        began.elapsed()
    };
    // On one thread: the loop has to give way again and again.
    let (outcome, quick) = tokio::join!(looping, quick);
    assert_eq!(refusal(outcome), "cpu-exceeded");
    assert!(quick < began.elapsed(), "hello waited for the loop");
}

#[tokio::test]
async fn a_memory_bomb_is_defused() {
    expect(json!("take-all-memory"), "out-of-memory").await;
}

#[tokio::test]
async fn endless_recursion_ends() {
    expect(json!("recurse-forever"), "trapped").await;
}

#[tokio::test]
async fn a_panic_is_a_trap() {
    expect(json!("trap"), "trapped").await;
}

#[tokio::test]
async fn more_output_than_allowed_is_refused() {
    expect(json!({"assert-of-megabytes": 1}), "output-too-large").await;
}

#[tokio::test]
async fn much_more_output_than_allowed_is_not_even_read() {
    expect(json!({"assert-of-megabytes": 3}), "contract-broken").await;
}

#[tokio::test]
async fn answers_that_break_the_contract_are_refused() {
    for misdeed in [
        "claims-that-are-no-object",
        "empty-subject",
        "claim-an-account",
        "challenge-forever",
    ] {
        expect(json!(misdeed), "contract-broken").await;
    }
}

#[tokio::test]
async fn endless_calls_of_the_host_end() {
    expect(json!("log-forever"), "cpu-exceeded").await;
    expect(json!("digest-forever"), "cpu-exceeded").await;
}

#[tokio::test]
async fn the_host_is_not_handed_more_than_it_takes() {
    expect(json!("digest-too-much"), "contract-broken").await;
}

#[tokio::test]
async fn one_text_cannot_be_handed_over_many_times() {
    let bench = bench().await;
    assert_eq!(
        refusal(bench.commit(json!("amplify-headers")).await),
        "contract-broken"
    );
}

#[tokio::test]
async fn hostile_calls_do_not_crowd_out_others() {
    let bench = bench().await;
    let hostile = (0..100).map(|_| bench.commit(json!("loop-forever")));
    let (outcomes, ()) = tokio::join!(futures::future::join_all(hostile), bench.expect_hello());
    for outcome in outcomes {
        assert!(["cpu-exceeded", "deadline-exceeded", "busy"].contains(&refusal(outcome)));
    }
    bench.expect_hello().await;
}

#[tokio::test]
async fn a_plugin_that_keeps_failing_is_left_alone_for_a_while() {
    let bench = Bench::new();
    bench.serve_hello().await;
    let limits = json!({"breaker_failures": 3, "breaker_open_ms": 100});
    bench.serve_hostile_within(limits).await;
    for _ in 0..3 {
        assert_eq!(refusal(bench.commit(json!("trap")).await), "trapped");
    }
    assert_eq!(
        refusal(bench.commit(json!("nothing")).await),
        "breaker-open"
    );
    bench.expect_hello().await;
    let status = bench.registry.status();
    assert!(status[1].serving.as_ref().unwrap().breaker_open);
    tokio::time::sleep(Duration::from_millis(150)).await;
    asserted(bench.commit(json!("nothing")).await);
    asserted(bench.commit(json!("nothing")).await);
}

#[tokio::test]
async fn a_denied_login_is_no_failure() {
    let bench = Bench::new();
    let with = json!({"config": {"pin": "1234"}, "limits": {"breaker_failures": 1}});
    bench.serve("hello", component("hello"), with).await;
    for _ in 0..3 {
        let wrong = Step::new(json!({"name": "ada", "pin": "4321"}));
        assert_eq!(
            refusal(bench.registry.authenticate("hello", wrong).await),
            "rejected"
        );
    }
    bench.expect_hello().await;
}

#[tokio::test]
async fn no_more_calls_run_at_once_than_allowed() {
    let bench = Bench::new();
    let limits = json!({"concurrency": 1, "queue_ms": 1, "cpu_ms": 100});
    bench.serve_hostile_within(limits).await;
    let (first, second) = tokio::join!(
        bench.commit(json!("loop-forever")),
        bench.commit(json!("nothing"))
    );
    assert_eq!(refusal(first), "cpu-exceeded");
    assert_eq!(refusal(second), "busy");
}

#[tokio::test]
async fn a_plugin_that_misbehaves_while_it_is_prepared_does_not_go_live() {
    let bench = bench().await;
    for misdeed in ["loop-forever", "take-all-memory", "trap"] {
        let bad = settings(json!({"config": {"check": misdeed}, "grant": some_server()}));
        let prepared = bench
            .registry
            .prepare("hostile", component("hostile"), bad)
            .await;
        assert!(prepared.is_err(), "{misdeed}");
    }
    asserted(bench.commit(json!("nothing")).await);
    let status = bench.registry.status();
    assert_eq!(status[1].state, PluginState::ServingOlder);
    assert!(
        status[1]
            .last_error
            .as_ref()
            .unwrap()
            .message
            .contains("trap")
    );
}

#[tokio::test]
async fn each_plugin_has_a_state_of_its_own() {
    let bench = Bench::new();
    for method in ["one", "two"] {
        let grant = json!({"grant": some_server()});
        bench.serve(method, component("hostile"), grant).await;
    }
    let remember = |method: &'static str| {
        let step = Step::new(json!({"remember": "key"}));
        bench.registry.authenticate(method, step)
    };
    asserted(remember("one").await);
    asserted(remember("two").await);
    assert_eq!(refusal(remember("one").await), "rejected");
}

#[tokio::test]
async fn an_unknown_method_is_an_error() {
    let bench = Bench::new();
    assert_eq!(refusal(bench.hello().await), "unknown-method");
}
