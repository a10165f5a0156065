//! The command line: global flags, and one file for each command.

mod backup;
mod build;
mod change_log;
mod check;
mod completions;
mod crm;
mod crm_entries;
mod database;
mod dev;
mod export;
mod hook;
mod import;
mod jobs;
mod limits;
mod logs;
mod man;
mod new;
mod output;
mod push;
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
use sluice_text::printable::printable_lines;

use output::Output;

#[derive(Parser)]
#[command(
    name = "sluice",
    version,
    about = "A web host that runs page scripts in WebAssembly sandboxes",
    after_help = "To start, run `sluice new my-site` and then `sluice dev my-site`.\n\n\
                  Environment variables: SLUICE_LOG sets the log level, for example SLUICE_LOG=debug. \
                  NO_COLOR=1 turns colours off."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print only results and mistakes, without progress and information
    #[arg(long, short, global = true)]
    quiet: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Serve a site
    ///
    /// SIGHUP reloads the site. SIGINT stops the server after the running requests have finished.
    /// SIGTERM does the same, but first serves further requests for the time of server.drain; a
    /// second signal ends this time.
    Serve(serve::Args),
    /// Compile every page of a site to a WebAssembly component
    ///
    /// Reports the same errors as `sluice check`, and prints the size of each component. `sluice
    /// serve` does not need the components, because it compiles pages itself.
    Build(build::Args),
    /// Find mistakes in a site without running it
    Check(check::Args),
    /// Create a site to start from
    ///
    /// The site is complete: it has a look, pages, data, tests, and a README with a guide of five minutes.
    /// Existing files are never overwritten.
    New(new::Args),
    /// Serve a site for development: browsers reload, pages show their mistakes
    ///
    /// Watches the site's folder, compiles the pages that changed, and reloads open browsers.
    /// Pages show their mistakes with file, line, column and the lines around. The terminal shows a
    /// line for each run: status, method, path, outcome, fuel and time. The lines that the script
    /// logged follow. Use `sluice serve` for visitors.
    Dev(dev::Args),
    /// Print a completion script for your shell
    Completions(completions::Args),
    /// Write manual pages for all commands
    Man(man::Args),
    /// Make one request to a page, on an empty database, and show the result
    Run(Box<run::Args>),
    /// Run a site's own tests, the files *.test.js
    Test(test::Args),
    /// Write the files that editors need to complete and check a site's scripts
    Types(types::Args),
    /// Apply, show and export the CRM entities that crm.toml declares
    Crm(crm::Args),
    /// List, retry and drop jobs of scripts and background writes, and run schedules at once
    Jobs(jobs::Args),
    /// Run a function of a brand's module with a payload, as a job
    Hook(hook::Args),
    /// Copy the embedded database while it is in use
    Backup(backup::Args),
    /// Export all data of a site as lines of JSON
    Export(export::Args),
    /// Import the data that `sluice export` wrote into an empty database
    Import(import::Args),
    /// Show the limits of pages, and suggest better ones
    Limits(limits::Args),
    /// Print the log of runs: what they logged and how they failed
    Logs(logs::Args),
}

/// Parses an address to listen on. A port without an address is on 127.0.0.1.
fn address(text: &str) -> anyhow::Result<SocketAddr> {
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    if matches!(host, "" | "localhost")
        && let Ok(port) = port.parse()
    {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    text.parse()
        .map_err(|_| anyhow::anyhow!("write an address and a port, such as 127.0.0.1:8080, or a port alone"))
}

/// Parses the command line and runs the command. The exit code is 0 for success, 1 for a failure
/// and 2 for an invalid command line.
pub(crate) fn main() -> ExitCode {
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
        // These commands print to the author what they would otherwise log.
        Command::Run(_) | Command::Test(_) | Command::Check(_) => "off",
        _ if cli.quiet => "warn",
        _ => logging::DEFAULT_FILTER,
    };
    let format = match &cli.command {
        // Developers read it, even through a pipe.
        Command::Dev(_) => logging::Format::Text,
        _ => logging::Format::of_stderr(),
    };
    logging::start(telemetry.as_deref(), filter, format);
    let output = Output { quiet: cli.quiet };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("sluice: threads cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(async {
        match cli.command {
            Command::Serve(args) => {
                let telemetry = telemetry.as_ref().context("telemetry was not started")?;
                serve::run(args, Arc::clone(telemetry), &output).await.map(|()| ExitCode::SUCCESS)
            }
            Command::Build(args) => build::run(args, &output).await,
            Command::Check(args) => check::run(args, &output).await,
            Command::New(args) => new::run(args, &output).map(|()| ExitCode::SUCCESS),
            Command::Dev(args) => {
                let telemetry = telemetry.as_ref().context("telemetry was not started")?;
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
            Command::Hook(args) => hook::run(args).await.map(|()| ExitCode::SUCCESS),
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
        // The names of files can be somebody else's.
        eprintln!("sluice: {}", printable_lines(&format!("{error:#}")));
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_without_address_is_on_localhost() {
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
            assert!(address(text).unwrap_err().to_string().contains("127.0.0.1:8080"), "{text}");
        }
    }
}
