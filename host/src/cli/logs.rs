//! `sluice logs`: prints the log of runs. A server may be writing to it at the same time.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};

use sluice_kit::clock::iso_utc;
use sluice_runs::execution_log::Execution;
use sluice_runs::execution_log::query::{Filter, LogReader};
use sluice_site::config;
use sluice_site::places::Places;
use sluice_text::printable::{printable, printable_json};

use super::output::outln;

const FOLLOW_EVERY: Duration = Duration::from_millis(250);
const FOLLOW_RUNS: u32 = 500;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The site's folder
    #[arg(default_value = ".")]
    site_dir: PathBuf,
    /// Only runs of this page; name its path (/weight/checkin) or its file
    #[arg(long)]
    page: Option<String>,
    /// Only runs of this brand [default: all brands]
    #[arg(long)]
    brand: Option<String>,
    /// Only runs that failed
    #[arg(long)]
    failed: bool,
    /// Wait for further runs and print them
    #[arg(long, short)]
    follow: bool,
    /// Print this many of the newest runs
    #[arg(long, short = 'n', default_value_t = 50, value_name = "COUNT")]
    lines: u32,
    /// Print JSON, one object on each line
    #[arg(long)]
    json: bool,
    /// The data folder, as given to `sluice serve` [default: as that of `sluice serve`]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let config = config::read_site(&args.site_dir, std::env::vars())?;
    let places = Places::of(&args.site_dir, &config, args.data.as_deref())?;
    let path = places.log.path();
    if !path.exists() {
        bail!(
            "there is no log of runs at {}: the server writes it (see [log] in sluice.toml)",
            path.display()
        );
    }
    let reader = LogReader::open(path)?;
    let filter = Filter {
        brand: args.brand.clone(),
        page: args.page.as_deref().map(page_file),
        only_failed: args.failed,
        limit: args.lines,
        ..Filter::default()
    };
    let mut newest = reader.newest()?;
    let mut runs = reader.list(&filter)?;
    runs.reverse();
    loop {
        for run in &runs {
            print(run, args.json)?;
        }
        if !args.follow {
            return Ok(());
        }
        newest = runs.last().map_or(newest, |run| run.id);
        tokio::time::sleep(FOLLOW_EVERY).await;
        runs = reader.list(&Filter { after: Some(newest), limit: FOLLOW_RUNS, ..filter.clone() })?;
    }
}

/// The page's file name in the log. `page` is its path or its file. Name an index page in a
/// subfolder by its file.
fn page_file(page: &str) -> String {
    match page.strip_prefix('/') {
        Some("") => "pages/index.html".to_owned(),
        Some(path) => format!("pages/{path}.html"),
        None => page.to_owned(),
    }
}

fn print(run: &Execution, json: bool) -> anyhow::Result<()> {
    if json {
        outln!("{}", printable_json(&serde_json::to_string(run).context("a run as JSON")?));
        return Ok(());
    }
    outln!(
        "{} {} {} {} {} {} {} {} fuel, {} µs, trace {}",
        iso_utc(run.at_ms),
        run.brand,
        run.page,
        run.method,
        printable(&run.path),
        run.status,
        run.outcome,
        run.fuel,
        run.wall_us,
        run.trace_id
    );
    for line in &run.console {
        outln!("    {}: {}", line.level, printable(&line.text));
    }
    if run.console_dropped > 0 {
        outln!("    ({} console lines over the limit were dropped)", run.console_dropped);
    }
    if let Some(error) = &run.error {
        outln!("    {}", printable(&error.to_string()));
        for frame in error.stack.lines() {
            outln!("      {}", printable(frame));
        }
    }
    Ok(())
}
