//! Jobs of scripts, for people and as JSON.

use serde_json::{Value, json};

use sluice_kit::clock::iso_utc;
use sluice_queue::QueuedJob;
use sluice_text::printable::printable;

use super::super::output::outln;

pub(super) fn as_json(job: &QueuedJob) -> Value {
    json!({
        "id": job.id,
        "brand": job.brand,
        "state": job.state.as_str(),
        "module": job.module,
        "function": job.function,
        "tag": job.tag,
        "key": job.key,
        "attempts": job.attempts,
        "payload_bytes": job.payload_bytes,
        "outcome": job.outcome,
        "last_error": job.last_error,
        "console": job.console.as_deref().map(|text| text.lines().collect::<Vec<_>>()),
        "created_at": iso_utc(job.created_at),
        "scheduled_for": iso_utc(job.scheduled_for),
        "due_at": job.due_at.map(iso_utc),
        "ended_at": job.ended_at.map(iso_utc),
    })
}

pub(super) fn print_table(jobs: &[QueuedJob]) {
    if jobs.is_empty() {
        return;
    }
    outln!("{:<32}  {:<8} {:>5} {:>7}  {:<24}  BRAND  FUNCTION", "ID", "STATE", "TRIES", "PAYLOAD", "NEXT");
    for job in jobs {
        let next = job.due_at.map(iso_utc).unwrap_or_default();
        let (state, what) = (job.state.as_str(), format!("{}.{}", job.module, job.function));
        let QueuedJob { id, brand, attempts, payload_bytes, .. } = job;
        let what = printable(&what);
        outln!("{id:<32}  {state:<8} {attempts:>5} {payload_bytes:>7}  {next:<24}  {brand}  {what}");
        if let Some(error) = &job.last_error {
            outln!("          {}", printable(error));
        }
    }
}

pub(super) fn print(job: &QueuedJob) {
    let line = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            outln!("{name:<14} {}", printable(value));
        }
    };
    line("job", Some(&job.id));
    line("brand", Some(&job.brand));
    line("function", Some(&format!("{}.{}", job.module, job.function)));
    line("state", Some(job.state.as_str()));
    line("tries", Some(&job.attempts.to_string()));
    line("payload", Some(&format!("{} bytes", job.payload_bytes)));
    line("tag", job.tag.as_deref());
    line("key", job.key.as_deref());
    line("created", Some(&iso_utc(job.created_at)));
    line("scheduled for", Some(&iso_utc(job.scheduled_for)));
    line("next try", job.due_at.map(iso_utc).as_deref());
    line("ended", job.ended_at.map(iso_utc).as_deref());
    line("outcome", job.outcome.as_deref());
    line("last error", job.last_error.as_deref());
    if let Some(console) = job.console.as_deref().filter(|console| !console.is_empty()) {
        outln!("console");
        for text in console.lines() {
            outln!("  {}", printable(text));
        }
    }
}
