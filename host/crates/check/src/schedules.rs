//! Finds schedules in `brand.toml` whose module or function does not exist, and a hook without a function.

use serde::Deserialize;
use toml::Spanned;

use sluice_kit::toml_text;
use sluice_page::diagnostic::{Diagnostic, Rule};
use sluice_queue::{TargetFault, Targets as _};
use sluice_site::jobs::JobTargets;
use sluice_text::source::Source;

/// The functions in `brand.toml`, with their positions.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Written {
    schedule: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    module: Spanned<String>,
    #[serde(rename = "fn")]
    function: Option<Spanned<String>>,
}

/// Checks the schedules in `brand.toml`, which must be valid.
pub(crate) fn findings(source: &Source, targets: &JobTargets) -> Vec<Diagnostic> {
    // The file is known to be valid, so this cannot fail.
    let written: Written = toml_text::parse(&source.text).unwrap_or_default();
    let schedules = written.schedule.iter().filter_map(|entry| finding(source, entry, targets));
    schedules.chain(hook(targets)).collect()
}

/// `modules/on-error` without the function that the host calls.
fn hook(targets: &JobTargets) -> Option<Diagnostic> {
    let Err(TargetFault::NoFunction { .. }) = targets.find("on-error", "default") else { return None };
    let message = "this module has no default export, so nothing runs when a page fails";
    let found = Diagnostic::of_file(Rule::UnknownFunction, "modules/on-error.js", message.to_owned());
    Some(found.help("write `export default function ({ page, outcome, message, at }) { … }`"))
}

fn finding(source: &Source, entry: &Entry, targets: &JobTargets) -> Option<Diagnostic> {
    let function = entry.function.as_ref();
    let name = function.map_or("default", |function| function.get_ref());
    let fault = targets.find(entry.module.get_ref(), name).err()?;
    let (span, message, help) = match fault {
        TargetFault::NoModule { module, help } => {
            (entry.module.span(), format!("there is no module \"{module}\" in modules/"), help)
        }
        TargetFault::NoFunction { module, function: name, help } => {
            let help = match function {
                Some(_) => help,
                None => format!("name the function with `fn = \"…\"`: {help}"),
            };
            let span = function.unwrap_or(&entry.module).span();
            (span, format!("modules/{module} exports no function `{name}`"), help)
        }
    };
    let message = format!("{message}, so the jobs of the schedule `{}` fail", entry.name);
    Some(Diagnostic::at(Rule::UnknownFunction, source, span, message).help(help))
}
