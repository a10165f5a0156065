//! Tests of pages in tables: the template, then its output or its error.

mod attacks;
mod by_hand;
mod context;
mod files;
mod filters;
mod foreign;
mod language;
mod limits;
mod urls;

use serde_json::{Map, Value, json};

use super::{Includes, Rendered, Scope, Template, TemplateError, TemplateLimits};

/// Layouts and components by name.
#[derive(Default)]
struct Files {
    layouts: Vec<(&'static str, &'static str)>,
    components: Vec<(&'static str, &'static str)>,
}

impl Includes for Files {
    fn layout(&self, name: &str) -> Option<(String, String)> {
        match name {
            "page" => Some(("page.html".to_owned(), "@extends('page')".to_owned())),
            name => find(&self.layouts, "layouts", name),
        }
    }

    fn layout_fault(&self, name: &str) -> Option<String> {
        (name == "scripted").then(|| "the page has a script".to_owned())
    }

    fn component(&self, name: &str) -> Option<(String, String)> {
        find(&self.components, "components", name)
    }

    fn layout_names(&self) -> Vec<String> {
        self.layouts.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    fn component_names(&self) -> Vec<String> {
        self.components.iter().map(|(name, _)| (*name).to_owned()).collect()
    }
}

fn find(files: &[(&str, &str)], folder: &str, name: &str) -> Option<(String, String)> {
    let (name, source) = files.iter().find(|(known, _)| *known == name)?;
    Some((format!("{folder}/{name}.html"), (*source).to_owned()))
}

/// What `var` is in most tests.
fn data() -> Value {
    json!({
        "name": "Ada",
        "html": "<b>\"x\" & 'y'</b>",
        "zero": 0, "one": 1, "half": 0.5, "big": 1e21, "minus": -3,
        "empty": "", "text0": "0", "t": true, "f": false, "null": null,
        "list": [3, 1, 2], "none": [], "words": ["b", "a", "c"],
        "people": [{"name": "Ada", "age": 36}, {"name": "Bob", "age": 7}],
        "nested": [[1, 2], [3]],
        "map": {"b": 1, "a": "x"}, "dashed-key": "dash",
        "utf": "zwölf 😀", "long": "The quick brown fox jumps",
        "url": "https://example.org/a?b=c&d=1", "evil": "javascript:alert(1)",
        "script": "</script><script>alert(1)</script>", "quote": "\";alert(1)//'",
        "date": "2024-03-05T14:07:09Z", "price": 1234.5, "index": 1, "key": "a"
    })
}

fn render_with(files: &Files, source: &str, variables: &Value) -> Result<Rendered, TemplateError> {
    let template = Template::compile("page.html", source, files)?;
    render_template(&template, variables)
}

fn render_template(template: &Template, variables: &Value) -> Result<Rendered, TemplateError> {
    let customer = json!({"email": "ada@example.org", "name": "Ada L"});
    let rendered = render_for(template, variables, &customer);
    if !template.names_customer() {
        let html = |rendered: Result<Rendered, TemplateError>| {
            rendered.map(|rendered| rendered.html).map_err(|error| error.to_string())
        };
        let anonymous = html(render_for(template, variables, &Value::Null));
        assert_eq!(html(rendered.clone()), anonymous, "the host does not load the customer");
    }
    rendered
}

fn render_for(template: &Template, variables: &Value, customer: &Value) -> Result<Rendered, TemplateError> {
    let none = Map::new();
    template.render(&Scope {
        variables: variables.as_object().unwrap_or(&none),
        customer,
        is_customer: !customer.is_null(),
        request: &json!({
            "method": "GET", "path": "/p", "query": {"q": "a b"}, "queries": {"q": ["a b"]},
            "route_slug": "first/rest",
        }),
        route_params: &json!({"slug": "first"}),
        host: None,
        language: None,
    })
}

/// The page, or its error.
fn page(source: &str) -> String {
    match render_with(&Files::default(), source, &data()) {
        Ok(rendered) => rendered.html,
        Err(error) => error.to_string(),
    }
}

fn check(cases: &[(&str, &str)]) {
    for (source, expected) in cases {
        assert_eq!(page(source), *expected, "{source}");
    }
}
