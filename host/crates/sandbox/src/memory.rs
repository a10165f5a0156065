//! The memory that the process may take, in total. Work that can take much memory reserves the most
//! that it can take before it starts. If that does not fit, a run waits for its turn, and other work
//! is rejected. Only compilations do not wait, because a brand in trouble must be able to change its pages.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::RwLock;

use sluice_telemetry::metrics::MemoryUsage;

/// The part of the machine's memory, or of the control group's limit, that the process may take by
/// default, in percent.
const DEFAULT_PERCENT: usize = 70;

/// Is told when reserved memory is released.
pub(crate) trait Waiting: Send + Sync {
    /// Lets requests go on that wait for memory.
    fn memory_released(self: Arc<Self>);
}

/// All memory that the process may take.
pub struct Memory {
    bytes_max: usize,
    /// What the process takes without any request.
    base: AtomicUsize,
    /// Includes the base.
    reserved: AtomicUsize,
    waiting: RwLock<Vec<Weak<dyn Waiting>>>,
}

/// Reserved memory. Dropping it releases the memory.
pub struct Reserved {
    memory: Arc<Memory>,
    bytes: usize,
}

impl Memory {
    /// Memory of this many bytes.
    pub(crate) fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            bytes_max,
            base: AtomicUsize::new(0),
            reserved: AtomicUsize::new(0),
            waiting: RwLock::new(Vec::new()),
        })
    }

    /// Sets what the process takes without any request. Call it once, before the first request.
    pub fn set_base(&self, bytes: usize) {
        self.base.store(bytes, Ordering::Relaxed);
        self.reserved.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Reserves this many bytes. Returns `None` if they do not fit. Work that needs more than the
    /// whole memory can run if nothing else is reserved.
    pub fn try_reserve(self: &Arc<Self>, bytes: usize) -> Option<Reserved> {
        self.take(bytes).then(|| Reserved { memory: Arc::clone(self), bytes })
    }

    /// Reserves this many bytes even if they do not fit. Nothing else gets memory then until enough is
    /// released.
    pub fn reserve(self: &Arc<Self>, bytes: usize) -> Reserved {
        self.reserved.fetch_add(bytes, Ordering::Relaxed);
        Reserved { memory: Arc::clone(self), bytes }
    }

    /// The bytes that are reserved, and all bytes.
    pub fn usage(&self) -> MemoryUsage {
        MemoryUsage { reserved: self.reserved.load(Ordering::Relaxed), limit: self.bytes_max }
    }

    /// Tells `waiting` when memory is released.
    pub(crate) fn tell(&self, waiting: Weak<dyn Waiting>) {
        self.waiting.write().push(waiting);
    }

    fn take(&self, bytes: usize) -> bool {
        let base = self.base.load(Ordering::Relaxed);
        let taken = self.reserved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |reserved| {
            let sum = reserved.saturating_add(bytes);
            (sum <= self.bytes_max || reserved <= base || bytes == 0).then_some(sum)
        });
        taken.is_ok()
    }

    fn release(&self, bytes: usize) {
        self.reserved.fetch_sub(bytes, Ordering::Relaxed);
        for waiting in self.waiting.read().iter().filter_map(Weak::upgrade) {
            waiting.memory_released();
        }
    }
}

impl Reserved {
    /// Reserves more. Returns false, and reserves nothing more, if that does not fit.
    pub fn grow(&mut self, bytes: usize) -> bool {
        let fits = self.memory.take(bytes);
        self.bytes += if fits { bytes } else { 0 };
        fits
    }

    /// Keeps at most this many bytes and releases the others.
    pub fn shrink_to(&mut self, bytes: usize) {
        let released = self.bytes.saturating_sub(bytes);
        if released > 0 {
            self.bytes -= released;
            self.memory.release(released);
        }
    }

    /// Reserves at least this many bytes. Returns false, and changes nothing, if they do not fit.
    pub fn grow_to(&mut self, bytes: usize) -> bool {
        bytes <= self.bytes || self.grow(bytes - self.bytes)
    }

    /// Releases the memory without telling those who wait for it. The caller gives it to them.
    pub(crate) fn release_quietly(mut self) {
        self.memory.reserved.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = 0;
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

impl std::fmt::Debug for Reserved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reserved({} bytes)", self.bytes)
    }
}

/// The default of `server.memory_max`: a part of the machine's memory, or of the control group's
/// limit if that is smaller.
pub fn default_bytes_max() -> usize {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| of_machine(&text));
    let limit = control_group_limit();
    let bytes = machine.into_iter().chain(limit).min();
    bytes.map_or(usize::MAX, |bytes| bytes / 100 * DEFAULT_PERCENT)
}

/// Reads the line `MemTotal:       24000000 kB`.
fn of_machine(meminfo: &str) -> Option<usize> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()?.checked_mul(1_024)
}

/// The smallest limit of this process's control group and of the groups around it.
fn control_group_limit() -> Option<usize> {
    const ROOT: &str = "/sys/fs/cgroup";
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    // Version 2 has one line that begins with `0::`. Version 1 has a line for each controller.
    let (root, file, path) = groups.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        match (fields.next()?, fields.next()?) {
            ("", path) => Some((ROOT.to_owned(), "memory.max", path)),
            ("memory", path) => Some((format!("{ROOT}/memory"), "memory.limit_in_bytes", path)),
            _ => None,
        }
    })?;
    let mut group = Path::new(&root).join(path.trim_start_matches('/'));
    let mut limits = Vec::new();
    loop {
        // A group without a limit says `max`.
        let limit = fs::read_to_string(group.join(file)).ok();
        limits.extend(limit.and_then(|text| text.trim().parse::<usize>().ok()));
        if group == Path::new(&root) || !group.pop() {
            return limits.into_iter().min();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_what_does_not_fit_until_memory_is_released() {
        let memory = Memory::new(100);
        memory.set_base(40);
        let mut first = memory.try_reserve(50).unwrap();
        assert!(memory.try_reserve(11).is_none());
        assert!(first.grow(10) && !first.grow(1));
        assert_eq!(memory.usage(), MemoryUsage { reserved: 100, limit: 100 });
        first.shrink_to(20);
        let second = memory.try_reserve(40).unwrap();
        drop((first, second));
        assert_eq!(memory.usage().reserved, 40);
    }

    #[test]
    fn others_wait_for_work_that_does_not() {
        let memory = Memory::new(100);
        let first = memory.try_reserve(90).unwrap();
        let urgent = memory.reserve(50);
        drop(first);
        assert!(memory.try_reserve(51).is_none());
        drop(urgent);
        assert!(memory.try_reserve(51).is_some());
    }

    #[test]
    fn work_that_needs_more_than_all_memory_runs_alone() {
        let memory = Memory::new(100);
        memory.set_base(120);
        let alone = memory.try_reserve(500).unwrap();
        assert!(memory.try_reserve(1).is_none());
        drop(alone);
        assert!(memory.try_reserve(1).is_some());
    }

    #[test]
    fn default_is_a_part_of_this_machines_memory() {
        assert_eq!(of_machine("MemTotal:        1024 kB\nMemFree: 1 kB\n"), Some(1 << 20));
        assert!((100 << 20..usize::MAX).contains(&default_bytes_max()));
    }
}
