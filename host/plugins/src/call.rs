//! One call of a plugin: the data its instance lives with, and what the call may use.

use std::{collections::BTreeMap, sync::Arc};

use archstone_model::secret::Secret;
use wasmtime::{ResourceLimiter, Store, UpdateDeadline, component::ResourceTable};

use crate::{
    Account, Limits, Runtime,
    capabilities::{self, HttpClient, StreamClient},
    engine::TICK,
};

/// What a prepared plugin was granted: the same for all of its calls.
#[derive(Debug)]
pub(crate) struct Granted {
    /// The name that the plugin is installed by.
    pub method: String,
    /// Whose state it has: the method's, or one connector's.
    pub namespace: String,
    pub limits: Limits,
    pub secrets: BTreeMap<String, Secret>,
    pub credential_types: Vec<String>,
    pub http: Option<HttpClient>,
    pub stream: Option<StreamClient>,
    pub runtime: Runtime,
}

impl Granted {
    /// What is not the operator's to grant.
    pub fn nothing(runtime: &Runtime, method: &str, limits: &Limits) -> Self {
        Self {
            method: method.to_owned(),
            namespace: method.to_owned(),
            limits: limits.clone(),
            secrets: BTreeMap::new(),
            credential_types: Vec::new(),
            http: None,
            stream: None,
            runtime: runtime.clone(),
        }
    }
}

/// The data of one instance.
pub(crate) struct Call {
    pub granted: Arc<Granted>,
    pub account: Option<Account>,
    pub messages_left: u32,
    pub requests_left: u32,
    pub connections_left: u32,
    pub stream_bytes_left: usize,
    /// The connections that the instance holds.
    pub lines: ResourceTable,
    ticks_left: u64,
    /// The limit that ended the call, if one did.
    pub exceeded: Option<Exceeded>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exceeded {
    Memory,
    Cpu,
}

impl Call {
    /// A store for one call, with every limit set.
    pub fn store(granted: &Arc<Granted>, account: Option<Account>) -> Store<Self> {
        let limits = &granted.limits;
        let call = Self {
            account,
            messages_left: capabilities::LOG_MESSAGES,
            requests_left: granted.http.as_ref().map_or(0, HttpClient::max_requests),
            connections_left: granted
                .stream
                .as_ref()
                .map_or(0, StreamClient::max_connections),
            stream_bytes_left: granted.stream.as_ref().map_or(0, StreamClient::max_bytes),
            lines: ResourceTable::new(),
            ticks_left: limits.cpu().div_duration_f64(TICK).ceil() as u64,
            exceeded: None,
            granted: Arc::clone(granted),
        };
        let hostcall_bytes = match granted.stream {
            Some(_) => capabilities::LARGEST_LISTING,
            None => capabilities::LARGEST_INPUT.max(limits.output_bytes) * 2,
        };
        let mut store = Store::new(granted.runtime.engine(), call);
        store.set_hostcall_fuel(hostcall_bytes);
        store.limiter(|call| call);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut store| Ok(store.data_mut().spend_tick()));
        store
    }

    /// Called when the guest was found computing at a tick: it gives way, or has to stop.
    fn spend_tick(&mut self) -> UpdateDeadline {
        if self.ticks_left == 0 {
            self.exceeded = Some(Exceeded::Cpu);
            return UpdateDeadline::Interrupt;
        }
        self.ticks_left -= 1;
        UpdateDeadline::Yield(1)
    }
}

/// A component can be made of many core modules (those of scripting languages are).
const TABLE_ELEMENTS: usize = 20_000;

impl ResourceLimiter for Call {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let allowed = desired as u64 <= self.granted.limits.memory_bytes;
        if !allowed {
            self.exceeded = Some(Exceeded::Memory);
        }
        Ok(allowed)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }

    fn instances(&self) -> usize {
        64
    }

    fn memories(&self) -> usize {
        4
    }

    fn tables(&self) -> usize {
        16
    }
}
