//! Finds mistakes in a site without running it.
//!
//! ```text
//! settings   reads sluice.toml, brand.toml and crm.toml
//! script     looks into one script with oxc: syntax, names, arguments, CRM calls → facts
//! scripts    checks all scripts of a brand: QuickJS decides about syntax, then come imports
//! crm        compares the CRM calls of scripts with crm.toml
//! browser    finds scripts for the browser that call the host
//! pages      checks templates, their variables, and how pages are protected
//! blocks     finds misspelled directives and blocks that no layout prints
//! forms      finds forms whose fields never reach the script
//! paths      checks the paths and limits in brand.toml
//! ```

#![deny(unsafe_code)]

mod blocks;
mod brand;
mod browser;
mod context;
mod crm;
mod facts;
mod forms;
mod guards;
mod headers;
mod http;
mod imports;
mod jobs;
mod nesting;
mod page_cache;
mod pages;
mod paths;
mod schedules;
mod script;
mod scripts;
mod settings;
mod translations;

use std::path::{Path, PathBuf};

use sluice_kit::folder::FolderPath;
use sluice_page::diagnostic::{Diagnostic, Rule};
use sluice_page::{PageSource, modules};
use sluice_sandbox::outcome::Failure;
use sluice_sandbox::{Sandbox, SandboxConfig, SandboxError};
use sluice_site::config::{self, BrandConfig, SiteConfig};
use sluice_site::files::{self, FileError, FileFault};
use sluice_site::table::RouteFault;
use sluice_site::{brand_dir, brand_ids, linked_brands, user_cache};
use sluice_text::source::Source;

use facts::Finding;
use script::Purpose;

/// How many mistakes of one settings file or template are reported at most.
const MISTAKES_MAX: usize = 20;

/// A site that can be checked.
pub struct Site {
    dir: PathBuf,
    /// The settings in `sluice.toml` and the environment. The defaults if these are invalid.
    pub config: SiteConfig,
    /// The mistakes in `sluice.toml`.
    found: Vec<Diagnostic>,
}

impl Site {
    /// Reads `sluice.toml`. Variables of `environment` override its settings.
    pub fn read(dir: &Path, environment: impl Iterator<Item = (String, String)>) -> Self {
        let mut found = site_settings(dir);
        let config = match config::read_site(dir, environment) {
            Ok(config) => config,
            Err(error) => {
                if found.is_empty() {
                    found.push(Diagnostic::of_file(Rule::Settings, "sluice.toml", error.to_string()));
                }
                SiteConfig::default()
            }
        };
        Self { dir: dir.to_owned(), config, found }
    }

    /// A sandbox that compiles scripts with the site's settings. The first one on a machine
    /// takes seconds to make.
    ///
    /// # Errors
    /// Those of [`Sandbox::new`].
    pub fn sandbox(&self) -> Result<Sandbox, SandboxError> {
        let config = SandboxConfig {
            concurrent_runs_max: 1,
            memory_bytes_max: self.config.limits.max.memory_bytes(),
            tier: self.config.compile.tier,
            ..SandboxConfig::default()
        };
        let cache = user_cache::code_cache(&self.dir, &self.config);
        Sandbox::with_cache(&config, cache.as_ref())
    }

    /// Finds all mistakes of the site, or of one brand, sorted by file and position. Files
    /// are relative to the site's folder.
    ///
    /// # Errors
    /// The host fails. Mistakes of the site are never errors.
    pub async fn check(
        &self,
        sandbox: &Sandbox,
        only: Option<&str>,
    ) -> Result<Vec<Diagnostic>, SandboxError> {
        let mut found = self.found.clone();
        let ids =
            match brand_ids(&self.dir) {
                Ok(ids) => ids,
                Err(error) => {
                    found.push(Diagnostic::of_file(Rule::File, "brands", error.to_string()).help(
                        "a site has a folder for each brand: brands/<brand>/ with brand.toml and pages/",
                    ));
                    Vec::new()
                }
            };
        found.extend(linked_brands(&self.dir).into_iter().map(|name| {
            Diagnostic::of_file(
                Rule::File,
                &format!("brands/{name}"),
                "it is a symbolic link, which is not followed, so this brand is not served",
            )
            .help("put the folder itself there")
        }));
        if let Some(missing) = only.filter(|only| !ids.iter().any(|id| id == only)) {
            let help = sluice_text::suggest::nearest(missing, ids.iter().map(String::as_str));
            found.push(
                Diagnostic::of_file(Rule::File, "brands", format!("there is no brand `{missing}`"))
                    .maybe_help(help.map(|near| format!("did you mean `{near}`?"))),
            );
        }
        let policy = self.config.limit_policy();
        let mut brands = Vec::new();
        for id in ids {
            let dir = brand_dir(&self.dir, &id);
            let is_wanted = only.is_none_or(|only| only == id);
            let checked = brand::check(sandbox, &policy, &id, &dir, is_wanted).await?;
            let below = format!("brands/{id}");
            found.extend(checked.found.into_iter().map(|one| one.below(&below)));
            brands.push((id, checked.config));
        }
        found.extend(shared_hosts(&brands));
        Diagnostic::sort(&mut found);
        Ok(found)
    }
}

/// Finds the errors in the settings files of a site and its brands, without looking at
/// their pages. Files are relative to the site's folder.
pub fn settings_mistakes(site_dir: &Path) -> Vec<Diagnostic> {
    let mut found = site_settings(site_dir);
    for id in brand_ids(site_dir).unwrap_or_default() {
        let own = brand::Settings::read(&brand_dir(site_dir, &id)).found;
        found.extend(own.into_iter().map(|one| one.below(&format!("brands/{id}"))));
    }
    found.retain(Diagnostic::is_error);
    found
}

/// Replaces the message of a syntax error by the one that a check gives. Only tools for authors may
/// call this, because oxc's parsing has no quota.
pub fn explained(failure: Failure, brand_dir: &FolderPath) -> Failure {
    explained_within(failure, brand_dir, usize::MAX)
}

/// The same for scripts of at most `bytes_max` bytes.
pub fn explained_within(failure: Failure, brand_dir: &FolderPath, bytes_max: usize) -> Failure {
    if failure.name != "SyntaxError" || failure.import.is_some() {
        return failure;
    }
    let Some((first, source)) = first_complaint(brand_dir, &failure.file, bytes_max) else { return failure };
    let place = source.position(first.span.start);
    let help = first.help.map(|help| format!("; {help}")).unwrap_or_default();
    let message = format!("{}{help}", first.message);
    // The stack would only repeat the position.
    Failure { message, line: place.line, column: place.column, stack: String::new(), ..failure }
}

/// The first syntax error of a file, which has scripts of at most `bytes_max` bytes together.
fn first_complaint(brand_dir: &FolderPath, file: &str, bytes_max: usize) -> Option<(Finding, Source)> {
    let source = files::read(brand_dir, file).ok()?;
    // Each block of a page has to parse by itself.
    let mut scripts = match file.ends_with(".html") {
        true => PageSource::new(source.clone()).ok()?.blocks,
        false => Vec::new(),
    };
    scripts.push(modules::script_file(source.clone()).ok()?);
    let bytes = scripts.iter().map(|script| script.script.len()).fold(0, usize::saturating_add);
    if bytes > bytes_max {
        return None;
    }
    let mut complaints = scripts.iter().map(|script| script::facts(&script.script, Purpose::Page).syntax);
    let first = complaints.find_map(|syntax| syntax.into_iter().next())?;
    Some((first, source))
}

/// Finds domains that two brands name, and several default brands.
fn shared_hosts(brands: &[(String, BrandConfig)]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (index, (id, config)) in brands.iter().enumerate() {
        for (other, theirs) in brands.iter().take(index) {
            let mut clash = |what: String| {
                let message = format!("{what}, and so does brands/{other}/brand.toml");
                let file = format!("brands/{id}/brand.toml");
                let help = "only one brand can do this; remove it from one of the two files";
                found.push(Diagnostic::of_file(Rule::Settings, &file, message).help(help));
            };
            if config.default && theirs.default {
                clash("it says `default = true`".to_owned());
            }
            for domain in &config.domains {
                if theirs.domains.contains(domain) {
                    clash(format!("it names the domain `{domain}`"));
                }
            }
        }
    }
    found
}

/// Finds the mistakes in `sluice.toml`.
fn site_settings(dir: &Path) -> Vec<Diagnostic> {
    let (source, mut found) = settings_file(&FolderPath::root(dir), "sluice.toml");
    found.extend(settings::read::<SiteConfig>(&source).1);
    found
}

/// Reads a settings file. A file that does not exist counts as empty.
fn settings_file(dir: &FolderPath, file: &str) -> (Source, Vec<Diagnostic>) {
    let empty = Source { file: file.to_owned(), text: String::new() };
    match files::read(dir, file) {
        Ok(source) => (source, Vec::new()),
        Err(error) if error.is_missing() => (empty, Vec::new()),
        Err(error) => (empty, vec![unreadable(&error)]),
    }
}

/// A file that cannot be read.
fn unreadable(error: &FileError) -> Diagnostic {
    let help = match &error.fault {
        FileFault::NotText => "save it as UTF-8 text, or move it to public/",
        FileFault::Nul => "remove the character; the file may be damaged",
        FileFault::Special => "replace it by a file",
        FileFault::Name => "rename it",
        FileFault::TooDeep | FileFault::TooMany => "move files to fewer folders, or remove some",
        FileFault::TooMuch(_) => "make files smaller, or move them to public/",
        FileFault::Route(RouteFault::SamePath(_)) => "rename or delete one of the two files",
        FileFault::Route(_) => {
            "rename the file: a wildcard is a whole part of a path, as in orders/{id}.html"
        }
        FileFault::Unopened(_) => "replace it by a regular file that Sluice may read, of at most 16 MB",
    };
    Diagnostic::of_file(Rule::File, &error.file, error.fault.to_string()).help(help)
}
