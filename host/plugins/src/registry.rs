//! Which plugin serves which method, now. Swapped as a whole; never locked while a plugin runs.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;

use crate::{
    Connector, ConnectorSetup, Decision, Digest, Enrollable, Kind, LastError, Method, Outcome,
    PluginError, PluginProfile, PluginState, PluginStatus, PrepareError, Reach, Refusal, Runtime,
    Settings, Step,
    connectors::Connectors,
    plugin::{LONGEST_CHALLENGE, LoadedPlugin, Revision},
};

/// How many versions that were replaced are kept for the logins that began on them.
pub(crate) const RETIRED_VERSIONS: usize = 4;
pub(crate) const RETIREMENT: Duration = Duration::from_secs(LONGEST_CHALLENGE as u64);

/// All plugins of this process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Registry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    runtime: Runtime,
    methods: ArcSwap<BTreeMap<String, Arc<Versions>>>,
    connectors: Connectors,
    errors: Mutex<BTreeMap<String, LastError>>,
}

/// One method's serving version, and those that it replaced not long ago.
#[derive(Debug, Clone)]
pub(crate) struct Versions {
    pub serving: Arc<LoadedPlugin>,
    retired: Vec<(Instant, Arc<LoadedPlugin>)>,
}

/// A version that is ready to serve, and does not yet.
#[derive(Debug)]
#[must_use = "it serves once it is published"]
pub struct Candidate(LoadedPlugin);

impl Candidate {
    pub fn method(&self) -> &str {
        &self.0.method
    }

    /// What the plugin calls its version.
    pub fn version(&self) -> &str {
        &self.0.description.version
    }

    pub fn digest(&self) -> Digest {
        self.0.revision.artifact
    }
}

impl Registry {
    pub fn new(runtime: Runtime) -> Self {
        Self(Arc::new(Inner {
            runtime,
            methods: ArcSwap::default(),
            connectors: Connectors::default(),
            errors: Mutex::default(),
        }))
    }

    /// Prepares a version aside: compiles it or loads it from the cache, links what it was
    /// granted, asks it to describe itself and to check its configuration. What serves is not
    /// touched.
    ///
    /// # Errors
    /// Why it cannot serve; [`Registry::status`] shows it too, until a version is published.
    pub async fn prepare(
        &self,
        method: &str,
        artifact: Vec<u8>,
        settings: Settings,
    ) -> Result<Candidate, PrepareError> {
        let digest = Digest::of(&artifact);
        let runtime = &self.0.runtime;
        match LoadedPlugin::prepare(runtime, method, artifact, settings).await {
            Ok(plugin) => Ok(Candidate(plugin)),
            Err(error) => {
                self.refuse(method, Some(digest), &error);
                Err(error)
            }
        }
    }

    /// Prepares a version that may never serve. What fails is not held against those that do.
    ///
    /// # Errors
    /// Why it could not serve.
    pub async fn rehearse(
        &self,
        method: &str,
        artifact: Vec<u8>,
        settings: Settings,
    ) -> Result<Candidate, PrepareError> {
        let prepared = LoadedPlugin::prepare(&self.0.runtime, method, artifact, settings);
        prepared.await.map(Candidate)
    }

    /// Whether some version serves under this name.
    pub fn serves(&self, name: &str) -> bool {
        self.0.methods.load().contains_key(name)
    }

    /// Lets a candidate serve. Calls that run finish on the version they began with, and so do
    /// logins that were challenged by it.
    pub fn publish(&self, candidate: Candidate) {
        let plugin = Arc::new(candidate.0);
        let method = plugin.method.clone();
        self.errors().remove(&method);
        self.change(|methods| {
            let retired = methods.get(&method).map(|old| old.retire());
            let versions = Versions {
                serving: Arc::clone(&plugin),
                retired: retired.unwrap_or_default(),
            };
            methods.insert(method.clone(), Arc::new(versions));
        });
        tracing::info!(plugin = method, version = plugin.description.version, digest = %plugin.revision.artifact.short(), "a plugin serves");
    }

    /// Ends a method. Calls that run finish.
    pub fn withdraw(&self, method: &str) {
        self.errors().remove(method);
        self.change(|methods| {
            methods.remove(method);
        });
        tracing::info!(plugin = method, "a plugin is withdrawn");
    }

    /// The method's serving version. What is asked of it goes to that version, whatever is
    /// published meanwhile.
    pub fn method(&self, name: &str) -> Option<Method> {
        let methods = self.0.methods.load();
        let versions = methods.get(name)?;
        (versions.serving.kind() == Kind::AuthMethod).then(|| self.as_method(versions))
    }

    /// The serving version of a method that users enrol in, as [`Self::method`] gives others.
    pub fn enrollable(&self, name: &str) -> Option<Enrollable> {
        let methods = self.0.methods.load();
        let versions = methods.get(name)?;
        (versions.serving.kind() == Kind::EnrollableMethod)
            .then(|| Enrollable(self.as_method(versions)))
    }

    /// Whether a plugin serves this method now.
    pub fn serves_method(&self, name: &str) -> bool {
        let methods = self.0.methods.load();
        let serving = methods.get(name).map(|versions| versions.serving.kind());
        serving.is_some_and(Kind::is_method)
    }

    fn as_method(&self, versions: &Arc<Versions>) -> Method {
        Method {
            versions: Arc::clone(versions),
            runtime: self.0.runtime.clone(),
        }
    }

    /// The names of the methods that serve.
    pub fn methods(&self) -> Vec<String> {
        let methods = self.0.methods.load();
        methods
            .values()
            .filter(|versions| versions.serving.kind().is_method())
            .map(|versions| versions.serving.method.clone())
            .collect()
    }

    /// What is known of the plugin that serves connectors under this name.
    ///
    /// # Errors
    /// [`PluginError::UnknownMethod`] where none does.
    pub fn connector_plugin(&self, name: &str) -> Result<PluginProfile, PluginError> {
        let plugin = self.serving_connectors(name)?;
        Ok(PluginProfile::of(&plugin))
    }

    /// What is known of any plugin that serves, for an operator.
    pub fn describe(&self, name: &str) -> Option<PluginProfile> {
        let methods = self.0.methods.load();
        let versions = methods.get(name)?;
        Some(PluginProfile::of(&versions.serving))
    }

    /// Whether a connector could serve: everything that [`Self::connector`] does, and the plugin
    /// looks at the configuration. Nothing goes live.
    ///
    /// # Errors
    /// Why it cannot.
    pub async fn check_connector(
        &self,
        plugin: &str,
        setup: ConnectorSetup,
    ) -> Result<Connector, PrepareError> {
        let plugin = self.serving_connectors(plugin)?;
        let connector = make_connector(plugin, setup, Reach::default()).await?;
        connector.check().await?;
        Ok(Connector(Arc::new(connector)))
    }

    /// The connector of this setup on the version of the plugin that serves. Made once for each
    /// revision; logins that began on an earlier one find it by [`Self::connector_at`].
    ///
    /// # Errors
    /// Why it cannot be made.
    pub async fn connector(
        &self,
        plugin: &str,
        setup: ConnectorSetup,
    ) -> Result<Connector, PrepareError> {
        self.connector_with(plugin, setup, Reach::default()).await
    }

    /// As [`Self::connector`], for one that speaks to its servers in a protocol of its own. What it
    /// reaches changes with the revision. The plugin has looked at the configuration when this
    /// returns.
    ///
    /// # Errors
    /// Why it cannot be made.
    pub async fn directory(
        &self,
        plugin: &str,
        setup: ConnectorSetup,
        reach: Reach,
    ) -> Result<Connector, PrepareError> {
        let made = self.connector_with(plugin, setup, reach).await?;
        if made.0.kind() != Kind::DirectoryConnector {
            return Err(PrepareError::WrongWorld {
                reason: "it is no connector to a directory".to_owned(),
            });
        }
        made.0.check().await?;
        Ok(made)
    }

    async fn connector_with(
        &self,
        plugin: &str,
        setup: ConnectorSetup,
        reach: Reach,
    ) -> Result<Connector, PrepareError> {
        let plugin = self.serving_connectors(plugin)?;
        let revision = plugin.revision_of(&setup);
        if let Some(made) = self.0.connectors.at(&setup.id, revision) {
            return Ok(Connector(made));
        }
        let made = Arc::new(make_connector(plugin, setup, reach).await?);
        self.0.connectors.keep(Arc::clone(&made));
        Ok(Connector(made))
    }

    /// The connector at the revision that a login began on, if it is still known here.
    pub fn connector_at(&self, id: &str, revision: &str) -> Option<Connector> {
        self.0.connectors.named(id, revision).map(Connector)
    }

    /// Has a plugin take events elsewhere.
    ///
    /// # Errors
    /// [`PluginError::UnknownMethod`] where there is none of this name, and those of any call.
    pub async fn deliver(
        &self,
        sink: &str,
        events: &[serde_json::Value],
    ) -> Result<Result<(), Refusal>, PluginError> {
        self.of_kind(sink, Kind::EventSink)?.deliver(events).await
    }

    /// Asks a plugin whether somebody may do what policy lets them do. `credentials` and `target`
    /// are JSON objects.
    ///
    /// # Errors
    /// As for [`Self::deliver`].
    pub async fn decide(
        &self,
        authorizer: &str,
        action: &str,
        credentials: String,
        target: String,
    ) -> Result<Decision, PluginError> {
        let plugin = self.of_kind(authorizer, Kind::Authorizer)?;
        plugin.decide(action, credentials, target).await
    }

    fn of_kind(&self, name: &str, kind: Kind) -> Result<Arc<LoadedPlugin>, PluginError> {
        let methods = self.0.methods.load();
        methods
            .get(name)
            .map(|versions| &versions.serving)
            .filter(|plugin| plugin.kind() == kind)
            .cloned()
            .ok_or_else(|| PluginError::UnknownMethod {
                method: name.to_owned(),
            })
    }

    fn serving_connectors(&self, name: &str) -> Result<Arc<LoadedPlugin>, PluginError> {
        let methods = self.0.methods.load();
        methods
            .get(name)
            .map(|versions| &versions.serving)
            .filter(|plugin| plugin.kind().is_connector())
            .cloned()
            .ok_or_else(|| PluginError::UnknownMethod {
                method: name.to_owned(),
            })
    }

    /// Looks at one step of a login: [`Method::authenticate`] of the serving version.
    ///
    /// # Errors
    /// [`PluginError::UnknownMethod`], and those of [`Method::authenticate`].
    pub async fn authenticate(&self, method: &str, step: Step) -> Result<Outcome, PluginError> {
        let Some(method) = self.method(method) else {
            let method = method.to_owned();
            return Err(PluginError::UnknownMethod { method });
        };
        method.authenticate(step).await
    }

    /// How every plugin is doing, those included that never served.
    pub fn status(&self) -> Vec<PluginStatus> {
        let methods = self.0.methods.load();
        let mut errors = self.errors().clone();
        let mut all: Vec<_> = methods
            .values()
            .map(|versions| {
                let last_error = errors.remove(&versions.serving.method);
                versions.status(last_error)
            })
            .collect();
        let failed = errors.into_iter().map(|(method, error)| PluginStatus {
            method,
            state: PluginState::Failed,
            serving: None,
            last_error: Some(error),
        });
        all.extend(failed);
        all.sort_by(|a, b| a.method.cmp(&b.method));
        all
    }

    /// Forgets replaced versions whose last challenge has expired, and connectors that nobody asks
    /// for. To be called now and then.
    pub fn forget_retired(&self) {
        self.0.connectors.forget_retired();
        let expired = |versions: &Versions| {
            let now = Instant::now();
            versions
                .retired
                .iter()
                .any(|(since, _)| now - *since > RETIREMENT)
        };
        if self
            .0
            .methods
            .load()
            .values()
            .any(|versions| expired(versions))
        {
            self.change(|methods| {
                for versions in methods.values_mut().filter(|versions| expired(versions)) {
                    let mut kept = Versions::clone(versions);
                    kept.retired
                        .retain(|(since, _)| since.elapsed() <= RETIREMENT);
                    *versions = Arc::new(kept);
                }
            });
        }
    }

    /// Remembers why a version does not serve.
    pub(crate) fn refuse(&self, method: &str, digest: Option<Digest>, error: &PrepareError) {
        let last = LastError {
            at: self.0.runtime.clock().now(),
            digest,
            message: error.to_string(),
        };
        tracing::error!(plugin = method, %error, "a plugin version does not go live");
        self.errors().insert(method.to_owned(), last);
    }

    fn change(&self, edit: impl Fn(&mut BTreeMap<String, Arc<Versions>>)) {
        self.0.methods.rcu(|methods| {
            let mut methods = BTreeMap::clone(methods);
            edit(&mut methods);
            methods
        });
    }

    fn errors(&self) -> MutexGuard<'_, BTreeMap<String, LastError>> {
        self.0.errors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Making one reads files and sets up TLS, which is no work for the threads that serve.
async fn make_connector(
    plugin: Arc<LoadedPlugin>,
    setup: ConnectorSetup,
    reach: Reach,
) -> Result<LoadedPlugin, PrepareError> {
    let made = tokio::task::spawn_blocking(move || plugin.connect(setup, &reach)).await;
    made.unwrap_or_else(|error| {
        Err(PrepareError::WrongWorld {
            reason: error.to_string(),
        })
    })
}

impl Versions {
    /// What is kept of this method's versions when another takes over.
    fn retire(&self) -> Vec<(Instant, Arc<LoadedPlugin>)> {
        let now = Instant::now();
        let retired = self.retired.iter().cloned();
        std::iter::once((now, Arc::clone(&self.serving)))
            .chain(retired.filter(|(since, _)| now - *since <= RETIREMENT))
            .take(RETIRED_VERSIONS)
            .collect()
    }

    pub fn of_revision(&self, revision: Revision) -> Option<&Arc<LoadedPlugin>> {
        std::iter::once(&self.serving)
            .chain(self.retired.iter().map(|(_, plugin)| plugin))
            .find(|plugin| plugin.revision == revision)
    }

    fn status(&self, last_error: Option<LastError>) -> PluginStatus {
        let plugin = &self.serving;
        PluginStatus {
            method: plugin.method.clone(),
            state: match last_error {
                None => PluginState::Serving,
                Some(_) => PluginState::ServingOlder,
            },
            serving: Some(crate::Serving {
                plugin: plugin.description.plugin.clone(),
                version: plugin.description.version.clone(),
                summary: plugin.description.summary.clone(),
                digest: plugin.revision.artifact,
                settings: plugin.revision.settings,
                loaded_at: plugin.loaded_at,
                calls: plugin.calls.load(Ordering::Relaxed),
                failures: plugin.failures.load(Ordering::Relaxed),
                breaker_open: plugin.breaker_is_open(),
            }),
            last_error,
        }
    }
}
