//! `sluice jobs`: background writes that are waiting, and those that were parked because they
//! failed.

use std::str::FromStr;

use serde_json::{Value, json};

use sluice_crm::{Job, JobChoice, JobState};
use sluice_kit::clock::{iso_utc, now_ms};
use sluice_store::Store;
use sluice_text::printable::printable;

use super::database::DatabaseArgs;
use super::output::outln;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Print the jobs that are not done: parked jobs with their last error, then waiting jobs
    List {
        #[command(flatten)]
        database: DatabaseArgs,
        /// Only jobs of this brand [default: all brands]
        #[arg(long)]
        brand: Option<String>,
        /// Print jobs that are done, too
        #[arg(long)]
        all: bool,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
        /// The greatest number of jobs to print of each state
        #[arg(long, value_name = "JOBS", default_value_t = 1_000)]
        limit: u32,
    },
    /// Try jobs again now
    Retry(Choice),
    /// Delete jobs without doing their writes, which are lost
    Drop(Choice),
}

#[derive(clap::Args)]
struct Choice {
    /// A job's id, or "parked" for all parked jobs
    #[arg(value_name = "ID|parked")]
    which: Which,
    #[command(flatten)]
    database: DatabaseArgs,
    /// With "parked": only jobs of this brand
    #[arg(long)]
    brand: Option<String>,
}

#[derive(Clone)]
enum Which {
    One(i64),
    Parked,
}

impl FromStr for Which {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match text.parse() {
            Ok(id) => Ok(Self::One(id)),
            Err(_) if text == "parked" => Ok(Self::Parked),
            Err(_) => anyhow::bail!("write a job's id or \"parked\""),
        }
    }
}

impl Choice {
    fn jobs(&self) -> anyhow::Result<JobChoice> {
        match (&self.which, &self.brand) {
            (Which::One(_), Some(_)) => {
                anyhow::bail!("--brand can only be used with \"parked\", not with a job's id")
            }
            (Which::One(id), None) => Ok(JobChoice::One(*id)),
            (Which::Parked, brand) => Ok(JobChoice::Parked { brand: brand.clone() }),
        }
    }

    /// Fails if the operator named one job and there is no such job.
    fn check(&self, count: u32) -> anyhow::Result<()> {
        match self.which {
            Which::One(id) if count == 0 => anyhow::bail!("there is no job {id} that is waiting or parked"),
            _ => Ok(()),
        }
    }
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    match args.action {
        Action::List { database, brand, all, json, limit } => {
            let store = database.open().await?;
            let states = [JobState::Parked, JobState::Waiting, JobState::Done];
            let states = if all { &states[..] } else { states.split_at(2).0 };
            let mut jobs = Vec::new();
            for state in states {
                jobs.extend(store.list_jobs(brand.as_deref(), Some(*state), limit).await?);
            }
            store.close().await;
            match json {
                true => outln!("{}", Value::Array(jobs.iter().map(as_json).collect())),
                false => print_table(&jobs),
            }
            Ok(())
        }
        Action::Retry(choice) => {
            let jobs = choice.jobs()?;
            let store = choice.database.open().await?;
            let count = store.retry_jobs(jobs, now_ms()).await?;
            finish(store.as_ref(), &choice, count, "will be tried again").await
        }
        Action::Drop(choice) => {
            let jobs = choice.jobs()?;
            let store = choice.database.open().await?;
            let count = store.drop_jobs(jobs).await?;
            finish(store.as_ref(), &choice, count, "dropped").await
        }
    }
}

async fn finish(store: &dyn Store, choice: &Choice, count: u32, what: &str) -> anyhow::Result<()> {
    store.close().await;
    choice.check(count)?;
    outln!("{count} {} {what}", if count == 1 { "job" } else { "jobs" });
    Ok(())
}

fn as_json(job: &Job) -> Value {
    json!({
        "id": job.id,
        "brand": job.brand,
        "state": job.state.as_str(),
        "what": job.what,
        "late": job.is_late,
        "tries": job.tries,
        "last_error": job.last_error,
        "created_at": iso_utc(job.created_at),
        "due_at": iso_utc(job.due_at),
        "ended_at": job.ended_at.map(iso_utc),
    })
}

fn print_table(jobs: &[Job]) {
    if jobs.is_empty() {
        return outln!("no jobs");
    }
    outln!("{:>8}  {:<8} {:>5}  {:<24}  BRAND  WRITE", "ID", "STATE", "TRIES", "CREATED");
    for job in jobs {
        let late = if job.is_late { " (late)" } else { "" };
        let (id, state, created) = (job.id, job.state.as_str(), iso_utc(job.created_at));
        let (tries, brand, write) = (job.tries, &job.brand, printable(&job.what));
        outln!("{id:>8}  {state:<8} {tries:>5}  {created}  {brand}  {write}{late}");
        if let Some(error) = &job.last_error {
            outln!("          {}", printable(error));
        }
    }
}
