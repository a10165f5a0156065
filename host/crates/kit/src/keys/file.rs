//! The key file `app.key`. It is made once, with mode 0600. Processes that start at the same
//! time all get the same key.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use base64::Engine;

use super::{BASE64, KEY_BYTES, KeyError, parse};
use crate::hex::hex;
use crate::operator_dir::OperatorDir;

/// The name of the key file.
pub const KEY_FILE: &str = "app.key";

/// The key of a folder.
pub(super) struct FolderKey {
    pub(super) key: [u8; KEY_BYTES],
    /// The key file.
    pub(super) path: PathBuf,
    /// The file was made just now.
    pub(super) is_new: bool,
}

/// Reads the folder's key. Makes it first if there is none.
pub(super) fn read_or_make(dir: &OperatorDir) -> Result<FolderKey, KeyError> {
    let path = dir.file(KEY_FILE)?.path().to_owned();
    let at_path = |source| KeyError::File { path: path.clone(), source };
    let (text, is_new) = match fs::read_to_string(&path) {
        Ok(text) => (text, false),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let made = make(dir.path(), &path).map_err(at_path)?;
            (fs::read_to_string(&path).map_err(at_path)?, made)
        }
        Err(error) => return Err(at_path(error)),
    };
    let key = parse(&text, &path.display().to_string())?;
    warn_if_open(&path);
    Ok(FolderKey { key, path, is_new })
}

/// Writes a new key to a file with a unique name, then links it to `path`. A link never
/// replaces a file and never shows half of one, so a process that comes second uses the
/// key of the first. Returns whether this key is the one at `path`.
fn make(dir: &Path, path: &Path) -> io::Result<bool> {
    make_dir(dir)?;
    let mut bytes = [0u8; KEY_BYTES + 8];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let (key, suffix) = bytes.split_at(KEY_BYTES);
    let draft = dir.join(format!("{KEY_FILE}.{}", hex(suffix)));

    let linked = write_private(&draft, &format!("base64:{}\n", BASE64.encode(key)))
        .and_then(|()| fs::hard_link(&draft, path));
    // The draft is removed even if the link failed.
    let removed = fs::remove_file(&draft);
    match linked {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
        Err(error) => return Err(error),
    }
    removed?;
    // Without this, a crash of the system may lose the file, and with it all sealed data.
    fs::File::open(dir)?.sync_all()?;
    Ok(true)
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn make_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Warns if other users may read the file. It is not an error, because some volume drivers
/// widen the mode of every file.
fn warn_if_open(path: &Path) {
    #[cfg(unix)]
    if let Ok(meta) = fs::metadata(path) {
        let mode = std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o777;
        if mode & 0o077 != 0 {
            tracing::warn!(file = %path.display(), "other users can read this key (mode {mode:03o}): run `chmod 600` on it");
        }
    }
}
