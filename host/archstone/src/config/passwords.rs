//! How passwords are hashed, and `[security_compliance]`.

use std::{num::NonZeroUsize, time::Duration};

use archstone_identity::{HashAlgorithm, HashOptions};
use archstone_model::password_rules::{PasswordPattern, PasswordRules};
use chrono::TimeDelta;

use super::{Result, source::Source};

pub(super) fn hashing(source: &Source) -> Result<HashOptions> {
    #[derive(Clone, Copy)]
    enum Family {
        Bcrypt,
        BcryptSha256,
        Scrypt,
        Pbkdf2,
    }
    let families = [
        ("bcrypt", Family::Bcrypt),
        ("bcrypt_sha256", Family::BcryptSha256),
        ("scrypt", Family::Scrypt),
        ("pbkdf2_sha512", Family::Pbkdf2),
    ];
    let option = |name, most: i64| source.integer("identity", name, 1..=most);
    let cost = || {
        let cost = source.integer("identity", "password_hash_rounds", 4..=31)?;
        Ok(cost.unwrap_or(12))
    };
    let (block_size, parallelism) = (
        option("scrypt_block_size", 1024)?.unwrap_or(8),
        option("scrypt_parallelism", 1024)?.unwrap_or(1),
    );
    let algorithm = "password_hash_algorithm";
    let algorithm = match source.choice("identity", algorithm, &families, Family::Bcrypt)? {
        Family::Bcrypt => HashAlgorithm::Bcrypt { cost: cost()? },
        Family::BcryptSha256 => HashAlgorithm::BcryptSha256 { cost: cost()? },
        Family::Scrypt => HashAlgorithm::Scrypt {
            block_size,
            parallelism,
        },
        Family::Pbkdf2 => HashAlgorithm::Pbkdf2Sha512 {
            rounds: option("password_hash_rounds", u32::MAX.into())?.unwrap_or(25_000),
        },
    };
    let defaults = HashOptions::default();
    let threads: Option<usize> = source.integer("archstone", "password_threads", 1..=1024)?;
    Ok(HashOptions {
        algorithm,
        max_length: option("max_password_length", 4096)?.map_or(4096, |bytes: u32| bytes as usize),
        strict: source.bool("DEFAULT", "strict_password_check", false)?,
        threads: threads
            .and_then(NonZeroUsize::new)
            .unwrap_or(defaults.threads),
        queue: source
            .integer("archstone", "password_queue", 1..=1_000_000)?
            .unwrap_or(defaults.queue),
        longest_wait: source
            .integer("archstone", "password_wait", 1..=86_400)?
            .map_or(defaults.longest_wait, Duration::from_secs),
    })
}

pub(super) fn compliance(source: &Source) -> Result<PasswordRules> {
    const SECTION: &str = "security_compliance";
    /// More days than any calendar has.
    const MOST_DAYS: i64 = 1_000_000;
    let days = |option| source.integer(SECTION, option, 1..=MOST_DAYS);
    let half_an_hour = TimeDelta::minutes(30);
    Ok(PasswordRules {
        lockout_failure_attempts: source.integer(SECTION, "lockout_failure_attempts", 1..)?,
        lockout_duration: Some(source.seconds(SECTION, "lockout_duration", half_an_hour)?),
        disable_after_days_inactive: days("disable_user_account_days_inactive")?,
        password_expires_days: days("password_expires_days")?,
        unique_last_password_count: source
            .integer(SECTION, "unique_last_password_count", 0..)?
            .unwrap_or(0),
        minimum_password_age_days: source
            .integer(SECTION, "minimum_password_age", 0..=MOST_DAYS)?
            .unwrap_or(0),
        password_regex: source.read_as(SECTION, "password_regex", PasswordPattern::new)?,
        password_regex_description: source.text(SECTION, "password_regex_description")?,
        change_password_upon_first_use: source.bool(
            SECTION,
            "change_password_upon_first_use",
            false,
        )?,
    })
}
