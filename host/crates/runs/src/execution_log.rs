//! The execution log: what runs left behind, in a database file of its own.
//!
//! A request hands its run over and goes on; a thread writes in batches. What
//! there is no room for, in the queue or on the disk, is dropped and counted: the
//! log never holds up a page.

mod database;
pub mod query;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use serde::{Deserialize, Serialize};

use sluice_kit::clock::now_ms;
use sluice_kit::page_stats::{Collector, RunCost};
use sluice_sandbox::RunReport;
use sluice_sandbox::outcome::{ConsoleLine, ConsoleLog, Failure};

/// Runs that may wait to be written, and their bytes.
const QUEUE_RUNS_MAX: usize = 4_096;
const QUEUE_BYTES_MAX: usize = 32 << 20;

/// What is stored, and for how long.
#[derive(Debug, Clone)]
pub struct ExecutionLogOptions {
    pub path: PathBuf,
    pub keep: Duration,
    pub rows_max: u64,
    /// Share of the runs with nothing to say that are stored, too: 0 to 1.
    pub sample: f64,
}

/// One stored run. Never the query, the body or cookies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Execution {
    /// Given when it is stored; later ones are greater.
    pub id: i64,
    /// Unix milliseconds.
    pub at_ms: i64,
    pub brand: String,
    /// The page's file.
    pub page: String,
    pub trace_id: String,
    pub method: String,
    pub path: String,
    pub outcome: String,
    pub status: u16,
    pub fuel: u64,
    pub memory_bytes: u64,
    pub wall_us: u64,
    pub host_us: u64,
    pub console: Vec<StoredLine>,
    /// Console lines over the limit.
    pub console_dropped: u64,
    pub error: Option<StoredError>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredLine {
    pub level: String,
    pub text: String,
}

/// Why it failed, in the author's terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredError {
    pub name: String,
    pub message: String,
    pub file: String,
    pub line: u32,
    pub column: u32,
    pub stack: String,
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

/// A run that ended, before its request has been answered.
#[derive(Debug, Default)]
pub struct FinishedRun {
    pub trace_id: String,
    /// True when the page has a script that ran: its cost counts.
    pub has_run: bool,
    pub outcome: &'static str,
    pub cost: RunCost,
    pub console: ConsoleLog,
    pub failure: Option<Failure>,
}

impl FinishedRun {
    /// `has_run`: the page has a script that ran.
    pub fn new(report: &RunReport, has_run: bool, trace_id: String) -> Self {
        Self {
            trace_id,
            has_run,
            outcome: report.outcome.name(),
            cost: report.cost(),
            console: report.effects.console.clone(),
            failure: report.failure.clone(),
        }
    }

    /// The page could not be rendered after the run.
    pub fn template_failed(&mut self, failure: &Failure) {
        self.outcome = "template";
        self.failure = Some(failure.clone());
    }
}

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub brand: &'a str,
    pub page: &'a str,
    pub method: &'a str,
    /// Without the query.
    pub path: &'a str,
}

/// The way to the log, for as long as the process lives.
pub struct ExecutionLog {
    queue: SyncSender<Message>,
    shared: Arc<Shared>,
    options: ExecutionLogOptions,
}

/// Seen by requests and by the writer.
#[derive(Debug, Default)]
struct Shared {
    stats: Collector,
    queued: AtomicUsize,
    queued_bytes: AtomicUsize,
    written: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

enum Message {
    Run(Box<Execution>),
    /// Write all that came before, then answer.
    Flush(tokio::sync::oneshot::Sender<()>),
}

impl ExecutionLog {
    /// Starts the writer. A file that cannot be opened is tried again later: pages
    /// are served without the log.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(options: ExecutionLogOptions) -> std::io::Result<Self> {
        let (queue, messages) = sync_channel(QUEUE_RUNS_MAX);
        let shared = Arc::new(Shared::default());
        writer::start(options.clone(), Arc::clone(&shared), messages)?;
        Ok(Self { queue, shared, options })
    }

    /// Hands a run over. Returns at once.
    pub fn record(&self, asked: Asked<'_>, run: FinishedRun, status: u16) {
        let now_ms = now_ms();
        if run.has_run {
            self.shared.stats.record(asked.brand, asked.page, &run.cost, now_ms);
        }
        let has_something_to_say =
            run.failure.is_some() || !run.console.lines.is_empty() || run.console.dropped > 0;
        if has_something_to_say || (run.has_run && self.is_sampled(&run.trace_id)) {
            self.enqueue(execution(asked, run, status, now_ms));
        }
    }

    /// The same runs are sampled wherever the trace passes.
    fn is_sampled(&self, trace_id: &str) -> bool {
        let tail = trace_id.get(16..).and_then(|tail| u64::from_str_radix(tail, 16).ok());
        tail.is_some_and(|tail| (tail as f64) < self.options.sample * (u64::MAX as f64))
    }

    fn enqueue(&self, execution: Execution) {
        let shared = &self.shared;
        let bytes = execution.bytes();
        let has_room = shared.queued_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes <= QUEUE_BYTES_MAX;
        shared.queued.fetch_add(1, Ordering::Relaxed);
        let sent = has_room && self.queue.try_send(Message::Run(Box::new(execution))).is_ok();
        if !sent {
            shared.left(1, bytes);
            shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all that was handed over is written, or cannot be.
    pub async fn flush(&self) {
        let (done, is_done) = tokio::sync::oneshot::channel();
        let mut message = Message::Flush(done);
        // The queue may be full; the writer empties it.
        while let Err(TrySendError::Full(unsent)) = self.queue.try_send(message) {
            message = unsent;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // An error says that the writer ended: there is nothing to wait for.
        let _ = is_done.await;
    }

    pub fn path(&self) -> &std::path::Path {
        &self.options.path
    }

    /// Shows queue and counts as metrics.
    pub fn observe(&self, meter: &Meter) {
        let shared = Arc::clone(&self.shared);
        meter
            .u64_observable_gauge("sluice.execution_log.queued")
            .with_description("Runs that wait to be written to the execution log")
            .with_unit("{run}")
            .with_callback(move |observer| {
                observer.observe(shared.queued.load(Ordering::Relaxed) as u64, &[])
            })
            .build();
        let shared = Arc::clone(&self.shared);
        meter
            .u64_observable_counter("sluice.execution_log.runs")
            .with_description("Runs handed to the execution log by what became of them")
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

impl Shared {
    fn left(&self, runs: usize, bytes: usize) {
        self.queued.fetch_sub(runs, Ordering::Relaxed);
        self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Execution {
    /// About what it takes in memory.
    fn bytes(&self) -> usize {
        let lines = self.console.iter().map(|line| line.text.len() + 64).sum::<usize>();
        let error = self.error.as_ref().map_or(0, |error| error.message.len() + error.stack.len());
        512 + self.path.len() + lines + error
    }
}

fn execution(asked: Asked<'_>, run: FinishedRun, status: u16, at_ms: i64) -> Execution {
    let line = |ConsoleLine { level, text }| StoredLine { level: level.name().to_owned(), text };
    Execution {
        id: 0,
        at_ms,
        brand: asked.brand.to_owned(),
        page: asked.page.to_owned(),
        trace_id: run.trace_id,
        method: asked.method.to_owned(),
        path: asked.path.to_owned(),
        outcome: run.outcome.to_owned(),
        status,
        fuel: run.cost.fuel,
        memory_bytes: run.cost.memory_bytes,
        wall_us: run.cost.wall_us,
        host_us: run.cost.host_us,
        console: run.console.lines.into_iter().map(line).collect(),
        console_dropped: run.console.dropped as u64,
        error: run.failure.as_ref().map(StoredError::from),
    }
}

#[cfg(test)]
mod tests;
