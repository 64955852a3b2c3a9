//! Everything a plugin can do wrong, on demand: for the tests of the sandbox.

use std::{hint::black_box, time::Duration};

use archstone_plugin::{
    Assertion, AuthMethod, Challenge, ConfigError, Denial, Description, Outcome, Step,
    http::Request, log, signatures, state,
};
use serde::Deserialize;
use serde_json::json;

struct Hostile;

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    check: Option<Misdeed>,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "kebab-case")]
enum Misdeed {
    /// None at all.
    Nothing,
    LoopForever,
    TakeAllMemory,
    RecurseForever,
    Trap,
    AssertOfMegabytes(usize),
    ClaimsThatAreNoObject,
    EmptySubject,
    ClaimAnAccount,
    ChallengeForever,
    /// Answers with a challenge that is answered right by `{"answer": 42}`.
    AskForTheAnswer,
    Answer(u32),
    LogForever,
    /// Hands the host a megabyte at a time to digest, forever.
    DigestForever,
    /// Hands the host more at once than it takes.
    DigestTooMuch,
    /// One large header, very many times.
    AmplifyHeaders,
    Fetch(String),
    FetchWithHeader(String, String),
    FetchForever(String),
    /// What is answered depends on whether the key was there.
    Remember(String),
}

impl AuthMethod for Hostile {
    type Config = Config;

    fn describe() -> Description {
        Description::new("hostile", "0.1.0", "For tests: misbehaves as it is told")
            .config_schema(json!({"type": "object"}))
    }

    fn check(config: &Config) -> Result<(), ConfigError> {
        match &config.check {
            None => Ok(()),
            Some(misdeed) => match commit(misdeed.clone(), None) {
                Ok(_) => Err(ConfigError::at("/check", "it came back")),
                Err(_) => Err(ConfigError::at("/check", "it was denied")),
            },
        }
    }

    fn authenticate(_config: Config, step: Step) -> Result<Outcome, Denial> {
        commit(step.payload()?, step.memory)
    }
}

fn commit(misdeed: Misdeed, memory: Option<serde_json::Value>) -> Result<Outcome, Denial> {
    match misdeed {
        Misdeed::Nothing => {}
        Misdeed::LoopForever => loop {
            black_box(0);
        },
        Misdeed::TakeAllMemory => {
            let mut hoard = Vec::new();
            loop {
                hoard.push(black_box(vec![1_u8; 1 << 20]));
            }
        }
        Misdeed::RecurseForever => {
            black_box(recurse(0));
        }
        Misdeed::Trap => panic!("told to"),
        Misdeed::AssertOfMegabytes(megabytes) => {
            let claims = json!({"text": "a".repeat(megabytes << 20)});
            return Ok(Outcome::Asserted(Assertion::of("somebody").claims(claims)));
        }
        Misdeed::ClaimsThatAreNoObject => {
            return Ok(Outcome::Asserted(
                Assertion::of("somebody").claims(json!([1])),
            ));
        }
        Misdeed::EmptySubject => return Ok(Outcome::Asserted(Assertion::of(""))),
        Misdeed::ClaimAnAccount => return Ok(Outcome::Verified),
        Misdeed::ChallengeForever => {
            let forever = Duration::from_secs(1 << 30);
            let challenge = Challenge::new(json!({}), json!({}), forever);
            return Ok(Outcome::Challenged(challenge));
        }
        Misdeed::AskForTheAnswer => {
            let message = json!({"question": "what do you get if you multiply six by nine?"});
            let challenge = Challenge::new(message, json!({"answer": 42}), Duration::from_secs(60));
            return Ok(Outcome::Challenged(challenge));
        }
        Misdeed::Answer(answer) => {
            let right = memory.and_then(|memory| memory["answer"].as_u64());
            if right != Some(answer.into()) {
                return Err(Denial::rejected("that is not the answer"));
            }
        }
        Misdeed::LogForever => loop {
            log::info("spam");
        },
        Misdeed::DigestForever => {
            let data = vec![0; 1 << 20];
            loop {
                black_box(signatures::digest(signatures::Hash::Sha512, &data));
            }
        }
        Misdeed::DigestTooMuch => {
            black_box(signatures::digest(
                signatures::Hash::Sha512,
                &vec![0; 8 << 20],
            ));
        }
        Misdeed::AmplifyHeaders => {
            let value = "a".repeat(1 << 19);
            let many = (0..8).fold(Request::get("https://granted.example/"), |request, _| {
                request.header("x-large", value.as_str())
            });
            many.send()?;
        }
        Misdeed::Fetch(url) => return fetched(Request::get(url)),
        Misdeed::FetchWithHeader(url, name) => {
            return fetched(Request::get(url).header(name, "value"));
        }
        Misdeed::FetchForever(url) => loop {
            Request::get(url.as_str()).send()?;
        },
        Misdeed::Remember(key) => {
            if !state::put_if_absent(&key, "", Duration::from_secs(60))? {
                return Err(Denial::rejected("it was there"));
            }
        }
    }
    Ok(Outcome::Asserted(Assertion::of("somebody")))
}

fn fetched(request: Request) -> Result<Outcome, Denial> {
    let answer = request.send()?;
    let claims = json!({
        "status": answer.status(),
        "body": String::from_utf8_lossy(answer.body()),
    });
    Ok(Outcome::Asserted(Assertion::of("somebody").claims(claims)))
}

#[allow(unconditional_recursion)]
fn recurse(depth: u64) -> u64 {
    black_box(depth) + recurse(black_box(depth + 1))
}

archstone_plugin::export!(Hostile);
