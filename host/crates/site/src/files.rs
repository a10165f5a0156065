//! Reading a brand's folder: names that are safe, files that stay inside it.

use std::fs;
use std::path::Path;

use sluice_text::source::Source;

/// Author files may be this large.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// A file or folder of a site that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {fault}")]
pub struct FileError {
    /// Relative to the brand's folder.
    pub file: String,
    /// What is wrong with it.
    pub fault: FileFault,
}

/// What is wrong with a file or folder.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    #[error(transparent)]
    Unreadable(std::io::Error),
    #[error("it is larger than {FILE_BYTES_MAX} bytes")]
    TooLarge,
    #[error("it is not UTF-8 text")]
    NotText,
    #[error("it has a NUL character, which HTML does not allow")]
    Nul,
    #[error("it is a symbolic link; links are not followed")]
    Link,
    #[error("it is neither a file nor a folder")]
    Special,
    /// Two pages have one path, or a page's name is no path.
    #[error("{0}")]
    Route(String),
}

impl FileError {
    fn new(file: impl Into<String>, fault: FileFault) -> Self {
        Self { file: file.into(), fault }
    }

    /// A file or folder that the system does not let us read.
    pub fn unreadable(file: impl Into<String>, error: std::io::Error) -> Self {
        Self::new(file, FileFault::Unreadable(error))
    }

    /// Whether the file does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(&self.fault, FileFault::Unreadable(error) if error.kind() == std::io::ErrorKind::NotFound)
    }
}

/// Files below `folder` with one of `extensions`, as paths relative to it,
/// sorted.
///
/// # Errors
/// A folder that cannot be read, or a symbolic link in it.
pub fn list(folder: &Path, extensions: &[&str]) -> Result<Vec<String>, FileError> {
    let mut found = Vec::new();
    if folder.is_symlink() {
        return Err(FileError::new(folder.display().to_string(), FileFault::Link));
    }
    if folder.is_dir() {
        walk(folder, "", extensions, &mut found)?;
    }
    found.sort();
    Ok(found)
}

fn walk(folder: &Path, prefix: &str, extensions: &[&str], found: &mut Vec<String>) -> Result<(), FileError> {
    let unreadable = |error| FileError::unreadable(folder.display().to_string(), error);
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let kind = entry.file_type().map_err(unreadable)?;
        let relative = format!("{prefix}{name}");
        if kind.is_symlink() {
            return Err(FileError::new(entry.path().display().to_string(), FileFault::Link));
        } else if kind.is_dir() {
            walk(&entry.path(), &format!("{relative}/"), extensions, found)?;
        } else if !kind.is_file() {
            // Reading a named pipe would wait for ever.
            return Err(FileError::new(entry.path().display().to_string(), FileFault::Special));
        } else if extensions.iter().any(|extension| name.ends_with(extension)) {
            found.push(relative);
        }
    }
    Ok(())
}

/// Reads `brand_dir/file`; the name in messages is `file`.
///
/// # Errors
/// It cannot be read, is too large, or is not text.
pub fn read(brand_dir: &Path, file: &str) -> Result<Source, FileError> {
    let path = brand_dir.join(file);
    let unreadable = |error| FileError::unreadable(file, error);
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
