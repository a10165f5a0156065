//! `sluice jobs`: jobs of scripts and background writes that are not done, and those that were parked because
//! they failed.

mod queue;
mod schedules;

use std::str::FromStr;

use serde_json::{Value, json};

use sluice_crm::{Job, JobChoice, JobState};
use sluice_kit::clock::{iso_utc, now_ms};
use sluice_queue::{JobId, QueueChoice, QueuedJob, State};
use sluice_store::Store;
use sluice_store::changes::{NAMED_MAX, counted};
use sluice_text::printable::printable;

use super::change_log::{Change, keep};
use super::database::DatabaseArgs;
use super::output::outln;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Print the jobs that are not done, of scripts and then background writes: parked jobs with their last
    /// error, then the others
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
    /// Print all that is known about a job of a script: its last error and the lines that it logged
    Show {
        /// The job's id, 32 hexadecimal digits
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        database: DatabaseArgs,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Print the schedules in brand.toml, with their last and next ticks
    Schedules {
        #[command(flatten)]
        database: DatabaseArgs,
        /// Only schedules of this brand [default: all brands]
        #[arg(long)]
        brand: Option<String>,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Run the function of a schedule now, beside its ticks
    RunSchedule {
        /// The name of the schedule in brand.toml
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        database: DatabaseArgs,
        /// The brand, if several have a schedule of this name
        #[arg(long)]
        brand: Option<String>,
    },
    /// Try jobs again now
    Retry(Choice),
    /// Delete jobs without doing their work, which is lost
    Drop(Choice),
}

#[derive(clap::Args)]
struct Choice {
    /// A job's id, "parked" for all parked jobs, or "all" for all jobs of scripts of a brand
    #[arg(value_name = "ID|parked|all")]
    which: Which,
    #[command(flatten)]
    database: DatabaseArgs,
    /// With "parked" and "all": only jobs of this brand
    #[arg(long)]
    brand: Option<String>,
}

#[derive(Clone)]
enum Which {
    /// A background write.
    Write(i64),
    /// A job of a script.
    Script(JobId),
    Parked,
    All,
}

impl FromStr for Which {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match (JobId::parse(text), text.parse()) {
            (Some(id), _) => Ok(Self::Script(id)),
            (None, Ok(id)) => Ok(Self::Write(id)),
            _ if text == "parked" => Ok(Self::Parked),
            _ if text == "all" => Ok(Self::All),
            _ => anyhow::bail!("write a job's id, \"parked\" or \"all\""),
        }
    }
}

/// How many jobs were retried or dropped, and the first of them by name.
struct Done {
    count: u32,
    names: Vec<String>,
}

/// The chosen jobs of each kind.
struct Chosen {
    writes: Option<JobChoice>,
    scripts: Option<QueueChoice>,
}

impl Choice {
    fn jobs(&self) -> anyhow::Result<Chosen> {
        match (&self.which, self.brand.clone()) {
            (Which::Write(_) | Which::Script(_), Some(_)) => {
                anyhow::bail!("--brand can only be used with \"parked\" and \"all\", not with a job's id")
            }
            (Which::Write(id), None) => Ok(Chosen { writes: Some(JobChoice::One(*id)), scripts: None }),
            (Which::Script(id), None) => {
                Ok(Chosen { writes: None, scripts: Some(QueueChoice::One(id.clone())) })
            }
            (Which::Parked, brand) => Ok(Chosen {
                writes: Some(JobChoice::Parked { brand: brand.clone() }),
                scripts: Some(QueueChoice::Parked { brand }),
            }),
            (Which::All, Some(brand)) => {
                Ok(Chosen { writes: None, scripts: Some(QueueChoice::All { brand }) })
            }
            (Which::All, None) => anyhow::bail!("\"all\" needs --brand: the jobs of which brand?"),
        }
    }

    /// The brand whose jobs they are. Empty for those of all brands, and for a background write.
    async fn brand(&self, store: &dyn Store) -> anyhow::Result<String> {
        let of_job = match &self.which {
            Which::Script(id) => store.find_queued(id).await?.map(|job| job.brand),
            _ => None,
        };
        Ok(of_job.or_else(|| self.brand.clone()).unwrap_or_default())
    }

    /// The first of the jobs of scripts that are chosen, if they are not chosen by their id.
    async fn named_scripts(&self, store: &dyn Store) -> anyhow::Result<Vec<String>> {
        let states: &[State] = match &self.which {
            Which::Parked => &[State::Parked],
            Which::All => &[State::Parked, State::Pending],
            Which::Write(_) | Which::Script(_) => &[],
        };
        let mut names = Vec::new();
        for state in states {
            let jobs = store.list_queued(self.brand.as_deref(), Some(*state), NAMED_MAX).await?;
            names.extend(jobs.iter().map(QueuedJob::brief));
        }
        Ok(names)
    }

    /// The same for background writes.
    async fn named_writes(&self, store: &dyn Store) -> anyhow::Result<Vec<String>> {
        match &self.which {
            Which::Parked => {
                let jobs = store.list_jobs(self.brand.as_deref(), Some(JobState::Parked), NAMED_MAX).await?;
                Ok(jobs.iter().map(Job::brief).collect())
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Leaves a line in the log of changes, if something was done to some jobs.
    async fn keep(&self, store: &dyn Store, (action, brand): (&'static str, &str), done: Done) {
        let Done { count, names } = done;
        if count == 0 {
            return;
        }
        let names = names.into_iter();
        let (target, item) = match &self.which {
            Which::Write(id) => (id.to_string(), String::new()),
            Which::Script(id) => (id.to_string(), String::new()),
            Which::Parked => ("all parked".to_owned(), counted(count, names)),
            Which::All => ("all".to_owned(), counted(count, names)),
        };
        keep(store, Change { action, brand, target: &target, item: &item, fault: None }).await;
    }

    /// Fails if the operator named one job and there is no such job.
    fn check(&self, count: u32) -> anyhow::Result<()> {
        match &self.which {
            Which::Write(id) if count == 0 => anyhow::bail!("there is no job {id} that is waiting or parked"),
            Which::Script(id) if count == 0 => {
                anyhow::bail!("there is no job {id} that is pending or parked")
            }
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
            let states = [State::Parked, State::Running, State::Pending, State::Done];
            let states = if all { &states[..] } else { states.split_at(3).0 };
            let mut scripts = Vec::new();
            for state in states {
                scripts.extend(store.list_queued(brand.as_deref(), Some(*state), limit).await?);
            }
            store.close().await;
            if json {
                let all = scripts.iter().map(queue::as_json).chain(jobs.iter().map(as_json));
                outln!("{}", Value::Array(all.collect()));
                return Ok(());
            }
            queue::print_table(&scripts);
            if !scripts.is_empty() && !jobs.is_empty() {
                outln!("");
            }
            if scripts.is_empty() || !jobs.is_empty() {
                print_table(&jobs);
            }
            Ok(())
        }
        Action::Show { id, database, json } => {
            let Some(id) = JobId::parse(&id) else {
                anyhow::bail!(
                    "write the id of a job of a script, 32 hexadecimal digits; `sluice jobs list` shows it"
                )
            };
            let store = database.open().await?;
            let found = store.find_queued(&id).await?;
            store.close().await;
            let Some(job) = found else { anyhow::bail!("there is no job {id}") };
            match json {
                true => outln!("{}", queue::as_json(&job)),
                false => queue::print(&job),
            }
            Ok(())
        }
        Action::Schedules { database, brand, json } => {
            schedules::list(&database, brand.as_deref(), json).await
        }
        Action::RunSchedule { name, database, brand } => {
            schedules::run(&database, brand.as_deref(), &name).await
        }
        Action::Retry(choice) => {
            let Chosen { writes, scripts } = choice.jobs()?;
            let store = choice.database.open().await?;
            let brand = choice.brand(store.as_ref()).await?;
            let mut count = 0;
            if let Some(scripts) = scripts {
                let names = choice.named_scripts(store.as_ref()).await?;
                let done = Done { count: store.retry_queued(scripts, now_ms()).await?, names };
                count += done.count;
                choice.keep(store.as_ref(), ("job.retry", &brand), done).await;
            }
            if let Some(writes) = writes {
                let names = choice.named_writes(store.as_ref()).await?;
                let done = Done { count: store.retry_jobs(writes, now_ms()).await?, names };
                count += done.count;
                choice.keep(store.as_ref(), ("write.retry", &brand), done).await;
            }
            finish(store.as_ref(), &choice, count, "will be tried again").await
        }
        Action::Drop(choice) => {
            let Chosen { writes, scripts } = choice.jobs()?;
            let store = choice.database.open().await?;
            let brand = choice.brand(store.as_ref()).await?;
            let mut count = 0;
            if let Some(scripts) = scripts {
                let names = choice.named_scripts(store.as_ref()).await?;
                let done = Done { count: store.drop_queued(scripts).await?, names };
                count += done.count;
                choice.keep(store.as_ref(), ("job.drop", &brand), done).await;
            }
            if let Some(writes) = writes {
                let names = choice.named_writes(store.as_ref()).await?;
                let done = Done { count: store.drop_jobs(writes).await?, names };
                count += done.count;
                choice.keep(store.as_ref(), ("write.drop", &brand), done).await;
            }
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
