//! Hashes and verifies passwords as the server does, for tests with other implementations.
//!
//! Each line of standard input is a JSON object. `{"algorithm": "bcrypt", "rounds": 4, "password":
//! "..."}` answers with the hash; with `"hash"` in it, with whether the password has that hash.

use std::io::{self, BufRead, Write};

use archstone_identity::{HashAlgorithm, HashOptions, PasswordHasher};
use archstone_model::secret::Secret;
use serde::Deserialize;

#[derive(Deserialize)]
struct Job {
    algorithm: String,
    rounds: Option<u32>,
    password: Secret,
    hash: Option<String>,
}

impl Job {
    fn options(&self) -> Result<HashOptions, String> {
        let rounds = |default| self.rounds.unwrap_or(default);
        let algorithm = match self.algorithm.as_str() {
            "bcrypt" => HashAlgorithm::Bcrypt { cost: rounds(12) },
            "bcrypt_sha256" => HashAlgorithm::BcryptSha256 { cost: rounds(12) },
            "scrypt" => HashAlgorithm::Scrypt {
                block_size: 8,
                parallelism: 1,
            },
            "pbkdf2_sha512" => HashAlgorithm::Pbkdf2Sha512 {
                rounds: rounds(25_000),
            },
            other => return Err(format!("there is no algorithm {other}")),
        };
        Ok(HashOptions {
            algorithm,
            ..HashOptions::default()
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    for line in io::stdin().lock().lines() {
        let job: Job = serde_json::from_str(&line?)?;
        let hasher = PasswordHasher::start(job.options()?)?;
        let answer = match job.hash {
            Some(hash) => hasher.verify(job.password, hash).await?.to_string(),
            None => hasher.hash(job.password).await?,
        };
        writeln!(io::stdout(), "{answer}")?;
    }
    Ok(())
}
