//! Running one call of a plugin within its limits, and saying which limit ended it.

use std::sync::Arc;

use wasmtime::{PoolConcurrencyLimitError, Trap};

use crate::{
    Account, PluginError,
    call::{Call, Exceeded, Granted},
    capabilities::NoSystem,
};

const LONGEST_DETAIL: usize = 1024;

/// Runs one call in a fresh instance, within the limits of `granted`.
pub(crate) async fn bounded<T>(
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
    if let Some(denied) = error.downcast_ref::<NoSystem>() {
        let trap = denied.to_string();
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

/// A plugin's text, cut to what a log takes.
pub(crate) fn shortened(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(LONGEST_DETAIL));
    text
}
