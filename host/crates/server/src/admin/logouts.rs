//! The console sessions that operators have logged out of. A file keeps them over a restart.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

/// The ids of ended sessions, each with the time at which the session would have ended, in Unix seconds.
pub(crate) struct Logouts {
    file: PathBuf,
    ended: Mutex<BTreeMap<String, i64>>,
}

impl Logouts {
    /// Reads the file, if it exists.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn load(file: &Path) -> io::Result<Self> {
        let text = match fs::read_to_string(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            other => other?,
        };
        let entry = |line: &str| {
            let (id, ends_at) = line.split_once(' ')?;
            Some((id.to_owned(), ends_at.parse().ok()?))
        };
        let ended = text.lines().filter_map(entry).collect();
        Ok(Self { file: file.to_owned(), ended: Mutex::new(ended) })
    }

    /// Whether the session was ended.
    pub(crate) fn contains(&self, id: &str) -> bool {
        self.ended.lock().contains_key(id)
    }

    /// Ends a session, and drops those that have ended by themselves at `now_s`.
    ///
    /// # Errors
    /// The file cannot be written. The session is ended until the process stops.
    pub(crate) fn add(&self, id: &str, ends_at: i64, now_s: i64) -> io::Result<()> {
        let mut ended = self.ended.lock();
        ended.retain(|_, ends_at| *ends_at > now_s);
        ended.insert(id.to_owned(), ends_at);
        let text: String = ended.iter().map(|(id, ends_at)| format!("{id} {ends_at}\n")).collect();
        // The lock is held, so that an older list never replaces a newer one.
        self.write(&text)
    }

    fn write(&self, text: &str) -> io::Result<()> {
        if let Some(folder) = self.file.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let draft = self.file.with_extension(format!("logouts.{}", std::process::id()));
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, &self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_logouts_in_a_file_until_the_sessions_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("data/admin.logouts");
        let logouts = Logouts::load(&file).unwrap();
        logouts.add("a", 100, 1).unwrap();
        logouts.add("b", 200, 1).unwrap();
        let again = Logouts::load(&file).unwrap();
        assert!(again.contains("a") && again.contains("b") && !again.contains("c"));
        again.add("c", 300, 100).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "b 200\nc 300\n");
        assert_eq!(fs::read_dir(folder.path().join("data")).unwrap().count(), 1);
        fs::write(&file, "broken\n\nx y\nd 9\n").unwrap();
        assert!(Logouts::load(&file).unwrap().contains("d"), "other lines are ignored");
    }

    #[test]
    fn ends_the_session_even_if_the_file_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let logouts = Logouts::load(&folder.path().join("data/admin.logouts")).unwrap();
        let logouts = Logouts { file: folder.path().join("file/x"), ..logouts };
        assert!(logouts.add("a", 100, 1).is_err());
        assert!(logouts.contains("a"));
    }
}
