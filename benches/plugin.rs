//! What a plugin costs: a whole call (fresh pooled instance, call, drop) with and without host
//! calls, next to the same proof done natively; and taking in a new version.
//!
//! `cargo bench -p archstone-benches --bench plugin`
#![allow(clippy::unwrap_used)]

use std::{fs, hint::black_box, path::Path, sync::Arc};

use archstone_model::{clock::Clock, id::UserId, secret::Secret};
use archstone_plugin_kit::build_plugins;
use archstone_plugins::{
    Account, Credential, MemoryState, Outcome, Registry, Runtime, RuntimeOptions, Settings, Step,
};
use chrono::DateTime;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;
use tempfile::TempDir;
use tokio::runtime::Runtime as Tokio;

/// The key of RFC 6238 appendix B, plain and in base32, and its passcode at 59 seconds, where the
/// clock stands still.
const NOW: i64 = 59;
const KEY: &[u8] = b"12345678901234567890";
const KEY_IN_BASE32: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const PASSCODE: &str = "287082";

struct Bench {
    tokio: Tokio,
    registry: Registry,
    components: Vec<(String, Vec<u8>)>,
    _cache: TempDir,
}

impl Bench {
    fn new() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let components = build_plugins(&root).unwrap().into_iter().map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(path).unwrap())
        });
        let cache = tempfile::tempdir().unwrap();
        let mut options = RuntimeOptions::new(Arc::new(MemoryState::default()));
        options.cache = Some(cache.path().to_owned());
        options.clock = Clock::new(|| DateTime::from_timestamp(NOW, 0).unwrap());
        let tokio = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let registry = {
            let _entered = tokio.enter();
            Registry::new(Runtime::new(options).unwrap())
        };
        Self {
            tokio,
            registry,
            components: components.collect(),
            _cache: cache,
        }
    }

    fn component(&self, name: &str) -> Vec<u8> {
        let found = self.components.iter().find(|(known, _)| known == name);
        found.unwrap().1.clone()
    }

    fn serve(&self, method: &str, component: Vec<u8>, settings: &Value) {
        let settings = Settings::from_json(settings.to_string().as_bytes()).unwrap();
        let prepared = self.registry.prepare(method, component, settings);
        self.registry
            .publish(self.tokio.block_on(prepared).unwrap());
    }

    fn authenticate(&self, method: &str, step: Step) -> Outcome {
        let outcome = self.registry.authenticate(method, step);
        self.tokio.block_on(outcome).unwrap()
    }
}

/// A custom section of its own gives a component another digest, and means nothing.
fn rebuilt(mut component: Vec<u8>, version: u32) -> Vec<u8> {
    component.extend([0, 6, 1, b'v']);
    component.extend(version.to_le_bytes());
    component
}

fn user(number: i64) -> Account {
    Account {
        user_id: UserId::from(format!("user-{number}")),
        credentials: vec![Credential {
            id: "credential".to_owned(),
            kind: "totp".to_owned(),
            blob: Secret::from(KEY_IN_BASE32),
        }],
    }
}

/// The passcode of RFC 6238 for a thirty second window: what the totp plugin works out, natively.
fn passcode(window: u64) -> u32 {
    let mut mac: Hmac<Sha1> = KeyInit::new_from_slice(KEY).unwrap();
    mac.update(&window.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let place = usize::from(digest[19] & 15);
    let word: [u8; 4] = digest[place..place + 4].try_into().unwrap();
    (u32::from_be_bytes(word) & 0x7FFF_FFFF) % 1_000_000
}

fn calls(criterion: &mut Criterion) {
    let bench = Bench::new();
    bench.serve(
        "hello",
        bench.component("hello"),
        &json!({"config": {"pin": "1234"}}),
    );
    bench.serve(
        "totp",
        bench.component("totp"),
        &json!({"grant": {"credentials": ["totp"]}}),
    );
    let mut group = criterion.benchmark_group("plugin");
    group.bench_function("call: hello (one secret, one comparison)", |b| {
        let payload = json!({"name": "ada", "pin": "1234"});
        b.iter(|| bench.authenticate("hello", Step::new(payload.clone())));
    });
    // Each passcode is good once, so every login is another user's.
    let mut number = 0;
    group.bench_function("call: totp (credential, clock, HMAC, state)", |b| {
        let payload = json!({"user": {"id": "ignored", "passcode": PASSCODE}});
        b.iter_batched(
            || {
                number += 1;
                Step::new(payload.clone()).by(user(number))
            },
            |step| {
                let outcome = bench.authenticate("totp", step);
                assert_eq!(outcome, Outcome::Verified);
            },
            BatchSize::SmallInput,
        );
    });
    group.bench_function("native: the same passcode", |b| {
        b.iter(|| passcode(black_box(1)));
    });
    group.finish();
}

fn swaps(criterion: &mut Criterion) {
    let bench = Bench::new();
    let settings = json!({"config": {"pin": "1234"}});
    let hello = bench.component("hello");
    bench.serve("hello", hello.clone(), &settings);
    let mut group = criterion.benchmark_group("swap");
    group.sample_size(10);
    let mut version = 0;
    group.bench_function("a new version, compiled", |b| {
        b.iter_batched(
            || {
                version += 1;
                rebuilt(hello.clone(), version)
            },
            |component| bench.serve("hello", component, &settings),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("a version from the artifact cache", |b| {
        b.iter_batched(
            || hello.clone(),
            |component| bench.serve("hello", component, &settings),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, calls, swaps);
criterion_main!(benches);
