//! The hard cap on a sandbox's memory, and its peak.

use wasmtime::ResourceLimiter;

/// Room for the engine's stack and data, the bytecode and what Rust allocates
/// beside the JavaScript heap.
const ENGINE_SHARE_BYTES: usize = 8 << 20;
/// A heap that is full of growing arrays needs room for each old copy beside the
/// new one, and leaves holes behind.
const FRAGMENTATION_FACTOR: usize = 2;

/// The sandbox asked for more than its cap. Ends the run.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox asked for {asked} bytes of memory, its cap is {cap}")]
pub struct MemoryExceeded {
    asked: usize,
    cap: usize,
}

/// Bounds the linear memories and tables of one run.
pub struct Limiter {
    memory_bytes_max: usize,
    /// What the memory had when it was made: the engine's own.
    pub memory_bytes_initial: usize,
    pub memory_bytes_peak: usize,
}

impl Limiter {
    /// A limiter for a run whose JavaScript heap may hold `heap_bytes_max`.
    pub fn for_heap(heap_bytes_max: u32) -> Self {
        let heap = (heap_bytes_max as usize).saturating_mul(FRAGMENTATION_FACTOR);
        Self::for_memory(ENGINE_SHARE_BYTES.saturating_add(heap))
    }

    /// The largest heap quota whose sandbox fits into `memory_bytes`.
    pub fn heap_in(memory_bytes: usize) -> u32 {
        let heap = memory_bytes.saturating_sub(ENGINE_SHARE_BYTES) / FRAGMENTATION_FACTOR;
        u32::try_from(heap).unwrap_or(u32::MAX)
    }

    pub fn for_memory(memory_bytes_max: usize) -> Self {
        Self { memory_bytes_max, memory_bytes_initial: 0, memory_bytes_peak: 0 }
    }

    /// True when the memory grew so much that a heap of this quota must have been
    /// full. Part of the heap is in memory that the engine had from the start.
    pub fn heap_was_full(&self, heap_bytes_max: u32) -> bool {
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
            return Err(MemoryExceeded { asked: desired, cap: self.memory_bytes_max }.into());
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
