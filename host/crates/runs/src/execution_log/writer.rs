//! The thread that writes the log.

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
/// Rows of each table that are deleted in one transaction.
const DELETE_ROWS: u32 = 500;
/// How often histograms are stored while no run is queued.
const TICK: Duration = Duration::from_secs(1);
/// How often expired rows are deleted.
const DELETE_EVERY: Duration = Duration::from_secs(30);
/// How long after a failure the file is opened again. Failures are not logged more often, either.
const RETRY_EVERY: Duration = Duration::from_secs(10);

struct Writer {
    options: ExecutionLogOptions,
    shared: Arc<Shared>,
    conn: Option<Connection>,
    failed_at: Option<Instant>,
    deleted_at: Option<Instant>,
    /// Identifies the histogram rows of this process.
    process: i64,
}

/// Starts the thread.
pub(super) fn start(
    options: ExecutionLogOptions,
    shared: Arc<Shared>,
    messages: Receiver<Message>,
) -> std::io::Result<()> {
    let process = now_ms();
    let mut writer = Writer { options, shared, conn: None, failed_at: None, deleted_at: None, process };
    std::thread::Builder::new().name("execution-log".to_owned()).spawn(move || writer.serve(&messages))?;
    Ok(())
}

impl Writer {
    fn serve(&mut self, messages: &Receiver<Message>) {
        // Creates the file, so that readers find it from the start.
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
            if !waiting.is_empty() {
                // The host may stop after this, so it does not wait until the next attempt is due.
                self.failed_at = None;
            }
            self.write(runs);
            self.delete_expired();
            for done in waiting {
                // The caller may have stopped waiting.
                let _ = done.send(());
            }
        }
    }

    fn write(&mut self, runs: Vec<Execution>) {
        let count = runs.len();
        let result = self.try_write(&runs);
        self.shared.waiting.leave(&runs);
        let count = count as u64;
        match result {
            Ok(()) => _ = self.shared.written.fetch_add(count, Ordering::Relaxed),
            Err(error) => {
                self.shared.failed.fetch_add(count, Ordering::Relaxed);
                self.fail(error.as_ref());
            }
        }
    }

    /// The error is `None` if it was logged already.
    fn try_write(&mut self, runs: &[Execution]) -> Result<(), Option<LogError>> {
        let is_pausing = self.failed_at.is_some_and(|at| at.elapsed() < RETRY_EVERY);
        if self.conn.is_none() {
            if is_pausing {
                return Err(None);
            }
            self.conn = Some(database::open(self.options.path.path()).map_err(Some)?);
        }
        let Some(conn) = &mut self.conn else { return Ok(()) };
        let news = self.shared.stats.take_news();
        if runs.is_empty() && news.is_empty() {
            return Ok(());
        }
        let failed = |error| Some(LogError::sqlite(self.options.path.path(), error));
        if let Err(error) = database::write(conn, runs, &news, self.process) {
            self.shared.stats.put_back(news);
            return Err(failed(error));
        }
        database::trim(conn, self.options.bytes_max, DELETE_ROWS).map_err(failed)?;
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

    fn delete_expired(&mut self) {
        if self.deleted_at.is_some_and(|at| at.elapsed() < DELETE_EVERY) {
            return;
        }
        let Some(conn) = &self.conn else { return };
        let keep_ms = i64::try_from(self.options.keep.as_millis()).unwrap_or(i64::MAX);
        let oldest = now_ms().saturating_sub(keep_ms);
        match database::delete_expired(conn, oldest, self.options.rows_max, DELETE_ROWS) {
            // There are more expired rows, which the next round deletes.
            Ok(true) => {}
            Ok(false) => self.deleted_at = Some(Instant::now()),
            Err(error) => {
                self.deleted_at = Some(Instant::now());
                self.fail(Some(&LogError::sqlite(self.options.path.path(), error)));
            }
        }
    }
}
