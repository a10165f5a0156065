//! A copy of the database file while it is in use.

use std::fs::{self, File};
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use sluice_kit::StoreError;

use crate::error::SqlError;

/// Writes the database at `database`, as it is at one moment, to `copy`, which must not be
/// there. Writers are not held up. What cannot be finished leaves nothing.
///
/// # Errors
/// The database cannot be read, or the copy not be written.
pub fn backup(database: &Path, copy: &Path) -> Result<(), StoreError> {
    let failed = |error: std::io::Error| StoreError::Failed(format!("{}: {error}", copy.display()));
    if copy.exists() {
        return Err(StoreError::Failed(format!("{} is there already", copy.display())));
    }
    let name = copy.file_name().ok_or_else(|| StoreError::Failed("the copy has no file name".to_owned()))?;
    let mut draft = name.to_owned();
    draft.push(".part");
    let draft = copy.with_file_name(draft);
    // SQLite would make it readable for others; an empty file it takes as it is.
    make_private(&draft).map_err(failed)?;
    let written = write(database, &draft).map_err(StoreError::from).and_then(|()| {
        let written = File::open(&draft).and_then(|file| file.sync_all());
        written.and_then(|()| fs::rename(&draft, copy)).map_err(failed)
    });
    if written.is_err() {
        // What is in it is of no use; the first error is the one to tell.
        let _ = fs::remove_file(&draft);
    }
    written
}

fn make_private(path: &Path) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new();
    file.create(true).write(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    file.open(path).map(drop)
}

fn write(database: &Path, draft: &Path) -> Result<(), SqlError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(database, flags)?;
    conn.busy_timeout(std::time::Duration::from_secs(10))?;
    let draft =
        draft.to_str().ok_or_else(|| StoreError::Failed("the copy's name is not UTF-8".to_owned()))?;
    conn.execute("VACUUM INTO ?1", [draft])?;
    Ok(())
}
