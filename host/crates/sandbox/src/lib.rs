//! Running a page's script: one sandbox, one run, one report.

#![deny(unsafe_code)]

pub mod cache;
mod chance;
pub mod compile;
pub mod component;
pub mod engine;
pub mod host_api;
pub mod limiter;
mod machine_code;
pub mod memory_reset;
pub mod meter;
pub mod observer;
pub mod outcome;
mod run_clock;
pub mod secrets;
pub mod slots;
pub mod test_calls;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use wasmtime::{PoolConcurrencyLimitError, Trap};

pub use engine::{Sandbox, SandboxConfig, Script};

use sluice_crm::access::CrmAccess;
use sluice_kit::clock::Clock;
use sluice_kit::page_stats::RunCost;
use sluice_limits::Limits;
use sluice_session::Session;
use sluice_session::handoff::Handoff;
use sluice_telemetry::trace::Trace;

use crate::host_api::page::exports::sluice::page::script::Failure as WitFailure;
use crate::observer::RunObserver;
use crate::secrets::BrandSecrets;
use crate::test_calls::TestCalls;
use chance::Chance;
use limiter::{Limiter, MemoryExceeded};
use meter::Meter;
use outcome::{Effects, Failure, Outcome};
use run_clock::RunClock;

/// The host's own failures; the author's are [`Failure`].
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error(transparent)]
    Component(#[from] component::ComponentError),
    #[error("wasmtime: {0:#}")]
    Wasmtime(#[from] wasmtime::Error),
    #[error("{0}")]
    Configuration(String),
    /// Every sandbox is taken and the line is full, or waiting took too long.
    #[error("every sandbox is busy")]
    Busy,
}

/// What a run may see and touch.
#[derive(Default)]
pub struct RunContext {
    /// Whose run it is; brands share the sandboxes.
    pub brand: String,
    /// The run's part of its request's trace.
    pub trace: Trace,
    /// `request` as scripts see it.
    pub request: Arc<Value>,
    pub is_https: bool,
    pub brand_variables: Arc<Map<String, Value>>,
    pub session: Session,
    pub crm: Option<CrmAccess>,
    pub handoff: Option<Handoff>,
    pub secrets: Arc<BrandSecrets>,
    pub limits: Limits,
    pub clock: Clock,
    /// Random numbers follow from it; the system's where there is none.
    pub seed: Option<u64>,
    /// Is told what the run asks of the host.
    pub observer: Option<Arc<dyn RunObserver>>,
    /// Answers what an author's test asks; none in every other run.
    pub test_calls: Option<Arc<dyn TestCalls>>,
}

/// The state of one run, inside its store.
pub struct RunState {
    pub(crate) context: RunContext,
    pub(crate) effects: Effects,
    pub(crate) limiter: Limiter,
    pub(crate) meter: Meter,
    pub(crate) clock: RunClock,
    pub(crate) chance: Chance,
    pub(crate) crm_calls: u32,
    pub(crate) crm_ensure_calls: u32,
    /// Handoff tokens made and taken.
    pub(crate) tokens: u32,
    /// Spent waiting in host calls.
    pub(crate) host_wall: Duration,
}

impl RunState {
    fn new(context: RunContext, limiter: Limiter, fuel: u64) -> Self {
        Self {
            clock: RunClock::new(context.clock),
            chance: Chance::new(context.seed),
            context,
            effects: Effects::default(),
            limiter,
            meter: Meter::new(fuel),
            crm_calls: 0,
            crm_ensure_calls: 0,
            tokens: 0,
            host_wall: Duration::ZERO,
        }
    }
}

/// What a run did, how it ended and what it cost.
#[derive(Clone)]
pub struct RunReport {
    pub outcome: Outcome,
    pub failure: Option<Failure>,
    pub effects: Effects,
    pub session: Session,
    pub fuel: u64,
    pub memory_bytes_peak: usize,
    /// What of it the engine has before any script runs.
    pub memory_bytes_initial: usize,
    pub wall: Duration,
    /// The part of `wall` that was spent waiting in host calls.
    pub host_wall: Duration,
    /// Waiting for a sandbox; not part of `wall`.
    pub waited: Duration,
}

impl RunReport {
    /// What the run took.
    pub fn cost(&self) -> RunCost {
        let microseconds = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        RunCost {
            fuel: self.fuel,
            memory_bytes: self.memory_bytes_peak as u64,
            memory_bytes_base: self.memory_bytes_initial as u64,
            wall_us: microseconds(self.wall),
            host_us: microseconds(self.host_wall),
            has_failed: self.outcome.is_failure(),
        }
    }

    /// A page whose script did not run: it has none, or it does not compile.
    pub fn not_run(outcome: Outcome, failure: Option<Failure>, session: Session) -> Self {
        Self {
            outcome,
            failure,
            effects: Effects::default(),
            session,
            fuel: 0,
            memory_bytes_peak: 0,
            memory_bytes_initial: 0,
            wall: Duration::ZERO,
            host_wall: Duration::ZERO,
            waited: Duration::ZERO,
        }
    }
}

impl Sandbox {
    /// Runs `script` to its end in a fresh sandbox. Waits for a free one, in a
    /// line of bounded length for a bounded time.
    ///
    /// # Errors
    /// [`SandboxError::Busy`], or that no sandbox could be made; whatever the
    /// script does is in the report.
    pub async fn run(&self, script: &Script, context: RunContext) -> Result<RunReport, SandboxError> {
        let arrived = Instant::now();
        let _slot = self.slots.take(&context.brand).await.ok_or(SandboxError::Busy)?;
        let started = Instant::now();
        let waited = started.duration_since(arrived);
        let limits = context.limits.clone();
        let state = RunState::new(context, Limiter::for_heap(limits.heap_bytes_max), limits.fuel);
        let mut store = self.store(state, limits.fuel)?;
        let end = tokio::time::timeout(Duration::from_millis(limits.wall_ms_max), async {
            let page = script.pre.instantiate_async(&mut store).await?;
            page.sluice_page_script().call_run(&mut store, limits.heap_bytes_max).await
        })
        .await;
        let fuel = limits.fuel.saturating_sub(store.get_fuel()?);
        let state = store.into_data();
        let memory_bytes_peak = state.limiter.memory_bytes_peak;
        let memory_bytes_initial = state.limiter.memory_bytes_initial;
        let heap_was_full = state.limiter.heap_was_full(limits.heap_bytes_max);
        let (outcome, failure) = match end {
            _ if state.effects.stop.is_some() => (Outcome::Stopped, None),
            Ok(Ok(Ok(()))) => (Outcome::Ok, None),
            Ok(Ok(Err(failure))) => thrown(failure, heap_was_full),
            Ok(Err(trap)) => match ended_by(&trap, &limits, heap_was_full) {
                Some((outcome, failure)) => (outcome, Some(failure)),
                None => (Outcome::Host, Some(Failure::new("HostError", format!("{trap:#}")))),
            },
            Err(_) => {
                let message = format!("the run took longer than {} ms", limits.wall_ms_max);
                (Outcome::Timeout, Some(Failure::new("Timeout", message)))
            }
        };
        let failure = failure.map(|failure| masked(failure, &state.context.secrets));
        Ok(RunReport {
            outcome,
            failure,
            effects: state.effects,
            session: state.context.session,
            fuel,
            memory_bytes_peak,
            memory_bytes_initial,
            wall: started.elapsed(),
            host_wall: state.host_wall,
            waited,
        })
    }
}

/// The outcome of a script that threw. QuickJS throws `out of memory` at the
/// heap quota; where there is no room left even for that, `null` is thrown or the
/// module's promise stays open.
fn thrown(failure: WitFailure, heap_was_full: bool) -> (Outcome, Option<Failure>) {
    let out_of_memory = failure.name == "InternalError" && failure.message == "out of memory";
    let starved = heap_was_full && (failure.message == "uncaught null" || failure.name == "AwaitError");
    if starved {
        return (Outcome::Memory, Some(Failure::new("InternalError", "out of memory")));
    }
    let outcome = if out_of_memory { Outcome::Memory } else { Outcome::Error };
    let failure = Failure {
        name: failure.name,
        message: failure.message,
        file: failure.file,
        line: failure.line,
        column: failure.column,
        stack: failure.stack,
        import: None,
    };
    (outcome, Some(failure))
}

/// What is thrown may hold a secret; the log must not.
fn masked(mut failure: Failure, secrets: &BrandSecrets) -> Failure {
    for text in [&mut failure.message, &mut failure.stack] {
        *text = secrets.mask(text).into_owned();
    }
    failure
}

/// What stopped a run from within the host. Everything else that a component runs
/// into, it brought about.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct HostFault(pub String);

/// Which limit a trap stands for; none when it is the host's own failure.
fn ended_by(trap: &wasmtime::Error, limits: &Limits, heap_was_full: bool) -> Option<(Outcome, Failure)> {
    if trap.is::<MemoryExceeded>() {
        let message = format!("the script used more than its {} bytes of memory", limits.heap_bytes_max);
        return Some((Outcome::Memory, Failure::new("MemoryLimit", message)));
    }
    if trap.is::<HostFault>() || trap.is::<PoolConcurrencyLimitError>() {
        return None;
    }
    let Some(trap) = trap.downcast_ref::<Trap>() else {
        // Arguments outside its memory, text that is not UTF-8, and the like.
        return Some((Outcome::Error, Failure::new("Trap", format!("{trap:#}"))));
    };
    match trap {
        Trap::OutOfFuel => {
            let message = format!(
                "the script used more than its {} units of fuel; a loop without end?",
                sluice_limits::grouped(limits.fuel)
            );
            Some((Outcome::Fuel, Failure::new("FuelLimit", message)))
        }
        // QuickJS keeps part of its stack in linear memory, below everything
        // else: running off its end is an access out of bounds.
        Trap::StackOverflow | Trap::MemoryOutOfBounds => {
            Some((Outcome::Stack, Failure::new("StackLimit", "the script recursed too deeply")))
        }
        // Rust code of the engine aborts when its memory is used up.
        Trap::UnreachableCodeReached if heap_was_full => {
            Some((Outcome::Memory, Failure::new("MemoryLimit", "the engine ran out of memory")))
        }
        // Anything else that wasmtime stops is the component's doing.
        other => Some((Outcome::Error, Failure::new("Trap", other.to_string()))),
    }
}
