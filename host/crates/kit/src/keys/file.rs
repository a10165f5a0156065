//! The key file `app.key`: made once, mode 0600, the same for all who start at once.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use base64::Engine;

use super::{BASE64, KEY_BYTES, KeyError, parse};

const FILE_NAME: &str = "app.key";

/// The key of a folder, and how it came about.
pub(super) struct FolderKey {
    pub key: [u8; KEY_BYTES],
    pub path: PathBuf,
    pub is_new: bool,
}

/// Reads the folder's key, making it first if there is none.
pub(super) fn read_or_make(dir: &Path) -> Result<FolderKey, KeyError> {
    let path = dir.join(FILE_NAME);
    let at_path = |source| KeyError::File { path: path.clone(), source };
    let (text, is_new) = match fs::read_to_string(&path) {
        Ok(text) => (text, false),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let made = make(dir, &path).map_err(at_path)?;
            (fs::read_to_string(&path).map_err(at_path)?, made)
        }
        Err(error) => return Err(at_path(error)),
    };
    let key = parse(&text, &path.display().to_string())?;
    warn_if_open(&path);
    Ok(FolderKey { key, path, is_new })
}

/// Writes a fresh key under a name of its own and links it into place: a link
/// never replaces a file and never shows half of one, so whoever comes second
/// uses the first one's key. Says whether this one became the key.
fn make(dir: &Path, path: &Path) -> io::Result<bool> {
    make_dir(dir)?;
    let mut bytes = [0u8; KEY_BYTES + 8];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let (key, suffix) = bytes.split_at(KEY_BYTES);
    let suffix: String = suffix.iter().map(|byte| format!("{byte:02x}")).collect();
    let draft = dir.join(format!("{FILE_NAME}.{suffix}"));

    let linked = write_private(&draft, &format!("base64:{}\n", BASE64.encode(key)))
        .and_then(|()| fs::hard_link(&draft, path));
    // Whatever became of the link, the draft must not stay behind.
    let removed = fs::remove_file(&draft);
    match linked {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
        Err(error) => return Err(error),
    }
    removed?;
    // What is sealed with this key is lost if the folder forgets the file.
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

/// Some volume drivers widen every file's mode, so this is a warning and no error.
fn warn_if_open(path: &Path) {
    #[cfg(unix)]
    if let Ok(meta) = fs::metadata(path) {
        let mode = std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o777;
        if mode & 0o077 != 0 {
            tracing::warn!(file = %path.display(), "mode is {mode:03o}: others may read this key; it should be 600");
        }
    }
}
