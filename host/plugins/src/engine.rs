//! The WebAssembly engine all plugins share: how instances are pooled, and how time is measured.

use std::{path::PathBuf, sync::Arc, thread, time::Duration};

use archstone_model::clock::Clock;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::{RuntimeError, Signers, StateStore, artifact_cache::ArtifactCache};

/// How often running guests are looked at: each gives way to other tasks then, and is stopped when
/// it has computed too long.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// The most memory that any plugin can be allowed.
pub(crate) const MAX_MEMORY: u64 = 256 << 20;

/// What the runtime is built from.
#[derive(Debug, Clone)]
pub struct RuntimeOptions {
    /// Where compiled plugins are kept, so that the next start is quick. A directory of the
    /// server's own; made if it is not there.
    pub cache: Option<PathBuf>,
    /// How many plugin instances can exist at once, all plugins together.
    pub instances: u32,
    /// Short-lived values, shared by all nodes.
    pub state: Arc<dyn StateStore>,
    pub clock: Clock,
    /// Whose plugins are loaded: no others, if it is set.
    pub signers: Option<Signers>,
}

impl RuntimeOptions {
    /// No cache, 256 instances, the machine's clock, plugins of anybody.
    pub fn new(state: Arc<dyn StateStore>) -> Self {
        Self {
            cache: None,
            instances: 256,
            state,
            clock: Clock::system(),
            signers: None,
        }
    }
}

/// Compiles and runs plugins. One for the whole process; cheap to clone.
#[derive(Debug, Clone)]
pub struct Runtime(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    engine: Engine,
    cache: Option<ArtifactCache>,
    state: Arc<dyn StateStore>,
    clock: Clock,
    signers: Option<Signers>,
}

impl Runtime {
    /// Starts the engine.
    ///
    /// # Errors
    /// [`RuntimeError::Engine`] if the machine cannot reserve address space for that many
    /// instances; [`RuntimeError::Cache`] if the cache directory cannot be made or others can
    /// write to it.
    pub fn new(options: RuntimeOptions) -> Result<Self, RuntimeError> {
        let engine = Engine::new(&engine_config(options.instances)).map_err(|error| {
            RuntimeError::Engine {
                reason: format!("{error:#}"),
                instances: options.instances,
            }
        })?;
        let cache = match options.cache {
            Some(path) => Some(ArtifactCache::open(path, &engine)?),
            None => None,
        };
        let shared = Shared {
            cache,
            state: options.state,
            clock: options.clock,
            signers: options.signers,
            engine,
        };
        tick(&shared.engine).map_err(|error| RuntimeError::Engine {
            reason: format!("no thread for its timer: {error}"),
            instances: options.instances,
        })?;
        Ok(Self(Arc::new(shared)))
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(crate) fn cache(&self) -> Option<&ArtifactCache> {
        self.0.cache.as_ref()
    }

    pub(crate) fn state(&self) -> &Arc<dyn StateStore> {
        &self.0.state
    }

    /// Whose plugins are loaded; nothing where it is anybody's.
    pub(crate) fn signers(&self) -> Option<&Signers> {
        self.0.signers.as_ref()
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }
}

fn engine_config(instances: u32) -> Config {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(4))
        .total_memories(instances)
        .total_tables(instances.saturating_mul(2))
        .total_stacks(instances)
        .max_core_instances_per_component(64)
        .max_memories_per_component(4)
        .max_tables_per_component(16)
        .max_memory_size(MAX_MEMORY as usize)
        .max_unused_warm_slots(16)
        .linear_memory_keep_resident(128 << 10)
        .table_keep_resident(16 << 10)
        .async_stack_keep_resident(64 << 10)
        // Where the kernel tells which pages were written, only these are wiped.
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .epoch_interruption(true)
        // The contract's functions are synchronous; the host suspends whole calls.
        .concurrency_support(false)
        .wasm_memory64(false)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(8));
    config
}

/// Advances the engine's epoch for as long as the engine lives.
fn tick(engine: &Engine) -> std::io::Result<()> {
    let engine = engine.weak();
    let beat = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(TICK);
        }
    };
    thread::Builder::new()
        .name("plugin-epoch".to_owned())
        .spawn(beat)
        .map(drop)
}
