//! Keeps the marks of failures as long as the failures themselves.

use actix_web::rt::task::spawn_blocking;

use sluice_app::app::App;
use sluice_kit::StoreError;
use sluice_kit::clock::now_ms;
use sluice_runs::execution_log::query::LogReader;

use super::views::marks::{READ_MAX, seen_since};

/// Notes which marked kinds still fail on this host, and deletes the marks of those that have not failed for as long as
/// the execution log keeps its runs.
pub(crate) async fn tend(app: &App, rows_max: u32) {
    match tended(app, rows_max).await {
        Ok(()) => {}
        Err(error) => tracing::warn!(%error, "old marks of failures could not be deleted"),
    }
}

async fn tended(app: &App, rows_max: u32) -> Result<(), StoreError> {
    let marks = app.store.list_failure_marks(None, READ_MAX).await?;
    if marks.is_empty() {
        return Ok(());
    }
    let path = app.executions.path().to_owned();
    let read = spawn_blocking(move || LogReader::open(&path)?.kinds(None)).await;
    // Without the log, nobody knows which of them still fail.
    let Ok(Ok(kinds)) = read else { return Ok(()) };
    let seen = seen_since(&marks, &kinds);
    if !seen.is_empty() {
        app.store.note_seen_failures(seen).await?;
    }
    let now = now_ms();
    let keep_ms = i64::try_from(app.executions.keep().as_millis()).unwrap_or(i64::MAX);
    while app.store.delete_old_failure_marks(now.saturating_sub(keep_ms), now, rows_max).await? == rows_max {}
    Ok(())
}
