//! `archstone plugin run`: one login by a component, without a server.

use std::{
    fs,
    io::{self, BufRead},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use archstone_model::id::UserId;
use archstone_plugins::{
    Account, Assertion, Begun, Completed, Connector, Credential, Denial, Method, Outcome, Proof,
    Step, Way,
};
use clap::Args;
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::{Bench, Component, check, named_settings};
use crate::commands::say;

/// Where a browser would be sent back to, if there was a server.
const REDIRECT_URI: &str = "http://127.0.0.1:5000/v3/auth/connectors/callback";
const STATE: &str = "state-of-this-login";
/// How often a device is asked about before the trial gives up.
const QUESTIONS: u32 = 60;

#[derive(Debug, Args)]
pub(crate) struct Trial {
    #[command(flatten)]
    component: Component,
    /// The settings: configuration, grants, limits.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,

    /// What the client sends to a method: JSON, or @FILE.
    #[arg(long, value_name = "JSON", conflicts_with_all = ["token", "begin", "connector"])]
    payload: Option<String>,
    /// The id of the user whom the login claims to be, where the method proves accounts.
    #[arg(long, value_name = "ID", default_value = "ada")]
    user: String,
    /// One of the user's credentials, as TYPE=BLOB; can be given again.
    #[arg(long, value_name = "TYPE=BLOB")]
    credential: Vec<String>,

    /// A connector's configuration, for a plugin that serves connectors.
    #[arg(long, value_name = "FILE")]
    connector: Option<PathBuf>,
    /// Show a connector this token, or what is in @FILE.
    #[arg(long, conflicts_with = "begin")]
    token: Option<String>,
    /// Begin a login at a connector, as with a browser.
    #[arg(long)]
    begin: bool,
    /// With --begin: as on a device without a browser.
    #[arg(long, requires = "begin")]
    device: bool,

    /// The answer to a challenge (JSON or @FILE), or the query that the browser comes back with
    /// (`code=...`); can be given again. `-` reads a line from standard input.
    #[arg(long, value_name = "ANSWER", allow_hyphen_values = true)]
    answer: Vec<String>,
}

/// What was found, for the user of the command.
enum Found {
    Proven(Value),
    NotYet(Value, String),
    Denied(Denial),
}

impl Trial {
    pub(super) async fn run(self) -> Result<()> {
        let bench = Bench::new(None)?;
        let name = self.component.name()?;
        let settings = named_settings(self.settings.as_deref())?;
        let setup = self
            .connector
            .as_deref()
            .map(check::connector)
            .transpose()?;
        let artifact = self.component.read()?;
        check::serve(&bench.registry, &name, artifact, settings, setup.clone()).await?;
        let found = match (bench.registry.method(&name), setup) {
            (Some(method), _) => self.log_in(&method).await?,
            (None, Some(setup)) => {
                let connector = bench.registry.connector(&name, setup).await?;
                self.connect(&connector).await?
            }
            (None, None) => bail!(
                "this plugin serves connectors: give one's configuration with --connector FILE"
            ),
        };
        match found {
            Found::Proven(told) => say(serde_json::to_string_pretty(&told)?),
            Found::NotYet(told, advice) => {
                say(serde_json::to_string_pretty(&told)?)?;
                eprintln!("{advice}");
                Ok(())
            }
            Found::Denied(denial) => {
                let told = json!({
                    "outcome": "denied", "reason": denial.reason.as_str(), "detail": denial.detail,
                });
                say(serde_json::to_string_pretty(&told)?)?;
                bail!("nothing was proven")
            }
        }
    }

    async fn log_in(&self, method: &Method) -> Result<Found> {
        let payload = self
            .payload
            .as_deref()
            .context("give what the client sends: --payload JSON or --payload @FILE")?;
        let account = match method.proves() {
            Proof::Account => Some(self.account()?),
            Proof::Subject => None,
        };
        let mut step = Step::new(object(payload)?);
        step.account = account.clone();
        let mut answers = self.answer.iter();
        loop {
            let challenge = match method.authenticate(step).await? {
                Outcome::Verified => return Ok(Found::Proven(json!({"outcome": "verified"}))),
                Outcome::Asserted(assertion) => return Ok(asserted(&assertion)),
                Outcome::Denied(denial) => return Ok(Found::Denied(denial)),
                Outcome::Challenged(challenge) => challenge,
            };
            let told = json!({
                "outcome": "challenged",
                "message": challenge.message,
                "expires_in": challenge.expires_in.as_secs(),
            });
            let Some(answer) = answers.next() else {
                let advice = "answer with --answer JSON, or with --answer - to write the answer \
                              when the challenge is there";
                return Ok(Found::NotYet(told, advice.to_owned()));
            };
            eprintln!("{}", serde_json::to_string_pretty(&told)?);
            step = Step::new(object(answer)?).answering(challenge.continuation);
            step.account = account.clone();
        }
    }

    fn account(&self) -> Result<Account> {
        let credential = |(number, text): (usize, &String)| {
            let (kind, blob) = text.split_once('=').context("a credential is TYPE=BLOB")?;
            Ok(Credential {
                id: number.to_string(),
                kind: kind.to_owned(),
                blob: blob.into(),
            })
        };
        let credentials = self.credential.iter().enumerate().map(credential);
        Ok(Account {
            user_id: UserId::from(self.user.clone()),
            credentials: credentials.collect::<Result<_>>()?,
        })
    }

    async fn connect(&self, connector: &Connector) -> Result<Found> {
        if let Some(token) = &self.token {
            return Ok(match connector.present(text(token)?.trim()).await? {
                Ok(assertion) => asserted(&assertion),
                Err(denial) => Found::Denied(denial),
            });
        }
        ensure!(self.begin, "say how to log in: --token TOKEN, or --begin");
        let way = match self.device {
            true => Way::Device,
            false => Way::Browser,
        };
        match connector.begin(way, REDIRECT_URI, STATE).await? {
            Begun::Denied(denial) => Ok(Found::Denied(denial)),
            Begun::Redirect {
                location,
                memory,
                expires_in,
            } => {
                let told = json!({
                    "outcome": "redirect",
                    "location": location,
                    "expires_in": expires_in.as_secs(),
                });
                let Some(answer) = self.answer.first() else {
                    let advice = "open the location, and answer with the query that the browser is \
                                  sent back with: --answer 'code=...', or --answer - to paste it";
                    return Ok(Found::NotYet(told, advice.to_owned()));
                };
                eprintln!("{}", serde_json::to_string_pretty(&told)?);
                let query = text(answer)?;
                let query = query.trim();
                let query = query.split_once('?').map_or(query, |(_, query)| query);
                let came = form_urlencoded::parse(query.as_bytes())
                    .filter(|(name, _)| name != "state") // the host has looked at it
                    .map(|(name, value)| (name.into_owned(), value.into_owned()))
                    .collect();
                completed(connector, came, memory).await
            }
            Begun::Device {
                message,
                memory,
                interval,
                ..
            } => {
                eprintln!("{}", serde_json::to_string_pretty(&message)?);
                tokio::time::sleep(interval).await;
                completed(connector, Vec::new(), memory).await
            }
        }
    }
}

/// Asks whether somebody has logged in, again and again while they have not.
async fn completed(
    connector: &Connector,
    came: Vec<(String, String)>,
    mut memory: String,
) -> Result<Found> {
    for _ in 0..QUESTIONS {
        let completed = connector.complete(REDIRECT_URI, came.clone(), memory);
        let interval: Duration = match completed.await? {
            Completed::Asserted(assertion) => return Ok(asserted(&assertion)),
            Completed::Denied(denial) => return Ok(Found::Denied(denial)),
            Completed::Pending {
                memory: next,
                interval,
            } => {
                memory = next;
                interval
            }
        };
        tokio::time::sleep(interval).await;
    }
    bail!("nobody logged in; {QUESTIONS} questions were asked")
}

fn asserted(assertion: &Assertion) -> Found {
    Found::Proven(json!({
        "outcome": "asserted",
        "subject": assertion.subject,
        "claims": assertion.claims,
    }))
}

/// An object that a client sends.
fn object(given: &str) -> Result<Value> {
    let object: Map<String, Value> = serde_json::from_str(&text(given)?)
        .map_err(|error| anyhow::anyhow!("line {}, column {}", error.line(), error.column()))
        .context("this is no JSON object")?;
    Ok(object.into())
}

/// A text as it was given, that in @FILE, or with `-` a line of standard input.
fn text(given: &str) -> Result<String> {
    if given == "-" {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line)?;
        return Ok(line);
    }
    match given.strip_prefix('@') {
        Some(file) => fs::read_to_string(file).with_context(|| format!("cannot read {file}")),
        None => Ok(given.to_owned()),
    }
}
