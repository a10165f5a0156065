//! Tools for the authors of pages: a single request (`sluice run`), tests (`sluice test`), types
//! for editors (`sluice types`) and development mode (`sluice dev`).
//!
//! `sluice run` and `sluice test` serve requests with the server's own code, on a temporary
//! database that is deleted when the command ends.

#![deny(unsafe_code)]

pub mod behind;
pub mod dev;
pub mod scratch;
pub mod testing;
pub mod tools_dir;
pub mod types;
pub mod visit;
pub mod visitor;
pub mod watch;

use sluice_kit::folder::FolderPath;
use sluice_sandbox::outcome::Failure;
use sluice_site::files;
use sluice_text::excerpt::excerpt;
use sluice_text::source::Position;

/// An error of another crate that these tools only pass on.
///
/// It is boxed because the tools do not distinguish its cases: they print it and stop.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The line of a brand's file that a failure points at, with a mark under the position.
///
/// `None` if the failure has no position, or the line cannot be read.
pub fn source_line(brand_dir: &FolderPath, failure: &Failure) -> Option<String> {
    if failure.line == 0 {
        return None;
    }
    let source = files::read(brand_dir, &failure.file).ok()?;
    let line = source.line(Position { line: failure.line, column: failure.column })?;
    Some(excerpt(line, failure.column as usize))
}
