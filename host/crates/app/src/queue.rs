//! Runs the jobs of scripts in the background.
//!
//! One task claims due jobs from the database, one of each brand in turn: at once when this host has stored a
//! job or one has ended, and every second, because other hosts store jobs, too. Another task prolongs the
//! claims. All state is in the database, so other hosts run the jobs of a host that crashed.
//!
//! A brand starts another job only while it has fewer running than there are free places, so that the jobs of
//! one brand leave half of the places to others.

mod run;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinHandle};

use sluice_kit::StoreError;
use sluice_queue::{Claim, ClaimedJob, Ending};
use sluice_site::config::JobsConfig;

use crate::app::App;
use crate::load::Live;
use crate::schedules;

pub use run::{JobEnd, run_job};

const POLL_EVERY: Duration = Duration::from_secs(1);
/// The pause after the database failed to answer.
const FAULT_WAIT: Duration = Duration::from_secs(5);
/// Jobs take at most one sandbox in this many.
const JOBS_OF_SANDBOXES: usize = 4;
/// How many times a claim is prolonged in the time for which it lasts.
const RENEWALS: u32 = 6;
/// Claims last at least this long.
const TAKEOVER_MIN: Duration = Duration::from_secs(1);
const CLEAN_UP_EVERY: Duration = Duration::from_secs(60);
const CLEAN_UP_ROWS: u32 = 500;
/// How long finished jobs are kept, so that `queue.status` and operators can look them up.
const KEPT_MS: i64 = 60 * 60 * 1_000;
/// How many finished jobs of a brand are kept, apart from those of the last minute.
const KEPT_OF_BRAND: u32 = 10_000;

/// The tasks that run jobs, until they are stopped.
pub struct JobRunners {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

struct Shared {
    app: Arc<App>,
    config: JobsConfig,
    running: Mutex<HashMap<Claim, RunningJob>>,
    /// Notified when a job has ended.
    ended: Notify,
}

struct RunningJob {
    brand: String,
    task: AbortHandle,
}

/// Takes a job out of the list when its task has ended, whatever way.
struct Ended {
    shared: Arc<Shared>,
    claim: Claim,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.shared.running.lock().remove(&self.claim);
        self.shared.ended.notify_one();
    }
}

impl JobRunners {
    /// Starts the tasks on the current Tokio runtime.
    pub fn start(app: &Arc<App>, config: &JobsConfig) -> Self {
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new(Shared {
            app: Arc::clone(app),
            config: JobsConfig { runs_max: runs_max(app, config), ..config.clone() },
            running: Mutex::default(),
            ended: Notify::new(),
        });
        let tasks = vec![
            tokio::spawn(dispatch(Arc::clone(&shared), stopped.clone())),
            tokio::spawn(renew(Arc::clone(&shared))),
            tokio::spawn(clean_up(Arc::clone(app))),
            tokio::spawn(schedules::run(Arc::clone(app), stopped)),
            tokio::spawn(schedules::observe(Arc::clone(app))),
        ];
        Self { shared, stop, tasks }
    }

    /// Waits a while for the jobs that run, and gives the others to other hosts.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if !self.tasks.is_empty()
            && let Err(error) = self.tasks.remove(0).await
        {
            tracing::error!(%error, "the task that starts jobs panicked");
        }
        let all_ended = async {
            while !self.shared.running.lock().is_empty() {
                self.shared.ended.notified().await;
            }
        };
        // If it takes longer, the others are released.
        let _ = tokio::time::timeout(self.shared.config.stop_wait, all_ended).await;
        let of_job = |(claim, job): (&Claim, &RunningJob)| (*claim, job.brand.clone(), job.task.clone());
        let left: Vec<_> = self.shared.running.lock().iter().map(of_job).collect();
        for (claim, brand, task) in left {
            task.abort();
            let now_ms = self.shared.app.now_ms();
            let released =
                self.shared.app.store.end_claim(claim, Ending::Released { due_at: now_ms }, now_ms);
            match released.await {
                Ok(true) => tracing::info!(brand, "a job that still runs is given to another host"),
                // It has just ended.
                Ok(false) => {}
                Err(error) => tracing::warn!(brand, %error, "a job that still runs is taken over later"),
            }
        }
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// How many jobs may run. They leave most sandboxes to visitors, also on a host that has few.
fn runs_max(app: &App, config: &JobsConfig) -> usize {
    let sandboxes = app.sandbox.slots.usage().limit;
    config.runs_max.min((sandboxes / JOBS_OF_SANDBOXES).max(1))
}

async fn dispatch(shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    // The brand whose job was started last.
    let mut last = String::new();
    while !*stopped.borrow() {
        let wait = match shared.start_due(&mut last).await {
            Ok(()) => POLL_EVERY,
            Err(error) => {
                tracing::warn!(%error, "jobs of scripts cannot be started at the moment");
                FAULT_WAIT
            }
        };
        tokio::select! {
            () = shared.app.queue_bell.notified() => {}
            () = shared.ended.notified() => {}
            () = tokio::time::sleep(wait) => {}
            // The sender exists until `JobRunners::stop` has stopped this task.
            _ = stopped.changed() => {}
        }
    }
}

impl Shared {
    /// Starts as many due jobs as may run.
    async fn start_due(self: &Arc<Self>, last: &mut String) -> Result<(), StoreError> {
        let store = &self.app.store;
        if self.running.lock().len() >= self.config.runs_max || self.is_stopping() {
            return Ok(());
        }
        let live = self.app.live();
        let mut brands: VecDeque<String> = store.due_brands(self.app.now_ms()).await?.into();
        // Others may be served by other hosts.
        brands.retain(|id| is_served(&live, id));
        let next = brands.iter().position(|brand| *brand > *last).unwrap_or(0);
        brands.rotate_left(next);
        while let Some(brand) = brands.pop_front() {
            if self.is_stopping() {
                return Ok(());
            }
            if !self.may_start(&brand) {
                continue;
            }
            if let Some(job) = store.claim_queued(&brand, self.app.now_ms(), self.claimed_until()).await? {
                self.start(job);
                last.clone_from(&brand);
                brands.push_back(brand);
            }
        }
        Ok(())
    }

    /// Until when a claim of now lasts.
    fn claimed_until(&self) -> i64 {
        let lease_ms = i64::try_from(self.config.takeover.max(TAKEOVER_MIN).as_millis()).unwrap_or(i64::MAX);
        self.app.now_ms().saturating_add(lease_ms)
    }

    fn is_stopping(&self) -> bool {
        self.app.stopping.load(Ordering::Relaxed)
    }

    /// Whether a brand may run one more job.
    fn may_start(&self, brand: &str) -> bool {
        let running = self.running.lock();
        let own = running.values().filter(|job| job.brand == brand).count();
        own < self.config.runs_max.saturating_sub(running.len())
    }

    fn start(self: &Arc<Self>, job: ClaimedJob) {
        let (claim, brand) = (job.claim, job.brand.clone());
        let ended = Ended { shared: Arc::clone(self), claim };
        // The job cannot end before it is in the list.
        let mut running = self.running.lock();
        let task = tokio::spawn(async move {
            let shared = &ended.shared;
            run_job(&shared.app, job, shared.config.retry_wait).await;
            drop(ended);
        });
        running.insert(claim, RunningJob { brand, task: task.abort_handle() });
    }
}

fn is_served(live: &Live, id: &str) -> bool {
    live.site.brands().any(|brand| brand.id == id && brand.outage.is_none())
}

/// Prolongs the claims of the jobs that run.
async fn renew(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(shared.config.takeover.max(TAKEOVER_MIN) / RENEWALS).await;
        let claims: Vec<Claim> = shared.running.lock().keys().copied().collect();
        if claims.is_empty() {
            continue;
        }
        if let Err(error) = shared.app.store.renew_claims(claims, shared.claimed_until()).await {
            tracing::warn!(%error, "the claims of running jobs could not be prolonged; another host may run them, too");
        }
    }
}

/// Deletes jobs that were done long ago, and those that a brand has too many of, in bounded batches.
async fn clean_up(app: Arc<App>) {
    loop {
        if let Err(error) = delete_finished(&app).await {
            tracing::warn!(%error, "finished jobs of scripts could not be deleted");
        }
        tokio::time::sleep(CLEAN_UP_EVERY).await;
    }
}

async fn delete_finished(app: &App) -> Result<(), StoreError> {
    let before_ms = app.now_ms().saturating_sub(KEPT_MS);
    while app.store.delete_finished_queued(before_ms, CLEAN_UP_ROWS).await? == CLEAN_UP_ROWS {}
    while app.store.delete_excess_queued(KEPT_OF_BRAND, CLEAN_UP_ROWS).await? == CLEAN_UP_ROWS {}
    Ok(())
}
