//! No run can see what an earlier run wrote into its memory, with either way to reset memory.
//!
//! A script cannot read raw memory, so the test uses its own component, which searches its
//! whole memory for a marker and then fills all of it with the marker. The pool has one
//! sandbox, so the next run gets the same memory.

use sluice_sandbox::memory_reset::{MemoryReset, MemoryResetChoice};
use sluice_sandbox::outcome::Outcome;
use sluice_sandbox::{RunContext, SandboxConfig};

use crate::components::{marker_component, marker_component_twice};
use crate::harness::sandbox;
use crate::sandbox::block_on;

fn check(choice: MemoryResetChoice, expected: MemoryReset) {
    block_on(async {
        let config =
            SandboxConfig { concurrent_runs_max: 1, memory_reset: choice, ..SandboxConfig::default() };
        let sandbox = sandbox(&config);
        if sandbox.memory_reset != expected {
            println!("skipped: kernel or swap ({})", sandbox.memory_reset_reason);
            return;
        }
        // First every byte; then every other page, so that more than a thousand separate
        // regions have to be found.
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
            sandbox.release_idle();
        }
    });
}

#[test]
fn scanning_resets_all_memory() {
    check(MemoryResetChoice::Auto, MemoryReset::Scan);
}

#[test]
fn remapping_resets_all_memory() {
    check(MemoryResetChoice::Remap, MemoryReset::Remap);
}

/// Checks the test itself: within one run, the component finds what it wrote.
#[test]
fn finds_the_marker_if_memory_is_not_reset() {
    block_on(async {
        let sandbox = sandbox(&SandboxConfig::default());
        let script = sandbox.load(&marker_component_twice(8192)).unwrap();
        let report = sandbox.run(&script, RunContext::default()).await.unwrap();
        assert_eq!(report.outcome, Outcome::Error);
        assert_eq!(report.failure.unwrap().name, "MarkerFound");
    });
}
