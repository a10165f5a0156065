//! Keeps compiled code on disk between starts.
//!
//! An entry is `MAGIC(16) ‖ MAC(32) ‖ payload`. The first part shows whose file it is: a setting names
//! the folder, so it can contain other files, and no other file is ever deleted. The MAC is HMAC-SHA256 over the entry's name and its
//! payload, with a key derived from the application key. Only an entry whose MAC is correct
//! becomes [`Authentic`], and only that type is ever loaded as machine code. An entry that is
//! foreign, damaged, truncated or stored under another name counts as missing. Entries are
//! written to a temporary file and then renamed, so processes that share a folder never see a
//! partial entry.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

use sluice_kit::folder::{Folder, Kind, OpenError, is_draft};
use sluice_kit::hex::hex;
use sluice_kit::keys::Keys;
use sluice_kit::operator_dir::OperatorDir;

/// The HKDF `info` from which the key of the MACs is derived.
const CODE_CACHE: &str = "sluice-code-cache-v1";
/// The beginning of every entry.
const MAGIC: &[u8; 16] = b"sluice-code-v2\n\0";
const MAC_BYTES: usize = 32;
const HEADER_BYTES: usize = MAGIC.len() + MAC_BYTES;
/// No entry is larger.
const ENTRY_BYTES_MAX: u64 = 1 << 30;
/// A draft of this age was abandoned by the process that wrote it.
const DRAFT_AGE_MAX: Duration = Duration::from_secs(60 * 60);

/// The name of an entry: a hash of everything that the entry was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CacheKey([u8; 32]);

/// Bytes whose MAC proves that a host with this application key wrote them under this name.
pub struct Authentic(Vec<u8>);

/// A folder of authenticated entries.
pub struct CodeCache {
    dir: PathBuf,
    key: [u8; 32],
    bytes_max: u64,
}

impl CacheKey {
    /// The key of an entry that was made from `parts`. The length of each part is hashed, too,
    /// so moving a byte from one part to the next changes the key.
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// The 32 bytes of the hash.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<CacheKey> for [u8; 32] {
    fn from(key: CacheKey) -> Self {
        key.0
    }
}

impl From<[u8; 32]> for CacheKey {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl Authentic {
    /// The payload of the entry.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes from offset `at` on. `None` if there are fewer bytes.
    pub fn tail(mut self, at: usize) -> Option<Self> {
        (at <= self.0.len()).then(|| Self(self.0.split_off(at)))
    }
}

impl CodeCache {
    /// Opens the folder and creates it if it is missing. [`CodeCache::evict`] keeps its size
    /// at or below `bytes_max`, unless the entries in use are larger.
    ///
    /// # Errors
    /// The folder cannot be created or written to.
    pub fn open(dir: &OperatorDir, keys: &Keys, bytes_max: u64) -> io::Result<Self> {
        let dir = dir.path();
        let mut builder = fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(dir)?;
        let cache = Self { dir: dir.to_owned(), key: keys.derive(CODE_CACHE), bytes_max };
        // It is removed at once.
        drop(cache.folder().and_then(|folder| folder.draft(b"")).map_err(io::Error::other)?);
        Ok(cache)
    }

    /// Whether there is an entry. [`CodeCache::read`] may still find that it is not authentic.
    pub fn has(&self, key: &CacheKey) -> bool {
        let kind = self.folder().and_then(|folder| folder.kind(key.to_string()));
        matches!(kind, Ok(Kind::File))
    }

    /// Reads and verifies an entry, and marks it as used. `None` if it is missing or not
    /// authentic.
    pub fn read(&self, key: &CacheKey) -> Option<Authentic> {
        let path = self.path(key);
        let mut bytes = match self.folder().and_then(|folder| folder.read(key.to_string(), ENTRY_BYTES_MAX)) {
            Ok(bytes) => bytes,
            Err(error) => {
                if !error.is_missing() {
                    tracing::warn!(file = %path.display(), %error, "compiled code cannot be read; it is compiled again");
                }
                return None;
            }
        };
        let payload = bytes.split_off(HEADER_BYTES.min(bytes.len()));
        let mac = bytes.strip_prefix(MAGIC);
        if mac.is_none_or(|mac| self.mac(key, &payload).verify_slice(mac).is_err()) {
            tracing::warn!(file = %path.display(), "this compiled code was not written with this host's key or is damaged; it is compiled again");
            if mac.is_some() {
                self.forget(key);
            }
            return None;
        }
        let file = self.folder().and_then(|folder| folder.file(key.to_string()));
        let used = file.and_then(|file| Ok(file.set_modified(SystemTime::now())?));
        if let Err(error) = used {
            tracing::debug!(file = %path.display(), %error, "the time of an entry's last use cannot be stored");
        }
        Some(Authentic(payload))
    }

    /// Writes an entry, replacing an earlier one. Returns false if it could not be written;
    /// the log then contains the reason.
    pub fn write(&self, key: &CacheKey, payload: &[u8]) -> bool {
        let mut bytes = Vec::with_capacity(HEADER_BYTES.saturating_add(payload.len()));
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.mac(key, payload).finalize().into_bytes());
        bytes.extend_from_slice(payload);
        let written = self.folder().and_then(|folder| folder.write(key.to_string(), &bytes));
        if let Err(error) = &written {
            tracing::warn!(folder = %self.dir.display(), %error, "compiled code cannot be stored");
        }
        written.is_ok()
    }

    /// Removes an entry that turned out to be unusable.
    pub fn forget(&self, key: &CacheKey) {
        if let Ok(folder) = self.folder() {
            remove(&folder, &key.to_string());
        }
    }

    /// Removes the least recently used entries until the folder is small enough, but none of
    /// those in `keep`, and no file that is not an entry.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn evict(&self, keep: &HashSet<CacheKey>) -> Result<(), OpenError> {
        let kept: HashSet<String> = keep.iter().map(CacheKey::to_string).collect();
        let folder = self.folder()?;
        let mut total = 0;
        let mut others = Vec::new();
        for entry in folder.entries()? {
            let Some(name) = entry.name.to_str().filter(|_| entry.kind == Kind::File) else { continue };
            if !is_draft(name) && !is_entry(name) {
                continue;
            }
            // Another process may have removed it.
            let Ok(mut file) = folder.file(name) else { continue };
            let metadata = file.metadata()?;
            let used = metadata.modified()?;
            if is_draft(name) {
                if used.elapsed().is_ok_and(|age| age > DRAFT_AGE_MAX) {
                    remove(&folder, name);
                }
                continue;
            }
            let mut magic = [0; MAGIC.len()];
            if file.read_exact(&mut magic).is_err() || magic != *MAGIC {
                continue;
            }
            total += metadata.len();
            if !kept.contains(name) {
                others.push((used, metadata.len(), name.to_owned()));
            }
        }
        others.sort();
        for (_, bytes, name) in others {
            if total <= self.bytes_max {
                break;
            }
            remove(&folder, &name);
            total -= bytes;
        }
        Ok(())
    }

    /// Opened for each use, because the folder may be deleted and made again at any time.
    fn folder(&self) -> Result<Folder, OpenError> {
        Folder::open(&self.dir)
    }

    fn path(&self, key: &CacheKey) -> PathBuf {
        self.dir.join(key.to_string())
    }

    fn mac(&self, key: &CacheKey, payload: &[u8]) -> Hmac<Sha256> {
        // HMAC accepts keys of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).unwrap_or_else(|_| unreachable!());
        mac.update(&key.0);
        mac.update(payload);
        mac
    }
}

/// Whether a file has the name of an entry.
fn is_entry(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Removes a file. Another process may have removed it first.
fn remove(folder: &Folder, name: &str) {
    if let Err(error) = folder.remove(name) {
        let file = folder.path().join(name);
        tracing::warn!(file = %file.display(), %error, "a file of the code cache cannot be removed");
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;

    use super::*;

    fn keys(byte: char) -> Keys {
        Keys::load(Some(&String::from(byte).repeat(32)), None, None).unwrap()
    }

    fn key(name: &str) -> CacheKey {
        CacheKey::of([name.as_bytes()])
    }

    fn operators(dir: &Path) -> OperatorDir {
        OperatorDir::outside(&dir.join("site"), dir).unwrap()
    }

    fn open(dir: &Path, bytes_max: u64) -> CodeCache {
        CodeCache::open(&operators(dir), &keys('a'), bytes_max).unwrap()
    }

    fn read(cache: &CodeCache, name: &str) -> Option<Vec<u8>> {
        cache.read(&key(name)).map(|entry| entry.bytes().to_vec())
    }

    #[test]
    fn reads_only_entries_that_this_host_wrote() {
        let dir = tempfile::tempdir().unwrap();
        let cache = open(dir.path(), u64::MAX);
        assert!(cache.write(&key("a"), b"code") && cache.write(&key("b"), b"other"));
        assert_eq!(read(&cache, "a").unwrap(), b"code");
        assert_eq!(read(&cache, "c"), None);
        // Another host's key, the bytes of another entry, one changed bit, and truncation.
        assert!(CodeCache::open(&operators(dir.path()), &keys('b'), 9).unwrap().read(&key("a")).is_none());
        assert!(!cache.has(&key("a")), "an entry that is not authentic is removed");
        cache.write(&key("a"), b"code");
        fs::copy(cache.path(&key("b")), cache.path(&key("a"))).unwrap();
        assert_eq!(read(&cache, "a"), None);
        for at in [0, MAGIC.len(), HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 3] {
            cache.write(&key("a"), b"code");
            let mut bytes = fs::read(cache.path(&key("a"))).unwrap();
            bytes[at] ^= 1;
            fs::write(cache.path(&key("a")), &bytes).unwrap();
            assert_eq!(read(&cache, "a"), None, "byte {at}");
        }
        for length in [0, 10, MAGIC.len(), MAC_BYTES, HEADER_BYTES, HEADER_BYTES + 3] {
            cache.write(&key("a"), b"code");
            let bytes = fs::read(cache.path(&key("a"))).unwrap();
            fs::write(cache.path(&key("a")), &bytes[..length]).unwrap();
            assert_eq!(read(&cache, "a"), None, "{length} bytes");
        }
    }

    #[test]
    fn evicts_the_least_recently_used_entries_first() {
        let dir = tempfile::tempdir().unwrap();
        let cache = open(dir.path(), 3 * (100 + HEADER_BYTES as u64));
        for (age, name) in [(50, "in use"), (40, "old"), (30, "read"), (20, "new"), (10, "newest")] {
            cache.write(&key(name), &[0; 100]);
            let file = File::open(cache.path(&key(name))).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        }
        assert!(read(&cache, "read").is_some());
        let draft = dir.path().join(format!(".sluice-draft-{}", "0".repeat(32)));
        fs::write(&draft, "x").unwrap();
        cache.evict(&HashSet::from([key("in use")])).unwrap();
        let left: Vec<&str> = ["in use", "old", "read", "new", "newest"]
            .into_iter()
            .filter(|name| cache.has(&key(name)))
            .collect();
        assert_eq!(left, ["in use", "read", "newest"]);
        assert!(draft.exists(), "another process may be writing it");
        File::open(&draft).unwrap().set_modified(SystemTime::now() - DRAFT_AGE_MAX * 2).unwrap();
        cache.evict(&HashSet::new()).unwrap();
        assert!(!draft.exists());
    }

    #[test]
    fn deletes_only_files_that_it_wrote() {
        let dir = tempfile::tempdir().unwrap();
        let cache = open(dir.path(), 0);
        // The names of other programs' files can be hashes, too.
        let hash = key("other").to_string();
        let foreign = ["app.key", "draft-letter", ".sluice-draft-mine", &hash];
        for name in foreign {
            fs::write(dir.path().join(name), [0; 1_000]).unwrap();
            let old = SystemTime::now() - DRAFT_AGE_MAX * 2;
            File::open(dir.path().join(name)).unwrap().set_modified(old).unwrap();
        }
        let linked = dir.path().join("linked");
        fs::create_dir(&linked).unwrap();
        let other = open(&linked, 0);
        assert!(other.write(&key("target"), b"x") && cache.write(&key("own"), b"x"));
        std::os::unix::fs::symlink(other.path(&key("target")), cache.path(&key("link"))).unwrap();
        assert!(read(&cache, "other").is_none() && read(&cache, "link").is_none());
        cache.evict(&HashSet::new()).unwrap();
        assert!(!cache.has(&key("own")) && other.has(&key("target")));
        assert!(foreign.iter().all(|name| dir.path().join(name).exists()));
        assert!(cache.path(&key("link")).is_symlink());
    }

    #[test]
    fn processes_that_share_a_folder_see_complete_entries() {
        let dir = tempfile::tempdir().unwrap();
        let payload = |n: u8| vec![n; 100_000];
        std::thread::scope(|scope| {
            for n in 0..4 {
                let dir = dir.path();
                scope.spawn(move || {
                    let cache = open(dir, 1_000_000);
                    for _ in 0..50 {
                        assert!(cache.write(&key("shared"), &payload(n)));
                        let seen =
                            read(&cache, "shared").expect("an entry is never partial while it is replaced");
                        assert!(seen.len() == 100_000 && seen.iter().all(|byte| *byte == seen[0]));
                        cache.evict(&HashSet::from([key("shared")])).unwrap();
                    }
                });
            }
        });
    }
}
