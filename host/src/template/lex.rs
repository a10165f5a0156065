//! Splits a file into literal text, `{{ }}`, directives and `v-if` elements.

mod elements;

use super::ast::{Expr, Named};
use super::expr::ExprParser;
use super::expr::tokens::{Origin, continues_word};
use super::html_context::{Condition, Machine};
use super::source::{Checked, Pos, Problem};
use elements::Elements;

/// A piece of a file, with the byte offset where it begins.
#[derive(Debug)]
pub(super) struct Token {
    pub at: usize,
    pub kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// Literal text up to this offset.
    Text {
        end: usize,
    },
    Output(Expr),
    Directive(Directive),
    /// An element with `v-if` or one of its kin begins.
    ElementOpen(usize),
    /// Its end tag has ended.
    ElementClose(usize),
    /// The attribute itself (or a part of it), up to this offset.
    Condition {
        element: usize,
        end: usize,
    },
}

#[derive(Debug)]
pub(super) enum Directive {
    If(Expr),
    ElseIf(Expr),
    Else,
    EndIf,
    Foreach { item: Named, list: Expr },
    EndForeach,
    Set { name: Named, value: Expr },
    Component { component: Named, args: Option<Expr> },
    Extends(Named),
    Block(Named),
    EndBlock,
    Yield { block: Named, default: Option<Expr> },
}

/// An element with `v-if`, `v-else-if` or `v-else`.
#[derive(Debug)]
pub(super) struct Element {
    pub name: String,
    pub start: usize,
    pub condition: Condition,
    /// Where its end tag ends, if it has one.
    pub end: Option<usize>,
    /// The element that this one is the `else` of, and the one that is this one's.
    pub previous: Option<usize>,
    pub next: Option<usize>,
}

/// The tokens of a file and the elements that they speak of.
pub(super) struct Lexed {
    pub tokens: Vec<Token>,
    pub elements: Vec<Element>,
}

/// Every directive, and whether it has arguments.
const DIRECTIVES: &[(&str, bool)] = &[
    ("if", true),
    ("elseif", true),
    ("else", false),
    ("endif", false),
    ("foreach", true),
    ("endforeach", false),
    ("set", true),
    ("component", true),
    ("extends", true),
    ("block", true),
    ("endblock", false),
    ("yield", true),
];

pub(super) fn lex(file: u32, source: &str) -> Checked<Lexed> {
    let mut lexer = Lexer {
        file,
        source,
        machine: Machine::new(),
        elements: Elements::new(source),
        tokens: Vec::new(),
        at: 0,
        text_start: 0,
        last_browser_end: None,
    };
    lexer.run()?;
    let elements = lexer.elements.finish();
    let tokens = elements::weave(lexer.tokens, &elements, source);
    Ok(Lexed { tokens, elements })
}

struct Lexer<'s> {
    file: u32,
    source: &'s str,
    /// Only to find tags. What a value may stand in is checked when the tree is known.
    machine: Machine,
    elements: Elements<'s>,
    tokens: Vec<Token>,
    at: usize,
    text_start: usize,
    /// Where the last `]]` of the file ends, once asked for.
    last_browser_end: Option<usize>,
}

impl Lexer<'_> {
    fn run(&mut self) -> Checked<()> {
        while let Some(&byte) = self.source.as_bytes().get(self.at) {
            let taken = match byte {
                _ if self.machine.in_condition_value() => false,
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

    /// Takes everything up to an offset as literal text.
    fn literal(&mut self, end: usize) {
        while self.at < end {
            let Some(&byte) = self.source.as_bytes().get(self.at) else { break };
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

    fn output(&mut self) -> Checked<bool> {
        if self.rest().starts_with("{{{") {
            return Err(self.problem("there is no {{{ }}}; unescaped output is {{ value | raw }}"));
        }
        let mut parser = self.parser(self.at + 2)?;
        if parser.rest_starts_with("}}") {
            return Err(self.problem("there is nothing between {{ and }}"));
        }
        let expr = parser.pipeline()?;
        if !parser.rest_starts_with("}}") {
            return Err(parser.unexpected("expected \"}}\" after the expression"));
        }
        let end = parser.offset() + 2;
        // Where a value must not stand is found out when the branches are known.
        let _ = self.machine.hole(0);
        self.push(Kind::Output(expr), end);
        Ok(true)
    }

    /// `[[ … ]]`, which is the browser's. Within scripts and styles brackets are just
    /// brackets.
    fn browser_expression(&mut self) -> bool {
        if self.machine.in_code() {
            return false;
        }
        let source = self.source;
        let last = *self.last_browser_end.get_or_insert_with(|| source.rfind("]]").unwrap_or(0));
        if last < self.at + 2 {
            return false;
        }
        let Some(length) = self.rest().find("]]") else { return false };
        self.literal(self.at + length + 2);
        true
    }

    fn at_sign(&mut self) -> Checked<bool> {
        let rest = self.rest();
        if rest.starts_with("@{{") {
            let end = rest.find("}}").map_or(3, |length| length + 2);
            self.drop_at_sign(end - 1);
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

    /// `someone@else.org`: a letter before, and a dot and a letter after.
    fn is_part_of_address(&self, after: &str) -> bool {
        let before = self.source.get(..self.at).unwrap_or("");
        let mut following = after.chars();
        before.ends_with(continues_word)
            && matches!(following.next(), Some('.' | '-'))
            && following.next().is_some_and(continues_word)
    }

    /// Prints what follows an `@` as it is, without the `@`.
    fn drop_at_sign(&mut self, length: usize) {
        self.end_text();
        self.at += 1;
        self.text_start = self.at;
        self.literal(self.at + length);
    }

    fn directive(&mut self, name: &str, has_args: bool) -> Checked<()> {
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
            return Err(self
                .problem(format!("@{name} takes its arguments in parentheses; write @@{name} to print it")));
        }
        let mut parser = self.parser(open + 1)?;
        let directive = arguments(name, &mut parser)?;
        parser.expect(")", &format!("the arguments of @{name}"))?;
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
                Err(self.problem("\"else if\" is written @elseif(…)"))
            }
            _ => Ok(Directive::Else),
        }
    }

    /// Every branch of an `@if` begins in the markup that the `@if` stands in.
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

    fn problem(&self, message: impl Into<String>) -> Problem {
        Problem::new(Pos::new(self.file, self.at), message)
    }
}

/// The directive that a text begins with.
fn directive(text: &str) -> Option<(&'static str, bool)> {
    let end = text.find(|c| !continues_word(c)).unwrap_or(text.len());
    let word = text.get(..end)?;
    DIRECTIVES.iter().find(|(name, _)| *name == word).copied()
}

fn arguments(name: &str, parser: &mut ExprParser<'_>) -> Checked<Directive> {
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
mod tests {
    use super::*;

    /// The literal text of a file, with a mark for everything else.
    fn outline(source: &str) -> Result<String, String> {
        let lexed = lex(0, source).map_err(|p| format!("{}: {}", p.pos.at, p.message))?;
        Ok(lexed
            .tokens
            .iter()
            .map(|token| match &token.kind {
                Kind::Text { end } => source.get(token.at..*end).unwrap_or("?").to_owned(),
                Kind::Output(_) => "¤".to_owned(),
                Kind::Directive(_) => "§".to_owned(),
                Kind::ElementOpen(id) => format!("«{id}:"),
                Kind::ElementClose(id) => format!(":{id}»"),
                Kind::Condition { element, .. } => format!("‹{element}›"),
            })
            .collect())
    }

    #[test]
    fn only_directives_are_directives() {
        for (source, expected) in [
            ("@media (x) { a@b.c @import }", "@media (x) { a@b.c @import }"),
            ("@if(a)yes@else no@endif", "§yes§ no§"),
            ("@if (a == (1)) x @endif.", "§ x §."),
            ("me@else.org, me@if.com", "me@else.org, me@if.com"),
            ("<a @set=\"x\" @if=1>", "<a @set=\"x\" @if=1>"),
            ("@@if(a) @@media @@endif", "@if(a) @@media @endif"),
            ("@{{ a }} b @{{", "{{ a }} b {{"),
            ("@iffy @elseifs @end", "@iffy @elseifs @end"),
            ("[[ {{ a }} @if ]] {{ b }}", "[[ {{ a }} @if ]] ¤"),
            ("[[ open {{ b }}", "[[ open ¤"),
            ("<script>[[{{ a }}, 1]]</script>", "<script>[[¤, 1]]</script>"),
            ("{{ \"}}\" }} {{ {a: {b: 1}} }}", "¤ ¤"),
            ("{ a } }} { {", "{ a } }} { {"),
            ("{{a}}{{b}}", "¤¤"),
        ] {
            assert_eq!(outline(source).as_deref(), Ok(expected), "{source}");
        }
    }

    #[test]
    fn mistakes_are_named_where_they_are() {
        for (source, expected) in [
            ("ab {{ }}", "3: there is nothing"),
            ("{{{ a }}}", "0: there is no {{{ }}}"),
            ("{{ a", "4: expected \"}}\" after the expression, found the end"),
            ("{{ a } }", "5: expected \"}}\""),
            ("x @if a", "2: @if takes its arguments in parentheses"),
            ("@if(a", "5: expected \")\" after the arguments of @if"),
            ("@if(a) @else if (b) @endif", "7: \"else if\" is written @elseif"),
            ("@foreach(a of b)", "11: expected \"in\" after the name"),
            ("@foreach(in b)", "12: expected \"in\" after the name"),
            ("@set(a b)", "7: expected \"=\" after the name"),
            ("@component(card)", "11: expected the component's name in quotes"),
        ] {
            let error = outline(source).err().unwrap_or_default();
            assert!(error.starts_with(expected), "{source}: {error}");
        }
    }

    #[test]
    fn conditional_elements_are_found_with_their_ends() {
        for (source, expected) in [
            ("<p v-if=\"a\">x</p>y", "«0:<p‹0›>x</p>:0»y"),
            ("<P V-IF='a'><p></p></P>", "«0:<P‹0›><p></p></P>:0»"),
            ("<img src=x v-if=a>y", "«0:<img src=x‹0›>:0»y"),
            ("<b v-if=\"a\" /> <i v-else>", "«0:<b‹0› />:0» «1:<i‹1›>"),
            ("<p v-if=\"a\"><!-- </p> --></p>", "«0:<p‹0›><!-- </p> --></p>:0»"),
            (
                "<div v-if='a'><script>'</div>'</script></div>",
                "«0:<div‹0›><script>'</div>'</script></div>:0»",
            ),
            ("<p v-if=\"a > b && '{{'\" class=x>", "«0:<p‹0› class=x>"),
            ("<p class=x v-if=\"a\"id=y>", "«0:<p class=x ‹0›id=y>"),
            (
                "<!-- <p v-if=a> --><textarea><p v-if=a></textarea>",
                "<!-- <p v-if=a> --><textarea><p v-if=a></textarea>",
            ),
            ("<a v-if=\"x\" href=\"{{ u }}\"></a>", "«0:<a‹0› href=\"¤\"></a>:0»"),
            ("@if(a)<div v-if='b'>@else<div>@endif</div>", "§«0:<div‹0›>§<div>§</div>"),
        ] {
            assert_eq!(outline(source).as_deref(), Ok(expected), "{source}");
        }
    }

    #[test]
    fn chains_link_only_over_space_and_comments() {
        let next = |source: &str| {
            let lexed = lex(0, source).ok();
            lexed.and_then(|lexed| lexed.elements.first().map(|element| element.next))
        };
        assert_eq!(next("<p v-if=a></p> <!-- or --> <p v-else></p>"), Some(Some(1)));
        assert_eq!(next("<p v-if=a></p> or <p v-else></p>"), Some(None));
        assert_eq!(next("<p v-if=a></p><br><p v-else></p>"), Some(None));
        assert_eq!(next("<p v-else></p><p v-else></p>"), Some(None));
    }
}
