//! Checks that a component of any form is either rejected or runs within its quotas, without a panic of the
//! host. The input is a component, as text or bytes.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sluice_limits::Limits;
use sluice_sandbox::component::is_page;
use sluice_sandbox::{RunContext, Sandbox, SandboxConfig};

static HOST: LazyLock<(tokio::runtime::Runtime, Sandbox)> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let config = SandboxConfig { concurrent_runs_max: 2, ..SandboxConfig::default() };
    let sandbox = runtime.block_on(async { Sandbox::new(&config) }).expect("a sandbox");
    (runtime, sandbox)
});

fuzz_target!(|bytes: &[u8]| {
    let (runtime, sandbox) = &*HOST;
    let Ok(component) = wat::parse_bytes(bytes) else { return };
    let _ = is_page(&component);
    let Ok(script) = sandbox.load(&component) else { return };
    let limits = Limits { fuel: 1_000_000, wall_ms_max: 1_000, ..Limits::default() };
    let context = RunContext { brand: "shop".into(), limits, ..RunContext::default() };
    let report = runtime.block_on(sandbox.run(&script, context)).expect("a run ends with a report");
    assert!(report.fuel <= 1_000_000 + 100_000, "{} units of fuel", report.fuel);
});
