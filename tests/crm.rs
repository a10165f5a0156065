//! CRM data: over HTTP and on the command line.

mod commands;
mod database;
mod entries;
pub(crate) mod jobs;
pub(crate) mod kill;
mod parallel;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::harness::Server;

/// Runs `sluice` on the embedded database in `data`.
fn sluice(data: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(args)
        .arg("--data")
        .arg(data)
        .env("SLUICE_LOG", "off")
        .output()
        .unwrap()
}

/// The output of a command that succeeds.
pub(crate) fn printed(data: &Path, args: &[&str]) -> String {
    let done = sluice(data, args);
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// The error message of a command that fails.
fn complaint(data: &Path, args: &[&str]) -> String {
    let done = sluice(data, args);
    assert_eq!(done.status.code(), Some(1), "{args:?}: {}", String::from_utf8_lossy(&done.stdout));
    String::from_utf8(done.stderr).unwrap()
}

/// The JSON response of a page.
fn json(server: &Server, path: &str) -> Value {
    let answer = server.get("localhost", path);
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{path}: {error}: {answer:?}"))
}
