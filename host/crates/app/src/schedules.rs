//! Starts the ticks of schedules: stores a job for each, which any host then runs.
//!
//! Every host does this. The database notes until when the ticks of a schedule have been started, so exactly one
//! host starts each.

mod metrics;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;

use sluice_kit::clock::iso_utc;
use sluice_kit::{StoreError, value};
use sluice_queue::schedule::Rule;
use sluice_queue::{JobId, NewJob, Targets as _, Tick, TickStart};
use sluice_site::Brand;
use sluice_site::config::ScheduleConfig;

use crate::app::App;

pub use metrics::is_late;
pub(crate) use metrics::observe;

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The pause after the database failed to answer.
const FAULT_WAIT: Duration = Duration::from_secs(5);
/// A tick that nobody has started after this time was missed.
pub(crate) const MISSED_AFTER_MS: i64 = 60_000;
/// How long a tick of a brand with too many jobs waits until it is tried again.
const FULL_WAIT_MS: i64 = 10_000;

/// What this host knows about the schedules of its brands.
#[derive(Default)]
pub struct Schedules {
    /// By brand and name.
    known: HashMap<(String, String), Known>,
    /// Ticks of schedules that are new count from this time on. `None` stands for now.
    since_ms: Option<i64>,
}

struct Known {
    rule: String,
    /// The next tick that is to be started. `None` if there is none.
    next: Option<i64>,
    /// It is not tried before.
    retry_at: i64,
}

impl Schedules {
    /// For a test whose time starts at `since_ms`.
    pub fn since(since_ms: i64) -> Self {
        Self { since_ms: Some(since_ms), ..Self::default() }
    }

    /// Starts the ticks of a brand that have come, of each schedule the last one. One that came more than
    /// `missed_after_ms` ago was missed, and is started only if its schedule says so.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn start_due(
        &mut self,
        app: &App,
        brand: &Brand,
        missed_after_ms: i64,
    ) -> Result<(), StoreError> {
        for schedule in brand.schedules.iter() {
            let (rule, now_ms) = (schedule.rule(), app.now_ms());
            let known = self.known(app, brand, schedule, &rule).await?;
            if known.next.is_none_or(|next| next > now_ms) || known.retry_at > now_ms {
                continue;
            }
            let Some(at) = rule.last(now_ms) else { continue };
            let is_missed = now_ms.saturating_sub(at) > missed_after_ms;
            let job = match is_missed && !schedule.catch_up {
                true => None,
                false => Some(new_job(brand, schedule, at)?),
            };
            let id = job.as_ref().map(|job| job.id.to_string());
            let tick = Tick { brand: brand.id.clone(), name: schedule.name.clone(), at, gap_ms: 1, job };
            let started = app.store.start_tick(tick, brand.job_limits.queue_jobs_max, now_ms).await?;
            log(brand, schedule, at, id.as_deref(), started);
            match started {
                TickStart::Full => known.retry_at = now_ms.saturating_add(FULL_WAIT_MS),
                TickStart::Started | TickStart::Taken => known.next = rule.next(at),
            }
            if started == TickStart::Started {
                app.ring(false, true);
            }
        }
        Ok(())
    }

    async fn known(
        &mut self,
        app: &App,
        brand: &Brand,
        schedule: &ScheduleConfig,
        rule: &Rule,
    ) -> Result<&mut Known, StoreError> {
        let key = (brand.id.clone(), schedule.name.clone());
        let text = rule.to_string();
        if self.known.get(&key).is_none_or(|known| known.rule != text) {
            let from_ms = self.since_ms.unwrap_or_else(|| app.now_ms());
            let last = app.store.see_schedule(&brand.id, &schedule.name, &text, from_ms).await?;
            self.known.insert(key.clone(), Known { rule: text, next: rule.next(last), retry_at: 0 });
        }
        Ok(self.known.entry(key).or_insert_with(|| Known { rule: String::new(), next: None, retry_at: 0 }))
    }

    /// Forgets schedules that are gone. One that comes back is seen anew.
    fn retain(&mut self, brands: &[Arc<Brand>]) {
        self.known.retain(|(id, name), _| {
            let brand = brands.iter().find(|brand| brand.id == *id);
            brand.is_some_and(|brand| brand.schedules.iter().any(|schedule| schedule.name == *name))
        });
    }
}

/// The job of a tick. One whose module or function does not exist fails, and an operator sees why.
pub fn new_job(brand: &Brand, schedule: &ScheduleConfig, at: i64) -> Result<NewJob, StoreError> {
    let module = brand.jobs.find(&schedule.module, &schedule.function);
    Ok(NewJob {
        id: JobId::random()?,
        module: module.unwrap_or_else(|_| schedule.module.clone()),
        function: schedule.function.clone(),
        payload: value::encode(&json!({ "schedule": schedule.name })),
        due_at: at,
        tag: None,
        key: None,
    })
}

fn log(brand: &Brand, schedule: &ScheduleConfig, at: i64, job: Option<&str>, started: TickStart) {
    let (brand, schedule, tick) = (&brand.id, &schedule.name, iso_utc(at));
    match (started, job) {
        (TickStart::Started, Some(job)) => {
            tracing::info!(brand, schedule, tick, job, "a schedule starts a job")
        }
        (TickStart::Started, None) => tracing::warn!(
            brand,
            schedule,
            tick,
            "a tick of a schedule was missed, and `catch_up = false` says not to start it later"
        ),
        (TickStart::Full, _) => tracing::warn!(
            brand,
            schedule,
            tick,
            "a schedule cannot start a job, because the brand has queue_jobs_max jobs that are not done; see \
             `sluice jobs list`"
        ),
        (TickStart::Taken, _) => {}
    }
}

/// Starts the ticks of all brands until the host stops.
pub(crate) async fn run(app: Arc<App>, mut stopped: watch::Receiver<bool>) {
    let mut schedules = Schedules::default();
    while !*stopped.borrow() {
        let wait = match start_all(&app, &mut schedules).await {
            Ok(()) => LOOK_EVERY,
            Err(error) => {
                tracing::warn!(%error, "schedules cannot be started at the moment");
                FAULT_WAIT
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stopped.changed() => {}
        }
    }
}

async fn start_all(app: &App, schedules: &mut Schedules) -> Result<(), StoreError> {
    let live = app.live();
    let brands: Vec<Arc<Brand>> =
        live.site.brands().filter(|brand| brand.outage.is_none()).cloned().collect();
    schedules.retain(&brands);
    for brand in &brands {
        schedules.start_due(app, brand, MISSED_AFTER_MS).await?;
    }
    Ok(())
}
