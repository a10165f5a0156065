//! `sluice jobs`: writes that wait, and those that wait for an operator.

use std::str::FromStr;

use serde_json::{Value, json};

use sluice_crm::{Job, JobChoice, JobState};
use sluice_kit::clock::{iso_utc, now_ms};
use sluice_store::Store;
use sluice_text::printable::printable;

use super::database::DatabaseArgs;
use crate::cli::macros::outln;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Print jobs that are not done: parked ones with their last error, then waiting ones
    List {
        #[command(flatten)]
        database: DatabaseArgs,
        #[arg(long)]
        brand: Option<String>,
        /// Those that are done, too
        #[arg(long)]
        all: bool,
        /// As a JSON array
        #[arg(long)]
        json: bool,
        /// At most so many of each state
        #[arg(long, value_name = "JOBS", default_value_t = 1_000)]
        limit: u32,
    },
    /// Have jobs tried again at once
    Retry(Choice),
    /// Forget jobs; what they would have written is lost
    Drop(Choice),
}

#[derive(clap::Args)]
struct Choice {
    /// A job's id, or "parked" for all that are parked
    #[arg(value_name = "ID|parked")]
    which: Which,
    #[command(flatten)]
    database: DatabaseArgs,
    /// Of the parked ones, those of one brand
    #[arg(long)]
    brand: Option<String>,
}

#[derive(Clone)]
enum Which {
    One(i64),
    Parked,
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(id) => Ok(Self::One(id)),
            Err(_) if text == "parked" => Ok(Self::Parked),
            Err(_) => Err("neither a job's id nor \"parked\"".to_owned()),
        }
    }
}

impl Choice {
    fn jobs(&self) -> anyhow::Result<JobChoice> {
        match (&self.which, &self.brand) {
            (Which::One(_), Some(_)) => anyhow::bail!("an id needs no --brand"),
            (Which::One(id), None) => Ok(JobChoice::One(*id)),
            (Which::Parked, brand) => Ok(JobChoice::Parked { brand: brand.clone() }),
        }
    }

    /// Who named one job and got none made a mistake.
    fn check(&self, count: u32) -> anyhow::Result<()> {
        match self.which {
            Which::One(id) if count == 0 => anyhow::bail!("there is no job {id} that is waiting or parked"),
            _ => Ok(()),
        }
    }
}

pub async fn run(args: Args) -> anyhow::Result<()> {
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
            finish(store.as_ref(), &choice, count, "tried again").await
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
    outln!("{count} {} {what}", if count == 1 { "job is" } else { "jobs are" });
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
    outln!("{:>8}  {:<8} {:>5}  {:<24}  BRAND  WHAT", "ID", "STATE", "TRIES", "MADE");
    for job in jobs {
        let late = if job.is_late { " (late)" } else { "" };
        let (id, state, made) = (job.id, job.state.as_str(), iso_utc(job.created_at));
        outln!("{id:>8}  {state:<8} {:>5}  {made}  {}  {}{late}", job.tries, job.brand, printable(&job.what));
        if let Some(error) = &job.last_error {
            outln!("          {}", printable(error));
        }
    }
}
