//! Starts the ticks of schedules: stores a job for each, which any host then runs.
//!
//! Every host does this. The database notes until when the ticks of a schedule have been started, so exactly one
//! host starts each.

mod metrics;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;

use sluice_kit::StoreError;
use sluice_kit::clock::iso_utc;
use sluice_queue::schedule::Rule;
use sluice_queue::{NewJob, Targets as _, Tick, TickStart};
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
/// How long a brand's ticks wait if it has too many jobs, or if the database rejects one.
const BRAND_WAIT_MS: i64 = 10_000;

/// What this host knows about the schedules of its brands.
#[derive(Default)]
pub struct Schedules {
    /// By the brand's id.
    brands: HashMap<String, OfBrand>,
    /// Ticks of schedules that are new count from this time on. `None` stands for now.
    since_ms: Option<i64>,
}

#[derive(Default)]
struct OfBrand {
    /// By the schedule's name.
    known: HashMap<String, Known>,
    /// No tick is started before.
    waits_until: i64,
}

struct Known {
    rule: Rule,
    /// The next tick that is to be started. `None` if there is none.
    next: Option<i64>,
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
    /// The database does not answer, or rejects a tick.
    pub async fn start_due(
        &mut self,
        app: &App,
        brand: &Brand,
        missed_after_ms: i64,
    ) -> Result<(), StoreError> {
        let since_ms = self.since_ms;
        let of_brand = self.brands.entry(brand.id.clone()).or_default();
        of_brand.known.retain(|name, _| brand.schedules.iter().any(|schedule| schedule.name == *name));
        if of_brand.waits_until > app.now_ms() {
            return Ok(());
        }
        let mut rejected = None;
        for schedule in brand.schedules.iter() {
            let known = of_brand.known.entry(schedule.name.clone());
            match start_last(app, brand, schedule, known, since_ms, missed_after_ms).await {
                Ok(TickStart::Full) => {
                    of_brand.waits_until = app.now_ms().saturating_add(BRAND_WAIT_MS);
                    return Ok(());
                }
                Ok(_) => {}
                Err(error @ StoreError::Unavailable(_)) => return Err(error),
                // It must not hold up the brand's other schedules.
                Err(error) => rejected = Some(error),
            }
        }
        rejected.map_or(Ok(()), Err)
    }

    /// Starts the ticks of all brands. A brand whose ticks the database rejects is logged and waits, and holds up no
    /// other one.
    ///
    /// # Errors
    /// The database does not answer.
    async fn start_all(&mut self, app: &App) -> Result<(), StoreError> {
        let live = app.live();
        let brands: HashMap<&str, &Arc<Brand>> = live
            .site
            .brands()
            .filter(|brand| brand.outage.is_none() && !brand.schedules.is_empty())
            .map(|brand| (brand.id.as_str(), brand))
            .collect();
        // One that comes back is seen anew.
        self.brands.retain(|id, _| brands.contains_key(id.as_str()));
        for brand in brands.into_values() {
            match self.start_due(app, brand, MISSED_AFTER_MS).await {
                Ok(()) => {}
                Err(error @ StoreError::Unavailable(_)) => return Err(error),
                Err(error) => {
                    tracing::error!(brand = brand.id, %error, "a schedule of this brand cannot be started");
                    let of_brand = self.brands.entry(brand.id.clone()).or_default();
                    of_brand.waits_until = app.now_ms().saturating_add(BRAND_WAIT_MS);
                }
            }
        }
        Ok(())
    }
}

/// Starts the last tick of a schedule that has come, if there is one that was not started.
async fn start_last(
    app: &App,
    brand: &Brand,
    schedule: &ScheduleConfig,
    known: Entry<'_, String, Known>,
    since_ms: Option<i64>,
    missed_after_ms: i64,
) -> Result<TickStart, StoreError> {
    let now_ms = app.now_ms();
    let known = match known {
        Entry::Occupied(known) if schedule.has_rule(&known.get().rule) => known.into_mut(),
        other => other.insert_entry(see(app, brand, schedule, since_ms.unwrap_or(now_ms)).await?).into_mut(),
    };
    if known.next.is_none_or(|next| next > now_ms) {
        return Ok(TickStart::Taken);
    }
    let Some(at) = known.rule.last(now_ms) else { return Ok(TickStart::Taken) };
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
        TickStart::Full => {}
        TickStart::Taken => known.next = known.rule.next(at),
        TickStart::Started => {
            known.next = known.rule.next(at);
            app.ring(false, true);
        }
        // The tick is started at the next look.
        TickStart::Unknown => *known = see(app, brand, schedule, at.saturating_sub(1)).await?,
    }
    Ok(started)
}

/// Notes in the database that there is this schedule.
async fn see(app: &App, brand: &Brand, schedule: &ScheduleConfig, from_ms: i64) -> Result<Known, StoreError> {
    let rule = schedule.rule();
    let last = app.store.see_schedule(&brand.id, &schedule.name, &rule.to_string(), from_ms).await?;
    Ok(Known { next: rule.next(last), rule })
}

/// The job of a tick. One whose module or function does not exist fails, and an operator sees why.
///
/// # Errors
/// The system gives no random numbers.
pub fn new_job(brand: &Brand, schedule: &ScheduleConfig, at: i64) -> Result<NewJob, StoreError> {
    let module = brand.jobs.find(&schedule.module, &schedule.function);
    let module = module.unwrap_or_else(|_| schedule.module.clone());
    NewJob::of_host(module, &schedule.function, &json!({ "schedule": schedule.name }), at)
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
        (TickStart::Taken | TickStart::Unknown, _) => {}
    }
}

/// Starts the ticks of all brands until the host stops.
pub(crate) async fn run(app: Arc<App>, mut stopped: watch::Receiver<bool>) {
    let mut schedules = Schedules::default();
    while !*stopped.borrow() {
        let wait = match schedules.start_all(&app).await {
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
