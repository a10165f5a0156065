//! Metrics of schedules. A task looks at them at an interval, because metrics must be readable without waiting for
//! the database.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use parking_lot::Mutex;

use sluice_kit::StoreError;
use sluice_queue::{ScheduleState, State};
use sluice_site::Brand;
use sluice_site::config::ScheduleConfig;

use super::MISSED_AFTER_MS;
use crate::app::App;

const LOOK_EVERY: Duration = Duration::from_secs(15);
/// A tick that nobody has started after this time is late.
const LATE_AFTER_MS: i64 = 2 * MISSED_AFTER_MS;

/// How many schedules of a brand need attention.
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    /// Their last job was parked.
    parked: u64,
    /// No host has started their last tick.
    late: u64,
}

/// Whether no host has started a tick that came minutes ago. Also true if a host whose clock is minutes ahead has
/// started later ones: until then, no tick is started.
pub fn is_late(schedule: &ScheduleConfig, state: &ScheduleState, now_ms: i64) -> bool {
    let due = schedule.rule().last(now_ms.saturating_sub(LATE_AFTER_MS));
    due.is_some_and(|due| due > state.last_tick) || state.last_tick > now_ms.saturating_add(LATE_AFTER_MS)
}

/// Publishes how many schedules of each brand are late, or have a last job that was parked.
pub(crate) async fn observe(app: Arc<App>) {
    let counts: Arc<Mutex<BTreeMap<String, Counts>>> = Arc::default();
    let seen = Arc::clone(&counts);
    let meter = app.telemetry.meter();
    meter
        .u64_observable_gauge("sluice.schedules.troubled")
        .with_description("Schedules whose last job was parked, or whose last tick nobody has started")
        .with_unit("{schedule}")
        .with_callback(move |observer| {
            for (brand, Counts { parked, late }) in &*seen.lock() {
                for (state, count) in [("parked", *parked), ("late", *late)] {
                    let labels =
                        [KeyValue::new("sluice.brand", brand.clone()), KeyValue::new("state", state)];
                    observer.observe(count, &labels);
                }
            }
        })
        .build();
    loop {
        // If it fails, the metrics keep their old values. Calls of requests count the database's failures.
        match look(&app).await {
            Ok(found) => *counts.lock() = found,
            Err(error) => tracing::debug!(%error, "the schedules cannot be counted at the moment"),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn look(app: &App) -> Result<BTreeMap<String, Counts>, StoreError> {
    let live = app.live();
    let brands: HashMap<&str, &Arc<Brand>> = live
        .site
        .brands()
        .filter(|brand| !brand.schedules.is_empty())
        .map(|brand| (brand.id.as_str(), brand))
        .collect();
    let mut found: BTreeMap<String, Counts> =
        brands.keys().map(|id| ((*id).to_owned(), Counts::default())).collect();
    if found.is_empty() {
        return Ok(found);
    }
    let now_ms = app.now_ms();
    for state in app.store.list_schedules(None).await? {
        let brand = brands.get(state.brand.as_str());
        let schedule =
            brand.and_then(|brand| brand.schedules.iter().find(|schedule| schedule.name == state.name));
        let Some((schedule, counts)) = schedule.zip(found.get_mut(&state.brand)) else { continue };
        let is_parked = state.last_job.as_ref().is_some_and(|job| job.state == Some(State::Parked));
        counts.parked += u64::from(is_parked);
        counts.late += u64::from(is_late(schedule, &state, now_ms));
    }
    Ok(found)
}
