//! Watches a site's folder and tells which files changed, once writing has come to rest.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc::UnboundedSender;

use super::snapshot::{BRANDS, SETTINGS, Snapshot};

/// After a file was closed or renamed it is whole; this is for what comes with it.
const REST: Duration = Duration::from_millis(8);
/// After a write that may not be the last one.
const REST_AFTER_WRITE: Duration = Duration::from_millis(60);
/// Where writing never comes to rest, what is there is taken.
const REST_MAX: Duration = Duration::from_millis(500);
/// A folder that is new may be filled before it is watched: it is looked at again.
const SECOND_LOOK: Duration = Duration::from_millis(100);

/// Watches until the receiver is gone. Each message names files relative to `site_dir`.
///
/// # Errors
/// The folder cannot be watched.
pub fn watch(site_dir: &Path, changes: UnboundedSender<Vec<String>>) -> anyhow::Result<()> {
    // Events name files by the path that is watched.
    let site_dir = site_dir.canonicalize().with_context(|| site_dir.display().to_string())?;
    let brands = site_dir.join(BRANDS);
    anyhow::ensure!(
        brands.is_dir(),
        "{}: this is no site, it has no folder `brands`; `sluice new {}` makes one",
        site_dir.display(),
        site_dir.display(),
    );
    let (sender, events) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(move |event| {
        // The receiver lives as long as the program.
        let _ = sender.send(event);
    })?;
    let failed = |path: &Path| format!("{} cannot be watched", path.display());
    watcher.watch(&site_dir, RecursiveMode::NonRecursive).with_context(|| failed(&site_dir))?;
    watcher.watch(&brands, RecursiveMode::Recursive).with_context(|| failed(&brands))?;
    let snapshot = Snapshot::take(&site_dir);
    std::thread::Builder::new().name("watch".into()).spawn(move || {
        Watch { site_dir, watcher, snapshot, events, changes }.run();
    })?;
    Ok(())
}

struct Watch {
    site_dir: PathBuf,
    watcher: RecommendedWatcher,
    snapshot: Snapshot,
    events: Receiver<notify::Result<Event>>,
    changes: UnboundedSender<Vec<String>>,
}

/// What came between one rest and the next.
#[derive(Default)]
struct Burst {
    touched: HashSet<String>,
    /// A folder came, or events were lost.
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
            if !self.tell(&burst.touched) {
                return;
            }
            if burst.is_uncertain {
                std::thread::sleep(SECOND_LOOK);
                if !self.tell(&HashSet::new()) {
                    return;
                }
            }
        }
    }

    /// A folder that was put in the place of another is not watched yet.
    fn watch_again(&mut self) {
        let brands = self.site_dir.join(BRANDS);
        if brands.is_dir()
            && let Err(error) = self.watcher.watch(&brands, RecursiveMode::Recursive)
        {
            tracing::warn!(%error, "the brands are not watched any more; start again");
        }
    }

    /// Takes events until there is rest.
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

    /// Notes what an event is about. Gives how long to wait for the next one; none where it
    /// is about nothing of the site.
    fn note(&self, event: notify::Result<Event>, burst: &mut Burst) -> Option<Duration> {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                tracing::warn!(%error, "the site's folder is not watched well; the whole of it is looked at");
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

    /// Looks at the files and tells what changed. False: nobody listens any more.
    fn tell(&mut self, touched: &HashSet<String>) -> bool {
        let changed = self.snapshot.refresh(touched);
        changed.is_empty() || self.changes.send(changed).is_ok()
    }
}
