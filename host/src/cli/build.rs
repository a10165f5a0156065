//! `sluice build`: every page to a WebAssembly component.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;

use super::output::{Lines, Output};
use crate::config;
use crate::excerpt::excerpt;
use crate::limits::Limits;
use crate::limits::policy::LimitPolicy;
use crate::page::PageSource;
use crate::page::modules::{self, CompileError, ModuleSource as _};
use crate::page::source::Position;
use crate::run_log::printable;
use crate::script::outcome::Failure;
use crate::script::{Sandbox, SandboxConfig};
use crate::site::public::PublicFiles;
use crate::site::table::url_path;
use crate::site::{BrandFolder, brand_ids, limit_layers};
use crate::template::Template;

#[derive(clap::Args)]
pub struct Args {
    /// The site's folder
    #[arg(default_value = ".")]
    site_dir: PathBuf,
    /// Where the components go, one folder for each brand
    #[arg(long, value_name = "DIR", default_value = "target/scripts")]
    out: PathBuf,
}

pub async fn run(args: Args, output: &Output) -> anyhow::Result<ExitCode> {
    let site = config::read_site(&args.site_dir, std::env::vars())?;
    let memory_bytes_max = site.limits.max.memory_bytes();
    let progress = output.progress(Lines::Plain);
    progress.shared().begin("compiling the engine", 0);
    let sandbox = Sandbox::new(&SandboxConfig {
        concurrent_runs_max: 1,
        memory_bytes_max,
        ..SandboxConfig::default()
    })?;
    // From here on each page has its line.
    drop(progress);
    let policy = LimitPolicy::new(&site);
    let mut failures = 0;
    for brand in brand_ids(&args.site_dir)? {
        let dir = args.site_dir.join("brands").join(&brand);
        let folder = BrandFolder::new(&dir)?;
        let config = config::read_brand(&dir)?;
        let limits = |path: &str| policy.effective(limit_layers(&brand, &config, path));
        for page in &folder.pages {
            let out = args.out.join(&brand).join("pages").join(page).with_extension("wasm");
            let limits = limits(&url_path(page));
            let builder = Builder { sandbox: &sandbox, folder: &folder, limits, is_quiet: output.quiet };
            failures += build_page(&builder, &format!("pages/{page}"), &out).await?;
        }
        let (_, public) = PublicFiles::load(&dir, &config.public);
        let public = public.iter().map(ToString::to_string);
        for problem in folder.include_problems().into_iter().chain(public) {
            failures += complain(&problem, None);
        }
        for code in folder.module_codes() {
            // A module is compiled as the pages that import it are.
            let limits = limits("");
            let builder = Builder { sandbox: &sandbox, folder: &folder, limits, is_quiet: output.quiet };
            failures += check_module(&builder, &code).await?;
        }
    }
    if failures > 0 {
        eprintln!("{failures} {} found", if failures == 1 { "mistake was" } else { "mistakes were" });
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// What compiles a file, and under which limits.
struct Builder<'a> {
    sandbox: &'a Sandbox,
    folder: &'a BrandFolder,
    limits: Limits,
    /// Only mistakes are printed.
    is_quiet: bool,
}

/// Builds one page and prints its line. Gives the number of mistakes.
async fn build_page(builder: &Builder<'_>, file: &str, out: &Path) -> anyhow::Result<u32> {
    let started = Instant::now();
    let Builder { sandbox, folder, limits, is_quiet } = builder;
    let mut failures = 0;
    let parts = match folder.source(file).map(PageSource::new) {
        Ok(Ok(parts)) => parts,
        Ok(Err(failure)) => return Ok(complain_of(&failure, folder)),
        Err(reason) => return Ok(complain(&reason, None)),
    };
    if let Err(error) = Template::compile(file, &parts.html, *folder) {
        failures += complain(&error.to_string(), Some(&error.excerpt()));
    }
    match parts.build(sandbox, *folder, limits).await {
        Ok(Some(built)) => {
            let script = sandbox.load(&built.component)?;
            write(out, &built.component)?;
            if !is_quiet {
                println!(
                    "{file:<40} {:>7} bytes ({} of bytecode, {} of machine code) in {:.1} ms",
                    built.component.len(),
                    built.bytecode_bytes,
                    script.machine_code_bytes,
                    started.elapsed().as_secs_f64() * 1e3,
                );
            }
        }
        Ok(None) if *is_quiet => {}
        Ok(None) => println!("{file:<40} no backend script"),
        Err(CompileError::Author(failure)) => failures += complain_of(&failure, folder),
        Err(CompileError::Host(error)) => return Err(error.into()),
    }
    Ok(failures)
}

/// Prints a mistake and the line it is in. Gives 1, for counting.
fn complain(message: &str, excerpt: Option<&str>) -> u32 {
    eprintln!("{}", printable(message));
    for line in excerpt.into_iter().flat_map(str::lines) {
        eprintln!("    {}", printable(line));
    }
    1
}

fn complain_of(failure: &Failure, folder: &BrandFolder) -> u32 {
    let source = folder.source(&failure.file).ok();
    let place = Position { line: failure.line, column: failure.column };
    let line = source.as_ref().and_then(|source| source.line(place));
    let shown = line.map(|line| excerpt(line, failure.column as usize));
    complain(&failure.to_string(), shown.as_deref())
}

/// Compiles a module by itself, so that one that no page imports is checked.
async fn check_module(builder: &Builder<'_>, code: &str) -> anyhow::Result<u32> {
    let Builder { sandbox, folder, limits, .. } = builder;
    let Some(source) = folder.module(code) else { return Ok(0) };
    let file = source.and_then(modules::script_file).map_err(anyhow::Error::msg)?;
    if file.source.file.starts_with("pages/") {
        return Ok(0);
    }
    match modules::compile(sandbox, file, *folder, limits).await {
        Ok(_) => Ok(0),
        Err(CompileError::Author(failure)) => Ok(complain_of(&failure, folder)),
        Err(CompileError::Host(error)) => Err(error.into()),
    }
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let name = || path.display().to_string();
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(name)?;
    }
    std::fs::write(path, bytes).with_context(name)
}
