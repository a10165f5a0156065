//! Reading a brand's folder: names that are safe, files that stay inside it.

use std::fs;
use std::path::Path;

use sluice_text::source::Source;

/// Author files may be this large.
const FILE_BYTES_MAX: u64 = 16 << 20;

#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("{0}: {1}")]
    Unreadable(String, std::io::Error),
    #[error("{0}: it is larger than {FILE_BYTES_MAX} bytes")]
    TooLarge(String),
    #[error("{0}: it is not UTF-8 text")]
    NotText(String),
    #[error("{0}: it has a NUL character, which HTML does not allow")]
    Nul(String),
    #[error("{0}: it is a symbolic link; links are not followed")]
    Link(String),
    #[error("{0}: it is neither a file nor a folder")]
    Special(String),
    #[error("pages/{0}: {1}")]
    Route(String, String),
}

/// Files below `folder` with one of `extensions`, as paths relative to it,
/// sorted.
///
/// # Errors
/// A folder that cannot be read, or a symbolic link in it.
pub fn list(folder: &Path, extensions: &[&str]) -> Result<Vec<String>, FileError> {
    let mut found = Vec::new();
    if folder.is_symlink() {
        return Err(FileError::Link(folder.display().to_string()));
    }
    if folder.is_dir() {
        walk(folder, "", extensions, &mut found)?;
    }
    found.sort();
    Ok(found)
}

fn walk(folder: &Path, prefix: &str, extensions: &[&str], found: &mut Vec<String>) -> Result<(), FileError> {
    let unreadable = |error| FileError::Unreadable(folder.display().to_string(), error);
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let kind = entry.file_type().map_err(unreadable)?;
        let relative = format!("{prefix}{name}");
        if kind.is_symlink() {
            return Err(FileError::Link(entry.path().display().to_string()));
        } else if kind.is_dir() {
            walk(&entry.path(), &format!("{relative}/"), extensions, found)?;
        } else if !kind.is_file() {
            // Reading a named pipe would wait for ever.
            return Err(FileError::Special(entry.path().display().to_string()));
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
    let unreadable = |error| FileError::Unreadable(file.to_owned(), error);
    let metadata = fs::metadata(&path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(FileError::Special(file.to_owned()));
    }
    if metadata.len() > FILE_BYTES_MAX {
        return Err(FileError::TooLarge(file.to_owned()));
    }
    let bytes = fs::read(&path).map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|_| FileError::NotText(file.to_owned()))?;
    if text.contains('\0') {
        return Err(FileError::Nul(file.to_owned()));
    }
    Ok(Source { file: file.to_owned(), text })
}
