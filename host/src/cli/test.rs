//! `sluice test`: runs the tests that authors wrote next to their pages.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;

use sluice_author::scratch::Scratch;
use sluice_author::testing::outcome::FileProblem;
use sluice_author::testing::report::{FileOf, Format, Report};
use sluice_author::testing::{FIXED, TestFile, files};
use sluice_journey::JourneyService;
use sluice_site::{Brand, TEST_SUFFIX as SUFFIX};

use super::output::{Lines, Output};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The site's folder
    #[arg(default_value = ".")]
    site_dir: PathBuf,
    /// Run only tests whose name or file name contains this text
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// How to print results
    #[arg(long, value_enum, default_value = "pretty")]
    format: Format,
    /// Run only tests of this brand [default: all brands]
    #[arg(long)]
    brand: Option<String>,
}

/// Exit code 0: every test passed. 1: a test failed, a file cannot be run, or there are no tests.
pub(crate) async fn run(args: Args, output: &Output) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let progress = output.progress(Lines::Plain);
    let scratch =
        Scratch::load(&args.site_dir, FIXED, progress.shared(), Arc::new(JourneyService::default())).await?;
    drop(progress);
    let brands = match &args.brand {
        Some(id) => vec![scratch.brand(Some(id))?],
        None => scratch.brands(),
    };
    let mut report = Report::new(args.format);
    say(report.begin())?;
    for brand in brands {
        for file in files(&brand.dir)? {
            test_file(&scratch, &brand, &file, args.filter.as_deref(), &mut report).await?;
        }
    }
    let counts = report.counts;
    let nothing = counts.passed + counts.failed + counts.skipped + counts.broken == 0;
    if nothing {
        let what = args.filter.map(|filter| format!(" matches {filter:?}")).unwrap_or_default();
        anyhow::bail!(
            "no test{what}: tests are in files such as pages/index{SUFFIX} or modules/prices{SUFFIX}"
        );
    }
    say(&report.end(began.elapsed()))?;
    Ok(if counts.failed + counts.broken > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn test_file(
    scratch: &Scratch,
    brand: &Arc<Brand>,
    file: &str,
    filter: Option<&str>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let secrets = scratch.secrets(&brand.id);
    let of = FileOf { brand: &brand.id, dir: &brand.dir, file, secrets: &secrets };
    let all = filter.is_none_or(|filter| file.contains(filter));
    let say = |text: &str| say(&secrets.mask(text));
    let wanted = |name: &str| all || filter.is_some_and(|filter| name.contains(filter));
    let loaded = match TestFile::load(scratch, Arc::clone(brand), file).await {
        Ok(loaded) => loaded,
        Err(FileProblem::Host(error)) => return Err(error.into()),
        Err(FileProblem::Author(failure)) => {
            return say(&format!("{}{}", report.file(of), report.broken(of, &failure)));
        }
    };
    if loaded.names().any(&wanted) {
        say(&report.file(of))?;
    }
    loaded.run_tests(wanted, |end| say(&report.test(of, &end))).await
}

/// Prints and flushes, so that each result appears at once.
fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("standard output")
}
