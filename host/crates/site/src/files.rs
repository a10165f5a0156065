//! Lists and reads the files of a brand's folder. Links are never followed, so every file is
//! inside the folder.

use std::path::Path;
use std::{fs, io};

use sluice_text::source::Source;

use crate::table::RouteFault;

/// The largest size of a file that an author writes.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// A file or folder of a brand that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {fault}")]
pub struct FileError {
    /// The file, relative to the brand's folder where possible.
    pub file: String,
    /// What is wrong with it.
    pub fault: FileFault,
}

/// What is wrong with a file or folder of a brand.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    /// The system cannot read it.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    /// It is larger than 16 MB.
    #[error("it is larger than {FILE_BYTES_MAX} bytes")]
    TooLarge,
    /// It is not UTF-8 text.
    #[error("it is not UTF-8 text")]
    NotText,
    /// It contains a NUL character.
    #[error("it has a NUL character, which HTML does not allow")]
    Nul,
    /// It is a symbolic link.
    #[error("it is a symbolic link; links are not followed")]
    Link,
    /// It is neither a file nor a folder, for example a named pipe.
    #[error("it is neither a file nor a folder")]
    Special,
    /// It is a page whose path cannot be served.
    #[error(transparent)]
    Route(#[from] RouteFault),
}

impl FileError {
    pub(crate) fn new(file: impl Into<String>, fault: impl Into<FileFault>) -> Self {
        Self { file: file.into(), fault: fault.into() }
    }

    fn of_path(path: &Path, fault: impl Into<FileFault>) -> Self {
        Self::new(path.display().to_string(), fault)
    }

    /// Whether the file does not exist.
    pub fn is_missing(&self) -> bool {
        matches!(&self.fault, FileFault::Unreadable(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

/// The files below `folder` that have one of `extensions`, as sorted paths relative to
/// `folder`. Names that begin with a dot are ignored.
///
/// # Errors
/// A folder cannot be read, or contains a symbolic link.
pub fn list(folder: &Path, extensions: &[&str]) -> Result<Vec<String>, FileError> {
    let mut found = Vec::new();
    if folder.is_symlink() {
        return Err(FileError::of_path(folder, FileFault::Link));
    }
    if folder.is_dir() {
        walk(folder, "", extensions, &mut found)?;
    }
    found.sort();
    Ok(found)
}

fn walk(folder: &Path, prefix: &str, extensions: &[&str], found: &mut Vec<String>) -> Result<(), FileError> {
    let unreadable = |error: io::Error| FileError::of_path(folder, error);
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let kind = entry.file_type().map_err(unreadable)?;
        let relative = format!("{prefix}{name}");
        if kind.is_symlink() {
            return Err(FileError::of_path(&entry.path(), FileFault::Link));
        } else if kind.is_dir() {
            walk(&entry.path(), &format!("{relative}/"), extensions, found)?;
        } else if !kind.is_file() {
            // Reading a named pipe could wait forever.
            return Err(FileError::of_path(&entry.path(), FileFault::Special));
        } else if extensions.iter().any(|extension| name.ends_with(extension)) {
            found.push(relative);
        }
    }
    Ok(())
}

/// Reads the text file `brand_dir/file`. Errors name it as `file`.
///
/// # Errors
/// It cannot be read, is too large, or is not text.
pub fn read(brand_dir: &Path, file: &str) -> Result<Source, FileError> {
    let path = brand_dir.join(file);
    let unreadable = |error: io::Error| FileError::new(file, error);
    let metadata = fs::metadata(&path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(FileError::new(file, FileFault::Special));
    }
    if metadata.len() > FILE_BYTES_MAX {
        return Err(FileError::new(file, FileFault::TooLarge));
    }
    let bytes = fs::read(&path).map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|_| FileError::new(file, FileFault::NotText))?;
    if text.contains('\0') {
        return Err(FileError::new(file, FileFault::Nul));
    }
    Ok(Source { file: file.to_owned(), text })
}
