//! Returns the memory of idle sandboxes to the system.
//!
//! A sandbox that has been used keeps some of its memory, so that the next run need not fault it in again:
//! up to 256 KB that runs have written, and half a megabyte of the engine's image that they have read. The
//! latter is the same memory for all sandboxes, but the kernel counts it for each in the resident size of
//! the process. After a burst, sandboxes that nobody needs would keep theirs for good. So from time to time
//! the number of sandboxes that ran at the same time is compared with the number that has been used. If it
//! is far smaller, idle sandboxes are instantiated once more without running anything, their memory is
//! given back as a whole, and they are freed.

use std::sync::Arc;

use parking_lot::Mutex;
use wasmtime::{Engine, InstancePre, Linker, Memory, Module, Store};

use sluice_kit::release::release;

use super::memory_reset::MemoryReset;
use super::slots::Slots;

/// Sandboxes that keep their memory whatever the demand is.
const KEPT: usize = 8;
const WASM_PAGE_BYTES: usize = 64 << 10;

/// Makes sandboxes only to return their memory.
pub(super) struct IdleSandboxes {
    /// The core module whose memory is a sandbox's, and the name of that memory.
    engine: Option<(InstancePre<()>, Arc<str>)>,
    memory_bytes_max: usize,
    demand: Mutex<Demand>,
}

/// How many sandboxes were needed at the same time.
#[derive(Default)]
struct Demand {
    /// In the period before the current one.
    before: usize,
    /// Since memory was last returned.
    used: usize,
}

impl Demand {
    /// Notes the demand of a period that has ended. Returns how many sandboxes may keep their memory if
    /// far more of them have been used.
    fn end_period(&mut self, most_running: usize) -> Option<usize> {
        let needed = most_running.max(self.before);
        let keep = needed.saturating_mul(2).max(KEPT);
        self.before = most_running;
        self.used = self.used.max(most_running);
        let has_more = self.used > keep;
        self.used = self.used.min(keep);
        has_more.then_some(keep)
    }
}

impl IdleSandboxes {
    /// `modules` are the core modules of the engine. One of them has the memory.
    pub(super) fn new(
        engine: &Engine,
        modules: &[Module],
        memory_bytes_max: usize,
        memory_reset: MemoryReset,
    ) -> wasmtime::Result<Self> {
        // Without a scan, a sandbox drops all its memory after each run.
        let of_scan = modules.iter().filter(|_| memory_reset == MemoryReset::Scan);
        let mut with_memory = of_scan.filter_map(|module| {
            let memory = module.exports().find(|export| export.ty().memory().is_some())?;
            Some((module, Arc::from(memory.name())))
        });
        let engine = match with_memory.next() {
            Some((module, memory)) => {
                let mut linker = Linker::new(engine);
                linker.define_unknown_imports_as_traps(module)?;
                Some((linker.instantiate_pre(module)?, memory))
            }
            None => None,
        };
        Ok(Self { engine, memory_bytes_max, demand: Mutex::default() })
    }

    /// Ends a period of the demand for sandboxes. If far more sandboxes were used before than in this
    /// period and the one before it, returns the memory of the idle ones to the system, which takes a few
    /// milliseconds. Returns how many there were.
    pub(super) fn end_period(&self, slots: &Slots) -> usize {
        let keep = self.demand.lock().end_period(slots.take_most_running());
        let Some(keep) = keep else { return 0 };
        // The pool does not say which of its sandboxes were used, so all that nobody may need now are
        // emptied. All are taken before one is freed, because a freed one would be taken again.
        let lent = slots.lend_free(keep);
        let mut emptied = Vec::new();
        while emptied.len() < lent.count() {
            match self.emptied() {
                Ok(Some(sandbox)) => emptied.push(sandbox),
                Ok(None) => break,
                Err(error) => {
                    tracing::debug!(error = format!("{error:#}"), "an idle sandbox keeps its memory");
                    break;
                }
            }
        }
        emptied.len()
    }

    /// Makes a sandbox and returns its memory. The sandbox is free when the result is dropped.
    fn emptied(&self) -> wasmtime::Result<Option<Store<()>>> {
        let Some((engine, name)) = &self.engine else { return Ok(None) };
        let mut store = Store::new(engine.module().engine(), ());
        let instance = engine.instantiate(&mut store)?;
        if let Some(memory) = instance.get_memory(&mut store, name) {
            self.cover_all(memory, &mut store);
            release(memory.data_mut(&mut store))?;
        }
        Ok(Some(store))
    }

    /// Grows the memory as far as possible, because what lies behind its end can be resident, too.
    fn cover_all(&self, memory: Memory, store: &mut Store<()>) {
        let most = memory.ty(&*store).maximum().unwrap_or(u64::MAX);
        let pages = u64::try_from(self.memory_bytes_max / WASM_PAGE_BYTES).unwrap_or(u64::MAX).min(most);
        let missing = pages.saturating_sub(memory.size(&*store));
        // If it fails, some memory stays.
        let _ = memory.grow(store, missing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_returned_when_a_burst_is_two_periods_ago() {
        let mut demand = Demand::default();
        let mut period = |most_running| demand.end_period(most_running);
        assert_eq!([period(3), period(60), period(3), period(2)], [None, None, None, Some(KEPT)]);
        assert_eq!([period(2), period(8), period(0), period(0)], [None; 4], "nothing more is kept");
        assert_eq!([period(60), period(40), period(20), period(20)], [None, None, None, Some(40)]);
        assert_eq!([period(0), period(0)], [None, Some(KEPT)]);
    }
}
