//! Measures a run in a sandbox, interpreted and compiled, compares it with the same script in native QuickJS,
//! and measures the compilation of a page. `make bench` runs it. The table at the end
//! shows the medians and the goals.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "a bench ends at the first failure and prints")]

mod cost;
mod native;
mod page;
mod programs;
mod table;

use std::time::{Duration, Instant, SystemTime};

use criterion::{Bencher, BenchmarkId, Criterion};
use tokio::runtime::{Builder, Runtime};

use sluice_limits::Limits;
use sluice_sandbox::memory_reset::{MemoryReset, MemoryResetChoice};
use sluice_sandbox::outcome::Outcome;
use sluice_sandbox::tier::TierChoice;
use sluice_sandbox::{RunContext, Sandbox, SandboxConfig, Script};
use sluice_session::Session;

use page::Page;
use sluice_benches::medians::{self, Medians};

/// How often each comparison is repeated. Within a round, the sides run within a
/// fraction of a second: the speed of a machine with other work changes from second
/// to second, by more than the margins of the goals.
const ROUNDS: u32 = 11;

/// The page whose compilation is measured.
const TYPICAL: Page = Page { name: "session", html: include_str!("../pages/session.html") };
const PAGES: [Page; 4] = [
    Page { name: "empty", html: include_str!("../pages/empty.html") },
    TYPICAL,
    Page { name: table::FIB, html: include_str!("../pages/fib.html") },
    Page { name: "calls", html: include_str!("../pages/calls.html") },
];

fn main() {
    let begun = SystemTime::now();
    // Actix workers run requests on such a runtime.
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime starts");
    let start_up = Instant::now();
    let sandbox = sandbox(MemoryResetChoice::Auto, TierChoice::Interpreter);
    let start_up = start_up.elapsed();
    let remapping = sandbox_that_remaps(&sandbox);
    let compiler = self::sandbox(MemoryResetChoice::Auto, TierChoice::Compiled);

    let mut criterion = Criterion::default()
        .output_directory(&medians::dir(env!("CARGO_TARGET_TMPDIR")))
        .warm_up_time(Duration::from_millis(50))
        .measurement_time(Duration::from_millis(250))
        .sample_size(10)
        .nresamples(2_000)
        .configure_from_args();
    let mut sides = vec![(side(sandbox.memory_reset), &sandbox)];
    sides.extend(remapping.iter().map(|sandbox| (side(sandbox.memory_reset), sandbox)));
    for page in &PAGES {
        let compiled = (page.name == table::FIB).then_some((COMPILED, &compiler));
        let sides: Vec<_> = sides.iter().copied().chain(compiled).collect();
        compare(&mut criterion, &runtime, page, &sides);
    }
    let sides = [(side(sandbox.memory_reset), &sandbox), (COMPILED, &compiler)];
    for page in programs::pages() {
        compare(&mut criterion, &runtime, page, &sides);
    }
    compile(&mut criterion, &runtime, &TYPICAL, &sandbox);
    criterion.final_summary();

    table::print(
        &Medians::since(begun, medians::dir(env!("CARGO_TARGET_TMPDIR")), ROUNDS),
        &sandbox,
        start_up,
    );
    cost::print(&runtime, [&sandbox, &compiler]);
}

fn sandbox(memory_reset: MemoryResetChoice, tier: TierChoice) -> Sandbox {
    let config = SandboxConfig { memory_reset, tier, ..SandboxConfig::default() };
    Sandbox::new(&config).expect("the engine compiles")
}

/// A second sandbox that resets memory by remapping, unless the first one does so already.
fn sandbox_that_remaps(sandbox: &Sandbox) -> Option<Sandbox> {
    (sandbox.memory_reset == MemoryReset::Scan)
        .then(|| self::sandbox(MemoryResetChoice::Remap, TierChoice::Interpreter))
}

/// Measures all sides of one page in each round: native QuickJS and the named sandboxes.
fn compare(criterion: &mut Criterion, runtime: &Runtime, page: &Page, sides: &[(&str, &Sandbox)]) {
    let javascript = page.javascript();
    let sides = sides.iter().map(|(side, sandbox)| (side, sandbox, runtime.block_on(page.script(sandbox))));
    let sides: Vec<_> = sides.collect();
    let mut group = criterion.benchmark_group(page.name);
    for round in 0..ROUNDS {
        group.bench_function(BenchmarkId::new("native", round), |bencher| {
            bencher.iter(|| native::run(&javascript));
        });
        for (side, sandbox, script) in &sides {
            group.bench_function(BenchmarkId::new(**side, round), |bencher| {
                bench_sandbox(bencher, runtime, sandbox, script);
            });
        }
    }
    group.finish();
}

/// The side that runs compiled pages in its group.
const COMPILED: &str = "compiled";

/// The name of a sandbox's side in its group.
fn side(memory_reset: MemoryReset) -> &'static str {
    match memory_reset {
        MemoryReset::Scan => "scan",
        MemoryReset::Remap => "remap",
    }
}

/// A whole run as in a request: the sandbox is created, run and torn down, with
/// limiter, fuel, call hook and deadline.
fn bench_sandbox(bencher: &mut Bencher, runtime: &Runtime, sandbox: &Sandbox, script: &Script) {
    let session = returning_visitor();
    bencher.to_async(runtime).iter(|| async {
        let context = RunContext { session: session.clone().into(), ..RunContext::default() };
        let report = sandbox.run(script, context).await.expect("a sandbox is free");
        assert!(matches!(report.outcome, Outcome::Ok | Outcome::Stopped), "{:?}", report.failure);
        report
    });
}

pub(crate) fn returning_visitor() -> Session {
    let mut session = Session::default();
    session.set("visits", native::VISITS.into(), &Limits::default()).expect("the session accepts the value");
    session
}

fn compile(criterion: &mut Criterion, runtime: &Runtime, page: &Page, sandbox: &Sandbox) {
    let component = runtime.block_on(page.component(sandbox));
    let mut group = criterion.benchmark_group("compile");
    for round in 0..ROUNDS {
        group.bench_function(BenchmarkId::new("build", round), |bencher| {
            bencher.to_async(runtime).iter(|| page.component(sandbox));
        });
        group.bench_function(BenchmarkId::new("load", round), |bencher| {
            bencher.iter(|| sandbox.load(&component).expect("the component loads"));
        });
    }
    group.finish();
}
