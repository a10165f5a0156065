//! `sluice man`: writes manual pages.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_mangen::Man;

use super::output::outln;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The folder for the pages sluice.1, sluice-serve.1 and so on; without it, sluice.1 is printed
    dir: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    // The command `help` needs no page: every page has the help of its command.
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
            outln!("the manual pages are in {}", dir.display());
        }
    }
    Ok(())
}
