//! Finds the ends of elements with `v-if`, `v-else-if` or `v-else`, and links them into chains.

use super::comments::comment_length;
use super::{Element, Kind, Token};
use crate::html_context::names::is_void;
use crate::html_context::{Machine, Tag};

/// The most conditional elements that may be open at a time. The ends of further ones are not found.
const OPEN_MAX: usize = 128;

/// A conditional element whose end tag was not read yet.
#[derive(Debug, Clone)]
struct OpenElement {
    element: usize,
    /// How many elements of its name are open in it, itself included.
    depth: usize,
}

/// The state in which an `@if` began.
struct Branches {
    machine: Machine,
    open: Vec<OpenElement>,
}

/// Collects conditional elements from the tags of a file.
pub(super) struct Elements<'s> {
    source: &'s str,
    elements: Vec<Element>,
    open: Vec<OpenElement>,
    /// The conditional element that the last tag closed.
    last_closed: Option<usize>,
    branches: Vec<Branches>,
}

impl<'s> Elements<'s> {
    pub(super) fn new(source: &'s str) -> Elements<'s> {
        Elements { source, elements: Vec::new(), open: Vec::new(), last_closed: None, branches: Vec::new() }
    }

    pub(super) fn finish(self) -> Vec<Element> {
        self.elements
    }

    /// Reads the next tag.
    pub(super) fn tag(&mut self, tag: Tag) {
        if tag.closing {
            return self.end_tag(&tag);
        }
        let closes_itself = tag.self_closing || is_void(&tag.name);
        let last_closed = self.last_closed.take();
        let Some(condition) = tag.condition else {
            if !closes_itself && let Some(index) = self.innermost(&tag.name) {
                self.change_depth(index, 1);
            }
            return;
        };
        let id = self.elements.len();
        let previous = last_closed.filter(|last| {
            let before = self.elements.get(*last);
            let gap = before.and_then(|before| self.source.get(before.end?..tag.start));
            condition.name != "v-if"
                && before.is_some_and(|before| before.condition.name != "v-else")
                && gap.is_some_and(is_space_or_comments)
        });
        if let Some(previous) = previous.and_then(|previous| self.elements.get_mut(previous)) {
            previous.next = Some(id);
        }
        self.elements.push(Element {
            name: tag.name,
            start: tag.start,
            condition,
            end: closes_itself.then_some(tag.end),
            next: None,
        });
        if closes_itself {
            self.last_closed = Some(id);
        } else if self.open.len() < OPEN_MAX {
            self.open.push(OpenElement { element: id, depth: 1 });
        }
    }

    fn end_tag(&mut self, tag: &Tag) {
        self.last_closed = None;
        let Some(index) = self.innermost(&tag.name) else {
            return;
        };
        let Some(element) = self.change_depth(index, -1) else {
            return;
        };
        self.open.truncate(index);
        if let Some(closed) = self.elements.get_mut(element) {
            closed.end = Some(tag.end);
            self.last_closed = Some(element);
        }
    }

    /// The innermost open conditional element with a name.
    fn innermost(&self, name: &str) -> Option<usize> {
        self.open
            .iter()
            .rposition(|open| self.elements.get(open.element).is_some_and(|element| element.name == name))
    }

    /// Returns the element if no element of its name is open in it any more.
    fn change_depth(&mut self, index: usize, by: isize) -> Option<usize> {
        let open = self.open.get_mut(index)?;
        open.depth = open.depth.saturating_add_signed(by);
        (open.depth == 0).then_some(open.element)
    }

    /// An `@if` begins.
    pub(super) fn enter_branches(&mut self, machine: &Machine) {
        let open = self.open.clone();
        self.branches.push(Branches { machine: machine.clone(), open });
    }

    /// The next branch of the `@if` begins. Returns the state in which it begins.
    pub(super) fn next_branch(&mut self) -> Option<Machine> {
        let branches = self.branches.last()?;
        self.open = branches.open.clone();
        Some(branches.machine.clone())
    }

    /// The `@if` ends.
    pub(super) fn leave_branches(&mut self) {
        self.branches.pop();
    }
}

/// Whether a text consists of white space, comments and comments of HTML only.
pub(crate) fn is_space_or_comments(gap: &str) -> bool {
    let mut rest = gap.trim_start();
    loop {
        let length = match rest.strip_prefix("<!--") {
            Some(comment) => comment.find("-->").map(|length| "<!---->".len() + length),
            None => comment_length(rest),
        };
        match length.and_then(|length| rest.get(length..)) {
            Some(after) => rest = after.trim_start(),
            None => return rest.is_empty(),
        }
    }
}

/// Inserts the beginnings, attributes and ends of elements into the tokens.
pub(super) fn weave(tokens: Vec<Token>, elements: &[Element], source: &str) -> Vec<Token> {
    let mut marks: Vec<(usize, usize, Kind)> = Vec::new();
    for (id, element) in elements.iter().enumerate() {
        marks.push((element.start, 1, Kind::ElementOpen(id)));
        let (start, end) = attribute_range(element, source);
        marks.push((start, 2, Kind::Condition { element: id, end }));
        if let Some(end) = element.end {
            marks.push((end, 0, Kind::ElementClose(id)));
        }
    }
    if marks.is_empty() {
        return tokens;
    }
    // At the same offset, ends come before beginnings.
    marks.sort_by_key(|(at, order, _)| (*at, *order));
    let mut marks = marks.into_iter().peekable();
    let mut woven = Vec::with_capacity(tokens.len() + marks.len() * 2);
    for token in tokens {
        let mut at = token.at;
        let end = match token.kind {
            Kind::Text { end } => end,
            _ => at + 1,
        };
        let is_text = matches!(token.kind, Kind::Text { .. });
        while let Some((mark, _, kind)) = marks.next_if(|(mark, ..)| *mark < end) {
            if is_text && at < mark {
                woven.push(Token { at, kind: Kind::Text { end: mark } });
                at = mark;
            }
            let kind = match kind {
                // Only a value in the middle of the attribute can cut it off. Escaping reports
                // that as an error.
                Kind::Condition { element, end: attribute_end } => {
                    let end = attribute_end.min(end).max(mark);
                    at = at.max(end);
                    Kind::Condition { element, end }
                }
                kind => kind,
            };
            woven.push(Token { at: mark, kind });
        }
        if !is_text {
            woven.push(token);
        } else if at < end {
            woven.push(Token { at, kind: Kind::Text { end } });
        }
    }
    woven.extend(marks.map(|(at, _, kind)| Token { at, kind }));
    woven
}

/// The range of the attribute with the space before it. The space stays if nothing else separates the
/// attribute before from the text after.
fn attribute_range(element: &Element, source: &str) -> (usize, usize) {
    let (start, end) = (element.condition.start, element.condition.end);
    let after = source.get(end..).and_then(|rest| rest.chars().next());
    if !after.is_some_and(|c| c.is_ascii_whitespace() || c == '>' || c == '/') {
        return (start, end);
    }
    let before = source.get(element.start..start).unwrap_or("");
    (element.start + before.trim_end_matches(|c: char| c.is_ascii_whitespace()).len(), end)
}
