//! The syntax tree of a file.

use crate::filters::Filter;
use crate::functions::Function;
use crate::source::Pos;

/// One parsed file.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub extends: Option<Named>,
    pub nodes: Vec<Node>,
    /// Every name that a `@set` in this file defines.
    pub set_names: Vec<String>,
}

/// A name in a directive, of a layout, a component, a block or a variable.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub name: String,
    pub pos: Pos,
}

#[derive(Debug, Clone)]
pub(super) enum Node {
    Text {
        text: String,
        pos: Pos,
    },
    Output {
        expr: Expr,
        pos: Pos,
    },
    If {
        arms: Vec<Arm>,
        pos: Pos,
    },
    Foreach {
        item: Named,
        list: Expr,
        body: Vec<Node>,
        pos: Pos,
    },
    Set {
        name: Named,
        value: Expr,
    },
    /// A function that is called for what it does.
    Do {
        call: Expr,
        pos: Pos,
    },
    Component {
        component: Named,
        args: Option<Expr>,
        pos: Pos,
    },
    Block {
        block: Named,
        body: Vec<Node>,
    },
    Yield {
        block: Named,
        default: Option<Expr>,
    },
}

impl Node {
    pub(super) fn pos(&self) -> Pos {
        match self {
            Node::Set { name, .. } => name.pos,
            Node::Text { pos, .. }
            | Node::Output { pos, .. }
            | Node::If { pos, .. }
            | Node::Do { pos, .. }
            | Node::Foreach { pos, .. }
            | Node::Component { pos, .. } => *pos,
            Node::Block { block, .. } | Node::Yield { block, .. } => block.pos,
        }
    }
}

/// One branch of an `@if` or of a `v-if` chain. The `else` branch has no condition.
#[derive(Debug, Clone)]
pub(super) struct Arm {
    pub condition: Option<Expr>,
    pub body: Vec<Node>,
    pub pos: Pos,
}

/// What a template reads of `request`: `request.headers.host`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestUse {
    /// The property. `None` if it may be any of them.
    pub property: Option<String>,
    /// The property of the property. `None` if there is none, or it may be any of them.
    pub within: Option<String>,
}

/// Text in an expression counts as one more part for this many bytes.
const TEXT_BYTES_PER_PART: usize = 64;

/// An expression. Operators of one precedence are in a flat list, so that evaluation recurses
/// only as deep as parentheses, brackets and unary operators nest.
#[derive(Debug, Clone)]
pub(super) enum Expr {
    Null,
    Undefined,
    Bool(bool),
    Number(f64),
    Text(String),
    Path {
        root: Root,
        steps: Vec<Step>,
    },
    Negate(Box<Expr>),
    Not(Box<Expr>),
    /// Left-associative operators of one precedence.
    Chain {
        first: Box<Expr>,
        rest: Vec<(Operator, Expr)>,
    },
    And(Vec<Expr>),
    Or(Vec<Expr>),
    List(Vec<Expr>),
    Dict(Vec<(String, Expr)>),
    Filtered {
        value: Box<Expr>,
        calls: Vec<FilterCall>,
    },
    Dump(Box<Expr>),
    Call {
        function: Function,
        args: Vec<Expr>,
        pos: Pos,
    },
}

/// Where a path begins. The parser creates only `Name` and `Value`; lowering resolves names.
#[derive(Debug, Clone)]
pub(super) enum Root {
    Name(Named),
    Value(Box<Expr>),
    Variables,
    Customer,
    IsCustomer,
    Request,
    RouteParams,
    /// A field of the request that has a name of its own.
    OfRequest(&'static str),
    /// A loop variable, a loop's state or a `@set` name.
    Slot(u32),
    /// A component's argument whose name is known only at run time.
    Argument(String),
    /// A name that nothing defines.
    Missing,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Key(String),
    Index(Expr),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Equal,
    NotEqual,
    StrictEqual,
    StrictNotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

#[derive(Debug, Clone)]
pub(super) struct FilterCall {
    pub filter: Filter,
    pub args: Vec<Expr>,
    pub pos: Pos,
}

impl Expr {
    /// The filters at the end of the expression, the last one first. Parentheses around a filtered
    /// value make no difference.
    pub(super) fn last_filters(&self) -> impl Iterator<Item = Filter> + '_ {
        let all = std::iter::successors(self.filtered(), |(value, _)| value.filtered());
        all.flat_map(|(_, calls)| calls.iter().rev().map(|call| call.filter))
    }

    fn filtered(&self) -> Option<(&Expr, &[FilterCall])> {
        match self {
            Expr::Filtered { value, calls } => Some((value, calls)),
            _ => None,
        }
    }

    /// The expression with one more filter that takes no arguments.
    pub(super) fn with_filter(self, filter: Filter, pos: Pos) -> Expr {
        let call = FilterCall { filter, args: Vec::new(), pos };
        match self {
            Expr::Filtered { value, mut calls } => {
                calls.push(call);
                Expr::Filtered { value, calls }
            }
            value => Expr::Filtered { value: Box::new(value), calls: vec![call] },
        }
    }

    /// The number of parts, where long texts count as several.
    pub(super) fn size(&self) -> usize {
        let all = |exprs: &[Expr]| exprs.iter().map(Expr::size).sum::<usize>();
        let inside: usize = match self {
            Expr::Null | Expr::Undefined | Expr::Bool(_) | Expr::Number(_) => 0,
            Expr::Text(text) => text.len() / TEXT_BYTES_PER_PART,
            Expr::Path { root, steps } => {
                let root = match root {
                    Root::Name(Named { name, .. }) | Root::Argument(name) => name.len() / TEXT_BYTES_PER_PART,
                    Root::Value(value) => value.size(),
                    _ => 0,
                };
                let step = |step: &Step| match step {
                    Step::Key(key) => key.len() / TEXT_BYTES_PER_PART,
                    Step::Index(index) => 1 + index.size(),
                };
                root + steps.iter().map(step).sum::<usize>() + steps.len() / 4
            }
            Expr::Negate(inner) | Expr::Not(inner) | Expr::Dump(inner) => inner.size(),
            Expr::Chain { first, rest } => {
                first.size() + rest.iter().map(|(_, expr)| expr.size()).sum::<usize>()
            }
            Expr::And(exprs) | Expr::Or(exprs) | Expr::List(exprs) | Expr::Call { args: exprs, .. } => {
                all(exprs)
            }
            Expr::Dict(fields) => {
                fields.iter().map(|(key, expr)| key.len() / TEXT_BYTES_PER_PART + expr.size()).sum::<usize>()
            }
            Expr::Filtered { value, calls } => {
                value.size() + calls.iter().map(|call| all(&call.args)).sum::<usize>() + calls.len()
            }
        };
        1 + inside
    }

    /// Collects every name with which a path in this expression begins.
    pub(super) fn names<'a>(&'a self, found: &mut Vec<&'a str>) {
        self.walk(&mut |expr| {
            if let Expr::Path { root: Root::Name(named), .. } = expr {
                found.push(&named.name);
            }
        });
    }

    /// Whether it calls a function.
    pub(super) fn has_call(&self) -> bool {
        self.calls(|_| true)
    }

    /// Whether it calls a function that asks the host.
    pub(super) fn asks_host(&self) -> bool {
        self.calls(Function::asks_host)
    }

    /// Whether it calls the CRM.
    pub(super) fn asks_crm(&self) -> bool {
        self.calls(Function::asks_crm)
    }

    /// Whether it needs the customer. Names are resolved already.
    pub(super) fn names_customer(&self) -> bool {
        let mut found = self.calls(Function::names_customer);
        self.walk(&mut |expr| {
            found |= matches!(expr, Expr::Path { root: Root::Customer | Root::IsCustomer, .. });
        });
        found
    }

    /// Collects what it reads of `request`. Names are resolved already.
    pub(super) fn request_uses(&self, found: &mut Vec<RequestUse>) {
        self.walk(&mut |expr| {
            let Expr::Path { root: Root::Request, steps } = expr else { return };
            let mut keys = steps.iter().map_while(|step| match step {
                Step::Key(key) | Step::Index(Expr::Text(key)) => Some(key.clone()),
                Step::Index(_) => None,
            });
            let used = RequestUse { property: keys.next(), within: keys.next() };
            if !found.contains(&used) {
                found.push(used);
            }
        });
    }

    /// Whether it needs the visitor's language.
    pub(super) fn translates(&self) -> bool {
        let mut found = self.calls(Function::translates);
        self.walk(&mut |expr| {
            // A component's argument may turn out to be the name that every template has.
            let root = match expr {
                Expr::Path { root: Root::OfRequest(name), .. } => name,
                Expr::Path { root: Root::Argument(name), .. } => name.as_str(),
                _ => "",
            };
            found |= root == "locale";
        });
        found
    }

    fn calls(&self, is_such: fn(Function) -> bool) -> bool {
        let mut found = false;
        self.walk(&mut |expr| {
            found |= matches!(expr, Expr::Call { function, .. } if is_such(*function));
        });
        found
    }

    /// Shows this expression and all expressions in it. Recurses only as deep as the parser allows
    /// expressions to nest.
    pub(super) fn walk<'a>(&'a self, see: &mut dyn FnMut(&'a Expr)) {
        see(self);
        match self {
            Expr::Null | Expr::Undefined | Expr::Bool(_) | Expr::Number(_) | Expr::Text(_) => {}
            Expr::Path { root, steps } => {
                if let Root::Value(value) = root {
                    value.walk(see);
                }
                for step in steps {
                    if let Step::Index(index) = step {
                        index.walk(see);
                    }
                }
            }
            Expr::Negate(inner) | Expr::Not(inner) | Expr::Dump(inner) => inner.walk(see),
            Expr::Chain { first, rest } => {
                first.walk(see);
                rest.iter().for_each(|(_, expr)| expr.walk(see));
            }
            Expr::And(all) | Expr::Or(all) | Expr::List(all) | Expr::Call { args: all, .. } => {
                all.iter().for_each(|expr| expr.walk(see));
            }
            Expr::Dict(fields) => fields.iter().for_each(|(_, expr)| expr.walk(see)),
            Expr::Filtered { value, calls } => {
                value.walk(see);
                calls.iter().flat_map(|call| &call.args).for_each(|arg| arg.walk(see));
            }
        }
    }
}
