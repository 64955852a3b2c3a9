//! Verifying a password with each hash that Keystone writes, at Keystone's default costs. Slowness
//! is the point of these: the numbers say how many logins a second one hashing thread can take.
//!
//! `cargo bench -p archstone-benches --bench password`
#![allow(clippy::unwrap_used)]

use archstone_identity::{HashAlgorithm, HashOptions, PasswordHasher};
use archstone_model::secret::Secret;
use criterion::{Criterion, criterion_group, criterion_main};

const ALGORITHMS: [(&str, HashAlgorithm); 4] = [
    ("bcrypt, 12 rounds", HashAlgorithm::Bcrypt { cost: 12 }),
    (
        "bcrypt_sha256, 12 rounds",
        HashAlgorithm::BcryptSha256 { cost: 12 },
    ),
    (
        "scrypt, 8 blocks",
        HashAlgorithm::Scrypt {
            block_size: 8,
            parallelism: 1,
        },
    ),
    (
        "pbkdf2_sha512, 25000 rounds",
        HashAlgorithm::Pbkdf2Sha512 { rounds: 25_000 },
    ),
];

fn verify(criterion: &mut Criterion) {
    let tokio = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut group = criterion.benchmark_group("verify");
    group.sample_size(10);
    for (name, algorithm) in ALGORITHMS {
        let options = HashOptions {
            algorithm,
            ..HashOptions::default()
        };
        let hasher = PasswordHasher::start(options).unwrap();
        let password = || Secret::from("correct horse battery staple");
        let hash = tokio.block_on(hasher.hash(password())).unwrap();
        group.bench_function(name, |b| {
            b.iter(|| {
                let verified = hasher.verify(password(), hash.clone());
                assert!(tokio.block_on(verified).unwrap());
            });
        });
    }
    group.finish();
}

criterion_group!(benches, verify);
criterion_main!(benches);
