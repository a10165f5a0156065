//! Hosts on PostgreSQL, and moving data to it.

mod alike;
mod hang;
mod hosts;
mod outage;
mod start;
mod tls;
mod transfer;

use std::path::Path;
use std::process::{Command, Output};

use sluice_test_support::postgres::Database;

use crate::harness::{Server, ServerOptions};

fn host(site: &Path, url: &str) -> Server {
    ServerOptions::of(site).postgres(url).start()
}

/// Runs `sluice` with these environment variables.
fn sluice(args: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.args(args).env("SLUICE_LOG", "off").env_remove("APP_KEY");
    command.envs(environment.iter().copied()).output().unwrap()
}

#[test]
fn templates_use_the_session_and_the_crm_as_on_sqlite() {
    let database = Database::create();
    crate::cases::hold_on(&["template_session", "template_crm"], |site| host(site, &database.url()));
}

#[test]
fn killed_host_loses_no_write_and_applies_none_twice() {
    let database = Database::create();
    crate::crm::kill::survives_kills(|site| host(site, &database.url()));
}
