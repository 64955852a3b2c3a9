//! Workloads' tokens, at the level of the plugin.

use archstone_plugins::Reason;
use serde_json::{Value, json};

use crate::identity_provider::{
    IdentityProvider, Key, NOW, bare, base64, bench, connector, expect_denial, keyed_with_public,
    refusal,
};

fn config(provider: &IdentityProvider, changes: Value) -> Value {
    let mut config = json!({
        "issuer": provider.issuer,
        "audiences": ["cloud", "archstone"],
        "bound_claims": {"repository": "org/*"},
    });
    if let (Some(config), Value::Object(changes)) = (config.as_object_mut(), changes) {
        config.extend(changes);
    }
    config
}

fn job(provider: &IdentityProvider, changes: Value) -> Value {
    let mut claims = provider.claims(json!({"repository": "org/app", "jti": "1"}));
    if let (Some(claims), Value::Object(changes)) = (claims.as_object_mut(), changes) {
        claims.extend(changes);
    }
    claims
}

#[tokio::test]
async fn a_job_is_who_its_token_says() {
    let key = Key::new("1");
    let provider = IdentityProvider::start(&key).await;
    let bench = bench(&provider).await;
    let connector = connector(&bench, "jwt", config(&provider, json!({}))).await;
    for _ in 0..2 {
        let token = key.sign(&job(&provider, json!({})));
        let said = connector.present(&token).await.unwrap().unwrap();
        assert_eq!(said.subject, "ada");
        assert_eq!(said.claims["repository"], "org/app");
    }
    assert_eq!(provider.seen("keys").len(), 1);
}

#[tokio::test]
async fn a_token_that_is_not_the_issuers_is_refused() {
    let key = Key::new("1");
    let provider = IdentityProvider::start(&key).await;
    let bench = bench(&provider).await;
    let connector = connector(&bench, "jwt", config(&provider, json!({}))).await;
    let good = job(&provider, json!({}));
    let rejected = Reason::Rejected;
    let expired = Reason::Expired;
    for (token, reason, word) in [
        (Key::new("1").sign(&good), rejected, "does not hold"),
        (Key::new("2").sign(&good), rejected, "no such key"),
        (bare(&good), rejected, "another algorithm"),
        (
            keyed_with_public(&key, &good),
            rejected,
            "another algorithm",
        ),
        (key.sign_as("logout+jwt", &good), rejected, "purpose"),
        (key.sign_as("dpop+jwt", &good), rejected, "purpose"),
        (key.sign(&json!([])), rejected, "no JSON object"),
        ("garbage".to_owned(), rejected, "no JWT"),
        (
            key.sign(&job(&provider, json!({"exp": NOW - 60}))),
            expired,
            "expired",
        ),
        (
            key.sign(&job(&provider, json!({"aud": "other"}))),
            rejected,
            "audience",
        ),
        (
            key.sign(&job(&provider, json!({"iss": "https://eve.example"}))),
            rejected,
            "issuer",
        ),
        (
            key.sign(&job(&provider, json!({"repository": "eve/app"}))),
            rejected,
            "repository",
        ),
        (
            key.sign(&job(&provider, json!({"cnf": {}}))),
            rejected,
            "bound to a key",
        ),
        (
            key.sign_with(
                &json!({"alg": "ES256", "crit": ["x"], "x": 1, "kid": "1"}),
                &good,
            ),
            rejected,
            "no signed JWT",
        ),
        (
            // The key that the token brings along is nobody's.
            key.sign_with(
                &json!({"alg": "ES256", "jwk": Key::new("1").public(), "kid": "3"}),
                &good,
            ),
            rejected,
            "no such key",
        ),
    ] {
        expect_denial(connector.present(&token).await, reason, word);
    }
}

#[tokio::test]
async fn a_new_key_works_at_once_and_forged_tokens_make_no_flood() {
    let (first, second) = (Key::new("1"), Key::new("2"));
    let provider = IdentityProvider::start(&first).await;
    let bench = bench(&provider).await;
    let connector = connector(&bench, "jwt", config(&provider, json!({}))).await;
    let claims = job(&provider, json!({}));
    connector
        .present(&first.sign(&claims))
        .await
        .unwrap()
        .unwrap();
    provider.publish(&[&second]);
    connector
        .present(&second.sign(&claims))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(provider.seen("keys").len(), 2);
    for number in 0..10 {
        let token = Key::new(&format!("forged-{number}")).sign(&claims);
        expect_denial(
            connector.present(&token).await,
            Reason::Rejected,
            "no such key",
        );
    }
    assert_eq!(provider.seen("keys").len(), 2);
}

#[tokio::test]
async fn a_token_for_one_use_is_used_once_even_by_many_at_once() {
    let key = Key::new("1");
    let provider = IdentityProvider::start(&key).await;
    let bench = bench(&provider).await;
    let once = config(&provider, json!({"replay": "refuse"}));
    let connector = connector(&bench, "jwt", once).await;
    let token = key.sign(&job(&provider, json!({})));
    let attempts = (0..20).map(|_| connector.present(&token));
    let answers = futures::future::join_all(attempts).await;
    let proven = answers
        .iter()
        .filter(|answer| matches!(answer, Ok(Ok(_))))
        .count();
    assert_eq!(proven, 1);
    expect_denial(
        connector.present(&token).await,
        Reason::Replayed,
        "used before",
    );
    // The same name on another token is the same token.
    let again = key.sign(&job(&provider, json!({"sub": "bob"})));
    expect_denial(
        connector.present(&again).await,
        Reason::Replayed,
        "used before",
    );
    let nameless = key.sign(&job(&provider, json!({"jti": null})));
    connector.present(&nameless).await.unwrap().unwrap();
    expect_denial(
        connector.present(&nameless).await,
        Reason::Replayed,
        "used before",
    );
    let long = key.sign(&job(&provider, json!({"jti": "2", "exp": NOW + 90_000})));
    expect_denial(
        connector.present(&long).await,
        Reason::Rejected,
        "more than a day",
    );
}

#[tokio::test]
async fn a_refused_token_is_not_used_up() {
    let key = Key::new("1");
    let provider = IdentityProvider::start(&key).await;
    let bench = bench(&provider).await;
    let once = config(&provider, json!({"replay": "refuse"}));
    let connector = connector(&bench, "jwt", once).await;
    let forged = Key::new("1").sign(&job(&provider, json!({})));
    expect_denial(
        connector.present(&forged).await,
        Reason::Rejected,
        "does not hold",
    );
    let token = key.sign(&job(&provider, json!({})));
    connector.present(&token).await.unwrap().unwrap();
}

#[tokio::test]
async fn keys_may_be_given_and_nobody_asked() {
    let key = Key::new("1");
    let provider = IdentityProvider::start(&key).await;
    let bench = bench(&provider).await;
    let mut public = key.public();
    public["use"] = "jwt-svid".into(); // as SPIFFE has it
    let config = json!({
        "keys": {"keys": [public]},
        "audiences": ["archstone"],
        "bound_claims": {"sub": "spiffe://prod.example/ns/*/sa/deployer"},
    });
    let connector = connector(&bench, "jwt", config).await;
    let named = |id: &str| key.sign(&provider.claims(json!({"sub": id, "iss": null})));
    let deployer = named("spiffe://prod.example/ns/web/sa/deployer");
    let said = connector.present(&deployer).await.unwrap().unwrap();
    assert_eq!(said.subject, "spiffe://prod.example/ns/web/sa/deployer");
    for other in [
        "spiffe://prod.example/ns/web/x/sa/deployer",
        "spiffe://test.example/ns/web/sa/deployer",
    ] {
        let answer = connector.present(&named(other)).await;
        expect_denial(answer, Reason::Rejected, "`sub`");
    }
    assert!(provider.seen("keys").is_empty());
}

#[tokio::test]
async fn a_configuration_that_cannot_work_does_not_go_live() {
    let key = Key::new("1");
    let provider = IdentityProvider::start(&key).await;
    let bench = bench(&provider).await;
    let elsewhere = "http://169.254.169.254/keys";
    for (changes, word) in [
        (json!({"jwks_uri": elsewhere}), "/jwks_uri"),
        (
            json!({"issuer": format!("{}/", provider.issuer)}),
            "/issuer",
        ),
        (
            json!({"issuer": format!("{}/other", provider.issuer)}),
            "/issuer",
        ),
        (json!({"audiences": []}), "/audiences"),
        (json!({"bound_claims": {}}), "/bound_claims"),
        (json!({"algorithms": ["HS256"]}), "/algorithms"),
        (
            json!({"bound_claims": {"sub": [{"regex": "a)|(b"}]}}),
            "/bound_claims/sub",
        ),
        (json!({"subject": "sub"}), "subject"),
    ] {
        let said = refusal(&bench, "jwt", config(&provider, changes.clone())).await;
        assert!(said.contains(word), "{changes}: {said}");
    }
    let checked = bench.registry.check_connector(
        "jwt",
        crate::identity_provider::setup(config(&provider, json!({}))),
    );
    checked.await.unwrap();
}

#[tokio::test]
async fn metadata_lead_nowhere_else() {
    let key = Key::new("1");
    let provider = IdentityProvider::start(&key).await;
    let other = IdentityProvider::start(&key).await;
    let bench = bench(&provider).await;
    provider.describe(json!({"jwks_uri": format!("{}/keys", other.issuer)}));
    let said = refusal(&bench, "jwt", config(&provider, json!({}))).await;
    assert!(said.contains("not granted this origin"), "{said}");
    let connector = connector(&bench, "jwt", config(&provider, json!({}))).await;
    let token = key.sign(&job(&provider, json!({})));
    expect_denial(
        connector.present(&token).await,
        Reason::Unavailable,
        "not granted",
    );
    assert!(other.seen("keys").is_empty());
}

#[tokio::test]
async fn a_long_token_costs_no_more_than_others() {
    let key = Key::new("1");
    let provider = IdentityProvider::start(&key).await;
    let bench = bench(&provider).await;
    let connector = connector(&bench, "jwt", config(&provider, json!({}))).await;
    let long = "org/".to_owned() + &"a/".repeat(20_000);
    let token = key.sign(&job(&provider, json!({"repository": long})));
    expect_denial(
        connector.present(&token).await,
        Reason::Rejected,
        "repository",
    );
    let garbage = format!("{}.{}.x", base64(r#"{"alg":"ES256"}"#), "A".repeat(500_000));
    expect_denial(connector.present(&garbage).await, Reason::Rejected, "");
}
