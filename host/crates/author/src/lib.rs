//! Tools for those who write pages: one run (`sluice run`), tests (`sluice test`), types for
//! editors (`sluice types`). All of them serve requests as the server does, on a database
//! that goes when they end.

#![deny(unsafe_code)]

pub mod dev;
pub mod scratch;
pub mod testing;
pub mod tools_dir;
pub mod types;
pub mod visit;
pub mod visitor;
pub mod watch;

use std::path::Path;

use sluice_sandbox::outcome::Failure;
use sluice_site::files;
use sluice_text::excerpt::excerpt;
use sluice_text::source::Position;

/// The line of a brand's file that a failure points at, with a mark under the place.
pub fn source_line(brand_dir: &Path, failure: &Failure) -> Option<String> {
    if failure.line == 0 {
        return None;
    }
    let source = files::read(brand_dir, &failure.file).ok()?;
    let line = source.line(Position { line: failure.line, column: failure.column })?;
    Some(excerpt(line, failure.column as usize))
}
