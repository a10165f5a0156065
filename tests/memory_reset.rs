//! Nothing that a run writes into its memory is there in the next run, however
//! the memory is cleaned.
//!
//! A script cannot look at raw memory, so a component made for this does: it
//! searches its whole memory for a marker and then fills all of it with the
//! marker. In a pool of one, the next run gets the same memory.

use sluice_sandbox::memory_reset::{MemoryReset, MemoryResetChoice};
use sluice_sandbox::outcome::Outcome;
use sluice_sandbox::{RunContext, Sandbox, SandboxConfig};

use crate::components::{marker_component, marker_component_twice};
use crate::sandbox::block_on;

fn check(choice: MemoryResetChoice, expected: MemoryReset) {
    block_on(async {
        let config =
            SandboxConfig { concurrent_runs_max: 1, memory_reset: choice, ..SandboxConfig::default() };
        let sandbox = Sandbox::new(&config).unwrap();
        if sandbox.memory_reset != expected {
            println!("skipped: kernel or swap ({})", sandbox.memory_reset_reason);
            return;
        }
        // Every byte; then every other page, which is more than a thousand
        // separate regions to find.
        for stride in [8, 8192] {
            let script = sandbox.load(&marker_component(stride)).unwrap();
            for round in 0..5 {
                let report = sandbox.run(&script, RunContext::default()).await.unwrap();
                assert_eq!(
                    report.outcome,
                    Outcome::Ok,
                    "stride {stride}, round {round}: {:?}",
                    report.failure
                );
            }
        }
    });
}

#[test]
fn scanning_leaves_nothing_behind() {
    check(MemoryResetChoice::Auto, MemoryReset::Scan);
}

#[test]
fn remapping_leaves_nothing_behind() {
    check(MemoryResetChoice::Remap, MemoryReset::Remap);
}

/// The component must be able to fail: within one run it finds what it wrote.
#[test]
fn the_marker_is_found_where_memory_is_not_cleaned() {
    block_on(async {
        let sandbox = Sandbox::new(&SandboxConfig::default()).unwrap();
        let script = sandbox.load(&marker_component_twice(8192)).unwrap();
        let report = sandbox.run(&script, RunContext::default()).await.unwrap();
        assert_eq!(report.outcome, Outcome::Error);
        assert_eq!(report.failure.unwrap().name, "MarkerFound");
    });
}
