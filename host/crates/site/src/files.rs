//! Lists and reads the files of a brand's folder. Links are never followed, so every file is
//! inside the folder.

use std::io;
use std::path::Path;

use sluice_kit::folder::{Folder, FolderPath, Kind, OpenError};
use sluice_text::printable::printable;
use sluice_text::source::Source;

use crate::table::RouteFault;

/// The largest size of a file that an author writes.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// How many files a folder such as `pages/` may contain, with all folders below it.
const FILES_MAX: usize = 100_000;
/// How many folders may be in each other.
const DEPTH_MAX: usize = 64;

/// A file or folder of a brand that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", printable(.file))]
pub struct FileError {
    /// The file, relative to the brand's folder where possible.
    pub file: String,
    /// What is wrong with it.
    pub fault: FileFault,
}

/// What is wrong with a file or folder of a brand.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    /// It cannot be opened or read, for example because it is a link, a named pipe, or too large.
    #[error(transparent)]
    Unopened(#[from] OpenError),
    /// It is not UTF-8 text.
    #[error("it is not UTF-8 text")]
    NotText,
    /// It contains a NUL character.
    #[error("it has a NUL character, which HTML does not allow")]
    Nul,
    /// It is neither a file nor a folder, for example a named pipe.
    #[error("it is neither a file nor a folder")]
    Special,
    /// Its name cannot be written in an address or in a message.
    #[error("its name is not UTF-8 text, or contains control characters")]
    Name,
    /// It is in too many folders.
    #[error("more than {DEPTH_MAX} folders are in each other")]
    TooDeep,
    /// A folder contains too many files.
    #[error("it contains more than {FILES_MAX} files")]
    TooMany,
    /// The files of a brand are too large together.
    #[error("with it, the files of this brand that scripts and templates use exceed {0} bytes")]
    TooMuch(u64),
    /// It is a page whose path cannot be served.
    #[error(transparent)]
    Route(#[from] RouteFault),
}

impl FileError {
    pub(crate) fn new(file: impl Into<String>, fault: impl Into<FileFault>) -> Self {
        Self { file: file.into(), fault: fault.into() }
    }

    pub(crate) fn of_path(path: &Path, fault: impl Into<FileFault>) -> Self {
        Self::new(path.display().to_string(), fault)
    }

    /// Whether the file does not exist.
    pub fn is_missing(&self) -> bool {
        matches!(&self.fault, FileFault::Unopened(error) if error.is_missing())
    }
}

/// The files below the folder `name` of a brand that have one of `extensions`, as sorted paths
/// relative to `name`. Names that begin with a dot are ignored.
///
/// # Errors
/// A folder cannot be read, or contains a symbolic link.
pub fn list(brand: &Folder, name: &str, extensions: &[&str]) -> Result<Vec<String>, FileError> {
    let top = match brand.folder(name) {
        Err(error) if error.is_missing() => return Ok(Vec::new()),
        Err(OpenError::Unreadable(error)) if error.kind() == io::ErrorKind::NotADirectory => {
            return Ok(Vec::new());
        }
        opened => opened.map_err(|error| FileError::of_path(&brand.path().join(name), error))?,
    };
    let mut found = Vec::new();
    let mut seen: usize = 0;
    // The paths of folders that are still to be read, with a slash at the end.
    let mut waiting = vec![String::new()];
    while let Some(prefix) = waiting.pop() {
        let wrong = |name: &str, fault: FileFault| {
            Err(FileError::of_path(&top.path().join(format!("{prefix}{name}")), fault))
        };
        let unreadable = |error: OpenError| FileError::of_path(&top.path().join(&prefix), error);
        if prefix.matches('/').count() > DEPTH_MAX {
            return wrong("", FileFault::TooDeep);
        }
        let folder = if prefix.is_empty() { top.clone() } else { top.folder(&prefix).map_err(unreadable)? };
        for entry in folder.entries().map_err(unreadable)? {
            let name = entry.name.to_string_lossy();
            if name.starts_with('.') {
                continue;
            }
            seen = seen.saturating_add(1);
            if seen > FILES_MAX {
                return Err(FileError::of_path(top.path(), FileFault::TooMany));
            }
            let is_text = entry.name.to_str().is_some() && !name.chars().any(char::is_control);
            match entry.kind {
                Kind::Link => return wrong(&name, OpenError::Link.into()),
                // Reading a named pipe could wait forever.
                Kind::Other => return wrong(&name, FileFault::Special),
                Kind::File if !extensions.iter().any(|extension| name.ends_with(extension)) => {}
                Kind::File | Kind::Folder if !is_text => return wrong(&name, FileFault::Name),
                Kind::Folder => waiting.push(format!("{prefix}{name}/")),
                Kind::File => found.push(format!("{prefix}{name}")),
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Reads the text file `file` in `dir`. Errors name it as `file`.
///
/// # Errors
/// It cannot be read, is too large, or is not text.
pub fn read(dir: &FolderPath, file: &str) -> Result<Source, FileError> {
    let folder = dir.open().map_err(|error| FileError::new(file, error))?;
    read_in(&folder, file)
}

/// Reads the text file `file` in an open folder. Errors name it as `file`.
///
/// # Errors
/// It cannot be read, is too large, or is not text.
pub fn read_in(folder: &Folder, file: &str) -> Result<Source, FileError> {
    let bytes = folder.read(file, FILE_BYTES_MAX).map_err(|error| FileError::new(file, error))?;
    let text = String::from_utf8(bytes).map_err(|_| FileError::new(file, FileFault::NotText))?;
    if text.contains('\0') {
        return Err(FileError::new(file, FileFault::Nul));
    }
    Ok(Source { file: file.to_owned(), text })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn brand(files: &[&str]) -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        let folder = Folder::open(dir.path()).unwrap();
        (dir, folder)
    }

    fn refusal(files: &[&str]) -> String {
        let (_dir, folder) = brand(files);
        list(&folder, "pages", &[".html"]).unwrap_err().to_string()
    }

    #[test]
    fn lists_files_with_the_extensions() {
        let (_dir, folder) =
            brand(&["pages/b.html", "pages/a/c.html", "pages/.a.html", "pages/a.txt", "pages/\u{1b}.txt"]);
        assert_eq!(list(&folder, "pages", &[".html"]).unwrap(), ["a/c.html", "b.html"]);
        assert_eq!(list(&folder, "modules", &[".js"]).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn rejects_names_that_could_forge_messages_and_shows_them_escaped() {
        let told = refusal(&["pages/a\u{1b}[31m\n.html"]);
        assert!(told.contains("a\\u{1b}[31m\\n.html: its name"), "{told}");
        assert!(refusal(&["pages/\n/a.html"]).contains("its name"), "a folder");
    }

    #[test]
    fn rejects_folders_that_are_deeper_than_the_limit() {
        let deep = |levels: usize| format!("pages/{}a.html", "d/".repeat(levels));
        let (_dir, folder) = brand(&[&deep(DEPTH_MAX)]);
        assert_eq!(list(&folder, "pages", &[".html"]).unwrap().len(), 1);
        assert!(refusal(&[&deep(DEPTH_MAX + 1)]).contains("more than 64 folders"));
    }

    #[test]
    fn rejects_links_to_folders_and_files() {
        let (dir, folder) = brand(&["pages/a.html", "other/b.html"]);
        for (target, link) in
            [("../other", "pages/folder"), ("nowhere", "pages/c.html"), ("other", "modules")]
        {
            symlink(target, dir.path().join(link)).unwrap();
            let name = link.split('/').next().unwrap();
            let told = list(&folder, name, &[".html"]).unwrap_err().to_string();
            assert!(told.contains(link) && told.contains("symbolic link"), "{told}");
            std::fs::remove_file(dir.path().join(link)).unwrap();
        }
    }
}
