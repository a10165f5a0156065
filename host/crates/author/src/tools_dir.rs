//! `.sluice/` in a site's folder: the scripts of its pages as editors want them. It can be
//! deleted at any time.

use std::io;
use std::path::{Path, PathBuf};

const NAME: &str = ".sluice";
/// Nothing in it belongs into version control.
const GIT_IGNORE: &str = "*\n";

/// The folder below `dir`, made if there is none.
///
/// # Errors
/// It cannot be made.
pub fn make(dir: &Path) -> io::Result<PathBuf> {
    let tools = dir.join(NAME);
    std::fs::create_dir_all(&tools)?;
    let ignore = tools.join(".gitignore");
    if !ignore.exists() {
        std::fs::write(ignore, GIT_IGNORE)?;
    }
    Ok(tools)
}
