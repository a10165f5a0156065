//! Authors' tests: `*.test.js` beside pages and modules. A file runs in a sandbox of its
//! own once to tell its tests, then once for each of them, every time on an empty
//! database: no test sees another, and one that never ends fails by itself.

mod calls;
mod compile;
pub mod outcome;
pub mod report;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use sluice_app::app::App;
use sluice_check as check;
use sluice_kit::clock::Clock;
use sluice_limits::Limits;
use sluice_page::failures::ScriptFiles;
use sluice_sandbox::outcome::Failure;
use sluice_sandbox::{RunContext, RunReport, Script};
use sluice_site::files::{self, FileError};
use sluice_site::{Brand, BrandFolder, TEST_SUFFIX};

use crate::scratch::{Fixed, Scratch};
use calls::{Calls, Declared, Mode};
use outcome::{Ended, FileProblem, TestEnd};

/// Time and chance of every test: results repeat.
pub const FIXED: Fixed = Fixed { clock: Clock::Fixed(1_767_225_600_000), seed: Some(1) };

/// A test makes requests, each with a time limit of its own.
const TEST_WALL_MS: u64 = 60_000;

/// A brand's test files, relative to its folder.
///
/// # Errors
/// A folder cannot be read.
pub fn files(brand_dir: &Path) -> Result<Vec<String>, FileError> {
    let mut found = Vec::new();
    for folder in ["modules", "pages"] {
        let files = files::list(&brand_dir.join(folder), &[TEST_SUFFIX])?;
        found.extend(files.into_iter().map(|file| format!("{folder}/{file}")));
    }
    Ok(found)
}

/// A test file, compiled, and the tests that it declared.
pub struct TestFile<'a> {
    scratch: &'a Scratch,
    brand: Arc<Brand>,
    script: Script,
    files: ScriptFiles,
    declared: Vec<Declared>,
}

impl<'a> TestFile<'a> {
    /// Compiles `file` and runs it once, to learn its tests.
    ///
    /// # Errors
    /// [`FileProblem::Author`]: it does not compile, fails, or has no tests.
    pub async fn load(scratch: &'a Scratch, brand: Arc<Brand>, file: &str) -> Result<Self, FileProblem> {
        let host = scratch.host().await?;
        let folder = BrandFolder::new(&brand.dir).map_err(anyhow::Error::from)?;
        let source = folder.source(file).map_err(|error| Failure::new("FileError", error.to_string()))?;
        let compiled = compile::compile(&host.sandbox, source, &folder, &limits(&brand)).await;
        let (script, files) = compiled.map_err(|problem| match problem {
            FileProblem::Author(failure) => check::explained(*failure, &brand.dir).into(),
            host => host,
        })?;
        let mut loaded = Self { scratch, brand, script, files, declared: Vec::new() };
        let (report, calls) = loaded.run(&host, None).await?;
        if let Some(failure) = report.failure {
            return Err(loaded.files.in_author_terms(failure).into());
        }
        if report.effects.stop.is_some() {
            return Err(outcome::stopped(None).into());
        }
        loaded.declared = calls.declared();
        if loaded.declared.is_empty() {
            let mut failure =
                Failure::new("TestError", "there is no test in this file: test(\"name\", () => { … })");
            failure.file = file.to_owned();
            return Err(failure.into());
        }
        Ok(loaded)
    }

    /// The names of its tests.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.declared.iter().map(|test| test.name.as_str())
    }

    /// Runs the tests with a `wanted` name; each is told as soon as it has ended.
    ///
    /// # Errors
    /// The host's own, and those of `tell`.
    pub async fn run_tests(
        &self,
        wanted: impl Fn(&str) -> bool,
        mut tell: impl FnMut(TestEnd) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let only = self.declared.iter().any(|test| test.mode == Mode::Only);
        for test in self.declared.iter().filter(|test| wanted(&test.name)) {
            let skipped = test.mode == Mode::Skip || (only && test.mode != Mode::Only);
            tell(if skipped { TestEnd::skipped(&test.name) } else { self.run_test(test).await? })?;
        }
        Ok(())
    }

    async fn run_test(&self, test: &Declared) -> anyhow::Result<TestEnd> {
        let host = self.scratch.host().await?;
        let began = Instant::now();
        let (report, calls) = self.run(&host, Some(test.name.clone())).await?;
        let ended = Ended {
            declared: self.files.in_author_terms(test.place()),
            failed: calls.expectation(),
            has_passed: calls.has_passed(),
            wall: began.elapsed(),
        };
        host.store.close().await;
        Ok(ended.judge(&test.name, report, &self.files))
    }

    /// One run of the file: of one test, or of none.
    async fn run(&self, host: &Arc<App>, test: Option<String>) -> anyhow::Result<(RunReport, Arc<Calls>)> {
        let calls = Arc::new(Calls::new(Arc::clone(host), Arc::clone(&self.brand), test));
        let brand = &self.brand.id;
        let context = RunContext {
            brand: brand.clone(),
            request: Arc::new(calls::request()),
            brand_variables: Arc::clone(&self.brand.variables),
            crm: Some(host.crm_access(brand)),
            handoff: Some(host.handoff(brand)),
            secrets: host.live().secrets.of(brand),
            limits: limits(&self.brand),
            clock: host.clock,
            seed: host.seed,
            test_calls: Some(Arc::clone(&calls) as _),
            ..RunContext::default()
        };
        let report = host.sandbox.run(&self.script, context).await?;
        Ok((report, calls))
    }
}

/// Those of the brand's pages, with time for the requests of a test.
fn limits(brand: &Brand) -> Limits {
    let wall_ms_max = brand.limits.wall_ms_max.max(TEST_WALL_MS);
    Limits { wall_ms_max, ..brand.limits.clone() }
}
