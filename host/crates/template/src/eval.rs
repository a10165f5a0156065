//! Evaluates expressions.

use crate::ast::{Expr, Operator, Root, Step};
use crate::budget::{Budget, LimitError, Limited};
use crate::convert;
use crate::filters::Setting;
use crate::host::CallState;
use crate::json_text::{self, Layout};
use crate::lower::of_request;
use crate::scope::Scope;
use crate::value::Val;

/// The values of all names, and the budget, while a page renders.
pub(super) struct Env<'a> {
    pub scope: &'a Scope<'a>,
    pub budget: Budget,
    /// Milliseconds since 1970.
    pub now: f64,
    /// The values of loop variables, `@set` names and component arguments, for the page and for
    /// every component that is being rendered.
    pub slots: Vec<Val<'a>>,
    /// The index of the first slot of the page or component that is being rendered.
    pub base: usize,
    /// The record that a component was called with, if the names in it were not known when the
    /// page was compiled.
    pub arguments: Val<'a>,
    pub calls: CallState<'a>,
}

impl<'a> Env<'a> {
    pub(super) fn slot(&self, slot: u32) -> Val<'a> {
        let index = self.base.saturating_add(slot as usize);
        self.slots.get(index).cloned().unwrap_or(Val::Undefined)
    }

    pub(super) fn set_slot(&mut self, slot: u32, value: Val<'a>) {
        let index = self.base.saturating_add(slot as usize);
        if let Some(place) = self.slots.get_mut(index) {
            *place = value;
        }
    }

    pub(super) fn eval(&mut self, expr: &'a Expr) -> Limited<Val<'a>> {
        self.budget.steps(1)?;
        match expr {
            Expr::Null => Ok(Val::Null),
            Expr::Undefined => Ok(Val::Undefined),
            Expr::Bool(flag) => Ok(Val::Bool(*flag)),
            Expr::Number(number) => Ok(Val::Number(*number)),
            Expr::Text(text) => Ok(Val::Text(text)),
            Expr::Path { root, steps } => self.path(root, steps),
            Expr::Not(inner) => Ok(Val::Bool(!self.eval(inner)?.truthy())),
            Expr::Negate(inner) => {
                let value = self.eval(inner)?;
                Ok(Val::Number(-convert::to_number(&value, &mut self.budget)?))
            }
            Expr::Chain { first, rest } => {
                let mut value = self.eval(first)?;
                for (operator, right) in rest {
                    let right = self.eval(right)?;
                    value = self.operate(*operator, &value, &right)?;
                }
                Ok(value)
            }
            Expr::And(all) => self.first(all, |value| !value.truthy()),
            Expr::Or(all) => self.first(all, Val::truthy),
            Expr::List(items) => {
                let items = items.iter().map(|item| self.eval(item)).collect::<Limited<Vec<_>>>()?;
                self.budget.make(items.len() * size_of::<Val<'_>>())?;
                Val::list(items).ok_or(LimitError::ValueDepth)
            }
            Expr::Dict(fields) => {
                let fields = fields
                    .iter()
                    .map(|(key, value)| Ok((key.as_str(), self.eval(value)?)))
                    .collect::<Limited<Vec<_>>>()?;
                self.budget.make(fields.len() * size_of::<(&str, Val<'_>)>())?;
                Val::dict(fields).ok_or(LimitError::ValueDepth)
            }
            Expr::Filtered { value, calls } => {
                let mut value = self.eval(value)?;
                for call in calls {
                    let args = call.args.iter().map(|arg| self.eval(arg)).collect::<Limited<Vec<_>>>()?;
                    self.budget.steps(1)?;
                    let mut setting = Setting { budget: &mut self.budget, now: self.now };
                    value = call.filter.apply(value, &args, &mut setting)?;
                }
                Ok(value)
            }
            Expr::Call { function, args, pos } => self.call(*function, args, *pos),
            Expr::Dump(inner) => match self.eval(inner)? {
                Val::Undefined => Ok(Val::Text("undefined")),
                value => {
                    let text = json_text::write(&value, Layout::Indented, &mut self.budget)?;
                    Ok(Val::made(text).into_json())
                }
            },
        }
    }

    /// The first value for which `decides` is true, or else the last value.
    fn first(&mut self, all: &'a [Expr], decides: fn(&Val<'a>) -> bool) -> Limited<Val<'a>> {
        let mut value = Val::Undefined;
        for expr in all {
            value = self.eval(expr)?;
            if decides(&value) {
                break;
            }
        }
        Ok(value)
    }

    fn path(&mut self, root: &'a Root, steps: &'a [Step]) -> Limited<Val<'a>> {
        let mut value = match root {
            Root::Variables => Val::Object(self.scope.variables),
            Root::Customer => Val::of(self.scope.customer),
            Root::IsCustomer => Val::Bool(self.scope.is_customer),
            Root::Request => Val::of(self.scope.request),
            Root::RouteParams => Val::of(self.scope.route_params),
            Root::OfRequest(name) => self.of_request(name),
            Root::Slot(slot) => self.slot(*slot),
            Root::Argument(name) => {
                self.budget.read(self.arguments.lookup_bytes(name.len()))?;
                match self.arguments.get(name) {
                    Val::Undefined => self.of_request(name),
                    value => value,
                }
            }
            Root::Value(expr) => self.eval(expr)?,
            Root::Missing | Root::Name(_) => Val::Undefined,
        };
        for step in steps {
            value = match step {
                Step::Key(key) => {
                    self.budget.read(value.lookup_bytes(key.len()))?;
                    value.get(key)
                }
                Step::Index(index) => match self.eval(index)? {
                    Val::Number(index) if index >= 0.0 && index.fract() == 0.0 && !value.is_record() => {
                        self.budget.read(value.lookup_bytes(0))?;
                        value.at(index as usize)
                    }
                    key => {
                        let key = convert::to_text(&key, &mut self.budget)?;
                        let key = key.as_str().unwrap_or("");
                        self.budget.read(value.lookup_bytes(key.len()))?;
                        value.get(key)
                    }
                },
            };
        }
        Ok(value)
    }

    /// The part of the request that has this name, if there is one.
    fn of_request(&self, name: &str) -> Val<'a> {
        match of_request(name) {
            Some("locale") => self.scope.language.map_or(Val::Undefined, |language| Val::Text(language.code)),
            Some(name) => Val::of(self.scope.request).get(name),
            None => Val::Undefined,
        }
    }

    fn operate(&mut self, operator: Operator, a: &Val<'a>, b: &Val<'a>) -> Limited<Val<'a>> {
        use std::cmp::Ordering::{Equal, Greater, Less};
        self.budget.steps(1)?;
        let budget = &mut self.budget;
        let flag = match operator {
            Operator::Add => return convert::add(a, b, budget),
            Operator::Equal => convert::loose_equal(a, b, budget)?,
            Operator::NotEqual => !convert::loose_equal(a, b, budget)?,
            Operator::StrictEqual => convert::strict_equal(a, b, budget)?,
            Operator::StrictNotEqual => !convert::strict_equal(a, b, budget)?,
            Operator::Less => convert::order(a, b, budget)? == Some(Less),
            Operator::LessEqual => matches!(convert::order(a, b, budget)?, Some(Less | Equal)),
            Operator::Greater => convert::order(a, b, budget)? == Some(Greater),
            Operator::GreaterEqual => {
                matches!(convert::order(a, b, budget)?, Some(Greater | Equal))
            }
        };
        Ok(Val::Bool(flag))
    }
}
