//! `.sluice/` in a site's folder: the scripts of its pages, extracted for editors. The folder
//! can be deleted at any time.

use sluice_kit::folder::{Folder, OpenError};

const NAME: &str = ".sluice";
/// Keeps the whole folder out of version control.
const GIT_IGNORE: &[u8] = b"*\n";

/// Creates the folder in `site` if it is missing, and opens it.
///
/// # Errors
/// The folder or its `.gitignore` cannot be created, or is a link.
pub fn make(site: &Folder) -> Result<Folder, OpenError> {
    let tools = site.make(NAME)?;
    tools.write_new(".gitignore", GIT_IGNORE)?;
    Ok(tools)
}
