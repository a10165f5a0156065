//! `public/`: the files that a brand serves as they are, as they were found when the
//! site was loaded.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Deserializer};

use sluice_http::path::CanonicalPath;
use sluice_page::extract::{HtmlError, extract};
use sluice_text::source::{Position, Source};

use super::pattern::PathPattern;

/// Larger files are not looked through for backend scripts; as HTML they are refused.
const SCANNED_BYTES_MAX: u64 = 16 << 20;
/// The one hidden folder that is for visitors.
const WELL_KNOWN: &str = ".well-known";

/// One `[[public]]` of `brand.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicConfig {
    pub path: PathPattern,
    /// The `Cache-Control` of these files.
    #[serde(deserialize_with = "header_value")]
    pub cache_control: String,
}

fn header_value<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    let text = String::deserialize(input)?;
    match text.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
        true => Ok(text),
        false => Err(serde::de::Error::custom("`cache_control` has a character that is not plain ASCII")),
    }
}

/// A brand's public files by canonical path.
#[derive(Debug, Default)]
pub struct PublicFiles {
    by_path: HashMap<String, Arc<PublicFile>>,
}

/// One file below `public/`.
#[derive(Debug)]
pub struct PublicFile {
    /// Where it is, without any symbolic link.
    location: PathBuf,
    /// `public/style.css`, for messages.
    name: String,
    pub content_type: String,
    pub cache_control: Option<String>,
    /// What it was when it was found to hold no backend script.
    clean: Mutex<Option<Version>>,
}

/// Tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version {
    pub bytes: u64,
    pub modified: SystemTime,
}

/// An open file and what it was when it was opened.
#[derive(Debug)]
pub struct OpenFile {
    pub file: File,
    pub version: Version,
}

/// A file of `public/` that cannot be served. Each variant begins with the file.
#[derive(Debug)]
pub enum PublicError {
    Unreadable(String, io::Error),
    Link(String),
    Name(String),
    /// A backend script, and where it begins.
    BackendScript(String, Position),
    /// The file cannot be searched for backend scripts, and why.
    NotScanned(String, String),
}

impl PublicFiles {
    /// Finds the files in `brand_dir/public`. What cannot be served is left out and
    /// reported.
    pub fn load(brand_dir: &Path, settings: &[PublicConfig]) -> (Self, Vec<PublicError>) {
        let mut files = Self::default();
        let mut problems = Vec::new();
        let folder = brand_dir.join("public");
        if folder.is_symlink() {
            problems.push(PublicError::Link("public".into()));
        } else if folder.is_dir() {
            match folder.canonicalize() {
                Ok(root) => files.walk(&root, "", &mut problems),
                Err(error) => problems.push(PublicError::Unreadable("public".into(), error)),
            }
        }
        for (path, file) in &mut files.by_path {
            let path = CanonicalPath::of_file(path);
            let covers =
                |setting: &&PublicConfig| path.as_ref().is_some_and(|path| setting.path.covers(path));
            // Nobody else holds the file yet.
            if let (Some(file), Some(setting)) = (Arc::get_mut(file), settings.iter().find(covers)) {
                file.cache_control = Some(setting.cache_control.clone());
            }
            // One that is refused now may be put right while the site is served.
            problems.extend(file.open().err());
        }
        (files, problems)
    }

    pub fn find(&self, path: &CanonicalPath) -> Option<&Arc<PublicFile>> {
        self.by_path.get(path.as_str())
    }

    /// The path of every file.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.by_path.keys().map(String::as_str)
    }

    fn walk(&mut self, folder: &Path, prefix: &str, problems: &mut Vec<PublicError>) {
        let unreadable = |error| PublicError::Unreadable(format!("public/{prefix}"), error);
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return problems.push(unreadable(error)),
        };
        for entry in entries {
            match entry.map_err(unreadable) {
                Ok(entry) => self.take(&entry, prefix, problems),
                Err(problem) => problems.push(problem),
            }
        }
    }

    fn take(&mut self, entry: &fs::DirEntry, prefix: &str, problems: &mut Vec<PublicError>) {
        let file_name = entry.file_name();
        let Some(name) = file_name.to_str() else {
            return problems.push(PublicError::Name(format!("public/{prefix}{}", file_name.display())));
        };
        if name.starts_with('.') && name != WELL_KNOWN {
            return;
        }
        let name = format!("{prefix}{name}");
        match entry.file_type() {
            Ok(kind) if kind.is_symlink() => problems.push(PublicError::Link(format!("public/{name}"))),
            Ok(kind) if kind.is_dir() => self.walk(&entry.path(), &format!("{name}/"), problems),
            // Opening a named pipe would wait for ever.
            Ok(kind) if !kind.is_file() => problems.push(not_a_file(&format!("public/{name}"))),
            Ok(_) => {
                let file = PublicFile {
                    location: entry.path(),
                    content_type: content_type(&name),
                    name: format!("public/{name}"),
                    cache_control: None,
                    clean: Mutex::default(),
                };
                self.by_path.insert(format!("/{name}"), Arc::new(file));
            }
            Err(error) => problems.push(PublicError::Unreadable(format!("public/{name}"), error)),
        }
    }
}

impl PublicFile {
    /// Opens the file as it is now. A file that changed since it was looked through is
    /// looked through again. Blocks.
    ///
    /// # Errors
    /// It is gone, became a link, or holds a backend script.
    pub fn open(&self) -> Result<OpenFile, PublicError> {
        let unreadable = |error| PublicError::Unreadable(self.name.clone(), error);
        let location = self.location.canonicalize().map_err(unreadable)?;
        if location != self.location {
            return Err(PublicError::Link(self.name.clone()));
        }
        if !location.metadata().map_err(unreadable)?.is_file() {
            return Err(not_a_file(&self.name));
        }
        let mut file = File::open(&location).map_err(unreadable)?;
        let version = Version::of(&file.metadata().map_err(unreadable)?).map_err(unreadable)?;
        let known = *self.clean.lock().unwrap_or_else(PoisonError::into_inner);
        if known != Some(version) {
            self.scan(&mut file, version)?;
            *self.clean.lock().unwrap_or_else(PoisonError::into_inner) = Some(version);
        }
        Ok(OpenFile { file, version })
    }

    /// Where the file is; names it among all brands' files.
    pub fn location(&self) -> &Path {
        &self.location
    }

    fn scan(&self, file: &mut File, version: Version) -> Result<(), PublicError> {
        if is_media(&self.content_type) {
            return Ok(());
        }
        if version.bytes > SCANNED_BYTES_MAX {
            let is_html = self.content_type.starts_with("text/html");
            let reason = format!("HTML of more than {SCANNED_BYTES_MAX} bytes");
            return if is_html { Err(PublicError::NotScanned(self.name.clone(), reason)) } else { Ok(()) };
        }
        let unreadable = |error| PublicError::Unreadable(self.name.clone(), error);
        let mut bytes = Vec::new();
        file.take(SCANNED_BYTES_MAX).read_to_end(&mut bytes).map_err(unreadable)?;
        io::Seek::rewind(file).map_err(unreadable)?;
        if !mentions_scope(&bytes) {
            return Ok(());
        }
        let text = decoded(&bytes);
        let unparsed = |error: HtmlError| PublicError::NotScanned(self.name.clone(), error.to_string());
        let found = extract(&text).map_err(unparsed)?;
        let at = found.holes.first().map(|hole| hole.start).or(found.misplaced.map(|(at, _)| at));
        let Some(at) = at else { return Ok(()) };
        let position = Source { file: self.name.clone(), text }.position(at);
        Err(PublicError::BackendScript(self.name.clone(), position))
    }
}

impl PublicError {
    /// The file, relative to the brand's folder.
    pub fn file(&self) -> &str {
        match self {
            Self::Unreadable(file, _)
            | Self::Link(file)
            | Self::Name(file)
            | Self::BackendScript(file, _)
            | Self::NotScanned(file, _) => file,
        }
    }

    /// What is wrong with the file, without its name.
    pub fn reason(&self) -> String {
        match self {
            Self::Unreadable(_, error) => error.to_string(),
            Self::Link(_) => "it is a symbolic link; links are not followed".to_owned(),
            Self::Name(_) => "its name is not UTF-8 text".to_owned(),
            Self::BackendScript(..) => {
                "a backend script is not allowed in public/; the file is not served".to_owned()
            }
            Self::NotScanned(_, reason) => format!("{reason}; the file is not served"),
        }
    }
}

impl fmt::Display for PublicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, reason) = (self.file(), self.reason());
        match self {
            Self::BackendScript(_, place) => write!(f, "{file}:{}:{}: {reason}", place.line, place.column),
            _ => write!(f, "{file}: {reason}"),
        }
    }
}

impl std::error::Error for PublicError {}

impl Version {
    fn of(metadata: &Metadata) -> io::Result<Self> {
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        Ok(Self { bytes: metadata.len(), modified: metadata.modified()? })
    }
}

fn not_a_file(name: &str) -> PublicError {
    PublicError::Unreadable(name.to_owned(), io::Error::other("it is not a file"))
}

/// A backend script cannot be written without the word. Looks through bytes that are
/// not decoded yet: in UTF-16 a NUL stands beside each letter.
fn mentions_scope(bytes: &[u8]) -> bool {
    let word = b"scope";
    let mut length = 0;
    for byte in bytes.iter().filter(|byte| **byte != 0).map(u8::to_ascii_lowercase) {
        // No other letter of the word is the first: nothing is missed by starting over.
        length = match word.get(length) {
            Some(next) if byte == *next => length + 1,
            Some(_) | None => usize::from(word.first() == Some(&byte)),
        };
        if length == word.len() {
            return true;
        }
    }
    false
}

/// The text as a browser reads it: a byte order mark counts more than our header. XML
/// can be UTF-16 without one.
fn decoded(bytes: &[u8]) -> String {
    match bytes {
        [0xff, 0xfe, text @ ..] | text @ [b'<', 0, ..] => utf16(text, u16::from_le_bytes),
        [0xfe, 0xff, text @ ..] | text @ [0, b'<', ..] => utf16(text, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, text @ ..] | text => String::from_utf8_lossy(text).into_owned(),
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let (pairs, _) = bytes.as_chunks();
    let chars = char::decode_utf16(pairs.iter().map(|pair| unit(*pair)));
    chars.map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// Types that no browser reads as text.
fn is_media(content_type: &str) -> bool {
    let families = ["image/", "audio/", "video/", "font/"];
    let is_family = families.iter().any(|family| content_type.starts_with(family));
    let others = ["application/pdf", "application/zip", "application/gzip", "application/wasm"];
    (is_family && content_type != "image/svg+xml") || others.contains(&content_type)
}

/// From the file's extension; text is UTF-8.
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
mod tests {
    use super::*;

    #[test]
    fn types_follow_extensions() {
        for (name, expected) in [
            ("a.html", "text/html; charset=utf-8"),
            ("a.css", "text/css; charset=utf-8"),
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.mjs", "text/javascript; charset=utf-8"),
            ("a.json", "application/json; charset=utf-8"),
            ("a.svg", "image/svg+xml"),
            ("a.PNG", "image/png"),
            ("a.woff2", "font/woff2"),
            ("a.wasm", "application/wasm"),
            ("a", "application/octet-stream"),
        ] {
            assert_eq!(content_type(name), expected, "{name}");
        }
    }

    fn load<B: AsRef<[u8]>>(files: &[(&str, B)]) -> (tempfile::TempDir, PublicFiles, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join("public").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let (files, problems) = PublicFiles::load(dir.path(), &[]);
        (dir, files, problems.iter().map(ToString::to_string).collect())
    }

    fn find(files: &PublicFiles, path: &str) -> Option<Arc<PublicFile>> {
        files.find(&CanonicalPath::of_file(path)?).cloned()
    }

    #[test]
    fn hidden_files_stay_hidden() {
        let (_dir, files, problems) =
            load(&[("a.css", ""), (".env", "x"), (".git/config", "x"), (".well-known/security.txt", "x")]);
        assert_eq!(problems, Vec::<String>::new());
        assert!(find(&files, "/a.css").is_some() && find(&files, "/.well-known/security.txt").is_some());
        assert!(find(&files, "/.env").is_none() && find(&files, "/.git/config").is_none());
    }

    #[test]
    fn a_file_with_a_backend_script_is_not_served_until_it_is_put_right() {
        let leak = "<p>\n<SCRIPT\nScope='backend'>let secret</script>";
        let (dir, files, problems) = load(&[("a.html", leak), ("b.txt", leak), ("c.html", "<p>scope</p>")]);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems.iter().any(|problem| problem.starts_with("public/a.html:2:1: a backend script")));
        let a = find(&files, "/a.html").unwrap();
        assert!(a.open().is_err() && find(&files, "/b.txt").unwrap().open().is_err());
        assert!(find(&files, "/c.html").unwrap().open().is_ok());
        fs::write(dir.path().join("public/a.html"), "fine").unwrap();
        assert_eq!(a.open().unwrap().version.bytes, 4);
        fs::write(dir.path().join("public/a.html"), leak).unwrap();
        assert!(a.open().is_err());
    }

    #[test]
    fn what_is_no_file_is_named_and_not_waited_for() {
        let (dir, _, _) = load(&[("a.txt", "a")]);
        let pipe = dir.path().join("public/pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let (files, problems) = PublicFiles::load(dir.path(), &[]);
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems, ["public/pipe: it is not a file"]);
        assert!(find(&files, "/pipe").is_none() && find(&files, "/a.txt").is_some());
    }

    #[test]
    fn a_public_folder_that_is_a_link_is_refused() {
        let (elsewhere, _, _) = load(&[("a.txt", "a")]);
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path().join("public"), dir.path().join("public")).unwrap();
        let (files, problems) = PublicFiles::load(dir.path(), &[]);
        assert!(problems[0].to_string().contains("symbolic link"), "{problems:?}");
        assert!(find(&files, "/a.txt").is_none());
    }

    #[test]
    fn a_backend_script_is_found_in_every_encoding_that_browsers_read() {
        let leak = "<p>ü😀\n<script scope='back&#101;nd'>let secret</script>";
        let utf16 =
            |text: &str, bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
        let marked = format!("\u{feff}{leak}");
        let files = [
            leak.as_bytes().to_vec(),
            marked.as_bytes().to_vec(),
            utf16(&marked, u16::to_le_bytes),
            utf16(&marked, u16::to_be_bytes),
            utf16(leak, u16::to_le_bytes),
            utf16(leak, u16::to_be_bytes),
            // Half a character more.
            [utf16(&marked, u16::to_le_bytes), vec![0xd8]].concat(),
            [b"\xff<p>\n".to_vec(), leak.as_bytes()[10..].to_vec()].concat(),
        ];
        for file in files {
            let (_dir, files, problems) = load(&[("a.html", &file)]);
            assert_eq!(problems.len(), 1, "{file:?}");
            assert!(problems[0].starts_with("public/a.html:2:1: a backend script"), "{problems:?}");
            assert!(find(&files, "/a.html").unwrap().open().is_err());
        }
        let fine = utf16("\u{feff}<p>scope backend <script>", u16::to_be_bytes);
        assert_eq!(load(&[("a.html", fine)]).2, Vec::<String>::new());
    }

    #[test]
    fn the_word_is_found_however_it_is_spread() {
        for text in ["scope", "ascsScOpE", "s\0c\0o\0p\0e\0", "\0s\0c\0o\0p\0e"] {
            assert!(mentions_scope(text.as_bytes()), "{text:?}");
        }
        for text in ["", "scop", "sco pe", "scopscop"] {
            assert!(!mentions_scope(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn links_are_refused_whenever_they_appear() {
        let (dir, files, _) = load(&[("a.txt", "a"), ("d/b.txt", "b")]);
        let outside = dir.path().join("secret.txt");
        fs::write(&outside, "secret").unwrap();
        let public = dir.path().join("public");
        std::os::unix::fs::symlink(&outside, public.join("link.txt")).unwrap();
        std::os::unix::fs::symlink(dir.path(), public.join("folder")).unwrap();
        let (fresh, problems) = PublicFiles::load(dir.path(), &[]);
        assert_eq!(problems.len(), 2);
        assert!(find(&fresh, "/link.txt").is_none() && find(&fresh, "/folder/secret.txt").is_none());
        // A file, and a folder above one, that become links after they were found.
        fs::remove_file(public.join("a.txt")).unwrap();
        std::os::unix::fs::symlink(&outside, public.join("a.txt")).unwrap();
        assert!(find(&files, "/a.txt").unwrap().open().is_err());
        fs::create_dir(dir.path().join("elsewhere")).unwrap();
        fs::write(dir.path().join("elsewhere/b.txt"), "secret").unwrap();
        fs::remove_dir_all(public.join("d")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), public.join("d")).unwrap();
        assert!(find(&files, "/d/b.txt").unwrap().open().is_err());
    }
}
