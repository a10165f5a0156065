//! CRM data over HTTP and on the command line.

mod commands;
pub mod jobs;
pub mod kill;
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

/// What a command that succeeds prints.
fn printed(data: &Path, args: &[&str]) -> String {
    let done = sluice(data, args);
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// What a command that fails complains of.
fn complaint(data: &Path, args: &[&str]) -> String {
    let done = sluice(data, args);
    assert_eq!(done.status.code(), Some(1), "{args:?}: {}", String::from_utf8_lossy(&done.stdout));
    String::from_utf8(done.stderr).unwrap()
}

/// The JSON that a page answers.
fn json(server: &Server, path: &str) -> Value {
    let answer = server.get("localhost", path);
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{path}: {error}: {answer:?}"))
}
