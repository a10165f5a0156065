//! Splits a file into literal text, `{{ }}`, directives and `v-if` elements. Comments are left out.

mod comments;
mod elements;

use crate::ast::{Expr, Named};
use crate::expr::ExprParser;
use crate::expr::tokens::{Origin, continues_word};
use crate::filters::Filter;
use crate::functions::Function;
use crate::html_context::{Condition, Machine};
use crate::mistake::{Expected, Mistake};
use crate::source::{Checked, Pos, Problem};
use comments::comment_length;
pub use comments::comments;
use elements::Elements;
pub(super) use elements::is_space_or_comments;

/// A piece of a file, with the byte offset at which it begins.
#[derive(Debug)]
pub(super) struct Token {
    pub at: usize,
    pub kind: Kind,
}

/// The kinds of tokens.
#[derive(Debug)]
pub(super) enum Kind {
    /// Literal text up to this offset.
    Text {
        end: usize,
    },
    Output(Expr),
    Directive(Directive),
    /// The beginning of an element with `v-if`, `v-else-if` or `v-else`.
    ElementOpen(usize),
    /// The end of that element's end tag.
    ElementClose(usize),
    /// The attribute itself or a part of it, up to this offset.
    Condition {
        element: usize,
        end: usize,
    },
}

/// A directive with its arguments.
#[derive(Debug)]
pub(super) enum Directive {
    If(Expr),
    ElseIf(Expr),
    Else,
    EndIf,
    Foreach { item: Named, list: Expr },
    EndForeach,
    Set { name: Named, value: Expr },
    Do(Expr),
    Component { component: Named, args: Option<Expr> },
    Extends(Named),
    Block(Named),
    EndBlock,
    Yield { block: Named, default: Option<Expr> },
}

impl Directive {
    /// The expression in the directive.
    pub(super) fn expr(&self) -> Option<&Expr> {
        match self {
            Directive::If(expr) | Directive::ElseIf(expr) => Some(expr),
            Directive::Foreach { list, .. } => Some(list),
            Directive::Set { value, .. } => Some(value),
            Directive::Do(call) => Some(call),
            Directive::Component { args, .. } => args.as_ref(),
            Directive::Yield { default, .. } => default.as_ref(),
            _ => None,
        }
    }
}

/// An element with `v-if`, `v-else-if` or `v-else`.
#[derive(Debug)]
pub(super) struct Element {
    pub name: String,
    pub start: usize,
    pub condition: Condition,
    /// The offset at which its end tag ends, if it has one.
    pub end: Option<usize>,
    /// The element with the `v-else` or `v-else-if` that belongs to this one.
    pub next: Option<usize>,
}

/// The tokens of a file and the elements that they refer to by index.
pub(super) struct Lexed {
    pub tokens: Vec<Token>,
    pub elements: Vec<Element>,
}

/// The name of every directive, and whether it takes arguments.
pub const DIRECTIVES: &[(&str, bool)] = &[
    ("if", true),
    ("elseif", true),
    ("else", false),
    ("endif", false),
    ("foreach", true),
    ("endforeach", false),
    ("set", true),
    ("setSessionItem", true),
    ("clearSessionItem", true),
    ("component", true),
    ("extends", true),
    ("block", true),
    ("endblock", false),
    ("yield", true),
];

/// Splits a file into tokens.
pub(super) fn lex(file: u32, source: &str) -> Checked<Lexed> {
    let mut lexer = Lexer {
        file,
        source,
        machine: Machine::new(),
        elements: Elements::new(source),
        tokens: Vec::new(),
        at: 0,
        text_start: 0,
        last_ends: [None; 2],
    };
    lexer.run()?;
    let elements = lexer.elements.finish();
    let tokens = elements::weave(lexer.tokens, &elements, source);
    Ok(Lexed { tokens, elements })
}

struct Lexer<'s> {
    file: u32,
    source: &'s str,
    /// Finds tags. The places of values are checked later, after the tree is built.
    machine: Machine,
    elements: Elements<'s>,
    tokens: Vec<Token>,
    at: usize,
    text_start: usize,
    /// The offsets of the last `}}` and the last `]]` of the file, once they were searched for.
    last_ends: [Option<usize>; 2],
}

/// The end of a part that may also lack its end. The lexer searches for an end only if the file has
/// one more, so that lexing takes linear time.
#[derive(Clone, Copy)]
enum Closing {
    Value,
    Browser,
}

impl Lexer<'_> {
    fn run(&mut self) -> Checked<()> {
        while let Some(&byte) = self.source.as_bytes().get(self.at) {
            let taken = match byte {
                _ if self.machine.in_condition_value() => false,
                b'{' if self.rest().starts_with(comments::COMMENT_OPEN) => self.comment()?,
                b'{' if self.rest().starts_with("{{") => self.output()?,
                b'[' if self.rest().starts_with("[[") => self.browser_expression(),
                b'@' => self.at_sign()?,
                _ => false,
            };
            if !taken {
                self.literal(self.at + 1);
            }
        }
        self.end_text();
        Ok(())
    }

    fn rest(&self) -> &str {
        self.source.get(self.at..).unwrap_or("")
    }

    fn last_end(&mut self, closing: Closing) -> usize {
        let (index, sign) = match closing {
            Closing::Value => (0, "}}"),
            Closing::Browser => (1, "]]"),
        };
        let source = self.source;
        match self.last_ends.get_mut(index) {
            Some(end) => *end.get_or_insert_with(|| source.rfind(sign).unwrap_or(0)),
            None => 0,
        }
    }

    /// Takes everything up to an offset as literal text.
    fn literal(&mut self, end: usize) {
        while self.at < end {
            let Some(&byte) = self.source.as_bytes().get(self.at) else {
                break;
            };
            if let Ok(Some(tag)) = self.machine.step(byte, self.at) {
                self.elements.tag(tag);
            }
            self.at += 1;
        }
    }

    fn end_text(&mut self) {
        if self.text_start < self.at {
            self.tokens.push(Token { at: self.text_start, kind: Kind::Text { end: self.at } });
        }
    }

    fn push(&mut self, kind: Kind, end: usize) {
        self.end_text();
        self.tokens.push(Token { at: self.at, kind });
        self.at = end;
        self.text_start = end;
    }

    /// `{{ value }}`, or `{{{ value }}}`, which is short for `{{ value | raw }}`.
    fn output(&mut self) -> Checked<bool> {
        let (expr, end) = self.value().map_err(|problem| match self.is_unclosed() {
            true => self.problem(Mistake::Unclosed("{{", "}}")),
            false => problem,
        })?;
        // Values at places that do not allow them are found later, when the branches are known.
        let _ = self.machine.hole(0);
        self.push(Kind::Output(expr), end);
        Ok(true)
    }

    /// The expression of the value that begins here, and the offset of its end.
    fn value(&self) -> Checked<(Expr, usize)> {
        let is_raw = self.rest().starts_with("{{{");
        let closing = if is_raw { "}}}" } else { "}}" };
        let mut parser = self.parser(self.at + closing.len())?;
        if parser.rest_starts_with(closing) {
            return Err(self.problem(Mistake::EmptyOutput));
        }
        let mut expr = parser.pipeline()?;
        if !parser.rest_starts_with(closing) {
            return Err(parser.unexpected(Expected::After { text: closing, part: "the expression" }));
        }
        let end = parser.offset() + closing.len();
        if is_raw {
            expr = expr.with_filter(Filter::Raw, Pos::new(self.file, self.at));
        }
        Ok((expr, end))
    }

    /// Whether the `{{` that begins here has no `}}`, or the next one belongs to another `{{`.
    fn is_unclosed(&self) -> bool {
        let inside = self.rest().trim_start_matches('{');
        match inside.split_once("}}") {
            Some((inside, _)) => inside.contains("{{"),
            None => true,
        }
    }

    /// `{{-- … --}}`: the text before and after it is read as if it was not there.
    fn comment(&mut self) -> Checked<bool> {
        let Some(length) = comment_length(self.rest()) else {
            return Err(self.problem(Mistake::UnclosedComment));
        };
        self.end_text();
        self.at += length;
        self.text_start = self.at;
        Ok(true)
    }

    /// `[[ … ]]`, which the browser evaluates. Within scripts and styles, brackets have no special
    /// meaning.
    fn browser_expression(&mut self) -> bool {
        if self.machine.in_code() {
            return false;
        }
        if self.last_end(Closing::Browser) < self.at + 2 {
            return false;
        }
        let Some(length) = self.rest().find("]]") else {
            return false;
        };
        self.literal(self.at + length + 2);
        true
    }

    fn at_sign(&mut self) -> Checked<bool> {
        let source = self.source;
        let rest = source.get(self.at..).unwrap_or("");
        if rest.starts_with("@{{") {
            let length = match self.last_end(Closing::Value) > self.at {
                true => rest.find("}}").map_or(2, |length| length + 1),
                false => 2,
            };
            self.drop_at_sign(length);
            return Ok(true);
        }
        if let Some(escaped) = rest.strip_prefix("@@") {
            if let Some((name, _)) = directive(escaped) {
                self.drop_at_sign(name.len() + 1);
                return Ok(true);
            }
            return Ok(false);
        }
        let Some((name, has_args)) = rest.strip_prefix('@').and_then(directive) else {
            return Ok(false);
        };
        let after = rest.get(name.len() + 1..).unwrap_or("");
        if self.is_part_of_address(after) || (has_args && after.starts_with('=')) {
            return Ok(false);
        }
        self.directive(name, has_args)?;
        Ok(true)
    }

    /// Whether the `@` belongs to an address like `someone@else.org`: a letter before it, and a dot
    /// and a letter after the name.
    fn is_part_of_address(&self, after: &str) -> bool {
        let before = self.source.get(..self.at).unwrap_or("");
        let mut following = after.chars();
        before.ends_with(continues_word)
            && matches!(following.next(), Some('.' | '-'))
            && following.next().is_some_and(continues_word)
    }

    /// Takes the text after an `@` as literal text, without the `@`.
    fn drop_at_sign(&mut self, length: usize) {
        self.end_text();
        self.at += 1;
        self.text_start = self.at;
        self.literal(self.at + length);
    }

    fn directive(&mut self, name: &'static str, has_args: bool) -> Checked<()> {
        let name_end = self.at + 1 + name.len();
        let after = self.source.get(name_end..).unwrap_or("");
        if !has_args {
            let directive = match name {
                "else" => self.plain_else(after)?,
                "endif" => Directive::EndIf,
                "endforeach" => Directive::EndForeach,
                _ => Directive::EndBlock,
            };
            self.fork(&directive);
            self.push(Kind::Directive(directive), name_end);
            return Ok(());
        }
        let open = name_end + (after.len() - after.trim_start_matches([' ', '\t']).len());
        if !self.source.get(open..).is_some_and(|rest| rest.starts_with('(')) {
            return Err(self.problem(Mistake::NoParentheses(name)));
        }
        let mut parser = self.parser(open + 1)?;
        let directive = arguments(name, &mut parser, Pos::new(self.file, self.at))?;
        parser.expect(")", Expected::EndOfArguments(name))?;
        let end = parser.offset() + 1;
        self.fork(&directive);
        self.push(Kind::Directive(directive), end);
        Ok(())
    }

    fn plain_else(&self, after: &str) -> Checked<Directive> {
        let spaced = after.trim_start_matches([' ', '\t']);
        let condition = spaced.strip_prefix("if").map(|rest| rest.trim_start_matches([' ', '\t']));
        match condition {
            Some(rest) if spaced.len() < after.len() && rest.starts_with('(') => {
                Err(self.problem(Mistake::ElseIf))
            }
            _ => Ok(Directive::Else),
        }
    }

    /// Every branch of an `@if` begins in the state in which the `@if` began.
    fn fork(&mut self, directive: &Directive) {
        match directive {
            Directive::If(_) => self.elements.enter_branches(&self.machine),
            Directive::ElseIf(_) | Directive::Else => {
                if let Some(machine) = self.elements.next_branch() {
                    self.machine = machine;
                }
            }
            Directive::EndIf => self.elements.leave_branches(),
            _ => {}
        }
    }

    fn parser(&self, from: usize) -> Checked<ExprParser<'_>> {
        ExprParser::new(self.source, from, Origin::File(self.file))
    }

    fn problem(&self, mistake: Mistake) -> Problem {
        Problem::new(Pos::new(self.file, self.at), mistake)
    }
}

/// The directive with which a text begins.
fn directive(text: &str) -> Option<(&'static str, bool)> {
    let end = text.find(|c| !continues_word(c)).unwrap_or(text.len());
    let word = text.get(..end)?;
    DIRECTIVES.iter().find(|(name, _)| *name == word).copied()
}

fn arguments(name: &str, parser: &mut ExprParser<'_>, pos: Pos) -> Checked<Directive> {
    Ok(match name {
        "if" => Directive::If(parser.pipeline()?),
        "elseif" => Directive::ElseIf(parser.pipeline()?),
        "foreach" => {
            let item = parser.name("a name, as in @foreach(item in list)")?;
            parser.expect_word("in", "the name")?;
            Directive::Foreach { item, list: parser.pipeline()? }
        }
        "set" => {
            let name = parser.name("a name, as in @set(name = value)")?;
            parser.take_sign("=", "the name")?;
            Directive::Set { name, value: parser.pipeline()? }
        }
        "setSessionItem" | "clearSessionItem" => {
            let function = Function::find(name).map_err(|mistake| Problem::new(pos, mistake))?;
            let args = parser.arguments()?;
            function.check_args(args.len()).map_err(|error| Problem::new(pos, error))?;
            Directive::Do(Expr::Call { function, args, pos })
        }
        "component" => {
            let component = parser.literal_text("the component's name")?;
            Directive::Component { component, args: optional(parser)? }
        }
        "extends" => Directive::Extends(parser.literal_text("the layout's name")?),
        "block" => Directive::Block(parser.literal_text("the block's name")?),
        _ => {
            let block = parser.literal_text("the block's name")?;
            Directive::Yield { block, default: optional(parser)? }
        }
    })
}

fn optional(parser: &mut ExprParser<'_>) -> Checked<Option<Expr>> {
    match parser.take_comma()? {
        true => Ok(Some(parser.pipeline()?)),
        false => Ok(None),
    }
}

#[cfg(test)]
mod tests;
