//! What a login by a connector costs, next to the same work done natively: the signature by ring, the
//! claims by serde, and for the code flow the same request to a provider on loopback.
//!
//! `cargo bench -p archstone-benches --bench connector`
#![allow(clippy::unwrap_used)]

use std::{fs, hint::black_box, path::Path, sync::Arc};

use archstone_model::clock::Clock;
use archstone_plugin_kit::build_plugins;
use archstone_plugins::{
    Completed, Connector, ConnectorSetup, MemoryState, Registry, Runtime, RuntimeOptions, Settings,
};
use axum::{
    Json, Router,
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::DateTime;
use criterion::{Criterion, criterion_group, criterion_main};
use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
        UnparsedPublicKey,
    },
};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime as Tokio};

const NOW: i64 = 1_800_000_000;

/// A provider on loopback, what it signs, and the plugins.
struct Bench {
    tokio: Tokio,
    registry: Registry,
    issuer: String,
    keys: Value,
    token: String,
    _cache: TempDir,
}

impl Bench {
    fn new() -> Self {
        let tokio = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let listener = tokio.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let (keys, token) = signed(&issuer);
        tokio.spawn(serve(listener, issuer.clone(), keys.clone(), token.clone()));
        let cache = tempfile::tempdir().unwrap();
        let mut options = RuntimeOptions::new(Arc::new(MemoryState::default()));
        options.cache = Some(cache.path().to_owned());
        options.clock = Clock::new(|| DateTime::from_timestamp(NOW, 0).unwrap());
        let registry = {
            let _entered = tokio.enter();
            Registry::new(Runtime::new(options).unwrap())
        };
        let bench = Self {
            tokio,
            registry,
            issuer,
            keys,
            token,
            _cache: cache,
        };
        bench.serve_plugins();
        bench
    }

    fn serve_plugins(&self) {
        let grant = json!({"http": {
            "origins": [self.issuer],
            "private_networks": ["127.0.0.0/8"],
        }});
        let settings = json!({"grant": grant}).to_string();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for path in build_plugins(&root).unwrap() {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            if ["oidc", "jwt"].contains(&name.as_str()) {
                let settings = Settings::from_json(settings.as_bytes()).unwrap();
                let artifact = fs::read(path).unwrap();
                let prepared = self.registry.prepare(&name, artifact, settings);
                let prepared = self.tokio.block_on(prepared).unwrap();
                self.registry.publish(prepared);
            }
        }
    }

    fn connector(&self, plugin: &str, id: &str, config: Value) -> Connector {
        let Value::Object(config) = config else {
            unreachable!()
        };
        let setup = ConnectorSetup {
            id: id.to_owned(),
            revision: 1,
            config,
        };
        let connector = self.registry.connector(plugin, setup);
        self.tokio.block_on(connector).unwrap()
    }
}

/// A key set, and a token that is good for both plugins.
fn signed(issuer: &str) -> (Value, String) {
    let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
    let point = pair.public_key().as_ref();
    let base64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let keys = json!({"keys": [{
        "kty": "EC",
        "crv": "P-256",
        "kid": "1",
        "x": base64(&point[1..33]),
        "y": base64(&point[33..]),
    }]});
    let claims = json!({
        "iss": issuer,
        "aud": "archstone",
        "sub": "repo:org/app:ref:refs/heads/main",
        "repository": "org/app",
        "email": "ada@id.example",
        "groups": ["engineers", "readers"],
        "nonce": "n",
        "iat": NOW,
        "exp": NOW + 300,
    });
    let header = json!({"alg": "ES256", "typ": "JWT", "kid": "1"});
    let text = [header, claims]
        .map(|part| base64(part.to_string().as_bytes()))
        .join(".");
    let signature = pair.sign(&random, text.as_bytes()).unwrap();
    (keys, format!("{text}.{}", base64(signature.as_ref())))
}

async fn serve(listener: TcpListener, issuer: String, keys: Value, token: String) {
    let metadata = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
    });
    let tokens = json!({"access_token": "at", "token_type": "Bearer", "id_token": token});
    let always = |body: Value| async move { Json(body) };
    let routes = Router::new()
        .route(
            "/.well-known/openid-configuration",
            get(move || always(metadata)),
        )
        .route("/keys", get(move || always(keys)))
        .route("/token", post(move || always(tokens)));
    axum::serve(listener, routes).await.unwrap();
}

/// The claims, if the token is one of the issuer's for us.
fn natively(token: &str, keys: &Value, issuer: &str) -> Option<Map<String, Value>> {
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
    let (text, signature) = token.rsplit_once('.')?;
    let (header, claims) = text.split_once('.')?;
    let header: Map<String, Value> = serde_json::from_slice(&decode(header)?).ok()?;
    let mut all = keys["keys"].as_array()?.iter();
    let key = all.find(|key| key["kid"] == header["kid"])?;
    let (x, y) = (decode(key["x"].as_str()?)?, decode(key["y"].as_str()?)?);
    let point = [&[4], x.as_slice(), &y].concat();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
        .verify(text.as_bytes(), &decode(signature)?)
        .ok()?;
    let claims: Map<String, Value> = serde_json::from_slice(&decode(claims)?).ok()?;
    let good = claims["iss"] == issuer
        && claims["aud"] == "archstone"
        && claims["exp"].as_i64()? > NOW
        && claims["repository"].as_str()?.starts_with("org/");
    good.then_some(claims)
}

fn exchange(criterion: &mut Criterion) {
    let bench = Bench::new();
    let mut group = criterion.benchmark_group("exchange");
    let mut config = json!({
        "keys": bench.keys,
        "audiences": ["archstone"],
        "bound_claims": {"repository": "org/*"},
    });
    let given = bench.connector("jwt", "given", config.clone());
    group.bench_function("jwt: keys given", |b| {
        b.iter(|| {
            let said = bench.tokio.block_on(given.present(&bench.token));
            said.unwrap().unwrap()
        });
    });
    config["issuer"] = bench.issuer.as_str().into();
    config.as_object_mut().unwrap().remove("keys");
    let kept = bench.connector("jwt", "kept", config);
    group.bench_function("jwt: metadata and keys in state", |b| {
        b.iter(|| {
            let said = bench.tokio.block_on(kept.present(&bench.token));
            said.unwrap().unwrap()
        });
    });
    group.bench_function("native", |b| {
        b.iter(|| natively(black_box(&bench.token), &bench.keys, &bench.issuer).unwrap());
    });
    group.finish();
}

fn completion(criterion: &mut Criterion) {
    let bench = Bench::new();
    let config = json!({"issuer": bench.issuer, "client_id": "archstone", "userinfo": "never"});
    let connector = bench.connector("oidc", "completion", config);
    let mut group = criterion.benchmark_group("completion");
    group.bench_function("oidc: one request on loopback", |b| {
        b.iter(|| {
            let memory = json!({"browser": {"nonce": "n", "verifier": "v"}}).to_string();
            let parameters = vec![("code".to_owned(), "c".to_owned())];
            let completed = connector.complete("https://cloud.example/", parameters, memory);
            let completed = bench.tokio.block_on(completed).unwrap();
            assert!(matches!(completed, Completed::Asserted(_)));
        });
    });
    let client = reqwest::Client::new();
    let endpoint = format!("{}/token", bench.issuer);
    group.bench_function("native: the same request", |b| {
        b.iter(|| {
            let answer = bench.tokio.block_on(async {
                let form = "grant_type=authorization_code&code=c&code_verifier=v";
                let sent = client.post(&endpoint).body(form).send().await.unwrap();
                sent.bytes().await.unwrap()
            });
            let tokens: Map<String, Value> = serde_json::from_slice(&answer).unwrap();
            let token = tokens["id_token"].as_str().unwrap();
            natively(token, &bench.keys, &bench.issuer).unwrap()
        });
    });
    group.finish();
}

criterion_group!(benches, exchange, completion);
criterion_main!(benches);
