//! The JSON schemas of the settings files, which let editors complete and check them.
//!
//! A settings file names its schema in its first line: `#:schema .sluice/sluice.schema.json`.
//! `tests/reference/` generates the schemas from the types in [`crate::config`].

use std::io;
use std::path::Path;

const FILES: [(&str, &str); 2] = [
    ("sluice.schema.json", include_str!("../../../../docs/schema/sluice.schema.json")),
    ("brand.schema.json", include_str!("../../../../docs/schema/brand.schema.json")),
];

/// Writes `sluice.schema.json` and `brand.schema.json` into `folder`.
///
/// # Errors
/// A file cannot be written.
pub fn write(folder: &Path) -> io::Result<()> {
    for (name, schema) in FILES {
        std::fs::write(folder.join(name), schema)?;
    }
    Ok(())
}
