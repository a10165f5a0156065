//! Applies queued jobs in the background.
//!
//! Each host has a few tasks that take due jobs from the database: at once when this host has queued
//! a job, and every second, because other hosts queue jobs, too. All state is in the database, so
//! other hosts apply the jobs of a host that crashed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use sluice_crm::{CapsOfBrand, JobEnd, JobRun};
use sluice_kit::clock::now_ms;
use sluice_store::Store;

/// How many tasks of a host apply jobs at the same time.
const WORKERS: usize = 2;
/// How many jobs a task takes at a time. A host that stops waits for this many per task.
const JOBS_PER_BATCH: u32 = 32;
const POLL_EVERY: Duration = Duration::from_secs(1);
/// The pause after the database failed to answer.
const FAULT_WAIT: Duration = Duration::from_secs(5);
const CLEAN_UP_EVERY: Duration = Duration::from_secs(60);
const CLEAN_UP_ROWS: u32 = 500;
/// How long finished jobs are kept, so that operators can look them up.
const KEPT_MS: i64 = 24 * 60 * 60 * 1_000;

/// The tasks that apply jobs, until they are stopped.
pub struct Workers {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts the tasks on the current Tokio runtime. `bell` is notified when this host queues a job.
    pub fn start(store: &Arc<dyn Store>, caps: &CapsOfBrand, bell: &Arc<Notify>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let worker = |_| {
            let worker = Worker {
                store: Arc::clone(store),
                caps: Arc::clone(caps),
                bell: Arc::clone(bell),
                stopped: stopped.clone(),
            };
            tokio::spawn(worker.work())
        };
        let mut tasks: Vec<_> = (0..WORKERS).map(worker).collect();
        tasks.push(tokio::spawn(clean_up(Arc::clone(store), stopped)));
        Self { stop, tasks }
    }

    /// Finishes the jobs that are being applied. The others stay in the database.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task that applies jobs panicked");
            }
        }
    }
}

struct Worker {
    store: Arc<dyn Store>,
    caps: CapsOfBrand,
    bell: Arc<Notify>,
    stopped: watch::Receiver<bool>,
}

impl Worker {
    async fn work(mut self) {
        while !*self.stopped.borrow() {
            let wait = match self.store.run_jobs(Arc::clone(&self.caps), JOBS_PER_BATCH, now_ms()).await {
                Ok(runs) if runs.is_empty() => POLL_EVERY,
                Ok(runs) => {
                    runs.iter().for_each(log);
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%error, "jobs cannot be applied at the moment");
                    FAULT_WAIT
                }
            };
            tokio::select! {
                () = self.bell.notified() => {}
                () = tokio::time::sleep(wait) => {}
                // The sender exists until `Workers::stop` has stopped this task.
                _ = self.stopped.changed() => {}
            }
        }
    }
}

fn log(run: &JobRun) {
    let JobRun { id, brand, what, end } = run;
    match end {
        JobEnd::Done => tracing::debug!(job = id, brand, what, "a job is done"),
        JobEnd::Retry { error, .. } => {
            tracing::warn!(job = id, brand, what, error, "a job failed and will be retried");
        }
        JobEnd::Parked { error } => {
            tracing::error!(job = id, brand, what, error, "a job is parked; see `sluice jobs list`");
        }
    }
}

/// Deletes jobs that finished long ago, in bounded batches.
async fn clean_up(store: Arc<dyn Store>, mut stopped: watch::Receiver<bool>) {
    while !*stopped.borrow() {
        match store.delete_finished_jobs(now_ms() - KEPT_MS, CLEAN_UP_ROWS).await {
            Ok(CLEAN_UP_ROWS) => continue,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "finished jobs could not be deleted"),
        }
        tokio::select! {
            () = tokio::time::sleep(CLEAN_UP_EVERY) => {}
            _ = stopped.changed() => {}
        }
    }
}
