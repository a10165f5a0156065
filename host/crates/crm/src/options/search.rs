//! The options of `findCrmEntries` and `countCrmEntries`. What is wrong with them is a `TypeError`, because
//! a filter that is left out would find more than it should.
//!
//! A condition always names its operator. If `{ email: request.body.email }` were allowed, a visitor could
//! send an operator instead of a text.

use serde_json::Value;
use sluice_text::suggest::nearest;

use super::{LIMIT, Name, Options, REFERENCE_ID, REFERENCE_TYPE, find};
use crate::names::{chars, shown};
use crate::search::{
    CONDITIONS_MAX, Cursor, CursorKey, FILTER_DEPTH_MAX, Filter, IN_VALUES_MAX, Operand, Order, Search, Test,
};
use crate::{CrmError, FieldKey, Given, OptionMistake, Reference, STRING_CHARS_MAX, SearchMistake, Slug};

const WHERE: Name = Name("where", &[]);
const ORDER_BY: Name = Name("orderBy", &["order_by"]);
const AFTER: Name = Name("after", &[]);
const OPERATORS: [&str; 9] = ["eq", "ne", "lt", "lte", "gt", "gte", "in", "startsWith", "exists"];
/// The name of the order of creation.
const CREATED_AT: &str = "created_at";
/// A filter whose items all have a condition has no more.
const ITEMS_MAX: usize = CONDITIONS_MAX * FILTER_DEPTH_MAX;

type Parsed<T> = Result<T, (String, SearchMistake)>;

impl Options<'_> {
    /// The search, except for the limit of its result's size.
    pub(crate) fn search(&self, slug: Slug) -> Result<(Search, CursorKey), CrmError> {
        let wrong = |(at, why)| self.call.type_error(OptionMistake::Search { at, why });
        let given = |name| find(self.map, name).filter(|value| !value.is_null());
        let filter = match given(WHERE) {
            Some(filter) => parse_where(filter).map_err(wrong)?,
            None => Filter::everything(),
        };
        let order = match given(ORDER_BY) {
            Some(order) => parse_order(order).map_err(wrong)?,
            None => Order { field: None, is_descending: true },
        };
        let reference = self.named_reference()?;
        let text = |value: Option<&Value>| value.map(Value::to_string).unwrap_or_default();
        let (kind, id) = reference.as_ref().map_or(("", ""), |reference| (reference.kind(), reference.id()));
        let key = CursorKey::of([slug.as_str(), &text(given(WHERE)), &text(given(ORDER_BY)), kind, id]);
        let after = match given(AFTER) {
            Some(Value::String(text)) => {
                let no_cursor = || wrong((AFTER.0.to_owned(), SearchMistake::Cursor));
                Some(Cursor::read(key, text).ok_or_else(no_cursor)?)
            }
            Some(other) => {
                let why = SearchMistake::Kind("the next of an earlier result", Given::of(Some(other)));
                return Err(wrong((AFTER.0.to_owned(), why)));
            }
            None => None,
        };
        let limit = match self.call.has_option(LIMIT.0) {
            true => Some(self.limit()?),
            false => None,
        };
        Ok((Search { slug, reference, filter, order, after, limit, bytes_max: usize::MAX }, key))
    }

    /// The reference that the script names. There is no default, because a search is about all of them.
    fn named_reference(&self) -> Result<Option<Reference>, CrmError> {
        let (kind, id) = (self.text(REFERENCE_TYPE)?, self.text(REFERENCE_ID)?);
        let Some(id) = id else {
            return match kind {
                Some(_) => Err(self.call.type_error(OptionMistake::NoneOf("referenceId"))),
                None => Ok(None),
            };
        };
        let reference = Reference::new(kind.unwrap_or(super::REFERENCE_TYPE_DEFAULT), id);
        reference.map(Some).map_err(|why| self.call.refused(OptionMistake::from(why)))
    }
}

fn parse_order(order: &Value) -> Parsed<Order> {
    let kind = || {
        let expected = "an object with one field and \"asc\" or \"desc\"";
        (ORDER_BY.0.to_owned(), SearchMistake::Kind(expected, Given::of(Some(order))))
    };
    let Value::Object(map) = order else { return Err(kind()) };
    let mut fields = map.iter();
    let (Some((name, direction)), None) = (fields.next(), fields.next()) else { return Err(kind()) };
    let is_descending = match direction.as_str() {
        Some("asc") => false,
        Some("desc") => true,
        _ => return Err(kind()),
    };
    let field = match name.as_str() {
        CREATED_AT => None,
        name => Some(field_key(ORDER_BY.0, name)?),
    };
    Ok(Order { field, is_descending })
}

fn field_key(at: &str, name: &str) -> Parsed<FieldKey> {
    FieldKey::new(name).map_err(|why| (at.to_owned(), SearchMistake::Field(why)))
}

fn parse_where(filter: &Value) -> Parsed<Filter> {
    let mut parser = Parser { conditions: 0, items: 0, values: 0 };
    parser.group(WHERE.0, filter, 0)
}

/// Counts the conditions of a filter, its values, and the items of its `and` and `or`, while it is read. Each costs
/// time for every entry that is examined.
struct Parser {
    conditions: usize,
    items: usize,
    /// Of all `in`.
    values: usize,
}

impl Parser {
    /// An object of fields, `and` and `or`, which all have to hold.
    fn group(&mut self, at: &str, group: &Value, depth: usize) -> Parsed<Filter> {
        let Value::Object(map) = group else {
            let why = SearchMistake::Kind("an object of conditions", Given::of(Some(group)));
            return Err((at.to_owned(), why));
        };
        if depth > FILTER_DEPTH_MAX {
            return Err((at.to_owned(), SearchMistake::TooDeep));
        }
        let mut all = Vec::new();
        for (name, value) in map {
            let at = format!("{at}.{}", shown(name));
            match (name.as_str(), value) {
                // A field can have these names, too, but a condition is never an array.
                ("and" | "or", Value::Array(items)) => {
                    self.items += items.len();
                    if self.items > ITEMS_MAX {
                        return Err((at, SearchMistake::TooMany));
                    }
                    let parts = items.iter().enumerate();
                    let parts =
                        parts.map(|(index, item)| self.part(&format!("{at}[{index}]"), item, depth + 1));
                    let parts = parts.collect::<Parsed<Vec<Filter>>>()?;
                    match name.as_str() {
                        "and" => all.extend(parts.into_iter().flat_map(Filter::into_all)),
                        _ => all.push(Filter::Any(parts)),
                    }
                }
                _ => self.field(&at, name, value, &mut all)?,
            }
        }
        Ok(Filter::All(all))
    }

    /// An item of `and` or `or`. An empty one would match everything.
    fn part(&mut self, at: &str, item: &Value, depth: usize) -> Parsed<Filter> {
        match item {
            Value::Object(map) if map.is_empty() => Err((at.to_owned(), SearchMistake::Empty)),
            _ => self.group(at, item, depth),
        }
    }

    fn field(&mut self, at: &str, name: &str, tests: &Value, all: &mut Vec<Filter>) -> Parsed<()> {
        let key = field_key(at, name)?;
        let Value::Object(tests) = tests else {
            return Err((at.to_owned(), SearchMistake::NoOperator(Given::of(Some(tests)))));
        };
        if tests.is_empty() {
            return Err((at.to_owned(), SearchMistake::Empty));
        }
        self.conditions += tests.len();
        if self.conditions > CONDITIONS_MAX {
            return Err((at.to_owned(), SearchMistake::TooMany));
        }
        for (operator, operand) in tests {
            all.push(Filter::Field(key.clone(), self.test(at, operator, operand)?));
        }
        Ok(())
    }

    fn test(&mut self, at: &str, operator: &str, operand: &Value) -> Parsed<Test> {
        let at = format!("{at}.{}", shown(operator));
        let kind = |expected| (at.clone(), SearchMistake::Kind(expected, Given::of(Some(operand))));
        let comparable = || match scalar(&at, operand)? {
            Operand::Flag(_) => Err(kind("a number or a string")),
            operand => Ok(operand),
        };
        Ok(match operator {
            "eq" => Test::Eq(scalar(&at, operand)?),
            "ne" => Test::Ne(scalar(&at, operand)?),
            "lt" => Test::Lt(comparable()?),
            "lte" => Test::Lte(comparable()?),
            "gt" => Test::Gt(comparable()?),
            "gte" => Test::Gte(comparable()?),
            "in" => match operand {
                Value::Array(items) => {
                    self.values += items.len();
                    if self.values > IN_VALUES_MAX {
                        return Err((at, SearchMistake::TooManyValues(self.values)));
                    }
                    Test::In(items.iter().map(|item| scalar(&at, item)).collect::<Parsed<_>>()?)
                }
                _ => return Err(kind("an array")),
            },
            "startsWith" | "starts_with" => match scalar(&at, operand)? {
                Operand::Text(start) => Test::StartsWith(start),
                _ => return Err(kind("a string")),
            },
            "exists" => match operand {
                Value::Bool(wanted) => Test::Exists(*wanted),
                _ => return Err(kind("true or false")),
            },
            _ => {
                let help = match nearest(operator, OPERATORS) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => format!("the operators are {}", OPERATORS.join(", ")),
                };
                return Err((at, SearchMistake::UnknownOperator(help)));
            }
        })
    }
}

impl Filter {
    /// The conditions that all have to hold.
    fn into_all(self) -> Vec<Self> {
        match self {
            Self::All(filters) => filters,
            other => vec![other],
        }
    }
}

fn scalar(at: &str, value: &Value) -> Parsed<Operand> {
    let kind = |expected| (at.to_owned(), SearchMistake::Kind(expected, Given::of(Some(value))));
    match value {
        Value::Bool(flag) => Ok(Operand::Flag(*flag)),
        Value::Number(number) => number
            .as_f64()
            .filter(|number| number.is_finite())
            .map(Operand::Number)
            .ok_or_else(|| kind("a finite number")),
        Value::String(text) if chars(text) > STRING_CHARS_MAX => {
            Err((at.to_owned(), SearchMistake::LongText))
        }
        Value::String(text) => Ok(Operand::Text(text.clone())),
        _ => Err(kind(
            "a string, a number, true or false; to look for entries without the field, use exists: false",
        )),
    }
}
