//! A folder that is held open by a handle. `site` and the tools for authors open every file of a
//! site with it, and `sandbox` the entries of its code cache.
//!
//! A site can come from somebody else. A link in it could lead to any file of this machine, and
//! reading a named pipe never ends. [`Folder`] therefore follows no link, opens only regular files,
//! never waits for one, and reads only as much as the caller allows. It also writes: [`write`] has
//! the rules.

mod beneath;
mod write;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

pub use write::{ReplaceError, Written, is_draft};

/// How many files and folders one folder may contain. The names of all are in memory at once.
const ENTRIES_MAX: usize = 100_000;

/// Why a file or folder cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system cannot open or read it.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    /// It is a symbolic link, or a folder on the way to it is one.
    #[error("it is a symbolic link or reached through one; links are not followed")]
    Link,
    /// It is something else than a regular file, such as a folder or a named pipe.
    #[error("it is not a regular file")]
    NotAFile,
    /// The file is too large.
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
    /// The name leads out of the folder: it is absolute or contains `..`.
    #[error("its name leads out of the folder")]
    Outside,
    /// The folder contains too many files.
    #[error("it contains more than {ENTRIES_MAX} files")]
    TooMany,
}

impl OpenError {
    /// Whether nothing has this name.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Unreadable(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

impl From<Errno> for OpenError {
    fn from(error: Errno) -> Self {
        match error {
            Errno::LOOP => Self::Link,
            // A socket, or a device without a driver.
            Errno::NXIO | Errno::NODEV => Self::NotAFile,
            other => Self::Unreadable(other.into()),
        }
    }
}

/// What a name in a folder stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// Something else, such as a named pipe, a socket or a device.
    Other,
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub name: OsString,
    /// What it stands for.
    pub kind: Kind,
}

/// An open folder. It stays the same folder if others move or replace it.
#[derive(Debug, Clone)]
pub struct Folder {
    handle: Arc<OwnedFd>,
    path: PathBuf,
}

/// The path of a folder that is opened later: a folder that the user of this program names, and a
/// folder in it that others may have made. Links are followed only on the way to the first.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FolderPath {
    root: PathBuf,
    below: PathBuf,
}

impl FolderPath {
    /// The folder that the user of this program names.
    pub fn root(path: &Path) -> Self {
        Self { root: path.to_owned(), below: PathBuf::new() }
    }

    /// A folder in this one.
    #[must_use]
    pub fn below(&self, name: impl AsRef<Path>) -> Self {
        Self { root: self.root.clone(), below: self.below.join(name) }
    }

    /// The same folder, even if links on the way to the root lead elsewhere later.
    ///
    /// # Errors
    /// The root does not exist.
    pub fn pinned(&self) -> io::Result<Self> {
        Ok(Self { root: self.root.canonicalize()?, below: self.below.clone() })
    }

    /// The whole path, for messages.
    pub fn path(&self) -> PathBuf {
        if self.below.as_os_str().is_empty() { self.root.clone() } else { self.root.join(&self.below) }
    }

    /// Opens the folder.
    ///
    /// # Errors
    /// It does not exist, cannot be read, or is reached through a link below the root.
    pub fn open(&self) -> Result<Folder, OpenError> {
        let root = Folder::open(&self.root)?;
        if self.below.as_os_str().is_empty() { Ok(root) } else { root.folder(&self.below) }
    }

    /// Opens a file in the folder for reading, as [`Folder::file`] does.
    ///
    /// # Errors
    /// As [`Folder::file`].
    pub fn file(&self, name: impl AsRef<Path>) -> Result<File, OpenError> {
        Folder::open(&self.root)?.file(self.below.join(name))
    }
}

impl Folder {
    /// Opens a folder that the user of this program names. Links on the way to it are followed.
    ///
    /// # Errors
    /// It does not exist, is no folder, or cannot be read.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let named = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let handle = rustix::fs::openat(CWD, named, beneath::FOLDER, Mode::empty())
            .map_err(|error| OpenError::Unreadable(error.into()))?;
        Ok(Self { handle: Arc::new(handle), path: path.to_owned() })
    }

    /// The path by which the folder was opened, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a folder in this one.
    ///
    /// # Errors
    /// It does not exist, is no folder, is a link, or cannot be read.
    pub fn folder(&self, name: impl AsRef<Path>) -> Result<Self, OpenError> {
        let name = inside(name.as_ref())?;
        let handle = beneath::open(self.handle.as_fd(), name, beneath::FOLDER, Mode::empty())?;
        Ok(Self { handle: Arc::new(handle), path: self.path.join(name) })
    }

    /// Opens a regular file in this folder for reading.
    ///
    /// # Errors
    /// It does not exist, is no regular file, is a link, or cannot be read.
    pub fn file(&self, name: impl AsRef<Path>) -> Result<File, OpenError> {
        // Without `NONBLOCK`, opening a named pipe waits for somebody who writes into it.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let handle = beneath::open(self.handle.as_fd(), inside(name.as_ref())?, flags, Mode::empty())?;
        match FileType::from_raw_mode(rustix::fs::fstat(&handle)?.st_mode) {
            FileType::RegularFile => Ok(File::from(handle)),
            _ => Err(OpenError::NotAFile),
        }
    }

    /// Reads a regular file of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// As [`Folder::file`], or the file is larger.
    pub fn read(&self, name: impl AsRef<Path>, bytes_max: u64) -> Result<Vec<u8>, OpenError> {
        let file = self.file(name)?;
        if file.metadata()?.len() > bytes_max {
            return Err(OpenError::TooLarge(bytes_max));
        }
        let mut bytes = Vec::new();
        // The file may grow while it is read.
        file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > bytes_max { Err(OpenError::TooLarge(bytes_max)) } else { Ok(bytes) }
    }

    /// What this folder contains, sorted by name.
    ///
    /// # Errors
    /// It cannot be read, or contains too much.
    pub fn entries(&self) -> Result<Vec<Entry>, OpenError> {
        let mut found = Vec::new();
        let listing = Dir::read_from(&self.handle)?;
        for entry in listing {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            if found.len() == ENTRIES_MAX {
                return Err(OpenError::TooMany);
            }
            let kind = match entry.file_type() {
                FileType::Unknown => match self.kind(name) {
                    Err(error) if error.is_missing() => continue,
                    kind => kind?,
                },
                known => Kind::of(known),
            };
            found.push(Entry { name: name.to_owned(), kind });
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }

    /// What a name directly in this folder stands for.
    ///
    /// # Errors
    /// There is nothing with this name.
    pub fn kind(&self, name: impl AsRef<Path>) -> Result<Kind, OpenError> {
        let found = rustix::fs::statat(&self.handle, inside(name.as_ref())?, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(Kind::of(FileType::from_raw_mode(found.st_mode)))
    }
}

impl Kind {
    fn of(found: FileType) -> Self {
        match found {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Folder,
            FileType::Symlink => Self::Link,
            _ => Self::Other,
        }
    }
}

/// Rejects names that lead out of a folder.
fn inside(name: &Path) -> Result<&Path, OpenError> {
    let is_inside = name.components().all(|part| matches!(part, Component::Normal(_)));
    if is_inside && !name.as_os_str().is_empty() { Ok(name) } else { Err(OpenError::Outside) }
}

#[cfg(test)]
mod tests;
