//! A compiled page in the code cache: every file that it was compiled from, and its
//! script's machine code. Loading a bundle gives the page as it was compiled, even if the
//! files have changed since.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use sluice_sandbox::cache::Authentic;
use sluice_sandbox::outcome::Failure;
use sluice_sandbox::{Sandbox, SandboxError};
use sluice_template::{Includes, Template, TemplateError};
use sluice_text::source::Source;

use super::failures::ScriptFiles;
use super::script_file::{ScriptFile, ScriptFileError, script_file};
use super::{PageContent, PageScript, PageSource};

/// What a page uses a file for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// The page's script, or a module of it, imports the file.
    Module,
    /// The page's template extends the file.
    Layout,
    /// A template includes the file with `@component`.
    Component,
}

/// A file that a page uses, under the name by which the page refers to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Used {
    /// What the page uses it for.
    pub role: Role,
    /// The name in the page: `validators`, `checkout/header`.
    pub name: String,
    /// Relative to the brand's folder.
    pub file: String,
    /// The text of the file when the page was compiled.
    pub text: String,
}

/// A bundle without its machine code.
#[derive(Serialize, Deserialize)]
pub struct Header {
    /// The page's file, relative to the brand's folder.
    pub file: String,
    /// The text of the page's file.
    pub text: String,
    /// Every other file that the page uses.
    pub used: Vec<Used>,
}

/// Why a page cannot be put into a bundle.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error(transparent)]
    Encode(#[from] rmp_serde::encode::Error),
    #[error("its files have {0} bytes, more than a bundle can hold")]
    TooLong(usize),
}

/// Why a bundle cannot be used. Each case means that another version of the host wrote it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("it is cut short")]
    CutShort,
    #[error(transparent)]
    Decode(#[from] rmp_serde::decode::Error),
    #[error("{0}")]
    Page(Failure),
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error(transparent)]
    Module(#[from] ScriptFileError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

/// Encodes a bundle: the length of the header, the header, and the machine code (empty if
/// the page has no script).
///
/// # Errors
/// The header has no encoding, or is too long for one.
pub(crate) fn write(header: &Header, machine_code: &[u8]) -> Result<Vec<u8>, WriteError> {
    let header = rmp_serde::to_vec(header)?;
    let length = u32::try_from(header.len()).map_err(|_| WriteError::TooLong(header.len()))?;
    Ok([&length.to_le_bytes(), header.as_slice(), machine_code].concat())
}

/// Loads a page from a bundle.
///
/// # Errors
/// The bundle has a form that this version of the host does not know.
pub(crate) fn read(sandbox: &Sandbox, bundle: Authentic) -> Result<PageContent, ReadError> {
    let (length, rest) = bundle.bytes().split_first_chunk().ok_or(ReadError::CutShort)?;
    let length = u32::from_le_bytes(*length) as usize;
    let header = rest.get(..length).ok_or(ReadError::CutShort)?;
    let header: Header = rmp_serde::from_slice(header)?;
    let source = Source { file: header.file.clone(), text: header.text.clone() };
    let parts = PageSource::new(source).map_err(ReadError::Page)?;
    let template = Template::compile(&header.file, &parts.html, &header)?;
    let has_markup = parts.has_markup();
    let script = match parts.script {
        None => PageScript::None,
        Some(own) => {
            let code = bundle.tail(4 + length).ok_or(ReadError::CutShort)?;
            let script = sandbox.load_machine_code(&code)?;
            PageScript::Ready { script, files: script_files(own, &header.used)? }
        }
    };
    Ok(PageContent { script, template: Ok(template), has_markup })
}

fn script_files(own: ScriptFile, used: &[Used]) -> Result<ScriptFiles, ScriptFileError> {
    let mut files = BTreeMap::from([(own.source.file.clone(), own)]);
    for used in used.iter().filter(|used| used.role == Role::Module) {
        let source = Source { file: used.file.clone(), text: used.text.clone() };
        files.insert(used.file.clone(), script_file(source)?);
    }
    Ok(ScriptFiles::new(files))
}

impl Header {
    fn find(&self, role: Role, name: &str) -> Option<(String, String)> {
        let found = self.used.iter().find(|used| used.role == role && used.name == name)?;
        Some((found.file.clone(), found.text.clone()))
    }
}

/// The bundle holds every file that the page names. Lists of names serve suggestions only,
/// and a page that has compiled needs none.
impl Includes for Header {
    fn layout(&self, name: &str) -> Option<(String, String)> {
        self.find(Role::Layout, name)
    }

    fn component(&self, name: &str) -> Option<(String, String)> {
        self.find(Role::Component, name)
    }

    fn layout_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn component_names(&self) -> Vec<String> {
        Vec::new()
    }
}
