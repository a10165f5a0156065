//! Runs scripts of pages: each run gets a fresh WebAssembly sandbox and ends with a report.
//!
//! [`Sandbox`] lives as long as the process, [`RunContext`] says what one run may see, and
//! [`RunReport`] says what it did.

#![deny(unsafe_code)]

pub mod cache;
pub mod compile;
pub mod component;
mod deadline;
mod ended;
pub mod engine;
pub mod files;
pub mod host_api;
pub mod http_calls;
mod idle;
pub mod limiter;
pub mod long_work;
mod machine_code;
pub mod memory;
pub mod memory_reset;
mod meter;
pub mod observer;
pub mod outcome;
pub mod secrets;
pub mod sharing;
pub mod slots;
pub mod test_calls;
pub mod tier;
pub mod visitor;
mod waited;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
pub use engine::{Sandbox, SandboxConfig, Script};
use serde_json::{Map, Value};

use sluice_crm::QueuedWrites;
use sluice_crm::access::CrmAccess;
use sluice_fetch::Rules;
use sluice_kit::clock::Clock;
use sluice_kit::database_time;
use sluice_kit::host_stats::HostCall;
use sluice_kit::page_stats::RunCost;
use sluice_kit::value;
use sluice_limits::Limits;
use sluice_page_cache::{Dependence, PurgeAccess};
use sluice_queue::{Pushes, QueueAccess};
use sluice_session::LazySession;
use sluice_session::handoff::Handoff;
use sluice_storage::StorageAccess;
use sluice_telemetry::trace::Trace;

use crate::files::FilesAccess;
use crate::host_api::wasi::RunWasi;
use crate::http_calls::{HttpCalls, RunCalls};
use crate::observer::RunObserver;
use crate::secrets::BrandSecrets;
use crate::sharing::Sharing;
use crate::test_calls::TestCalls;
use crate::tier::Tier;
use tracing::Instrument as _;

use deadline::until_over;
use ended::{cause, end_of};
use host_api::checkpoint::Checkpoints;
use limiter::Limiter;
use long_work::Done;
use memory::Reserved;
use meter::{Meter, RESERVE_FUEL};
use outcome::{Cause, Effects, Failure, Outcome};
use slots::{Awaited, RunKind, SeenKind, Slot};
use waited::Waited;

/// A failure of the host. Mistakes of the author are a [`Failure`].
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The component cannot be used, or the engine cannot be taken apart.
    #[error(transparent)]
    Component(#[from] component::ComponentError),
    /// wasmtime rejected the component or failed.
    #[error("wasmtime: {0:#}")]
    Wasmtime(#[from] wasmtime::Error),
    /// The configured number of concurrent runs overflows the size of the pool.
    #[error("{0} concurrent runs are more than a pool can hold")]
    TooManyRuns(u32),
    /// The threads for long work cannot be started.
    #[error("no thread can be started: {0}")]
    Threads(std::io::Error),
    /// Every sandbox is in use, and the queue is full or the request waited too long in it.
    #[error("every sandbox is busy")]
    Busy,
}

/// The page of a job reads what it has to do as the variable with this name. An interface of its own would
/// cost every page. No variable can have such a name.
pub const JOB_CALL: &str = "sluice:job";

/// What a run may see and change.
#[derive(Default)]
pub struct RunContext {
    /// The id of the brand whose page runs. Brands share the sandboxes.
    pub brand: String,
    /// The run's part of its request's trace.
    pub trace: Trace,
    /// `request` as scripts see it.
    pub request: Arc<Value>,
    /// The bytes of the request's body as they came, if the page asks for them.
    pub raw_body: Option<Bytes>,
    /// Whether the visitor's connection uses https. Cookies are then `Secure` by default.
    pub is_https: bool,
    /// `[variables]` of the brand, which scripts and templates can read.
    pub brand_variables: Arc<Map<String, Value>>,
    /// The visitor's session. It is loaded when the run asks for it. The report contains it with the
    /// run's changes.
    pub session: LazySession,
    /// The brand's CRM; `None` makes every CRM call throw.
    pub crm: Option<CrmAccess>,
    /// Makes the run's calls to other servers; `None` makes every call throw.
    pub http: Option<Arc<dyn HttpCalls>>,
    /// What these calls may reach.
    pub http_rules: Arc<Rules>,
    /// The files of the request, and those that the brand keeps; `None` makes every call throw.
    pub files: Option<FilesAccess>,
    /// The brand's values; `None` makes every call of `storage` and `cache` throw.
    pub storage: Option<StorageAccess>,
    /// The brand's jobs; `None` makes every call of `queue` throw.
    pub queue: Option<QueueAccess>,
    /// Drops the brand's cached answers; `None` makes `cache.purge` throw.
    pub purges: Option<PurgeAccess>,
    /// Whether the answer may be kept for other visitors, and what then is noted.
    pub sharing: Sharing,
    /// Whether the run is a job. `request` is then what the page of the job asks for with [`JOB_CALL`].
    pub is_job: bool,
    /// Makes and takes handoff tokens; `None` rejects both.
    pub handoff: Option<Handoff>,
    /// What `secrets.get` reads.
    pub secrets: Arc<BrandSecrets>,
    /// The limits of this run.
    pub limits: Limits,
    /// The time that the script sees.
    pub clock: Clock,
    /// The seed of the script's random numbers; `None` takes them from the system.
    pub seed: Option<u64>,
    /// Is notified of the CRM calls of the run.
    pub observer: Option<Arc<dyn RunObserver>>,
    /// Answers the calls of an author's test; `None` in every other run.
    pub test_calls: Option<Arc<dyn TestCalls>>,
}

impl RunContext {
    /// The bytes of the values that the host holds for the run before it starts. The variables of the
    /// brand are shared by all runs, but rendering copies them.
    fn held_bytes(&self) -> usize {
        let variables = value::held_by_object(&self.brand_variables);
        let raw_body = self.raw_body.as_ref().map_or(0, Bytes::len);
        let session = self.session.held_bytes();
        let request = value::held(&self.request).saturating_add(raw_body);
        request.saturating_add(session).saturating_add(variables)
    }
}

/// The state of one run, which its wasmtime store owns.
pub(crate) struct RunState {
    pub(crate) context: RunContext,
    pub(crate) effects: Effects,
    /// The CRM writes with `async: true`.
    pub(crate) queued: QueuedWrites,
    /// The jobs that the run has pushed.
    pub(crate) pushes: Pushes,
    pub(crate) limiter: Limiter,
    pub(crate) meter: Meter,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) wasi: RunWasi,
    pub(crate) crm_calls: u32,
    pub(crate) crm_ensure_calls: u32,
    pub(crate) http: RunCalls,
    pub(crate) files_calls: u32,
    pub(crate) storage_calls: u32,
    pub(crate) cache_calls: u32,
    pub(crate) queue_calls: u32,
    /// Handoff tokens that the run has made and taken.
    pub(crate) tokens: u32,
    /// Why the answer cannot be kept for other visitors, if the page asks for that.
    pub(crate) dependence: Option<Dependence>,
    pub(crate) waited: Waited,
    /// Whether a host call threw because the run exceeded one of its limits.
    pub(crate) has_exceeded: bool,
    /// Whether a host call threw because the host failed.
    pub(crate) has_failed_host: bool,
    /// Where it is noted what the run waits for.
    place: Option<RunPlace>,
}

/// What has to know what a run waits for.
struct RunPlace {
    /// The right to run. It is kept as long as the run.
    slot: Slot,
    /// Later runs of the script.
    script: Arc<SeenKind>,
}

impl RunPlace {
    fn note(&self, awaited: Awaited) {
        self.script.note(awaited);
        self.slot.wait_for(awaited);
    }
}

impl RunState {
    /// Notes that the run is going to wait for the database.
    pub(crate) fn use_database(&self) {
        self.wait_for(Awaited::Database);
    }

    /// Notes that the run is going to wait for another server.
    pub(crate) fn use_network(&self) {
        self.wait_for(Awaited::Network);
    }

    fn wait_for(&self, awaited: Awaited) {
        // The runs of a test's pages need sandboxes while the test itself has one.
        let is_test = self.context.test_calls.is_some();
        self.place.iter().filter(|_| !is_test).for_each(|place| place.note(awaited));
    }

    fn new(context: RunContext, limiter: Limiter, meter: Meter, checkpoints: Checkpoints) -> Self {
        Self {
            wasi: RunWasi::new(context.clock.clone(), context.seed),
            context,
            effects: Effects::default(),
            queued: QueuedWrites::default(),
            pushes: Pushes::default(),
            limiter,
            meter,
            checkpoints,
            crm_calls: 0,
            crm_ensure_calls: 0,
            http: RunCalls::default(),
            files_calls: 0,
            storage_calls: 0,
            cache_calls: 0,
            queue_calls: 0,
            tokens: 0,
            dependence: None,
            waited: Waited::default(),
            has_exceeded: false,
            has_failed_host: false,
            place: None,
        }
    }
}

/// What a run did, how it ended and what it cost.
#[derive(Clone)]
pub struct RunReport {
    /// How the run ended.
    pub outcome: Outcome,
    /// Why it failed; secrets in it are masked.
    pub failure: Option<Failure>,
    /// What made it fail; [`Cause::Script`] if it did not fail.
    pub cause: Cause,
    /// What the script asked for until the run ended, also if the run failed.
    pub effects: Effects,
    /// The session with the changes of the run, if the run asked for it.
    pub session: LazySession,
    /// The CRM writes that the script queued. They are stored together with the session.
    pub queued: QueuedWrites,
    /// The jobs that the script pushed. They are stored together with the session, too.
    pub pushes: Pushes,
    /// Why the answer cannot be kept for other visitors, if the page asks for that.
    pub dependence: Option<Dependence>,
    /// The number of CRM calls.
    pub crm_calls: u32,
    /// How many of them were `ensureCrmEntity`.
    pub crm_ensure_calls: u32,
    /// Units of fuel that the run used, host calls included.
    pub fuel: u64,
    /// The largest size of the sandbox's memory.
    pub memory_bytes_peak: usize,
    /// The size of the memory before the script ran: the engine's own share.
    pub memory_bytes_initial: usize,
    /// The bytes of the values that the host holds for the run when it has ended: what it was given,
    /// its variables and its session.
    pub host_bytes: usize,
    /// The elapsed time of the run.
    pub wall: Duration,
    /// The part of `wall` that the run spent waiting in host calls.
    pub host_wall: Duration,
    /// The part of `wall` in which the run was ready while other work took the processors.
    pub cpu_wait: Duration,
    /// The time that the request waited for a sandbox; not part of `wall`.
    pub waited: Duration,
    /// How the script was executed.
    pub tier: Tier,
    /// The calls to other servers that have ended.
    pub http_calls: Vec<HostCall>,
}

impl RunReport {
    /// The cost of the run, for the page's statistics.
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

    /// Whether the run ended at its time limit only because other work took the processors: it waited
    /// for them during most of its time.
    pub fn is_starved(&self) -> bool {
        self.outcome == Outcome::Timeout && self.cpu_wait > self.wall / 2
    }

    /// The report of a page whose script did not run, because it has none or does not compile.
    pub fn not_run(outcome: Outcome, failure: Option<Failure>, session: impl Into<LazySession>) -> Self {
        Self {
            outcome,
            failure,
            cause: Cause::Script,
            effects: Effects::default(),
            session: session.into(),
            queued: QueuedWrites::default(),
            pushes: Pushes::default(),
            dependence: None,
            crm_calls: 0,
            crm_ensure_calls: 0,
            fuel: 0,
            memory_bytes_peak: 0,
            memory_bytes_initial: 0,
            host_bytes: 0,
            wall: Duration::ZERO,
            host_wall: Duration::ZERO,
            cpu_wait: Duration::ZERO,
            waited: Duration::ZERO,
            tier: Tier::default(),
            http_calls: Vec::new(),
        }
    }
}

/// A run that has a sandbox and the memory that it can take.
pub struct Admitted {
    slot: Slot,
    /// The time that the request waited.
    waited: Duration,
    keeps_place: bool,
}

impl Admitted {
    /// Takes the memory, so that it stays reserved after the run has ended.
    pub fn take_memory(&mut self) -> Option<Reserved> {
        self.slot.memory.take()
    }

    /// The request keeps its place among the running sandboxes when the run has ended.
    pub fn keep_place(&mut self) {
        self.keeps_place = true;
    }
}

impl Sandbox {
    /// Returns the memory of idle sandboxes to the system, if far more were used than were needed since the
    /// call before the last one. Call it regularly. It takes a few milliseconds.
    pub fn release_idle(&self) -> usize {
        self.idle.end_period(&self.slots)
    }

    /// Waits for a sandbox for a run of `brand`, and for the memory that a run with these limits can
    /// take. The wait ends after a bounded time, and the queue has a bounded length.
    ///
    /// # Errors
    /// [`SandboxError::Busy`] if the queue is full or the wait timed out.
    pub async fn admit(&self, brand: &str, kind: RunKind, limits: &Limits) -> Result<Admitted, SandboxError> {
        let arrived = Instant::now();
        let bytes = Limiter::reservation(limits.heap_bytes_max);
        let slot = self.slots.take(brand, kind, bytes).await.ok_or(SandboxError::Busy)?;
        Ok(Admitted { slot, waited: arrived.elapsed(), keeps_place: false })
    }

    /// Runs `script` to its end in a fresh sandbox. If no sandbox is free, the run waits as in
    /// [`Sandbox::admit`].
    ///
    /// # Errors
    /// As [`Sandbox::admit`] and [`Sandbox::run_admitted`].
    pub async fn run(&self, script: &Script, context: RunContext) -> Result<RunReport, SandboxError> {
        let admitted = self.admit(&context.brand, script.run_kind(), &context.limits).await?;
        self.run_admitted(script, context, admitted).await.map(|(report, _)| report)
    }

    /// Runs `script` to its end in the sandbox of `admitted`.
    ///
    /// The run begins on the caller's thread. At its first yield, after about a millisecond, it moves to
    /// the threads of [`Sandbox::long_runs`]. `wall_ms_max` goes on while it waits for one of them.
    ///
    /// Also returns the place of the run if the request is going to wait for the database again: the run
    /// has queued writes or pushed jobs, or the caller wants to keep it ([`Admitted::keep_place`]). The sandbox itself is
    /// free.
    ///
    /// # Errors
    /// No sandbox could be made. Failures of the script are not errors: the report has them.
    pub async fn run_admitted(
        &self,
        script: &Script,
        context: RunContext,
        admitted: Admitted,
    ) -> Result<(RunReport, Option<Slot>), SandboxError> {
        let Admitted { slot, waited, keeps_place } = admitted;
        let started = Instant::now();
        let (limits, brand, trace) = (context.limits.clone(), context.brand.clone(), context.trace.clone());
        let mut limiter = Limiter::for_heap(limits.heap_bytes_max);
        limiter.hold(context.held_bytes());
        let until = started.checked_add(Duration::from_millis(limits.wall_ms_max));
        let fuel_max = limits.fuel.saturating_add(RESERVE_FUEL);
        let meter = Meter::new(fuel_max, fuel_max - limits.fuel);
        let mut state = RunState::new(context, limiter, meter, Checkpoints::new(limits.fuel, until));
        state.place = Some(RunPlace { slot, script: Arc::clone(&script.seen_kind) });
        let mut store = self.store(state, fuel_max)?;
        let (pre, heap_bytes_max) = (script.pre.clone(), limits.heap_bytes_max);
        let run = async move {
            let end = until_over(until, async {
                let page = pre.instantiate_async(&mut store).await?;
                page.sluice_page_script().call_run(&mut store, heap_bytes_max).await
            })
            .await;
            let fuel_left = store.get_fuel();
            // Frees the sandbox on this thread, and only then its place.
            let mut state = store.into_data();
            let has_returned = matches!(end, Some(Ok(Ok(_)))) && state.effects.stop.is_none();
            state.end_http_calls(has_returned);
            let place = state.place.take().map(|place| place.slot);
            let place = place.filter(|_| keeps_place || !state.queued.is_empty() || !state.pushes.is_empty());
            (end, fuel_left, state, place)
        };
        let run = database_time::carried(trace.with_context(run.in_current_span()));
        let done = self.long_runs.run_if_long(&brand, run).await;
        let Done { value: (end, fuel_left, mut state, place), waited: cpu_wait } =
            done.ok_or(SandboxError::Busy)?;
        let used = fuel_max.saturating_sub(fuel_left?);
        let fuel = used.min(limits.fuel);
        if let Some(Ok(Ok(heap))) = &end {
            state.limiter.note_heap(*heap as usize);
        }
        let memory_bytes_peak = state.limiter.used_bytes_peak();
        let memory_bytes_initial = state.limiter.memory_bytes_initial;
        let host_bytes = state.limiter.host_bytes();
        let heap_was_full = state.limiter.heap_was_full(limits.heap_bytes_max);
        let (outcome, failure) = end_of(end, used > limits.fuel, &limits, &mut state, heap_was_full);
        let wall = started.elapsed();
        let cause = cause(outcome, failure.as_ref(), &state, wall, heap_was_full);
        let failure = failure.map(|failure| failure.masked(&state.context.secrets));
        let report = RunReport {
            outcome,
            failure,
            cause,
            effects: state.effects,
            session: state.context.session,
            queued: state.queued,
            pushes: state.pushes,
            // A script that catches a failure may answer with less than it would otherwise.
            dependence: match state.has_failed_host || state.has_exceeded {
                true if state.context.sharing.is_asked() => Some(Dependence::CallFailed),
                _ => state.dependence,
            },
            crm_calls: state.crm_calls,
            crm_ensure_calls: state.crm_ensure_calls,
            fuel,
            memory_bytes_peak,
            memory_bytes_initial,
            host_bytes,
            wall,
            host_wall: state.waited.wall,
            cpu_wait,
            waited,
            tier: script.tier,
            http_calls: state.http.ended,
        };
        Ok((report, place))
    }
}
