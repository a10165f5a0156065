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
    #[error("this comment has no end; write --}}}} after it")]
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
