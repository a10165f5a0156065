//! The command line: flags, settings, and one file for each command.

#![allow(
    clippy::print_stdout,
    reason = "what a command prints is its result; the log goes to standard error"
)]

mod backup;
mod build;
mod crm;
mod database;
mod export;
mod import;
mod jobs;
pub mod limits;
mod logs;
mod run;
mod serve;
mod test;
mod types;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::telemetry::{Telemetry, logging};

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
    /// Make one request to a page, on an empty database, and show what came of it
    Run(Box<run::Args>),
    /// Run the tests beside the pages of a site
    Test(test::Args),
    /// Write what editors need to complete and check the scripts of a site
    Types(types::Args),
    /// Apply, show and export what brands declare in crm.toml
    Crm(crm::Args),
    /// List, retry and drop background writes
    Jobs(jobs::Args),
    /// Copy the embedded database while it is in use
    Backup(backup::Args),
    /// Write all of a site's data as lines of JSON
    Export(export::Args),
    /// Fill an empty database with what `export` wrote
    Import(import::Args),
    /// Show the limits of pages
    Limits(limits::Args),
    /// Print what runs logged and how they failed
    Logs(logs::Args),
}

/// Parses the command line and runs it. The exit code is 0, 1 for a failure and
/// 2 for a command line that is not valid.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let telemetry = match &cli.command {
        Command::Serve(_) => match Telemetry::start(|name| std::env::var(name).ok()) {
            Ok(telemetry) => Some(telemetry),
            Err(error) => {
                eprintln!("sluice: {error}");
                return ExitCode::FAILURE;
            }
        },
        _ => None,
    };
    // These show the author what the log would say, in their own way.
    let is_quiet = matches!(cli.command, Command::Run(_) | Command::Test(_));
    logging::start(telemetry.as_deref(), if is_quiet { "off" } else { logging::DEFAULT_FILTER });
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("sluice: no threads can be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(async {
        match cli.command {
            Command::Serve(args) => {
                let telemetry = telemetry.as_ref().context("serve begins with telemetry")?;
                serve::run(args, Arc::clone(telemetry)).await.map(|()| ExitCode::SUCCESS)
            }
            Command::Build(args) => build::run(args).await,
            Command::Types(args) => types::run(&args).map(|()| ExitCode::SUCCESS),
            Command::Test(args) => test::run(args).await,
            Command::Run(args) => Ok(run::run(*args).await),
            Command::Logs(args) => logs::run(args).await.map(|()| ExitCode::SUCCESS),
            Command::Crm(args) => crm::run(args).await.map(|()| ExitCode::SUCCESS),
            Command::Jobs(args) => jobs::run(args).await.map(|()| ExitCode::SUCCESS),
            Command::Backup(args) => backup::run(args).await.map(|()| ExitCode::SUCCESS),
            Command::Export(args) => export::run(args).await.map(|()| ExitCode::SUCCESS),
            Command::Import(args) => import::run(args).await.map(|()| ExitCode::SUCCESS),
            Command::Limits(args) => limits::run(args).map(|()| ExitCode::SUCCESS),
        }
    });
    if let Some(telemetry) = telemetry {
        telemetry.shut_down();
    }
    done.unwrap_or_else(|error| {
        eprintln!("sluice: {error:#}");
        ExitCode::FAILURE
    })
}
