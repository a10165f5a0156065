//! Authors' tests: `*.test.js` files next to pages and modules.
//!
//! A file runs once to declare its tests, and then once for each of them. Each run has its own
//! sandbox and its own empty database, so tests cannot affect each other, and a test that never
//! ends reaches its own limits and fails.

mod calls;
mod collected;
mod compile;
mod fakes;
mod jobs;
pub mod outcome;
pub mod report;
mod shown;

use std::sync::Arc;
use std::time::Instant;

use sluice_app::app::App;
use sluice_check as check;
use sluice_kit::clock::Clock;
use sluice_kit::folder::FolderPath;
use sluice_limits::Limits;
use sluice_page::failures::ScriptFiles;
use sluice_sandbox::outcome::Failure;
use sluice_sandbox::{RunContext, RunReport, Script};
use sluice_site::files::FileError;
use sluice_site::{Brand, BrandFolder};

use crate::scratch::{Fixed, Scratch};
use calls::{Calls, Declared, Mode};
use fakes::Fakes;
use outcome::{Ended, FileProblem, HostError, TestEnd};

/// The clock and the seed of every test, so that results repeat. Tests start at
/// 2026-01-01T00:00:00Z.
pub const FIXED: Fixed = Fixed { clock: Clock::Fixed(1_767_225_600_000), seed: Some(1), offline: true };

/// A test may take this long at least, because it waits for the requests that it makes. Each of
/// these has a time limit of its own.
const TEST_WALL_MS: u64 = 60_000;

/// Lists a brand's test files, relative to its folder.
///
/// # Errors
/// A folder cannot be read.
pub fn files(brand_dir: &FolderPath) -> Result<Vec<String>, FileError> {
    BrandFolder::new(brand_dir)?.test_files()
}

/// A compiled test file and the tests that it declared.
pub struct TestFile<'a> {
    scratch: &'a Scratch,
    brand: Arc<Brand>,
    script: Script,
    files: ScriptFiles,
    declared: Vec<Declared>,
}

impl<'a> TestFile<'a> {
    /// Compiles `file` and runs it once, so that it declares its tests.
    ///
    /// # Errors
    /// [`FileProblem::Author`] if the file does not compile, fails, or has no tests.
    pub async fn load(scratch: &'a Scratch, brand: Arc<Brand>, file: &str) -> Result<Self, FileProblem> {
        let fakes = Arc::new(Fakes::default());
        let host = scratch.host_calling(Arc::clone(&fakes) as _).await.map_err(HostError::from)?;
        let folder = BrandFolder::new(&brand.dir).map_err(HostError::from)?;
        let source = folder.source(file).map_err(|reason| Failure::new("FileError", reason.to_string()))?;
        let compiled = compile::compile(&host.sandbox, source, &folder, &limits(&brand)).await;
        let (script, files) = compiled.map_err(|problem| match problem {
            FileProblem::Author(failure) => check::explained(*failure, &brand.dir).into(),
            host => host,
        })?;
        let mut loaded = Self { scratch, brand, script, files, declared: Vec::new() };
        let (report, calls) = loaded.run(&host, &fakes, None).await?;
        if let Some(failure) = report.failure {
            return Err(loaded.files.in_author_terms(failure).into());
        }
        if report.effects.stop.is_some() {
            return Err(outcome::stopped(None).into());
        }
        loaded.declared = calls.declared();
        if loaded.declared.is_empty() {
            let mut failure = Failure::new(
                "TestError",
                "this file has no test; write one, such as test(\"name\", () => { … })",
            );
            failure.file = file.to_owned();
            return Err(failure.into());
        }
        Ok(loaded)
    }

    /// The names of the file's tests, in the order of their declaration.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.declared.iter().map(|test| test.name.as_str())
    }

    /// Runs the tests whose name is `wanted`, one after another. Calls `tell` as soon as a test
    /// has ended.
    ///
    /// # Errors
    /// [`HostError`], which is never the author's mistake, and the errors of `tell`.
    pub async fn run_tests<E: From<HostError>>(
        &self,
        wanted: impl Fn(&str) -> bool,
        mut tell: impl FnMut(TestEnd) -> Result<(), E>,
    ) -> Result<(), E> {
        let only = self.declared.iter().any(|test| test.mode == Mode::Only);
        for test in self.declared.iter().filter(|test| wanted(&test.name)) {
            let skipped = test.mode == Mode::Skip || (only && test.mode != Mode::Only);
            tell(if skipped { TestEnd::skipped(&test.name) } else { self.run_test(test).await? })?;
        }
        Ok(())
    }

    async fn run_test(&self, test: &Declared) -> Result<TestEnd, HostError> {
        let fakes = Arc::new(Fakes::default());
        let host = self.scratch.host_calling(Arc::clone(&fakes) as _).await?;
        let began = Instant::now();
        let (report, calls) = self.run(&host, &fakes, Some(test.name.clone())).await?;
        let ended = Ended {
            declared: self.files.in_author_terms(test.place()),
            failed: calls.expectation(),
            has_passed: calls.has_passed(),
            wall: began.elapsed(),
        };
        host.store.close().await;
        Ok(ended.judge(&test.name, report, &self.files))
    }

    /// Runs the file for one test. Without a test, the file only declares its tests.
    async fn run(
        &self,
        host: &Arc<App>,
        fakes: &Arc<Fakes>,
        test: Option<String>,
    ) -> Result<(RunReport, Arc<Calls>), HostError> {
        let calls = Calls::new(Arc::clone(host), Arc::clone(&self.brand), Arc::clone(fakes), test);
        let calls = Arc::new(calls);
        let brand = &self.brand.id;
        let context = RunContext {
            brand: brand.clone(),
            request: Arc::new(calls::request()),
            brand_variables: Arc::clone(&self.brand.variables),
            crm: Some(host.crm_access(brand).at_once()),
            http: Some(Arc::clone(fakes) as _),
            http_rules: Arc::clone(&self.brand.http),
            storage: Some(host.storage_access(brand)),
            queue: Some(host.queue_access(&self.brand).at_once()),
            purges: Some(host.purge_access(&self.brand)),
            handoff: Some(host.handoff(brand)),
            secrets: host.live().secrets.of(brand),
            limits: limits(&self.brand),
            clock: host.clock.clone(),
            seed: host.seed,
            test_calls: Some(Arc::clone(&calls) as _),
            ..RunContext::default()
        };
        let report = host.sandbox.run(&self.script, context).await?;
        Ok((report, calls))
    }
}

/// The limits of the brand's pages, with more time for the requests of a test.
fn limits(brand: &Brand) -> Limits {
    let wall_ms_max = brand.limits.wall_ms_max.max(TEST_WALL_MS);
    Limits { wall_ms_max, ..brand.limits.clone() }
}
