//! `public/`: the files that a brand serves unchanged. The list of files is made when the site is
//! loaded; the content of a file is read for each request.

mod scan;

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use sluice_http::path::CanonicalPath;
use sluice_kit::folder::{Entry, Folder, FolderPath, Kind, OpenError};
use sluice_page::extract::extract;
use sluice_text::printable::printable;
use sluice_text::source::{Position, Source};

use crate::pattern::PathPattern;

use scan::{decoded, is_media, mentions_scope};

/// Larger files are not searched for backend scripts, and are rejected if they are HTML.
const SCANNED_BYTES_MAX: u64 = 16 << 20;
/// The only hidden folder that is served.
const WELL_KNOWN: &str = ".well-known";
/// How many folders of `public/` may be in each other.
const DEPTH_MAX: usize = 64;
/// How many files `public/` may contain.
const FILES_MAX: usize = 100_000;

/// One setting for files in `public/`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublicConfig {
    /// The paths of the files. If several entries match a file, the first applies.
    #[schemars(example = "/assets/**")]
    pub path: PathPattern,
    /// The `Cache-Control` header of these files, in plain ASCII. Without an entry it is
    /// `public, max-age=0, must-revalidate`, or `private, no-cache` for files behind an access
    /// rule.
    #[serde(deserialize_with = "header_value")]
    #[schemars(with = "String", example = "public, max-age=31536000, immutable")]
    pub cache_control: String,
}

fn header_value<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    let text = String::deserialize(input)?;
    match text.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
        true => Ok(text),
        false => Err(serde::de::Error::custom("`cache_control` has a character that is not plain ASCII")),
    }
}

/// The public files of a brand, by canonical path.
#[derive(Debug, Clone, Default)]
pub struct PublicFiles {
    by_path: HashMap<String, Arc<PublicFile>>,
}

/// One file below `public/`.
#[derive(Debug)]
pub struct PublicFile {
    /// The brand's folder.
    folder: FolderPath,
    /// The path of the file, which identifies it.
    location: PathBuf,
    /// Its path in the brand's folder, such as `public/style.css`.
    name: String,
    /// Its `Content-Type`.
    pub content_type: String,
    /// Its `Cache-Control`, if a `[[public]]` entry sets one.
    pub cache_control: Option<String>,
    /// The state in which the file was found to contain no backend script.
    clean: Mutex<Option<Version>>,
}

/// Identifies one state of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version {
    /// The size of the file.
    pub bytes: u64,
    /// When it was last modified.
    pub modified: SystemTime,
}

/// An open file, and its state when it was opened.
#[derive(Debug)]
pub struct OpenFile {
    /// The file, at its beginning.
    pub file: File,
    /// Its state.
    pub version: Version,
}

/// A file or folder in `public/` that is not served.
#[derive(Debug, thiserror::Error)]
#[error("{}{}: {fault}", printable(.file), fault.place())]
pub struct PublicError {
    /// The file, such as `public/style.css`.
    pub file: String,
    /// Why it is not served.
    pub fault: PublicFault,
}

/// Why a file or folder in `public/` is not served.
#[derive(Debug, thiserror::Error)]
pub enum PublicFault {
    /// It cannot be opened or read, for example because it is, or has become, a symbolic link or a
    /// named pipe.
    #[error(transparent)]
    Unopened(#[from] OpenError),
    /// Its name is not UTF-8 text, or has control characters.
    #[error("its name is not UTF-8 text, or contains control characters")]
    Name,
    /// It is in too many folders.
    #[error("more than {DEPTH_MAX} folders are in each other; the file is not served")]
    TooDeep,
    /// There are too many files.
    #[error("it contains more than {FILES_MAX} files; the others are not served")]
    TooMany,
    /// It contains a backend script, which visitors must not see.
    #[error("a backend script is not allowed in public/; the file is not served")]
    BackendScript(Position),
    /// It is HTML that is too large to be searched for backend scripts.
    #[error("HTML of more than {SCANNED_BYTES_MAX} bytes; the file is not served")]
    TooLarge,
    /// The HTML parser gave up, so the file may contain a backend script.
    #[error("{0}; the file is not served")]
    NotParsed(String),
}

impl From<io::Error> for PublicFault {
    fn from(error: io::Error) -> Self {
        Self::Unopened(error.into())
    }
}

impl PublicFault {
    /// The position of a backend script, as `:line:column`.
    fn place(&self) -> String {
        match self {
            Self::BackendScript(at) => format!(":{}:{}", at.line, at.column),
            _ => String::new(),
        }
    }

    fn of(self, file: impl Into<String>) -> PublicError {
        PublicError { file: file.into(), fault: self }
    }
}

impl PublicFiles {
    /// Lists the files in `public/` of a brand. Returns the files that cannot be served as errors.
    pub fn load(brand_dir: &FolderPath, settings: &[PublicConfig]) -> (Self, Vec<PublicError>) {
        let mut files = Self::default();
        let mut problems = Vec::new();
        // A link to the site may lead elsewhere before the next reload.
        let opened = brand_dir.pinned().map_err(OpenError::from);
        let opened = opened.and_then(|brand| Ok((brand.below("public").open()?, brand)));
        match opened {
            Ok((public, brand)) => files.walk(&brand, &public, &mut problems),
            Err(error) if error.is_missing() => {}
            Err(error) => problems.push(PublicFault::from(error).of("public")),
        }
        for (path, file) in &mut files.by_path {
            let path = CanonicalPath::of_file(path);
            let covers =
                |setting: &&PublicConfig| path.as_ref().is_some_and(|path| setting.path.covers(path));
            // Nothing else refers to the file yet.
            if let (Some(file), Some(setting)) = (Arc::get_mut(file), settings.iter().find(covers)) {
                file.cache_control = Some(setting.cache_control.clone());
            }
            // A file with an error stays in the list, because its content may be corrected while
            // the site is served.
            problems.extend(file.open().err());
        }
        (files, problems)
    }

    /// The file with this path.
    pub fn find(&self, path: &CanonicalPath) -> Option<&Arc<PublicFile>> {
        self.by_path.get(path.as_str())
    }

    /// The paths of all files, in no particular order.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.by_path.keys().map(String::as_str)
    }

    fn walk(&mut self, brand: &FolderPath, public: &Folder, problems: &mut Vec<PublicError>) {
        // The paths of folders that are still to be read, with a slash at the end.
        let mut waiting = vec![String::new()];
        while let Some(prefix) = waiting.pop() {
            if prefix.matches('/').count() > DEPTH_MAX {
                problems.push(PublicFault::TooDeep.of(format!("public/{prefix}")));
                continue;
            }
            let folder = if prefix.is_empty() { Ok(public.clone()) } else { public.folder(&prefix) };
            let entries = match folder.and_then(|folder| folder.entries()) {
                Ok(entries) => entries,
                Err(error) => {
                    problems.push(PublicFault::from(error).of(format!("public/{prefix}")));
                    continue;
                }
            };
            for entry in entries {
                if self.by_path.len() >= FILES_MAX {
                    problems.push(PublicFault::TooMany.of("public"));
                    return;
                }
                match self.take(brand, &entry, &prefix) {
                    Ok(below) => waiting.extend(below),
                    Err(problem) => problems.push(problem),
                }
            }
        }
    }

    /// Adds a file. Returns the path of a folder, which is to be read, too.
    fn take(
        &mut self,
        brand: &FolderPath,
        entry: &Entry,
        prefix: &str,
    ) -> Result<Option<String>, PublicError> {
        let name = entry.name.to_string_lossy();
        if name.starts_with('.') && name != WELL_KNOWN {
            return Ok(None);
        }
        let path = format!("{prefix}{name}");
        let name = format!("public/{path}");
        if entry.name.to_str().is_none() || path.chars().any(char::is_control) {
            return Err(PublicFault::Name.of(name));
        }
        match entry.kind {
            Kind::Folder => return Ok(Some(format!("{path}/"))),
            Kind::Link => return Err(PublicFault::from(OpenError::Link).of(name)),
            // Opening a named pipe could wait forever.
            Kind::Other => return Err(PublicFault::from(OpenError::NotAFile).of(name)),
            Kind::File => {}
        }
        let file = PublicFile {
            folder: brand.clone(),
            location: brand.path().join(&name),
            content_type: content_type(&path),
            name,
            cache_control: None,
            clean: Mutex::default(),
        };
        self.by_path.insert(format!("/{path}"), Arc::new(file));
        Ok(None)
    }
}

impl PublicFile {
    /// Opens the file. If it has changed since it was searched for backend scripts, it is
    /// searched again. Blocks.
    ///
    /// # Errors
    /// It no longer exists, has become a link, or contains a backend script.
    pub fn open(&self) -> Result<OpenFile, PublicError> {
        self.open_clean().map_err(|fault| fault.of(&self.name))
    }

    fn open_clean(&self) -> Result<OpenFile, PublicFault> {
        let mut file = self.folder.file(&self.name)?;
        let version = Version::of(&file.metadata()?)?;
        let known = *self.clean.lock();
        if known != Some(version) {
            self.scan(&mut file, version)?;
            *self.clean.lock() = Some(version);
        }
        Ok(OpenFile { file, version })
    }

    /// The path of the file, which identifies it among the files of all brands.
    pub fn location(&self) -> &Path {
        &self.location
    }

    /// Searches the file for a backend script.
    fn scan(&self, file: &mut File, version: Version) -> Result<(), PublicFault> {
        if is_media(&self.content_type) {
            return Ok(());
        }
        if version.bytes > SCANNED_BYTES_MAX {
            let is_html = self.content_type.starts_with("text/html");
            return if is_html { Err(PublicFault::TooLarge) } else { Ok(()) };
        }
        let mut bytes = Vec::new();
        file.take(SCANNED_BYTES_MAX).read_to_end(&mut bytes)?;
        io::Seek::rewind(file)?;
        if !mentions_scope(&bytes) {
            return Ok(());
        }
        let text = decoded(&bytes);
        let scripts = extract(&text).map_err(|reason| PublicFault::NotParsed(reason.to_string()))?;
        let at = scripts.holes.first().map(|hole| hole.start).or(scripts.misplaced.map(|(at, _)| at));
        let Some(at) = at else { return Ok(()) };
        Err(PublicFault::BackendScript(Source { file: self.name.clone(), text }.position(at)))
    }
}

impl Version {
    fn of(metadata: &Metadata) -> Result<Self, PublicFault> {
        Ok(Self { bytes: metadata.len(), modified: metadata.modified()? })
    }
}

/// The content type for the extension of a file name. Text is UTF-8.
fn content_type(name: &str) -> String {
    let guess = mime_guess::from_path(name).first_or_octet_stream();
    let essence = match guess.essence_str() {
        // Its name before RFC 9239.
        "application/javascript" => "text/javascript",
        essence => essence,
    };
    let is_text = essence.starts_with("text/") || essence == "application/json";
    if is_text { format!("{essence}; charset=utf-8") } else { essence.to_owned() }
}

#[cfg(test)]
mod tests;
