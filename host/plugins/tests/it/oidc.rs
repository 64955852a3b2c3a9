//! Logins at an OpenID provider that lies, at the level of the plugin.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use archstone_plugins::{Assertion, Begun, Completed, Connector, Denial, PluginError, Reason, Way};
use base64::{Engine, engine::general_purpose::STANDARD};
use ring::digest;
use serde_json::{Value, json};
use url::Url;

use crate::{
    guests::Bench,
    identity_provider::{
        CLIENT, IdentityProvider, Key, NOW, SECRET, bare, base64, bench, connector, expect_denial,
        keyed_with_public, refusal, setup,
    },
};

const CALLBACK: &str = "https://cloud.example/v4/federation/callback";

fn config(provider: &IdentityProvider, changes: Value) -> Value {
    let mut config = json!({
        "issuer": provider.issuer,
        "client_id": CLIENT,
        "client_secret": SECRET,
        "userinfo": "never",
    });
    if let (Some(config), Value::Object(changes)) = (config.as_object_mut(), changes) {
        config.extend(changes);
    }
    config
}

/// A provider, and a connector to it.
struct Scene {
    key: Key,
    provider: IdentityProvider,
    bench: Bench,
    connector: Connector,
}

impl Scene {
    async fn new(changes: Value) -> Self {
        let key = Key::new("1");
        let provider = IdentityProvider::start(&key).await;
        let bench = bench(&provider).await;
        let connector = connector(&bench, "oidc", config(&provider, changes)).await;
        Self {
            key,
            provider,
            bench,
            connector,
        }
    }

    /// Sends a browser away: the parameters of the request, and the memory.
    async fn begin(&self) -> (HashMap<String, String>, String) {
        let begun = self.connector.begin(Way::Browser, CALLBACK, "state").await;
        let Begun::Redirect {
            location, memory, ..
        } = begun.unwrap()
        else {
            panic!("no redirect")
        };
        let location = Url::parse(&location).unwrap();
        (location.query_pairs().into_owned().collect(), memory)
    }

    async fn come_back(
        &self,
        parameters: &[(&str, &str)],
        memory: String,
    ) -> Result<Result<Assertion, Denial>, PluginError> {
        let parameters = parameters
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()));
        let completed = self
            .connector
            .complete(CALLBACK, parameters.collect(), memory)
            .await?;
        Ok(match completed {
            Completed::Asserted(assertion) => Ok(assertion),
            Completed::Denied(denial) => Err(denial),
            Completed::Pending { .. } => panic!("a browser waits for nobody"),
        })
    }

    fn give(&self, id_token: &str) {
        let tokens = json!({"access_token": "at", "token_type": "Bearer", "id_token": id_token});
        self.provider.answer("token", 200, tokens);
    }

    /// A whole login, with the ID token that the provider makes of a nonce.
    async fn log_in(
        &self,
        id_token: impl Fn(&str) -> String,
    ) -> Result<Result<Assertion, Denial>, PluginError> {
        let (request, memory) = self.begin().await;
        self.give(&id_token(&request["nonce"]));
        self.come_back(&[("code", "c")], memory).await
    }

    fn id_token(&self, nonce: &str, changes: Value) -> String {
        let mut claims = self.provider.claims(json!({"nonce": nonce}));
        if let (Some(claims), Value::Object(changes)) = (claims.as_object_mut(), changes) {
            claims.extend(changes);
        }
        self.key.sign(&claims)
    }
}

#[tokio::test]
async fn somebody_logs_in_with_a_browser() {
    let scene = Scene::new(json!({"userinfo": "login", "groups_claim": "/roles/all"})).await;
    let userinfo =
        json!({"sub": "ada", "name": "Ada", "email": "old", "roles": {"all": ["a", "b"]}});
    scene.provider.answer("userinfo", 200, userinfo);
    let (request, memory) = scene.begin().await;
    assert_eq!(request["state"], "state");
    assert_eq!(request["redirect_uri"], CALLBACK);
    assert_eq!(request["scope"], "openid profile email");
    assert_eq!(request["code_challenge_method"], "S256");
    let access_token_hash = digest::digest(&digest::SHA256, b"at");
    let changes = json!({"email": "new", "at_hash": base64(&access_token_hash.as_ref()[..16])});
    scene.give(&scene.id_token(&request["nonce"], changes));
    let said = scene.come_back(&[("code", "c+/ ")], memory).await;
    let said = said.unwrap().unwrap();
    assert_eq!(said.subject, "ada");
    assert_eq!(said.claims["name"], "Ada");
    assert_eq!(said.claims["email"], "new");
    assert_eq!(said.claims["groups"], json!(["a", "b"]));

    let sent = &scene.provider.seen("token")[0];
    assert_eq!(sent.form["code"], "c+/ ");
    assert_eq!(sent.form["redirect_uri"], CALLBACK);
    let verifier = digest::digest(&digest::SHA256, sent.form["code_verifier"].as_bytes());
    assert_eq!(base64(verifier), request["code_challenge"]);
    let pair = STANDARD.encode(format!("{CLIENT}:of+the+client"));
    assert_eq!(sent.authorization, Some(format!("Basic {pair}")));
    let asked = &scene.provider.seen("userinfo")[0];
    assert_eq!(asked.authorization.as_deref(), Some("Bearer at"));
}

#[tokio::test]
async fn each_login_has_secrets_of_its_own() {
    let scene = Scene::new(json!({})).await;
    let (first, memory) = scene.begin().await;
    let (second, _) = scene.begin().await;
    for name in ["nonce", "code_challenge"] {
        assert_ne!(first[name], second[name]);
    }
    // A code that was injected into another login, with the ID token of that login.
    scene.give(&scene.id_token(&second["nonce"], json!({})));
    let answer = scene.come_back(&[("code", "c")], memory).await;
    expect_denial(answer, Reason::Rejected, "another login");
}

#[tokio::test]
async fn an_id_token_that_is_not_right_is_refused() {
    let scene = Scene::new(json!({})).await;
    for (changes, reason, word) in [
        (json!({"nonce": null}), Reason::Rejected, "another login"),
        (
            json!({"iss": "https://eve.example"}),
            Reason::Rejected,
            "issuer",
        ),
        (json!({"aud": "shop"}), Reason::Rejected, "audience"),
        (
            json!({"aud": [CLIENT, "shop"]}),
            Reason::Rejected,
            "not trusted",
        ),
        (json!({"azp": "shop"}), Reason::Rejected, "another client"),
        (json!({"exp": NOW - 60}), Reason::Expired, "expired"),
        (json!({"exp": null}), Reason::Rejected, "`exp`"),
        (json!({"iat": NOW + 61}), Reason::Rejected, "future"),
        (json!({"sub": null}), Reason::Rejected, "`sub`"),
        (json!({"sub": "x".repeat(256)}), Reason::Rejected, "`sub`"),
        (json!({"at_hash": "x"}), Reason::Rejected, "access token"),
        (json!({"events": {}}), Reason::Rejected, "no ID token"),
    ] {
        let answer = scene
            .log_in(|nonce| scene.id_token(nonce, changes.clone()))
            .await;
        expect_denial(answer, reason, word);
    }
}

#[tokio::test]
async fn an_id_token_that_is_not_signed_by_the_provider_is_refused() {
    let scene = Scene::new(json!({})).await;
    let claims = |nonce: &str| scene.provider.claims(json!({"nonce": nonce}));
    let answer = scene
        .log_in(|nonce| Key::new("1").sign(&claims(nonce)))
        .await;
    expect_denial(answer, Reason::Rejected, "does not hold");
    let answer = scene.log_in(|nonce| bare(&claims(nonce))).await;
    expect_denial(answer, Reason::Rejected, "another algorithm");
    let answer = scene
        .log_in(|nonce| keyed_with_public(&scene.key, &claims(nonce)))
        .await;
    expect_denial(answer, Reason::Rejected, "another algorithm");
    let answer = scene
        .log_in(|nonce| scene.key.sign_as("at+jwt", &claims(nonce)))
        .await;
    expect_denial(answer, Reason::Rejected, "no ID token");
    let answer = scene.log_in(|_| "garbage".to_owned()).await;
    expect_denial(answer, Reason::Rejected, "no signed JWT");
}

#[tokio::test]
async fn an_algorithm_that_is_not_configured_is_refused() {
    let scene = Scene::new(json!({"algorithms": ["RS256"]})).await;
    let answer = scene.log_in(|nonce| scene.id_token(nonce, json!({}))).await;
    expect_denial(answer, Reason::Rejected, "another algorithm");
}

#[tokio::test]
async fn the_answer_of_another_provider_is_refused_before_the_code_is_sent() {
    let scene = Scene::new(json!({})).await;
    let (_, memory) = scene.begin().await;
    let mixed_up = [("code", "c"), ("iss", "https://eve.example")];
    let answer = scene.come_back(&mixed_up, memory.clone()).await;
    expect_denial(answer, Reason::Rejected, "another provider");
    let issuer = scene.provider.issuer.as_str();
    let twice = [
        ("code", "c"),
        ("iss", issuer),
        ("iss", "https://eve.example"),
    ];
    let answer = scene.come_back(&twice, memory).await;
    expect_denial(answer, Reason::Rejected, "another provider");
    assert!(scene.provider.seen("token").is_empty());
}

#[tokio::test]
async fn a_provider_that_names_itself_always_does() {
    let key = Key::new("1");
    let provider = IdentityProvider::start(&key).await;
    provider.describe(json!({"authorization_response_iss_parameter_supported": true}));
    let bench = bench(&provider).await;
    let connector = connector(&bench, "oidc", config(&provider, json!({}))).await;
    let scene = Scene {
        key,
        provider,
        bench,
        connector,
    };
    let (request, memory) = scene.begin().await;
    let answer = scene.come_back(&[("code", "c")], memory.clone()).await;
    expect_denial(answer, Reason::Rejected, "another provider");
    scene.give(&scene.id_token(&request["nonce"], json!({})));
    let issuer = scene.provider.issuer.as_str();
    let answer = scene
        .come_back(&[("code", "c"), ("iss", issuer)], memory)
        .await;
    answer.unwrap().unwrap();
}

#[tokio::test]
async fn errors_that_come_back_are_told_apart() {
    let scene = Scene::new(json!({})).await;
    let (_, memory) = scene.begin().await;
    for (parameters, reason, word) in [
        (
            vec![("error", "access_denied")],
            Reason::Rejected,
            "access_denied",
        ),
        (
            vec![("error", "server_error")],
            Reason::Unavailable,
            "server_error",
        ),
        (vec![("error", "<b>\r\nx")], Reason::Rejected, "bx"),
        (vec![], Reason::Malformed, "`code`"),
        (
            vec![("code", "a"), ("code", "b")],
            Reason::Malformed,
            "`code`",
        ),
    ] {
        let answer = scene.come_back(&parameters, memory.clone()).await;
        expect_denial(answer, reason, word);
    }
    for (status, body, reason) in [
        (400, json!({"error": "invalid_grant"}), Reason::Rejected),
        (401, json!({"error": "invalid_client"}), Reason::Unavailable),
        (500, json!("<html>"), Reason::Unavailable),
        (302, json!({}), Reason::Unavailable),
        (200, json!("<html>"), Reason::Unavailable),
        (200, json!({"access_token": "at"}), Reason::Unavailable),
        (
            200,
            json!({"token_type": "DPoP", "id_token": "x"}),
            Reason::Unavailable,
        ),
    ] {
        scene.provider.answer("token", status, body);
        let answer = scene.come_back(&[("code", "c")], memory.clone()).await;
        expect_denial(answer, reason, "");
    }
}

#[tokio::test]
async fn userinfo_about_somebody_else_is_refused() {
    let scene = Scene::new(json!({"userinfo": "login"})).await;
    let good = |nonce: &str| scene.id_token(nonce, json!({}));
    scene
        .provider
        .answer("userinfo", 200, json!({"sub": "bob", "groups": ["admins"]}));
    expect_denial(scene.log_in(good).await, Reason::Rejected, "somebody else");
    scene
        .provider
        .answer("userinfo", 200, json!({"groups": ["admins"]}));
    expect_denial(scene.log_in(good).await, Reason::Rejected, "somebody else");
    scene.provider.answer("userinfo", 403, json!({}));
    expect_denial(scene.log_in(good).await, Reason::Unavailable, "userinfo");
}

#[tokio::test]
async fn what_was_asked_for_is_insisted_on() {
    let scene = Scene::new(json!({"acr_values": ["mfa"], "max_age_seconds": 60})).await;
    let (request, _) = scene.begin().await;
    assert_eq!(request["acr_values"], "mfa");
    assert_eq!(request["max_age"], "60");
    let answer = scene
        .log_in(|nonce| scene.id_token(nonce, json!({"acr": "mfa", "auth_time": NOW})))
        .await;
    answer.unwrap().unwrap();
    let answer = scene
        .log_in(|nonce| scene.id_token(nonce, json!({"acr": "pwd", "auth_time": NOW})))
        .await;
    expect_denial(answer, Reason::Rejected, "acr");
}

#[tokio::test]
async fn keys_that_change_in_mid_flight_are_fetched_again() {
    let mut scene = Scene::new(json!({})).await;
    let answer = scene.log_in(|nonce| scene.id_token(nonce, json!({}))).await;
    answer.unwrap().unwrap();
    let (request, memory) = scene.begin().await;
    scene.key = Key::new("2");
    scene.provider.publish(&[&scene.key]);
    scene.give(&scene.id_token(&request["nonce"], json!({})));
    let answer = scene.come_back(&[("code", "c")], memory).await;
    answer.unwrap().unwrap();
    assert_eq!(scene.provider.seen("keys").len(), 2);
}

#[tokio::test]
async fn a_provider_that_answers_too_much_or_too_late_is_given_up() {
    let scene = Scene::new(json!({})).await;
    scene.provider.pad_keys(200_000);
    let answer = scene.log_in(|nonce| scene.id_token(nonce, json!({}))).await;
    expect_denial(answer, Reason::Unavailable, "too large");
    scene.provider.pad_keys(0);
    let (_, memory) = scene.begin().await;
    scene.provider.slow_down(Duration::from_secs(30));
    let began = Instant::now();
    let answer = scene.come_back(&[("code", "c")], memory).await;
    expect_denial(answer, Reason::Unavailable, "too long");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn metadata_lead_nowhere_else() {
    let key = Key::new("1");
    let provider = IdentityProvider::start(&key).await;
    let other = IdentityProvider::start(&key).await;
    let bench = bench(&provider).await;
    for name in ["jwks_uri", "token_endpoint", "userinfo_endpoint"] {
        for server in [other.issuer.as_str(), "http://169.254.169.254"] {
            provider.describe(json!({name: format!("{server}/keys")}));
            let said = refusal(&bench, "oidc", config(&provider, json!({}))).await;
            let told = said.contains("/additional_servers") || said.contains("not granted");
            assert!(told, "{said}");
        }
    }
    assert!(other.seen("keys").is_empty());
}

#[tokio::test]
async fn a_configuration_that_cannot_work_does_not_go_live() {
    let key = Key::new("1");
    let provider = IdentityProvider::start(&key).await;
    let bench = bench(&provider).await;
    for (changes, word) in [
        (
            json!({"issuer": format!("{}/", provider.issuer)}),
            "/issuer",
        ),
        (json!({"issuer": "http://127.0.0.1:1"}), "/issuer"),
        (json!({"jwks_uri": "http://10.0.0.1/keys"}), "/jwks_uri"),
        (
            json!({"additional_servers": ["gopher://x"]}),
            "/additional_servers",
        ),
        (json!({"decryption_key": "hunter2"}), "/decryption_key"),
        (json!({"client_auth": "private_key_jwt"}), "/client_key"),
        (
            json!({"authorization_parameters": {"state": "x"}}),
            "/authorization_parameters",
        ),
        (json!({"scopes": ["a b"]}), "/scopes"),
    ] {
        let said = refusal(&bench, "oidc", config(&provider, changes.clone())).await;
        assert!(said.contains(word), "{changes}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    provider.describe(json!({"authorization_endpoint": null}));
    let said = refusal(&bench, "oidc", config(&provider, json!({}))).await;
    assert!(said.contains("/authorization_endpoint"), "{said}");
    provider.describe(json!({}));
    let good = setup(config(&provider, json!({})));
    bench.registry.check_connector("oidc", good).await.unwrap();
}

#[tokio::test]
async fn somebody_with_a_device_is_waited_for() {
    let scene = Scene::new(json!({})).await;
    scene.provider.answer(
        "device",
        200,
        json!({
            "device_code": "secret",
            "user_code": "ABCD",
            "verification_uri": "https://id.example/device",
            "expires_in": 1800,
        }),
    );
    let begun = scene
        .connector
        .begin(Way::Device, "", "state")
        .await
        .unwrap();
    let Begun::Device {
        message,
        mut memory,
        interval,
        expires_in,
    } = begun
    else {
        panic!("no device")
    };
    assert_eq!(message["user_code"], "ABCD");
    assert!(!Value::Object(message).to_string().contains("secret"));
    assert_eq!((interval.as_secs(), expires_in.as_secs()), (5, 600));
    for (status, answer, seconds) in [
        (400, json!({"error": "authorization_pending"}), 5),
        (400, json!({"error": "slow_down"}), 10),
        (503, json!("down"), 20),
        (400, json!({"error": "authorization_pending"}), 20),
    ] {
        scene.provider.answer("token", status, answer);
        let completed = scene.connector.complete("", Vec::new(), memory).await;
        match completed.unwrap() {
            Completed::Pending {
                memory: next,
                interval,
            } => {
                assert_eq!(interval.as_secs(), seconds);
                memory = next;
            }
            other => panic!("{other:?}"),
        }
    }
    scene.give(&scene.key.sign(&scene.provider.claims(json!({}))));
    let completed = scene
        .connector
        .complete("", Vec::new(), memory.clone())
        .await;
    assert!(matches!(completed.unwrap(), Completed::Asserted(said) if said.subject == "ada"));
    scene
        .provider
        .answer("token", 400, json!({"error": "access_denied"}));
    let completed = scene.connector.complete("", Vec::new(), memory).await;
    assert!(
        matches!(completed.unwrap(), Completed::Denied(denial) if denial.reason == Reason::Rejected)
    );
}

#[tokio::test]
async fn a_client_shows_a_token_that_is_signed() {
    let scene = Scene::new(json!({"access_token_audiences": ["cloud"]})).await;
    let with = |changes: Value| scene.provider.claims(changes);
    let access_token = scene.key.sign_as("at+jwt", &with(json!({"aud": "cloud"})));
    let said = scene
        .connector
        .present(&access_token)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(said.subject, "ada");
    let id_token = scene.key.sign(&with(json!({"nonce": "somebody's"})));
    scene.connector.present(&id_token).await.unwrap().unwrap();
    for (token, word) in [
        (scene.key.sign_as("at+jwt", &with(json!({}))), "audience"),
        (
            scene.key.sign_as("at+jwt", &with(json!({"aud": "shop"}))),
            "audience",
        ),
        (scene.key.sign(&with(json!({"aud": "shop"}))), "audience"),
        (scene.key.sign_as("logout+jwt", &with(json!({}))), "purpose"),
        (scene.key.sign(&with(json!({"events": {}}))), ""),
        (
            scene.key.sign_as(
                "at+jwt",
                &with(json!({"aud": "cloud", "cnf": {"jkt": "x"}})),
            ),
            "bound to a key",
        ),
        (Key::new("1").sign(&with(json!({}))), "does not hold"),
        (bare(&with(json!({}))), "another algorithm"),
    ] {
        expect_denial(
            scene.connector.present(&token).await,
            Reason::Rejected,
            word,
        );
    }
    assert!(scene.provider.seen("introspect").is_empty());
}

#[tokio::test]
async fn a_client_shows_a_token_that_the_provider_knows() {
    let scene = Scene::new(json!({"userinfo": "always", "access_token_audiences": ["cli"]})).await;
    let known = json!({"active": true, "sub": "ada", "client_id": "cli", "exp": NOW + 60});
    scene.provider.answer("introspect", 200, known);
    scene.provider.answer(
        "userinfo",
        200,
        json!({"sub": "ada", "email": "ada@id.example"}),
    );
    let said = scene.connector.present("opaque").await.unwrap().unwrap();
    assert_eq!(said.claims["email"], "ada@id.example");
    let asked = &scene.provider.seen("introspect")[0];
    assert_eq!(asked.form["token"], "opaque");
    assert!(asked.authorization.is_some());
    for answer in [
        json!({"active": false}),
        json!({"active": true, "sub": "ada", "client_id": "shop"}),
        json!({"active": true, "client_id": "cli"}),
    ] {
        scene.provider.answer("introspect", 200, answer);
        expect_denial(
            scene.connector.present("opaque").await,
            Reason::Rejected,
            "",
        );
    }
    let asked = scene.provider.seen("userinfo").len();
    scene
        .provider
        .answer("introspect", 200, json!({"active": false}));
    expect_denial(
        scene.connector.present("opaque").await,
        Reason::Rejected,
        "",
    );
    assert_eq!(scene.provider.seen("userinfo").len(), asked);
}

#[tokio::test]
async fn userinfo_alone_is_a_proof_only_where_the_owner_says_so() {
    let provider = json!({"introspection_endpoint": null});
    for (changes, works) in [
        (json!({}), false),
        (json!({"bearer_tokens": ["userinfo"]}), true),
    ] {
        let scene = Scene::new(changes).await;
        scene.provider.describe(provider.clone());
        scene
            .provider
            .answer("userinfo", 200, json!({"sub": "ada"}));
        let answer = scene.connector.present("opaque").await.unwrap();
        assert_eq!(answer.is_ok(), works);
    }
}

#[tokio::test]
async fn a_notice_of_a_logout_counts_once() {
    let scene = Scene::new(json!({})).await;
    let notice = |changes: Value| {
        let event = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
        let mut claims = scene.provider.claims(json!({"jti": "1", "events": event}));
        if let (Some(claims), Value::Object(changes)) = (claims.as_object_mut(), changes) {
            claims.extend(changes);
        }
        claims
    };
    let form = |token: String| vec![("logout_token".to_owned(), token)];
    let logout = |token: String| scene.connector.logout(form(token));
    let token = scene.key.sign_as("logout+jwt", &notice(json!({})));
    assert_eq!(logout(token.clone()).await.unwrap().unwrap(), "ada");
    expect_denial(logout(token).await, Reason::Replayed, "came before");
    for (changes, word) in [
        (json!({"nonce": "n"}), "no logout token"),
        (json!({"events": {}}), "no logout token"),
        (json!({"aud": "shop"}), "audience"),
        (json!({"jti": null}), "`jti`"),
        (json!({"sub": null, "sid": "s"}), "`sub`"),
    ] {
        let token = scene.key.sign(&notice(changes));
        expect_denial(logout(token).await, Reason::Rejected, word);
    }
    let forged = Key::new("1").sign(&notice(json!({"jti": "2"})));
    expect_denial(logout(forged).await, Reason::Rejected, "does not hold");
    let id_token = scene.id_token("n", json!({}));
    expect_denial(logout(id_token).await, Reason::Rejected, "no logout token");
    let nothing = scene.connector.logout(Vec::new()).await;
    expect_denial(nothing, Reason::Malformed, "logout_token");
    drop(scene.bench);
}

#[tokio::test]
async fn connectors_do_not_share_what_they_remember() {
    let scene = Scene::new(json!({})).await;
    let other = connector(&scene.bench, "oidc", config(&scene.provider, json!({}))).await;
    let event = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
    let claims = scene.provider.claims(json!({"jti": "1", "events": event}));
    let form = vec![("logout_token".to_owned(), scene.key.sign(&claims))];
    scene.connector.logout(form.clone()).await.unwrap().unwrap();
    other.logout(form).await.unwrap().unwrap();
}
