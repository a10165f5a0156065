//! The functions of a brand that can be jobs, and the pages that run them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use sluice_page::PageContent;
use sluice_page::exports::{Exports, exports};
use sluice_page::job;
use sluice_page::modules::script_file;
use sluice_queue::{TargetFault, Targets};
use sluice_sandbox::cache::CacheKey;
use sluice_sandbox::outcome::Failure;
use sluice_sandbox::{Sandbox, SandboxError};
use sluice_text::suggest::nearest;

use crate::{Brand, BrandFolder};

/// How many names a message lists at most.
const NAMES_SHOWN: usize = 10;

/// Numbers the versions of brands in this process.
static VERSIONS: AtomicU64 = AtomicU64::new(0);

/// The exports of each module of one version of a brand.
#[derive(Debug, Default)]
pub struct JobTargets {
    version: u64,
    modules: BTreeMap<String, Exports>,
}

impl JobTargets {
    /// Reads the exports of all modules. A module that cannot be read has none.
    pub fn of(folder: &BrandFolder) -> Self {
        let read = |file: String| {
            let source = folder.source(&file).ok()?;
            let script = script_file(source).ok()?.script;
            Some((code_of(&file).to_owned(), exports(&script)))
        };
        let modules = folder.module_files().filter_map(read).collect();
        Self { version: VERSIONS.fetch_add(1, Ordering::Relaxed) + 1, modules }
    }

    /// The key of the page that runs the functions of a module. Each version of a brand has its own.
    pub fn page_key(&self, module: &str) -> CacheKey {
        CacheKey::of([b"job".as_slice(), &self.version.to_le_bytes(), module.as_bytes()])
    }

    /// Whether a job can call this function of a module.
    pub fn has(&self, module: &str, function: &str) -> bool {
        self.modules.get(module).is_some_and(|exports| exports.has(function))
    }

    /// The modules, without their endings.
    pub fn modules(&self) -> impl Iterator<Item = &str> + Clone {
        self.modules.keys().map(String::as_str)
    }
}

impl Targets for JobTargets {
    /// Functions that `export *` passes on are looked up when the job runs.
    fn find(&self, module: &str, function: &str) -> Result<String, TargetFault> {
        let code = code_of(module);
        let Some(exports) = self.modules.get(code) else {
            let help = help(code, self.modules(), "the modules are");
            return Err(TargetFault::NoModule { module: code.to_owned(), help });
        };
        if exports.has(function) {
            return Ok(code.to_owned());
        }
        let help = help(function, exports.names.iter().map(String::as_str), "it exports");
        Err(TargetFault::NoFunction { module: code.to_owned(), function: function.to_owned(), help })
    }
}

/// `mail` for `mail`, `mail.js`, `./mail` and `modules/mail.html`.
fn code_of(module: &str) -> &str {
    let module = module.strip_prefix("./").unwrap_or(module);
    let module = module.strip_prefix("modules/").unwrap_or(module);
    module.strip_suffix(".js").or_else(|| module.strip_suffix(".html")).unwrap_or(module)
}

fn help<'a>(name: &str, names: impl Iterator<Item = &'a str> + Clone, lead: &str) -> String {
    if let Some(near) = nearest(name, names.clone()) {
        return format!("did you mean \"{near}\"?");
    }
    let shown: Vec<&str> = names.clone().take(NAMES_SHOWN).collect();
    let more = if names.count() > NAMES_SHOWN { ", …" } else { "" };
    match shown.is_empty() {
        true => format!("{lead} none"),
        false => format!("{lead} {}{more}", shown.join(", ")),
    }
}

/// Compiles the page that runs the functions of a module, from the files of the brand as they are now.
///
/// # Errors
/// The host cannot compile it at the moment.
pub async fn page(sandbox: &Sandbox, brand: &Brand, module: &str) -> Result<PageContent, SandboxError> {
    match BrandFolder::new(&brand.dir) {
        Ok(folder) => job::compile(sandbox, module, &folder, &brand.job_limits, &brand.id).await,
        Err(error) => Ok(job::broken(Failure::of_file(&error.file, error.fault.to_string()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_was_probably_meant() {
        let of = |text: &str| exports(text);
        let modules = [
            ("mail/quiz", of("export default () => {}; export function remind() {}")),
            ("reports", of("export const nightly = 1")),
            ("all", of("export * from 'reports'")),
        ];
        let modules = modules.map(|(code, exports)| (code.to_owned(), exports)).into();
        let targets = JobTargets { version: 1, modules };
        assert_eq!(targets.find("mail/quiz", "default"), Ok("mail/quiz".to_owned()));
        assert_eq!(targets.find("./mail/quiz.js", "remind"), Ok("mail/quiz".to_owned()));
        assert_eq!(targets.find("all", "nightly"), Ok("all".to_owned()));
        let message = |module, function| targets.find(module, function).unwrap_err().to_string();
        assert_eq!(
            message("report", "nightly"),
            "there is no module \"report\" in modules/; did you mean \"reports\"?"
        );
        assert_eq!(
            message("reports", "nightl"),
            "modules/reports exports no function `nightl`; did you mean \"nightly\"?"
        );
        assert_eq!(
            message("reports", "default"),
            "modules/reports exports no function `default`; it exports nightly"
        );
        let none = JobTargets::default().find("a", "b").unwrap_err().to_string();
        assert_eq!(none, "there is no module \"a\" in modules/; the modules are none");
    }
}
