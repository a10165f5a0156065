//! `sluice check`: finds mistakes in a site without running it.

use std::path::PathBuf;
use std::process::ExitCode;

use sluice_check::Site;
use sluice_page::diagnostic::{self, Diagnostic};
use sluice_page::reports;

use super::output::{Lines, Output, out, outln};

#[derive(clap::Args)]
#[command(
    after_help = "Exit codes: 0 if there are no errors (there may be warnings), 1 if there are errors, \
                  2 if the command line is invalid.\n\n\
                  docs/errors/ explains each code, such as `unknown-global`."
)]
pub(crate) struct Args {
    /// The site's folder
    #[arg(default_value = ".")]
    site_dir: PathBuf,
    /// Check only this brand [default: all brands]
    #[arg(long)]
    brand: Option<String>,
    /// How to print mistakes
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    /// Exit with 1 if there are warnings, too
    #[arg(long)]
    deny_warnings: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Text for people
    Human,
    /// One JSON object
    Json,
    /// Annotations for GitHub workflows
    Github,
    /// SARIF 2.1.0, for code hosts and editors
    Sarif,
    /// JUnit's XML, for servers for continuous integration
    Junit,
}

pub(crate) async fn run(args: Args, output: &Output) -> anyhow::Result<ExitCode> {
    let site = Site::read(&args.site_dir, std::env::vars());
    let progress = output.progress(Lines::Plain);
    progress.shared().begin("preparing the engine", 0);
    let sandbox = site.sandbox()?;
    progress.shared().begin("checking the site", 0);
    let found = site.check(&sandbox, args.brand.as_deref()).await?;
    drop(progress);
    let found = Diagnostic::all_below(found, &args.site_dir);
    match args.format {
        Format::Json => outln!("{}", diagnostic::json(&found)),
        Format::Github => found.iter().for_each(|one| outln!("{}", diagnostic::github(one))),
        Format::Sarif => outln!("{}", reports::sarif_of_diagnostics(&found)),
        Format::Junit => out!("{}", reports::junit_of_diagnostics(&found, args.deny_warnings)),
        Format::Human => print(&found),
    }
    let is_clean = found.iter().all(|one| !one.is_error() && !args.deny_warnings);
    Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(found: &[Diagnostic]) {
    for one in found {
        outln!("{}\n", diagnostic::human(one));
    }
    match diagnostic::summary(found) {
        Some(summary) => outln!("{summary} found"),
        None => outln!("no mistakes found"),
    }
}
