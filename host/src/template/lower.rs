//! The tree to Handlebars templates and the table of what their helpers do.
//!
//! Handlebars gets literal text as text elements and, for everything else, helper calls with
//! a number: `{{print 3}}`, `{{#each 4}}…{{/each}}`. The number is a place in the table of
//! steps, which holds the author's expressions. Nothing the author wrote is ever parsed by
//! Handlebars.

mod elements;
mod names;

use handlebars::Handlebars;
use handlebars::template::TemplateElement;

use super::ast::{Arm, Document, Expr, Named, Node};
use super::escape::Escape;
use super::html_context::{Machine, Place};
use super::source::{Checked, Pos, Problem, Sources};
use super::{Includes, TemplateLimits, parse};
pub(super) use elements::{Helper, action_of};
use elements::{block, branch, call, text};
use names::Names;

/// What a helper does, by the number it is called with.
#[derive(Debug)]
pub(super) enum Action {
    Print { expr: Expr, escape: Escape, pos: Pos },
    Test { expr: Expr, pos: Pos },
    Each { list: Expr, item: u32, state: u32, pos: Pos },
    Set { value: Expr, slot: u32, pos: Pos },
}

impl Action {
    pub(super) fn pos(&self) -> Pos {
        match self {
            Action::Print { pos, .. }
            | Action::Test { pos, .. }
            | Action::Each { pos, .. }
            | Action::Set { pos, .. } => *pos,
        }
    }
}

/// A compiled page.
#[derive(Debug)]
pub(super) struct Program {
    /// The page itself under [`MAIN`], and its components by number.
    pub registry: Handlebars<'static>,
    pub actions: Vec<Action>,
    /// How many names the page itself has.
    pub slots: usize,
}

pub(super) const MAIN: &str = "page";

pub(super) fn lower(
    file: u32,
    sources: &mut Sources,
    includes: &dyn Includes,
    limits: &TemplateLimits,
) -> Checked<Program> {
    let document = parse::parse(file, sources.text(file), &[])?;
    let mut lowering = Lowering {
        sources,
        includes,
        limits,
        registry: Handlebars::new(),
        actions: Vec::new(),
        nodes_left: limits.nodes_max,
    };
    let mut unit = Unit { names: Names::new(&document.set_names), machine: Machine::new() };
    let elements = lowering.document(&document, &mut unit)?;
    let Lowering { mut registry, actions, .. } = lowering;
    registry.register_template(MAIN, elements::template(elements));
    Ok(Program { registry, actions, slots: unit.names.slots() })
}

struct Lowering<'c> {
    #[expect(dead_code, reason = "layouts and components are read through these")]
    sources: &'c mut Sources,
    #[expect(dead_code, reason = "layouts and components are read through these")]
    includes: &'c dyn Includes,
    limits: &'c TemplateLimits,
    registry: Handlebars<'static>,
    actions: Vec<Action>,
    /// Nodes that may still be lowered: inlining and loops lower some more than once.
    nodes_left: usize,
}

/// What is known at one point of a page or of a component.
struct Unit {
    names: Names,
    machine: Machine,
}

type Elements = Vec<TemplateElement>;

impl Lowering<'_> {
    fn document(&mut self, document: &Document, unit: &mut Unit) -> Checked<Elements> {
        if let Some(layout) = &document.extends {
            return Err(Problem::new(layout.pos, "@extends is not available yet"));
        }
        self.nodes(&document.nodes, unit)
    }

    fn nodes(&mut self, nodes: &[Node], unit: &mut Unit) -> Checked<Elements> {
        let mut elements = Vec::new();
        let mut pending = String::new();
        for (index, node) in nodes.iter().enumerate() {
            self.count(node)?;
            if let Node::Text { text, pos } = node {
                self.literal(text, *pos, unit)?;
                pending.push_str(text);
                continue;
            }
            let element = self.node(node, nodes.get(index + 1), unit)?;
            if !pending.is_empty() {
                elements.push(text(std::mem::take(&mut pending)));
            }
            elements.push(element);
        }
        if !pending.is_empty() {
            elements.push(text(pending));
        }
        Ok(elements)
    }

    fn count(&mut self, node: &Node) -> Checked<()> {
        match self.nodes_left.checked_sub(1) {
            Some(left) => {
                self.nodes_left = left;
                Ok(())
            }
            None => Err(Problem::new(
                position(node),
                format!("the page has more than {} parts (nodes_max)", self.limits.nodes_max),
            )),
        }
    }

    /// Follows literal text, which may turn an earlier value into a URL's scheme.
    fn literal(&mut self, text: &str, pos: Pos, unit: &mut Unit) -> Checked<()> {
        for (at, byte) in text.bytes().enumerate() {
            unit.machine.step(byte, at).map_err(|message| Problem::new(pos.plus(at), message))?;
        }
        for id in unit.machine.take_scheme_holes() {
            if let Some(Action::Print { escape, .. }) = self.actions.get_mut(id as usize) {
                escape.is_scheme();
            }
        }
        Ok(())
    }

    fn node(&mut self, node: &Node, next: Option<&Node>, unit: &mut Unit) -> Checked<TemplateElement> {
        match node {
            Node::Text { text: literal, .. } => Ok(text(literal.clone())),
            Node::Output { expr, pos } => self.output(expr, *pos, next, unit),
            Node::If { arms, pos } => self.branches(arms, *pos, unit),
            Node::Foreach { item, list, body, pos } => self.foreach(item, list, body, *pos, unit),
            Node::Set { name, value } => {
                let value = unit.names.resolve(value);
                let slot = unit.names.slot_to_set(&name.name);
                Ok(call(Helper::Set, self.action(Action::Set { value, slot, pos: name.pos })))
            }
            Node::Component { pos, .. } => Err(not_yet("@component", *pos)),
            Node::Block { pos, .. } => Err(not_yet("@block", *pos)),
            Node::Yield { pos, .. } => Err(not_yet("@yield", *pos)),
        }
    }

    fn action(&mut self, action: Action) -> usize {
        self.actions.push(action);
        self.actions.len() - 1
    }

    fn output(
        &mut self,
        expr: &Expr,
        pos: Pos,
        next: Option<&Node>,
        unit: &mut Unit,
    ) -> Checked<TemplateElement> {
        let id = u32::try_from(self.actions.len()).unwrap_or(u32::MAX);
        let place = unit.machine.hole(id).map_err(|message| Problem::new(pos, message))?;
        let expr = unit.names.resolve(expr);
        let mut escape = Escape::at(&place, &expr);
        if matches!(place, Place::Attribute { begins_unquoted: true, .. }) {
            // Without a value the browser would take what follows for it.
            let Some(Node::Text { text: following, .. }) = next else {
                return Err(Problem::new(pos, "put quotes around this attribute's value"));
            };
            if following.starts_with(|c: char| c.is_ascii_whitespace() || c == '>') {
                escape.quote_if_empty();
            }
        }
        Ok(call(Helper::Print, self.action(Action::Print { expr, escape, pos })))
    }

    fn branches(&mut self, arms: &[Arm], pos: Pos, unit: &mut Unit) -> Checked<TemplateElement> {
        let before = unit.machine.clone();
        let mut merged: Option<Machine> = None;
        let mut branches = Vec::new();
        for arm in arms {
            let condition = arm.condition.as_ref().map(|condition| {
                let expr = unit.names.resolve(condition);
                self.action(Action::Test { expr, pos: arm.pos })
            });
            unit.machine = before.clone();
            let body = self.nodes(&arm.body, unit)?;
            branches.push(branch(condition, body));
            merged = Some(join(merged, &unit.machine, pos)?);
        }
        if arms.last().is_none_or(|arm| arm.condition.is_some()) {
            merged = Some(join(merged, &before, pos)?);
        }
        unit.machine = merged.unwrap_or(before);
        Ok(block(Helper::Choose, None, branches))
    }

    fn foreach(
        &mut self,
        item: &Named,
        list: &Expr,
        body: &[Node],
        pos: Pos,
        unit: &mut Unit,
    ) -> Checked<TemplateElement> {
        let list = unit.names.resolve(list);
        let (item, state) = unit.names.enter_loop(&item.name);
        let action = self.action(Action::Each { list, item, state, pos });
        // The body runs after itself, too: it is lowered again where that begins elsewhere.
        let mut before = unit.machine.clone();
        let elements = loop {
            let actions = self.actions.len();
            unit.machine = before.clone();
            let elements = self.nodes(body, unit)?;
            let after = before.merge(&unit.machine).ok_or_else(|| {
                let (start, end) = (before.describe(), unit.machine.describe());
                let message =
                    format!("@foreach begins {start} and ends {end}; escaping needs both to be alike");
                Problem::new(pos, message)
            })?;
            if after.same_context(&before) {
                unit.machine = after;
                break elements;
            }
            self.actions.truncate(actions);
            before = after;
        };
        unit.names.leave_loop();
        Ok(block(Helper::Each, Some(action), elements))
    }
}

/// What all branches so far leave behind.
fn join(merged: Option<Machine>, next: &Machine, pos: Pos) -> Checked<Machine> {
    let Some(merged) = merged else { return Ok(next.clone()) };
    merged.merge(next).ok_or_else(|| {
        let (one, other) = (merged.describe(), next.describe());
        let message = match one == other {
            true => format!("the branches end differently {one}; escaping needs them alike"),
            false => format!("one branch ends {one}, another {other}; escaping needs them alike"),
        };
        Problem::new(pos, message)
    })
}

fn position(node: &Node) -> Pos {
    match node {
        Node::Set { name, .. } => name.pos,
        Node::Text { pos, .. }
        | Node::Output { pos, .. }
        | Node::If { pos, .. }
        | Node::Foreach { pos, .. }
        | Node::Component { pos, .. }
        | Node::Block { pos, .. }
        | Node::Yield { pos, .. } => *pos,
    }
}

fn not_yet(what: &str, pos: Pos) -> Problem {
    Problem::new(pos, format!("{what} is not available yet"))
}
