//! Compiled code on disk, between one start and the next.
//!
//! An entry is `MAC(32) ‖ payload`; the MAC is HMAC-SHA256 under a key derived from the
//! application key, over the entry's name and its payload. Only what this verifies
//! becomes [`Authentic`], and only that is ever loaded as machine code: foreign,
//! damaged, swapped and cut entries count as not there. Entries are written beside
//! their place and renamed, so processes that share a folder see whole ones only.

use std::collections::HashSet;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

use sluice_kit::hex::hex;
use sluice_kit::keys::Keys;

/// `info` of the key that entries are authenticated with.
const CODE_CACHE: &str = "sluice-code-cache-v1";
const MAC_BYTES: usize = 32;
/// A draft this old belongs to nobody.
const DRAFT_AGE_MAX: Duration = Duration::from_secs(60 * 60);
const DRAFT: &str = "draft-";

/// Names an entry by what went into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CacheKey([u8; 32]);

/// Bytes that a host with this application key wrote under the name they were read by.
pub struct Authentic(Vec<u8>);

/// A folder of authenticated entries.
pub struct CodeCache {
    dir: PathBuf,
    key: [u8; 32],
    bytes_max: u64,
}

impl CacheKey {
    /// Each part counts by its length, too.
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

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
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// From `at` on.
    pub fn tail(mut self, at: usize) -> Option<Self> {
        (at <= self.0.len()).then(|| Self(self.0.split_off(at)))
    }
}

impl CodeCache {
    /// Opens the folder, making it where it is missing. It holds at most `bytes_max`,
    /// unless what is in use is more.
    ///
    /// # Errors
    /// The folder cannot be made or written to.
    pub fn open(dir: &Path, keys: &Keys, bytes_max: u64) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(dir)?;
        let cache = Self { dir: dir.to_owned(), key: keys.derive(CODE_CACHE), bytes_max };
        let draft = cache.draft()?;
        File::create(&draft)?;
        fs::remove_file(&draft)?;
        Ok(cache)
    }

    /// Whether there is an entry; it may turn out not to be authentic.
    pub fn has(&self, key: &CacheKey) -> bool {
        self.path(key).is_file()
    }

    /// The entry, verified and marked as used.
    pub fn read(&self, key: &CacheKey) -> Option<Authentic> {
        let path = self.path(key);
        let mut bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(file = %path.display(), %error, "compiled code cannot be read; it is compiled again");
                }
                return None;
            }
        };
        let payload = bytes.split_off(MAC_BYTES.min(bytes.len()));
        if self.mac(key, &payload).verify_slice(&bytes).is_err() {
            tracing::warn!(file = %path.display(), "this is not compiled code of this host; it is compiled again");
            self.forget(key);
            return None;
        }
        let used = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        if let Err(error) = used {
            tracing::debug!(file = %path.display(), %error, "an entry's last use cannot be written down");
        }
        Some(Authentic(payload))
    }

    /// Writes an entry, or the same again. False: it is not there, and the log says why.
    pub fn write(&self, key: &CacheKey, payload: &[u8]) -> bool {
        let written = self.draft().and_then(|draft| {
            let done = (|| {
                let mut file = File::create_new(&draft)?;
                file.write_all(&self.mac(key, payload).finalize().into_bytes())?;
                file.write_all(payload)?;
                fs::rename(&draft, self.path(key))
            })();
            done.inspect_err(|_| remove(&draft))
        });
        if let Err(error) = &written {
            tracing::warn!(folder = %self.dir.display(), %error, "compiled code cannot be kept");
        }
        written.is_ok()
    }

    /// Removes an entry that turned out to be of no use.
    pub fn forget(&self, key: &CacheKey) {
        remove(&self.path(key));
    }

    /// Removes the entries that were used longest ago until the folder is small enough;
    /// never those in `keep`.
    pub fn evict(&self, keep: &HashSet<CacheKey>) -> io::Result<()> {
        let kept: HashSet<PathBuf> = keep.iter().map(|key| self.path(key)).collect();
        let mut total = 0;
        let mut others = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let Ok(metadata) = entry.metadata() else { continue };
            let used = metadata.modified()?;
            if entry.file_name().to_string_lossy().starts_with(DRAFT) {
                if used.elapsed().is_ok_and(|age| age > DRAFT_AGE_MAX) {
                    remove(&entry.path());
                }
                continue;
            }
            total += metadata.len();
            if !kept.contains(&entry.path()) {
                others.push((used, metadata.len(), entry.path()));
            }
        }
        others.sort();
        for (_, bytes, path) in others {
            if total <= self.bytes_max {
                break;
            }
            remove(&path);
            total -= bytes;
        }
        Ok(())
    }

    fn path(&self, key: &CacheKey) -> PathBuf {
        self.dir.join(key.to_string())
    }

    fn draft(&self) -> io::Result<PathBuf> {
        let mut suffix = [0; 16];
        getrandom::fill(&mut suffix).map_err(io::Error::other)?;
        Ok(self.dir.join(format!("{DRAFT}{}", hex(&suffix))))
    }

    fn mac(&self, key: &CacheKey, payload: &[u8]) -> Hmac<Sha256> {
        // HMAC takes keys of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).unwrap_or_else(|_| unreachable!());
        mac.update(&key.0);
        mac.update(payload);
        mac
    }
}

/// Somebody else may have removed it first.
fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(file = %path.display(), %error, "a file of the code cache cannot be removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(byte: char) -> Keys {
        Keys::load(Some(&String::from(byte).repeat(32)), None, None).unwrap()
    }

    fn key(name: &str) -> CacheKey {
        CacheKey::of([name.as_bytes()])
    }

    fn open(dir: &Path, bytes_max: u64) -> CodeCache {
        CodeCache::open(dir, &keys('a'), bytes_max).unwrap()
    }

    fn read(cache: &CodeCache, name: &str) -> Option<Vec<u8>> {
        cache.read(&key(name)).map(|entry| entry.bytes().to_vec())
    }

    #[test]
    fn only_what_this_host_wrote_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let cache = open(dir.path(), u64::MAX);
        assert!(cache.write(&key("a"), b"code") && cache.write(&key("b"), b"other"));
        assert_eq!(read(&cache, "a").unwrap(), b"code");
        assert_eq!(read(&cache, "c"), None);
        // Another host's key, another entry's bytes, one bit, a part, nothing.
        assert!(CodeCache::open(dir.path(), &keys('b'), 9).unwrap().read(&key("a")).is_none());
        assert!(!cache.has(&key("a")), "what cannot be trusted is removed");
        cache.write(&key("a"), b"code");
        fs::copy(cache.path(&key("b")), cache.path(&key("a"))).unwrap();
        assert_eq!(read(&cache, "a"), None);
        for at in [0, MAC_BYTES - 1, MAC_BYTES, MAC_BYTES + 3] {
            cache.write(&key("a"), b"code");
            let mut bytes = fs::read(cache.path(&key("a"))).unwrap();
            bytes[at] ^= 1;
            fs::write(cache.path(&key("a")), &bytes).unwrap();
            assert_eq!(read(&cache, "a"), None, "byte {at}");
        }
        for length in [0, 10, MAC_BYTES, MAC_BYTES + 3] {
            cache.write(&key("a"), b"code");
            let bytes = fs::read(cache.path(&key("a"))).unwrap();
            fs::write(cache.path(&key("a")), &bytes[..length]).unwrap();
            assert_eq!(read(&cache, "a"), None, "{length} bytes");
        }
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let dir = tempfile::tempdir().unwrap();
        let cache = open(dir.path(), 3 * (100 + MAC_BYTES as u64));
        for (age, name) in [(50, "in use"), (40, "old"), (30, "read"), (20, "new"), (10, "newest")] {
            cache.write(&key(name), &[0; 100]);
            let file = File::open(cache.path(&key(name))).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        }
        assert!(read(&cache, "read").is_some());
        let draft = dir.path().join("draft-x");
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
    fn processes_that_share_a_folder_see_whole_entries() {
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
                            read(&cache, "shared").expect("an entry that is written is never half there");
                        assert!(seen.len() == 100_000 && seen.iter().all(|byte| *byte == seen[0]));
                        cache.evict(&HashSet::from([key("shared")])).unwrap();
                    }
                });
            }
        });
    }
}
