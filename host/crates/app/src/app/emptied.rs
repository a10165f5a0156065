//! Notices an embedded database that has lost its contents.

use std::path::Path;
use std::time::Duration;

use sluice_kit::keys::KEY_FILE;
use sluice_kit::operator_dir::OperatorDir;

use super::StartError;

/// How often, and with which pauses, a start looks whether an empty database gets contents.
const EMPTY_CHECKS: u32 = 20;
const EMPTY_WAIT: Duration = Duration::from_millis(100);

/// Fails if the database file is empty although there is a key, which is made before the database.
/// A new database is empty for a moment, so another process may just be starting.
pub(super) async fn refuse_emptied(path: &Path, data: &OperatorDir) -> Result<(), StartError> {
    let is_emptied = || {
        let has_key = data.path().join(KEY_FILE).exists();
        has_key && std::fs::metadata(path).is_ok_and(|file| file.len() == 0)
    };
    for _ in 0..EMPTY_CHECKS {
        if !is_emptied() {
            return Ok(());
        }
        tokio::time::sleep(EMPTY_WAIT).await;
    }
    Err(StartError::Emptied(path.to_owned()))
}
