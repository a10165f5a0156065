//! Chooses how a sandbox's memory is reset for the next run.
//!
//! With `PAGEMAP_SCAN`, the kernel reports which pages a run has written, and only those are
//! restored. This is several times faster than dropping the whole mapping. But the kernel does
//! not report a written page that it has swapped out, and the next run would see that page. So
//! the scan is used only if the process cannot be swapped.

use std::fs;
use std::path::Path;

use wasmtime::PoolingAllocationConfig;

/// The most bytes of each memory that stay resident between runs if pages are scanned. Small pages write
/// less, and half as much would double the time of a page that shows a list. More would stay behind in
/// every sandbox after a burst.
const KEEP_RESIDENT_BYTES: usize = 256 << 10;
const KEEP_RESIDENT_TABLE_BYTES: usize = 64 << 10;
/// The bytes of each stack that are cleared after a run and stay resident. Small scripts use no more.
const KEEP_RESIDENT_STACK_BYTES: usize = 16 << 10;

/// How the memory of a sandbox is reset between runs.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum MemoryResetChoice {
    /// Restore only the pages that the run has written, if the kernel can report them (Linux
    /// 6.7) and nothing can be swapped. Otherwise remap.
    #[default]
    Auto,
    /// Always drop the whole mapping.
    Remap,
}

/// The chosen way to reset memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryReset {
    /// `PAGEMAP_SCAN` finds the written pages, which are restored in place.
    Scan,
    /// `madvise` drops the whole mapping, and its pages are faulted in again.
    Remap,
}

impl MemoryReset {
    /// Chooses the way for this machine, and says why.
    pub(crate) fn choose(choice: MemoryResetChoice) -> (Self, &'static str) {
        if choice == MemoryResetChoice::Remap {
            return (Self::Remap, "the configuration asks for it");
        }
        if !PoolingAllocationConfig::is_pagemap_scan_available() {
            return (Self::Remap, "the kernel has no PAGEMAP_SCAN (Linux 6.7 and later)");
        }
        if !cannot_be_swapped() {
            return (Self::Remap, "the machine has swap, which hides written pages from a scan");
        }
        (Self::Scan, "the kernel can scan and nothing can be swapped")
    }

    /// Configures wasmtime's pool accordingly.
    pub(crate) fn configure(self, pool: &mut PoolingAllocationConfig) {
        // Tables have few pages, so clearing them is cheaper than faulting them in again.
        pool.table_keep_resident(KEEP_RESIDENT_TABLE_BYTES);
        pool.async_stack_keep_resident(KEEP_RESIDENT_STACK_BYTES);
        if self == Self::Scan {
            pool.pagemap_scan(wasmtime::Enabled::Yes);
            pool.linear_memory_keep_resident(KEEP_RESIDENT_BYTES);
        }
    }
}

/// Whether there is no swap, or this process's control group must not use any.
fn cannot_be_swapped() -> bool {
    let no_swap = fs::read_to_string("/proc/swaps").is_ok_and(|swaps| has_no_swap(&swaps));
    no_swap || control_group_forbids_swap().unwrap_or(false)
}

/// `/proc/swaps` consists of one heading and a line for each swap area.
fn has_no_swap(swaps: &str) -> bool {
    swaps.lines().skip(1).all(|line| line.trim().is_empty())
}

fn control_group_forbids_swap() -> Option<bool> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mut group = Path::new("/sys/fs/cgroup").join(path.trim_start_matches('/'));
    // A limit of zero in a parent group applies to this group, too.
    loop {
        if fs::read_to_string(group.join("memory.swap.max")).is_ok_and(|limit| limit.trim() == "0") {
            return Some(true);
        }
        if group == Path::new("/sys/fs/cgroup") || !group.pop() {
            return Some(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detects_swap_areas() {
        let heading = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
        assert!(has_no_swap(heading));
        assert!(!has_no_swap(&format!("{heading}/dev/sda2 partition 1 0 -2\n")));
    }

    #[test]
    fn configuration_can_forbid_scanning() {
        assert_eq!(MemoryReset::choose(MemoryResetChoice::Remap).0, MemoryReset::Remap);
    }
}
