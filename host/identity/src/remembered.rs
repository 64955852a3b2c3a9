//! Tokens that were found valid, remembered so that the next request with one asks the database
//! nothing.
//!
//! What is remembered counts only at the point in history that it was read at
//! ([`Store::generation`](archstone_store::Store::generation)): a write here ends that point at once, a
//! write of another node when this one looks, and where nobody could look for a second, nothing counts.

use std::{
    collections::HashMap,
    hash::Hash,
    ops::Deref,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use archstone_model::{
    catalog::{Endpoint, EndpointFilter, Service, ServiceFilter},
    federation::{ProviderFilter, ServiceProvider},
    id::{DomainId, ProjectId, RoleId},
    policy::Credentials,
    project::{Domain, Project},
    role::Role,
    roles::{Place, RoleInference},
};
use archstone_store::Generation;
use bytes::Bytes;
use moka::sync::Cache;

use crate::{
    Identity, Result, caller, endpoint_filters::ChosenEndpoints,
    known_revocations::KnownRevocations, known_users::KnownUsers, subject::ValidToken,
};

/// How much may be remembered, in bytes, about.
const CAPACITY: u64 = 48 * 1024 * 1024;

/// What a token costs to remember, beside the answers that it is shown with.
const TOKEN_SIZE: usize = 2048;

/// How long something is remembered that may change without a write here: who is in a directory, and
/// whom an identity provider vouches for until when.
const LONGEST_OF_OTHERS: Duration = Duration::from_secs(5);

/// How often to look for changes of other nodes.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How often rows of nodes that are no more are dropped.
const TIDY_EVERY: Duration = Duration::from_secs(3600);

/// SHA-256 of a token: what is remembered under it cannot be used as a token.
type Digest = [u8; 32];

/// A valid token, what policy reads of it, and how it is shown.
#[derive(Debug)]
pub struct Validated {
    token: Arc<ValidToken>,
    credentials: Arc<Credentials>,
    digest: Digest,
    /// The whole answer that shows the token, with the catalog and without.
    shown: [OnceLock<Bytes>; 2],
}

impl Validated {
    pub(crate) fn new(text: &str, token: ValidToken) -> Self {
        let credentials = Arc::new(caller::project(&token));
        Self {
            token: Arc::new(token),
            credentials,
            digest: digest(text),
            shown: Default::default(),
        }
    }

    pub(crate) fn token(&self) -> Arc<ValidToken> {
        Arc::clone(&self.token)
    }

    pub(crate) fn credentials(&self) -> Arc<Credentials> {
        Arc::clone(&self.credentials)
    }

    /// The answer that showed this token last.
    pub fn shown(&self, with_catalog: bool) -> Option<Bytes> {
        self.shown[usize::from(with_catalog)].get().cloned()
    }

    fn size(&self) -> usize {
        let shown = self.shown.iter().filter_map(OnceLock::get).map(Bytes::len);
        TOKEN_SIZE + shown.sum::<usize>()
    }
}

impl Deref for Validated {
    type Target = ValidToken;

    fn deref(&self) -> &ValidToken {
        &self.token
    }
}

/// A token with the point in history that it was found valid at.
#[derive(Debug)]
struct Remembered {
    validated: Arc<Validated>,
    tokens: u64,
    /// The revocations that it was held against; 0 before the first time.
    revocations: AtomicU64,
    since: Instant,
    longest: Duration,
}

/// Something that is the same for everybody, as it was at a point in history.
#[derive(Debug)]
struct Fact<T> {
    value: Arc<T>,
    tokens: u64,
    since: Instant,
}

/// Where a fact is kept.
type Slot<T> = ArcSwapOption<Fact<T>>;

/// Where facts about each of many are kept.
type Slots<K, T> = Cache<K, Arc<Fact<T>>>;

/// The most domains, and the most projects, that something is remembered of.
const MOST_PLACES: u64 = 5_000;

/// The services and endpoints that catalogs are made of.
#[derive(Debug)]
pub(crate) struct CatalogParts {
    pub(crate) services: Vec<Service>,
    pub(crate) endpoints: Vec<Endpoint>,
}

/// What this node remembers.
#[derive(Debug)]
pub(crate) struct Memory {
    inference: Slot<RoleInference>,
    roles: Slot<HashMap<RoleId, Role>>,
    catalog: Slot<CatalogParts>,
    service_providers: Slot<Vec<ServiceProvider>>,
    domains: Slots<DomainId, Domain>,
    projects: Slots<ProjectId, (Project, Place)>,
    chosen_endpoints: Slots<ProjectId, ChosenEndpoints>,
    pub(crate) users: KnownUsers,
    tokens: Cache<Digest, Arc<Remembered>>,
    pub(crate) revocations: KnownRevocations,
    longest: Duration,
}

impl Memory {
    /// `longest` is how long a token is remembered whatever happens: another program that writes the
    /// database may change what it means. Nothing is remembered where it is zero.
    pub(crate) fn new(longest: Duration) -> Self {
        let size = |_: &Digest, remembered: &Arc<Remembered>| {
            u32::try_from(remembered.validated.size()).unwrap_or(u32::MAX)
        };
        Self {
            tokens: Cache::builder()
                .weigher(size)
                .max_capacity(CAPACITY)
                // What counts no more takes no room either.
                .time_to_live(longest)
                .build(),
            inference: Slot::empty(),
            roles: Slot::empty(),
            catalog: Slot::empty(),
            service_providers: Slot::empty(),
            domains: Cache::new(MOST_PLACES),
            projects: Cache::new(MOST_PLACES),
            chosen_endpoints: Cache::new(MOST_PLACES),
            users: KnownUsers::default(),
            revocations: KnownRevocations::default(),
            longest,
        }
    }

    /// How long anything is remembered at most.
    pub(crate) fn longest(&self) -> Duration {
        self.longest
    }

    /// Forgets every token.
    pub(crate) fn clear(&self) {
        self.tokens.invalidate_all();
    }

    fn token(&self, digest: &Digest, at: Generation) -> Option<Arc<Remembered>> {
        let remembered = self.tokens.get(digest)?;
        let counts =
            remembered.tokens == at.tokens && remembered.since.elapsed() < remembered.longest;
        counts.then_some(remembered)
    }

    fn remember(&self, validated: Arc<Validated>, at: Generation, checked: bool) {
        let longest = match validated.user.changes_elsewhere {
            true => self.longest.min(LONGEST_OF_OTHERS),
            false => self.longest,
        };
        let digest = validated.digest;
        let remembered = Remembered {
            validated,
            tokens: at.tokens,
            revocations: AtomicU64::new(if checked { at.revocations } else { 0 }),
            since: Instant::now(),
            longest,
        };
        self.tokens.insert(digest, Arc::new(remembered));
    }
}

impl Identity {
    /// A token that is remembered as valid, held against the newest revocations.
    pub(crate) async fn remembered(
        &self,
        text: &str,
        at: Option<Generation>,
    ) -> Result<Option<Arc<Validated>>> {
        let Some(at) = at else { return Ok(None) };
        let Some(remembered) = self.memory.token(&digest(text), at) else {
            return Ok(None);
        };
        if remembered.revocations.load(Ordering::Relaxed) != at.revocations {
            self.refuse_revoked(&remembered.validated, Some(at)).await?;
            remembered
                .revocations
                .store(at.revocations, Ordering::Relaxed);
        }
        Ok(Some(Arc::clone(&remembered.validated)))
    }

    /// Remembers a token that was found valid, and not revoked where `checked` says so.
    pub(crate) fn remember(&self, token: &Arc<Validated>, at: Option<Generation>, checked: bool) {
        if let Some(at) = at {
            self.memory.remember(Arc::clone(token), at, checked);
        }
    }

    /// Remembers how a token was shown, for the next one who asks.
    pub fn remember_shown(&self, token: &Validated, with_catalog: bool, body: Bytes) {
        if token.shown[usize::from(with_catalog)].set(body).is_err() {
            return;
        }
        // It weighs more now.
        if let Some(remembered) = self.memory.tokens.get(&token.digest) {
            self.memory.tokens.insert(token.digest, remembered);
        }
    }

    /// What is known, or else what is read now. `keep` is called with what is new.
    async fn fact<T>(
        &self,
        known: Option<Arc<Fact<T>>>,
        read: impl Future<Output = Result<T>>,
        keep: impl FnOnce(Arc<Fact<T>>),
    ) -> Result<Arc<T>> {
        let at = self.store.generation();
        if let (Some(at), Some(fact)) = (at, known)
            && fact.tokens == at.tokens
            && fact.since.elapsed() < self.memory.longest
        {
            return Ok(Arc::clone(&fact.value));
        }
        let since = Instant::now();
        let value = Arc::new(read.await?);
        if let Some(at) = at {
            keep(Arc::new(Fact {
                value: Arc::clone(&value),
                tokens: at.tokens,
                since,
            }));
        }
        Ok(value)
    }

    async fn fact_in<T>(
        &self,
        slot: &Slot<T>,
        read: impl Future<Output = Result<T>>,
    ) -> Result<Arc<T>> {
        let keep = |fact| slot.store(Some(fact));
        self.fact(slot.load_full(), read, keep).await
    }

    async fn fact_of<K: Hash + Eq + Clone + Send + Sync + 'static, T: Send + Sync + 'static>(
        &self,
        slots: &Slots<K, T>,
        key: &K,
        read: impl Future<Output = Result<T>>,
    ) -> Result<Arc<T>> {
        let keep = |fact| slots.insert(key.clone(), fact);
        self.fact(slots.get(key), read, keep).await
    }

    /// A domain as tokens and logins see it.
    pub(crate) async fn known_domain(&self, id: &DomainId) -> Result<Arc<Domain>> {
        let read = async { Ok(self.store.domain(id).await?) };
        self.fact_of(&self.memory.domains, id, read).await
    }

    /// A project as tokens and logins see it, with what is above it.
    pub(crate) async fn known_project(&self, id: &ProjectId) -> Result<Arc<(Project, Place)>> {
        let read = async {
            let project = self.store.project(id).await?;
            let place = self.place_of(&project).await?;
            Ok((project, place))
        };
        self.fact_of(&self.memory.projects, id, read).await
    }

    /// Which roles imply which.
    pub(crate) async fn inference(&self) -> Result<Arc<RoleInference>> {
        let read = async { Ok(RoleInference::new(self.store.implied_roles().await?)) };
        self.fact_in(&self.memory.inference, read).await
    }

    /// All roles that anybody may have been given.
    pub(crate) async fn known_roles(&self) -> Result<Arc<HashMap<RoleId, Role>>> {
        let read = async { Ok(self.store.all_roles().await?) };
        self.fact_in(&self.memory.roles, read).await
    }

    pub(crate) async fn catalog_parts(&self) -> Result<Arc<CatalogParts>> {
        let read = async {
            Ok(CatalogParts {
                services: self.store.services(&ServiceFilter::default()).await?,
                endpoints: self.store.endpoints(&EndpointFilter::default()).await?,
            })
        };
        self.fact_in(&self.memory.catalog, read).await
    }

    /// The endpoints chosen for a project, as catalogs show them.
    pub(crate) async fn chosen_endpoints(&self, id: &ProjectId) -> Result<Arc<ChosenEndpoints>> {
        let read = self.read_chosen_endpoints(id);
        self.fact_of(&self.memory.chosen_endpoints, id, read).await
    }

    /// The service providers that every token names.
    pub async fn enabled_service_providers(&self) -> Result<Arc<Vec<ServiceProvider>>> {
        let filter = ProviderFilter {
            enabled: Some(true),
            ..ProviderFilter::default()
        };
        let read = async { Ok(self.store.service_providers(&filter).await?) };
        self.fact_in(&self.memory.service_providers, read).await
    }

    /// Looks for changes of other nodes for as long as it is polled. Without it nothing is remembered.
    pub async fn watch_for_changes(self: Arc<Self>) {
        if self.memory.longest.is_zero() {
            return;
        }
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut tidied: Option<Instant> = None;
        let mut sees = true;
        loop {
            ticks.tick().await;
            let looked = self.store.look_for_changes().await;
            match &looked {
                Ok(()) if !sees => tracing::info!("changes of other nodes are seen again"),
                Err(error) if sees => {
                    tracing::warn!(%error, "cannot look for changes of other nodes: nothing is remembered until it works");
                }
                _ => {}
            }
            sees = looked.is_ok();
            if sees && tidied.is_none_or(|at| at.elapsed() > TIDY_EVERY) {
                tidied = Some(Instant::now());
                if let Err(error) = self.store.forget_gone_nodes().await {
                    tracing::debug!(%error, "rows of nodes that are gone stay");
                }
            }
        }
    }
}

fn digest(token: &str) -> Digest {
    let mut bytes = Digest::default();
    let digest = ring::digest::digest(&ring::digest::SHA256, token.as_bytes());
    bytes.copy_from_slice(digest.as_ref());
    bytes
}
