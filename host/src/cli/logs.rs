//! `sluice logs`: the execution log, also of a server that runs.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::config;
use crate::execution_log::Execution;
use crate::execution_log::query::{Filter, LogReader};
use crate::run_log::printable;

const FOLLOW_EVERY: Duration = Duration::from_millis(250);
const FOLLOW_RUNS: u32 = 500;

#[derive(clap::Args)]
pub struct Args {
    /// The site's folder
    #[arg(default_value = ".")]
    site_dir: PathBuf,
    /// Only runs of this page: its path (/weight/checkin) or its file
    #[arg(long)]
    page: Option<String>,
    /// Only runs of this brand
    #[arg(long)]
    brand: Option<String>,
    /// Only runs that failed
    #[arg(long)]
    failed: bool,
    /// Wait for more
    #[arg(long, short)]
    follow: bool,
    /// How many of the newest to print
    #[arg(long, short = 'n', default_value_t = 50, value_name = "COUNT")]
    lines: u32,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Folder of the embedded database, as given to `sluice serve`
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

pub async fn run(args: Args) -> anyhow::Result<()> {
    let mut config = config::read_site(&args.site_dir, std::env::vars())?;
    if let Some(data) = &args.data {
        config.database.url = format!("sqlite:{}", data.join("sluice.db").display());
    }
    let path = config.execution_log_path();
    if !path.exists() {
        bail!(
            "there is no execution log at {}: the server makes it (see [log] in sluice.toml)",
            path.display()
        );
    }
    let reader = LogReader::open(&path)?;
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

/// `/weight/checkin` as the file that the log knows it by. The index page of a
/// folder must be named by its file.
fn page_file(page: &str) -> String {
    match page.strip_prefix('/') {
        Some("") => "pages/index.html".to_owned(),
        Some(path) => format!("pages/{path}.html"),
        None => page.to_owned(),
    }
}

fn print(run: &Execution, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string(run).context("a run as JSON")?);
        return Ok(());
    }
    println!(
        "{} {} {} {} {} {} {} {} fuel, {} µs, trace {}",
        timestamp(run.at_ms),
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
        println!("    {}: {}", line.level, printable(&line.text));
    }
    if run.console_dropped > 0 {
        println!("    ({} console lines over the limit were dropped)", run.console_dropped);
    }
    if let Some(error) = &run.error {
        println!("    {}", printable(&error.to_string()));
        for frame in error.stack.lines() {
            println!("      {}", printable(frame));
        }
    }
    Ok(())
}

/// Unix milliseconds as ISO 8601 in UTC.
pub fn timestamp(at_ms: i64) -> String {
    let (days, ms) = (at_ms.div_euclid(86_400_000), at_ms.rem_euclid(86_400_000));
    // Days since the first of March of year 0: leap days come last.
    let day = days + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    format!("{year:04}-{month:02}-{day_of_month:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_utc() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_767_225_599_999, "2025-12-31T23:59:59.999Z"),
            (1_709_251_200_001, "2024-03-01T00:00:00.001Z"),
        ] {
            assert_eq!(timestamp(ms), text);
        }
    }
}
