//! Everything that can be wrong with a template, with the text that the author reads.

use std::fmt;

use handlebars::RenderError;
use thiserror::Error;

use crate::budget::LimitError;
use crate::filters::ArgumentCountError;
use crate::html_context::ContextError;

/// A mistake of the author, or a limit that the page exceeded.
#[derive(Debug, Error)]
pub(crate) enum Mistake {
    // Expressions.
    #[error("expected {expected}, found {found}{}", .hint.map(|hint| format!("; {hint}")).unwrap_or_default())]
    Unexpected { expected: Expected, found: String, hint: Option<&'static str> },
    #[error("expected {0}")]
    NameMissing(&'static str),
    #[error("expected {0} in quotes")]
    QuotedNameMissing(&'static str),
    #[error("expected a value")]
    ValueMissing,
    #[error("expected a value before \"{0}\"")]
    ValueMissingBefore(String),
    #[error("this is not a decimal number")]
    NotDecimal,
    #[error("the text that begins here has no closing {0}")]
    UnclosedQuote(char),
    #[error("functions cannot be called here; write a filter as {{{{ value | filter }}}}")]
    FunctionCall,
    #[error("there is no function \"{name}\"")]
    UnknownFunction { name: String, suggestion: Option<String> },
    #[error("\"{0}\" is a filter; write {{{{ value | {0} }}}}")]
    FilterCalled(String),
    #[error("the field \"{0}\" is given twice")]
    FieldTwice(String),
    #[error("expressions nest at most {0} deep")]
    ExpressionDepth(usize),
    #[error("{0} cannot follow a filter; put the filtered value in parentheses")]
    OperatorAfterFilter(String),
    #[error("there is no filter \"{name}\"")]
    UnknownFilter { name: String, suggestion: Option<&'static str> },
    #[error(transparent)]
    ArgumentCount(#[from] ArgumentCountError),

    // Outputs and directives.
    #[error("this comment has no end")]
    UnclosedComment,
    #[error("there is nothing between {{{{ and }}}}")]
    EmptyOutput,
    #[error("@{0} takes its arguments in parentheses; write @@{0} to print it")]
    NoParentheses(&'static str),
    #[error("write @elseif(…) instead of \"else if\"")]
    ElseIf,
    #[error("this {0} has no {1}")]
    Unclosed(&'static str, &'static str),
    #[error("this <{0}> has no end tag")]
    NoEndTag(String),
    #[error("{what} is inside {inside}")]
    WrongEnd { what: &'static str, inside: OpenPart },
    #[error("{what} without {of}; write @{what} to print it")]
    NothingToEnd { what: &'static str, of: &'static str },
    #[error("{0} cannot follow @else")]
    AfterElse(&'static str),
    #[error("{what} belongs to an @if, but is inside {inside}")]
    BranchOutsideIf { what: &'static str, inside: OpenPart },
    #[error("directives nest at most {0} deep")]
    DirectiveDepth(usize),
    #[error("\"{0}\" is reserved; choose another name")]
    ReservedName(String),
    #[error("v-else-if needs a condition")]
    NoCondition,

    // Layouts and components.
    #[error("@extends is not allowed inside {0}")]
    ExtendsInside(OpenPart),
    #[error("a page can have only one @extends")]
    ExtendsTwice,
    #[error("this file extends itself: {0}")]
    ExtendsCycle(String),
    #[error("more than {0} layouts extend one another")]
    LayoutDepth(usize),
    #[error("a page that extends a layout prints only what is in its blocks; put this into a @block")]
    OutsideBlocks,
    #[error("the block \"{0}\" is defined twice")]
    BlockTwice(String),
    #[error("the block \"{0}\" contains itself")]
    BlockInItself(String),
    #[error("a component has no blocks; give it arguments")]
    BlockInComponent,
    #[error("a component cannot extend a layout")]
    ExtendsInComponent,
    #[error("\"{0}\" is not a valid name; write one like \"shop/card\"")]
    InvalidFileName(String),
    #[error("there is no {kind} \"{name}\"")]
    UnknownFile { kind: FileKind, name: String, suggestion: Option<String> },
    #[error("{0}")]
    UnusableLayout(String),
    #[error("the {kind} \"{name}\" cannot be used, because there is a mistake in its file")]
    UnusableFile { kind: FileKind, name: String },

    // Escaping.
    #[error(transparent)]
    Context(#[from] ContextError),
    #[error("put quotes around this attribute's value")]
    UnquotedValue,
    #[error("the branches end differently {0}; they must end in the same kind of place")]
    BranchesDiffer(String),
    #[error("one branch ends {one}, another {other}; they must end in the same kind of place")]
    BranchesEnd { one: String, other: String },
    #[error("@foreach begins {start} and ends {end}; it must end in the same kind of place")]
    LoopEnds { start: String, end: String },
    #[error(
        "\"{name}\" uses itself, so it must begin and end in the same kind of place; it begins {start} and ends {end}"
    )]
    RecursionEnds { name: String, start: String, end: String },

    // Limits.
    #[error("the file is larger than {0} bytes")]
    SourceBytes(usize),
    #[error("{name} is larger than {max} bytes (source_bytes_max)")]
    IncludeBytes { name: String, max: usize },
    #[error("a file can have at most {0} @block and @yield directives")]
    Blocks(usize),
    #[error("the page has more than {0} parts (nodes_max)")]
    Nodes(usize),
    #[error("blocks and components nest at most {0} deep")]
    CompiledDepth(usize),
    #[error("blocks and components nest deeper than {0}")]
    RenderedDepth(usize),
    #[error("components nest deeper than {0} (component_depth_max)")]
    ComponentDepth(usize),
    #[error("the page is larger than {0} bytes (output_bytes_max)")]
    OutputBytes(usize),
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// Handlebars failed by itself, which no page should be able to cause.
    #[error(transparent)]
    Handlebars(Box<RenderError>),
}

impl Mistake {
    /// The known name that the author probably meant.
    pub(crate) fn suggestion(&self) -> Option<&str> {
        match self {
            Mistake::UnknownFilter { suggestion, .. } => *suggestion,
            Mistake::UnknownFile { suggestion, .. } | Mistake::UnknownFunction { suggestion, .. } => {
                suggestion.as_deref()
            }
            _ => None,
        }
    }

    /// What to do about it, if the message itself does not say so.
    pub(crate) fn help(&self) -> Option<String> {
        Some(match self {
            Mistake::Unexpected { hint: Some(_), .. } => return None,
            Mistake::Unexpected { expected: Expected::Value, .. }
            | Mistake::ValueMissing
            | Mistake::ValueMissingBefore(_) => {
                "write a value there, such as var.name, or remove what is before it".to_owned()
            }
            Mistake::Unexpected { expected: Expected::EndOfArguments(_), .. } => {
                "add the ) that is missing, or remove what is too much".to_owned()
            }
            Mistake::Unexpected { .. } => {
                "remove it, or add the operator or the | that is missing before it".to_owned()
            }
            Mistake::NotDecimal => "write digits, such as 1200.5".to_owned(),
            Mistake::UnclosedQuote(quote) => format!("add {quote} where the text ends"),
            Mistake::FieldTwice(_) => "remove one of the two".to_owned(),
            Mistake::ExpressionDepth(_) => "give a part of the expression a name with @set".to_owned(),
            Mistake::UnknownFilter { .. } => "docs/templates.md lists the filters".to_owned(),
            Mistake::ArgumentCount(_) => {
                "docs/templates.md lists the arguments of filters and functions".to_owned()
            }
            Mistake::UnknownFunction { .. } => "docs/templates.md lists the functions".to_owned(),
            Mistake::ExtendsCycle(_) => "remove one of these @extends".to_owned(),
            Mistake::EmptyOutput => "write a value between them, or remove them".to_owned(),
            Mistake::Unclosed(_, end) => format!("add {end} at its end"),
            Mistake::UnclosedComment => "write --}} after it".to_owned(),
            Mistake::NoEndTag(name) => format!("add </{name}>"),
            Mistake::WrongEnd { inside, .. } | Mistake::BranchOutsideIf { inside, .. } => {
                format!("end the {} of line {} before it", inside.what, inside.line)
            }
            Mistake::AfterElse(what) => format!("put {what} before @else"),
            Mistake::DirectiveDepth(_) | Mistake::CompiledDepth(_) => {
                "move a part of the page into a component".to_owned()
            }
            Mistake::NoCondition => "write v-else-if=\"var.name\", or v-else".to_owned(),
            Mistake::ExtendsInside(_) => "move it to the first line of the page".to_owned(),
            Mistake::ExtendsTwice => "remove one of the two".to_owned(),
            Mistake::LayoutDepth(_) => "let fewer layouts extend one another".to_owned(),
            Mistake::BlockTwice(_) => "rename or remove one of the two".to_owned(),
            Mistake::BlockInItself(_) => "rename or remove the inner block".to_owned(),
            Mistake::UnknownFile { kind, name, .. } => {
                format!("create {kind}s/{name}.html, or correct the name")
            }
            Mistake::UnusableFile { kind, name } => {
                format!("correct the mistake in {kind}s/{name}.html first")
            }
            Mistake::BranchesDiffer(_)
            | Mistake::BranchesEnd { .. }
            | Mistake::LoopEnds { .. }
            | Mistake::RecursionEnds { .. } => {
                "close every tag and quote in the part that opens it".to_owned()
            }
            Mistake::SourceBytes(_)
            | Mistake::IncludeBytes { .. }
            | Mistake::Blocks(_)
            | Mistake::Nodes(_) => "split the file into components".to_owned(),
            _ => return None,
        })
    }
}

/// What could have followed at the place of a mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    Value,
    /// The end of a `v-if` attribute's value.
    EndOfCondition,
    /// The `)` of a directive.
    EndOfArguments(&'static str),
    /// A sign or a word, after a part that is described.
    After {
        text: &'static str,
        part: &'static str,
    },
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expected::Value => write!(f, "a value"),
            Expected::EndOfCondition => write!(f, "the condition to end"),
            Expected::EndOfArguments(directive) => write!(f, "\")\" after the arguments of @{directive}"),
            Expected::After { text, part } => write!(f, "\"{text}\" after {part}"),
        }
    }
}

/// A directive or a conditional element that is not closed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenPart {
    /// `@if` or `<p v-if>`.
    pub what: String,
    /// The line at which it begins, from 1.
    pub line: usize,
}

impl fmt::Display for OpenPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} of line {}", self.what, self.line)
    }
}

/// The kinds of files that a page can include.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Layout,
    Component,
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FileKind::Layout => "layout",
            FileKind::Component => "component",
        })
    }
}
