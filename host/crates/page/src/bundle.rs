//! A compiled page as it lies in the code cache: every file that went into it and its
//! script's machine code. What is loaded from it is the page as it was compiled,
//! whatever has become of the files.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use sluice_sandbox::Sandbox;
use sluice_sandbox::cache::Authentic;
use sluice_template::{Includes, Template};
use sluice_text::source::Source;

use super::failures::ScriptFiles;
use super::modules::{self, ScriptFile};
use super::{PageContent, PageScript, PageSource};

/// What a page's files are to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    Module,
    Layout,
    Component,
}

/// A file that a page uses, under the name that it uses.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Used {
    pub role: Role,
    /// `validators`, `checkout/header`.
    pub name: String,
    /// Relative to the brand's folder.
    pub file: String,
    pub text: String,
}

/// Everything of a bundle but the machine code.
#[derive(Serialize, Deserialize)]
pub struct Header {
    pub file: String,
    pub text: String,
    pub used: Vec<Used>,
}

/// Header length, header, machine code (empty where the page has no script).
pub fn write(header: &Header, machine_code: &[u8]) -> Result<Vec<u8>, String> {
    let header = rmp_serde::to_vec(header).map_err(|error| error.to_string())?;
    let length = u32::try_from(header.len()).map_err(|error| error.to_string())?;
    Ok([&length.to_le_bytes(), header.as_slice(), machine_code].concat())
}

/// Makes a page of a bundle.
///
/// # Errors
/// Only what a changed host can cause: the bundle is of another form.
pub fn read(sandbox: &Sandbox, bundle: Authentic) -> Result<PageContent, String> {
    let (length, rest) = bundle.bytes().split_first_chunk().ok_or("it is cut short")?;
    let length = u32::from_le_bytes(*length) as usize;
    let header = rest.get(..length).ok_or("it is cut short")?;
    let header: Header = rmp_serde::from_slice(header).map_err(|error| error.to_string())?;
    let source = Source { file: header.file.clone(), text: header.text.clone() };
    let parts = PageSource::new(source).map_err(|failure| failure.to_string())?;
    let template =
        Template::compile(&header.file, &parts.html, &header).map_err(|error| error.to_string())?;
    let script = match parts.script {
        None => PageScript::None,
        Some(own) => {
            let code = bundle.tail(4 + length).ok_or("it is cut short")?;
            let script = sandbox.load_machine_code(&code).map_err(|error| error.to_string())?;
            PageScript::Ready { script, files: script_files(own, &header.used)? }
        }
    };
    Ok(PageContent { script, template: Ok(template) })
}

fn script_files(own: ScriptFile, used: &[Used]) -> Result<ScriptFiles, String> {
    let mut files = BTreeMap::from([(own.source.file.clone(), own)]);
    for used in used.iter().filter(|used| used.role == Role::Module) {
        let source = Source { file: used.file.clone(), text: used.text.clone() };
        files.insert(used.file.clone(), modules::script_file(source)?);
    }
    Ok(ScriptFiles::all(Arc::new(files)))
}

impl Header {
    fn find(&self, role: Role, name: &str) -> Option<(String, String)> {
        let found = self.used.iter().find(|used| used.role == role && used.name == name)?;
        Some((found.file.clone(), found.text.clone()))
    }
}

/// A page that compiled names only what is here.
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
