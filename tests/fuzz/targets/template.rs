//! Checks that every text either renders or gives an error with a position, without a panic or a hang.
//!
//! The input consists of a page, a component `a`, a layout `b` and the data as JSON, separated by
//! lines of `---`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};
use sluice_template::{Includes, Scope, Template, TemplateError, outline};

struct Files<'a> {
    component: &'a str,
    layout: &'a str,
}

impl Includes for Files<'_> {
    fn layout(&self, name: &str) -> Option<(String, String)> {
        (name == "b").then(|| ("layouts/b.html".to_owned(), self.layout.to_owned()))
    }

    fn component(&self, name: &str) -> Option<(String, String)> {
        (name == "a").then(|| ("components/a.html".to_owned(), self.component.to_owned()))
    }

    fn layout_names(&self) -> Vec<String> {
        vec!["b".to_owned()]
    }

    fn component_names(&self) -> Vec<String> {
        vec!["a".to_owned()]
    }
}

fuzz_target!(|text: &str| {
    let mut parts = text.split("\n---\n");
    let mut next = || parts.next().unwrap_or_default();
    let page = next();
    let files = Files { component: next(), layout: next() };
    let outline = outline(page);
    let names = outline.variables.iter().map(|used| (used.at, &used.name));
    for (at, name) in names.chain(outline.unknown.iter().map(|unknown| (unknown.at, &unknown.name))) {
        assert!(page[at..].starts_with(name.as_str()), "{name:?} is not at {at}");
    }
    let data = serde_json::from_str::<Map<String, Value>>(next()).unwrap_or_else(|_| defaults());
    match Template::compile("pages/p.html", page, &files) {
        Ok(template) => {
            let scope = Scope {
                variables: &data,
                customer: &json!({"email": "a@b.c"}),
                is_customer: true,
                request: &json!({"path": "/", "query": {"q": "<"}}),
                route_params: &Value::Null,
                host: None,
                language: None,
            };
            if let Err(error) = template.render(&scope) {
                check(&error, page, &files);
            }
        }
        Err(error) => check(&error, page, &files),
    }
});

/// Checks that the error's position exists in its file.
fn check(error: &TemplateError, page: &str, files: &Files<'_>) {
    let text = match error.file.as_str() {
        "pages/p.html" => page,
        "components/a.html" => files.component,
        "layouts/b.html" => files.layout,
        other => panic!("{other} is no file"),
    };
    let line = text.split('\n').nth(error.line - 1).expect("the line is there");
    assert!(error.column >= 1 && error.column <= line.chars().count() + 1, "{error}");
    assert!(!error.message.is_empty() && error.excerpt().lines().count() == 2);
}

fn defaults() -> Map<String, Value> {
    let data = json!({
        "s": "a<b>'\"&", "n": 1.5, "t": true, "l": [3, "x", [1]], "m": {"k": "v"}, "d": "2024-03-05T14:07:09Z",
        "u": "javascript:alert(1)",
    });
    data.as_object().cloned().unwrap_or_default()
}
