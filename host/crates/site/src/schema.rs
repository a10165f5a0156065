//! The JSON schemas of the settings files, which let editors complete and check them.
//!
//! A settings file names its schema in its first line: `#:schema .sluice/sluice.schema.json`.
//! `tests/reference/` generates the schemas from the types in [`crate::config`].

use sluice_kit::folder::{Folder, ReplaceError};

/// A file with another second line was not written here and is not replaced.
const MARKER: &str = "  \"$comment\": \"Written by `sluice types`, and written again when that runs.\",";
const FILES: [(&str, &str); 2] = [
    ("sluice.schema.json", include_str!("../../../../docs/schema/sluice.schema.json")),
    ("brand.schema.json", include_str!("../../../../docs/schema/brand.schema.json")),
];

/// A schema that was not written.
#[derive(Debug, thiserror::Error)]
#[error("{}/{file}: {fault}; move it away or delete it", folder.display())]
pub struct SchemaError {
    folder: std::path::PathBuf,
    file: &'static str,
    fault: ReplaceError,
}

/// Writes `sluice.schema.json` and `brand.schema.json` into `folder`.
///
/// # Errors
/// A file cannot be written, or was not written by Sluice.
pub fn write(folder: &Folder) -> Result<(), SchemaError> {
    for (file, schema) in FILES {
        let text = schema.replacen("{\n", &format!("{{\n{MARKER}\n"), 1);
        let written = folder.write_ours(file, text.as_bytes(), &is_ours);
        written.map_err(|fault| SchemaError { folder: folder.path().to_owned(), file, fault })?;
    }
    Ok(())
}

fn is_ours(content: &[u8]) -> bool {
    content.split(|byte| *byte == b'\n').nth(1) == Some(MARKER.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_only_schemas_that_it_wrote() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        write(&folder).unwrap();
        let file = dir.path().join("brand.schema.json");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(&text).unwrap()["$comment"].is_string());
        std::fs::write(&file, text.replace("boolean", "string")).unwrap();
        write(&folder).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
        std::fs::write(&file, "{}\n").unwrap();
        assert!(write(&folder).unwrap_err().to_string().contains("brand.schema.json: it was not written"));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "{}\n");
    }
}
