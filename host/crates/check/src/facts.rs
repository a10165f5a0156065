//! What can be known about one script without running it.

use std::ops::Range;

use sluice_crm::Call;
use sluice_page::diagnostic::Rule;

/// A mistake at bytes of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) rule: Rule,
    pub(crate) span: Range<usize>,
    /// What is wrong, in one sentence without a full stop.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) help: Option<String>,
}

/// One name that a script imports or re-exports, or a module that it imports as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Import {
    /// The module as it is written in the script.
    pub(crate) specifier: String,
    pub(crate) specifier_span: Range<usize>,
    /// The imported export, and where its name stands. `None` if the import names none.
    pub(crate) name: Option<(String, Range<usize>)>,
    /// The name that the script gives to the import. Empty if it is only re-exported.
    pub(crate) local: String,
}

/// The exports of a script.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Exports {
    /// Exported name and local name. The latter is empty if another module declares it.
    pub(crate) names: Vec<(String, String)>,
    /// The modules of `export * from "module"`.
    pub(crate) all_of: Vec<String>,
}

/// What a call that may guard the page does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// `response.status(401)`, or 403.
    Denies,
    /// `redirect`, with its address if that is a constant.
    Redirects(Option<String>),
    /// Calls a function by its plain name.
    Calls(String),
}

/// A call that may guard the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// The function of the script that contains the call. `None` at the top level.
    pub(crate) function: Option<String>,
    pub(crate) act: Act,
    /// Whether the call seems to depend on who the visitor is.
    pub(crate) turns_away: bool,
    pub(crate) span: Range<usize>,
}

/// A name, and where it stands in the script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) span: Range<usize>,
}

/// A call of `queue.push`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Push {
    pub(crate) module: Named,
    /// `None` if it is only known at run time.
    pub(crate) function: Option<Named>,
}

/// A CRM call. Options whose values are only known at run time are missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CrmUse {
    pub(crate) call: Call,
    /// The entity. For `moveCrmToEntity` it is the one that the entry leaves.
    pub(crate) slug: Option<Named>,
    /// For `moveCrmToEntity`, the entity that the entry moves to.
    pub(crate) to_slug: Option<Named>,
    /// Fields of `slug`.
    pub(crate) keys: Vec<Named>,
    /// Fields of `to_slug`.
    pub(crate) to_keys: Vec<Named>,
    pub(crate) pipeline: Option<Named>,
    pub(crate) stage: Option<Named>,
}

impl CrmUse {
    /// A call whose options are not known.
    pub(crate) fn unknown(call: Call) -> Self {
        Self {
            call,
            slug: None,
            to_slug: None,
            keys: Vec::new(),
            to_keys: Vec::new(),
            pipeline: None,
            stage: None,
        }
    }
}

/// A mistake if an imported function is `async`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Imported {
    /// The name that the script gives to the function.
    pub(crate) local: String,
    pub(crate) finding: Finding,
}

/// A request header that a script reads, and that only some pages name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeaderUse {
    pub(crate) name: String,
    /// The mistake if the page does not name the header. Without help if no known header resembles it.
    pub(crate) finding: Finding,
}

/// Everything that is known about a script.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// Syntax errors that oxc reports. Empty if oxc was not asked.
    pub(crate) syntax: Vec<Finding>,
    /// Whether oxc has parsed the script. If not, the fields below are empty.
    pub(crate) is_parsed: bool,
    /// Mistakes that are not syntax errors.
    pub(crate) findings: Vec<Finding>,
    pub(crate) imports: Vec<Import>,
    pub(crate) exports: Exports,
    /// The template variables that the script sets by constant names.
    pub(crate) variables: Vec<String>,
    /// Whether the script may also set template variables by other names.
    pub(crate) sets_others: bool,
    pub(crate) crm: Vec<CrmUse>,
    /// The calls that run for every request method.
    pub(crate) steps: Vec<Step>,
    /// The `async` functions at the top level.
    pub(crate) async_functions: Vec<String>,
    /// Calls to the host that get what an imported function returns.
    pub(crate) imported: Vec<Imported>,
    /// The request headers that the script reads, without those that every page has.
    pub(crate) headers: Vec<HeaderUse>,
    /// The constant URLs that the script calls.
    pub(crate) urls: Vec<Named>,
    /// The jobs that the script pushes with a constant module.
    pub(crate) pushes: Vec<Push>,
    /// The first use of the bytes of a body: `rawBody` or `text`.
    pub(crate) raw_body: Option<Named>,
    /// The first use of the files of a request.
    pub(crate) files: Option<Named>,
    /// Whether the script reads the body of a request.
    pub(crate) reads_body: bool,
}

/// The code of the module that a specifier names: `app` for `app`, `app.js`, `./app` and
/// `../app.js`.
pub(crate) fn module_code(specifier: &str) -> &str {
    let mut code = specifier;
    while let Some(rest) = code.strip_prefix("./").or_else(|| code.strip_prefix("../")) {
        code = rest;
    }
    code.strip_suffix(".js").unwrap_or(code)
}
