//! One-time passwords, as RFC 6238 and Keystone have them.

use archstone_model::{id::UserId, secret::Secret};
use archstone_plugins::{Account, Credential, Outcome, PluginError, Proof, Step};
use serde_json::{Value, json};

use crate::guests::{Bench, component, refusal};

/// The key of RFC 6238 appendix B, "12345678901234567890", in base32.
const KEY: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

async fn bench(windows: u64) -> Bench {
    let bench = Bench::new();
    let settings = json!({
        "config": {"included_previous_windows": windows},
        "grant": {"credentials": ["totp"]},
    });
    bench.serve("totp", component("totp"), settings).await;
    bench
}

fn user(id: &str, blobs: &[&str]) -> Account {
    let credential = |(number, blob): (usize, &&str)| Credential {
        id: format!("credential-{number}"),
        kind: "totp".to_owned(),
        blob: Secret::new(*blob),
    };
    Account {
        user_id: UserId::from(id.to_owned()),
        credentials: blobs.iter().enumerate().map(credential).collect(),
    }
}

async fn login(bench: &Bench, account: Account, passcode: &str) -> Result<Outcome, PluginError> {
    let payload = json!({"user": {"id": "ignored", "passcode": passcode}});
    let step = Step::new(payload).by(account);
    bench.registry.authenticate("totp", step).await
}

#[tokio::test]
async fn the_passcodes_of_rfc_6238_are_verified() {
    let bench = bench(0).await;
    for (time, passcode) in [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ] {
        bench.set_time(time);
        let outcome = login(&bench, user("ada", &[KEY]), passcode).await;
        assert_eq!(outcome, Ok(Outcome::Verified), "at {time}");
    }
}

#[tokio::test]
async fn a_passcode_works_once() {
    let bench = bench(1).await;
    bench.set_time(59);
    let ada = || user("ada", &[KEY]);
    assert_eq!(login(&bench, ada(), "287082").await, Ok(Outcome::Verified));
    assert_eq!(refusal(login(&bench, ada(), "287082").await), "replayed");
    bench.set_time(61);
    assert_eq!(refusal(login(&bench, ada(), "287082").await), "replayed");
}

#[tokio::test]
async fn a_passcode_works_once_even_for_many_at_once() {
    let bench = bench(1).await;
    bench.set_time(59);
    let attempts = (0..20).map(|_| login(&bench, user("ada", &[KEY]), "287082"));
    let outcomes = futures::future::join_all(attempts).await;
    let verified = outcomes
        .iter()
        .filter(|outcome| **outcome == Ok(Outcome::Verified));
    assert_eq!(verified.count(), 1);
}

#[tokio::test]
async fn two_users_with_the_same_key_do_not_use_up_each_others_passcodes() {
    let bench = bench(0).await;
    bench.set_time(59);
    for name in ["ada", "bob"] {
        let outcome = login(&bench, user(name, &[KEY]), "287082").await;
        assert_eq!(outcome, Ok(Outcome::Verified), "{name}");
    }
}

#[tokio::test]
async fn as_many_previous_windows_count_as_the_operator_says() {
    for (windows, late_by, works) in [(0, 30, false), (1, 30, true), (1, 60, false), (2, 60, true)]
    {
        let bench = bench(windows).await;
        bench.set_time(59 + late_by);
        let outcome = login(&bench, user("ada", &[KEY]), "287082").await;
        assert_eq!(
            outcome == Ok(Outcome::Verified),
            works,
            "{windows} windows, {late_by} s late"
        );
    }
}

#[tokio::test]
async fn passcodes_of_the_future_do_not_count() {
    let bench = bench(10).await;
    bench.set_time(29);
    assert_eq!(
        refusal(login(&bench, user("ada", &[KEY]), "287082").await),
        "rejected"
    );
}

#[tokio::test]
async fn any_of_a_users_credentials_will_do() {
    let bench = bench(0).await;
    bench.set_time(59);
    let many = user("ada", &["MFRGGZDFMZTWQ2LK", "no base32!", KEY]);
    assert_eq!(login(&bench, many, "287082").await, Ok(Outcome::Verified));
}

#[tokio::test]
async fn only_credentials_of_the_granted_type_are_read() {
    let bench = bench(0).await;
    bench.set_time(59);
    let mut account = user("ada", &[KEY]);
    account.credentials[0].kind = "ec2".to_owned();
    assert_eq!(
        refusal(login(&bench, account, "287082").await),
        "not-enrolled"
    );
}

#[tokio::test]
async fn what_is_no_passcode_is_refused() {
    let bench = bench(0).await;
    bench.set_time(59);
    for wrong in ["287083", "", "2870820", " 287082", "287082\n"] {
        assert_eq!(
            refusal(login(&bench, user("ada", &[KEY]), wrong).await),
            "rejected",
            "{wrong:?}"
        );
    }
    for malformed in [
        json!({}),
        json!(null),
        json!({"user": {"passcode": 287082}}),
        json!({"user": {}}),
    ] {
        let step = Step::new(malformed).by(user("ada", &[KEY]));
        assert_eq!(
            refusal(bench.registry.authenticate("totp", step).await),
            "malformed"
        );
    }
}

#[tokio::test]
async fn a_user_without_a_credential_is_not_enrolled() {
    let bench = bench(0).await;
    assert_eq!(
        refusal(login(&bench, user("ada", &[]), "287082").await),
        "not-enrolled"
    );
}

#[tokio::test]
async fn the_host_has_to_say_whose_passcode_it_is() {
    let bench = bench(0).await;
    let method = bench.registry.method("totp").unwrap();
    assert_eq!(method.proves(), Proof::Account);
    assert_eq!(method.credential_types(), ["totp"]);
    let step = Step::new(Value::Null);
    assert_eq!(refusal(method.authenticate(step).await), "account-missing");
}
