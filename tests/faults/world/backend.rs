//! The databases of the hosts.

use std::fs;
use std::io::Write as _;
use std::process::Command;

use sluice_test_support::postgres::{Database, OwnBouncer, OwnServer, ReplicatedPair};
use tempfile::TempDir;

use crate::faults::proxy::Proxy;

/// What a fault needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// SQLite.
    Sqlite,
    /// A database on the server that all tests share.
    Postgres,
    /// The same, behind a proxy.
    Proxy,
    /// A server that can be killed.
    Server,
    /// A server on a disk that can be filled.
    SmallDisk,
    /// A server behind a PgBouncer that can be killed.
    Bouncer,
    /// A primary and a standby that replicates synchronously.
    Pair,
    /// SQLite, and a host whose clock can be set.
    SqliteClock,
    /// As [`Postgres`](Self::Postgres), with such hosts.
    PostgresClock,
}

impl Stage {
    /// The name in the table.
    pub(crate) fn database(self) -> &'static str {
        if matches!(self, Self::Sqlite | Self::SqliteClock) { "SQLite" } else { "PostgreSQL" }
    }

    /// Whether the hosts' clocks can be set.
    pub(super) fn has_clocks(self) -> bool {
        matches!(self, Self::SqliteClock | Self::PostgresClock)
    }

    /// Why the stage cannot be set up on this machine.
    pub(crate) fn missing(self) -> Option<&'static str> {
        if self == Self::SmallDisk && SmallDisk::mount().is_none() {
            return Some("mounting a small disk requires root");
        }
        let lacks_clocks = self.has_clocks() && super::clock::library().is_none();
        lacks_clocks.then_some("libfaketime is missing: run `make setup`")
    }
}

/// A database that runs.
pub(crate) enum Backend {
    Sqlite,
    Shared(Database),
    Proxied { database: Database, proxy: Proxy, url: String },
    // The server is dropped before the disk.
    Own { server: OwnServer, disk: Option<SmallDisk> },
    Bouncer { bouncer: OwnBouncer, server: OwnServer },
    Pair(Box<ReplicatedPair>),
}

impl Backend {
    pub(super) fn start(stage: Stage) -> Self {
        match stage {
            Stage::Sqlite | Stage::SqliteClock => Self::Sqlite,
            Stage::Postgres | Stage::PostgresClock => Self::Shared(Database::create()),
            Stage::Proxy => {
                let database = Database::create();
                let (proxy, url) = Proxy::before(&database.url());
                Self::Proxied { database, proxy, url }
            }
            Stage::Server => Self::Own { server: OwnServer::start(), disk: None },
            Stage::SmallDisk => {
                let disk = SmallDisk::mount().unwrap();
                let server = OwnServer::start_in(disk.folder.path(), &["max_wal_size=32MB"]);
                Self::Own { server, disk: Some(disk) }
            }
            Stage::Bouncer => {
                let server = OwnServer::start();
                Self::Bouncer { bouncer: OwnBouncer::start(&server), server }
            }
            Stage::Pair => Self::Pair(Box::new(ReplicatedPair::start())),
        }
    }

    /// The URL for hosts. `None` for SQLite.
    pub(super) fn url(&self) -> Option<String> {
        Some(match self {
            Self::Sqlite => return None,
            Self::Shared(database) => database.url(),
            Self::Proxied { url, .. } => url.clone(),
            Self::Own { server, .. } => server.url(),
            Self::Bouncer { bouncer, .. } => bouncer.url(),
            Self::Pair(pair) => pair.url(),
        })
    }

    /// Runs SQL, which may fail.
    pub(crate) fn try_sql(&self, sql: &str) -> bool {
        let Some(url) = self.url() else { return false };
        let done = Command::new("psql").args(["-XAtq", "-d", &url, "-c", sql]).output();
        done.is_ok_and(|done| done.status.success())
    }

    /// Runs SQL on PostgreSQL, not through the proxy and PgBouncer.
    pub(crate) fn sql(&self, sql: &str) -> Option<String> {
        Some(match self {
            Self::Sqlite => return None,
            Self::Shared(database) | Self::Proxied { database, .. } => database.sql(sql),
            Self::Own { server, .. } | Self::Bouncer { server, .. } => server.sql(sql),
            Self::Pair(pair) => pair.sql(sql),
        })
    }
}

/// A file system of a few megabytes, which a file can fill.
pub(crate) struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// A new server needs about 60 MB.
    const SIZE: &str = "size=160m";

    /// `None` without the right to mount.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", Self::SIZE, "none"]).arg(folder.path());
        mount.output().is_ok_and(|done| done.status.success()).then_some(Self { folder })
    }

    /// Writes a file until nothing fits any more.
    pub(crate) fn fill(&self) {
        let mut file = fs::File::create(self.folder.path().join("filler")).unwrap();
        for size in [1 << 20, 4 << 10] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
    }

    /// Deletes the file.
    pub(crate) fn empty(&self) {
        fs::remove_file(self.folder.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Processes that are ending may still have files open, so it is detached.
        let _ = Command::new("umount").arg("--lazy").arg(self.folder.path()).status();
    }
}
