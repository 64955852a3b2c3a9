//! Password hashes in every form that Keystone 30 writes, computed on threads of their own so that
//! a flood of logins cannot slow anything else down.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use archstone_model::secret::Secret;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use hmac::{Hmac, Mac};
use rand::RngCore;
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::{Error, Result};

/// bcrypt reads no more than this many bytes.
const BCRYPT_MAX_LENGTH: usize = 72;

/// scrypt's cost, which Keystone does not let an operator choose.
const SCRYPT_LOG_N: u8 = 16;

/// How much less urgent than everything else hashing is, as `nice` counts.
const NICENESS: i32 = 10;

/// What a caller is told to wait where too many wait already.
const RETRY_AFTER_SECONDS: u64 = 1;

/// `[identity] password_hash_algorithm` and its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashAlgorithm {
    /// `password_hash_rounds` is the cost: 4 to 31, 12 by default.
    Bcrypt {
        cost: u32,
    },
    BcryptSha256 {
        cost: u32,
    },
    /// `scrypt_block_size` and `scrypt_parallelism`.
    Scrypt {
        block_size: u32,
        parallelism: u32,
    },
    Pbkdf2Sha512 {
        rounds: u32,
    },
}

impl HashAlgorithm {
    /// Whether a hash is one that this algorithm makes, with these parameters.
    fn made(self, hash: &str) -> bool {
        let beginning = match self {
            Self::Bcrypt { cost } => format!("$2b${cost:02}$"),
            Self::BcryptSha256 { cost } => format!("$bcrypt-sha256$v=2,t=2b,r={cost}$"),
            Self::Scrypt {
                block_size,
                parallelism,
            } => format!("$scrypt$ln={SCRYPT_LOG_N},r={block_size},p={parallelism}$"),
            Self::Pbkdf2Sha512 { rounds } => format!("$pbkdf2-sha512${rounds}$"),
        };
        hash.starts_with(&beginning)
    }
}

/// How passwords are hashed.
#[derive(Debug, Clone)]
pub struct HashOptions {
    pub algorithm: HashAlgorithm,
    /// `[identity] max_password_length`, in bytes.
    pub max_length: usize,
    /// `[DEFAULT] strict_password_check`: refuse longer passwords instead of cutting them.
    pub strict: bool,
    pub threads: NonZeroUsize,
    /// How many passwords may wait for a thread.
    pub queue: usize,
    /// How long one may wait. Whoever asked is not there any more after that, or has asked again.
    pub longest_wait: Duration,
}

impl Default for HashOptions {
    fn default() -> Self {
        Self {
            algorithm: HashAlgorithm::Bcrypt { cost: 12 },
            max_length: 4096,
            strict: false,
            threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            queue: 64,
            longest_wait: Duration::from_secs(30),
        }
    }
}

/// The hashing threads.
#[derive(Debug, Clone)]
pub struct PasswordHasher {
    jobs: mpsc::SyncSender<Job>,
    options: Arc<HashOptions>,
    /// The hash of a password that nobody has: checked where there is no user, so that the answer
    /// takes as long as for a wrong password.
    nobody: Arc<str>,
}

type Job = Box<dyn FnOnce() + Send>;

impl PasswordHasher {
    /// Starts the threads.
    ///
    /// # Errors
    /// Where the operating system gives no threads, or the algorithm's parameters are out of range.
    pub fn start(options: HashOptions) -> Result<Self> {
        let (jobs, queue) = mpsc::sync_channel::<Job>(options.queue);
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..options.threads.get() {
            let queue = Arc::clone(&queue);
            thread::Builder::new()
                .name(format!("passwords-{number}"))
                .spawn(move || {
                    give_way();
                    loop {
                        // A panic while waiting cannot leave the queue half changed.
                        let job = {
                            let waiting = queue.lock().unwrap_or_else(|lock| lock.into_inner());
                            waiting.recv()
                        };
                        match job {
                            Ok(job) => job(),
                            Err(_) => return,
                        }
                    }
                })
                .map_err(Error::internal)?;
        }
        let nobody = hash(&options, &random_bytes::<32>())?;
        Ok(Self {
            jobs,
            options: Arc::new(options),
            nobody: nobody.into(),
        })
    }

    /// Hashes a password for storage.
    ///
    /// # Errors
    /// `Overloaded` where too many are waiting, or no thread was free for too long; `Refused` where the
    /// password is too long and that is strict.
    pub async fn hash(&self, password: Secret) -> Result<String> {
        let options = Arc::clone(&self.options);
        self.run(move || {
            let bytes = usable(&options, &password)?;
            hash(&options, &bytes)
        })
        .await?
    }

    /// Whether a password has this hash. A hash of an unknown form matches nothing.
    ///
    /// # Errors
    /// As for [`PasswordHasher::hash`].
    pub async fn verify(&self, password: Secret, hash: String) -> Result<bool> {
        let options = Arc::clone(&self.options);
        self.run(move || Ok(verify(&usable(&options, &password)?, &hash)))
            .await?
    }

    /// A hash of a password that was verified by another hash, where passwords are hashed otherwise
    /// now; `None` where there is nothing to renew, or the old hash says nothing of how the password
    /// ends.
    ///
    /// # Errors
    /// As for [`PasswordHasher::hash`].
    pub async fn renewed(&self, password: &Secret, hash: &str) -> Result<Option<String>> {
        let cut = is_bcrypt(hash) && password.expose().len() > BCRYPT_MAX_LENGTH;
        if cut || self.options.algorithm.made(hash) {
            return Ok(None);
        }
        self.hash(password.clone()).await.map(Some)
    }

    /// Spends the time of a verification where there is nothing to verify.
    pub async fn verify_nothing(&self, password: Secret) -> Result<()> {
        self.verify(password, self.nobody.to_string())
            .await
            .map(drop)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let (longest_wait, since) = (self.options.longest_wait, Instant::now());
        let job: Job = Box::new(move || {
            // Who went away while waiting costs no hash.
            if answer.is_closed() {
                return;
            }
            let done = if since.elapsed() > longest_wait {
                Err(overloaded("archstone_password_waited_too_long_total"))
            } else {
                Ok(work())
            };
            // Nobody listens any more where the client has gone.
            let _ = answer.send(done);
        });
        self.jobs
            .try_send(job)
            .map_err(|_| overloaded("archstone_password_queue_full_total"))?;
        answered
            .await
            .map_err(|_| Error::internal("a password thread stopped"))?
    }
}

fn overloaded(counter: &'static str) -> Error {
    metrics::counter!(counter).increment(1);
    Error::Overloaded {
        retry_after_seconds: RETRY_AFTER_SECONDS,
    }
}

/// Lets every other thread of the server go first. On Linux, where priorities are of threads.
fn give_way() {
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "passwords are hashed at the priority of everything else");
    }
}

/// The bytes of a password that take part in hashing.
fn usable(options: &HashOptions, password: &Secret) -> Result<Zeroizing<Vec<u8>>> {
    let max_length = match options.algorithm {
        HashAlgorithm::Bcrypt { .. } => options.max_length.min(BCRYPT_MAX_LENGTH),
        _ => options.max_length,
    };
    // Hashing is what the password is for.
    let bytes = password.expose().as_bytes();
    if bytes.len() > max_length && options.strict {
        return Err(Error::refused(format!(
            "The password length must be less than or equal to {max_length}. The server could not \
             comply with the request because the password is invalid."
        )));
    }
    Ok(Zeroizing::new(
        bytes[..bytes.len().min(max_length)].to_vec(),
    ))
}

fn hash(options: &HashOptions, password: &[u8]) -> Result<String> {
    match options.algorithm {
        HashAlgorithm::Bcrypt { cost } => bcrypt::hash(password, cost).map_err(Error::internal),
        HashAlgorithm::BcryptSha256 { cost } => {
            // bcrypt's own salt text keys the inner digest, so it is drawn first.
            let salt = random_bytes::<16>();
            let text = bcrypt::hash_with_salt([], cost, salt)
                .map_err(Error::internal)?
                .get_salt();
            let inner = inner_digest(&text, password)?;
            let hashed =
                bcrypt::hash_with_salt(inner.as_bytes(), cost, salt).map_err(Error::internal)?;
            let hashed = hashed.to_string();
            let digest = hashed
                .get(hashed.len().saturating_sub(31)..)
                .unwrap_or_default();
            Ok(format!("$bcrypt-sha256$v=2,t=2b,r={cost}${text}${digest}"))
        }
        HashAlgorithm::Scrypt {
            block_size,
            parallelism,
        } => {
            let salt = random_bytes::<16>();
            let params = scrypt::Params::new(SCRYPT_LOG_N, block_size, parallelism, 32)
                .map_err(Error::internal)?;
            let mut digest = [0; 32];
            scrypt::scrypt(password, &salt, &params, &mut digest).map_err(Error::internal)?;
            Ok(format!(
                "$scrypt$ln={SCRYPT_LOG_N},r={block_size},p={parallelism}${}${}",
                STANDARD_NO_PAD.encode(salt),
                STANDARD_NO_PAD.encode(digest)
            ))
        }
        HashAlgorithm::Pbkdf2Sha512 { rounds } => {
            let salt = random_bytes::<16>();
            let digest = pbkdf2::pbkdf2_hmac_array::<Sha512, 64>(password, &salt, rounds);
            Ok(format!(
                "$pbkdf2-sha512${rounds}${}${}",
                STANDARD_NO_PAD.encode(salt),
                STANDARD_NO_PAD.encode(digest)
            ))
        }
    }
}

/// Whether a hash is of the one form that looks at no more than the beginning of a password.
fn is_bcrypt(hash: &str) -> bool {
    hash.starts_with("$2")
}

fn verify(password: &[u8], hash: &str) -> bool {
    let mut parts = hash.split('$').skip(1);
    match parts.next() {
        Some("2" | "2a" | "2b" | "2x" | "2y") => {
            let cut = &password[..password.len().min(BCRYPT_MAX_LENGTH)];
            bcrypt::verify(cut, hash).unwrap_or(false)
        }
        Some("bcrypt-sha256") => verify_bcrypt_sha256(password, parts).unwrap_or(false),
        Some("scrypt") => verify_scrypt(password, parts).unwrap_or(false),
        Some("pbkdf2-sha512") => verify_pbkdf2(password, parts).unwrap_or(false),
        _ => false,
    }
}

fn verify_bcrypt_sha256<'a>(
    password: &[u8],
    mut parts: impl Iterator<Item = &'a str>,
) -> Option<bool> {
    let (parameters, salt, digest) = (parts.next()?, parts.next()?, parts.next()?);
    let cost: u32 = parameter(parameters, "r")?.parse().ok()?;
    let kind = parameter(parameters, "t")?;
    let inner = inner_digest(salt, password).ok()?;
    bcrypt::verify(
        inner.as_bytes(),
        &format!("${kind}${cost:02}${salt}{digest}"),
    )
    .ok()
}

fn verify_scrypt<'a>(password: &[u8], mut parts: impl Iterator<Item = &'a str>) -> Option<bool> {
    let (parameters, salt, digest) = (parts.next()?, parts.next()?, parts.next()?);
    let (salt, digest) = (unpadded(salt)?, unpadded(digest)?);
    let log_n = parameter(parameters, "ln")?.parse().ok()?;
    let block_size = parameter(parameters, "r")?.parse().ok()?;
    let parallelism = parameter(parameters, "p")?.parse().ok()?;
    let params = scrypt::Params::new(log_n, block_size, parallelism, digest.len()).ok()?;
    let mut computed = vec![0; digest.len()];
    scrypt::scrypt(password, &salt, &params, &mut computed).ok()?;
    Some(computed.ct_eq(&digest).into())
}

fn verify_pbkdf2<'a>(password: &[u8], mut parts: impl Iterator<Item = &'a str>) -> Option<bool> {
    let (rounds, salt, digest) = (parts.next()?, parts.next()?, parts.next()?);
    let (salt, digest) = (unpadded(salt)?, unpadded(digest)?);
    let mut computed = vec![0; digest.len()];
    pbkdf2::pbkdf2_hmac::<Sha512>(password, &salt, rounds.parse().ok()?, &mut computed);
    Some(computed.ct_eq(&digest).into())
}

/// passlib's inner step: HMAC-SHA256 keyed with the salt text, in base64.
fn inner_digest(salt: &str, password: &[u8]) -> Result<Zeroizing<String>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(salt.as_bytes()).map_err(Error::internal)?;
    mac.update(password);
    Ok(Zeroizing::new(STANDARD.encode(mac.finalize().into_bytes())))
}

fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    parameters
        .split(',')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// passlib's base64: no padding, and `.` for `+`.
fn unpadded(text: &str) -> Option<Vec<u8>> {
    STANDARD_NO_PAD
        .decode(text.replace('.', "+"))
        .ok()
        .filter(|bytes| !bytes.is_empty())
}

fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(algorithm: HashAlgorithm) -> HashOptions {
        HashOptions {
            algorithm,
            ..HashOptions::default()
        }
    }

    #[test]
    fn every_algorithm_verifies_what_it_hashed_and_nothing_else() {
        for algorithm in ALGORITHMS {
            let hashed = hash(&with(algorithm), b"correct horse").unwrap();
            assert!(verify(b"correct horse", &hashed), "{algorithm:?} {hashed}");
            assert!(!verify(b"battery staple", &hashed), "{algorithm:?}");
        }
    }

    /// Made by Keystone 30's own `password_hashing` with the password `s3cret pässword`.
    const BY_KEYSTONE: [&str; 4] = [
        "$2b$04$zYRmhCHR/UAhJYH/igyn4eAvfBoDDtIc2FbiH9sPgFU7u/PshtcJe",
        "$bcrypt-sha256$v=2,t=2b,r=4$OjEne2MkxLSmBuTqveuNUu$L66LBhicDSJUouEUeFMB.ma0rvnA2rG",
        "$scrypt$ln=10,r=8,p=1$mNpC3608rp6UZvhid1yIfg$JuDnWUvOlL/nFQrWNlBcYSAJPM4ThOhUx3o30fjbwHE",
        "$pbkdf2-sha512$1000$MngzfKXJSkuRw5gVM8LZmQ$c43In8pXvpy8vnq1bHCttSCPSdOXmd1PdEGVD1xsPYQswUDFT7c0/AhbnlFznZWNZgr6ReWcmUoejpSK1FekEA",
    ];

    #[test]
    fn keystones_hashes_are_understood() {
        for hashed in BY_KEYSTONE {
            assert!(verify("s3cret pässword".as_bytes(), hashed), "{hashed}");
            assert!(!verify(b"s3cret password", hashed), "{hashed}");
        }
    }

    const ALGORITHMS: [HashAlgorithm; 4] = [
        HashAlgorithm::Bcrypt { cost: 4 },
        HashAlgorithm::BcryptSha256 { cost: 4 },
        HashAlgorithm::Scrypt {
            block_size: 8,
            parallelism: 1,
        },
        HashAlgorithm::Pbkdf2Sha512 { rounds: 1000 },
    ];

    #[test]
    fn an_algorithm_knows_its_own_hashes_from_all_others() {
        for made_by in ALGORITHMS {
            let hashed = hash(&with(made_by), b"correct horse").unwrap();
            for algorithm in ALGORITHMS {
                assert_eq!(algorithm.made(&hashed), algorithm == made_by, "{hashed}");
            }
        }
        let dearer = HashAlgorithm::Bcrypt { cost: 5 };
        assert!(!dearer.made(BY_KEYSTONE[0]) && ALGORITHMS[0].made(BY_KEYSTONE[0]));
    }

    #[tokio::test]
    async fn a_hash_is_renewed_where_it_is_of_another_kind_and_says_all_of_the_password() {
        let hasher = PasswordHasher::start(with(HashAlgorithm::Pbkdf2Sha512 { rounds: 1000 }));
        let hasher = hasher.unwrap();
        let password = Secret::from("s3cret pässword");
        let renewed = hasher.renewed(&password, BY_KEYSTONE[0]).await.unwrap();
        let renewed = renewed.unwrap();
        assert!(verify(password.expose().as_bytes(), &renewed));
        assert_eq!(hasher.renewed(&password, &renewed).await.unwrap(), None);
        let long = Secret::from("x".repeat(73));
        assert_eq!(hasher.renewed(&long, BY_KEYSTONE[0]).await.unwrap(), None);
    }

    #[test]
    fn a_malformed_hash_matches_nothing() {
        for hashed in [
            "",
            "$",
            "plain",
            "$2b$",
            "$scrypt$ln=99,r=8,p=1$AA$AA",
            "$scrypt$ln=16$AA",
            "$pbkdf2-sha512$x$AA$AA",
            "$bcrypt-sha256$v=2$AA$AA",
            "$pbkdf2-sha512$1$AA$",
        ] {
            assert!(!verify(b"", hashed), "{hashed}");
        }
    }

    #[tokio::test]
    async fn a_full_queue_answers_at_once() {
        let hasher = PasswordHasher::start(HashOptions {
            algorithm: HashAlgorithm::Bcrypt { cost: 10 },
            threads: NonZeroUsize::MIN,
            queue: 1,
            ..HashOptions::default()
        })
        .unwrap();
        let all = futures_of(&hasher, 8).await;
        assert!(
            all.iter()
                .any(|outcome| matches!(outcome, Err(Error::Overloaded { .. })))
        );
        assert!(all.iter().any(Result::is_ok));
    }

    #[tokio::test]
    async fn who_waited_too_long_is_not_worked_for() {
        let hasher = PasswordHasher::start(HashOptions {
            algorithm: HashAlgorithm::Bcrypt { cost: 10 },
            threads: NonZeroUsize::MIN,
            longest_wait: Duration::from_millis(1),
            ..HashOptions::default()
        })
        .unwrap();
        let all = futures_of(&hasher, 8).await;
        let overloaded =
            |outcome: &&Result<String>| matches!(outcome, Err(Error::Overloaded { .. }));
        assert!(all.iter().filter(overloaded).count() >= 6, "{all:?}");
        assert!(all.iter().any(Result::is_ok));
    }

    async fn futures_of(hasher: &PasswordHasher, count: usize) -> Vec<Result<String>> {
        let tasks: Vec<_> = (0..count)
            .map(|_| {
                let hasher = hasher.clone();
                tokio::spawn(async move { hasher.hash("password".into()).await })
            })
            .collect();
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(task.await.unwrap());
        }
        outcomes
    }
}
