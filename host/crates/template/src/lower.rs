//! Turns the tree into Handlebars templates and a table of what their helpers do.
//!
//! Handlebars gets literal text as text elements. For everything else it gets calls of helpers
//! with a number: `{{print 3}}`, `{{#each 4}}…{{/each}}`. The number is an index of the table of
//! actions, which holds the author's expressions. Handlebars never parses anything that the author
//! wrote. A layout and the blocks of its page become one template. A component becomes a template
//! of its own for each context and each set of argument names that it is used with.

mod components;
mod elements;
mod files;
mod layouts;
mod names;

use std::collections::HashMap;

use handlebars::Handlebars;
use handlebars::template::TemplateElement;

use crate::ast::{Arm, Expr, Named, Node, RequestUse};
use crate::escape::Escape;
use crate::html_context::{Machine, Place};
use crate::limits::{NESTING_MAX, TemplateLimits};
use crate::mistake::Mistake;
use crate::scope::Includes;
use crate::source::{Checked, Pos, Problem, Sources};
use components::{Component, ComponentKey};
pub(super) use elements::{Helper, action_of};
use elements::{block, branch, call, text};
use layouts::Blocks;
use names::Names;
pub(super) use names::of_request;

/// What a helper does. Helpers are called with the index of an action.
#[derive(Debug)]
pub(super) enum Action {
    Print {
        expr: Expr,
        escape: Escape,
        pos: Pos,
    },
    Test {
        expr: Expr,
        pos: Pos,
    },
    Each {
        list: Expr,
        item: u32,
        state: u32,
        pos: Pos,
    },
    /// Without a slot, the value is computed only for what its functions do.
    Set {
        value: Expr,
        slot: Option<u32>,
        pos: Pos,
    },
    Component {
        unit: usize,
        arguments: Arguments,
        pos: Pos,
    },
}

/// The arguments of a component.
#[derive(Debug)]
pub(super) enum Arguments {
    /// The value for each slot.
    Named(Vec<(u32, Expr)>),
    /// A record whose fields are known only at run time.
    Record(Expr),
}

/// A compiled page.
#[derive(Debug)]
pub(super) struct Program {
    /// The templates of all units, by their names.
    pub registry: Handlebars<'static>,
    /// The page, then its components.
    pub units: Vec<Unit>,
    pub actions: Vec<Action>,
    /// Whether it calls functions that ask the host.
    pub asks_host: bool,
    /// Whether it calls the CRM.
    pub asks_crm: bool,
    /// Whether it needs the customer.
    pub names_customer: bool,
    /// Whether it needs the visitor's language.
    pub translates: bool,
    /// What it reads of `request`.
    pub request_uses: Vec<RequestUse>,
}

impl Action {
    /// Whether one of its expressions is such an expression.
    fn has(&self, is_such: fn(&Expr) -> bool) -> bool {
        self.exprs().into_iter().any(is_such)
    }

    fn exprs(&self) -> Vec<&Expr> {
        match self {
            Action::Print { expr, .. }
            | Action::Test { expr, .. }
            | Action::Each { list: expr, .. }
            | Action::Set { value: expr, .. }
            | Action::Component { arguments: Arguments::Record(expr), .. } => vec![expr],
            Action::Component { arguments: Arguments::Named(arguments), .. } => {
                arguments.iter().map(|(_, expr)| expr).collect()
            }
        }
    }
}

/// A page or a component: a template with its own names.
#[derive(Debug)]
pub(super) struct Unit {
    pub name: String,
    /// The number of values that its names take.
    pub slots: usize,
}

/// Compiles a page and everything that it includes.
pub(super) fn lower(
    file: u32,
    sources: &mut Sources,
    includes: &dyn Includes,
    limits: &TemplateLimits,
) -> Checked<Program> {
    let mut lowering = Lowering {
        sources,
        includes,
        limits,
        registry: Handlebars::new(),
        units: Vec::new(),
        actions: Vec::new(),
        components: HashMap::new(),
        component_files: HashMap::new(),
        nodes_left: limits.nodes_max,
        depth: 0,
        component_depth: 0,
    };
    let page = lowering.new_unit();
    let (elements, slots) = lowering.page(file)?;
    lowering.finish_unit(page, elements, slots);
    let Lowering { registry, units, actions, .. } = lowering;
    let asks_host = actions.iter().any(|action| action.has(Expr::asks_host));
    let asks_crm = actions.iter().any(|action| action.has(Expr::asks_crm));
    let names_customer = actions.iter().any(|action| action.has(Expr::names_customer));
    let translates = actions.iter().any(|action| action.has(Expr::translates));
    let mut request_uses = Vec::new();
    actions.iter().flat_map(Action::exprs).for_each(|expr| expr.request_uses(&mut request_uses));
    Ok(Program { registry, units, actions, asks_host, asks_crm, names_customer, translates, request_uses })
}

/// The state of a page's compilation.
struct Lowering<'c> {
    sources: &'c mut Sources,
    includes: &'c dyn Includes,
    limits: &'c TemplateLimits,
    registry: Handlebars<'static>,
    units: Vec<Unit>,
    actions: Vec<Action>,
    components: HashMap<ComponentKey, Component>,
    component_files: HashMap<String, u32>,
    /// The number of nodes that may still be lowered. Blocks and loops lower some nodes more than once.
    nodes_left: usize,
    depth: usize,
    component_depth: usize,
}

/// What is known at the current point of a page or a component.
struct Here<'d> {
    names: Names,
    machine: Machine,
    /// `None` in a component.
    blocks: Option<Blocks<'d>>,
}

/// Literal text counts as one more node for this many bytes.
const TEXT_BYTES_PER_NODE: usize = 64;

type Elements = Vec<TemplateElement>;

impl Lowering<'_> {
    fn new_unit(&mut self) -> usize {
        let index = self.units.len();
        self.units.push(Unit { name: index.to_string(), slots: 0 });
        index
    }

    fn finish_unit(&mut self, index: usize, elements: Elements, slots: usize) {
        if let Some(unit) = self.units.get_mut(index) {
            unit.slots = slots;
            self.registry.register_template(&unit.name, elements::template(elements));
        }
    }

    fn nodes(&mut self, nodes: &[Node], here: &mut Here<'_>) -> Checked<Elements> {
        let mut elements = Vec::new();
        let mut pending = String::new();
        for (index, node) in nodes.iter().enumerate() {
            self.count(node)?;
            if let Node::Text { text, pos } = node {
                self.literal(text, *pos, here)?;
                pending.push_str(text);
                continue;
            }
            let new = self.node(node, nodes.get(index + 1), here)?;
            if !pending.is_empty() && !new.is_empty() {
                elements.push(text(std::mem::take(&mut pending)));
            }
            elements.extend(new);
        }
        if !pending.is_empty() {
            elements.push(text(pending));
        }
        Ok(elements)
    }

    fn count(&mut self, node: &Node) -> Checked<()> {
        let size = match node {
            Node::Text { text, .. } => text.len() / TEXT_BYTES_PER_NODE,
            Node::Output { expr, .. }
            | Node::Foreach { list: expr, .. }
            | Node::Set { value: expr, .. }
            | Node::Do { call: expr, .. } => expr.size(),
            Node::If { arms, .. } => {
                arms.iter().map(|arm| 1 + arm.condition.as_ref().map_or(0, Expr::size)).sum::<usize>()
            }
            Node::Component { args, .. } => args.as_ref().map_or(0, Expr::size),
            Node::Yield { default, .. } => default.as_ref().map_or(0, Expr::size),
            Node::Block { .. } => 0,
        };
        self.count_nodes(1 + size, node.pos())
    }

    /// Counts parts that are lowered or parsed for the place `pos`.
    fn count_nodes(&mut self, size: usize, pos: Pos) -> Checked<()> {
        match self.nodes_left.checked_sub(size) {
            Some(left) => {
                self.nodes_left = left;
                Ok(())
            }
            None => Err(Problem::new(pos, Mistake::Nodes(self.limits.nodes_max))),
        }
    }

    /// Lowers the nodes inside another node.
    fn nested(&mut self, nodes: &[Node], pos: Pos, here: &mut Here<'_>) -> Checked<Elements> {
        if self.depth >= NESTING_MAX {
            return Err(Problem::new(pos, Mistake::CompiledDepth(NESTING_MAX)));
        }
        self.depth += 1;
        let elements = self.nodes(nodes, here)?;
        self.depth -= 1;
        Ok(elements)
    }

    /// Follows literal text. It may turn an earlier value into a URL's scheme.
    fn literal(&mut self, text: &str, pos: Pos, here: &mut Here<'_>) -> Checked<()> {
        for (at, byte) in text.bytes().enumerate() {
            here.machine.step(byte, at).map_err(|error| Problem::new(pos.plus(at), error))?;
        }
        for id in here.machine.take_scheme_holes() {
            if let Some(Action::Print { escape, .. }) = self.actions.get_mut(id as usize) {
                escape.is_scheme();
            }
        }
        Ok(())
    }

    fn node(&mut self, node: &Node, next: Option<&Node>, here: &mut Here<'_>) -> Checked<Elements> {
        let element = match node {
            Node::Text { text: literal, .. } => text(literal.clone()),
            Node::Output { expr, pos } => self.output(expr, *pos, next, here)?,
            Node::If { arms, pos } => self.branches(arms, *pos, here)?,
            Node::Foreach { item, list, body, pos } => self.foreach(item, list, body, *pos, here)?,
            Node::Set { name, value } => {
                let value = here.names.resolve(value);
                let slot = Some(here.names.slot_to_set(&name.name));
                call(Helper::Set, self.action(Action::Set { value, slot, pos: name.pos }))
            }
            Node::Do { call: value, pos } => {
                let value = here.names.resolve(value);
                call(Helper::Set, self.action(Action::Set { value, slot: None, pos: *pos }))
            }
            Node::Component { component, args, pos } => {
                self.component(component, args.as_ref(), *pos, here)?
            }
            Node::Block { block, body, .. } => return self.block(block, body, here),
            Node::Yield { block, default, .. } => {
                return self.block_or_default(block, default.as_ref(), next, here);
            }
        };
        Ok(vec![element])
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
        here: &mut Here<'_>,
    ) -> Checked<TemplateElement> {
        let id = u32::try_from(self.actions.len()).unwrap_or(u32::MAX);
        let place = here.machine.hole(id).map_err(|error| Problem::new(pos, error))?;
        let expr = here.names.resolve(expr);
        let mut escape = Escape::at(&place, &expr);
        if matches!(place, Place::Attribute { begins_unquoted: true, .. }) {
            // If the value is empty, a browser would read the following text as the value.
            let following = match next {
                Some(Node::Text { text, .. }) => text.chars().next(),
                _ => None,
            };
            match following {
                Some(c) if c.is_ascii_whitespace() || c == '>' => escape.quote_if_empty(),
                None | Some('"' | '\'') => {
                    return Err(Problem::new(pos, Mistake::UnquotedValue));
                }
                Some(_) => {}
            }
        }
        Ok(call(Helper::Print, self.action(Action::Print { expr, escape, pos })))
    }

    fn branches(&mut self, arms: &[Arm], pos: Pos, here: &mut Here<'_>) -> Checked<TemplateElement> {
        let before = here.machine.clone();
        let mut merged: Option<Machine> = None;
        let mut branches = Vec::new();
        for arm in arms {
            let condition = arm.condition.as_ref().map(|condition| {
                let expr = here.names.resolve(condition);
                self.action(Action::Test { expr, pos: arm.pos })
            });
            here.machine = before.clone();
            let body = self.nested(&arm.body, arm.pos, here)?;
            branches.push(branch(condition, body));
            merged = Some(join(merged, &here.machine, pos)?);
        }
        if arms.last().is_none_or(|arm| arm.condition.is_some()) {
            merged = Some(join(merged, &before, pos)?);
        }
        here.machine = merged.unwrap_or(before);
        Ok(block(Helper::Choose, None, branches))
    }

    fn foreach(
        &mut self,
        item: &Named,
        list: &Expr,
        body: &[Node],
        pos: Pos,
        here: &mut Here<'_>,
    ) -> Checked<TemplateElement> {
        let list = here.names.resolve(list);
        let (item, state) = here.names.enter_loop(&item.name);
        let action = self.action(Action::Each { list, item, state, pos });
        // The body also follows itself. It is lowered again until it begins in the state in which
        // it ends.
        let mut before = here.machine.clone();
        let elements = loop {
            here.machine = before.clone();
            let elements = self.nested(body, pos, here)?;
            let Some(after) = before.merge(&here.machine) else {
                let (start, end) = (before.describe(), here.machine.describe());
                return Err(Problem::new(pos, Mistake::LoopEnds { start, end }));
            };
            if after.same_context(&before) {
                here.machine = after;
                break elements;
            }
            before = after;
        };
        here.names.leave_loop();
        Ok(block(Helper::Each, Some(action), elements))
    }
}

/// The state after any of the branches so far.
fn join(merged: Option<Machine>, next: &Machine, pos: Pos) -> Checked<Machine> {
    let Some(merged) = merged else {
        return Ok(next.clone());
    };
    merged.merge(next).ok_or_else(|| {
        let (one, other) = (merged.describe(), next.describe());
        let mistake = match one == other {
            true => Mistake::BranchesDiffer(one),
            false => Mistake::BranchesEnd { one, other },
        };
        Problem::new(pos, mistake)
    })
}
