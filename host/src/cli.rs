//! The command line: flags, settings, and one file for each command.

#![allow(
    clippy::print_stdout,
    reason = "what a command prints is its result; the log goes to standard error"
)]

mod build;
mod crm;
mod database;
mod jobs;
mod serve;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

#[derive(Parser)]
#[command(name = "sluice", version, about = "A web host that runs page scripts in WebAssembly sandboxes")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve a site
    Serve(serve::Args),
    /// Compile every page of a site into a WebAssembly component
    Build(build::Args),
    /// Apply, show and export what brands declare in crm.toml
    Crm(crm::Args),
    /// List, retry and drop background writes
    Jobs(jobs::Args),
}

/// Parses the command line and runs it. The exit code is 0, 1 for a failure and
/// 2 for a command line that is not valid.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    start_logging();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("sluice: no threads can be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(async {
        match cli.command {
            Command::Serve(args) => serve::run(args).await.map(|()| ExitCode::SUCCESS),
            Command::Build(args) => build::run(args).await,
            Command::Crm(args) => crm::run(args).await.map(|()| ExitCode::SUCCESS),
            Command::Jobs(args) => jobs::run(args).await.map(|()| ExitCode::SUCCESS),
        }
    });
    done.unwrap_or_else(|error| {
        eprintln!("sluice: {error:#}");
        ExitCode::FAILURE
    })
}

/// Human text in a terminal, JSON elsewhere; both on standard error.
fn start_logging() {
    let filter =
        EnvFilter::try_from_env("SLUICE_LOG").unwrap_or_else(|_| EnvFilter::new("info,actix_server=warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        log.with_target(false).init();
    } else {
        log.json().init();
    }
}
