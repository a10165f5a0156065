//! Why a value or literal text is not allowed at a place in a page's HTML.

use thiserror::Error;

/// A place at which a browser could read the page differently than the author meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum ContextError {
    #[error("{{{{ }}}} is not allowed in a tag or attribute name")]
    ValueInName,
    #[error("{{{{ }}}} is not allowed right after \"]\" in a CDATA section")]
    ValueAfterBracket,
    #[error("{{{{ }}}} is not allowed right after \"--\" in a comment")]
    ValueAfterDashes,
    #[error("in srcdoc, {{{{ }}}} is allowed only in the text of its HTML")]
    ValueInDocument,
    #[error("{{{{ }}}} here could change the character reference before it; write \"&\" as \"&amp;\"")]
    ValueInReference,
    #[error("a value here could end the element")]
    ValueEndsElement,
    #[error("\"<\", the value after it and this character could together end the element")]
    TextAfterValueEndsElement,
    #[error("write http-equiv before content: the value in content is the address of a refresh")]
    ContentBeforeRefresh,
    #[error("write the scheme of the URL as text, or put the whole URL into one {{{{ }}}}")]
    SchemeInParts,
    /// Text that is read differently after each branch: it carries the text.
    #[error("{0} would mean something different after each branch; put a space before it")]
    AfterBranches(&'static str),
    /// Markup that is read as HTML or as SVG: it carries what it could be.
    #[error(
        "whether this is {0} depends on which elements are open; close those in the <svg> or <math> before it"
    )]
    Ambiguous(&'static str),
}
