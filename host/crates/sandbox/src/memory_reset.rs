//! How a sandbox's memory becomes clean again for the next run.
//!
//! `PAGEMAP_SCAN` asks the kernel which pages a run has written and restores
//! only those: several times faster than dropping the whole mapping. Its hazard:
//! a written page that the kernel has swapped out is not reported, and would be
//! handed to the next run as it is. So it is used only where the process cannot
//! be swapped.

use std::fs;
use std::path::Path;

use wasmtime::PoolingAllocationConfig;

/// Bytes of each memory that stay mapped between runs when pages are scanned.
const KEEP_RESIDENT_BYTES: usize = 1 << 20;
const KEEP_RESIDENT_TABLE_BYTES: usize = 64 << 10;

/// What an operator may ask for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemoryResetChoice {
    /// Scan where it is safe, else remap.
    #[default]
    Auto,
    Remap,
}

/// What is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryReset {
    /// Written pages are found by `PAGEMAP_SCAN` and restored in place.
    Scan,
    /// The whole mapping is dropped (`madvise`) and faulted in again.
    Remap,
}

impl MemoryReset {
    /// The way for this machine, and why it is not the fast one.
    pub fn choose(choice: MemoryResetChoice) -> (Self, &'static str) {
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

    pub fn configure(self, pool: &mut PoolingAllocationConfig) {
        // Tables are a few pages: clearing them is cheaper than faulting them in.
        pool.table_keep_resident(KEEP_RESIDENT_TABLE_BYTES);
        if self == Self::Scan {
            pool.pagemap_scan(wasmtime::Enabled::Yes);
            pool.linear_memory_keep_resident(KEEP_RESIDENT_BYTES);
        }
    }
}

/// True when there is no swap, or this process's control group may use none.
fn cannot_be_swapped() -> bool {
    let no_swap = fs::read_to_string("/proc/swaps").is_ok_and(|swaps| has_no_swap(&swaps));
    no_swap || control_group_forbids_swap().unwrap_or(false)
}

/// `/proc/swaps` is one heading and a line for each swap area.
fn has_no_swap(swaps: &str) -> bool {
    swaps.lines().skip(1).all(|line| line.trim().is_empty())
}

fn control_group_forbids_swap() -> Option<bool> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mut group = Path::new("/sys/fs/cgroup").join(path.trim_start_matches('/'));
    // A limit of zero anywhere above holds for this group too.
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
    fn swap_areas_are_seen() {
        let heading = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
        assert!(has_no_swap(heading));
        assert!(!has_no_swap(&format!("{heading}/dev/sda2 partition 1 0 -2\n")));
    }

    #[test]
    fn the_configuration_can_forbid_scanning() {
        assert_eq!(MemoryReset::choose(MemoryResetChoice::Remap).0, MemoryReset::Remap);
    }
}
