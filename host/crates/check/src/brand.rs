//! Checks one brand, from its settings to its pages.

use sluice_crm::CrmSchema;
use sluice_kit::folder::FolderPath;
use sluice_limits::policy::LimitPolicy;
use sluice_page::diagnostic::{Diagnostic, Rule};
use sluice_sandbox::{Sandbox, SandboxError};
use sluice_site::BrandFolder;
use sluice_site::config::BrandConfig;
use sluice_site::jobs::JobTargets;
use sluice_site::public::{PublicError, PublicFault, PublicFiles};
use sluice_text::source::{Position, Source};

use super::context::Brand;
use super::scripts::Scripts;
use super::{page_cache, pages, paths, schedules, settings, settings_file, unreadable};

/// The result of checking a brand.
pub(crate) struct CheckedBrand {
    /// Its settings, as far as they can be read.
    pub(crate) config: BrandConfig,
    /// Its mistakes. Files are relative to its folder.
    pub(crate) found: Vec<Diagnostic>,
}

/// A brand's settings files.
pub(crate) struct Settings {
    /// The text of `brand.toml`.
    source: Source,
    /// The settings in it, as far as they can be read.
    config: BrandConfig,
    /// Whether all of `brand.toml` can be read.
    is_known: bool,
    /// `crm.toml`, if there is no mistake in it.
    crm: Option<CrmSchema>,
    /// The mistakes in both files. Files are relative to the brand's folder.
    pub(crate) found: Vec<Diagnostic>,
}

impl Settings {
    pub(crate) fn read(dir: &FolderPath) -> Self {
        let (source, mut found) = settings_file(dir, "brand.toml");
        let (config, mistakes) = settings::read::<BrandConfig>(&source);
        let is_known = mistakes.is_empty();
        found.extend(mistakes);
        let (crm_source, unreadable) = settings_file(dir, "crm.toml");
        let (crm, mistakes) = settings::read_crm(&crm_source);
        let crm = crm.filter(|_| unreadable.is_empty() && mistakes.is_empty());
        found.extend(unreadable.into_iter().chain(mistakes));
        Self { source, config: config.unwrap_or_default(), is_known, crm, found }
    }
}

/// Checks a brand. If it is not wanted, only its settings are read.
pub(crate) async fn check(
    sandbox: &Sandbox,
    policy: &LimitPolicy,
    id: &str,
    dir: &FolderPath,
    is_wanted: bool,
) -> Result<CheckedBrand, SandboxError> {
    let Settings { source, config, is_known, crm, mut found } = Settings::read(dir);
    if !is_wanted {
        return Ok(CheckedBrand { config, found: Vec::new() });
    }
    let folder = match BrandFolder::with_any_paths(dir) {
        Ok((folder, without_path)) => {
            found.extend(without_path.iter().map(unreadable));
            folder
        }
        Err(error) => {
            let why = unreadable(&error);
            found.push(Diagnostic { file: "pages".to_owned(), message: error.to_string(), ..why });
            return Ok(CheckedBrand { config, found });
        }
    };
    let brand = Brand { id, config: &config, policy, folder: &folder };
    let scripts = Scripts::read(sandbox, &brand).await?;
    found.extend(scripts.findings(sandbox, &brand, crm.as_ref(), is_known).await?);
    found.extend(pages::findings(&brand, &scripts, crm.as_ref(), is_known));
    found.extend(folder.include_problems());
    let (public, problems) = PublicFiles::load(dir, &config.public);
    found.extend(problems.iter().map(of_public));
    if is_known {
        found.extend(paths::findings(&source, &brand, &public));
        found.extend(page_cache::findings(&source, &brand, &scripts));
        found.extend(schedules::findings(&source, &JobTargets::of(&folder)));
    }
    Ok(CheckedBrand { config, found })
}

fn of_public(problem: &PublicError) -> Diagnostic {
    let message = problem.fault.to_string();
    match problem.fault {
        PublicFault::BackendScript(Position { line, column }) => {
            let found = Diagnostic::of_file(Rule::MisplacedScript, &problem.file, message);
            Diagnostic { line, column, ..found }.help("move the file to pages/, or the script to a page")
        }
        _ => Diagnostic::of_file(Rule::File, &problem.file, message)
            .help("replace it by a regular file with a plain name, or remove it"),
    }
}
