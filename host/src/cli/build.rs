//! `sluice build`: compiles every page to a WebAssembly component.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;

use sluice_check::Site;
use sluice_kit::folder::{Folder, OpenError, ReplaceError};
use sluice_kit::operator_dir::{OperatorDir, OperatorDirError};
use sluice_limits::Limits;
use sluice_page::PageSource;
use sluice_page::diagnostic::{self, Diagnostic, Kind};
use sluice_page::modules::CompileError;
use sluice_sandbox::Sandbox;
use sluice_site::table::url_path;
use sluice_site::{BrandFolder, brand_dir, brand_ids, config, limit_layers};
use sluice_text::printable::printable;

use super::output::{Lines, Output, outln};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The site's folder
    #[arg(default_value = ".")]
    site_dir: PathBuf,
    /// The folder for the components; each brand gets a folder in it
    #[arg(long, value_name = "DIR", default_value = "target/scripts")]
    out: PathBuf,
}

pub(crate) async fn run(args: Args, output: &Output) -> anyhow::Result<ExitCode> {
    let site = Site::read(&args.site_dir, std::env::vars());
    let progress = output.progress(Lines::Plain);
    progress.shared().begin("preparing the engine", 0);
    let sandbox = site.sandbox()?;
    // From here on, each page prints a line.
    drop(progress);
    let mut found = site.check(&sandbox, None).await?;
    found.retain(Diagnostic::is_error);
    let found = Diagnostic::all_below(found, &args.site_dir);
    if found.iter().all(|one| one.rule.kind() != Kind::Settings) {
        build_brands(&args, &site, &sandbox, output).await?;
    }
    for one in &found {
        eprintln!("{}\n", diagnostic::human(one));
    }
    match diagnostic::summary(&found) {
        Some(summary) => {
            eprintln!("{summary} found");
            Ok(ExitCode::FAILURE)
        }
        None => Ok(ExitCode::SUCCESS),
    }
}

/// Builds every page that compiles.
async fn build_brands(args: &Args, site: &Site, sandbox: &Sandbox, output: &Output) -> anyhow::Result<()> {
    let policy = site.config.limit_policy();
    let to = out_folder(&args.site_dir, &args.out).with_context(|| args.out.display().to_string())?;
    for brand in brand_ids(&args.site_dir)? {
        let dir = brand_dir(&args.site_dir, &brand);
        let folder = BrandFolder::new(&dir)?;
        let config = config::read_brand(&dir)?;
        for page in &folder.pages {
            let out = Path::new(&brand).join("pages").join(page).with_extension("wasm");
            let limits = policy.effective(limit_layers(&brand, &config, &url_path(page)));
            let builder = Builder { sandbox, folder: &folder, limits, to: &to, is_quiet: output.quiet };
            build_page(&builder, &format!("pages/{page}"), &out).await?;
        }
    }
    Ok(())
}

/// Compiles a page under its limits.
struct Builder<'a> {
    sandbox: &'a Sandbox,
    folder: &'a BrandFolder,
    limits: Limits,
    /// The folder for the components.
    to: &'a Folder,
    /// Print mistakes only.
    is_quiet: bool,
}

/// Builds one page and prints a line about it. The mistakes of pages come from the check, so a
/// page that does not compile is skipped here.
async fn build_page(builder: &Builder<'_>, file: &str, out: &Path) -> anyhow::Result<()> {
    let started = Instant::now();
    let Builder { sandbox, folder, limits, to, is_quiet } = builder;
    let Ok(Ok(parts)) = folder.source(file).map(PageSource::new) else { return Ok(()) };
    match parts.build(sandbox, *folder, limits, "").await {
        Ok(Some(built)) => {
            let script = sandbox.load(&built.component)?;
            write(to, out, &built.component)
                .with_context(|| printable(&to.path().join(out).display().to_string()))?;
            if !is_quiet {
                let compiled = built.compiled.map(|compiled| {
                    format!(", {} of {} functions compiled", compiled.functions, compiled.of_functions)
                });
                outln!(
                    "{file:<40} {:>7} bytes ({} of bytecode, {} of machine code{}) in {:.1} ms",
                    built.component.len(),
                    built.bytecode_bytes,
                    script.machine_code_bytes,
                    compiled.unwrap_or_default(),
                    started.elapsed().as_secs_f64() * 1e3,
                );
            }
        }
        Ok(None) if *is_quiet => {}
        Ok(None) => outln!("{file:<40} no backend script"),
        Err(CompileError::Author(_)) => {}
        Err(CompileError::Host(error)) => return Err(error.into()),
    }
    Ok(())
}

/// Opens or creates the folder `out` for the site's components. Nothing in the site decides where that
/// is: if `out` is in the site's folder, no link in the site is followed.
fn out_folder(site_dir: &Path, out: &Path) -> anyhow::Result<Folder> {
    match OperatorDir::outside(site_dir, out) {
        Ok(dir) => Ok(Folder::create(dir.path())?),
        Err(OperatorDirError::InSite { path, site }) => {
            let absolute = std::path::absolute(out)?;
            let given = std::path::absolute(site_dir)?;
            let below = absolute.strip_prefix(given).or_else(|_| absolute.strip_prefix(&site));
            let Ok(below) = below else { return Err(OperatorDirError::InSite { path, site }.into()) };
            let site = Folder::open(site_dir)?;
            Ok(if below.as_os_str().is_empty() { site } else { site.make(below)? })
        }
        Err(error) => Err(error.into()),
    }
}

/// Writes a component. Replaces only components that Sluice built.
fn write(to: &Folder, file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if let Some(folder) = file.parent() {
        to.make(folder)?;
    }
    to.write_ours(file, bytes, &sluice_sandbox::component::is_page).map_err(|error| match error {
        ReplaceError::NotOurs => {
            anyhow::anyhow!(
                "this file is no component that Sluice built; move it away or choose another --out"
            )
        }
        ReplaceError::Failed(OpenError::Link) => anyhow::anyhow!("{}; remove it", OpenError::Link),
        other => other.into(),
    })
}
