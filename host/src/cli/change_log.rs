//! The lines that commands leave in the log of changes, beside those of the admin listener.

use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use sluice_kit::clock::now_ms;
use sluice_store::Store;
use sluice_store::changes::{Class, OperatorChange};

/// Who did it. No operator can have this name, because it has a space.
const OPERATOR: &str = "command line";
/// What was done counts even if the line about it cannot be stored in this time.
const DATABASE_WAIT: Duration = Duration::from_secs(5);

/// What a command has done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change<'a> {
    /// As the admin listener names it: `job.retry`.
    pub(crate) action: &'static str,
    /// Empty if it is not known.
    pub(crate) brand: &'a str,
    pub(crate) target: &'a str,
    pub(crate) item: &'a str,
    /// Why it was given up, if it was.
    pub(crate) fault: Option<&'a str>,
}

/// Stores the line. If that fails, the command says so and succeeds nevertheless.
pub(crate) async fn keep(store: &dyn Store, change: Change<'_>) {
    let class = Class::Change;
    let line = OperatorChange {
        at_ms: now_ms(),
        class,
        operator: OPERATOR.to_owned(),
        client: user(),
        brand: change.brand.to_owned(),
        action: change.action.to_owned(),
        target: change.target.to_owned(),
        item: change.item.to_owned(),
        outcome: if change.fault.is_some() { "failed" } else { "done" }.to_owned(),
        said: change.fault.unwrap_or_default().to_owned(),
        ..OperatorChange::default()
    };
    let stored = tokio::time::timeout(DATABASE_WAIT, store.add_change(line, class.rows_max())).await;
    let problem = match stored {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the database does not answer in time".to_owned(),
    };
    tracing::warn!(problem, "the log of changes has no line about this command");
}

/// `ann on web-1`: the name of the user, as the shell says it, or else the user's number, and the machine.
fn user() -> String {
    let name = |variable: &str| std::env::var(variable).ok().filter(|name| !name.is_empty());
    let number =
        || std::fs::metadata("/proc/self").map(|file| format!("user {}", file.uid())).unwrap_or_default();
    let user = name("SUDO_USER").or_else(|| name("USER")).or_else(|| name("LOGNAME")).unwrap_or_else(number);
    match std::fs::read_to_string("/proc/sys/kernel/hostname") {
        Ok(machine) => format!("{user} on {}", machine.trim()),
        Err(_) => user,
    }
}
