//! The thread that writes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use sluice_kit::clock::now_ms;

use super::database::{self, LogError};
use super::{Execution, ExecutionLogOptions, Message, Shared};

/// Runs in one transaction.
const BATCH_RUNS_MAX: usize = 512;
/// Rows that are deleted in one transaction.
const FORGET_ROWS: u32 = 500;
/// How often histograms are stored when no run is.
const TICK: Duration = Duration::from_secs(1);
const FORGET_EVERY: Duration = Duration::from_secs(30);
/// After a failure the file is opened again, but not more often than this, and
/// the log says so no more often.
const RETRY_EVERY: Duration = Duration::from_secs(10);

struct Writer {
    options: ExecutionLogOptions,
    shared: Arc<Shared>,
    conn: Option<Connection>,
    failed_at: Option<Instant>,
    forgot_at: Option<Instant>,
    /// Marks this process' rows.
    process: i64,
}

pub(super) fn start(
    options: ExecutionLogOptions,
    shared: Arc<Shared>,
    messages: Receiver<Message>,
) -> std::io::Result<()> {
    let process = now_ms();
    let mut writer = Writer { options, shared, conn: None, failed_at: None, forgot_at: None, process };
    std::thread::Builder::new().name("execution-log".to_owned()).spawn(move || writer.serve(&messages))?;
    Ok(())
}

impl Writer {
    fn serve(&mut self, messages: &Receiver<Message>) {
        // Makes the file, so that it can be read from the start.
        self.write(Vec::new());
        loop {
            let first = match messages.recv_timeout(TICK) {
                Ok(first) => Some(first),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return self.write(Vec::new()),
            };
            let mut runs = Vec::new();
            let mut waiting = Vec::new();
            let mut next = first;
            while let Some(message) = next {
                match message {
                    Message::Run(run) => runs.push(*run),
                    Message::Flush(done) => waiting.push(done),
                }
                next = if runs.len() < BATCH_RUNS_MAX { messages.try_recv().ok() } else { None };
            }
            self.write(runs);
            self.forget();
            for done in waiting {
                // Who asked may have given up.
                let _ = done.send(());
            }
        }
    }

    fn write(&mut self, runs: Vec<Execution>) {
        let count = runs.len();
        let bytes = runs.iter().map(|run| run.bytes()).sum();
        let result = self.try_write(&runs);
        self.shared.left(count, bytes);
        let count = count as u64;
        match result {
            Ok(()) => _ = self.shared.written.fetch_add(count, Ordering::Relaxed),
            Err(error) => {
                self.shared.failed.fetch_add(count, Ordering::Relaxed);
                self.fail(error.as_ref());
            }
        }
    }

    /// None is an error that has been told already.
    fn try_write(&mut self, runs: &[Execution]) -> Result<(), Option<LogError>> {
        let is_resting = self.failed_at.is_some_and(|at| at.elapsed() < RETRY_EVERY);
        if self.conn.is_none() {
            if is_resting {
                return Err(None);
            }
            self.conn = Some(database::open(&self.options.path).map_err(Some)?);
        }
        let Some(conn) = &mut self.conn else { return Ok(()) };
        let news = self.shared.stats.take_news();
        if runs.is_empty() && news.is_empty() {
            return Ok(());
        }
        database::write(conn, runs, &news, self.process)
            .map_err(|error| Some(LogError::sqlite(&self.options.path, error)))?;
        self.failed_at = None;
        Ok(())
    }

    fn fail(&mut self, error: Option<&LogError>) {
        if let Some(error) = error {
            tracing::warn!(%error, "runs are missing from the execution log");
            self.failed_at = Some(Instant::now());
            self.conn = None;
        }
    }

    fn forget(&mut self) {
        if self.forgot_at.is_some_and(|at| at.elapsed() < FORGET_EVERY) {
            return;
        }
        let Some(conn) = &self.conn else { return };
        let keep_ms = i64::try_from(self.options.keep.as_millis()).unwrap_or(i64::MAX);
        let oldest = now_ms().saturating_sub(keep_ms);
        match database::forget(conn, oldest, self.options.rows_max, FORGET_ROWS) {
            // More is left: the next round goes on.
            Ok(true) => {}
            Ok(false) => self.forgot_at = Some(Instant::now()),
            Err(error) => {
                self.forgot_at = Some(Instant::now());
                self.fail(Some(&LogError::sqlite(&self.options.path, error)));
            }
        }
    }
}
