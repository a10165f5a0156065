//! Runs one job: compile, admit, run, store what it changed.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;

use sluice_crm::{CrmCaps, QueuedWrites};
use sluice_kit::value::{self, Room};
use sluice_page::{PageContent, PageScript, job as job_page};
use sluice_queue::{ClaimedJob, Ending, Pushes, QueueCommit, TRIES_MAX};
use sluice_runs::execution_log::{FinishedRun, RequestInfo};
use sluice_runs::run_log;
use sluice_sandbox::files::FilesAccess;
use sluice_sandbox::outcome::{ConsoleLog, Failure, Outcome};
use sluice_sandbox::slots::RunKind;
use sluice_sandbox::{RunContext, RunReport, SandboxError};
use sluice_session::RunCommit;
use sluice_session::storage::SessionError;
use sluice_site::config::ScheduleConfig;
use sluice_site::{Brand, jobs};
use sluice_telemetry::trace::Trace;
use sluice_text::bounded::bounded;

use crate::app::App;
use crate::hooks::ON_ERROR;
use crate::load::Live;
use crate::observe::job_ended;

/// The wait before the third try is this many times as long as that before the second.
const BACKOFF: u32 = 4;
/// How long a job that found no sandbox waits. This does not count as a try.
const BUSY_WAIT: Duration = Duration::from_secs(1);
/// The most bytes of an error that are stored.
const ERROR_BYTES_MAX: usize = 4 << 10;
/// The most bytes of console lines that are stored.
const CONSOLE_BYTES_MAX: usize = 16 << 10;
/// How many times the host tries to store the end of a job, once a second, while the database does not answer.
/// By then, another host can have taken over the job.
const STORE_TRIES: u32 = 60;
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// How a try of a job has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobEnd {
    /// It is done.
    Done,
    /// It failed, and it is tried again.
    Retry(String),
    /// It failed and waits for an operator.
    Parked(String),
    /// It was not tried, or another host has it now.
    Released,
}

/// A try that failed.
struct Failed {
    outcome: &'static str,
    error: String,
    console: String,
}

/// What a job wants to have stored.
struct Changes {
    queued: QueuedWrites,
    pushes: Pushes,
}

/// Runs a job that this host has claimed, and stores how it ended.
pub async fn run_job(app: &Arc<App>, job: ClaimedJob, retry_wait: Duration) -> JobEnd {
    let live = app.live();
    let Some(brand) = live.site.brands().find(|brand| brand.id == job.brand) else {
        return release(app, &job).await;
    };
    if job.attempt > TRIES_MAX {
        let error = format!(
            "no end was stored for {TRIES_MAX} tries: its host stopped, or the database did not answer"
        );
        return fail(app, &job, Failed::of("host", error), retry_wait).await;
    }
    let mut tried = try_job(app, &live, brand, &job).await;
    // The job keeps its claim, so that a busy host does not claim one job after the other in vain.
    while let Err(SandboxError::Busy) = tried
        && !app.stopping.load(Ordering::Relaxed)
    {
        tokio::time::sleep(BUSY_WAIT).await;
        tried = try_job(app, &live, brand, &job).await;
    }
    match tried {
        Ok(Ok(changes)) => match store_end(app, brand, &job, changes).await {
            Ok(end) => end,
            Err(failed) => fail(app, &job, failed, retry_wait).await,
        },
        Ok(Err(failed)) => fail(app, &job, failed, retry_wait).await,
        Err(error) => {
            if !matches!(error, SandboxError::Busy) {
                tracing::error!(brand = job.brand, job = %job.id, %error, "no sandbox could be made for a job");
            }
            release(app, &job).await
        }
    }
}

/// Runs the job. The outer error means that it was not tried.
async fn try_job(
    app: &Arc<App>,
    live: &Live,
    brand: &Arc<Brand>,
    job: &ClaimedJob,
) -> Result<Result<Changes, Failed>, SandboxError> {
    let content = content(app, brand, &job.module).await?;
    let (script, files) = match &content.script {
        PageScript::Ready { script, files } => (script, files),
        PageScript::Broken(failure) => {
            let failed = Failed::of(Outcome::Compile.name(), failure.to_string());
            tell_hook(app, brand, job, &failed);
            return Ok(Err(failed));
        }
        PageScript::None => return Ok(Err(Failed::of(Outcome::Compile.name(), "there is no script".into()))),
    };
    // Most jobs use the database.
    let kind = RunKind { database: true, ..script.run_kind() };
    let mut admitted = app.sandbox.admit(&brand.id, kind, &brand.job_limits).await?;
    let _memory = admitted.take_memory();
    let Some(context) = context(app, live, brand, job) else {
        return Ok(Err(Failed::of(Outcome::Error.name(), "the stored payload cannot be read".into())));
    };
    let trace = Trace::begin_job(&app.telemetry, &brand.id, &job.what());
    let run = trace.child("run");
    let context = RunContext { trace: run.clone(), ..context };
    let (mut report, _place) = app.sandbox.run_admitted(script, context, admitted).await?;
    let page = file_of(job);
    report.failure = report.failure.map(|failure| {
        let mut failure = job_page::in_author_terms(files.in_author_terms(failure));
        if report.outcome != Outcome::Host {
            failure.name_page(&page);
        }
        failure
    });
    job_ended(&trace, &run, &brand.id, &report);
    record(app, brand, &page, job, &report, trace.id());
    Ok(match report.outcome.is_failure() {
        false => Ok(Changes { queued: report.queued, pushes: report.pushes }),
        true => {
            let error = report.failure.as_ref().map(Failure::to_string).unwrap_or_default();
            let console = console_text(&report.effects.console);
            let failed = Failed { outcome: report.outcome.name(), error, console };
            tell_hook(app, brand, job, &failed);
            Err(failed)
        }
    })
}

/// Lets the hook of the brand know. It must not call itself.
fn tell_hook(app: &App, brand: &Arc<Brand>, job: &ClaimedJob, failed: &Failed) {
    if job.module != ON_ERROR {
        app.run_failed(brand, &file_of(job), failed.outcome, &failed.error);
    }
}

/// The file of a job's module, relative to the brand's folder.
fn file_of(job: &ClaimedJob) -> String {
    format!("modules/{}", job.module)
}

/// The compiled page of a module.
async fn content(app: &Arc<App>, brand: &Arc<Brand>, module: &str) -> Result<Arc<PageContent>, SandboxError> {
    let compile = || async {
        let (sandbox, of_thread, code) = (Arc::clone(&app.sandbox), Arc::clone(brand), module.to_owned());
        let work = async move { jobs::page(&sandbox, &of_thread, &code).await };
        match app.sandbox.long_calls.run(&brand.id, work).await {
            Some(done) => done.value,
            // The threads have ended, because the process stops.
            None => jobs::page(&app.sandbox, brand, module).await,
        }
    };
    app.pages.of_job(brand.jobs.page_key(module), compile).await
}

/// What the job may see and change. `None` if its payload cannot be read.
fn context(app: &App, live: &Live, brand: &Arc<Brand>, job: &ClaimedJob) -> Option<RunContext> {
    let payload = value::decode(&job.payload, &Room::new(usize::MAX)).ok()?;
    let about =
        json!({ "jobId": job.id.as_str(), "attempt": job.attempt, "scheduledFor": job.scheduled_for });
    let asked = json!({ "name": job.function, "payload": payload, "job": about });
    Some(RunContext {
        brand: brand.id.clone(),
        request: Arc::new(asked),
        is_job: true,
        brand_variables: Arc::clone(&brand.variables),
        crm: Some(app.crm_access(&brand.id)),
        http: Some(Arc::clone(&app.http)),
        http_rules: Arc::clone(&brand.http),
        files: Some(FilesAccess {
            store: Arc::clone(&app.files),
            keys: Arc::clone(&app.sessions.keys),
            received: None,
        }),
        storage: Some(app.storage_access(&brand.id)),
        queue: Some(app.queue_access(brand)),
        purges: Some(app.purge_access(brand)),
        secrets: live.secrets.of(&brand.id),
        limits: brand.job_limits.clone(),
        clock: app.clock.clone(),
        seed: app.seed,
        ..RunContext::default()
    })
}

fn record(app: &App, brand: &Brand, page: &str, job: &ClaimedJob, report: &RunReport, trace_id: String) {
    const METHOD: &str = "JOB";
    let what = job.what();
    run_log::record(&brand.id, page, METHOD, &what, report);
    let request =
        RequestInfo { brand: &brand.id, page, method: METHOD, path: &what, job: Some(job.id.as_str()) };
    let status = if report.outcome.is_failure() { 500 } else { 200 };
    // Operators ask whether a schedule has run, and not how its typical run was.
    let is_of_schedule =
        |schedule: &ScheduleConfig| schedule.module == job.module && schedule.function == job.function;
    let is_kept = brand.schedules.iter().any(is_of_schedule);
    app.executions.record(
        request,
        FinishedRun { is_kept, ..FinishedRun::new(report, true, trace_id) },
        status,
    );
}

impl Failed {
    fn of(outcome: &'static str, error: String) -> Self {
        Self { outcome, error, console: String::new() }
    }
}

/// Marks the job as done and stores what it changed, in one transaction. The error is a rule that rejects it.
async fn store_end(
    app: &App,
    brand: &Brand,
    job: &ClaimedJob,
    Changes { queued, pushes }: Changes,
) -> Result<JobEnd, Failed> {
    let (has_writes, has_pushes) = (!queued.is_empty(), !pushes.is_empty());
    for _ in 0..STORE_TRIES {
        let commit = RunCommit {
            jobs: queued.clone().into_writes(),
            caps: CrmCaps::from(&brand.job_limits),
            queue: QueueCommit {
                jobs: pushes.clone().into_jobs(),
                jobs_max: brand.job_limits.queue_jobs_max,
                done: Some(job.claim),
            },
            ..RunCommit::new(brand.id.as_str())
        };
        match app.store.commit_run(commit, app.now_ms()).await {
            Ok(_) => {
                app.ring(has_writes, has_pushes);
                return Ok(JobEnd::Done);
            }
            Err(SessionError::ClaimLost) => {
                tracing::warn!(
                    brand = brand.id,
                    job = %job.id,
                    "another host has taken over a job, so its end was not stored"
                );
                return Ok(JobEnd::Released);
            }
            Err(error @ (SessionError::QueueFull | SessionError::Job(_))) => {
                let error = format!("what the job has queued was rejected: {error}");
                return Err(Failed::of(Outcome::Error.name(), error));
            }
            Err(error) => {
                tracing::warn!(brand = brand.id, job = %job.id, %error, "the end of a job could not be stored yet")
            }
        }
        tokio::time::sleep(STORE_PAUSE).await;
    }
    log_lost_end(job);
    Ok(JobEnd::Released)
}

/// Stores that a try failed.
async fn fail(app: &App, job: &ClaimedJob, failed: Failed, retry_wait: Duration) -> JobEnd {
    let Failed { outcome, error, console } = failed;
    let error = bounded(&error, ERROR_BYTES_MAX).into_owned();
    let (brand, what, id) = (&job.brand, job.what(), &job.id);
    if job.attempt < TRIES_MAX {
        tracing::warn!(brand, what, job = %id, outcome, error, "a job failed and will be tried again");
        let wait = retry_wait.saturating_mul(BACKOFF.saturating_pow(job.attempt.saturating_sub(1)));
        let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        let due_at = app.now_ms().saturating_add(wait_ms);
        let ending = Ending::Retry { outcome, error: error.clone(), console, due_at };
        return end(app, job, ending, JobEnd::Retry(error)).await;
    }
    tracing::error!(brand, what, job = %id, outcome, error, "a job is parked; see `sluice jobs list`");
    let ending = Ending::Parked { outcome, error: error.clone(), console };
    end(app, job, ending, JobEnd::Parked(error)).await
}

async fn release(app: &App, job: &ClaimedJob) -> JobEnd {
    let wait_ms = i64::try_from(BUSY_WAIT.as_millis()).unwrap_or(i64::MAX);
    let ending = Ending::Released { due_at: app.now_ms().saturating_add(wait_ms) };
    end(app, job, ending, JobEnd::Released).await
}

async fn end(app: &App, job: &ClaimedJob, ending: Ending, done: JobEnd) -> JobEnd {
    for _ in 0..STORE_TRIES {
        match app.store.end_claim(job.claim, ending.clone(), app.now_ms()).await {
            Ok(true) => return done,
            Ok(false) => return JobEnd::Released,
            Err(error) => {
                tracing::warn!(brand = job.brand, job = %job.id, %error, "the end of a job could not be stored yet")
            }
        }
        tokio::time::sleep(STORE_PAUSE).await;
    }
    log_lost_end(job);
    JobEnd::Released
}

fn log_lost_end(job: &ClaimedJob) {
    tracing::error!(
        brand = job.brand,
        job = %job.id,
        "the end of a job could not be stored, so it will run again when its claim ends"
    );
}

/// The lines of the console as one text.
fn console_text(console: &ConsoleLog) -> String {
    let mut text = String::new();
    for line in &console.lines {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "[{}] {}", line.level.name(), line.text);
    }
    bounded(text.trim_end(), CONSOLE_BYTES_MAX).into_owned()
}
