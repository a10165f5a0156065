//! Stores a job in the database that `sluice serve` would use. Whichever host is running then runs it.

use serde_json::Value;

use sluice_kit::clock::now_ms;
use sluice_limits::policy::BrandLayers;
use sluice_queue::{JobId, NewJob, Targets as _};
use sluice_site::jobs::JobTargets;
use sluice_site::{BrandFolder, brand_dir, config};

use super::change_log::{Change, keep};
use super::database::DatabaseArgs;

/// A function, and what it gets.
pub(super) struct Push<'a> {
    pub(super) brand: &'a str,
    pub(super) module: &'a str,
    pub(super) function: &'a str,
    pub(super) payload: &'a Value,
    /// What the log of changes says about it: the action, and what it was done to.
    pub(super) noted: (&'static str, &'a str),
}

/// Stores the job. Its limits are those of a job that a script pushes.
pub(super) async fn push(database: &DatabaseArgs, push: Push<'_>) -> anyhow::Result<JobId> {
    let Push { brand, module, function, payload, noted: (action, target) } = push;
    let dir = brand_dir(&database.site_dir, brand);
    let module = JobTargets::of(&BrandFolder::new(&dir)?).find(module, function)?;
    let own = config::read_brand(&dir)?.limits;
    let layers = BrandLayers { brand, own: &own.own, page: None };
    let limits = database.config()?.limit_policy().of_jobs(layers, &own.job);
    let job = NewJob::of_host(module, function, payload, now_ms())?;
    if job.payload.len() > limits.queue_payload_bytes_max {
        anyhow::bail!(
            "the payload has {} bytes as MessagePack; queue_payload_bytes_max is {}",
            job.payload.len(),
            limits.queue_payload_bytes_max
        );
    }
    let id = job.id.clone();
    let store = database.open().await?;
    let is_stored = store.add_queued(brand, job, limits.queue_jobs_max, now_ms()).await;
    if matches!(is_stored, Ok(true)) {
        let item = format!("job {id}");
        keep(store.as_ref(), Change { action, brand, target, item: &item, fault: None }).await;
    }
    store.close().await;
    if !is_stored? {
        anyhow::bail!(
            "brand {brand} has {} jobs that are not done, which is the limit (queue_jobs_max); see `sluice jobs list`",
            limits.queue_jobs_max
        );
    }
    Ok(id)
}
