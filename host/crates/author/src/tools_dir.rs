//! `.sluice/` in a site's folder: the scripts of its pages, extracted for editors. The folder
//! can be deleted at any time.

use std::io;
use std::path::{Path, PathBuf};

const NAME: &str = ".sluice";
/// Keeps the whole folder out of version control.
const GIT_IGNORE: &str = "*\n";

/// Creates the folder below `dir` if it is missing, and returns its path.
///
/// # Errors
/// The folder or its `.gitignore` cannot be created.
pub fn make(dir: &Path) -> io::Result<PathBuf> {
    let tools = dir.join(NAME);
    std::fs::create_dir_all(&tools)?;
    let ignore = tools.join(".gitignore");
    if !ignore.exists() {
        std::fs::write(ignore, GIT_IGNORE)?;
    }
    Ok(tools)
}
