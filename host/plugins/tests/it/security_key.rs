//! Security keys, as Web Authentication has them, with a key and a browser in software.

use archstone_model::id::UserId;
use archstone_plugins::{
    Enrollable, Enrolled, EnrolledOutcome, EnrolledStep, Enrolling, EnrollmentBegun,
    EnrollmentCompleted, PluginError, Verified,
};
use serde_json::{Value, json};

use crate::{
    authenticator::{Authenticator, BACKED_UP, BACKUP_ELIGIBLE, Key, ORIGIN, RP_ID, USER_VERIFIED},
    guests::{Bench, component},
};

pub async fn bench(more: Value) -> Bench {
    let bench = Bench::new();
    bench
        .serve("key", component("security-key"), config(more))
        .await;
    bench
}

pub fn config(more: Value) -> Value {
    let mut config = json!({"rp_id": RP_ID, "rp_name": "Example", "origins": [ORIGIN]});
    let members = more.as_object().unwrap().clone();
    config.as_object_mut().unwrap().extend(members);
    json!({ "config": config })
}

fn method(bench: &Bench) -> Enrollable {
    bench.registry.enrollable("key").unwrap()
}

fn enrolling(user: &str, enrolled: &[Enrolled]) -> Enrolling {
    Enrolling {
        user_id: UserId::from(user),
        label: user.to_owned(),
        enrolled: enrolled.to_vec(),
    }
}

/// What a user is asked when they enrol: the options and the continuation.
pub async fn asked_to_create(bench: &Bench, user: &str, enrolled: &[Enrolled]) -> (Value, String) {
    let begun = method(bench)
        .begin_enrollment(enrolling(user, enrolled))
        .await;
    match begun.unwrap() {
        EnrollmentBegun::Challenged(challenge) => (
            challenge.message["publicKey"].clone(),
            challenge.continuation,
        ),
        other => panic!("expected a challenge, got {other:?}"),
    }
}

pub async fn try_enroll(
    bench: &Bench,
    user: &str,
    key: &mut Authenticator,
) -> Result<Enrolled, String> {
    let (options, continuation) = asked_to_create(bench, user, &[]).await;
    complete(bench, user, &key.create(&options), &continuation).await
}

pub async fn complete(
    bench: &Bench,
    user: &str,
    credential: &Value,
    continuation: &str,
) -> Result<Enrolled, String> {
    let payload = json!({ "credential": credential });
    let completed = method(bench)
        .complete_enrollment(enrolling(user, &[]), payload, continuation)
        .await;
    match completed {
        Ok(EnrollmentCompleted::Enrolled(enrolled)) => Ok(enrolled),
        Ok(EnrollmentCompleted::Denied(denial)) => Err(denial.detail),
        Err(error) => Err(error.kind().to_owned()),
    }
}

pub async fn enroll(bench: &Bench, user: &str, key: &mut Authenticator) -> Enrolled {
    try_enroll(bench, user, key).await.unwrap()
}

fn step(user: Option<&str>, enrolled: &[Enrolled]) -> EnrolledStep {
    EnrolledStep {
        payload: json!({}),
        user_id: user.map(UserId::from),
        is_claimed: user.is_some(),
        enrolled: enrolled.to_vec(),
        continuation: None,
    }
}

async fn asked_to_get(bench: &Bench, step: EnrolledStep) -> (Value, String) {
    match method(bench).authenticate(step).await.unwrap() {
        EnrolledOutcome::Challenged(challenge) => (
            challenge.message["publicKey"].clone(),
            challenge.continuation,
        ),
        other => panic!("expected a challenge, got {other:?}"),
    }
}

async fn answer(
    bench: &Bench,
    mut step: EnrolledStep,
    credential: &Value,
    continuation: &str,
) -> Result<Verified, String> {
    step.payload = json!({ "credential": credential });
    step.continuation = Some(continuation.to_owned());
    verdict(method(bench).authenticate(step).await)
}

fn verdict(outcome: Result<EnrolledOutcome, PluginError>) -> Result<Verified, String> {
    match outcome {
        Ok(EnrolledOutcome::Verified(verified)) => Ok(verified),
        Ok(EnrolledOutcome::Denied(denial)) => Err(denial.detail),
        Ok(other) => panic!("expected a verdict, got {other:?}"),
        Err(error) => Err(error.kind().to_owned()),
    }
}

/// A login by a user who says who they are.
pub async fn log_in(
    bench: &Bench,
    user: &str,
    enrolled: &[Enrolled],
    key: &mut Authenticator,
) -> Result<Verified, String> {
    let (options, continuation) = asked_to_get(bench, step(Some(user), enrolled)).await;
    let credential = key.get(&options);
    answer(
        bench,
        step(Some(user), enrolled),
        &credential,
        &continuation,
    )
    .await
}

#[tokio::test]
async fn keys_of_every_algorithm_are_enrolled_and_log_in() {
    let bench = bench(json!({})).await;
    for key in [Key::es256(), Key::eddsa(), Key::rs256()] {
        let mut key = Authenticator::new(key);
        let enrolled = enroll(&bench, "ada", &mut key).await;
        let verified = log_in(&bench, "ada", std::slice::from_ref(&enrolled), &mut key).await;
        assert_eq!(verified.unwrap().name, enrolled.name);
    }
}

#[tokio::test]
async fn the_browser_is_told_what_the_operator_wants() {
    let bench = bench(json!({"user_verification": "preferred", "discoverable": "required"})).await;
    let mut key = Authenticator::new(Key::es256());
    let enrolled = enroll(&bench, "ada", &mut key).await;
    let (options, _) = asked_to_create(&bench, "ada", std::slice::from_ref(&enrolled)).await;
    assert_eq!(options["rp"], json!({"id": RP_ID, "name": "Example"}));
    assert_eq!(options["user"]["name"], "ada");
    assert_eq!(options["attestation"], "none");
    assert_eq!(options["authenticatorSelection"]["residentKey"], "required");
    let descriptor = json!({"type": "public-key", "id": enrolled.name, "transports": ["usb"]});
    assert_eq!(options["excludeCredentials"], json!([descriptor]));
    let (options, _) = asked_to_get(&bench, step(Some("ada"), &[enrolled])).await;
    assert_eq!(options["userVerification"], "preferred");
    assert_eq!(options["rpId"], RP_ID);
    assert_eq!(options["allowCredentials"], json!([descriptor]));
}

#[tokio::test]
async fn the_plugin_and_the_key_never_learn_a_users_id() {
    let bench = bench(json!({})).await;
    let mut key = Authenticator::new(Key::es256());
    enroll(&bench, "user-4711", &mut key).await;
    let handle = String::from_utf8(key.user_handle.unwrap()).unwrap();
    assert_eq!(handle.len(), 32);
    assert!(!handle.contains("4711"));
}

#[tokio::test]
async fn any_of_a_users_keys_will_do_and_nobody_elses() {
    let bench = bench(json!({})).await;
    let mut keys = [Key::es256(), Key::eddsa(), Key::es256()].map(Authenticator::new);
    let first = enroll(&bench, "ada", &mut keys[0]).await;
    let second = enroll(&bench, "ada", &mut keys[1]).await;
    enroll(&bench, "bob", &mut keys[2]).await;
    let of_ada = [first, second];
    assert!(log_in(&bench, "ada", &of_ada, &mut keys[0]).await.is_ok());
    assert!(log_in(&bench, "ada", &of_ada, &mut keys[1]).await.is_ok());
    let refused = log_in(&bench, "ada", &of_ada, &mut keys[2]).await;
    assert_eq!(refused.unwrap_err(), "the key is none of the user's");
    // A key that pretends to be another signs in vain.
    keys[2].id = keys[0].id.clone();
    keys[2].user_handle = keys[0].user_handle.clone();
    let refused = log_in(&bench, "ada", &of_ada, &mut keys[2]).await;
    assert_eq!(refused.unwrap_err(), "the signature does not hold");
}

#[tokio::test]
async fn a_user_without_a_key_is_not_enrolled() {
    let bench = bench(json!({})).await;
    let refused = verdict(method(&bench).authenticate(step(Some("ada"), &[])).await);
    assert_eq!(refused.unwrap_err(), "the user has no security key");
}

#[tokio::test]
async fn a_key_says_whose_it_is_where_nobody_else_does() {
    let bench = bench(json!({})).await;
    let mut key = Authenticator::new(Key::es256());
    let enrolled = enroll(&bench, "ada", &mut key).await;
    let (options, continuation) = asked_to_get(&bench, step(None, &[])).await;
    assert_eq!(options["allowCredentials"], json!([]));
    let credential = key.get(&options);
    let payload = json!({ "credential": credential });
    let named = method(&bench).named_in(&payload).await.unwrap();
    assert_eq!(named.as_deref(), Some(enrolled.name.as_str()));
    let mut found = step(Some("ada"), std::slice::from_ref(&enrolled));
    found.is_claimed = false;
    let verified = answer(&bench, found.clone(), &credential, &continuation).await;
    assert_eq!(verified.unwrap().name, enrolled.name);

    // A key that does not say whose it is will not do, nor one that says something else.
    for handle in [None, Some(b"somebody else".to_vec())] {
        key.user_handle = handle;
        let (options, continuation) = asked_to_get(&bench, step(None, &[])).await;
        let credential = key.get(&options);
        let refused = answer(&bench, found.clone(), &credential, &continuation).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused, "the key says that it is somebody else's");
    }
    assert_eq!(method(&bench).named_in(&json!({})).await, Ok(None));
}

#[tokio::test]
async fn a_question_is_answered_once_by_whom_it_was_asked() {
    let bench = bench(json!({})).await;
    let mut key = Authenticator::new(Key::es256());
    let enrolled = [enroll(&bench, "ada", &mut key).await];
    let ada = || step(Some("ada"), &enrolled);
    let (options, continuation) = asked_to_get(&bench, ada()).await;
    let credential = key.get(&options);
    let gone = Err("continuation-refused".to_owned());
    // Asked of ada: bob's answer is none, and uses the question up.
    let bob = step(Some("bob"), &enrolled);
    let of_bob = answer(&bench, bob, &credential, &continuation).await;
    assert_eq!(of_bob, gone);
    assert_eq!(
        answer(&bench, ada(), &credential, &continuation).await,
        gone
    );

    let (options, continuation) = asked_to_get(&bench, ada()).await;
    let credential = key.get(&options);
    assert!(
        answer(&bench, ada(), &credential, &continuation)
            .await
            .is_ok()
    );
    assert_eq!(
        answer(&bench, ada(), &credential, &continuation).await,
        gone
    );
    // The same signature does not answer a new question.
    let (_, continuation) = asked_to_get(&bench, ada()).await;
    let replayed = answer(&bench, ada(), &credential, &continuation).await;
    assert_eq!(
        replayed.unwrap_err(),
        "the client data answers another challenge"
    );
}

#[tokio::test]
async fn a_login_does_not_enroll_and_an_enrollment_does_not_log_in() {
    let bench = bench(json!({})).await;
    let mut key = Authenticator::new(Key::es256());
    let enrolled = [enroll(&bench, "ada", &mut key).await];
    let (options, to_login) = asked_to_get(&bench, step(Some("ada"), &enrolled)).await;
    let credential = key.create(&options_with_user(options));
    let created = complete(&bench, "ada", &credential, &to_login).await;
    assert_eq!(created.unwrap_err(), "continuation-refused");
    let (options, to_enroll) = asked_to_create(&bench, "ada", &enrolled).await;
    let credential = key.get(&options);
    let logged_in = answer(
        &bench,
        step(Some("ada"), &enrolled),
        &credential,
        &to_enroll,
    )
    .await;
    assert_eq!(logged_in.unwrap_err(), "continuation-refused");
    // Nor does anybody enroll by what another was asked.
    let (options, to_enroll) = asked_to_create(&bench, "bob", &[]).await;
    let credential = key.create(&options);
    let created = complete(&bench, "ada", &credential, &to_enroll).await;
    assert_eq!(created.unwrap_err(), "continuation-refused");
}

fn options_with_user(mut options: Value) -> Value {
    options["user"] = json!({"id": "AQID"});
    options
}

#[tokio::test]
async fn pages_and_relying_parties_of_others_are_refused() {
    let bench = bench(json!({})).await;
    let mut key = Authenticator::new(Key::es256());
    let enrolled = [enroll(&bench, "ada", &mut key).await];
    key.origin = "https://id.example.evil".to_owned();
    let refused = log_in(&bench, "ada", &enrolled, &mut key).await;
    assert_eq!(
        refused.unwrap_err(),
        "the client data comes from another origin"
    );
    let refused = try_enroll(&bench, "ada", &mut key).await;
    assert_eq!(
        refused.unwrap_err(),
        "the client data comes from another origin"
    );
    key.origin = ORIGIN.to_owned();
    key.rp_id = "evil.example".to_owned();
    let refused = log_in(&bench, "ada", &enrolled, &mut key).await;
    assert_eq!(
        refused.unwrap_err(),
        "the key signed for another relying party"
    );
    let refused = try_enroll(&bench, "ada", &mut key).await;
    assert_eq!(
        refused.unwrap_err(),
        "the key signed for another relying party"
    );
}

#[tokio::test]
async fn a_counter_only_goes_up() {
    let bench = bench(json!({})).await;
    let mut key = Authenticator::new(Key::es256());
    key.counter = 5;
    let mut enrolled = enroll(&bench, "ada", &mut key).await;
    key.counter = 9;
    let verified = log_in(&bench, "ada", std::slice::from_ref(&enrolled), &mut key).await;
    enrolled.data = verified.unwrap().data.unwrap();
    assert_eq!(enrolled.data["counter"], 9);
    for counter in [9, 8, 0] {
        key.counter = counter;
        let refused = log_in(&bench, "ada", std::slice::from_ref(&enrolled), &mut key).await;
        assert!(
            refused.unwrap_err().contains("there may be a copy"),
            "{counter}"
        );
    }
    key.counter = 10;
    assert!(log_in(&bench, "ada", &[enrolled], &mut key).await.is_ok());
}

#[tokio::test]
async fn a_key_that_does_not_count_changes_nothing() {
    let bench = bench(json!({})).await;
    let mut key = Authenticator::new(Key::es256());
    let enrolled = [enroll(&bench, "ada", &mut key).await];
    for _ in 0..2 {
        let verified = log_in(&bench, "ada", &enrolled, &mut key).await.unwrap();
        assert_eq!(verified.data, None);
    }
}

#[tokio::test]
async fn a_key_that_must_know_its_user_has_to() {
    let bench = bench(json!({})).await;
    let mut key = Authenticator::new(Key::es256());
    let enrolled = [enroll(&bench, "ada", &mut key).await];
    key.flags &= !USER_VERIFIED;
    let refused = log_in(&bench, "ada", &enrolled, &mut key).await;
    assert_eq!(refused.unwrap_err(), "the key did not verify its user");
    let refused = try_enroll(&bench, "ada", &mut key).await;
    assert_eq!(refused.unwrap_err(), "the key did not verify its user");
    key.flags = USER_VERIFIED;
    let refused = log_in(&bench, "ada", &enrolled, &mut key).await;
    assert_eq!(refused.unwrap_err(), "nobody touched the key");
}

#[tokio::test]
async fn where_it_is_preferred_a_key_keeps_to_what_it_could_at_first() {
    let bench = bench(json!({"user_verification": "preferred"})).await;
    let mut without = Authenticator::new(Key::es256());
    without.flags &= !USER_VERIFIED;
    let enrolled = [enroll(&bench, "ada", &mut without).await];
    assert!(log_in(&bench, "ada", &enrolled, &mut without).await.is_ok());
    let mut with = Authenticator::new(Key::es256());
    let enrolled = [enroll(&bench, "ada", &mut with).await];
    with.flags &= !USER_VERIFIED;
    let refused = log_in(&bench, "ada", &enrolled, &mut with).await;
    assert_eq!(refused.unwrap_err(), "the key did not verify its user");
}

#[tokio::test]
async fn a_key_cannot_become_one_that_can_be_copied() {
    let bench = bench(json!({})).await;
    let mut key = Authenticator::new(Key::es256());
    let enrolled = [enroll(&bench, "ada", &mut key).await];
    key.flags |= BACKED_UP;
    let refused = log_in(&bench, "ada", &enrolled, &mut key).await;
    assert_eq!(
        refused.unwrap_err(),
        "the key is copied, though it cannot be"
    );
    key.flags |= BACKUP_ELIGIBLE;
    let refused = log_in(&bench, "ada", &enrolled, &mut key).await;
    assert_eq!(
        refused.unwrap_err(),
        "the key changed whether it can be copied"
    );
    let mut synced = Authenticator::new(Key::es256());
    synced.flags |= BACKUP_ELIGIBLE;
    let enrolled = [enroll(&bench, "ada", &mut synced).await];
    synced.flags |= BACKED_UP;
    let verified = log_in(&bench, "ada", &enrolled, &mut synced).await;
    assert_eq!(verified.unwrap().data.unwrap()["backed_up"], true);
}

#[tokio::test]
async fn what_is_sent_may_be_anything() {
    let bench = bench(json!({})).await;
    let mut key = Authenticator::new(Key::es256());
    let enrolled = [enroll(&bench, "ada", &mut key).await];
    let malformed = "the payload is not what this method expects";
    for payload in [
        json!({}),
        json!(7),
        json!("x"),
        json!({"rawId": 1}),
        json!([]),
    ] {
        let (_, continuation) = asked_to_get(&bench, step(Some("ada"), &enrolled)).await;
        let refused = answer(
            &bench,
            step(Some("ada"), &enrolled),
            &payload,
            &continuation,
        );
        assert_eq!(refused.await.unwrap_err(), malformed, "{payload}");
    }
    // Every byte of an answer counts.
    for member in ["clientDataJSON", "authenticatorData", "signature"] {
        let (options, continuation) = asked_to_get(&bench, step(Some("ada"), &enrolled)).await;
        let mut credential = key.get(&options);
        let text = credential["response"][member].as_str().unwrap();
        credential["response"][member] = json!(text[..text.len() - 4].to_owned());
        let ada = step(Some("ada"), &enrolled);
        let refused = answer(&bench, ada, &credential, &continuation).await;
        assert!(refused.is_err(), "{member}");
    }
}
