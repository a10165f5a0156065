//! Enforces the hard cap on a sandbox's memory, and records its peak.

use wasmtime::ResourceLimiter;

/// Memory for the engine's stack and data, for the bytecode, and for what Rust code allocates
/// outside the JavaScript heap.
const ENGINE_SHARE_BYTES: usize = 8 << 20;
/// An array that grows needs memory for its old and its new copy at the same time, and leaves
/// holes behind. So a full heap may take this many times its quota.
const FRAGMENTATION_FACTOR: usize = 2;

/// The sandbox requested more memory than its cap. Ends the run.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox requested {requested} bytes of memory; its cap is {cap}")]
pub(crate) struct MemoryExceeded {
    requested: usize,
    cap: usize,
}

/// Bounds the linear memories and tables of one run.
pub struct Limiter {
    memory_bytes_max: usize,
    /// The size of the memory when it was created: the engine's own share.
    pub(crate) memory_bytes_initial: usize,
    /// The largest size of the memory.
    pub(crate) memory_bytes_peak: usize,
}

impl Limiter {
    /// A limiter for a run whose JavaScript heap may hold `heap_bytes_max`.
    pub(crate) fn for_heap(heap_bytes_max: u32) -> Self {
        let heap = (heap_bytes_max as usize).saturating_mul(FRAGMENTATION_FACTOR);
        Self::for_memory(ENGINE_SHARE_BYTES.saturating_add(heap))
    }

    /// The largest heap quota whose sandbox fits into `memory_bytes`.
    pub fn heap_in(memory_bytes: usize) -> u32 {
        let heap = memory_bytes.saturating_sub(ENGINE_SHARE_BYTES) / FRAGMENTATION_FACTOR;
        u32::try_from(heap).unwrap_or(u32::MAX)
    }

    /// A limiter for a sandbox whose memory may hold `memory_bytes_max`.
    pub(crate) fn for_memory(memory_bytes_max: usize) -> Self {
        Self { memory_bytes_max, memory_bytes_initial: 0, memory_bytes_peak: 0 }
    }

    /// Whether the memory grew so much that a heap with this quota must have been full. Part
    /// of the heap is in memory that the engine had from the start.
    pub(crate) fn heap_was_full(&self, heap_bytes_max: u32) -> bool {
        let grown = self.memory_bytes_peak.saturating_sub(self.memory_bytes_initial);
        grown > heap_bytes_max as usize / 2
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > self.memory_bytes_max {
            return Err(MemoryExceeded { requested: desired, cap: self.memory_bytes_max }.into());
        }
        if current == 0 {
            self.memory_bytes_initial = desired;
        }
        self.memory_bytes_peak = self.memory_bytes_peak.max(desired);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(maximum.is_none_or(|maximum| desired <= maximum))
    }
}
