//! The script of a page or module file.

use std::sync::Arc;

use sluice_text::source::{Position, Source};

use super::extract::{HtmlError, Misplaced, extract};

/// A script that is ready to compile: the author's text and the JavaScript in it.
#[derive(Debug, Clone)]
pub struct ScriptFile {
    /// The file as its author wrote it.
    pub source: Arc<Source>,
    /// The JavaScript of the file. Each byte has the offset that it has in the file;
    /// everything else is blank.
    pub script: Arc<str>,
}

/// Why a file has no usable script.
#[derive(Debug, thiserror::Error)]
pub enum ScriptFileError {
    /// The HTML parser gave up.
    #[error(transparent)]
    Html(#[from] HtmlError),
    /// A backend script stands where scripts are not allowed.
    #[error("{file}:{}:{}: {misplaced}", .place.line, .place.column)]
    Misplaced {
        /// Relative to the brand's folder.
        file: String,
        /// Where the script's start tag begins.
        place: Position,
        /// What is wrong there.
        misplaced: Misplaced,
    },
}

/// The script of a file: all of a `.js` file, the backend scripts of an `.html` file.
///
/// # Errors
/// The HTML cannot be parsed, or a backend script stands where none is allowed.
pub fn script_file(source: Source) -> Result<ScriptFile, ScriptFileError> {
    let script = if source.file.ends_with(".html") {
        let extracted = extract(&source.text)?;
        if let Some((offset, misplaced)) = extracted.misplaced {
            let place = source.position(offset);
            return Err(ScriptFileError::Misplaced { file: source.file, place, misplaced });
        }
        source.script(&extracted.blocks)
    } else {
        source.text.clone()
    };
    Ok(ScriptFile { source: Arc::new(source), script: script.into() })
}
