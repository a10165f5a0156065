//! A published page: its script as machine code and its template, or why it
//! has neither.

#![deny(unsafe_code)]

pub mod bundle;
pub mod diagnostic;
mod exports;
pub mod extract;
pub mod failures;
pub mod globals;
pub mod modules;
mod places;
pub mod store;
mod wording;

use std::sync::Arc;

use serde::Deserialize;

use sluice_limits::Limits;
use sluice_sandbox::cache::CacheKey;
use sluice_sandbox::compile::{Compiled, Unit};
use sluice_sandbox::outcome::Failure;
use sluice_sandbox::{Sandbox, Script};
use sluice_session::rate::Rate;
use sluice_template::{Includes, Template, TemplateError};
use sluice_text::source::Source;

use extract::extract;
use failures::ScriptFiles;
use modules::{CompileError, ModuleSource, ScriptFile};

/// The response of a page whose script fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// The page, with everything that the script did before it failed.
    #[default]
    Page,
    /// A plain response with status 500.
    Error,
}

/// A page as visitors get it: its settings, and where its content is.
pub struct Page {
    /// `pages/weight/checkin.html`.
    pub file: String,
    /// `/weight/checkin`, `/blog/{slug}`.
    pub route: String,
    pub content: ContentRef,
    pub limits: Limits,
    pub on_error: OnError,
    /// Other sites may POST here.
    pub cross_origin: bool,
    /// Requests that one address may send.
    pub rate: Option<Rate>,
}

/// The content of a page, by what went into it.
#[derive(Clone)]
pub struct ContentRef {
    pub key: CacheKey,
    /// None: it is in the code cache, and loaded when it is asked for.
    pub held: Option<Arc<PageContent>>,
}

/// What a page's files were compiled to.
pub struct PageContent {
    pub script: PageScript,
    pub template: Result<Template, Failure>,
}

/// The script of a page.
pub enum PageScript {
    None,
    Ready {
        script: Script,
        /// Where its failures can point.
        files: ScriptFiles,
    },
    /// It does not compile.
    Broken(Failure),
}

impl PageScript {
    /// Whether there is a script that can run.
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready { .. })
    }
}

/// What `sluice build` writes and reports.
pub struct BuiltPage {
    pub component: Vec<u8>,
    pub bytecode_bytes: usize,
    pub files: ScriptFiles,
}

/// The two halves of a page file.
pub struct PageSource {
    /// None when the page has no backend script.
    pub script: Option<ScriptFile>,
    /// Each script block by itself, when there are several.
    pub blocks: Vec<ScriptFile>,
    /// The page as the template sees it: scripts are holes.
    pub html: String,
    /// A backend script where none can be.
    pub misplaced: Option<Failure>,
}

impl PageSource {
    /// Takes a page file apart.
    ///
    /// # Errors
    /// The HTML parser gave up on it.
    pub fn new(source: Source) -> Result<Self, Failure> {
        let extracted = extract(&source.text).map_err(|message| at(&source, 0, "HtmlError", message))?;
        let misplaced =
            extracted.misplaced.map(|(offset, message)| at(&source, offset, "SyntaxError", message));
        let html = source.with_holes(&extracted.holes);
        let source = Arc::new(source);
        let file = |blocks: &[std::ops::Range<usize>]| ScriptFile {
            source: Arc::clone(&source),
            script: source.script(blocks).into(),
        };
        let script = (!extracted.blocks.is_empty()).then(|| file(&extracted.blocks));
        let blocks = match extracted.blocks.as_slice() {
            [] | [_] => Vec::new(),
            several => several.iter().map(|block| file(std::slice::from_ref(block))).collect(),
        };
        Ok(Self { script, blocks, html, misplaced })
    }

    /// Compiles the script with everything it imports into a page component.
    /// None when the page has no script.
    ///
    /// # Errors
    /// The author's mistakes, in the author's terms, or the host's own.
    pub async fn build(
        &self,
        sandbox: &Sandbox,
        modules: &(dyn ModuleSource + Sync),
        limits: &Limits,
    ) -> Result<Option<BuiltPage>, CompileError> {
        if let Some(failure) = &self.misplaced {
            return Err(CompileError::Author(failure.clone()));
        }
        let Some(script) = &self.script else { return Ok(None) };
        for block in &self.blocks {
            check_alone(sandbox, block, limits).await?;
        }
        let graph = modules::compile(sandbox, script.clone(), modules, limits).await?;
        let component = sandbox
            .parts
            .page(&graph.bytecode, &graph.source_hash)
            .map_err(sluice_sandbox::SandboxError::from)?;
        Ok(Some(BuiltPage { component, bytecode_bytes: graph.bytecode.len(), files: graph.files }))
    }
}

/// Each block must parse by itself: two halves of a statement are not a script.
async fn check_alone(sandbox: &Sandbox, block: &ScriptFile, limits: &Limits) -> Result<(), CompileError> {
    let unit =
        Unit { code: String::new(), file: block.source.file.clone(), source: block.script.to_string() };
    match sandbox.compile(&[unit], limits).await? {
        // What it imports is looked at when the whole page is compiled.
        Compiled::Bytecode(_) | Compiled::Incomplete(_) => Ok(()),
        Compiled::Failed(failure) => {
            let files = ScriptFiles::of(block.clone());
            Err(CompileError::Author(files.in_author_terms(failure)))
        }
    }
}

/// A page's content, and its script's machine code for the code cache.
pub struct CompiledPage {
    pub content: PageContent,
    /// Empty where there is no script, or it does not compile.
    pub machine_code: Vec<u8>,
}

/// Compiles a page file for serving. What does not compile is in the content, as the
/// reason why.
pub async fn compile<F>(sandbox: &Sandbox, source: Source, files: &F, limits: &Limits) -> CompiledPage
where
    F: ModuleSource + Includes + Sync,
{
    let file = source.file.clone();
    let parts = match PageSource::new(source) {
        Ok(parts) => parts,
        Err(failure) => return CompiledPage::broken(failure),
    };
    let template = Template::compile(&file, &parts.html, files).map_err(template_failure);
    let built = match parts.build(sandbox, files, limits).await {
        Ok(None) => Ok((PageScript::None, Vec::new())),
        Ok(Some(built)) => sandbox
            .load_and_keep(&built.component)
            .map(|(script, code)| (PageScript::Ready { script, files: built.files }, code))
            .map_err(|error| Failure::new("HostError", error.to_string())),
        Err(CompileError::Author(failure)) => Err(failure),
        Err(CompileError::Host(error)) => Err(Failure::new("HostError", error.to_string())),
    };
    let (script, machine_code) = built.unwrap_or_else(|failure| (PageScript::Broken(failure), Vec::new()));
    CompiledPage { content: PageContent { script, template }, machine_code }
}

impl CompiledPage {
    /// A page of which nothing could be made.
    pub fn broken(failure: Failure) -> Self {
        let template = Err(failure.clone());
        Self {
            content: PageContent { script: PageScript::Broken(failure), template },
            machine_code: Vec::new(),
        }
    }
}

impl PageContent {
    /// Why the page is not whole, for its author.
    pub fn problems(&self) -> Vec<Failure> {
        let script = match &self.script {
            PageScript::Broken(failure) => Some(failure.clone()),
            PageScript::None | PageScript::Ready { .. } => None,
        };
        let mut problems: Vec<Failure> =
            script.into_iter().chain(self.template.as_ref().err().cloned()).collect();
        problems.dedup();
        problems
    }
}

impl ContentRef {
    /// Whether both halves of the page compiled. What does not compile is never stored.
    pub fn is_whole(&self) -> bool {
        self.held.as_ref().is_none_or(|content| content.problems().is_empty())
    }
}

/// A template's error as a failure of its page.
pub fn template_failure(error: TemplateError) -> Failure {
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let text = error.text();
    Failure {
        file: error.file,
        line: count(error.line),
        column: count(error.column),
        ..Failure::new("TemplateError", text)
    }
}

fn at(source: &Source, offset: usize, name: &str, message: String) -> Failure {
    let position = source.position(offset);
    let mut failure = Failure::new(name, message);
    failure.file = source.file.clone();
    (failure.line, failure.column) = (position.line, position.column);
    failure
}
