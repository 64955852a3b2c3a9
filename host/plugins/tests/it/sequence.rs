//! Logins of more than one step.

use archstone_plugins::{Challenge, Outcome, Step};
use serde_json::json;

use crate::guests::{Bench, asserted, component, rebuilt, refusal, some_server};

async fn challenged(bench: &Bench) -> Challenge {
    match bench.commit(json!("ask-for-the-answer")).await {
        Ok(Outcome::Challenged(challenge)) => challenge,
        other => panic!("expected a challenge, got {other:?}"),
    }
}

fn answer(challenge: &Challenge, number: u32) -> Step {
    Step::new(json!({"answer": number})).answering(&challenge.continuation)
}

#[tokio::test]
async fn an_answer_finds_what_the_challenge_remembered() {
    let bench = Bench::new();
    bench.serve_hostile().await;
    let challenge = challenged(&bench).await;
    assert!(challenge.message.contains_key("question"));
    assert!(!challenge.message.contains_key("answer"));
    let registry = &bench.registry;
    asserted(
        registry
            .authenticate("hostile", answer(&challenge, 42))
            .await,
    );
}

#[tokio::test]
async fn a_challenge_can_be_answered_once() {
    let bench = Bench::new();
    bench.serve_hostile().await;
    let challenge = challenged(&bench).await;
    let attempt = |number| {
        bench
            .registry
            .authenticate("hostile", answer(&challenge, number))
    };
    assert_eq!(refusal(attempt(41).await), "rejected");
    assert_eq!(refusal(attempt(42).await), "continuation-refused");
}

#[tokio::test]
async fn a_challenge_belongs_to_its_method() {
    let bench = Bench::new();
    bench.serve_hostile().await;
    let grant = json!({"grant": some_server()});
    bench.serve("other", component("hostile"), grant).await;
    let challenge = challenged(&bench).await;
    let registry = &bench.registry;
    let outcome = registry.authenticate("other", answer(&challenge, 42)).await;
    assert_eq!(refusal(outcome), "continuation-refused");
}

#[tokio::test]
async fn a_login_is_finished_by_the_version_it_began_on() {
    let bench = Bench::new();
    bench.serve_hostile().await;
    let challenge = challenged(&bench).await;
    let newer = rebuilt(component("hostile"), 2);
    bench
        .serve("hostile", newer, json!({"grant": some_server()}))
        .await;
    let registry = &bench.registry;
    asserted(
        registry
            .authenticate("hostile", answer(&challenge, 42))
            .await,
    );
}
