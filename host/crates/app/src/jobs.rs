//! Applies durable jobs in the background.
//!
//! A few tasks for each host ask the database for what is due: at once when this host
//! has queued something, else every second, because other hosts queue, too. All state is
//! in the database; a host that dies leaves its jobs to the others.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use sluice_crm::{CapsOfBrand, JobEnd, JobRun};
use sluice_kit::clock::now_ms;
use sluice_store::Store;

/// Jobs that are worked on at the same time.
const WORKERS: usize = 2;
/// Jobs in one go; a stopping host waits for as many.
const JOBS_A_GO: u32 = 32;
const POLL_EVERY: Duration = Duration::from_secs(1);
/// How long to leave a database alone that does not answer.
const FAULT_WAIT: Duration = Duration::from_secs(5);
const CLEAN_UP_EVERY: Duration = Duration::from_secs(60);
const CLEAN_UP_ROWS: u32 = 500;
/// How long a job can be looked up after it was done.
const KEPT_MS: i64 = 24 * 60 * 60 * 1_000;

/// The tasks that apply jobs, until they are stopped.
pub struct Workers {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts to work on the current Tokio runtime. `bell` is rung when a job was queued.
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

    /// Finishes what is being applied and leaves the rest where it is: in the database.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task that applies jobs failed");
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
            let wait = match self.store.run_jobs(Arc::clone(&self.caps), JOBS_A_GO, now_ms()).await {
                Ok(runs) if runs.is_empty() => POLL_EVERY,
                Ok(runs) => {
                    runs.iter().for_each(tell);
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
                // The sender lives as long as the workers are not stopped.
                _ = self.stopped.changed() => {}
            }
        }
    }
}

fn tell(run: &JobRun) {
    let JobRun { id, brand, what, end } = run;
    match end {
        JobEnd::Done => tracing::debug!(job = id, brand, what, "a job is done"),
        JobEnd::Retry { error, .. } => {
            tracing::warn!(job = id, brand, what, error, "a job failed and is tried again later");
        }
        JobEnd::Parked { error } => {
            tracing::error!(job = id, brand, what, error, "a job is parked; see `sluice jobs list`");
        }
    }
}

/// Forgets jobs that were done long enough ago, in bounded batches.
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
