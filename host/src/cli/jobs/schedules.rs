//! Schedules: the list of them, and running one at once.

use serde_json::{Value, json};

use sluice_kit::clock::{iso_utc, now_ms};
use sluice_queue::{ScheduleState, State};
use sluice_site::brand_dir;
use sluice_site::config::{self, ScheduleConfig};
use sluice_text::printable::printable;
use sluice_text::suggest;

use super::super::database::DatabaseArgs;
use super::super::output::outln;
use super::super::push::{Push, push};

/// Prints the schedules of the chosen brands.
pub(super) async fn list(database: &DatabaseArgs, brand: Option<&str>, json: bool) -> anyhow::Result<()> {
    let mut schedules = Vec::new();
    for brand in database.brands(brand)? {
        let config = config::read_brand(&brand_dir(&database.site_dir, &brand))?;
        schedules.extend(config.schedule.into_iter().map(|schedule| (brand.clone(), schedule)));
    }
    let store = database.open().await?;
    let known = store.list_schedules(brand).await;
    store.close().await;
    let known = known?;
    let state = |brand: &str, schedule: &ScheduleConfig| {
        known.iter().find(|state| state.brand == *brand && state.name == schedule.name)
    };
    if json {
        let all = schedules.iter().map(|(brand, schedule)| as_json(brand, schedule, state(brand, schedule)));
        outln!("{}", Value::Array(all.collect()));
        return Ok(());
    }
    if schedules.is_empty() {
        outln!("no schedules");
        return Ok(());
    }
    outln!("{:<24}  {:<24}  {:<8}  BRAND  SCHEDULE  FUNCTION  CRON", "LAST", "NEXT", "STATE");
    for (brand, schedule) in &schedules {
        let rule = schedule.rule();
        let last = state(brand, schedule).and_then(|state| state.last_job.as_ref());
        let tick = last.map(|job| iso_utc(job.tick)).unwrap_or_default();
        let next = rule.next(now_ms()).map(iso_utc).unwrap_or_default();
        let job = last.and_then(|job| job.state).map_or("", State::as_str);
        let ScheduleConfig { name, module, function, .. } = schedule;
        let target = printable(&format!("{module}.{function}"));
        outln!("{tick:<24}  {next:<24}  {job:<8}  {brand}  {name}  {target}  {rule}");
    }
    Ok(())
}

/// Runs the function of a schedule at once, beside its ticks.
pub(super) async fn run(database: &DatabaseArgs, brand: Option<&str>, name: &str) -> anyhow::Result<()> {
    let mut found = Vec::new();
    let mut known = Vec::new();
    for brand in database.brands(brand)? {
        let config = config::read_brand(&brand_dir(&database.site_dir, &brand))?;
        known.extend(config.schedule.iter().map(|schedule| schedule.name.clone()));
        let schedule = config.schedule.into_iter().find(|schedule| schedule.name == name);
        found.extend(schedule.map(|schedule| (brand, schedule)));
    }
    let (brand, schedule) = match found.as_slice() {
        [(brand, schedule)] => (brand, schedule),
        [] => {
            let hint = suggest::hint(name, known.iter().map(String::as_str));
            anyhow::bail!("there is no schedule {name:?}{hint}; `sluice jobs schedules` lists them")
        }
        several => {
            let brands: Vec<&str> = several.iter().map(|(brand, _)| brand.as_str()).collect();
            anyhow::bail!(
                "several brands have a schedule {name:?}; choose one with --brand: {}",
                brands.join(", ")
            )
        }
    };
    let payload = json!({ "schedule": name });
    let (module, function) = (schedule.module.as_str(), schedule.function.as_str());
    let noted = ("schedule.run", name);
    let id = push(database, Push { brand, module, function, payload: &payload, noted }).await?;
    outln!(
        "job {id} runs {} of brand {brand} now; `sluice jobs show {id}` says how it ended",
        printable(&format!("{module}.{function}"))
    );
    Ok(())
}

fn as_json(brand: &str, schedule: &ScheduleConfig, state: Option<&ScheduleState>) -> Value {
    let rule = schedule.rule();
    let last = state.and_then(|state| state.last_job.as_ref());
    json!({
        "brand": brand,
        "name": schedule.name,
        "cron": rule.cron.to_string(),
        "timezone": rule.zone.to_string(),
        "module": schedule.module,
        "function": schedule.function,
        "catch_up": schedule.catch_up,
        "last_tick": last.map(|job| iso_utc(job.tick)),
        "last_job": last.map(|job| job.id.clone()),
        "last_state": last.and_then(|job| job.state).map(State::as_str),
        "next_tick": rule.next(now_ms()).map(iso_utc),
    })
}
