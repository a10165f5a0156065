//! Writing into a folder. A file is written under a random name that did not exist, and then renamed,
//! so nobody sees a part of it, and what was there is replaced instead of written to: a link or a
//! second name of another file loses its name, and the other file stays as it is.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;

use super::{Folder, Kind, OpenError, beneath, inside};
use crate::hex::hex;

/// The mode of new files and folders, before the process's umask.
const FILE_MODE: Mode = Mode::from_raw_mode(0o666);
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o777);

/// No file that Sluice writes into a site is larger.
const OURS_BYTES_MAX: u64 = 1 << 30;

/// How often two files change their names before writing is given up.
const EXCHANGES_MAX: usize = 100;

/// The beginning of the names of drafts.
const DRAFT: &str = ".sluice-draft-";

/// Whether a name is one of a file that is being written, or whose writing was interrupted.
pub fn is_draft(name: &str) -> bool {
    let suffix = name.strip_prefix(DRAFT);
    suffix.is_some_and(|suffix| suffix.len() == 32 && suffix.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Why a file was not replaced. It is then unchanged.
#[derive(Debug, thiserror::Error)]
pub enum ReplaceError {
    /// Somebody changed, created or removed the file after the caller had read it.
    #[error("it was changed in the meantime")]
    Changed,
    /// The file was not written by Sluice.
    #[error("it was not written by Sluice, so it is left alone")]
    NotOurs,
    /// The file cannot be written.
    #[error(transparent)]
    Failed(#[from] OpenError),
}

/// A complete file that does not have its name yet. It is removed unless it gets one.
#[derive(Debug)]
pub struct Written {
    folder: Folder,
    draft: PathBuf,
    is_kept: bool,
}

impl Folder {
    /// Opens the folder `path` that the user of this program names, and creates it first if it is
    /// missing.
    ///
    /// # Errors
    /// It cannot be created or opened.
    pub fn create(path: &Path) -> Result<Self, OpenError> {
        if !path.as_os_str().is_empty() {
            std::fs::create_dir_all(path)?;
        }
        Self::open(path)
    }

    /// Opens a folder in this one. It and the folders on the way to it are created if they are
    /// missing.
    ///
    /// # Errors
    /// It cannot be created, or something else has its name.
    pub fn make(&self, name: impl AsRef<Path>) -> Result<Self, OpenError> {
        let mut reached = self.clone();
        for next in inside(name.as_ref())?.iter() {
            match rustix::fs::mkdirat(&reached.handle, next, FOLDER_MODE) {
                Ok(()) | Err(Errno::EXIST) => reached = reached.folder(next)?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(reached)
    }

    /// Writes a file that takes no name yet.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn draft(&self, bytes: &[u8]) -> Result<Written, OpenError> {
        let mut suffix = [0; 16];
        getrandom::fill(&mut suffix).map_err(io::Error::other)?;
        let draft = PathBuf::from(format!("{DRAFT}{}", hex(&suffix)));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let handle = beneath::open(self.handle.as_fd(), &draft, flags, FILE_MODE)?;
        let written = Written { folder: self.clone(), draft, is_kept: false };
        File::from(handle).write_all(bytes)?;
        Ok(written)
    }

    /// Writes `name` in this folder, whatever was there. `name` may be in a folder of this one,
    /// which must exist.
    ///
    /// # Errors
    /// It cannot be written, or is a folder.
    pub fn write(&self, name: impl AsRef<Path>, bytes: &[u8]) -> Result<(), OpenError> {
        let (folder, name) = self.parent(name.as_ref())?;
        folder.draft(bytes)?.take_name(name)
    }

    /// Writes `name` unless it exists. Returns whether it was written.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_new(&self, name: impl AsRef<Path>, bytes: &[u8]) -> Result<bool, OpenError> {
        let (folder, name) = self.parent(name.as_ref())?;
        match folder.draft(bytes)?.take_free_name(name) {
            Ok(()) => Ok(true),
            Err(ReplaceError::Failed(error)) => Err(error),
            Err(_) => Ok(false),
        }
    }

    /// Replaces the content `seen` of the file `name` in this folder by `bytes`, and keeps its mode.
    /// `None` stands for a missing file. Everything is on the disk when this returns.
    ///
    /// # Errors
    /// The file has another content than `seen`, or cannot be written.
    pub fn replace(&self, name: &str, seen: Option<&[u8]>, bytes: &[u8]) -> Result<(), ReplaceError> {
        let draft = self.draft(bytes)?;
        let file = self.file(&draft.draft)?;
        match seen {
            None => {
                file.sync_all().map_err(OpenError::from)?;
                draft.take_free_name(Path::new(name))?;
            }
            Some(seen) => {
                let mode =
                    self.file(name).map_err(missing_is_changed)?.metadata().map_err(OpenError::from)?;
                file.set_permissions(mode.permissions()).map_err(OpenError::from)?;
                file.sync_all().map_err(OpenError::from)?;
                draft.take_name_of(Path::new(name), seen)?;
            }
        }
        rustix::fs::fsync(&self.handle).map_err(OpenError::from)?;
        Ok(())
    }

    /// Writes `name` if it is missing, or if `is_ours` recognizes its content.
    ///
    /// # Errors
    /// It has another content, is changed meanwhile, or cannot be written.
    pub fn write_ours(
        &self,
        name: impl AsRef<Path>,
        bytes: &[u8],
        is_ours: &dyn Fn(&[u8]) -> bool,
    ) -> Result<(), ReplaceError> {
        let (folder, name) = self.parent(name.as_ref())?;
        match folder.read(name, OURS_BYTES_MAX) {
            Ok(known) if !is_ours(&known) => Err(ReplaceError::NotOurs),
            Ok(known) if known == bytes => Ok(()),
            Ok(known) => folder.draft(bytes)?.take_name_of(name, &known),
            Err(error) if error.is_missing() => folder.draft(bytes)?.take_free_name(name),
            Err(OpenError::TooLarge(_)) => Err(ReplaceError::NotOurs),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a file, or does nothing if there is none.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, name: impl AsRef<Path>) -> Result<(), OpenError> {
        let (folder, name) = match self.parent(name.as_ref()) {
            Err(error) if error.is_missing() => return Ok(()),
            found => found?,
        };
        match rustix::fs::unlinkat(&folder.handle, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(OpenError::Unreadable(error.into())),
        }
    }

    /// Removes a folder directly in this one if it is empty.
    ///
    /// # Errors
    /// The system cannot remove it for another reason than its content.
    pub fn remove_if_empty(&self, name: impl AsRef<Path>) -> Result<(), OpenError> {
        match rustix::fs::unlinkat(&self.handle, inside(name.as_ref())?, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
            Err(error) => Err(OpenError::Unreadable(error.into())),
        }
    }

    /// The folder in which `name` is, and the last part of `name`.
    fn parent<'a>(&self, name: &'a Path) -> Result<(Self, &'a Path), OpenError> {
        let name = inside(name)?;
        let last = name.file_name().map(Path::new).ok_or(OpenError::Outside)?;
        match name.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => Ok((self.folder(parent)?, last)),
            None => Ok((self.clone(), last)),
        }
    }
}

impl Written {
    /// Gives the file its name. What had the name before is removed, unless it is a folder.
    fn take_name(mut self, name: &Path) -> Result<(), OpenError> {
        let folder = &self.folder.handle;
        rustix::fs::renameat(folder, &self.draft, folder, name)
            .map_err(|error| OpenError::Unreadable(error.into()))?;
        self.is_kept = true;
        Ok(())
    }

    /// Gives the file a name that nothing has yet.
    fn take_free_name(mut self, name: &Path) -> Result<(), ReplaceError> {
        let folder = &self.folder.handle;
        let renamed = rustix::fs::renameat_with(folder, &self.draft, folder, name, RenameFlags::NOREPLACE);
        match renamed {
            Ok(()) => {
                self.is_kept = true;
                Ok(())
            }
            Err(Errno::EXIST) => Err(ReplaceError::Changed),
            // The file system cannot do that. A second name can be given to a file only if it is free.
            Err(Errno::INVAL | Errno::NOSYS) => {
                match rustix::fs::linkat(folder, &self.draft, folder, name, AtFlags::empty()) {
                    Ok(()) => Ok(()),
                    Err(Errno::EXIST) => Err(ReplaceError::Changed),
                    Err(error) => Err(OpenError::Unreadable(error.into()).into()),
                }
            }
            Err(error) => Err(OpenError::Unreadable(error.into()).into()),
        }
    }

    /// Gives the file the name of one with the content `seen`. Both change their names at once, and
    /// the content is compared again after that, so a change at the last moment is not lost.
    fn take_name_of(mut self, name: &Path, seen: &[u8]) -> Result<(), ReplaceError> {
        if !has_content(&self.folder, name, seen)? {
            return Err(ReplaceError::Changed);
        }
        let own = self.identity()?;
        let exchange = |written: &Self| {
            let folder = &written.folder.handle;
            rustix::fs::renameat_with(folder, &written.draft, folder, name, RenameFlags::EXCHANGE)
        };
        match exchange(&self) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Err(ReplaceError::Changed),
            // The file system cannot do that.
            Err(Errno::INVAL | Errno::NOSYS) => return Ok(self.take_name(name)?),
            Err(error) => return Err(OpenError::Unreadable(error.into()).into()),
        }
        // The old file has the name of the draft now. It is removed only if it was compared.
        let compared = has_content(&self.folder, &self.draft, seen);
        if matches!(compared, Ok(true)) {
            return Ok(());
        }
        self.is_kept = true;
        self.is_kept = !self.put_back(own, exchange)?;
        Err(compared.err().unwrap_or(ReplaceError::Changed))
    }

    /// Gives the file that has the name of the draft now its own name back. `put` is the file that has
    /// that name. Returns false if others write too often to be sure that the newest file has it.
    fn put_back(
        &self,
        mut put: Stat,
        exchange: impl Fn(&Self) -> Result<(), Errno>,
    ) -> Result<bool, OpenError> {
        for _ in 0..EXCHANGES_MAX {
            let held = self.identity()?;
            exchange(self).map_err(|error| OpenError::Unreadable(error.into()))?;
            let got = self.identity()?;
            if (got.st_dev, got.st_ino) == (put.st_dev, put.st_ino) {
                return Ok(true);
            }
            // Somebody wrote meanwhile, and that file is newer than the one that has the name again.
            put = held;
        }
        Ok(false)
    }

    fn identity(&self) -> Result<Stat, OpenError> {
        Ok(rustix::fs::statat(&self.folder.handle, &self.draft, AtFlags::SYMLINK_NOFOLLOW)?)
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        if !self.is_kept {
            // It may not exist, and nothing else can be done about it.
            let _ = self.folder.remove(&self.draft);
        }
    }
}

fn has_content(folder: &Folder, name: &Path, seen: &[u8]) -> Result<bool, ReplaceError> {
    match folder.read(name, seen.len() as u64) {
        Ok(bytes) => Ok(bytes == seen),
        Err(OpenError::TooLarge(_)) => Ok(false),
        Err(error) => Err(missing_is_changed(error)),
    }
}

fn missing_is_changed(error: OpenError) -> ReplaceError {
    if error.is_missing() { ReplaceError::Changed } else { error.into() }
}

impl Folder {
    /// Removes the files in this folder, at most `depth_max` folders deep, that `is_ours`, and the
    /// folders that are empty then. Does not look into links.
    ///
    /// # Errors
    /// A folder cannot be read, or a file cannot be removed.
    pub fn remove_ours(
        &self,
        depth_max: usize,
        is_ours: &dyn Fn(&Self, &Path) -> bool,
    ) -> Result<(), OpenError> {
        for entry in self.entries()? {
            let name = Path::new(&entry.name);
            match entry.kind {
                Kind::File if is_ours(self, name) => self.remove(name)?,
                Kind::Folder => {
                    if let Some(depth_max) = depth_max.checked_sub(1) {
                        self.folder(name)?.remove_ours(depth_max, is_ours)?;
                    }
                    self.remove_if_empty(name)?;
                }
                Kind::File | Kind::Link | Kind::Other => {}
            }
        }
        Ok(())
    }
}
