//! What is found out about one script without running it.

use std::ops::Range;

use sluice_crm::Call;
use sluice_page::diagnostic::Rule;

/// A mistake at bytes of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub rule: Rule,
    pub span: Range<usize>,
    pub message: String,
    pub help: Option<String>,
}

/// One name that a script imports or passes on, or a whole module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// As it is written.
    pub specifier: String,
    pub specifier_span: Range<usize>,
    /// The export that is asked for, and where; None for all of them or none.
    pub name: Option<(String, Range<usize>)>,
    /// What the script calls it; empty where it is only passed on.
    pub local: String,
}

/// What a script gives to others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exports {
    /// Exported and local name; the latter is empty where another module has it.
    pub names: Vec<(String, String)>,
    /// Modules all of whose exports are passed on.
    pub all_of: Vec<String>,
}

/// A call of a plain name, or the answer 401 or 403.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The function of the script in which it stands; None at the top.
    pub function: Option<String>,
    /// The name that is called; None for `response.status(401)`.
    pub calls: Option<String>,
    pub span: Range<usize>,
}

/// A name that stands in a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub name: String,
    pub span: Range<usize>,
}

/// A CRM call, as far as its options are written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrmUse {
    pub call: Call,
    /// The entity; of `moveCrmToEntity` where it moves from.
    pub slug: Option<Named>,
    pub to_slug: Option<Named>,
    /// Fields of the first and of the second.
    pub keys: Vec<Named>,
    pub to_keys: Vec<Named>,
    pub pipeline: Option<Named>,
    pub stage: Option<Named>,
    /// No option is hidden in a spread.
    pub is_complete: bool,
}

impl CrmUse {
    /// A call of whose options nothing is known.
    pub fn unknown(call: Call) -> Self {
        Self {
            call,
            slug: None,
            to_slug: None,
            keys: Vec::new(),
            to_keys: Vec::new(),
            pipeline: None,
            stage: None,
            is_complete: false,
        }
    }
}

/// A script, looked into.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// What the parser has against it. Empty where QuickJS decides alone.
    pub syntax: Vec<Finding>,
    /// Whether the rest is known.
    pub is_parsed: bool,
    pub findings: Vec<Finding>,
    pub imports: Vec<Import>,
    pub exports: Exports,
    /// Template variables that it sets, as far as their names are written down.
    pub variables: Vec<String>,
    /// It sets others, too.
    pub sets_others: bool,
    pub crm: Vec<CrmUse>,
    /// What runs for every method.
    pub steps: Vec<Step>,
}

/// `app`, `app.js`, `./app` and `../app.js` are all module `app`.
pub fn module_code(specifier: &str) -> &str {
    let mut code = specifier;
    while let Some(rest) = code.strip_prefix("./").or_else(|| code.strip_prefix("../")) {
        code = rest;
    }
    code.strip_suffix(".js").unwrap_or(code)
}
