//! Opens a path below a handle without following a link anywhere on the way.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

/// How a folder is opened.
pub(super) const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opens `name`, which consists of plain names only. A link is the error `LOOP`.
pub(super) fn open(folder: BorrowedFd<'_>, name: &Path, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    #[cfg(target_os = "linux")]
    match at_once(folder, name, flags, mode) {
        // The kernel is older than 5.6, or a container forbids the call.
        Err(Errno::NOSYS | Errno::PERM) => {}
        done => return done,
    }
    step_by_step(folder, name, flags, mode)
}

#[cfg(target_os = "linux")]
fn at_once(folder: BorrowedFd<'_>, name: &Path, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    use rustix::fs::ResolveFlags;

    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    loop {
        match rustix::fs::openat2(folder, name, flags | OFlags::CLOEXEC, mode, resolve) {
            // A signal, or a folder was renamed meanwhile.
            Err(Errno::INTR | Errno::AGAIN) => {}
            done => return done,
        }
    }
}

/// Opens one folder after the other. Each is reached from the handle of the one before, so replacing
/// a folder by a link in between has no effect.
pub(super) fn step_by_step(
    folder: BorrowedFd<'_>,
    name: &Path,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    let mut reached: Option<OwnedFd> = None;
    let mut names = name.iter().peekable();
    while let Some(next) = names.next() {
        let is_last = names.peek().is_none();
        let flags = if is_last { flags | OFlags::CLOEXEC } else { FOLDER };
        let mode = if is_last { mode } else { Mode::empty() };
        let at = reached.as_ref().map_or(folder, |reached| reached.as_fd());
        let opened = loop {
            match rustix::fs::openat(at, next, flags | OFlags::NOFOLLOW, mode) {
                Err(Errno::INTR) => {}
                done => break done,
            }
        };
        let opened = opened.map_err(|error| match error {
            // This is how a link answers if a folder was asked for.
            Errno::NOTDIR if is_link(at, Path::new(next)) => Errno::LOOP,
            other => other,
        })?;
        reached = Some(opened);
    }
    reached.ok_or(Errno::NOENT)
}

fn is_link(folder: BorrowedFd<'_>, name: &Path) -> bool {
    rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Symlink)
}
