//! Which variables, names and blocks a template file uses, for checks that need no request.

use crate::ast::{Expr, FilterCall, Named, Node, Root, Step};
use crate::filters::Filter;
use crate::functions::Function;
use crate::parse;
use crate::source::Pos;

/// A use of `var.name` in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableUse {
    /// The name after `var.`.
    pub name: String,
    /// The offset of the name in the file, in bytes.
    pub at: usize,
    /// Whether a `| default: …` covers the case that nothing sets the variable.
    pub has_default: bool,
}

/// A use of a name that nothing in the file defines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownName {
    /// The name as written.
    pub name: String,
    /// Its offset in the file, in bytes.
    pub at: usize,
    /// Whether a missing value is expected: there is a default, or a condition only tests
    /// whether the name has a value.
    pub is_optional: bool,
}

/// A CRM call in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrmCallUse {
    /// The name of the call in scripts.
    pub name: &'static str,
    /// The options that are literal texts: their names, their texts, and the offset of each text in
    /// the file, in bytes.
    pub texts: Vec<(String, String, usize)>,
}

/// A use of a property of `customer` or `request`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyUse {
    /// The object.
    pub of: String,
    /// The name of the property.
    pub name: String,
    /// The offset of the property's name in the file, in bytes.
    pub at: usize,
}

/// What a template file uses and defines, in the order of the file.
#[derive(Debug, Default)]
pub struct Outline {
    /// Every use of a variable.
    pub variables: Vec<VariableUse>,
    /// Every use of a property of `customer` or `request`.
    pub properties: Vec<PropertyUse>,
    /// Every use of a name that is not available in all templates and that no `@set` or loop of
    /// this file defines.
    pub unknown: Vec<UnknownName>,
    /// Every name that a `@set` of this file defines.
    pub set_names: Vec<String>,
    /// The layout that the file extends.
    pub extends: Option<String>,
    /// The name of each `@block` and the offset of that name in the file, in bytes.
    pub blocks: Vec<(String, usize)>,
    /// The name of each `@yield`.
    pub yields: Vec<String>,
    /// Every CRM call with literal options.
    pub crm_calls: Vec<CrmCallUse>,
    /// Every literal key of `t`, its offset in the file in bytes, and whether there is a default.
    pub translations: Vec<(String, usize, bool)>,
}

/// The outline of a template file. It is empty if the file does not parse.
pub fn outline(source: &str) -> Outline {
    let Ok(document) = parse::parse(0, source, parse::Known::Page(&[])) else { return Outline::default() };
    let extends = document.extends.map(|layout| layout.name);
    let out = Outline { set_names: document.set_names, extends, ..Outline::default() };
    let mut walk = Walk { source, loops: Vec::new(), out };
    walk.nodes(&document.nodes);
    walk.out
}

struct Walk<'a> {
    source: &'a str,
    /// The variables of the enclosing loops.
    loops: Vec<String>,
    out: Outline,
}

impl Walk<'_> {
    /// Recurses only as deep as the parser allows nodes and expressions to nest.
    fn nodes(&mut self, nodes: &[Node]) {
        for node in nodes {
            match node {
                Node::Text { .. } => {}
                Node::Output { expr, .. } => self.expr(expr, false),
                Node::If { arms, .. } => {
                    for arm in arms {
                        arm.condition.iter().for_each(|condition| self.condition(condition));
                        self.nodes(&arm.body);
                    }
                }
                Node::Foreach { item, list, body, .. } => {
                    self.expr(list, false);
                    self.loops.push(item.name.clone());
                    self.nodes(body);
                    self.loops.pop();
                }
                Node::Set { value, .. } | Node::Do { call: value, .. } => self.expr(value, false),
                Node::Component { args, .. } => args.iter().for_each(|args| self.expr(args, false)),
                Node::Block { block, body } => {
                    self.out.blocks.push((block.name.clone(), block.pos.at as usize));
                    self.nodes(body);
                }
                Node::Yield { block, default } => {
                    self.out.yields.push(block.name.clone());
                    default.iter().for_each(|default| self.expr(default, false));
                }
            }
        }
    }

    /// A layout uses `@if(wide)` to test whether its page has set a name.
    fn condition(&mut self, condition: &Expr) {
        match condition {
            Expr::Path { root: Root::Name(_), steps } if steps.is_empty() => self.expr(condition, true),
            Expr::Not(inner) => self.condition(inner),
            Expr::And(all) | Expr::Or(all) => all.iter().for_each(|part| self.condition(part)),
            _ => self.expr(condition, false),
        }
    }

    fn expr(&mut self, expr: &Expr, has_default: bool) {
        match expr {
            Expr::Null | Expr::Undefined | Expr::Bool(_) | Expr::Number(_) | Expr::Text(_) => {}
            Expr::Path { root, steps } => self.path(root, steps, has_default),
            Expr::Negate(inner) | Expr::Not(inner) | Expr::Dump(inner) => self.expr(inner, has_default),
            Expr::Chain { first, rest } => {
                self.expr(first, has_default);
                rest.iter().for_each(|(_, expr)| self.expr(expr, has_default));
            }
            Expr::And(all) | Expr::Or(all) | Expr::List(all) => {
                all.iter().for_each(|expr| self.expr(expr, has_default));
            }
            Expr::Dict(fields) => fields.iter().for_each(|(_, expr)| self.expr(expr, has_default)),
            Expr::Call { function, args, pos } => {
                self.translation(*function, args, *pos, has_default);
                self.call(*function, args, *pos);
            }
            Expr::Filtered { value, calls } => {
                self.expr(value, has_default || calls.iter().any(is_default));
                for call in calls {
                    call.args.iter().for_each(|arg| self.expr(arg, false));
                }
            }
        }
    }

    fn translation(&mut self, function: Function, args: &[Expr], pos: Pos, has_default: bool) {
        let (Function::Translate, Some(Expr::Text(key))) = (function, args.first()) else { return };
        let at = pos.at as usize;
        // In `t('key')`, the key comes after the function, in `'key' | t` before the filter.
        let line = self.source.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1);
        let rest = self.source.get(at..).unwrap_or_default();
        let called =
            |name: &str| rest.strip_prefix(name).and_then(|rest| rest.trim_start().strip_prefix('('));
        let after = ["t", "getTranslation"].iter().find_map(|name| called(name));
        let found = match after {
            Some(rest) => rest.find(key.as_str()).map(|found| self.source.len() - rest.len() + found),
            None => self
                .source
                .get(line..at)
                .and_then(|before| before.rfind(key.as_str()))
                .map(|found| line + found),
        };
        if let Some(found) = found {
            self.out.translations.push((key.clone(), found, has_default));
        }
    }

    fn call(&mut self, function: Function, args: &[Expr], pos: Pos) {
        args.iter().for_each(|arg| self.expr(arg, false));
        let (Function::Crm(name), Some(Expr::Dict(fields))) = (function, args.first()) else { return };
        let mut from = pos.at as usize;
        let mut texts = Vec::new();
        for (key, value) in fields {
            let Expr::Text(text) = value else { continue };
            // Positions of literals are not kept. The text of an option comes after its name.
            let rest = self.source.get(from..).unwrap_or_default();
            let found = rest.find(key.as_str()).map(|at| at + key.len());
            let found = found.and_then(|at| Some(at + rest.get(at..)?.find(text.as_str())?));
            let Some(at) = found else { continue };
            from += at;
            texts.push((key.clone(), text.clone(), from));
        }
        self.out.crm_calls.push(CrmCallUse { name, texts });
    }

    fn path(&mut self, root: &Root, steps: &[Step], has_default: bool) {
        match root {
            Root::Name(named) if matches!(named.name.as_str(), "var" | "customer" | "request") => {
                if let Some(Step::Key(name)) = steps.first() {
                    let from = named.pos.at as usize + named.name.len();
                    let after = self.source.get(from..).and_then(|rest| rest.find(name.as_str()));
                    let (name, at) = (name.clone(), from + after.unwrap_or(0));
                    if named.name == "var" {
                        self.out.variables.push(VariableUse { name, at, has_default });
                    } else {
                        self.out.properties.push(PropertyUse { of: named.name.clone(), name, at });
                    }
                }
            }
            Root::Name(Named { name, pos }) if !self.is_known(name) => {
                self.out.unknown.push(UnknownName {
                    name: name.clone(),
                    at: pos.at as usize,
                    is_optional: has_default,
                });
            }
            Root::Value(value) => self.expr(value, has_default),
            _ => {}
        }
        for step in steps {
            if let Step::Index(index) = step {
                self.expr(index, false);
            }
        }
    }
}

impl Walk<'_> {
    fn is_known(&self, name: &str) -> bool {
        let in_loop = !self.loops.is_empty() && name == "loop";
        in_loop
            || crate::names().any(|known| known == name)
            || self.loops.iter().chain(&self.out.set_names).any(|known| known == name)
    }
}

fn is_default(call: &FilterCall) -> bool {
    matches!(call.filter, Filter::Default | Filter::DefaultIfNone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_variables_in_every_kind_of_expression() {
        let source = "{{ var.a }}@if(var.b == 1){{ x[var.c] | default: var.d }}@endif\n\
                      <p v-if=\"!var.e\">@foreach(i in var.f.g){{ i.h }}@endforeach</p>{{ (var.j) | default: 1 }}";
        let found = outline(source).variables;
        let names: Vec<&str> = found.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c", "d", "e", "f", "j"]);
        assert!(found.iter().all(|one| source[one.at..].starts_with(&one.name)));
        let with_default: Vec<&str> =
            found.iter().filter(|one| one.has_default).map(|one| one.name.as_str()).collect();
        assert_eq!(with_default, ["j"]);
    }

    #[test]
    fn finds_properties_of_customer_and_request() {
        let source = "{{ customer.id }}{{ request.query.request }}{{ customer[var.a] }}{{ customer }}";
        let found = outline(source).properties;
        let names: Vec<(&str, &str)> = found.iter().map(|one| (one.of.as_str(), one.name.as_str())).collect();
        assert_eq!(names, [("customer", "id"), ("request", "query")]);
        assert!(found.iter().all(|one| source[one.at..].starts_with(&one.name)));
    }

    #[test]
    fn finds_names_that_nothing_defines() {
        let source = "{{ vra.a }}@set(own = 1){{ own }}@foreach(i in var.l){{ i.a }}{{ loop.index }}\
                      {{ other }}@endforeach{{ i }}{{ request.path }}{{ nothing | default: 1 }}@if(!wide and var.a){{ wide.x }}@endif";
        let outline = outline(source);
        let names: Vec<(&str, bool)> =
            outline.unknown.iter().map(|one| (one.name.as_str(), one.is_optional)).collect();
        assert_eq!(
            names,
            [
                ("vra", false),
                ("other", false),
                ("i", false),
                ("nothing", true),
                ("wide", true),
                ("wide", false)
            ]
        );
        assert!(outline.unknown.iter().all(|one| source[one.at..].starts_with(&one.name)));
        assert_eq!(outline.set_names, ["own"]);
    }

    #[test]
    fn finds_crm_calls_with_their_literal_options() {
        let source =
            "{{ GetCrmField({slug: 'leads', fieldKey: 'x' + var.a}) }}@set(a = getCrmFields({slug: var.b}))";
        let outline = outline(source);
        let slug = ("slug".to_owned(), "leads".to_owned(), source.find("leads").unwrap_or(0));
        assert_eq!(
            outline.crm_calls,
            [
                CrmCallUse { name: "getCrmField", texts: vec![slug] },
                CrmCallUse { name: "getCrmFields", texts: Vec::new() },
            ]
        );
        assert_eq!(outline.variables.len(), 2);
    }

    #[test]
    fn finds_keys_of_translations() {
        let source = "{{ t('a.b') }}\n{{ 'c' | t | default: 'x' }}{{ t(var.d) }}{{ getTranslation('e') }}";
        let found = outline(source).translations;
        let at = |key: &str| source.find(key).map_or(0, |at| at + 1);
        let expected = [("a.b", at("'a.b'"), false), ("c", at("'c'"), true)];
        let found: Vec<(&str, usize, bool)> =
            found.iter().map(|(key, at, d)| (key.as_str(), *at, *d)).collect();
        assert_eq!(found[..2], expected);
    }

    #[test]
    fn finds_blocks_and_yields() {
        let page = outline("@extends(\"a\")@block(\"b\")@if(var.x)x@endif@endblock");
        assert_eq!((page.extends.as_deref(), page.blocks.len()), (Some("a"), 1));
        assert!("@extends(\"a\")@block(\"b\")"[page.blocks[0].1..].contains("b\")"));
        assert_eq!(outline("@yield(\"b\")@if(var.a)@yield(\"c\")@endif").yields, ["b", "c"]);
    }
}
