//! Keeps files in a folder, one folder for each brand.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::id::FileId;
use crate::kept::Kept;

/// What stands for the slash of a name in a name of the file system.
const SLASH: char = '+';
/// The beginning of the names of files that are being written.
const DRAFT: &str = ".draft-";
/// Nobody writes a file for so long. A draft that is older is left of a host that was killed.
const DRAFT_AGE_MAX: Duration = Duration::from_secs(60 * 60);

/// A store in a folder.
#[derive(Debug, Clone)]
pub(crate) struct FolderStore {
    path: PathBuf,
}

impl FolderStore {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    fn of(&self, brand: &str) -> PathBuf {
        self.path.join(brand)
    }

    fn file(&self, brand: &str, id: &FileId) -> PathBuf {
        self.of(brand).join(id.as_str().replace('/', &SLASH.to_string()))
    }

    /// Writes a file whole, or not at all.
    pub(crate) fn put(&self, brand: &str, id: &FileId, mut from: File, bytes: u64) -> io::Result<()> {
        let folder = self.of(brand);
        std::fs::create_dir_all(&folder)?;
        let mut draft = tempfile::Builder::new().prefix(DRAFT).tempfile_in(&folder)?;
        from.seek(SeekFrom::Start(0))?;
        let copied = io::copy(&mut from.take(bytes), draft.as_file_mut())?;
        if copied != bytes {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        draft.as_file().sync_all()?;
        draft.persist_noclobber(self.file(brand, id)).map_err(|error| error.error)?;
        File::open(&folder)?.sync_all()
    }

    pub(crate) fn open(&self, brand: &str, id: &FileId) -> io::Result<Option<(File, u64, SystemTime)>> {
        let file = match File::open(self.file(brand, id)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let about = file.metadata()?;
        Ok(Some((file, about.len(), about.modified()?)))
    }

    /// Returns whether there was a file.
    pub(crate) fn delete(&self, brand: &str, id: &FileId) -> io::Result<bool> {
        remove(&self.file(brand, id))
    }

    /// The files of a brand whose ids begin with `prefix` and come after `after`, in order. Deletes drafts that
    /// nobody writes any more.
    pub(crate) fn list(&self, brand: &str, prefix: &str, after: &str, limit: usize) -> io::Result<Vec<Kept>> {
        let folder = self.of(brand);
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            read => read?,
        };
        let mut ids = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            if name.to_str().is_some_and(|name| name.starts_with(DRAFT)) {
                remove_if_old(&folder.join(name))?;
                continue;
            }
            let id = name.to_str().and_then(|name| FileId::parse(&name.replace(SLASH, "/")));
            ids.extend(id.filter(|id| id.as_str().starts_with(prefix) && id.as_str() > after));
        }
        ids.sort_unstable();
        ids.truncate(limit);
        let kept = ids.into_iter().filter_map(|id| kept(&self.file(brand, &id), id).transpose());
        kept.collect()
    }
}

fn remove(path: &Path) -> io::Result<bool> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        done => done.map(|()| true),
    }
}

fn remove_if_old(draft: &Path) -> io::Result<()> {
    let modified = match std::fs::metadata(draft) {
        // It was written or deleted meanwhile.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        about => about?.modified()?,
    };
    if modified.elapsed().is_ok_and(|age| age > DRAFT_AGE_MAX) {
        remove(draft)?;
    }
    Ok(())
}

/// `None` if the file was deleted meanwhile.
fn kept(path: &Path, id: FileId) -> io::Result<Option<Kept>> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        about => {
            let about = about?;
            Ok(Some(Kept { id, bytes: about.len(), kept_at: about.modified()? }))
        }
    }
}
