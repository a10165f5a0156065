//! Enforces the hard cap on the memory of a run, and records the peak of its sandbox. The cap covers
//! the sandbox and the values that the host holds for the run.

use wasmtime::ResourceLimiter;

use sluice_kit::value::Room;

use crate::engine::{ASYNC_STACK_BYTES, HOSTCALL_BYTES_MAX};

/// Memory for the engine's stack and data, for the bytecode, and for what Rust code allocates
/// outside the JavaScript heap.
const ENGINE_SHARE_BYTES: usize = 8 << 20;
/// An array that grows needs memory for its old and its new copy at the same time, and leaves
/// holes behind. So a full heap may take this many times its quota.
const FRAGMENTATION_FACTOR: usize = 2;
/// How often a run may ask for more memory than its cap. The engine throws an exception the first time, or tells where
/// the script is, and ends.
const REFUSALS_MAX: u32 = 64;

/// The sandbox requested more memory than its cap. Ends the run.
#[derive(Debug, thiserror::Error)]
#[error(
    "the sandbox requested {requested} bytes of memory; the host holds {host} for the run; the cap is {cap}"
)]
pub(crate) struct MemoryExceeded {
    requested: usize,
    host: usize,
    cap: usize,
}

/// Bounds the linear memories and tables of one run.
pub struct Limiter {
    memory_bytes_max: usize,
    /// The size of the memory when it was created: the engine's own share.
    pub(crate) memory_bytes_initial: usize,
    /// The largest size of the memory. Memories never shrink, so it is also the current size.
    pub(crate) memory_bytes_peak: usize,
    /// The most that the JavaScript heap held, as the engine tells. Part of it is in memory that the engine had
    /// from the start.
    heap_bytes_peak: usize,
    /// The bytes of the values that the host holds for the run.
    host_bytes: usize,
    /// How often the sandbox may ask for too much and go on.
    refusals_left: u32,
    /// Whether the run reached its cap.
    is_beyond: bool,
}

impl Limiter {
    /// A limiter for a run whose JavaScript heap may hold `heap_bytes_max`.
    pub(crate) fn for_heap(heap_bytes_max: u32) -> Self {
        let heap = (heap_bytes_max as usize).saturating_mul(FRAGMENTATION_FACTOR);
        Self { refusals_left: REFUSALS_MAX, ..Self::for_memory(ENGINE_SHARE_BYTES.saturating_add(heap)) }
    }

    /// The largest heap quota whose sandbox fits into `memory_bytes`.
    pub fn heap_in(memory_bytes: usize) -> u32 {
        let heap = memory_bytes.saturating_sub(ENGINE_SHARE_BYTES) / FRAGMENTATION_FACTOR;
        u32::try_from(heap).unwrap_or(u32::MAX)
    }

    /// The most memory that a run with this quota can take: its sandbox with its stack, the values that
    /// the host holds for it, and what it passes in one host call.
    pub fn reservation(heap_bytes_max: u32) -> usize {
        Self::for_heap(heap_bytes_max).total_bytes()
    }

    /// The most memory that the host may hold for a run while it renders the page. The sandbox is free by
    /// then.
    pub fn rendering_bytes(heap_bytes_max: u32) -> usize {
        Self::for_heap(heap_bytes_max).memory_and_hostcall_bytes()
    }

    /// The most memory that a sandbox with this limiter can take, with its stack and what it passes in one
    /// host call.
    pub(crate) fn total_bytes(&self) -> usize {
        self.memory_and_hostcall_bytes().saturating_add(ASYNC_STACK_BYTES)
    }

    fn memory_and_hostcall_bytes(&self) -> usize {
        self.memory_bytes_max.saturating_add(self.hostcall_bytes_max())
    }

    /// The bytes that the sandbox may pass in one host call. Everything that it passes is in its
    /// memory, but several strings can be in the same place.
    pub(crate) fn hostcall_bytes_max(&self) -> usize {
        let heap = self.memory_bytes_max.saturating_sub(ENGINE_SHARE_BYTES) / FRAGMENTATION_FACTOR;
        heap.clamp(ENGINE_SHARE_BYTES / 8, HOSTCALL_BYTES_MAX)
    }

    /// Charges `bytes` that the host holds for the run from now on.
    pub(crate) fn hold(&mut self, bytes: usize) {
        self.host_bytes = self.host_bytes.saturating_add(bytes);
    }

    /// Charges `bytes` that the host holds from now on, and which the script did not send. If the run exceeds its cap
    /// by this, it ends at its next checkpoint.
    pub(crate) fn hold_loaded(&mut self, bytes: usize) {
        self.hold(bytes);
        self.is_beyond |= self.memory_bytes_peak.saturating_add(self.host_bytes) > self.memory_bytes_max;
    }

    /// Whether the run reached its cap.
    pub(crate) fn is_beyond(&self) -> bool {
        self.is_beyond
    }

    /// Returns `bytes` that the host no longer holds.
    pub(crate) fn let_go(&mut self, bytes: usize) {
        self.host_bytes = self.host_bytes.saturating_sub(bytes);
    }

    /// The bytes that the host holds for the run.
    pub(crate) fn host_bytes(&self) -> usize {
        self.host_bytes
    }

    /// The memory that the host may still use for the run.
    pub(crate) fn room(&self) -> Room {
        let used = self.memory_bytes_peak.saturating_add(self.host_bytes);
        Room::new(self.memory_bytes_max.saturating_sub(used))
    }

    /// A limiter for a sandbox whose memory may hold `memory_bytes_max`, and which ends when it asks for more.
    pub(crate) fn for_memory(memory_bytes_max: usize) -> Self {
        Self {
            memory_bytes_max,
            memory_bytes_initial: 0,
            memory_bytes_peak: 0,
            heap_bytes_peak: 0,
            host_bytes: 0,
            refusals_left: 0,
            is_beyond: false,
        }
    }

    /// Notes the size of the JavaScript heap. The engine tells it, so it can be any number.
    pub(crate) fn note_heap(&mut self, bytes: usize) {
        self.heap_bytes_peak = self.heap_bytes_peak.max(bytes.min(self.memory_bytes_max));
    }

    /// The most memory that the run used: the engine's own share, and the heap or more.
    pub(crate) fn used_bytes_peak(&self) -> usize {
        self.memory_bytes_peak.max(self.memory_bytes_initial.saturating_add(self.heap_bytes_peak))
    }

    /// Whether the run reached its cap, or the memory grew so much that a heap with this quota must have been full.
    /// Part of the heap is in memory that the engine had from the start.
    pub(crate) fn heap_was_full(&self, heap_bytes_max: u32) -> bool {
        let grown = self.memory_bytes_peak.saturating_sub(self.memory_bytes_initial);
        self.is_beyond || grown > heap_bytes_max as usize / 2
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let (host, cap) = (self.host_bytes, self.memory_bytes_max);
        if desired.saturating_add(host) > cap {
            self.is_beyond = true;
            self.refusals_left = match self.refusals_left.checked_sub(1) {
                Some(left) => left,
                None => return Err(MemoryExceeded { requested: desired, host, cap }.into()),
            };
            return Ok(false);
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
