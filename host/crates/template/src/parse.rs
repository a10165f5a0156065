//! Builds the tree from tokens: pairs directives, and decides whether the server or the browser
//! evaluates a `v-if`.

mod condition;

use std::collections::HashSet;

use sluice_text::source::HOLE;

use crate::ast::{Arm, Document, Expr, Named, Node};
use crate::lex::{Directive, Element, Kind, Lexed, Token, lex};
use crate::mistake::{Mistake, OpenPart};
use crate::source::{Checked, Pos, Problem};
use condition::Owner;

/// How deep directives and conditional elements may nest in one file.
pub(super) const NESTING_MAX: usize = 48;

/// How many `@block`s and `@yield`s one file can have.
pub(super) const BLOCKS_MAX: usize = 1_000;

/// The names that every page, layout and component has.
pub(crate) const GLOBAL_NAMES: &[&str] = &["var", "customer", "is_customer", "request", "route_params"];

/// Parts of the request that also have names of their own. Other names can hide them, because pages
/// may already use these names for something else.
pub(crate) const REQUEST_NAMES: &[&str] = &["locale", "query", "queries", "route_slug"];

/// The names that the server knows in a `v-if`, besides those that every page has and those that
/// the file itself defines.
#[derive(Debug, Clone, Copy)]
pub(super) enum Known<'n> {
    /// The names that the other files of a page and its layouts define.
    Page(&'n [String]),
    /// A component's arguments. Arguments that the caller left out are known from their use in the
    /// component.
    Component(&'n [String]),
    /// All names: a component's arguments are known only at run time.
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
        blocks: 0,
        extends: None,
    };
    let mut tokens = tokens.into_iter();
    while let Some(token) = tokens.next() {
        parser.token(token, &mut tokens)?;
    }
    if let Some(frame) = parser.frames.last() {
        return Err(Problem::new(frame.pos, unclosed(frame)));
    }
    document.extends = parser.extends;
    document.nodes = parser.nodes;
    Ok(document)
}

struct Parser<'s> {
    file: u32,
    source: &'s str,
    elements: &'s [Element],
    /// The side that evaluates each element's condition, once it is known.
    owners: Vec<Option<Owner>>,
    known: HashSet<String>,
    knows_all: bool,
    frames: Vec<Frame>,
    /// The nodes so far of the innermost open frame.
    nodes: Vec<Node>,
    /// The number of `@block`s and `@yield`s so far.
    blocks: usize,
    extends: Option<Named>,
}

/// A directive or an element that is not closed yet.
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
                let is_if = |kind: &FrameKind| matches!(kind, FrameKind::If { .. });
                let frame = self.close(pos, "@endif", "an @if", is_if)?;
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
                let frame = self.close(pos, "@endforeach", "a @foreach", is_foreach)?;
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
            Directive::Do(call) => {
                self.nodes.push(Node::Do { call, pos });
                Ok(())
            }
            Directive::Component { component, args } => {
                self.nodes.push(Node::Component { component, args, pos });
                Ok(())
            }
            Directive::Extends(layout) => {
                if let Some(open) = self.frames.last() {
                    return Err(Problem::new(pos, Mistake::ExtendsInside(self.describe(open))));
                }
                if self.extends.replace(layout).is_some() {
                    return Err(Problem::new(pos, Mistake::ExtendsTwice));
                }
                Ok(())
            }
            Directive::Block(block) => {
                self.count_block(pos)?;
                self.open(FrameKind::Block { block }, pos)
            }
            Directive::EndBlock => {
                let is_block = |kind: &FrameKind| matches!(kind, FrameKind::Block { .. });
                let frame = self.close(pos, "@endblock", "a @block", is_block)?;
                if let FrameKind::Block { block } = frame.kind {
                    self.nodes.push(Node::Block { block, body: frame.body });
                }
                Ok(())
            }
            Directive::Yield { block, default } => {
                self.count_block(pos)?;
                self.nodes.push(Node::Yield { block, default });
                Ok(())
            }
        }
    }

    fn count_block(&mut self, pos: Pos) -> Checked<()> {
        self.blocks += 1;
        if self.blocks > BLOCKS_MAX { Err(Problem::new(pos, Mistake::Blocks(BLOCKS_MAX))) } else { Ok(()) }
    }

    fn open(&mut self, kind: FrameKind, pos: Pos) -> Checked<()> {
        if self.frames.len() >= NESTING_MAX {
            return Err(Problem::new(pos, Mistake::DirectiveDepth(NESTING_MAX)));
        }
        let outer = std::mem::take(&mut self.nodes);
        self.frames.push(Frame { kind, pos, outer });
        Ok(())
    }

    /// Closes the innermost frame, which has to be one that `what` can close.
    fn close(
        &mut self,
        pos: Pos,
        what: &'static str,
        of: &'static str,
        fits: impl Fn(&FrameKind) -> bool,
    ) -> Checked<Closed> {
        match self.frames.pop() {
            Some(frame) if fits(&frame.kind) => {
                let body = std::mem::replace(&mut self.nodes, frame.outer);
                Ok(Closed { kind: frame.kind, pos: frame.pos, body })
            }
            Some(frame) => {
                let inside = self.describe(&frame);
                Err(Problem::new(pos, Mistake::WrongEnd { what, inside }))
            }
            None => Err(Problem::new(pos, Mistake::NothingToEnd { what, of })),
        }
    }

    fn next_arm(&mut self, next: Option<Expr>, pos: Pos) -> Checked<()> {
        let what = if next.is_some() { "@elseif" } else { "@else" };
        let innermost = self.frames.last().map(|frame| self.describe(frame));
        match self.frames.last_mut() {
            Some(Frame { kind: FrameKind::If { arms, condition, arm_pos }, .. }) => {
                if condition.is_none() {
                    return Err(Problem::new(pos, Mistake::AfterElse(what)));
                }
                let body = std::mem::take(&mut self.nodes);
                let condition = std::mem::replace(condition, next);
                arms.push(Arm { condition, body, pos: std::mem::replace(arm_pos, pos) });
                Ok(())
            }
            _ => Err(Problem::new(
                pos,
                match innermost {
                    Some(inside) => Mistake::BranchOutsideIf { what, inside },
                    None => Mistake::NothingToEnd { what, of: "an @if" },
                },
            )),
        }
    }

    /// The directive or element of a frame, with the line at which it begins.
    fn describe(&self, frame: &Frame) -> OpenPart {
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
        OpenPart { what, line }
    }
}

fn unclosed(frame: &Frame) -> Mistake {
    match &frame.kind {
        FrameKind::If { .. } => Mistake::Unclosed("@if", "@endif"),
        FrameKind::Foreach { .. } => Mistake::Unclosed("@foreach", "@endforeach"),
        FrameKind::Block { .. } => Mistake::Unclosed("@block", "@endblock"),
        FrameKind::Element { .. } => Mistake::Unclosed("element", "end tag"),
    }
}

/// The names that a file's outputs and directives use, without the variables of its loops.
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

/// A frame that was closed, with its nodes.
struct Closed {
    kind: FrameKind,
    pos: Pos,
    body: Vec<Node>,
}

/// Checks that a name may be defined.
pub(super) fn check_name(named: &Named) -> Checked<()> {
    let reserved = ["loop", "true", "false", "null", "undefined"];
    let name = named.name.as_str();
    if GLOBAL_NAMES.contains(&name) || reserved.contains(&name) {
        return Err(Problem::new(named.pos, Mistake::ReservedName(name.to_owned())));
    }
    Ok(())
}

/// Removes what is left of backend scripts. The crate that extracts a script replaces each of its
/// characters except line breaks by NUL, so that offsets stay the same.
fn without_holes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(HOLE) {
        let (before, hole) = rest.split_at(start);
        out.push_str(before);
        // A hole ends at the last NUL before other text.
        let end = hole.find(|c: char| c != HOLE && c != '\n').unwrap_or(hole.len());
        let end = hole.get(..end).and_then(|hole| hole.rfind(HOLE)).map_or(end, |last| last + 1);
        rest = hole.get(end..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}
