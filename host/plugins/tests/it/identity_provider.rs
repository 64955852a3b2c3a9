//! An OpenID provider on loopback that does what a test tells it, lies included.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use archstone_plugins::{Connector, ConnectorSetup, Denial, PluginError, Reason};
use axum::{
    Form, Router,
    body::Body,
    extract::{Path, Request, State, rejection::FormRejection},
    http::{HeaderMap, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::guests::{Bench, component};

/// When the bench's clock stands still.
pub const NOW: i64 = 1_800_000_000;

pub const CLIENT: &str = "archstone";
pub const SECRET: &str = "of the client";

pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key that signs.
#[derive(Clone)]
pub struct Key {
    pub id: String,
    pair: Arc<EcdsaKeyPair>,
}

impl Key {
    pub fn new(id: &str) -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        Self {
            id: id.to_owned(),
            pair: Arc::new(pair),
        }
    }

    pub fn public(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        json!({
            "kty": "EC",
            "crv": "P-256",
            "kid": self.id,
            "use": "sig",
            "x": base64(&point[1..33]),
            "y": base64(&point[33..]),
        })
    }

    pub fn sign(&self, claims: &Value) -> String {
        self.sign_as("JWT", claims)
    }

    pub fn sign_as(&self, kind: &str, claims: &Value) -> String {
        self.sign_with(
            &json!({"alg": "ES256", "typ": kind, "kid": self.id}),
            claims,
        )
    }

    pub fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let text = unsigned(header, claims);
        let signature = self.pair.sign(&SystemRandom::new(), text.as_bytes());
        format!("{text}.{}", base64(signature.unwrap()))
    }
}

fn unsigned(header: &Value, claims: &Value) -> String {
    format!(
        "{}.{}",
        base64(header.to_string()),
        base64(claims.to_string())
    )
}

/// A token without a signature.
pub fn bare(claims: &Value) -> String {
    format!("{}.", unsigned(&json!({"alg": "none"}), claims))
}

/// A token with a code made of what everybody knows: the public key.
pub fn keyed_with_public(key: &Key, claims: &Value) -> String {
    let text = unsigned(&json!({"alg": "HS256", "kid": key.id}), claims);
    let known = key.public().to_string();
    let code = hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, known.as_bytes()),
        text.as_bytes(),
    );
    format!("{text}.{}", base64(code))
}

/// What the provider does and has seen.
#[derive(Default)]
struct Behaviour {
    keys: Vec<Value>,
    metadata: Value,
    answers: HashMap<String, (u16, Value)>,
    delay: Duration,
    padding: usize,
    requests: Vec<Seen>,
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub path: String,
    pub form: HashMap<String, String>,
    pub authorization: Option<String>,
}

#[derive(Clone)]
pub struct IdentityProvider {
    pub issuer: String,
    behaviour: Arc<Mutex<Behaviour>>,
}

impl IdentityProvider {
    /// A provider with one key.
    pub async fn start(key: &Key) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let provider = Self {
            behaviour: Arc::default(),
            issuer,
        };
        provider.publish(&[key]);
        provider.describe(json!({}));
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/keys", get(keys))
            .route("/{endpoint}", post(endpoint).get(endpoint))
            .fallback(any(|| async { StatusCode::NOT_FOUND }))
            .layer(middleware::from_fn_with_state(provider.clone(), slowly))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        provider
    }

    /// Publishes these keys instead.
    pub fn publish(&self, keys: &[&Key]) {
        self.with(|it| it.keys = keys.iter().map(|key| key.public()).collect());
    }

    /// Changes what the metadata say.
    pub fn describe(&self, changes: Value) {
        let at = |path: &str| format!("{}/{path}", self.issuer);
        let mut metadata = json!({
            "issuer": self.issuer,
            "authorization_endpoint": at("authorize"),
            "token_endpoint": at("token"),
            "userinfo_endpoint": at("userinfo"),
            "introspection_endpoint": at("introspect"),
            "device_authorization_endpoint": at("device"),
            "jwks_uri": at("keys"),
        });
        let (Some(all), Value::Object(changes)) = (metadata.as_object_mut(), changes) else {
            unreachable!()
        };
        all.extend(changes);
        self.with(|it| it.metadata = metadata);
    }

    /// What an endpoint answers from now on.
    pub fn answer(&self, endpoint: &str, status: u16, body: Value) {
        self.with(|it| it.answers.insert(endpoint.to_owned(), (status, body)));
    }

    /// Every answer takes so long from now on.
    pub fn slow_down(&self, delay: Duration) {
        self.with(|it| it.delay = delay);
    }

    /// The keys become so much longer.
    pub fn pad_keys(&self, bytes: usize) {
        self.with(|it| it.padding = bytes);
    }

    /// The requests so far to this path.
    pub fn seen(&self, path: &str) -> Vec<Seen> {
        let all = self.with(|it| it.requests.clone());
        all.into_iter()
            .filter(|request| request.path == path)
            .collect()
    }

    /// The claims of an ID token for us, changed.
    pub fn claims(&self, changes: Value) -> Value {
        let mut claims = json!({
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": "ada",
            "iat": NOW,
            "exp": NOW + 300,
        });
        let (Some(all), Value::Object(changes)) = (claims.as_object_mut(), changes) else {
            unreachable!()
        };
        for (name, value) in changes {
            match value {
                Value::Null => drop(all.remove(&name)),
                value => drop(all.insert(name, value)),
            }
        }
        claims
    }

    fn with<T>(&self, work: impl FnOnce(&mut Behaviour) -> T) -> T {
        work(&mut self.behaviour.lock().unwrap())
    }
}

async fn slowly(
    State(provider): State<IdentityProvider>,
    request: Request,
    next: Next,
) -> Response {
    let delay = provider.with(|it| it.delay);
    tokio::time::sleep(delay).await;
    next.run(request).await
}

async fn metadata(State(provider): State<IdentityProvider>) -> Response {
    provider.with(|it| answer(200, &it.metadata))
}

async fn keys(State(provider): State<IdentityProvider>) -> Response {
    provider.with(|it| {
        it.requests.push(Seen {
            path: "keys".to_owned(),
            form: HashMap::new(),
            authorization: None,
        });
        let padding = "x".repeat(it.padding);
        answer(200, &json!({"keys": it.keys, "padding": padding}))
    })
}

async fn endpoint(
    State(provider): State<IdentityProvider>,
    Path(path): Path<String>,
    headers: HeaderMap,
    form: Result<Form<HashMap<String, String>>, FormRejection>,
) -> Response {
    let authorization = headers
        .get("authorization")
        .map(|value| value.to_str().unwrap().to_owned());
    provider.with(|it| {
        let (status, body) = it.answers.get(&path).cloned().unwrap_or((404, json!({})));
        it.requests.push(Seen {
            path,
            form: form.map(|Form(form)| form).unwrap_or_default(),
            authorization,
        });
        answer(status, &body)
    })
}

fn answer(status: u16, body: &Value) -> Response {
    let mut answer = Response::builder()
        .status(status)
        .header("content-type", "application/json");
    if (300..400).contains(&status) {
        answer = answer.header("location", "http://127.0.0.1:1/");
    }
    answer
        .body(Body::from(body.to_string()))
        .unwrap()
        .into_response()
}

/// A bench on which plugins for connectors may reach a provider, and nothing else.
pub async fn bench(provider: &IdentityProvider) -> Bench {
    let bench = Bench::new();
    let grant = json!({"http": {
        "origins": [provider.issuer],
        "private_networks": ["127.0.0.0/8"],
        "max_response_bytes": 100_000,
        "timeout_ms": 500,
    }});
    for name in ["oidc", "jwt"] {
        bench
            .serve(name, component(name), json!({"grant": grant}))
            .await;
    }
    bench
}

/// A configuration, as a connector of its own.
pub fn setup(config: Value) -> ConnectorSetup {
    static CONNECTORS: AtomicU64 = AtomicU64::new(0);
    let Value::Object(config) = config else {
        unreachable!()
    };
    ConnectorSetup {
        id: format!("connector-{}", CONNECTORS.fetch_add(1, Ordering::Relaxed)),
        revision: 1,
        config,
    }
}

pub async fn connector(bench: &Bench, plugin: &str, config: Value) -> Connector {
    bench
        .registry
        .connector(plugin, setup(config))
        .await
        .unwrap()
}

/// Why a configuration does not go live.
pub async fn refusal(bench: &Bench, plugin: &str, config: Value) -> String {
    let checked = bench.registry.check_connector(plugin, setup(config)).await;
    checked.unwrap_err().to_string()
}

/// The denial of a call that gives nothing else.
pub fn denied<T: std::fmt::Debug>(answer: Result<Result<T, Denial>, PluginError>) -> Denial {
    answer.unwrap().unwrap_err()
}

/// Asserts that a call proves nothing, for this reason.
pub fn expect_denial<T: std::fmt::Debug>(
    answer: Result<Result<T, Denial>, PluginError>,
    reason: Reason,
    word: &str,
) {
    let denial = denied(answer);
    assert_eq!(denial.reason, reason, "{}", denial.detail);
    assert!(denial.detail.contains(word), "{}", denial.detail);
}
