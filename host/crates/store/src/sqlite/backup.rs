//! A copy of the database file while it is in use.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use sluice_kit::StoreError;

use crate::error::SqlError;

/// Why no copy was made.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file of this name exists, and a backup never overwrites one.
    #[error("{} already exists", .0.display())]
    Exists(PathBuf),
    /// The path ends with `..` or is a root, so it cannot name the copy.
    #[error("{} does not name a file", .0.display())]
    NoFileName(PathBuf),
    /// SQLite takes names in UTF-8 only.
    #[error("{} is not valid UTF-8", .0.display())]
    NotUtf8(PathBuf),
    /// The copy cannot be created, flushed to disk or renamed.
    #[error("{}: {error}", .path.display())]
    File {
        /// The copy.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The database cannot be read, or SQLite cannot write the copy.
    #[error(transparent)]
    Database(#[from] StoreError),
}

impl From<rusqlite::Error> for BackupError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(SqlError::from(error).into())
    }
}

/// Copies the database at `database` to the new file `copy`. The copy shows the database at
/// one moment. Writers are not blocked. If the backup fails, no file is left behind.
///
/// # Errors
/// `copy` exists or cannot be written, or the database cannot be read.
pub fn backup(database: &Path, copy: &Path) -> Result<(), BackupError> {
    let failed = |error: io::Error| BackupError::File { path: copy.to_owned(), error };
    if copy.exists() {
        return Err(BackupError::Exists(copy.to_owned()));
    }
    let name = copy.file_name().ok_or_else(|| BackupError::NoFileName(copy.to_owned()))?;
    let mut draft = name.to_owned();
    draft.push(".part");
    let draft = copy.with_file_name(draft);
    // SQLite would create a file that others can read, but it accepts an empty file as it is.
    make_private(&draft).map_err(failed)?;
    let written = write(database, &draft).and_then(|()| {
        let written = File::open(&draft).and_then(|file| file.sync_all());
        written.and_then(|()| fs::rename(&draft, copy)).map_err(failed)
    });
    if written.is_err() {
        // The incomplete file is useless. The first error is the one to report.
        let _ = fs::remove_file(&draft);
    }
    written
}

fn make_private(path: &Path) -> io::Result<()> {
    let mut file = fs::OpenOptions::new();
    file.create(true).write(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    file.open(path).map(drop)
}

fn write(database: &Path, draft: &Path) -> Result<(), BackupError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(database, flags)?;
    conn.busy_timeout(Duration::from_secs(10))?;
    let draft = draft.to_str().ok_or_else(|| BackupError::NotUtf8(draft.to_owned()))?;
    conn.execute("VACUUM INTO ?1", [draft])?;
    Ok(())
}
