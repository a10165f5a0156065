//! The rules that a site can break. Their codes are stable: scripts and settings of
//! others may name them.

use serde::{Serialize, Serializer};

use super::Severity;

/// What several rules have in common; each has a page in `docs/errors/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Syntax,
    Imports,
    Template,
    Names,
    Crm,
    Unreachable,
    Guard,
    Settings,
}

impl Kind {
    /// Its page in `docs/errors/`, without `.md`.
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
    ($($(#[$doc:meta])* $rule:ident $code:literal $kind:ident $severity:ident,)*) => {
        /// A rule; [`Rule::code`] names it to authors.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule { $($(#[$doc])* $rule,)* }

        impl Rule {
            /// Every rule, by kind.
            pub const ALL: &'static [Rule] = &[$(Self::$rule,)*];

            /// In kebab case.
            pub fn code(self) -> &'static str {
                match self { $(Self::$rule => $code,)* }
            }

            pub fn kind(self) -> Kind {
                match self { $(Self::$rule => Kind::$kind,)* }
            }

            pub fn severity(self) -> Severity {
                match self { $(Self::$rule => Severity::$severity,)* }
            }
        }
    };
}

rules! {
    /// JavaScript that does not parse.
    Syntax "syntax" Syntax Error,
    /// HTML that cannot be taken apart.
    Html "html" Syntax Error,
    /// A backend script where none can be.
    MisplacedScript "misplaced-script" Syntax Error,
    /// Compiling a script takes more than it may.
    CompileLimit "compile-limit" Syntax Error,
    /// A script that is nested too deeply to be looked into.
    Nesting "nesting" Syntax Warning,
    /// A module that is not there or cannot be read.
    UnknownModule "unknown-module" Imports Error,
    /// A module has no such export.
    UnknownExport "unknown-export" Imports Error,
    /// More imports, or deeper ones, than a page may have.
    ImportLimit "import-limit" Imports Error,
    /// `import()`, which always fails.
    DynamicImport "dynamic-import" Imports Error,
    /// A template that does not compile.
    Template "template" Template Error,
    /// A template variable that nothing sets.
    UnknownVariable "unknown-variable" Template Warning,
    /// Text that looks like a directive.
    UnknownDirective "unknown-directive" Template Warning,
    /// A block that no layout yields.
    UnshownBlock "unshown-block" Template Warning,
    /// A name that nothing declares.
    UnknownGlobal "unknown-global" Names Error,
    /// A member that a global does not have.
    UnknownMember "unknown-member" Names Error,
    /// An assignment to what is read-only.
    ReadOnly "read-only" Names Error,
    /// An argument that is never accepted.
    BadArgument "bad-argument" Names Error,
    /// A session key, cookie or header that scripts cannot have.
    ReservedName "reserved-name" Names Error,
    /// A script of the browser's that calls what only backend scripts have.
    BrowserScript "browser-script" Names Warning,
    /// An entity that `crm.toml` does not have.
    UnknownEntity "unknown-entity" Crm Error,
    /// A field that `crm.toml` does not declare.
    UndeclaredField "undeclared-field" Crm Warning,
    /// A pipeline or stage that the entity does not have.
    UnknownStage "unknown-stage" Crm Error,
    /// Options of a CRM call that it never accepts.
    CrmOptions "crm-options" Crm Error,
    /// Code behind a stop call.
    UnreachableCode "unreachable-code" Unreachable Warning,
    /// A script answers 401 or 403, and the page is shown where it fails.
    UnguardedPage "unguarded-page" Guard Warning,
    /// A settings file that is not valid.
    Settings "settings" Settings Error,
    /// A `crm.toml` that is not valid.
    CrmToml "crm-toml" Settings Error,
    /// A file or folder that cannot be served.
    File "file" Settings Error,
    /// A path in `brand.toml` that matches nothing.
    UnmatchedPath "unmatched-path" Settings Warning,
    /// A limit that is more than the host allows.
    IneffectiveLimit "ineffective-limit" Settings Warning,
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}
