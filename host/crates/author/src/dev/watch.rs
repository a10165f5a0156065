//! Watches a site's folder, and reports which files changed once no more changes follow.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Config, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc::UnboundedSender;

use sluice_kit::folder::Folder;
use sluice_site::places;

use super::snapshot::{BRANDS, SETTINGS, Snapshot};

/// How long to wait for further events after a file was closed or renamed. The file is complete
/// then, but others may be saved together with it.
const REST: Duration = Duration::from_millis(8);
/// How long to wait after a write, because further writes to the file may follow.
const REST_AFTER_WRITE: Duration = Duration::from_millis(60);
/// Changes are reported after this time, even if they still continue.
const REST_MAX: Duration = Duration::from_millis(500);
/// A new folder may be filled before it is watched, so it is read again after this time.
const SECOND_LOOK: Duration = Duration::from_millis(100);

/// Why a site cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The path does not exist, or cannot be read.
    #[error("{}", .0.display())]
    Path(PathBuf, #[source] io::Error),
    /// The folder has no folder `brands`.
    #[error("{}", places::not_a_site(.0))]
    NoSite(PathBuf),
    /// The system's file notifications are not available.
    #[error("the system cannot watch files")]
    Watcher(#[source] notify::Error),
    /// A folder cannot be watched.
    #[error("{} cannot be watched", .0.display())]
    Folder(PathBuf, #[source] notify::Error),
    /// No thread could be started.
    #[error("no thread can be started to watch the site")]
    Thread(#[source] io::Error),
}

/// Starts a thread that watches a site until the receiver of `changes` is dropped. Each message
/// lists changed files, relative to `site_dir`.
///
/// # Errors
/// The folder is not a site, or cannot be watched.
pub fn watch(site_dir: &Path, changes: UnboundedSender<Vec<String>>) -> Result<(), WatchError> {
    // Events name files by the path that is watched.
    let site_dir = site_dir.canonicalize().map_err(|error| WatchError::Path(site_dir.to_owned(), error))?;
    let brands = site_dir.join(BRANDS);
    if !has_brands(&site_dir) {
        return Err(WatchError::NoSite(site_dir));
    }
    let (sender, events) = mpsc::channel();
    let handle = move |event| {
        // Sending fails only after the watching thread has ended.
        let _ = sender.send(event);
    };
    // A link in a site could lead to a folder with any number of files.
    let watcher = RecommendedWatcher::new(handle, Config::default().with_follow_symlinks(false));
    let mut watcher = watcher.map_err(WatchError::Watcher)?;
    let failed = |path: &Path| {
        let path = path.to_owned();
        |error| WatchError::Folder(path, error)
    };
    watcher.watch(&site_dir, RecursiveMode::NonRecursive).map_err(failed(&site_dir))?;
    watcher.watch(&brands, RecursiveMode::Recursive).map_err(failed(&brands))?;
    let snapshot = Snapshot::take(&site_dir);
    let thread = std::thread::Builder::new().name("watch".into()).spawn(move || {
        Watch { site_dir, watcher, snapshot, events, changes }.run();
    });
    thread.map(drop).map_err(WatchError::Thread)
}

/// Whether the site has a folder for its brands. A link is none.
fn has_brands(site_dir: &Path) -> bool {
    Folder::open(site_dir).and_then(|site| site.folder(BRANDS)).is_ok()
}

struct Watch {
    site_dir: PathBuf,
    watcher: RecommendedWatcher,
    snapshot: Snapshot,
    events: Receiver<notify::Result<Event>>,
    changes: UnboundedSender<Vec<String>>,
}

/// Changes that followed each other without a pause.
#[derive(Default)]
struct Burst {
    touched: HashSet<String>,
    /// A folder was added, or events were lost, so that `touched` may be incomplete.
    is_uncertain: bool,
}

impl Watch {
    fn run(mut self) {
        while let Ok(first) = self.events.recv() {
            let burst = self.collect(first);
            if burst.touched.is_empty() && !burst.is_uncertain {
                continue;
            }
            if burst.touched.contains(BRANDS) {
                self.watch_again();
            }
            if !self.report(&burst.touched) {
                return;
            }
            if burst.is_uncertain {
                std::thread::sleep(SECOND_LOOK);
                if !self.report(&HashSet::new()) {
                    return;
                }
            }
        }
    }

    /// Watches the folder `brands` again, because it may have been replaced by another one.
    fn watch_again(&mut self) {
        let brands = self.site_dir.join(BRANDS);
        if has_brands(&self.site_dir)
            && let Err(error) = self.watcher.watch(&brands, RecursiveMode::Recursive)
        {
            tracing::warn!(%error, "changes of brands are no longer noticed; restart sluice dev");
        }
    }

    /// Collects events until a pause.
    fn collect(&self, first: notify::Result<Event>) -> Burst {
        let mut burst = Burst::default();
        let latest = Instant::now() + REST_MAX;
        let mut until = Instant::now();
        let mut event = Some(first);
        loop {
            if let Some(event) = event.take()
                && let Some(rest) = self.note(event, &mut burst)
            {
                until = (Instant::now() + rest).min(latest);
            }
            match self.events.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(next) => event = Some(next),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return burst,
            }
        }
    }

    /// Adds an event to the burst. Returns how long to wait for the next one, or `None` if the
    /// event does not concern the site.
    fn note(&self, event: notify::Result<Event>, burst: &mut Burst) -> Option<Duration> {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                tracing::warn!(%error, "events of the site's folder were lost; all of its files are compared");
                burst.is_uncertain = true;
                return Some(REST_AFTER_WRITE);
            }
        };
        let rest = match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(_))
            | EventKind::Remove(_) => REST,
            EventKind::Access(_) => return None,
            EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Other => {
                REST_AFTER_WRITE
            }
        };
        let is_of_site = |file: &String| file == SETTINGS || file == BRANDS || file.starts_with("brands/");
        let relative = |path: &PathBuf| Some(path.strip_prefix(&self.site_dir).ok()?.to_str()?.to_owned());
        let files: Vec<String> = event.paths.iter().filter_map(relative).filter(is_of_site).collect();
        if files.is_empty() && !event.need_rescan() {
            return None;
        }
        burst.is_uncertain |= event.need_rescan() || event.paths.iter().any(|path| path.is_dir());
        burst.touched.extend(files);
        Some(rest)
    }

    /// Compares the files and reports what changed. False if the receiver was dropped.
    fn report(&mut self, touched: &HashSet<String>) -> bool {
        let changed = self.snapshot.refresh(touched);
        changed.is_empty() || self.changes.send(changed).is_ok()
    }
}
