//! One version of a plugin, compiled, linked, configured and ready to be called.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::Instrument;
use wasmtime::{PoolConcurrencyLimitError, Trap, component::Component};

use crate::{
    Account, Assertion, Denial, Digest, Limits, Outcome, PluginError, PrepareError, Proof, Reason,
    Runtime, Settings,
    bindings::{AuthMethodPre, archstone::plugin::authentication as wire},
    breaker::Breaker,
    call::{Call, Exceeded, Granted},
    capabilities::{self, HttpClient},
    configuration::Configuration,
    description::Description,
};

/// The largest artifact. An interpreter with its standard library fits.
pub(crate) const LARGEST_ARTIFACT: usize = 64 << 20;

/// Methods that the host itself has. A plugin that took the name of one would never be asked.
const BUILT_IN: [&str; 7] = [
    "application_credential",
    "ec2credential",
    "external",
    "mapped",
    "oauth1",
    "password",
    "token",
];

const LONGEST_SUBJECT: usize = 255;
const LONGEST_DETAIL: usize = 1024;
pub(crate) const LONGEST_MEMORY: usize = 16 << 10;
pub(crate) const LONGEST_CHALLENGE: u32 = 600;

/// What tells one version of a method from another: the artifact and the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Revision {
    pub artifact: Digest,
    pub settings: Digest,
}

#[derive(Debug)]
pub(crate) struct LoadedPlugin {
    pub method: String,
    pub revision: Revision,
    pub description: Description,
    pub loaded_at: DateTime<Utc>,
    pub calls: AtomicU64,
    pub failures: AtomicU64,
    config: String,
    granted: Arc<Granted>,
    pre: Pre,
    turns: Semaphore,
    breaker: Breaker,
}

struct Pre(AuthMethodPre<Call>);

impl std::fmt::Debug for Pre {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuthMethodPre")
    }
}

/// What a call gave, before the registry keeps a challenge's memory.
#[derive(Debug)]
pub(crate) enum Answer {
    Final(Outcome),
    Challenge {
        message: Map<String, Value>,
        memory: String,
        expires_in: Duration,
    },
}

impl LoadedPlugin {
    /// Compiles or loads, links, asks for the description, and has the configuration checked.
    pub async fn prepare(
        runtime: &Runtime,
        method: &str,
        artifact: Vec<u8>,
        settings: Settings,
    ) -> Result<Self, PrepareError> {
        check_name(method)?;
        let revision = Revision {
            artifact: Digest::of(&artifact),
            settings: settings.digest(),
        };
        let component = compile(runtime.clone(), artifact, revision.artifact).await?;
        let linker = capabilities::link(runtime.engine(), &component, &settings.grant)?;
        let pre = linker
            .instantiate_pre(&component)
            .and_then(AuthMethodPre::new)
            .map_err(|error| PrepareError::WrongWorld {
                reason: format!("{error:#}"),
            })?;

        let bare = Arc::new(Granted {
            method: method.to_owned(),
            limits: settings.limits.clone(),
            secrets: Default::default(),
            credential_types: Vec::new(),
            http: None,
            runtime: runtime.clone(),
        });
        let description = Description::read(describe(&pre, &bare).await?, &settings.grant)?;
        let configuration = Configuration::read(settings.config, &description)?;
        let granted = Arc::new(Granted {
            method: method.to_owned(),
            secrets: configuration.secrets,
            credential_types: settings.grant.credentials.into_iter().collect(),
            http: settings.grant.http.map(HttpClient::new).transpose()?,
            limits: settings.limits,
            runtime: runtime.clone(),
        });
        check(&pre, &granted, &configuration.public).await?;

        let limits = &granted.limits;
        Ok(Self {
            method: method.to_owned(),
            revision,
            description,
            loaded_at: runtime.clock().now(),
            calls: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            config: configuration.public,
            turns: Semaphore::new(limits.concurrency as usize),
            breaker: Breaker::new(
                limits.breaker_failures,
                Duration::from_millis(limits.breaker_open_ms),
            ),
            pre: Pre(pre),
            granted,
        })
    }

    /// Looks at one step, within every limit. Counts and times it.
    pub async fn authenticate(
        &self,
        payload: &Value,
        account: Option<Account>,
        memory: Option<String>,
    ) -> Result<Answer, PluginError> {
        let began = Instant::now();
        let answer = self.admitted(payload, account, memory).await;
        self.calls.fetch_add(1, Ordering::Relaxed);
        match &answer {
            Ok(_) => self.breaker.succeeded(),
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                if error.is_the_plugins_fault() {
                    self.breaker.failed(Instant::now());
                }
                tracing::warn!(plugin = self.method, version = self.description.version, digest = %self.revision.artifact.short(), kind = error.kind(), %error, "a plugin call failed");
            }
        }
        self.measure(&answer, began.elapsed());
        answer
    }

    pub fn limits(&self) -> &Limits {
        &self.granted.limits
    }

    pub fn credential_types(&self) -> &[String] {
        &self.granted.credential_types
    }

    pub fn breaker_is_open(&self) -> bool {
        self.breaker.is_open()
    }

    async fn admitted(
        &self,
        payload: &Value,
        account: Option<Account>,
        memory: Option<String>,
    ) -> Result<Answer, PluginError> {
        let _turn = self.turn().await?;
        self.breaker
            .admit(Instant::now())
            .map_err(|retry_after| PluginError::BreakerOpen {
                method: self.method.clone(),
                retry_after,
            })?;
        let step = wire::Step {
            config: self.config.clone(),
            payload: payload.to_string(),
            account: account.as_ref().map(|account| wire::Account {
                handle: account.handle(&self.method),
            }),
            memory,
        };
        let span = tracing::info_span!(
            "plugin",
            method = self.method,
            version = self.description.version
        );
        let outcome = bounded(&self.granted, account, async |store| {
            let instance = self.pre.0.instantiate_async(&mut *store).await?;
            instance.call_authenticate(store, &step).await
        });
        self.accept(outcome.instrument(span).await?)
    }

    /// Waits for a turn, but not for long.
    async fn turn(&self) -> Result<SemaphorePermit<'_>, PluginError> {
        if let Ok(turn) = self.turns.try_acquire() {
            return Ok(turn);
        }
        let limits = self.limits();
        let patience = Duration::from_millis(limits.queue_ms);
        match tokio::time::timeout(patience, self.turns.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(PluginError::Busy {
                method: self.method.clone(),
                limit: limits.concurrency,
            }),
        }
    }

    /// Turns what the plugin answered into what the host works with, or refuses it.
    fn accept(&self, outcome: wire::Outcome) -> Result<Answer, PluginError> {
        match (outcome, self.description.proves) {
            (wire::Outcome::Verified, Proof::Account) => Ok(Answer::Final(Outcome::Verified)),
            (wire::Outcome::Asserted(said), Proof::Subject) => {
                if said.subject.is_empty() || said.subject.len() > LONGEST_SUBJECT {
                    return Err(self.broke("a subject that is empty or longer than 255 bytes"));
                }
                Ok(Answer::Final(Outcome::Asserted(Assertion {
                    method: self.method.clone(),
                    claims: self.object(&said.claims, "claims")?,
                    subject: said.subject,
                })))
            }
            (wire::Outcome::Challenged(said), _) => {
                if !(1..=LONGEST_CHALLENGE).contains(&said.expires_in) {
                    return Err(self.broke("a challenge that does not expire in 1 to 600 seconds"));
                }
                if said.memory.len() > LONGEST_MEMORY {
                    return Err(self.broke("a memory longer than 16 KiB"));
                }
                if serde_json::from_str::<IgnoredAny>(&said.memory).is_err() {
                    return Err(self.broke("a memory that is no JSON"));
                }
                Ok(Answer::Challenge {
                    message: self.object(&said.message, "challenge")?,
                    memory: said.memory,
                    expires_in: Duration::from_secs(said.expires_in.into()),
                })
            }
            (wire::Outcome::Denied(said), _) => Ok(Answer::Final(Outcome::Denied(Denial {
                reason: reason(said.reason),
                detail: shortened(said.detail),
            }))),
            (wire::Outcome::Verified, Proof::Subject) => {
                Err(self.broke("`verified`, though it proves subjects"))
            }
            (wire::Outcome::Asserted(_), Proof::Account) => {
                Err(self.broke("`asserted`, though it proves accounts"))
            }
        }
    }

    fn object(&self, text: &str, what: &str) -> Result<Map<String, Value>, PluginError> {
        let limit = self.limits().output_bytes;
        if text.len() > limit {
            let method = self.method.clone();
            return Err(PluginError::OutputTooLarge { method, limit });
        }
        serde_json::from_str(text).map_err(|_| self.broke(&format!("a {what} that is no object")))
    }

    fn broke(&self, what: &str) -> PluginError {
        PluginError::ContractBroken {
            method: self.method.clone(),
            what: what.to_owned(),
        }
    }

    fn measure(&self, answer: &Result<Answer, PluginError>, took: Duration) {
        let plugin = || self.method.clone();
        let version = || self.description.version.clone();
        let outcome = match answer {
            Ok(Answer::Final(Outcome::Verified)) => "verified",
            Ok(Answer::Final(Outcome::Asserted(_))) => "asserted",
            Ok(Answer::Final(Outcome::Denied(_))) => "denied",
            Ok(Answer::Challenge { .. } | Answer::Final(Outcome::Challenged(_))) => "challenged",
            Err(_) => "error",
        };
        metrics::counter!("archstone_plugin_calls_total", "plugin" => plugin(), "version" => version(), "outcome" => outcome).increment(1);
        metrics::histogram!("archstone_plugin_call_seconds", "plugin" => plugin(), "version" => version()).record(took);
        if let Err(error) = answer {
            metrics::counter!("archstone_plugin_errors_total", "plugin" => plugin(), "version" => version(), "kind" => error.kind()).increment(1);
        }
    }
}

/// A method's name is a key in requests, a file name, and part of a state scope.
pub(crate) fn check_name(name: &str) -> Result<(), PrepareError> {
    if BUILT_IN.contains(&name) {
        return Err(PrepareError::BuiltIn {
            name: name.to_owned(),
        });
    }
    let good = (1..=48).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
    good.then_some(()).ok_or_else(|| PrepareError::BadName {
        name: name.to_owned(),
    })
}

async fn compile(
    runtime: Runtime,
    artifact: Vec<u8>,
    digest: Digest,
) -> Result<Component, PrepareError> {
    if artifact.len() > LARGEST_ARTIFACT {
        return Err(PrepareError::ArtifactTooLarge {
            size: artifact.len(),
            limit: LARGEST_ARTIFACT,
        });
    }
    if artifact.starts_with(b"\0asm\x01\0\0\0") {
        return Err(PrepareError::NotAComponent);
    }
    let work = move || {
        let engine = runtime.engine();
        if let Some(component) = runtime.cache().and_then(|cache| cache.load(engine, digest)) {
            metrics::counter!("archstone_plugin_cache_total", "result" => "hit").increment(1);
            return Ok(component);
        }
        metrics::counter!("archstone_plugin_cache_total", "result" => "miss").increment(1);
        let began = Instant::now();
        let component = Component::from_binary(engine, &artifact)?;
        if let Some(cache) = runtime.cache() {
            cache.keep(digest, &component.serialize()?);
        }
        tracing::debug!(digest = %digest.short(), took = ?began.elapsed(), "compiled a plugin");
        Ok(component)
    };
    let compiled: Result<wasmtime::Result<Component>, _> = tokio::task::spawn_blocking(work).await;
    let reason = match compiled {
        Ok(Ok(component)) => return Ok(component),
        Ok(Err(error)) => format!("{error:#}"),
        Err(error) => error.to_string(),
    };
    Err(PrepareError::DoesNotCompile { reason })
}

async fn describe(
    pre: &AuthMethodPre<Call>,
    granted: &Arc<Granted>,
) -> Result<crate::bindings::archstone::plugin::types::Description, PrepareError> {
    let description = bounded(granted, None, async |store| {
        let instance = pre.instantiate_async(&mut *store).await?;
        instance.call_describe(store).await
    });
    Ok(description.await?)
}

async fn check(
    pre: &AuthMethodPre<Call>,
    granted: &Arc<Granted>,
    config: &String,
) -> Result<(), PrepareError> {
    let checked = bounded(granted, None, async |store| {
        let instance = pre.instantiate_async(&mut *store).await?;
        instance.call_check(store, config).await
    });
    checked.await?.map_err(|error| PrepareError::ConfigRefused {
        pointer: shortened(error.pointer),
        message: shortened(error.message),
    })
}

/// Runs one call in a fresh instance, within the limits of `granted`.
async fn bounded<T>(
    granted: &Arc<Granted>,
    account: Option<Account>,
    work: impl AsyncFnOnce(&mut wasmtime::Store<Call>) -> wasmtime::Result<T>,
) -> Result<T, PluginError> {
    let mut store = Call::store(granted, account);
    let limit = granted.limits.deadline();
    match tokio::time::timeout(limit, work(&mut store)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(classify(granted, store.data().exceeded, &error)),
        Err(_) => Err(PluginError::DeadlineExceeded {
            method: granted.method.clone(),
            limit,
        }),
    }
}

fn classify(granted: &Granted, exceeded: Option<Exceeded>, error: &wasmtime::Error) -> PluginError {
    let method = granted.method.clone();
    let limits = &granted.limits;
    match exceeded {
        Some(Exceeded::Memory) => {
            let limit = limits.memory_bytes;
            return PluginError::OutOfMemory { method, limit };
        }
        Some(Exceeded::Cpu) => {
            let limit = limits.cpu();
            return PluginError::CpuExceeded { method, limit };
        }
        None => {}
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        let trap = trap.to_string();
        return PluginError::Trapped { method, trap };
    }
    if error.is::<PoolConcurrencyLimitError>() {
        let limit = limits.concurrency;
        return PluginError::Busy { method, limit };
    }
    // What is neither is the host refusing to read what the guest handed over: text that is not
    // UTF-8, pointers out of bounds, or more bytes than a call may move.
    PluginError::ContractBroken {
        method,
        what: shortened(format!("what cannot be read ({})", error.root_cause())),
    }
}

fn reason(reason: wire::Reason) -> Reason {
    match reason {
        wire::Reason::Malformed => Reason::Malformed,
        wire::Reason::Rejected => Reason::Rejected,
        wire::Reason::Replayed => Reason::Replayed,
        wire::Reason::Expired => Reason::Expired,
        wire::Reason::NotEnrolled => Reason::NotEnrolled,
        wire::Reason::Unavailable => Reason::Unavailable,
    }
}

fn shortened(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(LONGEST_DETAIL));
    text
}
