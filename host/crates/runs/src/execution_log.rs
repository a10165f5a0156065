//! The execution log: finished runs, in a database file of its own.
//!
//! A request puts its run into a queue and continues. A thread writes the queued runs in batches.
//! Runs that do not fit into the queue or on the disk are dropped and counted, so the log never
//! delays a page.

mod database;
pub mod failures;
pub mod hosts;
pub mod query;
mod queue;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use serde::{Deserialize, Serialize};

use sluice_kit::clock::now_ms;
use sluice_kit::host_stats::HostCall;
use sluice_kit::operator_dir::OperatorFile;
use sluice_kit::page_stats::{Collector, RunCost};
use sluice_sandbox::RunReport;
use sluice_sandbox::outcome::{ConsoleLine, ConsoleLog, Failure};
use sluice_sandbox::tier::Tier;
use sluice_text::bounded::bounded;

use queue::Waiting;

/// The most runs in the queue.
const QUEUE_RUNS_MAX: usize = 4_096;
/// The most bytes of the runs in the queue.
const QUEUE_BYTES_MAX: usize = 32 << 20;

/// The most bytes of the texts of a stored run, so that a row has at most 64 KiB.
const TEXT_BYTES_MAX: usize = 60 << 10;
/// The most bytes of the path of a stored run.
const PATH_BYTES_MAX: usize = 2 << 10;
/// The most bytes of the name of a page's file in a stored run.
const PAGE_BYTES_MAX: usize = 4 << 10;

/// Which runs are stored, where, and for how long.
#[derive(Debug, Clone)]
pub struct ExecutionLogOptions {
    /// The database file.
    pub path: OperatorFile,
    /// The age at which runs and histograms are deleted.
    pub keep: Duration,
    /// The most runs that are kept. If there are more, the brand with the most runs loses its oldest.
    pub rows_max: u64,
    /// The most bytes of one brand's runs. If there are more, the brand loses its oldest.
    pub bytes_max: u64,
    /// The share, from 0 to 1, of successful runs without console lines that are stored.
    pub sample: f64,
}

/// A longer kind of a failure is cut.
const KIND_CHARS_MAX: usize = 200;

/// One stored run. It never contains the query, the body or cookies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Execution {
    /// Assigned when the run is stored. Later runs have greater ids.
    pub id: i64,
    /// When the run was recorded, in Unix milliseconds.
    pub at_ms: i64,
    /// The brand's id.
    pub brand: String,
    /// The page's file, such as `pages/index.html`.
    pub page: String,
    /// The request's trace, as 32 hexadecimal digits.
    pub trace_id: String,
    /// The request's method.
    pub method: String,
    /// The request's path, without the query.
    pub path: String,
    /// How the run ended, such as `ok` or `error`.
    pub outcome: String,
    /// The status of the response.
    pub status: u16,
    /// The fuel that the run used.
    pub fuel: u64,
    /// The sandbox's peak memory.
    pub memory_bytes: u64,
    /// The duration of the run, in microseconds.
    pub wall_us: u64,
    /// The time in host calls that wait for the database, in microseconds.
    pub host_us: u64,
    /// Console lines, oldest first.
    pub console: Vec<StoredLine>,
    /// The number of console lines over the limit, which were dropped.
    pub console_dropped: u64,
    /// Why the run failed.
    pub error: Option<StoredError>,
    /// The id of the job, if it is a run of one.
    #[serde(default)]
    pub job: Option<String>,
    /// How long the request waited for a sandbox before the run, in microseconds.
    #[serde(default)]
    pub waited_us: u64,
    /// The part of the run in which it was ready while other work took the processors, in microseconds.
    #[serde(default)]
    pub cpu_wait_us: u64,
    /// How the script was executed: `interpreter` or `compiled`. Empty if it is not known.
    #[serde(default)]
    pub tier: String,
}

/// A stored console line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredLine {
    /// The name of the console function, such as `warn`.
    pub level: String,
    /// The text that the script wrote.
    pub text: String,
}

/// Why a run failed, in the author's terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredError {
    /// The name of the error, such as `TypeError`.
    pub name: String,
    /// The error's message.
    pub message: String,
    /// The file in which the error occurred; empty if it is not known.
    pub file: String,
    /// The line, counted from 1.
    pub line: u32,
    /// The column, counted from 1.
    pub column: u32,
    /// The stack, one frame on each line.
    pub stack: String,
}

impl StoredError {
    /// What failures are grouped by: the name and the message. Numbers in them do not matter, because
    /// they often differ from one failure to the next.
    fn kind(&self) -> String {
        let mut kind = String::new();
        let mut was_digit = false;
        for letter in format!("{}: {}", self.name, self.message).chars().take(KIND_CHARS_MAX) {
            let is_digit = letter.is_ascii_digit();
            match is_digit {
                true if was_digit => {}
                true => kind.push('#'),
                false => kind.push(letter),
            }
            was_digit = is_digit;
        }
        kind
    }
}

impl From<&Failure> for StoredError {
    fn from(failure: &Failure) -> Self {
        Self {
            name: failure.name.clone(),
            message: failure.message.clone(),
            file: failure.file.clone(),
            line: failure.line,
            column: failure.column,
            stack: failure.stack.clone(),
        }
    }
}

impl std::fmt::Display for StoredError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.file.is_empty() {
            write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        }
        write!(f, "{}: {}", self.name, self.message)
    }
}

/// A run that has ended and whose request has not been answered yet.
#[derive(Debug, Default)]
pub struct FinishedRun {
    /// The request's trace, as 32 hexadecimal digits.
    pub trace_id: String,
    /// True if the page has a script that ran, so that its cost counts.
    pub has_run: bool,
    /// True if it is stored in any case, and not only if it is sampled.
    pub is_kept: bool,
    /// How the run ended.
    pub outcome: &'static str,
    /// What the run used.
    pub cost: RunCost,
    /// What the script wrote to the console.
    pub console: ConsoleLog,
    /// Why the run or the template failed.
    pub failure: Option<Failure>,
    /// How long the request waited for a sandbox.
    pub waited: Duration,
    /// How long the run waited for a processor.
    pub cpu_wait: Duration,
    /// How the script was executed.
    pub tier: Tier,
    /// The calls to other servers that have ended.
    pub http_calls: Vec<HostCall>,
}

impl FinishedRun {
    /// The run of a report. `has_run` is true if the page has a script that ran. Copies no more
    /// than what is stored.
    pub fn new(report: &RunReport, has_run: bool, trace_id: String) -> Self {
        let failure = report.failure.as_ref().map(Failure::bounded);
        let taken = PATH_BYTES_MAX + PAGE_BYTES_MAX + failure.as_ref().map_or(0, Failure::bytes);
        Self {
            trace_id,
            has_run,
            is_kept: false,
            outcome: report.outcome.name(),
            cost: report.cost(),
            console: report.effects.console.copy_within(TEXT_BYTES_MAX.saturating_sub(taken)),
            failure,
            waited: report.waited,
            cpu_wait: report.cpu_wait,
            tier: report.tier,
            http_calls: report.http_calls.clone(),
        }
    }

    /// Records that the template failed after the run.
    pub fn template_failed(&mut self, failure: &Failure) {
        let failure = failure.bounded();
        let taken = PATH_BYTES_MAX + PAGE_BYTES_MAX + failure.bytes();
        self.console = self.console.copy_within(TEXT_BYTES_MAX.saturating_sub(taken));
        self.outcome = "template";
        self.cost.has_failed = true;
        self.failure = Some(failure);
    }
}

/// The request of a run.
#[derive(Debug, Clone, Copy)]
pub struct RequestInfo<'a> {
    /// The brand's id.
    pub brand: &'a str,
    /// The page's file.
    pub page: &'a str,
    /// The method.
    pub method: &'a str,
    /// The path, without the query.
    pub path: &'a str,
    /// The id of the job that runs, if it is not a request.
    pub job: Option<&'a str>,
}

/// The execution log's queue and its writer. There is one for each process.
pub struct ExecutionLog {
    queue: SyncSender<Message>,
    shared: Arc<Shared>,
    options: ExecutionLogOptions,
}

/// State that requests and the writer share.
#[derive(Debug, Default)]
struct Shared {
    stats: Collector,
    waiting: Waiting,
    ended: AtomicU64,
    ended_badly: AtomicU64,
    written: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
    rejected_by_rate: AtomicU64,
    rejected_by_overload: AtomicU64,
}

enum Message {
    Run(Box<Execution>),
    /// Asks the writer to answer after it has written all earlier messages.
    Flush(tokio::sync::oneshot::Sender<()>),
}

impl ExecutionLog {
    /// Starts the writer. If the file cannot be opened, the writer retries later, and pages are
    /// served without the log.
    ///
    /// # Errors
    /// The writer's thread cannot be started.
    pub fn start(options: ExecutionLogOptions) -> std::io::Result<Self> {
        let (queue, messages) = sync_channel(QUEUE_RUNS_MAX);
        let shared = Arc::new(Shared::default());
        writer::start(options.clone(), Arc::clone(&shared), messages)?;
        Ok(Self { queue, shared, options })
    }

    /// The site's files were loaded again: [`ExecutionLog::runs_since_load`] begins anew.
    pub fn files_loaded(&self) {
        self.shared.stats.begin();
    }

    /// The runs of a page since its files were loaded last. `None` if there are too many pages to count.
    pub fn runs_since_load(&self, brand: &str, page: &str) -> Option<u64> {
        self.shared.stats.runs_since(brand, page)
    }

    /// Puts a run into the queue, or drops it if the queue is full. Never waits.
    pub fn record(&self, request: RequestInfo<'_>, run: FinishedRun, status: u16) {
        let now_ms = now_ms();
        if run.has_run {
            self.shared.stats.record(request.brand, request.page, (&run.cost, &run.http_calls), now_ms);
            self.shared.ended.fetch_add(1, Ordering::Relaxed);
            self.shared.ended_badly.fetch_add(u64::from(run.cost.has_failed), Ordering::Relaxed);
        }
        let has_failed_or_logged =
            run.failure.is_some() || !run.console.lines.is_empty() || run.console.dropped > 0;
        if has_failed_or_logged || run.is_kept || (run.has_run && self.is_sampled(&run.trace_id)) {
            self.enqueue(execution(request, run, status, now_ms));
        }
    }

    /// Counts a request that was rejected without a run: by the page's rate, or else by overload.
    pub fn count_rejected(&self, by_rate: bool) {
        let Shared { rejected_by_rate, rejected_by_overload, .. } = &*self.shared;
        let count = if by_rate { rejected_by_rate } else { rejected_by_overload };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// How many requests were rejected since the start of the process: by rates, and by overload.
    pub fn rejected(&self) -> (u64, u64) {
        let Shared { rejected_by_rate, rejected_by_overload, .. } = &*self.shared;
        (rejected_by_rate.load(Ordering::Relaxed), rejected_by_overload.load(Ordering::Relaxed))
    }

    /// How many runs have ended since the start of the process, and how many of them failed.
    pub fn ended(&self) -> (u64, u64) {
        (self.shared.ended.load(Ordering::Relaxed), self.shared.ended_badly.load(Ordering::Relaxed))
    }

    /// Samples by trace id, so that every host that serves the trace makes the same choice.
    fn is_sampled(&self, trace_id: &str) -> bool {
        let tail = trace_id.get(16..).and_then(|tail| u64::from_str_radix(tail, 16).ok());
        tail.is_some_and(|tail| (tail as f64) < self.options.sample * (u64::MAX as f64))
    }

    fn enqueue(&self, execution: Execution) {
        let shared = &self.shared;
        if !shared.waiting.enter(&execution) {
            shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if let Err(unsent) = self.queue.try_send(Message::Run(Box::new(execution))) {
            let (TrySendError::Full(message) | TrySendError::Disconnected(message)) = unsent;
            if let Message::Run(execution) = message {
                shared.waiting.leave(std::slice::from_ref(&*execution));
            }
            shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all queued runs are written or have failed to be written.
    pub async fn flush(&self) {
        let (done, is_done) = tokio::sync::oneshot::channel();
        let mut message = Message::Flush(done);
        // The queue may be full until the writer has emptied it.
        while let Err(TrySendError::Full(unsent)) = self.queue.try_send(message) {
            message = unsent;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // An error means that the writer has ended, so there is nothing to wait for.
        let _ = is_done.await;
    }

    /// The age at which runs are deleted.
    pub fn keep(&self) -> Duration {
        self.options.keep
    }

    /// The database file.
    pub fn path(&self) -> &std::path::Path {
        self.options.path.path()
    }

    /// Publishes the queue and the counts as metrics.
    pub fn observe(&self, meter: &Meter) {
        let shared = Arc::clone(&self.shared);
        meter
            .u64_observable_gauge("sluice.execution_log.queued")
            .with_description("Runs waiting to be written to the execution log")
            .with_unit("{run}")
            .with_callback(move |observer| observer.observe(shared.waiting.runs() as u64, &[]))
            .build();
        let shared = Arc::clone(&self.shared);
        meter
            .u64_observable_counter("sluice.execution_log.runs")
            .with_description("Runs for the execution log, by result")
            .with_unit("{run}")
            .with_callback(move |observer| {
                for (result, count) in
                    [("written", &shared.written), ("dropped", &shared.dropped), ("failed", &shared.failed)]
                {
                    observer.observe(count.load(Ordering::Relaxed), &[KeyValue::new("result", result)]);
                }
            })
            .build();
    }
}

impl Execution {
    /// The approximate size in memory.
    fn bytes(&self) -> usize {
        let lines = self.console.iter().map(|line| line.text.len() + 64).sum::<usize>();
        let error = self.error.as_ref().map_or(0, |error| error.message.len() + error.stack.len());
        512 + self.path.len() + lines + error
    }
}

fn execution(request: RequestInfo<'_>, run: FinishedRun, status: u16, at_ms: i64) -> Execution {
    let line = |ConsoleLine { level, text }| StoredLine { level: level.name().to_owned(), text };
    Execution {
        id: 0,
        at_ms,
        brand: request.brand.to_owned(),
        page: bounded(request.page, PAGE_BYTES_MAX).into_owned(),
        trace_id: run.trace_id,
        method: request.method.to_owned(),
        path: bounded(request.path, PATH_BYTES_MAX).into_owned(),
        outcome: run.outcome.to_owned(),
        status,
        fuel: run.cost.fuel,
        memory_bytes: run.cost.memory_bytes,
        wall_us: run.cost.wall_us,
        host_us: run.cost.host_us,
        console: run.console.lines.into_iter().map(line).collect(),
        console_dropped: run.console.dropped as u64,
        error: run.failure.as_ref().map(StoredError::from),
        job: request.job.map(str::to_owned),
        waited_us: microseconds(run.waited),
        cpu_wait_us: microseconds(run.cpu_wait),
        tier: run.tier.name().to_owned(),
    }
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
