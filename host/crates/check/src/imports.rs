//! Compares the imports of a brand's scripts with the exports of its modules.

use std::collections::BTreeMap;

use oxc_span::Span;
use oxc_syntax::module_record::{
    ExportExportName, ExportImportName, ExportLocalName, ImportImportName, ModuleRecord,
};

use sluice_limits::Limits;
use sluice_page::diagnostic::Rule;

use super::facts::{Exports, Facts, Finding, Import, module_code};

/// The library of tests, which test files may import.
const TEST_LIBRARY: &str = "sluice:testing";
/// How many names a message lists at most.
const NAMES_SHOWN: usize = 10;

/// The imports and exports of a parsed script.
pub(crate) fn of_record(record: &ModuleRecord<'_>) -> (Vec<Import>, Exports) {
    let range = |span: Span| span.start as usize..span.end as usize;
    let mut imports = Vec::new();
    for (specifier, places) in &record.requested_modules {
        // `import "x"` and `export * from "x"` name no export, so each module gets an entry.
        imports.extend(places.first().map(|place| Import {
            specifier: specifier.to_string(),
            specifier_span: range(place.span),
            name: None,
            local: String::new(),
        }));
    }
    for entry in &record.import_entries {
        let name = match &entry.import_name {
            ImportImportName::Name(name) => (name.name.to_string(), range(name.span)),
            ImportImportName::Default(span) => ("default".to_owned(), range(*span)),
            ImportImportName::NamespaceObject => continue,
        };
        imports.push(Import {
            specifier: entry.module_request.name.to_string(),
            specifier_span: range(entry.module_request.span),
            name: Some(name),
            local: entry.local_name.name.to_string(),
        });
    }
    let mut exports = Exports::default();
    for entry in record.local_export_entries.iter().chain(&record.indirect_export_entries) {
        let local = match &entry.local_name {
            ExportLocalName::Name(name) | ExportLocalName::Default(name) => name.name.to_string(),
            ExportLocalName::Null => String::new(),
        };
        match &entry.export_name {
            ExportExportName::Name(name) => exports.names.push((name.name.to_string(), local)),
            ExportExportName::Default(_) => exports.names.push(("default".to_owned(), local)),
            ExportExportName::Null => {}
        }
        if let (Some(request), ExportImportName::Name(name)) = (&entry.module_request, &entry.import_name) {
            imports.push(Import {
                specifier: request.name.to_string(),
                specifier_span: range(request.span),
                name: Some((name.name.to_string(), range(name.span))),
                local: String::new(),
            });
        }
    }
    let all_of = record.star_export_entries.iter().filter_map(|entry| entry.module_request.as_ref());
    exports.all_of = all_of.map(|request| request.name.to_string()).collect();
    imports.sort_by_key(|import| import.specifier_span.start);
    (imports, exports)
}

/// The scripts of a brand by their module codes.
pub(crate) type ByCode<'a> = BTreeMap<String, &'a Facts>;

/// Finds mistakes in the imports of one script. `codes` are the codes of all modules,
/// including those that cannot be read.
pub(crate) fn findings(
    facts: &Facts,
    scripts: &ByCode<'_>,
    codes: &[String],
    limits: &Limits,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut modules: Vec<&str> = Vec::new();
    for import in &facts.imports {
        let code = module_code(&import.specifier);
        let is_new = !modules.contains(&code);
        if is_new {
            modules.push(code);
        }
        if is_new && modules.len() == limits.imports_max + 1 {
            found.push(Finding {
                rule: Rule::ImportLimit,
                span: import.specifier_span.clone(),
                message: format!("a script may import at most {} modules", limits.imports_max),
                help: Some("merge modules that belong together".to_owned()),
            });
        }
        match scripts.get(code) {
            Some(module) => found.extend(unknown_export(import, code, module, scripts)),
            None if code == TEST_LIBRARY || codes.iter().any(|known| known == code) => {}
            None if is_new => found.push(unknown_module(import, code, codes)),
            None => {}
        }
    }
    found
}

/// Finds calls to the host that get the Promise of an imported `async` function.
pub(crate) fn promises(facts: &Facts, scripts: &ByCode<'_>) -> Vec<Finding> {
    let is_async = |local: &str| {
        let import = facts.imports.iter().find(|import| import.local == local)?;
        let module = scripts.get(module_code(&import.specifier))?;
        let (exported, _) = import.name.as_ref()?;
        let (_, own) = module.exports.names.iter().find(|(name, _)| name == exported)?;
        Some(module.async_functions.contains(own))
    };
    let found = facts.imported.iter().filter(|one| is_async(&one.local).unwrap_or(false));
    found.map(|one| one.finding.clone()).collect()
}

fn unknown_module(import: &Import, code: &str, codes: &[String]) -> Finding {
    let near = sluice_text::suggest::nearest(code, codes.iter().map(String::as_str));
    let help = match near {
        Some(near) => format!("did you mean \"{near}\"?"),
        None if code.contains("://") || code.starts_with("node:") || code.starts_with('@') => {
            "packages and URLs cannot be imported; copy the code that you need into modules/".to_owned()
        }
        None => format!("create modules/{code}.js, or correct the name"),
    };
    Finding {
        rule: Rule::UnknownModule,
        span: import.specifier_span.clone(),
        message: format!("there is no module \"{code}\" in modules/ or pages/"),
        help: Some(help),
    }
}

fn unknown_export(import: &Import, code: &str, module: &Facts, scripts: &ByCode<'_>) -> Option<Finding> {
    let (name, span) = import.name.as_ref()?;
    let mut names = Vec::new();
    let is_known = collect(code, module, scripts, &mut names, &mut Vec::new());
    if !is_known || names.iter().any(|known| known == name) {
        return None;
    }
    let near = sluice_text::suggest::nearest(name, names.iter().map(String::as_str));
    let help = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None if name == "default" && !names.is_empty() => {
            format!("import its names in braces: `import {{ {} }} from \"{code}\"`", listed(&names))
        }
        None if names.is_empty() => {
            "the module exports nothing; write `export` before what other scripts may import".to_owned()
        }
        None => format!("it exports {}", listed(&names)),
    };
    let message = match name.as_str() {
        "default" => format!("module \"{code}\" has no default export"),
        _ => format!("module \"{code}\" has no export `{name}`"),
    };
    Some(Finding { rule: Rule::UnknownExport, span: span.clone(), message, help: Some(help) })
}

/// The first few names, separated by commas.
fn listed(names: &[String]) -> String {
    let more = if names.len() > NAMES_SHOWN { ", …" } else { "" };
    let first: Vec<&str> = names.iter().take(NAMES_SHOWN).map(String::as_str).collect();
    format!("{}{more}", first.join(", "))
}

/// Collects every name that a module exports. The result is false if some of them cannot be
/// known.
fn collect<'a>(
    code: &str,
    module: &'a Facts,
    scripts: &ByCode<'a>,
    names: &mut Vec<String>,
    seen: &mut Vec<String>,
) -> bool {
    if seen.iter().any(|known| known == code) {
        return true;
    }
    seen.push(code.to_owned());
    names.extend(module.exports.names.iter().map(|(name, _)| name.clone()));
    let passed_on = module.exports.all_of.iter().map(|specifier| module_code(specifier));
    let all_known = passed_on.map(|code| match scripts.get(code) {
        Some(module) => collect(code, module, scripts, names, seen),
        None => false,
    });
    // `all` would stop at the first unknown module, but every name is needed.
    let unknown = all_known.filter(|known| !known).count();
    module.is_parsed && unknown == 0
}
