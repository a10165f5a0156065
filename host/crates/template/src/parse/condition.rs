//! `v-if` chains. The server evaluates a chain if it knows every name in the first condition.
//! Otherwise the chain is the browser's, and its attributes are literal text.

use super::{Frame, FrameKind, Parser, Rest};
use crate::ast::{Arm, Expr, Node};
use crate::expr::ExprParser;
use crate::expr::tokens::{Origin, continues_word};
use crate::lex::{Element, Kind};
use crate::mistake::{Expected, Mistake};
use crate::source::{Checked, Pos, Problem};

/// The side that evaluates a condition.
pub(super) enum Owner {
    Browser,
    /// With the condition, until the element begins.
    Server(Option<Expr>),
}

impl Parser<'_> {
    pub(super) fn open_element(&mut self, id: usize) -> Checked<()> {
        let Some(element) = self.elements.get(id) else {
            return Ok(());
        };
        if self.owners.get(id).is_some_and(Option::is_some) {
            // The element continues a chain; its frame is already open.
            return Ok(());
        }
        let pos = Pos::new(self.file, element.start);
        let condition = match element.condition.name.as_str() {
            "v-if" => self.decide(element)?,
            _ => None,
        };
        let Some(condition) = condition else {
            return self.set_owner_of_chain(id, false);
        };
        if element.end.is_none() {
            return Err(Problem::new(pos, Mistake::NoEndTag(element.name.clone())));
        }
        self.set_owner_of_chain(id, true)?;
        let kind = FrameKind::Element { id, arms: Vec::new(), condition: Some(condition), arm_pos: pos };
        self.open(kind, pos)
    }

    pub(super) fn close_element(&mut self, id: usize, pos: Pos, rest: &mut Rest) -> Checked<()> {
        if !matches!(self.owners.get(id), Some(Some(Owner::Server(_)))) {
            return Ok(());
        }
        let fits = |kind: &FrameKind| matches!(kind, FrameKind::Element { id: open, .. } if *open == id);
        let closed = self.close(pos, "the end tag", "an element", fits)?;
        let FrameKind::Element { mut arms, condition, arm_pos, .. } = closed.kind else {
            return Ok(());
        };
        arms.push(Arm { condition, body: closed.body, pos: arm_pos });
        let Some(next) = self.elements.get(id).and_then(|element| element.next) else {
            self.nodes.push(Node::If { arms, pos: closed.pos });
            return Ok(());
        };
        // Space and comments between the elements of a chain are not printed.
        for token in rest.by_ref() {
            if matches!(token.kind, Kind::ElementOpen(open) if open == next) {
                break;
            }
        }
        let condition = match self.owners.get_mut(next) {
            Some(Some(Owner::Server(condition))) => condition.take(),
            _ => None,
        };
        let start = self.elements.get(next).map_or(0, |element| element.start);
        let arm_pos = Pos::new(self.file, start);
        let kind = FrameKind::Element { id: next, arms, condition, arm_pos };
        let outer = std::mem::take(&mut self.nodes);
        self.frames.push(Frame { kind, pos: closed.pos, outer });
        Ok(())
    }

    /// The condition, if the server evaluates it.
    fn decide(&self, element: &Element) -> Checked<Option<Expr>> {
        let Some((text, origin)) = self.condition_text(element) else {
            return Ok(None);
        };
        if text.trim().is_empty() {
            return Ok(None);
        }
        match parse_condition(&text, origin) {
            Ok(expr) => {
                let mut names = Vec::new();
                expr.names(&mut names);
                // A browser framework may have a function of the same name.
                let ours = !expr.has_call() && names.iter().all(|name| self.is_known(name));
                Ok(ours.then_some(expr))
            }
            Err(problem) => {
                // It is not an expression of this language. That is a mistake if the server knows all
                // of its names, and otherwise the condition is the browser's.
                let names = rough_names(&text);
                let ours = !names.is_empty() && names.iter().all(|name| self.is_known(name));
                if ours { Err(problem) } else { Ok(None) }
            }
        }
    }

    fn is_known(&self, name: &str) -> bool {
        let in_loop = |frame: &Frame| matches!(&frame.kind, FrameKind::Foreach { item, .. } if item.name == name || name == "loop");
        self.knows_all || self.known.contains(name) || self.frames.iter().any(in_loop)
    }

    fn set_owner_of_chain(&mut self, first: usize, server: bool) -> Checked<()> {
        let mut next = Some(first);
        while let Some(id) = next {
            let Some(element) = self.elements.get(id) else {
                break;
            };
            let owner = match server {
                false => Owner::Browser,
                true if id == first => Owner::Server(None),
                true => Owner::Server(self.later_condition(element)?),
            };
            if let Some(place) = self.owners.get_mut(id) {
                *place = Some(owner);
            }
            next = element.next;
        }
        Ok(())
    }

    fn later_condition(&self, element: &Element) -> Checked<Option<Expr>> {
        let pos = Pos::new(self.file, element.start);
        if element.end.is_none() {
            return Err(Problem::new(pos, Mistake::NoEndTag(element.name.clone())));
        }
        if element.condition.name == "v-else" {
            return Ok(None);
        }
        match self.condition_text(element) {
            Some((text, origin)) if !text.trim().is_empty() => parse_condition(&text, origin).map(Some),
            _ => Err(Problem::new(pos, Mistake::NoCondition)),
        }
    }

    /// The attribute's value with its character references decoded.
    fn condition_text(&self, element: &Element) -> Option<(String, Origin)> {
        let (start, end) = element.condition.value?;
        let raw = self.source.get(start..end)?;
        let mut text = String::with_capacity(raw.len());
        let mut offsets = Vec::with_capacity(raw.len() + 1);
        let mut at = 0;
        while let Some(c) = raw.get(at..).and_then(|rest| rest.chars().next()) {
            let (decoded, length) = match c {
                '&' => reference(raw.get(at..).unwrap_or("")).unwrap_or((c, 1)),
                _ => (c, c.len_utf8()),
            };
            let place = Pos::new(self.file, start + at).at;
            offsets.extend(std::iter::repeat_n(place, decoded.len_utf8()));
            text.push(decoded);
            at += length;
        }
        offsets.push(Pos::new(self.file, end).at);
        Some((text, Origin::Decoded { file: self.file, offsets }))
    }
}

fn parse_condition(text: &str, origin: Origin) -> Checked<Expr> {
    let mut parser = ExprParser::new(text, 0, origin)?;
    let expr = parser.pipeline()?;
    match parser.at_end() {
        true => Ok(expr),
        false => Err(parser.unexpected(Expected::EndOfCondition)),
    }
}

/// Decodes the references that editors write into attributes.
fn reference(text: &str) -> Option<(char, usize)> {
    [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"'), ("&#39;", '\''), ("&apos;", '\'')]
        .into_iter()
        .find(|(reference, _)| text.starts_with(reference))
        .map(|(reference, c)| (c, reference.len()))
}

/// The names in a condition of another language: words that do not follow a dot.
fn rough_names(text: &str) -> Vec<&str> {
    const WORDS: &[&str] =
        &["true", "false", "null", "undefined", "eq", "neq", "lt", "lte", "gt", "gte", "and", "or"];
    let mut names = Vec::new();
    let mut quote = None;
    let mut word = None;
    let mut before_word = ' ';
    let mut last = ' ';
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        let in_word = quote.is_none() && continues_word(c);
        match (word, in_word) {
            (None, true) => {
                word = Some(at);
                before_word = last;
            }
            (Some(start), false) => {
                let name = text.get(start..at).unwrap_or("");
                let is_number = name.starts_with(|c: char| c.is_ascii_digit());
                if before_word != '.' && !is_number && !WORDS.contains(&name) {
                    names.push(name);
                }
                word = None;
            }
            _ => {}
        }
        quote = match (quote, c) {
            (None, '"' | '\'' | '`') => Some(c),
            (Some(open), _) if open == c => None,
            (quote, _) => quote,
        };
        if !c.is_whitespace() {
            last = c;
        }
    }
    names
}
