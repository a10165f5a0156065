//! What runs wait for.

use std::sync::atomic::{AtomicBool, Ordering};

/// What a run waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunKind {
    /// It uses the database.
    pub database: bool,
    /// It calls other servers.
    pub network: bool,
}

/// Something that runs wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// The database.
    Database,
    /// Other servers.
    Network,
}

const AWAITED: [Awaited; 2] = [Awaited::Database, Awaited::Network];

impl RunKind {
    /// A run that waits for nothing.
    pub const PLAIN: Self = Self { database: false, network: false };

    pub(super) fn waits_for(self, awaited: Awaited) -> bool {
        match awaited {
            Awaited::Database => self.database,
            Awaited::Network => self.network,
        }
    }

    pub(super) fn awaited(self) -> impl Iterator<Item = Awaited> {
        AWAITED.into_iter().filter(move |awaited| self.waits_for(*awaited))
    }
}

/// What the runs of a script have waited for so far. Later runs are expected to do the same.
#[derive(Debug, Default)]
pub(crate) struct SeenKind {
    database: AtomicBool,
    network: AtomicBool,
}

impl SeenKind {
    pub(crate) fn note(&self, awaited: Awaited) {
        let flag = match awaited {
            Awaited::Database => &self.database,
            Awaited::Network => &self.network,
        };
        flag.store(true, Ordering::Relaxed);
    }

    pub(crate) fn kind(&self) -> RunKind {
        RunKind {
            database: self.database.load(Ordering::Relaxed),
            network: self.network.load(Ordering::Relaxed),
        }
    }
}

/// The kind of the requests in each line.
pub(super) const KINDS: [RunKind; 4] = [
    RunKind::PLAIN,
    RunKind { database: true, network: false },
    RunKind { database: false, network: true },
    RunKind { database: true, network: true },
];
