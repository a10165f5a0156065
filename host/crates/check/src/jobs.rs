//! Finds jobs whose module or function does not exist.

use sluice_page::diagnostic::Rule;
use sluice_queue::{TargetFault, Targets as _};
use sluice_site::jobs::JobTargets;

use super::facts::{Facts, Finding};

/// Finds them in a script.
pub(crate) fn findings(facts: &Facts, targets: &JobTargets) -> Vec<Finding> {
    let found = facts.pushes.iter().filter_map(|push| {
        let function = push.function.as_ref();
        let fault = targets.find(&push.module.name, function.map_or("default", |function| &function.name));
        let at = match (fault.err()?, function) {
            (fault @ TargetFault::NoModule { .. }, _) => (fault, &push.module),
            (fault @ TargetFault::NoFunction { .. }, Some(function)) => (fault, function),
            (TargetFault::NoFunction { .. }, None) => return None,
        };
        let (message, help) = match at.0 {
            TargetFault::NoModule { module, help } => (
                format!("there is no module \"{module}\" in modules/, so this call throws a TypeError"),
                help,
            ),
            TargetFault::NoFunction { module, function, help } => (
                format!("modules/{module} exports no function `{function}`, so this call throws a TypeError"),
                help,
            ),
        };
        Some(Finding { rule: Rule::BadArgument, span: at.1.span.clone(), message, help: Some(help) })
    });
    found.collect()
}
