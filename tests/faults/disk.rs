//! A disk below SQLite that fails and loses power. SQLite's own functions do the work (`vfs`); this module
//! decides what fails, and knows which writes have reached the disk.
//!
//! What is written reaches the disk at the latest when the file is synced. When the power is cut, each
//! write after the last sync may be on the disk completely, in part, or not at all, in any order.

pub(crate) mod vfs;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fastrand::Rng;

/// Disks write such blocks as a whole, or in part if the power is cut meanwhile.
const BLOCK_BYTES: usize = 512;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Nothing.
    Works,
    /// The call with this number fails, and later ones work again.
    FailsOnce(u64),
    /// The power is cut at the call with this number. From then on everything fails.
    LosesPower(u64),
    /// The same, and the disk says that the log is synced although it is not.
    Lies(u64),
}

impl Plan {
    /// The call that fails.
    fn call(self) -> Option<u64> {
        match self {
            Self::Works => None,
            Self::FailsOnce(number) | Self::LosesPower(number) | Self::Lies(number) => Some(number),
        }
    }
}

/// What SQLite asks the disk to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Open,
    Read,
    Write,
    Truncate,
    Sync,
    Size,
    Lock,
    MapShared,
    LockShared,
    Delete,
    Access,
}

#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Truncate { bytes: usize },
}

/// What is known about a file.
#[derive(Clone, Default, Debug)]
struct OnDisk {
    /// The content at the last sync. `None` if a power cut may remove the file.
    synced: Option<Vec<u8>>,
    /// What was done to it since.
    since: Vec<Change>,
}

/// The disk below one folder.
#[derive(Debug)]
struct Disk {
    folder: PathBuf,
    plan: Plan,
    calls: u64,
    /// The call that failed.
    failed: Option<Call>,
    /// The power is cut as soon as the current call has been noted.
    is_losing_power: bool,
    rng: Rng,
    files: BTreeMap<PathBuf, OnDisk>,
    /// The files when the power was cut.
    at_power_cut: Option<BTreeMap<PathBuf, OnDisk>>,
}

/// The disk of the running scenario. SQLite knows only one for the whole process.
static DISK: Mutex<Option<Disk>> = Mutex::new(None);

fn disk() -> MutexGuard<'static, Option<Disk>> {
    // A test that panicked is over.
    DISK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Held during a scenario, because there is one disk.
pub(crate) struct Turn(#[expect(dead_code, reason = "held until it is dropped")] MutexGuard<'static, ()>);

/// Begins a scenario in the folder `folder`. The files that it contains are on the disk.
pub(crate) fn begin(folder: &Path, plan: Plan, seed: u64) -> Turn {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = Turn(TURN.lock().unwrap_or_else(PoisonError::into_inner));
    vfs::install();
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let synced = Some(fs::read(&path).unwrap());
        files.insert(path, OnDisk { synced, since: Vec::new() });
    }
    let rng = Rng::with_seed(seed);
    let folder = folder.to_owned();
    *disk() = Some(Disk {
        folder,
        plan,
        calls: 0,
        failed: None,
        is_losing_power: false,
        rng,
        files,
        at_power_cut: None,
    });
    turn
}

/// Ends a scenario. Returns the number of calls, and the call that failed.
pub(crate) fn end() -> (u64, Option<Call>) {
    let disk = disk().take().unwrap();
    (disk.calls, disk.failed)
}

/// Cuts the power, unless it is cut already, and writes into the new folder `to` what is on the disk then.
pub(crate) fn cut_power(to: &Path) {
    let mut disk = disk();
    let disk = disk.as_mut().unwrap();
    let files = disk.at_power_cut.take().unwrap_or_else(|| disk.files.clone());
    // From now on everything fails.
    disk.at_power_cut = Some(BTreeMap::new());
    for (path, file) in files {
        if let Some(bytes) = file.after_power_cut(&mut disk.rng) {
            fs::write(to.join(path.file_name().unwrap()), bytes).unwrap();
        }
    }
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Works,
    Fails,
    /// Only so many bytes are written before it fails.
    FailsAfter(usize),
}

impl Disk {
    /// Counts a call, and decides what happens to it. `bytes` are those of a write.
    fn fate(&mut self, call: Call, bytes: usize) -> Fate {
        if self.is_losing_power || self.at_power_cut.is_some() {
            return Fate::Fails;
        }
        self.calls += 1;
        if self.plan.call() != Some(self.calls) {
            return Fate::Works;
        }
        self.failed = Some(call);
        self.is_losing_power = !matches!(self.plan, Plan::FailsOnce(_));
        let written = if call == Call::Write { self.rng.usize(0..=bytes) } else { 0 };
        if written == 0 { Fate::Fails } else { Fate::FailsAfter(written) }
    }

    /// Notes a change that the system has taken.
    fn note(&mut self, path: &Path, change: Change) {
        self.files.entry(path.to_owned()).or_default().since.push(change);
    }

    /// Cuts the power if it is to be cut at this call.
    fn after_call(&mut self) {
        if self.is_losing_power && self.at_power_cut.is_none() {
            self.at_power_cut = Some(self.files.clone());
        }
    }

    fn synced(&mut self, path: &Path) {
        if matches!(self.plan, Plan::Lies(_)) && path.to_string_lossy().ends_with("-wal") {
            return;
        }
        let file = self.files.entry(path.to_owned()).or_default();
        let mut bytes = file.synced.take().unwrap_or_default();
        file.since.drain(..).for_each(|change| change.apply(&mut bytes));
        file.synced = Some(bytes);
    }

    /// A sync that fails may have lost what it should have written, and the next one does not write it
    /// either.
    fn sync_failed(&mut self, path: &Path) {
        if self.rng.bool() {
            let file = self.files.entry(path.to_owned()).or_default();
            let mut bytes = file.synced.clone().unwrap_or_default();
            for change in file.since.drain(..) {
                if self.rng.bool() {
                    change.apply(&mut bytes);
                }
            }
            file.synced = Some(bytes);
        }
    }

    /// SQLite deletes its log when the last connection closes, after it has synced the database.
    fn deleted(&mut self, path: &Path) {
        self.files.remove(path);
    }
}

impl Change {
    fn apply(self, file: &mut Vec<u8>) {
        match self {
            Self::Truncate { bytes } => file.resize(bytes.min(file.len()), 0),
            Self::Write { at, bytes } => {
                if file.len() < at + bytes.len() {
                    file.resize(at + bytes.len(), 0);
                }
                file[at..at + bytes.len()].copy_from_slice(&bytes);
            }
        }
    }

    /// What is left of the change after a power cut.
    fn torn(self, rng: &mut Rng) -> Option<Self> {
        match (rng.u32(0..4), self) {
            (0, _) => None,
            (1, Self::Write { at, mut bytes }) => {
                // A part of the blocks, and within a block, any byte.
                let whole = rng.usize(0..=bytes.len()) / BLOCK_BYTES * BLOCK_BYTES;
                bytes.truncate(if rng.bool() { whole } else { rng.usize(0..=bytes.len()) });
                Some(Self::Write { at, bytes })
            }
            (2, Self::Write { at, bytes }) => {
                let skipped = rng.usize(0..=bytes.len()) / BLOCK_BYTES * BLOCK_BYTES;
                Some(Self::Write { at: at + skipped, bytes: bytes[skipped..].to_vec() })
            }
            (_, change) => Some(change),
        }
    }
}

impl OnDisk {
    /// The content after a power cut. `None` if the file does not exist then.
    fn after_power_cut(self, rng: &mut Rng) -> Option<Vec<u8>> {
        if self.synced.is_none() && rng.bool() {
            return None;
        }
        let mut bytes = self.synced.unwrap_or_default();
        // Either nothing since the last sync was written, or a part of it in any order.
        if rng.u32(0..4) > 0 {
            let mut since = self.since;
            if rng.bool() {
                rng.shuffle(&mut since);
            }
            since
                .into_iter()
                .filter_map(|change| change.torn(rng))
                .for_each(|change| change.apply(&mut bytes));
        }
        Some(bytes)
    }
}
