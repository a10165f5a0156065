//! Checks all scripts of a brand: first each by itself, then their imports.

use std::collections::BTreeMap;
use std::sync::Arc;

use sluice_crm::CrmSchema;
use sluice_page::PageSource;
use sluice_page::diagnostic::{Diagnostic, Rule};
use sluice_page::failures::ScriptFiles;
use sluice_page::modules::{self, CompileError, ModuleSource as _, ScriptFile};
use sluice_sandbox::compile::{CompileQuota, Compiled, Unit};
use sluice_sandbox::outcome::{Failure, ImportFault};
use sluice_sandbox::{Sandbox, SandboxError};
use sluice_site::TEST_SUFFIX;
use sluice_site::jobs::JobTargets;
use sluice_text::source::Source;

use super::context::{Brand, path_of};
use super::crm::Declared;
use super::facts::{Facts, Finding};
use super::script::Purpose;
use super::{headers, http, imports, jobs, script, unreadable};

/// A page or a module.
pub(crate) struct Scripted {
    /// The name by which scripts import it.
    code: String,
    /// Empty if a page has no backend script.
    pub(crate) file: ScriptFile,
    pub(crate) facts: Facts,
    /// The page without its scripts. `None` for modules.
    pub(crate) html: Option<String>,
    has_script: bool,
    /// Whether it tests pages. Nothing can import it.
    is_test: bool,
    /// Whether the script does not parse.
    is_broken: bool,
}

/// The pages and modules of a brand.
pub(crate) struct Scripts {
    pub(crate) all: Vec<Scripted>,
    /// The mistakes that each of them has by itself.
    found: Vec<Diagnostic>,
}

impl Scripts {
    /// Reads and parses every page, module and test.
    pub(crate) async fn read(sandbox: &Sandbox, brand: &Brand<'_>) -> Result<Self, SandboxError> {
        let mut scripts = Self { all: Vec::new(), found: Vec::new() };
        let pages = brand.folder.pages.iter().map(|page| format!("pages/{page}"));
        let tests = brand.folder.test_files().unwrap_or_else(|error| {
            scripts.found.push(unreadable(&error));
            Vec::new()
        });
        for file in pages.chain(brand.folder.module_files()).chain(tests).collect::<Vec<_>>() {
            match brand.folder.source(&file) {
                Ok(source) => scripts.add(sandbox, source, brand).await?,
                Err(error) => scripts.found.push(unreadable(&error)),
            }
        }
        Ok(scripts)
    }

    async fn add(
        &mut self,
        sandbox: &Sandbox,
        source: Source,
        brand: &Brand<'_>,
    ) -> Result<(), SandboxError> {
        let file = source.file.clone();
        let purpose = if file.ends_with(TEST_SUFFIX) { Purpose::Test } else { Purpose::Page };
        let is_page = file.starts_with("pages/") && purpose == Purpose::Page;
        let code = code_of(&file);
        let limits = brand.limits(&if is_page { path_of(&file) } else { String::new() });
        let (script, blocks, html) = if file.ends_with(".html") {
            match PageSource::new(source.clone()) {
                Err(failure) => {
                    let found = Diagnostic::of_failure(Rule::Html, &failure, Some(&source));
                    self.found.push(found.help("correct the HTML, or make the file smaller"));
                    return Ok(());
                }
                Ok(parts) => {
                    let misplaced = parts.misplaced.as_ref();
                    self.found.extend(misplaced.map(|failure| {
                        let found = Diagnostic::of_failure(Rule::MisplacedScript, failure, Some(&source));
                        found.help("move it out of the element or the comment that is around it")
                    }));
                    (parts.script, parts.blocks, is_page.then_some(parts.html))
                }
            }
        } else {
            let script: Arc<str> = source.text.as_str().into();
            (Some(ScriptFile { source: Arc::new(source.clone()), script }), Vec::new(), None)
        };
        let has_script = script.is_some();
        let script =
            script.unwrap_or_else(|| ScriptFile { source: Arc::new(source), script: String::new().into() });
        let facts = script::facts(&script.script, purpose);
        let before = self.found.len();
        let mut quota = CompileQuota::new(&limits, brand.id);
        for block in &blocks {
            self.parse(sandbox, block, None, &mut quota).await?;
        }
        if self.found.len() == before && has_script {
            self.parse(sandbox, &script, Some(&facts), &mut quota).await?;
        }
        let is_broken = self.found.len() > before;
        let is_test = purpose == Purpose::Test;
        self.all.push(Scripted { code, file: script, facts, html, has_script, is_test, is_broken });
        Ok(())
    }

    /// Lets QuickJS parse a script. If it does not parse, the mistakes that oxc found are
    /// reported, because its messages are better.
    async fn parse(
        &mut self,
        sandbox: &Sandbox,
        file: &ScriptFile,
        facts: Option<&Facts>,
        quota: &mut CompileQuota,
    ) -> Result<(), SandboxError> {
        let unit =
            Unit { code: String::new(), file: file.source.file.clone(), source: file.script.to_string() };
        let Compiled::Failed(failure) = sandbox.compile(&[unit], quota).await? else { return Ok(()) };
        let own = facts.is_none().then(|| script::facts(&file.script, Purpose::Page));
        let syntax = facts.or(own.as_ref()).map(|facts| facts.syntax.as_slice()).unwrap_or_default();
        if failure.name != "SyntaxError" {
            let failure = Failure { file: file.source.file.clone(), ..failure };
            self.found.push(
                Diagnostic::of_failure(Rule::CompileLimit, &failure, None)
                    .help("split the script into modules, nest it less, or ask for a higher limit"),
            );
        } else if syntax.is_empty() {
            let failure = ScriptFiles::of(file.clone()).in_author_terms(failure);
            self.found.push(Diagnostic::of_failure(Rule::Syntax, &failure, Some(&file.source)));
        } else {
            self.found.extend(syntax.iter().map(|finding| diagnostic(finding, &file.source)));
        }
        Ok(())
    }

    /// The entities that `crm.toml` declares and scripts create.
    pub(crate) fn declared<'a>(&'a self, crm: Option<&'a CrmSchema>) -> Option<Declared<'a>> {
        crm.map(|crm| Declared::new(crm, self.all.iter().map(|script| &script.facts)))
    }

    /// Finds all mistakes in the scripts. `is_known` says whether all settings of the brand could be
    /// read.
    pub(crate) async fn findings(
        &self,
        sandbox: &Sandbox,
        brand: &Brand<'_>,
        crm: Option<&CrmSchema>,
        is_known: bool,
    ) -> Result<Vec<Diagnostic>, SandboxError> {
        let mut found = self.found.clone();
        let declared = self.declared(crm);
        let by_code = self.by_code();
        let codes = brand.folder.module_codes();
        let targets = JobTargets::of(brand.folder);
        for script in self.all.iter().filter(|script| !script.is_broken) {
            let limits = brand.limits(&path_of(&script.file.source.file));
            let mut own = script.facts.findings.clone();
            own.extend(imports::findings(&script.facts, &by_code, &codes, &limits));
            own.extend(imports::promises(&script.facts, &by_code));
            own.extend(jobs::findings(&script.facts, &targets));
            // What an invalid brand.toml names is not known.
            if is_known {
                let file = &script.file.source.file;
                let is_page = script.html.is_some();
                own.extend(headers::findings(&script.facts, file, is_page, brand));
                own.extend(http::findings(&script.facts, file, is_page, brand));
            }
            own.extend(declared.iter().flat_map(|declared| declared.findings(&script.facts.crm)));
            found.extend(own.iter().map(|finding| diagnostic(finding, &script.file.source)));
        }
        // Tests are linked with their library when they run.
        let linked = |script: &&Scripted| script.has_script && !script.is_broken && !script.is_test;
        for script in self.all.iter().filter(linked) {
            let limits = brand.limits(&path_of(&script.file.source.file));
            let mut quota = CompileQuota::new(&limits, brand.id);
            let linked =
                modules::compile(sandbox, script.file.clone(), brand.folder, &limits, &mut quota).await;
            match linked {
                Ok(_) => {}
                Err(CompileError::Host(error)) => return Err(error),
                Err(CompileError::Author(failure)) => {
                    let failed = self.not_linked(&script.file.source.file, &failure);
                    // A mistake in this file was already reported. Mostly it is the same
                    // one, with a better message.
                    let is_known = found.iter().any(|one| one.is_error() && one.file == failed.file);
                    if !is_known {
                        found.push(failed);
                    }
                }
            }
        }
        Ok(found)
    }

    /// Reports why a script does not compile together with its imports.
    fn not_linked(&self, file: &str, failure: &Failure) -> Diagnostic {
        let named = self.all.iter().find(|script| script.file.source.file == failure.file);
        let rule = match failure.import {
            Some(ImportFault::TooDeep | ImportFault::TooMany) => Rule::ImportLimit,
            Some(ImportFault::Unusable) => Rule::UnknownModule,
            Some(ImportFault::UnknownExport) => Rule::UnknownExport,
            None if failure.name == "SyntaxError" => Rule::Syntax,
            None => Rule::CompileLimit,
        };
        let found = match named {
            Some(script) => Diagnostic::of_failure(rule, failure, Some(&script.file.source)),
            None => Diagnostic::of_file(rule, file, &failure.message),
        };
        match failure.import {
            Some(ImportFault::TooDeep) => {
                found.help("merge small modules, so that imports are less deeply nested")
            }
            _ => found,
        }
    }

    /// The scripts by their module codes. If a page and a module have the same code, the
    /// module is used.
    pub(crate) fn by_code(&self) -> BTreeMap<String, &Facts> {
        let all = self.all.iter().filter(|script| !script.is_test);
        let (modules, pages): (Vec<_>, Vec<_>) = all.partition(|script| script.html.is_none());
        let in_order = pages.into_iter().chain(modules);
        in_order.map(|script| (script.code.clone(), &script.facts)).collect()
    }
}

/// The module code of a file: `weight/checkin` for `pages/weight/checkin.html`.
fn code_of(file: &str) -> String {
    let name = file.split_once('/').map_or(file, |(_, name)| name);
    name.strip_suffix(".html").or_else(|| name.strip_suffix(".js")).unwrap_or(name).to_owned()
}

pub(crate) fn diagnostic(finding: &Finding, source: &Source) -> Diagnostic {
    Diagnostic::at(finding.rule, source, finding.span.clone(), &finding.message)
        .maybe_help(finding.help.clone())
}
