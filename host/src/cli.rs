//! The command line: flags, settings, and one file for each command.

#![allow(
    clippy::print_stdout,
    reason = "what a command prints is its result; the log goes to standard error"
)]

mod backup;
mod build;
mod check;
mod completions;
mod crm;
mod database;
mod dev;
mod export;
mod import;
mod jobs;
pub mod limits;
mod logs;
mod macros;
mod man;
mod new;
mod output;
mod run;
mod serve;
mod test;
mod types;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use sluice_telemetry::{Telemetry, logging};

use output::Output;

#[derive(Parser)]
#[command(
    name = "sluice",
    version,
    about = "A web host that runs page scripts in WebAssembly sandboxes",
    after_help = "`sluice new my-site`, then `sluice dev my-site`, is where to begin. SLUICE_LOG filters the log \
                  (SLUICE_LOG=debug); NO_COLOR turns colours off."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print results and mistakes only: no progress, nothing for information
    #[arg(long, short, global = true)]
    quiet: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Serve a site
    ///
    /// SIGHUP makes it read the site anew; SIGTERM and SIGINT let it finish what runs and stop.
    Serve(serve::Args),
    /// Compile every page of a site into a WebAssembly component
    Build(build::Args),
    /// Find mistakes in a site without running it
    Check(check::Args),
    /// Make a small site that runs, to start from
    ///
    /// It has a page that counts visits, a page with a form that is stored, a layout, a module and
    /// a README that says what is where. Nothing that exists is overwritten.
    New(new::Args),
    /// Serve a site while it is worked on: browsers reload, mistakes show in the page
    ///
    /// Watches the site's folder, compiles what changed and loads open pages again. Mistakes are
    /// shown in the page with file, line, column and the lines around. Each run is a line here:
    /// status, method, path, how it ended, its fuel and time, then what it logged. For work only;
    /// visitors are served by `sluice serve`.
    Dev(dev::Args),
    /// Print what a shell needs to complete this program's commands
    Completions(completions::Args),
    /// Write manual pages of all commands
    Man(man::Args),
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

/// An address to listen on. A port alone is one of this machine's.
fn address(text: &str) -> Result<SocketAddr, String> {
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    if matches!(host, "" | "localhost")
        && let Ok(port) = port.parse()
    {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    text.parse()
        .map_err(|_| "write an address and a port, such as 127.0.0.1:8080, or a port alone".to_owned())
}

/// Parses the command line and runs it. The exit code is 0, 1 for a failure and
/// 2 for a command line that is not valid.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let telemetry = match &cli.command {
        Command::Serve(_) | Command::Dev(_) => match Telemetry::start(|name| std::env::var(name).ok()) {
            Ok(telemetry) => Some(telemetry),
            Err(error) => {
                eprintln!("sluice: {error}");
                return ExitCode::FAILURE;
            }
        },
        _ => None,
    };
    let filter = match &cli.command {
        Command::Dev(_) => logging::QUIET_FILTER,
        // These show the author what the log would say, in their own way.
        Command::Run(_) | Command::Test(_) | Command::Check(_) => "off",
        _ if cli.quiet => "warn",
        _ => logging::DEFAULT_FILTER,
    };
    let format = match &cli.command {
        // People read it, whatever it is piped through.
        Command::Dev(_) => logging::Format::Text,
        _ => logging::Format::of_stderr(),
    };
    logging::start(telemetry.as_deref(), filter, format);
    let output = Output { quiet: cli.quiet };
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
                serve::run(args, Arc::clone(telemetry), &output).await.map(|()| ExitCode::SUCCESS)
            }
            Command::Build(args) => build::run(args, &output).await,
            Command::Check(args) => check::run(args, &output).await,
            Command::New(args) => new::run(&args, &output).map(|()| ExitCode::SUCCESS),
            Command::Dev(args) => {
                let telemetry = telemetry.as_ref().context("dev begins with telemetry")?;
                dev::run(args, Arc::clone(telemetry), &output).await.map(|()| ExitCode::SUCCESS)
            }
            Command::Completions(args) => completions::run(&args).map(|()| ExitCode::SUCCESS),
            Command::Man(args) => man::run(&args).map(|()| ExitCode::SUCCESS),
            Command::Types(args) => types::run(&args).map(|()| ExitCode::SUCCESS),
            Command::Test(args) => test::run(args, &output).await,
            Command::Run(args) => Ok(run::run(*args, &output).await),
            Command::Logs(args) => logs::run(args).await.map(|()| ExitCode::SUCCESS),
            Command::Crm(args) => crm::run(args).await.map(|()| ExitCode::SUCCESS),
            Command::Jobs(args) => jobs::run(args).await.map(|()| ExitCode::SUCCESS),
            Command::Backup(args) => backup::run(args, &output).await.map(|()| ExitCode::SUCCESS),
            Command::Export(args) => export::run(args, &output).await.map(|()| ExitCode::SUCCESS),
            Command::Import(args) => import::run(args, &output).await.map(|()| ExitCode::SUCCESS),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_this_machine_s() {
        for (text, expected) in [
            ("8080", "127.0.0.1:8080"),
            (":0", "127.0.0.1:0"),
            ("localhost:81", "127.0.0.1:81"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("[::1]:80", "[::1]:80"),
        ] {
            assert_eq!(address(text).unwrap(), expected.parse().unwrap(), "{text}");
        }
        for text in ["", "80800", "example.com:80", "localhost"] {
            assert!(address(text).unwrap_err().contains("127.0.0.1:8080"), "{text}");
        }
    }
}
