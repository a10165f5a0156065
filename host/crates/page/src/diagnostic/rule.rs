//! The rules that a site can break. Their codes never change, because other programs may
//! refer to them.

use serde::{Serialize, Serializer};

use super::Severity;

/// A group of rules. Each group has a page in `docs/errors/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Scripts and pages that do not parse.
    Syntax,
    /// Imports and exports of scripts.
    Imports,
    /// Templates and their variables.
    Template,
    /// Names, members and arguments in scripts.
    Names,
    /// CRM calls.
    Crm,
    /// Code that never runs.
    Unreachable,
    /// Pages that only a script protects.
    Guard,
    /// Settings, files and folders.
    Settings,
}

impl Kind {
    /// The name of its page in `docs/errors/`, without `.md`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Imports => "imports",
            Self::Template => "template",
            Self::Names => "names",
            Self::Crm => "crm",
            Self::Unreachable => "unreachable",
            Self::Guard => "guard",
            Self::Settings => "settings",
        }
    }
}

macro_rules! rules {
    ($($(#[doc = $doc:literal])* $rule:ident $code:literal $kind:ident $severity:ident,)*) => {
        /// A rule. [`Rule::code`] is its name for authors.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule { $($(#[doc = $doc])* $rule,)* }

        impl Rule {
            /// Every rule, sorted by kind.
            pub const ALL: &'static [Rule] = &[$(Self::$rule,)*];

            /// The rule's name in kebab case.
            pub fn code(self) -> &'static str {
                match self { $(Self::$rule => $code,)* }
            }

            /// What it reports, in one sentence.
            pub fn description(self) -> &'static str {
                match self { $(Self::$rule => concat!($($doc),*).trim_ascii_start(),)* }
            }

            /// The group that the rule belongs to.
            pub fn kind(self) -> Kind {
                match self { $(Self::$rule => Kind::$kind,)* }
            }

            /// How serious it is to break the rule.
            pub fn severity(self) -> Severity {
                match self { $(Self::$rule => Severity::$severity,)* }
            }
        }
    };
}

rules! {
    /// JavaScript that does not parse.
    Syntax "syntax" Syntax Error,
    /// HTML that cannot be parsed.
    Html "html" Syntax Error,
    /// A backend script in a place where scripts are not allowed.
    MisplacedScript "misplaced-script" Syntax Error,
    /// A script that exceeds a compilation limit.
    CompileLimit "compile-limit" Syntax Error,
    /// A script that is nested too deeply to be checked.
    Nesting "nesting" Syntax Warning,
    /// A module that does not exist or cannot be read.
    UnknownModule "unknown-module" Imports Error,
    /// A name that a module does not export.
    UnknownExport "unknown-export" Imports Error,
    /// Too many imports, or imports that are nested too deeply.
    ImportLimit "import-limit" Imports Error,
    /// `import()`, which always fails.
    DynamicImport "dynamic-import" Imports Error,
    /// A template that does not compile.
    Template "template" Template Error,
    /// A template variable that nothing sets.
    UnknownVariable "unknown-variable" Template Warning,
    /// A misspelled directive, which is printed as text.
    UnknownDirective "unknown-directive" Template Warning,
    /// A block that no layout prints.
    UnshownBlock "unshown-block" Template Warning,
    /// A form whose fields never reach the script.
    FormEncoding "form-encoding" Template Warning,
    /// A name that nothing declares.
    UnknownGlobal "unknown-global" Names Error,
    /// A member that a global object does not have.
    UnknownMember "unknown-member" Names Error,
    /// A misspelled property of an object that Sluice makes, such as `customer`.
    UnknownProperty "unknown-property" Names Warning,
    /// A property of `request.body`, which is `null` for a GET request.
    NullBody "null-body" Names Warning,
    /// The bytes of a body that the page does not ask for.
    RawBody "raw-body" Names Warning,
    /// The files of a request, of which the page takes none.
    NoUploads "no-uploads" Names Warning,
    /// A call of a host that `brand.toml` does not allow.
    UnallowedHost "unallowed-host" Names Warning,
    /// A Promise that is passed to the host: `await` is missing.
    MissingAwait "missing-await" Names Error,
    /// An assignment to a read-only name or member.
    ReadOnly "read-only" Names Error,
    /// An argument that a call never accepts.
    BadArgument "bad-argument" Names Error,
    /// An option that a call ignores.
    UnknownOption "unknown-option" Names Warning,
    /// A session key, cookie or header that scripts cannot set.
    ReservedName "reserved-name" Names Error,
    /// A script for the browser that calls a function that only backend scripts have.
    BrowserScript "browser-script" Names Warning,
    /// An entity that `crm.toml` does not declare.
    UnknownEntity "unknown-entity" Crm Error,
    /// A field that `crm.toml` does not declare.
    UndeclaredField "undeclared-field" Crm Warning,
    /// A pipeline or stage that the entity does not have.
    UnknownStage "unknown-stage" Crm Error,
    /// Options that a CRM call never accepts.
    CrmOptions "crm-options" Crm Error,
    /// Code after a stop call.
    UnreachableCode "unreachable-code" Unreachable Warning,
    /// A page that only its script protects: if the script fails, visitors see the page.
    UnguardedPage "unguarded-page" Guard Warning,
    /// An invalid settings file.
    Settings "settings" Settings Error,
    /// An invalid `crm.toml`.
    CrmToml "crm-toml" Settings Error,
    /// A file or folder that cannot be used.
    File "file" Settings Error,
    /// A path in `brand.toml` that matches nothing.
    UnmatchedPath "unmatched-path" Settings Warning,
    /// A schedule or hook whose module or function does not exist.
    UnknownFunction "unknown-function" Settings Error,
    /// A page with `cache` that is never answered from it.
    UncachedPage "uncached-page" Settings Warning,
    /// A limit above the host's maximum.
    IneffectiveLimit "ineffective-limit" Settings Warning,
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}
