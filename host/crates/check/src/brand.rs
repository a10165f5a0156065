//! One brand, from its settings to its pages.

use std::path::Path;

use sluice_crm::CrmSchema;
use sluice_http::path::{CanonicalPath, PathForm, canonical};
use sluice_limits::Limits;
use sluice_limits::policy::LimitPolicy;
use sluice_page::diagnostic::{Diagnostic, Rule};
use sluice_sandbox::{Sandbox, SandboxError};
use sluice_site::config::BrandConfig;
use sluice_site::public::{PublicError, PublicFault, PublicFiles};
use sluice_site::table::url_path;
use sluice_site::{BrandFolder, limit_layers};
use sluice_text::source::{Position, Source};

use super::scripts::Scripts;
use super::{pages, paths, settings, settings_file};

/// A brand's settings as far as they can be read, and what is wrong with it. Files are
/// named from its folder.
pub(super) struct Checked {
    pub config: BrandConfig,
    pub found: Vec<Diagnostic>,
}

/// What a brand's settings files say, and what is wrong with them.
pub(super) struct Settings {
    /// `brand.toml`.
    source: Source,
    /// As far as it can be read.
    config: BrandConfig,
    /// All of it can be.
    is_known: bool,
    /// Where nothing is wrong with it.
    crm: Option<CrmSchema>,
    pub found: Vec<Diagnostic>,
}

impl Settings {
    pub(super) fn read(dir: &Path) -> Self {
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

/// What the parts of a check work with.
pub(super) struct Brand<'a> {
    pub id: &'a str,
    pub config: &'a BrandConfig,
    pub policy: &'a LimitPolicy,
    pub folder: &'a BrandFolder,
}

impl Brand<'_> {
    /// The limits of a page, or of no page in particular.
    pub(super) fn limits(&self, path: &str) -> Limits {
        self.policy.effective(limit_layers(self.id, self.config, path))
    }
}

/// Checks a brand; only its settings where it is not wanted.
pub(super) async fn check(
    sandbox: &Sandbox,
    policy: &LimitPolicy,
    id: &str,
    dir: &Path,
    is_wanted: bool,
) -> Result<Checked, SandboxError> {
    let Settings { source, config, is_known, crm, mut found } = Settings::read(dir);
    if !is_wanted {
        return Ok(Checked { config, found: Vec::new() });
    }
    let folder = match BrandFolder::new(dir) {
        Ok(folder) => folder,
        Err(error) => {
            found.push(Diagnostic::of_file(Rule::File, "pages", error.to_string()));
            return Ok(Checked { config, found });
        }
    };
    let brand = Brand { id, config: &config, policy, folder: &folder };
    let scripts = Scripts::read(sandbox, &brand).await?;
    found.extend(scripts.findings(sandbox, &brand, crm.as_ref()).await?);
    found.extend(pages::findings(&brand, &scripts, is_known));
    found.extend(folder.include_problems());
    let (public, problems) = PublicFiles::load(dir, &config.public);
    found.extend(problems.iter().map(of_public));
    if is_known {
        found.extend(paths::findings(&source, &brand, &public));
    }
    Ok(Checked { config, found })
}

fn of_public(problem: &PublicError) -> Diagnostic {
    match &problem.fault {
        PublicFault::BackendScript(Position { line, column }) => {
            let message = "a backend script cannot stand in public/, and the file is not served";
            let found = Diagnostic::of_file(Rule::MisplacedScript, &problem.file, message);
            let found = Diagnostic { line: *line, column: *column, ..found };
            found.help("move the file to pages/, or the script to a page")
        }
        other => Diagnostic::of_file(Rule::File, &problem.file, other.to_string()),
    }
}

/// `/weight/checkin` for `pages/weight/checkin.html`.
pub(super) fn path_of(file: &str) -> String {
    url_path(file.strip_prefix("pages/").unwrap_or(file))
}

/// A page's path as access rules see it.
pub(super) fn canonical_of(path: &str) -> Option<CanonicalPath> {
    match canonical(path) {
        PathForm::Canonical(root) if path == "/" => Some(root),
        _ => CanonicalPath::of_file(path),
    }
}
