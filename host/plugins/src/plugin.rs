//! One version of a plugin, compiled, linked, configured and ready to be called.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::Instrument;
use wasmtime::{Store, component::Component};

use crate::{
    Account, ConnectorRule, Digest, Kind, Limits, PluginError, PrepareError, Runtime, Settings,
    breaker::Breaker,
    call::{Call, Granted},
    capabilities::{self, HttpClient, StreamClient},
    configuration::Configuration,
    connector::{ConnectorSetup, Reach},
    description::Description,
    run::{bounded, shortened},
    worlds::World,
};

/// The largest artifact. An interpreter with its standard library fits.
pub const LARGEST_ARTIFACT: usize = 64 << 20;

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

pub(crate) const LONGEST_MEMORY: usize = 16 << 10;
pub(crate) const LONGEST_CHALLENGE: u32 = 600;

/// What tells one version of a method or connector from another: the artifact and the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Revision {
    pub artifact: Digest,
    pub settings: Digest,
}

#[derive(Debug)]
pub(crate) struct LoadedPlugin {
    /// The name it is installed by, which for a method is the method's.
    pub method: String,
    /// The connector, where it serves one.
    pub connector: Option<String>,
    pub revision: Revision,
    pub description: Description,
    pub loaded_at: DateTime<Utc>,
    pub calls: AtomicU64,
    pub failures: AtomicU64,
    pub config: String,
    settings: Settings,
    granted: Arc<Granted>,
    /// Linked with what the operator grants, which is the same for all connectors of a plugin.
    world: Arc<World>,
    turns: Semaphore,
    breaker: Breaker,
}

impl LoadedPlugin {
    /// Compiles or loads, links, and asks for the description. A method has its configuration
    /// checked; what serves connectors has none of its own.
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
        let world = Arc::new(World::new(runtime.engine(), &component, &linker)?);
        let bare = Arc::new(Granted::nothing(runtime, method, &settings.limits));
        let described = bounded(&bare, None, async |store| world.describe(store).await).await?;
        let description = Description::read(described, &settings.grant)?;
        if world.kind().is_connector() {
            if !settings.config.is_empty() {
                return Err(PrepareError::BadSettings {
                    reason: "`config`: each connector of this plugin has its own".to_owned(),
                });
            }
            return Ok(Self::assemble(
                bare,
                world,
                description,
                revision,
                settings,
                None,
                String::new(),
            ));
        }
        let configuration = Configuration::read(settings.config.clone(), &description)?;
        let granted = Arc::new(Granted {
            secrets: configuration.secrets,
            credential_types: settings.grant.credentials.iter().cloned().collect(),
            http: settings
                .grant
                .http
                .clone()
                .map(|http| HttpClient::new(http, BTreeSet::new()))
                .transpose()?,
            stream: settings
                .grant
                .stream
                .as_ref()
                .map(|stream| StreamClient::new(stream, &Reach::default()))
                .transpose()?,
            ..Granted::nothing(runtime, method, &settings.limits)
        });
        let plugin = Self::assemble(
            granted,
            world,
            description,
            revision,
            settings,
            None,
            configuration.public,
        );
        plugin.check().await?;
        Ok(plugin)
    }

    /// Makes a connector of a plugin that serves connectors: it may reach what the operator allows
    /// it and its owner asks for. Whether its configuration works is for [`Self::check`].
    pub fn connect(&self, setup: ConnectorSetup, reach: &Reach) -> Result<Self, PrepareError> {
        let runtime = &self.granted.runtime;
        let revision = self.revision_of(&setup);
        let configuration = Configuration::of_owner(setup.config, &self.description)?;
        let grant = &self.settings.grant;
        let named = self.settings.named_by_owner(&configuration.servers)?;
        let granted = Arc::new(Granted {
            namespace: format!("connector/{}", setup.id),
            secrets: configuration.secrets,
            http: grant
                .http
                .clone()
                .map(|http| HttpClient::new(http, named))
                .transpose()?,
            stream: grant
                .stream
                .as_ref()
                .map(|stream| StreamClient::new(stream, reach))
                .transpose()?,
            ..Granted::nothing(runtime, &self.method, &self.settings.limits)
        });
        Ok(Self::assemble(
            granted,
            Arc::clone(&self.world),
            self.description.clone(),
            revision,
            self.settings.clone(),
            Some(setup.id),
            configuration.public,
        ))
    }

    /// The revision that a connector of this setup has on this version.
    pub fn revision_of(&self, setup: &ConnectorSetup) -> Revision {
        let settings = &self.revision.settings;
        let text = format!("{settings} {} {}", setup.id, setup.revision);
        Revision {
            artifact: self.revision.artifact,
            settings: Digest::of(text.as_bytes()),
        }
    }

    fn assemble(
        granted: Arc<Granted>,
        world: Arc<World>,
        description: Description,
        revision: Revision,
        settings: Settings,
        connector: Option<String>,
        config: String,
    ) -> Self {
        let limits = &granted.limits;
        Self {
            method: granted.method.clone(),
            connector,
            revision,
            description,
            loaded_at: granted.runtime.clock().now(),
            calls: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            config,
            settings,
            turns: Semaphore::new(limits.concurrency as usize),
            breaker: Breaker::new(
                limits.breaker_failures,
                Duration::from_millis(limits.breaker_open_ms),
            ),
            world,
            granted,
        }
    }

    /// Has the plugin look at its configuration.
    pub async fn check(&self) -> Result<(), PrepareError> {
        let checked = bounded(&self.granted, None, async |store| {
            self.world.check(store, &self.config).await
        });
        checked.await?.map_err(|error| PrepareError::ConfigRefused {
            pointer: shortened(error.pointer),
            message: shortened(error.message),
        })
    }

    pub fn kind(&self) -> Kind {
        self.world.kind()
    }

    /// What the operator lets the owners of connectors decide.
    pub fn rule(&self) -> &ConnectorRule {
        &self.settings.connectors
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

    /// Makes one call, within every limit, and reads its answer. Counts and times it.
    pub async fn call<T, A>(
        &self,
        account: Option<Account>,
        work: impl AsyncFnOnce(&World, &mut Store<Call>) -> wasmtime::Result<T>,
        accept: impl FnOnce(T) -> Result<A, PluginError>,
        word: impl FnOnce(&A) -> &'static str,
    ) -> Result<A, PluginError> {
        let began = Instant::now();
        let answer = match self.admitted(account, work).await {
            Ok(said) => accept(said),
            Err(error) => Err(error),
        };
        self.calls.fetch_add(1, Ordering::Relaxed);
        match &answer {
            Ok(_) => self.breaker.succeeded(),
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                if error.is_the_plugins_fault() {
                    self.breaker.failed(Instant::now());
                }
                tracing::warn!(plugin = self.method, connector = self.connector, version = self.description.version, digest = %self.revision.artifact.short(), kind = error.kind(), %error, "a plugin call failed");
            }
        }
        self.measure(answer.as_ref().map(word), began.elapsed());
        answer
    }

    async fn admitted<T>(
        &self,
        account: Option<Account>,
        work: impl AsyncFnOnce(&World, &mut Store<Call>) -> wasmtime::Result<T>,
    ) -> Result<T, PluginError> {
        let _turn = self.turn().await?;
        self.breaker
            .admit(Instant::now())
            .map_err(|retry_after| PluginError::BreakerOpen {
                method: self.method.clone(),
                retry_after,
            })?;
        let span = tracing::info_span!(
            "plugin",
            method = self.method,
            connector = self.connector,
            version = self.description.version
        );
        let call = bounded(&self.granted, account, async |store| {
            work(&self.world, store).await
        });
        call.instrument(span).await
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

    fn measure(&self, outcome: Result<&'static str, &PluginError>, took: Duration) {
        let labels = || {
            [
                metrics::Label::new("plugin", self.method.clone()),
                metrics::Label::new("version", self.description.version.clone()),
                metrics::Label::new("connector", self.connector.clone().unwrap_or_default()),
            ]
        };
        let with = |name: &'static str, value: &'static str| {
            let mut labels = labels().to_vec();
            labels.push(metrics::Label::from_static_parts(name, value));
            labels
        };
        let word = outcome.unwrap_or("error");
        metrics::counter!("archstone_plugin_calls_total", with("outcome", word)).increment(1);
        metrics::histogram!("archstone_plugin_call_seconds", labels().to_vec()).record(took);
        if let Err(error) = outcome {
            metrics::counter!("archstone_plugin_errors_total", with("kind", error.kind()))
                .increment(1);
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

/// Compiles what the operator trusts.
async fn compile(
    runtime: Runtime,
    artifact: Vec<u8>,
    digest: Digest,
) -> Result<Component, PrepareError> {
    refuse_by_look(&artifact)?;
    let work = move || {
        if let Some(signers) = runtime.signers() {
            signers.verify(&artifact)?;
        }
        compile_or_load(&runtime, &artifact, digest)
    };
    off_the_serving_threads(work).await
}

/// Compiles what is only looked at, whoever it is from.
pub(crate) async fn compile_aside(
    runtime: Runtime,
    artifact: Vec<u8>,
    digest: Digest,
) -> Result<Component, PrepareError> {
    refuse_by_look(&artifact)?;
    off_the_serving_threads(move || compile_or_load(&runtime, &artifact, digest)).await
}

fn refuse_by_look(artifact: &[u8]) -> Result<(), PrepareError> {
    if artifact.len() > LARGEST_ARTIFACT {
        return Err(PrepareError::ArtifactTooLarge {
            size: artifact.len(),
            limit: LARGEST_ARTIFACT,
        });
    }
    if artifact.starts_with(b"\0asm\x01\0\0\0") {
        return Err(PrepareError::NotAComponent);
    }
    Ok(())
}

async fn off_the_serving_threads(
    work: impl FnOnce() -> Result<Component, PrepareError> + Send + 'static,
) -> Result<Component, PrepareError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(compiled) => compiled,
        Err(error) => Err(PrepareError::DoesNotCompile {
            reason: error.to_string(),
        }),
    }
}

fn compile_or_load(
    runtime: &Runtime,
    artifact: &[u8],
    digest: Digest,
) -> Result<Component, PrepareError> {
    let load = || {
        let engine = runtime.engine();
        if let Some(component) = runtime.cache().and_then(|cache| cache.load(engine, digest)) {
            metrics::counter!("archstone_plugin_cache_total", "result" => "hit").increment(1);
            return Ok(component);
        }
        metrics::counter!("archstone_plugin_cache_total", "result" => "miss").increment(1);
        let began = Instant::now();
        let component = Component::from_binary(engine, artifact)?;
        if let Some(cache) = runtime.cache() {
            cache.keep(digest, &component.serialize()?);
        }
        tracing::debug!(digest = %digest.short(), took = ?began.elapsed(), "compiled a plugin");
        Ok(component)
    };
    load().map_err(|error: wasmtime::Error| PrepareError::DoesNotCompile {
        reason: format!("{error:#}"),
    })
}
