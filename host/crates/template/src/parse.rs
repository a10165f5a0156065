//! Tokens to a tree: pairs directives and decides whose a `v-if` is.

mod condition;

use std::collections::HashSet;

use sluice_text::source::HOLE;

use crate::ast::{Arm, Document, Expr, Named, Node};
use crate::lex::{Directive, Element, Kind, Lexed, Token, lex};
use crate::source::{Checked, Pos, Problem};
use condition::Owner;

/// Directives and conditional elements that may stand in one another.
pub(super) const NESTING_MAX: usize = 48;

/// The names that every page has.
pub const GLOBAL_NAMES: &[&str] = &["var", "customer", "is_customer", "request", "route_params"];

/// Which names of a `v-if` are the server's, beside those that every page has and those that
/// the file itself sets.
#[derive(Debug, Clone, Copy)]
pub(super) enum Known<'n> {
    /// What the other files of a page and its layouts set.
    Page(&'n [String]),
    /// A component's arguments. Those left out are known by what the component does with them.
    Component(&'n [String]),
    /// All: a component's arguments are only known at run time.
    All,
}

/// Parses a file.
pub(super) fn parse(file: u32, source: &str, known: Known<'_>) -> Checked<Document> {
    let Lexed { tokens, elements } = lex(file, source)?;
    let mut document = Document::default();
    for token in &tokens {
        if let Kind::Directive(Directive::Set { name, .. }) = &token.kind {
            document.set_names.push(name.name.clone());
        }
    }
    let mut names: HashSet<String> = GLOBAL_NAMES.iter().map(|name| (*name).to_owned()).collect();
    names.extend(document.set_names.iter().cloned());
    if let Known::Page(others) | Known::Component(others) = known {
        names.extend(others.iter().cloned());
    }
    if let Known::Component(_) = known {
        names.extend(used_names(&tokens));
    }
    let owners = elements.iter().map(|_| None).collect();
    let mut parser = Parser {
        file,
        source,
        elements: &elements,
        owners,
        known: names,
        knows_all: matches!(known, Known::All),
        frames: Vec::new(),
        nodes: Vec::new(),
        extends: None,
    };
    let mut tokens = tokens.into_iter();
    while let Some(token) = tokens.next() {
        parser.token(token, &mut tokens)?;
    }
    if let Some(frame) = parser.frames.last() {
        return Err(Problem::new(frame.pos, parser.unclosed(frame)));
    }
    document.extends = parser.extends;
    document.nodes = parser.nodes;
    Ok(document)
}

struct Parser<'s> {
    file: u32,
    source: &'s str,
    elements: &'s [Element],
    /// Whose each element's condition is, once known.
    owners: Vec<Option<Owner>>,
    known: HashSet<String>,
    knows_all: bool,
    frames: Vec<Frame>,
    /// The nodes of the innermost open frame.
    nodes: Vec<Node>,
    extends: Option<Named>,
}

/// Something that waits for its end.
struct Frame {
    kind: FrameKind,
    pos: Pos,
    /// The nodes before it.
    outer: Vec<Node>,
}

enum FrameKind {
    If { arms: Vec<Arm>, condition: Option<Expr>, arm_pos: Pos },
    Element { id: usize, arms: Vec<Arm>, condition: Option<Expr>, arm_pos: Pos },
    Foreach { item: Named, list: Expr },
    Block { block: Named },
}

type Rest = std::vec::IntoIter<Token>;

impl Parser<'_> {
    fn token(&mut self, token: Token, rest: &mut Rest) -> Checked<()> {
        let pos = Pos::new(self.file, token.at);
        match token.kind {
            Kind::Text { end } => self.text(token.at, end),
            Kind::Output(expr) => self.nodes.push(Node::Output { expr, pos }),
            Kind::Directive(directive) => self.directive(directive, pos)?,
            Kind::ElementOpen(id) => self.open_element(id)?,
            Kind::ElementClose(id) => self.close_element(id, pos, rest)?,
            Kind::Condition { element, end } => {
                if !matches!(self.owners.get(element), Some(Some(Owner::Server(_)))) {
                    self.text(token.at, end);
                }
            }
        }
        Ok(())
    }

    fn text(&mut self, start: usize, end: usize) {
        let text = without_holes(self.source.get(start..end).unwrap_or(""));
        if !text.is_empty() {
            self.nodes.push(Node::Text { text, pos: Pos::new(self.file, start) });
        }
    }

    fn directive(&mut self, directive: Directive, pos: Pos) -> Checked<()> {
        match directive {
            Directive::If(condition) => {
                let condition = Some(condition);
                self.open(FrameKind::If { arms: Vec::new(), condition, arm_pos: pos }, pos)
            }
            Directive::ElseIf(condition) => self.next_arm(Some(condition), pos),
            Directive::Else => self.next_arm(None, pos),
            Directive::EndIf => {
                let frame = self.close(pos, "@endif", |kind| matches!(kind, FrameKind::If { .. }))?;
                if let FrameKind::If { mut arms, condition, arm_pos } = frame.kind {
                    arms.push(Arm { condition, body: frame.body, pos: arm_pos });
                    self.nodes.push(Node::If { arms, pos: frame.pos });
                }
                Ok(())
            }
            Directive::Foreach { item, list } => {
                check_name(&item)?;
                self.open(FrameKind::Foreach { item, list }, pos)
            }
            Directive::EndForeach => {
                let is_foreach = |kind: &FrameKind| matches!(kind, FrameKind::Foreach { .. });
                let frame = self.close(pos, "@endforeach", is_foreach)?;
                if let FrameKind::Foreach { item, list } = frame.kind {
                    let node = Node::Foreach { item, list, body: frame.body, pos: frame.pos };
                    self.nodes.push(node);
                }
                Ok(())
            }
            Directive::Set { name, value } => {
                check_name(&name)?;
                self.nodes.push(Node::Set { name, value });
                Ok(())
            }
            Directive::Component { component, args } => {
                self.nodes.push(Node::Component { component, args, pos });
                Ok(())
            }
            Directive::Extends(layout) => {
                if let Some(open) = self.frames.last() {
                    return Err(Problem::new(
                        pos,
                        format!("@extends cannot stand inside {}", self.describe(open)),
                    ));
                }
                if self.extends.replace(layout).is_some() {
                    return Err(Problem::new(pos, "a page can have one @extends only"));
                }
                Ok(())
            }
            Directive::Block(block) => self.open(FrameKind::Block { block }, pos),
            Directive::EndBlock => {
                let is_block = |kind: &FrameKind| matches!(kind, FrameKind::Block { .. });
                let frame = self.close(pos, "@endblock", is_block)?;
                if let FrameKind::Block { block } = frame.kind {
                    self.nodes.push(Node::Block { block, body: frame.body });
                }
                Ok(())
            }
            Directive::Yield { block, default } => {
                self.nodes.push(Node::Yield { block, default });
                Ok(())
            }
        }
    }

    fn open(&mut self, kind: FrameKind, pos: Pos) -> Checked<()> {
        if self.frames.len() >= NESTING_MAX {
            return Err(Problem::new(pos, format!("directives nest at most {NESTING_MAX} deep")));
        }
        let outer = std::mem::take(&mut self.nodes);
        self.frames.push(Frame { kind, pos, outer });
        Ok(())
    }

    fn close(&mut self, pos: Pos, what: &str, fits: impl Fn(&FrameKind) -> bool) -> Checked<Closed> {
        match self.frames.pop() {
            Some(frame) if fits(&frame.kind) => {
                let body = std::mem::replace(&mut self.nodes, frame.outer);
                Ok(Closed { kind: frame.kind, pos: frame.pos, body })
            }
            Some(frame) => {
                let message = format!("{what} stands inside {}", self.describe(&frame));
                Err(Problem::new(pos, message))
            }
            None => {
                Err(Problem::new(pos, format!("{what} closes nothing that is open here; @{what} prints it")))
            }
        }
    }

    fn next_arm(&mut self, next: Option<Expr>, pos: Pos) -> Checked<()> {
        let what = if next.is_some() { "@elseif" } else { "@else" };
        let description = self.frames.last().map(|frame| self.describe(frame));
        match self.frames.last_mut() {
            Some(Frame { kind: FrameKind::If { arms, condition, arm_pos }, .. }) => {
                if condition.is_none() {
                    return Err(Problem::new(pos, format!("{what} after @else")));
                }
                let body = std::mem::take(&mut self.nodes);
                let condition = std::mem::replace(condition, next);
                arms.push(Arm { condition, body, pos: std::mem::replace(arm_pos, pos) });
                Ok(())
            }
            Some(_) => {
                let open = description.unwrap_or_default();
                Err(Problem::new(pos, format!("{what} belongs to an @if, but stands inside {open}")))
            }
            None => Err(Problem::new(pos, format!("{what} without an @if; @{what} prints it"))),
        }
    }

    /// What is open, with the line where it began.
    fn describe(&self, frame: &Frame) -> String {
        let before = self.source.get(..frame.pos.at as usize).unwrap_or("");
        let line = before.matches('\n').count() + 1;
        let what = match &frame.kind {
            FrameKind::If { .. } => "@if".to_owned(),
            FrameKind::Foreach { .. } => "@foreach".to_owned(),
            FrameKind::Block { .. } => "@block".to_owned(),
            FrameKind::Element { id, .. } => match self.elements.get(*id) {
                Some(element) => format!("<{} {}>", element.name, element.condition.name),
                None => "an element".to_owned(),
            },
        };
        format!("the {what} of line {line}")
    }

    fn unclosed(&self, frame: &Frame) -> String {
        match &frame.kind {
            FrameKind::If { .. } => "this @if has no @endif".to_owned(),
            FrameKind::Foreach { .. } => "this @foreach has no @endforeach".to_owned(),
            FrameKind::Block { .. } => "this @block has no @endblock".to_owned(),
            FrameKind::Element { .. } => "this element has no end tag".to_owned(),
        }
    }
}

/// The names that a file's values and directives use, without those of its loops.
fn used_names(tokens: &[Token]) -> HashSet<String> {
    let mut used = Vec::new();
    let mut of_loops = HashSet::from(["loop"]);
    for token in tokens {
        match &token.kind {
            Kind::Output(expr) => expr.names(&mut used),
            Kind::Directive(directive) => {
                directive.expr().into_iter().for_each(|expr| expr.names(&mut used));
                if let Directive::Foreach { item, .. } = directive {
                    of_loops.insert(&item.name);
                }
            }
            _ => {}
        }
    }
    used.into_iter().filter(|name| !of_loops.contains(name)).map(str::to_owned).collect()
}

struct Closed {
    kind: FrameKind,
    pos: Pos,
    body: Vec<Node>,
}

pub(super) fn check_name(named: &Named) -> Checked<()> {
    let reserved = ["loop", "true", "false", "null", "undefined"];
    let name = named.name.as_str();
    if GLOBAL_NAMES.contains(&name) || reserved.contains(&name) {
        let message = format!("\"{name}\" has a meaning of its own and cannot be given another");
        return Err(Problem::new(named.pos, message));
    }
    Ok(())
}

/// Text without the backend scripts that stood in it. Whoever took them out left
/// NUL for each of their characters, so that positions stay; line breaks stayed.
fn without_holes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(HOLE) {
        let (before, hole) = rest.split_at(start);
        out.push_str(before);
        // A hole ends at its last NUL before other text.
        let end = hole.find(|c: char| c != HOLE && c != '\n').unwrap_or(hole.len());
        let end = hole.get(..end).and_then(|hole| hole.rfind(HOLE)).map_or(end, |last| last + 1);
        rest = hole.get(end..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}
