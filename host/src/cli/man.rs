//! `sluice man`.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_mangen::Man;

use crate::cli::macros::outln;

#[derive(clap::Args)]
pub struct Args {
    /// Folder for one page a command (sluice.1, sluice-serve.1, …); without one, the page of
    /// sluice itself is printed
    dir: Option<PathBuf>,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    // `help` is in every page already.
    let command = super::Cli::command().disable_help_subcommand(true);
    match &args.dir {
        None => {
            let mut page = Vec::new();
            Man::new(command).render(&mut page)?;
            std::io::stdout().write_all(&page)?;
        }
        Some(dir) => {
            std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
            clap_mangen::generate_to(command, dir).with_context(|| dir.display().to_string())?;
            outln!("manual pages are in {}", dir.display());
        }
    }
    Ok(())
}
