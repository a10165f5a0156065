//! The clocks of hosts, which libfaketime sets. It reads the offset from a file at each look at the clock.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::ServerOptions;

/// The library. Debian has a folder for each architecture.
pub(super) fn library() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten();
    let mut files = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    files.find(|file| file.is_file())
}

/// Starts a host with the clock of `file`.
pub(super) fn with_clock(options: ServerOptions, file: &Path) -> ServerOptions {
    if !file.exists() {
        set(file, 0);
    }
    options
        .env("LD_PRELOAD", library().unwrap().to_str().unwrap())
        .env("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap())
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
}

/// Sets a clock so many seconds forward or back from the real time.
pub(super) fn set(file: &Path, seconds: i64) {
    let draft = file.with_extension("draft");
    fs::write(&draft, format!("{seconds:+}")).unwrap();
    fs::rename(draft, file).unwrap();
}
