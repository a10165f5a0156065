//! Finds undeclared names, members that do not exist, and assignments to read-only names.

use oxc_ast::AstKind;
use oxc_ast::ast::{BindingPattern, Expression, IdentifierReference, VariableDeclarator};
use oxc_semantic::{AstNode, SymbolFlags};
use oxc_span::{GetSpan as _, Span};

use sluice_page::diagnostic::Rule;
use sluice_page::globals;

use super::super::facts::{Finding, HeaderUse, Named};
use super::{FINDINGS_MAX, Purpose, Script, did_you_mean, of_tests, range};

impl<'a> Script<'_, 'a> {
    pub(super) fn unresolved_names(&mut self) {
        let semantic = self.semantic;
        let scoping = semantic.scoping();
        let mut found = Vec::new();
        for (name, references) in scoping.root_unresolved_references() {
            let name = name.as_str();
            // A script with so many unknown names needs no complete list.
            if found.len() > FINDINGS_MAX {
                break;
            }
            // Functions have `arguments`, and a script with `typeof x` expects that `x` may be
            // missing.
            let is_of_tests = self.purpose == Purpose::Test && of_tests::GLOBALS.contains(&name);
            if name == "arguments" || is_of_tests || globals::is_known(name) || self.is_asked_for(name) {
                continue;
            }
            let references = || references.iter().map(|id| scoping.get_reference(*id));
            // A script that writes to a name forgot to declare it. That is reported once.
            let written = references().find(|reference| reference.is_write() && !reference.is_read());
            match written {
                Some(reference) => found.push((name, semantic.reference_span(reference), true)),
                None => found
                    .extend(references().map(|reference| (name, semantic.reference_span(reference), false))),
            }
        }
        found.sort_by_key(|(_, span, _)| span.start);
        for (name, span, is_written) in found.into_iter().take(FINDINGS_MAX) {
            self.unknown(name, span, is_written);
        }
    }

    /// Whether the script contains `typeof name`.
    fn is_asked_for(&self, name: &str) -> bool {
        self.semantic.nodes().iter().any(|node| match node.kind() {
            AstKind::UnaryExpression(unary) => {
                unary.operator.as_str() == "typeof" && unary.argument.is_specific_id(name)
            }
            _ => false,
        })
    }

    fn unknown(&mut self, name: &str, span: Span, is_written: bool) {
        let mut names: Vec<&str> = self.semantic.scoping().symbol_names().collect();
        for name in globals::all() {
            names.push(name);
        }
        if self.purpose == Purpose::Test {
            names.extend(of_tests::GLOBALS);
        }
        let near = || did_you_mean(name, names.iter().copied());
        let help = match globals::elsewhere(name) {
            Some(help) => Some(help.to_owned()),
            None if is_written => near().or_else(|| Some(format!("declare it: `let {name} = …`"))),
            None => near().or_else(|| Some(format!("declare `{name}`, or import it from a module"))),
        };
        let message = match globals::elsewhere(name) {
            Some(_) => format!("there is no `{name}` in backend scripts"),
            None => format!("`{name}` is not defined"),
        };
        self.report(Rule::UnknownGlobal, span, message, help);
    }

    /// Checks a member of a global: `session.gett`, `response["jsn"]`.
    pub(super) fn member(&mut self, node: &AstNode<'a>) {
        let (object, property) = match node.kind() {
            AstKind::StaticMemberExpression(member) => {
                (&member.object, Some((member.property.span, member.property.name.as_str())))
            }
            AstKind::ComputedMemberExpression(member) => (&member.object, member.static_property_info()),
            _ => return,
        };
        let Some((span, name)) = property else { return };
        self.check_property(object, name, span);
        let Some(path) = self.path(object) else { return };
        if self.is_assigned(node) {
            return self.assigned_member(&path, name, span);
        }
        self.check_member(&path, name, span);
    }

    /// Checks the members in `const { bdoy } = request`.
    pub(super) fn destructured(&mut self, declarator: &'a VariableDeclarator<'a>) {
        let BindingPattern::ObjectPattern(pattern) = &declarator.id else { return };
        let Some(init) = &declarator.init else { return };
        let path = self.path(init);
        for property in &pattern.properties {
            let Some(name) = property.key.static_name() else { continue };
            self.check_property(init, &name, property.key.span());
            if let Some(path) = &path {
                self.check_member(path, &name, property.key.span());
            }
        }
    }

    /// Checks a property of the customer. Tokens of other programs can bring further properties, so
    /// only names that resemble a known one are reported.
    fn check_property(&mut self, object: &'a Expression<'a>, name: &str, span: Span) {
        let value = match self.constant(object).unwrap_or(object) {
            Expression::CallExpression(call) => self.path(&call.callee).map(|path| format!("{path}()")),
            value => self.path(value),
        };
        let known = match value.as_deref() {
            Some("customer" | "getCustomer()") => globals::CUSTOMER,
            Some("getUser()") => globals::USER,
            _ => return,
        };
        if known.contains(&name) || globals::is_inherited(name) {
            return;
        }
        let near = did_you_mean(name, known.iter().copied());
        let help = near.or_else(|| (known == globals::USER).then(|| format!("it has {}", listed(known))));
        if let (Some(help), Some(value)) = (help, value) {
            self.report(Rule::UnknownProperty, span, format!("`{value}` has no `{name}`"), Some(help));
        }
    }

    fn check_member(&mut self, path: &str, name: &str, span: Span) {
        self.facts.reads_body |= path == "request" && matches!(name, "body" | "bodies");
        let used = || Named { name: name.to_owned(), span: range(span) };
        match (path, name) {
            ("request", "rawBody" | "text") => drop(self.facts.raw_body.get_or_insert_with(used)),
            ("request", "files") => drop(self.facts.files.get_or_insert_with(used)),
            _ => {}
        }
        if globals::has_member(path, name) {
            return;
        }
        let members = globals::members(path).unwrap_or_default();
        // `request.headers.userAgent` means `user-agent`.
        let plain = |text: &str| text.replace(['-', '_'], "").to_ascii_lowercase();
        let same = members.iter().find(|member| plain(member) == plain(name));
        let elsewhere = globals::member_elsewhere(path, name).map(str::to_owned);
        let near = same.map(|same| match same.contains('-') {
            true => format!("did you mean `{path}[\"{same}\"]`?"),
            false => format!("did you mean `{same}`?"),
        });
        let help = elsewhere.or(near).or_else(|| did_you_mean(name, members.iter().copied()));
        let message = format!("`{path}` has no `{name}`");
        if path == "request.headers" {
            return self.note_header(name, span, message, help);
        }
        let help = help.unwrap_or_else(|| format!("it has {}", listed(members)));
        self.report(Rule::UnknownMember, span, message, Some(help));
    }

    /// Notes a header that a page may name in `brand.toml`.
    fn note_header(&mut self, name: &str, span: Span, message: String, help: Option<String>) {
        if self.facts.headers.len() < FINDINGS_MAX {
            let finding = Finding { rule: Rule::UnknownMember, span: range(span), message, help };
            self.facts.headers.push(HeaderUse { name: name.to_owned(), finding });
        }
    }

    /// Whether a member expression is written to or deleted.
    fn is_assigned(&self, node: &AstNode<'a>) -> bool {
        let span = node.kind().span();
        self.ancestors(node.id()).next().is_some_and(|parent| match parent {
            AstKind::AssignmentExpression(assignment) => assignment.left.span() == span,
            AstKind::UpdateExpression(_) => true,
            AstKind::UnaryExpression(unary) => unary.operator.as_str() == "delete",
            _ => false,
        })
    }

    fn assigned_member(&mut self, path: &str, name: &str, span: Span) {
        let root = path.split('.').next().unwrap_or_default();
        let is_frozen =
            globals::is_read_only(root) && (globals::members(path).is_some() || is_deeply_frozen(root));
        if !is_frozen {
            return;
        }
        let help = match root {
            "session" => format!("use `session.set(\"{name}\", value)`"),
            "cookie" => format!("use `cookie.set(\"{name}\", value)`"),
            "response" if name == "status" => "call it: `response.status(404)`".to_owned(),
            "response" => "use `setHeader`, `response.status`, `response.json` or `response.send`".to_owned(),
            "customer" => "use `session.setCustomer(fields)`".to_owned(),
            _ => "store your value in a variable of your own".to_owned(),
        };
        self.report(
            Rule::ReadOnly,
            span,
            format!("`{path}.{name}` cannot be changed: `{root}` is read-only"),
            Some(help),
        );
    }

    /// Checks an assignment to a global, a constant or an import: `session = …`.
    pub(super) fn assigned(&mut self, name: &'a IdentifierReference<'a>) {
        let scoping = self.semantic.scoping();
        let Some(reference) = name.reference_id.get().map(|id| scoping.get_reference(id)) else { return };
        if !reference.is_write() {
            return;
        }
        match reference.symbol_id() {
            None if globals::is_read_only(&name.name) => {
                let help = "choose another name for your own variable, and declare it".to_owned();
                self.report(Rule::ReadOnly, name.span, format!("`{}` is read-only", name.name), Some(help));
            }
            Some(symbol) if scoping.symbol_flags(symbol).contains(SymbolFlags::ConstVariable) => {
                let message = format!("`{}` is a constant and cannot be assigned to", name.name);
                let help = "declare it with `let` instead of `const`".to_owned();
                self.report(Rule::ReadOnly, name.span, message, Some(help));
            }
            Some(symbol) if scoping.symbol_flags(symbol).contains(SymbolFlags::Import) => {
                let message = format!("`{}` is imported and cannot be assigned to", name.name);
                let help = "copy its value into a variable of your own".to_owned();
                self.report(Rule::ReadOnly, name.span, message, Some(help));
            }
            _ => {}
        }
    }
}

fn is_deeply_frozen(root: &str) -> bool {
    matches!(root, "request" | "customer")
}

fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}
