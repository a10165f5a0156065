//! Everything about a site that can be known without running it.
//!
//! ```text
//! settings   sluice.toml, brand.toml, crm.toml
//! script     one script with oxc: syntax, names, arguments, CRM calls → facts
//! scripts    a brand's scripts: QuickJS has the last word, then imports and links
//! browser    scripts of the browser's that call the host
//! pages      templates, their variables, guards
//! paths      what settings say about paths
//! ```

#![deny(unsafe_code)]

mod blocks;
mod brand;
mod browser;
mod crm;
mod facts;
mod imports;
mod nesting;
mod pages;
mod paths;
mod script;
mod scripts;
mod settings;

use std::path::{Path, PathBuf};

use sluice_page::diagnostic::{Diagnostic, Rule};
use sluice_page::modules;
use sluice_sandbox::outcome::Failure;
use sluice_sandbox::{Sandbox, SandboxConfig, SandboxError};
use sluice_site::config::{self, BrandConfig, SiteConfig};
use sluice_site::files::{self, FileError};
use sluice_site::{brand_ids, user_cache};
use sluice_text::source::Source;

/// A site's folder, with what was found wrong with its settings.
pub struct Site {
    dir: PathBuf,
    pub config: SiteConfig,
    found: Vec<Diagnostic>,
}

impl Site {
    /// Reads `sluice.toml`, with `environment` laid over it.
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

    /// A sandbox that compiles as the site's host does; takes seconds the first time.
    ///
    /// # Errors
    /// As [`Sandbox::new`].
    pub fn sandbox(&self) -> Result<Sandbox, SandboxError> {
        let config = SandboxConfig {
            concurrent_runs_max: 1,
            memory_bytes_max: self.config.limits.max.memory_bytes(),
            ..SandboxConfig::default()
        };
        let cache = user_cache::code_cache(&self.config);
        Sandbox::with_cache(&config, cache.as_ref())
    }

    /// All mistakes of the site, or of one brand, by file and place. Files are named from
    /// the site's folder.
    ///
    /// # Errors
    /// The host's own only.
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
            let dir = self.dir.join("brands").join(&id);
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

/// What is wrong with settings files, named from the site's folder; of their pages nothing.
pub fn settings_mistakes(site_dir: &Path) -> Vec<Diagnostic> {
    let mut found = site_settings(site_dir);
    for id in brand_ids(site_dir).unwrap_or_default() {
        let own = brand::Settings::read(&site_dir.join("brands").join(&id)).found;
        found.extend(own.into_iter().map(|one| one.below(&format!("brands/{id}"))));
    }
    found.retain(Diagnostic::is_error);
    found
}

/// Why a page does not compile, in the words of a check. For tools only: a server takes
/// QuickJS's, whose parsing has a quota.
pub fn explained(failure: Failure, brand_dir: &Path) -> Failure {
    if failure.name != "SyntaxError" || failure.message.starts_with("module \"") {
        return failure;
    }
    let Ok(source) = files::read(brand_dir, &failure.file) else { return failure };
    let Ok(file) = modules::script_file(source) else { return failure };
    let Some(first) = script::facts(&file.script).syntax.into_iter().next() else { return failure };
    let place = file.source.position(first.span.start);
    let help = first.help.map(|help| format!("; {help}")).unwrap_or_default();
    let message = format!("{}{help}", first.message);
    // The stack would only repeat the place.
    Failure { message, line: place.line, column: place.column, stack: String::new(), ..failure }
}

/// Hosts that two brands want.
fn shared_hosts(brands: &[(String, BrandConfig)]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (index, (id, config)) in brands.iter().enumerate() {
        for (other, theirs) in brands.iter().take(index) {
            let mut clash = |what: String| {
                let message = format!("{what}, and so does brands/{other}/brand.toml");
                let file = format!("brands/{id}/brand.toml");
                let help = "only one brand can have it; take it out of one of the two files";
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

/// What is wrong with `sluice.toml`.
fn site_settings(dir: &Path) -> Vec<Diagnostic> {
    let (source, mut found) = settings_file(dir, "sluice.toml");
    found.extend(settings::read::<SiteConfig>(&source).1);
    found
}

/// A settings file; empty where there is none.
fn settings_file(dir: &Path, file: &str) -> (Source, Vec<Diagnostic>) {
    let empty = Source { file: file.to_owned(), text: String::new() };
    match files::read(dir, file) {
        Ok(source) => (source, Vec::new()),
        Err(error) if error.is_missing() => (empty, Vec::new()),
        Err(error) => (empty, vec![unreadable(&error)]),
    }
}

/// A file that cannot be read.
fn unreadable(error: &FileError) -> Diagnostic {
    Diagnostic::of_file(Rule::File, &error.file, error.fault.to_string())
}
