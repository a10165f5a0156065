//! A published page: its script as machine code, and its template. A page that does not
//! compile holds the reason instead.

#![deny(unsafe_code)]

pub mod bundle;
pub mod diagnostic;
pub mod exports;
pub mod extract;
pub mod failures;
pub mod globals;
pub mod job;
pub mod modules;
pub mod page_cache;
mod places;
pub mod reports;
mod script_file;
pub mod store;
mod wording;

use std::sync::Arc;

use serde::Deserialize;

use sluice_files::UploadRules;
use sluice_http::cors::Cors;
use sluice_http::headers::NamedHeaders;
use sluice_http::method::Methods;
use sluice_limits::Limits;
use sluice_page_cache::CacheRules;
use sluice_sandbox::cache::CacheKey;
use sluice_sandbox::compile::{CompileQuota, Compiled, Unit};
use sluice_sandbox::outcome::Failure;
use sluice_sandbox::tier::{CompiledFunctions, PageComponent};
use sluice_sandbox::{Sandbox, Script};
use sluice_session::rate::Rate;
use sluice_template::{Includes, Template, TemplateError};
use sluice_text::source::{HOLE, Source};

use extract::extract;
use failures::ScriptFiles;
use modules::{CompileError, ModuleSource};
use script_file::ScriptFile;

/// The response of a page whose script fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// The page if a GET request made the script throw an ordinary exception, and otherwise a plain
    /// response with status 500. A run that exceeded a limit always gets the latter, because
    /// a visitor may be able to cause that. So do a POST, a page without markup, a page that does
    /// not compile, and a request that asks for JSON.
    #[default]
    Auto,
    /// The page, with everything that the script did before it failed. Visitors who can make the
    /// script fail then see everything that the script should protect.
    Page,
    /// A plain response with status 500.
    Error,
}

/// A page as visitors get it: its settings, and a reference to its content.
pub struct Page {
    /// The file below the brand's folder: `pages/weight/checkin.html`.
    pub file: String,
    /// The path that the page answers: `/weight/checkin`, `/blog/{slug}`.
    pub route: String,
    /// What the page's files were compiled to.
    pub content: ContentRef,
    /// The limits of one run of its script.
    pub limits: Limits,
    /// What a visitor gets when the script fails.
    pub on_error: OnError,
    /// The methods that it accepts.
    pub methods: Methods,
    /// The further request headers that its script sees.
    pub headers: NamedHeaders,
    /// Whether its script gets the bytes of a body as they came.
    pub raw_body: bool,
    /// The files that it takes.
    pub uploads: Option<Arc<UploadRules>>,
    /// Whether its answers to GET may be kept for other visitors.
    pub cache: Option<Arc<CacheRules>>,
    /// Which other origins may call it from a browser.
    pub cors: Option<Cors>,
    /// Whether requests that other sites cause may change something here.
    pub cross_origin: bool,
    /// How many requests one client address may send.
    pub rate: Option<Rate>,
}

/// A reference to the content of a page.
#[derive(Clone)]
pub struct ContentRef {
    /// A hash of everything that the content was compiled from.
    pub key: CacheKey,
    /// The content, if it is held in memory. `None` if it is in the code cache: then the
    /// first request that needs it loads it.
    pub held: Option<Arc<PageContent>>,
}

/// What a page's files were compiled to.
pub struct PageContent {
    /// The page's backend script.
    pub script: PageScript,
    /// The page's template, or why it does not compile.
    pub template: Result<Template, Failure>,
    /// Whether the page's file contains anything besides scripts.
    pub has_markup: bool,
}

/// The script of a page.
pub enum PageScript {
    /// The page has no backend script.
    None,
    /// The script can run.
    Ready {
        /// The loaded machine code.
        script: Script,
        /// The files that a failure of the script can point into.
        files: ScriptFiles,
    },
    /// The script does not compile, for this reason.
    Broken(Failure),
}

impl PageScript {
    /// Whether there is a script that can run.
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready { .. })
    }
}

/// A page as a WebAssembly component.
pub struct BuiltPage {
    /// The component, as `sluice build` writes it.
    pub component: Vec<u8>,
    /// The size of the QuickJS bytecode in the component, in bytes.
    pub bytecode_bytes: usize,
    /// How many of its functions are compiled to WebAssembly; `None` if the engine interprets it.
    pub compiled: Option<CompiledFunctions>,
    /// The files that a failure of the script can point into.
    pub files: ScriptFiles,
}

/// The two halves of a page file: script and template.
pub struct PageSource {
    /// All script blocks of the page together. `None` if the page has no backend script.
    pub script: Option<ScriptFile>,
    /// Each script block by itself. Empty unless there are several.
    pub blocks: Vec<ScriptFile>,
    /// The page as the template sees it: a script is a hole, which keeps the positions of
    /// what follows.
    pub html: String,
    /// A failure that names the first backend script in a place where scripts are not
    /// allowed.
    pub misplaced: Option<Failure>,
}

impl PageSource {
    /// Whether the page has anything besides scripts and white space.
    pub fn has_markup(&self) -> bool {
        has_markup(&self.html)
    }

    /// Splits a page file into its script and its template.
    ///
    /// # Errors
    /// The HTML parser gave up on the file.
    pub fn new(source: Source) -> Result<Self, Failure> {
        let extracted = extract(&source.text).map_err(|error| at(&source, 0, "HtmlError", &error))?;
        let misplaced =
            extracted.misplaced.map(|(offset, misplaced)| at(&source, offset, "SyntaxError", &misplaced));
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

    /// Compiles the script with everything that it imports into a page component. The
    /// result is `None` if the page has no script. Pages of the same `brand` share the
    /// sandboxes in which scripts are compiled.
    ///
    /// # Errors
    /// [`CompileError::Author`] for a mistake in the author's files, with positions in
    /// these files; [`CompileError::Host`] if the host fails.
    pub async fn build(
        &self,
        sandbox: &Sandbox,
        modules: &(dyn ModuleSource + Sync),
        limits: &Limits,
        brand: &str,
    ) -> Result<Option<BuiltPage>, CompileError> {
        if let Some(failure) = &self.misplaced {
            return Err(CompileError::Author(failure.clone()));
        }
        let Some(script) = &self.script else { return Ok(None) };
        let mut quota = CompileQuota::new(limits, brand);
        for block in &self.blocks {
            check_alone(sandbox, block, &mut quota).await?;
        }
        let graph = modules::compile(sandbox, script.clone(), modules, limits, &mut quota).await?;
        let PageComponent { component, compiled } =
            sandbox.page(&graph.bytecode, &graph.source_hash).map_err(sluice_sandbox::SandboxError::from)?;
        let bytecode_bytes = graph.bytecode.len();
        Ok(Some(BuiltPage { component, bytecode_bytes, compiled, files: graph.files }))
    }
}

/// Whether a page has anything besides scripts, comments and white space. `html` has holes for the
/// scripts.
pub fn has_markup(html: &str) -> bool {
    let mut from = 0;
    let mut shown = Vec::new();
    for comment in sluice_template::comments(html, &[]) {
        shown.push(html.get(from..comment.start));
        from = comment.end;
    }
    shown.push(html.get(from..));
    let mut chars = shown.into_iter().flatten().flat_map(str::chars);
    chars.any(|c| c != HOLE && !c.is_whitespace())
}

/// Checks that a block parses by itself: a statement cannot begin in one block and end in
/// another.
async fn check_alone(
    sandbox: &Sandbox,
    block: &ScriptFile,
    quota: &mut CompileQuota,
) -> Result<(), CompileError> {
    let unit =
        Unit { code: String::new(), file: block.source.file.clone(), source: block.script.to_string() };
    match sandbox.compile(&[unit], quota).await? {
        // Imports are resolved when the whole page is compiled.
        Compiled::Bytecode(_) | Compiled::Incomplete(_) => Ok(()),
        Compiled::Failed(failure) => {
            let files = ScriptFiles::of(block.clone());
            Err(CompileError::Author(files.in_author_terms(failure)))
        }
    }
}

/// A page's content, and its script's machine code for the code cache.
pub struct CompiledPage {
    /// What is served.
    pub content: PageContent,
    /// Empty if there is no script, or if it does not compile.
    pub machine_code: Vec<u8>,
}

/// Compiles a page file of `brand` for serving. If the script or the template does not compile,
/// the content holds the reason.
pub async fn compile<F>(
    sandbox: &Sandbox,
    source: Source,
    files: &F,
    limits: &Limits,
    brand: &str,
) -> CompiledPage
where
    F: ModuleSource + Includes + Sync,
{
    let file = source.file.clone();
    let parts = match PageSource::new(source) {
        Ok(parts) => parts,
        Err(failure) => return CompiledPage::broken(failure),
    };
    let template = Template::compile(&file, &parts.html, files).map_err(template_failure);
    let built = match parts.build(sandbox, files, limits, brand).await {
        Ok(None) => Ok((PageScript::None, Vec::new())),
        Ok(Some(built)) => sandbox
            .load_and_keep(&built.component)
            .map(|(script, code)| (PageScript::Ready { script, files: built.files }, code))
            .map_err(|error| Failure::new("HostError", error.to_string())),
        Err(CompileError::Author(failure)) => Err(failure),
        Err(CompileError::Host(error)) => Err(Failure::new("HostError", error.to_string())),
    };
    let (script, machine_code) = built.unwrap_or_else(|failure| (PageScript::Broken(failure), Vec::new()));
    let has_markup = parts.has_markup();
    CompiledPage { content: PageContent { script, template, has_markup }, machine_code }
}

impl CompiledPage {
    /// A page whose script and template are both missing, for the same reason.
    pub fn broken(failure: Failure) -> Self {
        let template = Err(failure.clone());
        Self {
            content: PageContent { script: PageScript::Broken(failure), template, has_markup: false },
            machine_code: Vec::new(),
        }
    }
}

impl PageContent {
    /// Why the script or the template does not compile, for the page's author. Empty if
    /// both compile.
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

    /// Words the reason why the script does not compile in another way.
    pub fn reword(&mut self, reword: impl FnOnce(Failure) -> Failure) {
        if let PageScript::Broken(failure) = &mut self.script {
            *failure = reword(failure.clone());
        }
    }
}

impl ContentRef {
    /// Whether the script and the template compiled. Content that is not held in memory
    /// did: the code cache never stores any other.
    pub fn is_whole(&self) -> bool {
        self.held.as_ref().is_none_or(|content| content.problems().is_empty())
    }
}

/// Turns a template's error into a failure of its page.
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

fn at(source: &Source, offset: usize, name: &str, problem: &dyn std::error::Error) -> Failure {
    let position = source.position(offset);
    let mut failure = Failure::new(name, problem.to_string());
    failure.file = source.file.clone();
    (failure.line, failure.column) = (position.line, position.column);
    failure
}
