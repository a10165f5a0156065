//! Resolves names to slots or parts of the scope.

use std::collections::HashMap;

use crate::ast::{Expr, FilterCall, Named, Root, Step};
use crate::parse::REQUEST_NAMES;

/// The names of one page or component.
pub(super) struct Names {
    set_names: HashMap<String, u32>,
    loops: Vec<Loop>,
    slots: usize,
    /// Whether an unknown name may be a component's argument.
    open_ended: bool,
}

/// A loop around the current point.
pub(super) struct Loop {
    item: String,
    item_slot: u32,
    state_slot: u32,
}

impl Names {
    /// The names of a page. Those of `@set` are known everywhere, but undefined before the `@set`.
    pub(super) fn new(set_names: &[String]) -> Names {
        Names::of_component(Some(&[]), set_names)
    }

    /// The names of a component. Its arguments have the first slots, in their order. If they are not
    /// known, every unknown name is looked up among them at run time.
    pub(super) fn of_component(arguments: Option<&[String]>, set_names: &[String]) -> Names {
        let mut names =
            Names { set_names: HashMap::new(), loops: Vec::new(), slots: 0, open_ended: arguments.is_none() };
        for name in arguments.unwrap_or(&[]).iter().chain(set_names) {
            if !names.set_names.contains_key(name) {
                names.set_names.insert(name.clone(), slot(names.slots));
                names.slots += 1;
            }
        }
        names
    }

    /// Removes the loops, for a block that does not see them, and returns them.
    pub(super) fn hide_loops(&mut self) -> Vec<Loop> {
        std::mem::take(&mut self.loops)
    }

    /// Puts back the loops that `hide_loops` returned.
    pub(super) fn restore_loops(&mut self, loops: Vec<Loop>) {
        self.loops = loops;
    }

    /// The number of slots so far.
    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    /// Begins a loop. Returns the slots of its variable and of its `loop` value.
    pub(super) fn enter_loop(&mut self, item: &str) -> (u32, u32) {
        let item_slot = slot(self.slots);
        let state_slot = slot(self.slots + 1);
        self.slots += 2;
        self.loops.push(Loop { item: item.to_owned(), item_slot, state_slot });
        (item_slot, state_slot)
    }

    /// Ends the innermost loop.
    pub(super) fn leave_loop(&mut self) {
        self.loops.pop();
    }

    /// The slot that `@set(name = …)` writes. A loop variable of that name comes first.
    pub(super) fn slot_to_set(&self, name: &str) -> u32 {
        match self.find(name) {
            Some(Root::Slot(slot)) => slot,
            _ => u32::MAX,
        }
    }

    fn find(&self, name: &str) -> Option<Root> {
        for open in self.loops.iter().rev() {
            if open.item == name {
                return Some(Root::Slot(open.item_slot));
            }
            if name == "loop" {
                return Some(Root::Slot(open.state_slot));
            }
        }
        self.set_names.get(name).map(|slot| Root::Slot(*slot))
    }

    fn root(&self, named: &Named) -> Root {
        match named.name.as_str() {
            "var" => Root::Variables,
            "customer" => Root::Customer,
            "is_customer" => Root::IsCustomer,
            "request" => Root::Request,
            "route_params" => Root::RouteParams,
            name => match self.find(name) {
                Some(root) => root,
                None if self.open_ended => Root::Argument(name.to_owned()),
                None => of_request(name).map_or(Root::Missing, Root::OfRequest),
            },
        }
    }

    /// The expression with every name replaced by its slot or its part of the scope.
    pub(super) fn resolve(&self, expr: &Expr) -> Expr {
        let all = |exprs: &[Expr]| exprs.iter().map(|expr| self.resolve(expr)).collect();
        let boxed = |expr: &Expr| Box::new(self.resolve(expr));
        match expr {
            Expr::Null | Expr::Undefined | Expr::Bool(_) | Expr::Number(_) | Expr::Text(_) => expr.clone(),
            Expr::Path { root, steps } => Expr::Path {
                root: match root {
                    Root::Name(named) => self.root(named),
                    Root::Value(value) => Root::Value(boxed(value)),
                    resolved => resolved.clone(),
                },
                steps: steps
                    .iter()
                    .map(|step| match step {
                        Step::Key(key) => Step::Key(key.clone()),
                        Step::Index(index) => Step::Index(self.resolve(index)),
                    })
                    .collect(),
            },
            Expr::Negate(inner) => Expr::Negate(boxed(inner)),
            Expr::Not(inner) => Expr::Not(boxed(inner)),
            Expr::Dump(inner) => Expr::Dump(boxed(inner)),
            Expr::Chain { first, rest } => Expr::Chain {
                first: boxed(first),
                rest: rest.iter().map(|(operator, expr)| (*operator, self.resolve(expr))).collect(),
            },
            Expr::And(parts) => Expr::And(all(parts)),
            Expr::Or(parts) => Expr::Or(all(parts)),
            Expr::List(items) => Expr::List(all(items)),
            Expr::Call { function, args, pos } => {
                Expr::Call { function: *function, args: all(args), pos: *pos }
            }
            Expr::Dict(fields) => {
                Expr::Dict(fields.iter().map(|(key, value)| (key.clone(), self.resolve(value))).collect())
            }
            Expr::Filtered { value, calls } => Expr::Filtered {
                value: boxed(value),
                calls: calls
                    .iter()
                    .map(|call| FilterCall { filter: call.filter, args: all(&call.args), pos: call.pos })
                    .collect(),
            },
        }
    }
}

/// The field of the request that has this name.
pub(crate) fn of_request(name: &str) -> Option<&'static str> {
    REQUEST_NAMES.iter().find(|known| **known == name).copied()
}

fn slot(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
