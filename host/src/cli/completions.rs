//! `sluice completions`: prints a completion script for a shell.

use std::io::Write as _;

use clap::CommandFactory as _;
use clap_complete::Shell;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  sluice completions bash > ~/.local/share/bash-completion/completions/sluice
  sluice completions zsh > ~/.zfunc/_sluice        # with ~/.zfunc in fpath
  sluice completions fish > ~/.config/fish/completions/sluice.fish")]
pub(crate) struct Args {
    /// The shell to complete commands in
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "sluice", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(())
}
