//! No value changes the structure of the page around it.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::{Includes, Scope, Template};

struct Nothing;

impl Includes for Nothing {
    fn layout(&self, _: &str) -> Option<(String, String)> {
        None
    }

    fn component(&self, name: &str) -> Option<(String, String)> {
        let source = match name {
            "value" => "{{ p }}",
            "tag" => "<i title=\"{{ p }}\">{{ p }}</i>",
            _ => return None,
        };
        Some((name.to_owned(), source.to_owned()))
    }

    fn layout_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn component_names(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The tags and attribute names of a page, as this tokenizer reads them.
fn structure(html: &str) -> Vec<String> {
    let mut machine = Machine::new();
    let mut found = Vec::new();
    let mut inner = None;
    for (at, byte) in html.bytes().enumerate() {
        let was_name = machine.state == State::AttributeName;
        let comment = matches!(machine.state, State::Comment(_) | State::BogusComment);
        match machine.step(byte, at) {
            Ok(Some(tag)) => found.push(format!("{}{}", if tag.closing { "/" } else { "" }, tag.name)),
            Ok(None) => {}
            Err(error) => found.push(error.to_string()),
        }
        if was_name && machine.state != State::AttributeName {
            found.push(machine.attribute.clone());
        }
        match (&machine.state, inner) {
            (State::Value { kind: ValueKind::Document(_), .. }, None) => inner = Some(at + 1),
            (State::Value { kind: ValueKind::Document(_), .. }, Some(_)) => {}
            (_, Some(start)) => {
                found.push(structure(&reference::decoded(&html[start..at])).join(" "));
                inner = None;
            }
            (_, None) => {}
        }
        if comment && machine.state == State::Text {
            found.push("-->".to_owned());
        }
    }
    found.push(machine.describe());
    found
}

fn rendered(template: &Template, value: &str) -> String {
    let variables = json!({ "p": value });
    let none = Map::new();
    let null = Value::Null;
    let scope = Scope {
        variables: variables.as_object().unwrap_or(&none),
        customer: &null,
        is_customer: false,
        request: &null,
        route_params: &null,
        host: None,
        language: None,
    };
    match template.render(&scope) {
        Ok(rendered) => rendered.html,
        Err(error) => error.to_string(),
    }
}

const PIECES: &[&str] = &[
    "{{ var.p }}",
    "{{ var.p }}",
    "{{ var.p }}",
    "{{ var.p | json }}",
    "<p>",
    "</p>",
    "<a href=\"",
    "<a title=",
    "<p title='",
    "\"",
    "'",
    ">",
    " ",
    "<script>",
    "</script>",
    "<style>",
    "</style>",
    "<!--",
    "-->",
    "-",
    "<",
    "/",
    "<textarea>",
    "</textarea>",
    "<title>",
    "</title>",
    "onclick=\"",
    "style=\"",
    "x",
    "=",
    "@if(var.p)",
    "@else ",
    "@endif",
    "@foreach(q in [1, 2])",
    "@endforeach",
    "<svg>",
    "</svg>",
    "<foreignObject>",
    "</foreignObject>",
    "<math>",
    "<![CDATA[",
    "]",
    "]]>",
    "<iframe srcdoc=\"",
    "&lt;",
    "&#",
    "<animate values=\"",
    ";",
    "</div>",
    "<input ",
    "checked",
    "&",
    "!",
    "<!-- <script>",
    "@component('value', {p: var.p})",
    "@component('tag', {p: var.p})",
    "javascript:",
    ":",
    "<p v-if=\"var.p\">",
];

const PAYLOADS: &[&str] = &[
    "",
    " ",
    "\">",
    "'>",
    ">",
    "<script>",
    "</script>",
    "</style>",
    "-->",
    "--!>",
    "-",
    "onclick=x",
    " onclick=x ",
    "</title>",
    "</textarea><p>",
    "\\",
    "/",
    "!--",
    "/script>",
    "=",
    "<!--",
    "`",
    "\n",
    "x\" y=\"",
    "javascript:x",
    ":",
    "]]>",
    "]",
    "&lt;p&gt;",
    "lt;b ",
    ";javascript:x",
    "60;",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_value_changes_the_structure_of_the_page(pieces in prop::collection::vec(prop::sample::select(PIECES), 1..12)) {
        let source = pieces.concat();
        if let Ok(template) = Template::compile("page", &source, &Nothing) {
            // The same branches are taken for every value that is not empty.
            let plain = structure(&rendered(&template, "word"));
            for payload in PAYLOADS {
                let html = rendered(&template, payload);
                if !payload.is_empty() || !source.contains("if") {
                    prop_assert_eq!(&structure(&html), &plain, "{} with {:?} gave {}", source, payload, html);
                }
            }
        }
    }
}
