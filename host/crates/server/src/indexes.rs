//! Builds the indexes that `crm.toml` declares, while the brands are served.

use std::sync::Arc;
use std::time::Duration;

use sluice_app::app::App;
use sluice_kit::StoreError;

/// How often the host looks for an index that is not complete. Each host builds, in turns.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Builds in small steps, until the server stops. A failure that repeats is logged once.
pub(crate) async fn build_declared(app: Arc<App>) {
    let mut logged = String::new();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        loop {
            match build_step(&app).await {
                Ok(true) => {}
                Ok(false) => {
                    logged.clear();
                    break;
                }
                Err(error) => {
                    let text = error.to_string();
                    if text != logged {
                        tracing::error!(%error, "crm: an index cannot be built; it is tried again every 5 seconds");
                        logged = text;
                    }
                    break;
                }
            }
        }
    }
}

/// Builds one part. Returns false if every index is complete.
async fn build_step(app: &App) -> Result<bool, StoreError> {
    let Some(step) = app.store.build_index(None).await? else { return Ok(false) };
    let (brand, entity, field) = (&*step.brand, &*step.slug, &*step.key);
    if step.is_finished && step.violations_total > 0 {
        let violations = step.violations_total;
        tracing::warn!(
            brand,
            entity,
            field,
            violations,
            "crm: entries that existed before have the same value in a unique field; run `sluice crm apply` to \
             see which"
        );
    } else if step.is_finished {
        tracing::info!(brand, entity, field, "crm: the index is complete");
    }
    Ok(true)
}
