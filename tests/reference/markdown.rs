//! `docs/configuration.md`, generated from the schemas.

use std::fmt::Write as _;

use serde_json::Value;

use sluice_limits::{KINDS, grouped};

const INTRODUCTION: &str = "\
# Configuration

<!-- Generated from the types in host/crates/site/src/config.rs and their comments. To update it:
     SLUICE_UPDATE=1 cargo nextest run --cargo-profile release -p sluice reference:: -->

This is the complete reference of `sluice.toml`, which contains the settings of a host, and of
`brand.toml`, which contains the settings of a brand. [Running Sluice](operations.md) and
[Sites](sites.md) explain how to use them.

Both files are TOML. An unknown key or an invalid value is an error: the message contains the file and
the line, and suggests the closest known key. The server does not start with such a `sluice.toml`, and a
reload keeps the previous version. A brand with such a `brand.toml` keeps its last good version or answers
503; other brands are not affected. `sluice check` finds such mistakes, too.

An editor that supports schemas for TOML (for example with the extension Even Better TOML) completes and
checks the settings if the first line of the file names the schema:

```
#:schema ../docs/schema/sluice.schema.json
```

The schemas are `docs/schema/sluice.schema.json` and `docs/schema/brand.schema.json`. The path is
relative to the file.
";

const ENVIRONMENT: &str = "\
Each setting can also be given in the environment, which overrides the file. The name of the variable is
`SLUICE_`, the table, two underscores and the key, in upper case: `SLUICE_SERVER__LISTEN=0.0.0.0:8080` or
`SLUICE_LIMITS__MAX__FUEL=2_000_000_000`. Numbers, booleans and lists are written as in TOML; quotes around
strings are optional.
";

/// The whole document.
pub(crate) fn reference(site: &Value, brand: &Value) -> String {
    let mut out = INTRODUCTION.to_owned();
    for (schema, introduction) in [(site, ENVIRONMENT), (brand, "")] {
        let schema = Schema { root: schema };
        let _ = write!(out, "\n## {}\n\n{}\n", text(schema.root, "title"), description(schema.root));
        if !introduction.is_empty() {
            let _ = write!(out, "\n{introduction}");
        }
        schema.table(&mut out, "", schema.root, false);
    }
    out.push_str("\n## Types of values\n");
    for schema in [site, brand].map(|root| Schema { root }) {
        schema.value_types(&mut out);
    }
    out
}

/// The contents of all TOML blocks.
pub(crate) fn toml_blocks(document: &str) -> String {
    let blocks = document.split("```toml\n").skip(1);
    blocks.filter_map(|rest| Some(rest.split_once("```")?.0)).collect::<Vec<_>>().join("\n")
}

struct Schema<'a> {
    root: &'a Value,
}

fn text<'a>(schema: &'a Value, key: &str) -> &'a str {
    schema.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The description, in lines of at most 105 characters.
fn description(schema: &Value) -> String {
    let mut out = String::new();
    let mut length = 0;
    for word in text(schema, "description").split(' ') {
        if length > 0 && length + 1 + word.chars().count() > 105 {
            out.push('\n');
            length = 0;
        } else if length > 0 {
            out.push(' ');
            length += 1;
        }
        out.push_str(word);
        length += word.chars().count();
    }
    out
}

fn properties(schema: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten().map(|(key, schema)| (key.as_str(), schema))
}

fn is_limit(key: &str) -> bool {
    KINDS.iter().any(|kind| kind.name == key)
}

impl<'a> Schema<'a> {
    /// The definition that `schema` refers to, or `schema` itself.
    fn resolved(&self, schema: &'a Value) -> &'a Value {
        let name = text(schema, "$ref").strip_prefix("#/$defs/");
        name.map_or(schema, |name| self.resolved(&self.root["$defs"][name]))
    }

    /// The schema of the tables of `[[key]]`.
    fn items(&self, schema: &'a Value) -> Option<&'a Value> {
        let items = self.resolved(self.resolved(schema).get("items")?);
        items.get("properties").map(|_| items)
    }

    fn is_table(&self, schema: &'a Value) -> bool {
        text(self.resolved(schema), "type") == "object"
    }

    /// The keys of a table, an example, and then its tables.
    fn table(&self, out: &mut String, path: &str, schema: &'a Value, is_list: bool) {
        let has_section = |schema| self.items(schema).is_some() || (!is_list && self.is_table(schema));
        let is_max = path == "limits.max";
        let rows =
            properties(schema).filter(|(key, schema)| !(has_section(schema) || is_max && is_limit(key)));
        let rows: Vec<_> = rows.collect();
        if !rows.is_empty() {
            out.push_str("\n| key | type | default | meaning |\n| --- | --- | --- | --- |\n");
        }
        if is_max {
            out.push_str(
                "| each limit of `[limits]` | integer | ten times the default of the limit, or its value in `[limits]` if that is higher | The highest value of that limit. |\n",
            );
        }
        let required = |key: &str| {
            let required = schema.get("required").and_then(Value::as_array);
            required.is_some_and(|required| required.iter().any(|name| name == key))
        };
        for (key, property) in &rows {
            let default = match property.get("default") {
                Some(value) => format!("`{}`", toml(value)),
                None if required(key) => "required".to_owned(),
                None if text(self.resolved(property), "type") == "array" => "`[]`".to_owned(),
                None => "—".to_owned(),
            };
            let meaning = self.meaning(property).replace('|', "\\|");
            let _ = writeln!(out, "| `{key}` | {} | {default} | {meaning} |", self.type_name(property));
        }
        self.example(out, path, schema, &rows, is_list);
        for (key, property) in properties(schema).filter(|(_, schema)| has_section(schema)) {
            let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            let items = self.items(property);
            // A table of tables with any names.
            let named = self.resolved(property).get("additionalProperties");
            let named =
                named.map(|named| self.resolved(named)).filter(|named| named.get("properties").is_some());
            let path = if named.is_some() { format!("{path}.NAME") } else { path };
            let heading = if items.is_some() { format!("[[{path}]]") } else { format!("[{path}]") };
            let _ = write!(out, "\n### {heading}\n\n{}\n", description(property));
            match items {
                Some(items) => self.table(out, &path, items, true),
                None if path == "limits" && self.root["title"] == "brand.toml" => {
                    out.push_str("\nThe keys are those of `[limits]` in `sluice.toml`, except `max`.\n");
                    out.push_str("\n```toml\n[limits]\nfuel = 2_000_000_000\n```\n");
                }
                None => self.table(out, &path, named.unwrap_or_else(|| self.resolved(property)), false),
            }
        }
    }

    fn example(&self, out: &mut String, path: &str, schema: &Value, rows: &[(&str, &Value)], is_list: bool) {
        let own = schema.get("examples").or_else(|| self.property_of(path)?.get("examples"));
        let mut lines: Vec<String> = match own.and_then(|examples| examples.get(0)?.as_object()) {
            Some(own) => own.iter().map(|(key, value)| format!("{key} = {}", toml(value))).collect(),
            None => Vec::new(),
        };
        for (key, property) in rows {
            let example = property.get("examples").and_then(|examples| examples.get(0));
            if let Some(value) = example.or_else(|| property.get("default")) {
                lines.push(format!("{key} = {}", toml(value)));
            }
        }
        if is_limit(rows.first().map_or("", |(key, _)| key)) {
            lines.truncate(3);
        }
        if lines.is_empty() {
            return;
        }
        let heading = match (path, is_list) {
            ("", _) => String::new(),
            (path, true) => format!("[[{path}]]\n"),
            (path, false) => format!("[{path}]\n"),
        };
        let _ = write!(out, "\n```toml\n{heading}{}\n```\n", lines.join("\n"));
    }

    fn property_of(&self, path: &str) -> Option<&Value> {
        self.root.get("properties")?.get(path)
    }

    /// The description, with the meaning of each value that the type lists.
    fn meaning(&self, property: &'a Value) -> String {
        let mut meaning = text(property, "description").to_owned();
        for choice in self.choices(property) {
            let _ = write!(meaning, " `{}`: {}", toml(&choice["const"]), text(choice, "description"));
        }
        meaning
    }

    /// The values of a type that lists them.
    fn choices(&self, property: &'a Value) -> impl Iterator<Item = &'a Value> {
        let choices = self.resolved(property).get("oneOf").and_then(Value::as_array);
        choices.into_iter().flatten().filter(|choice| choice.get("const").is_some())
    }

    fn type_name(&self, property: &'a Value) -> String {
        let choices: Vec<_> =
            self.choices(property).map(|choice| format!("`{}`", toml(&choice["const"]))).collect();
        if !choices.is_empty() {
            return choices.join(" or ");
        }
        if let Some(name) = text(property, "$ref").strip_prefix("#/$defs/")
            && text(&self.root["$defs"][name], "type") == "string"
        {
            return format!("[{}](#{})", spaced(name), spaced(name).replace(' ', "-"));
        }
        let resolved = self.resolved(property);
        match text(resolved, "type") {
            "array" => format!("list of {}", plural(&self.type_name(&resolved["items"]))),
            "object" => "table".to_owned(),
            other => other.to_owned(),
        }
    }

    /// A section for each type whose values are strings of a certain form.
    fn value_types(&self, out: &mut String) {
        for (name, schema) in self.root["$defs"].as_object().into_iter().flatten() {
            let heading = format!("\n### {}\n", spaced(name));
            if text(schema, "type") != "string" || out.contains(&heading) {
                continue;
            }
            let examples = schema.get("examples").and_then(Value::as_array).into_iter().flatten();
            let examples: Vec<_> = examples.map(|example| format!("`{}`", toml(example))).collect();
            let _ =
                write!(out, "{heading}\n{}\n\nFor example: {}.\n", description(schema), examples.join(", "));
        }
    }
}

/// `path pattern` for `PathPattern`.
fn spaced(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !out.is_empty() {
            out.push(' ');
        }
        out.extend(c.to_lowercase());
    }
    out
}

/// `[domains](#domain)` for `[domain](#domain)`.
fn plural(name: &str) -> String {
    match name.split_once("](") {
        Some((name, link)) => format!("{name}s]({link}"),
        None => format!("{name}s"),
    }
}

/// A value as TOML.
fn toml(value: &Value) -> String {
    match value {
        Value::Number(number) => match number.as_u64() {
            Some(number) => grouped(number),
            None => number.to_string(),
        },
        Value::Array(values) => format!("[{}]", values.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Value::Object(values) => {
            let pairs = values.iter().map(|(key, value)| format!("{key} = {}", toml(value)));
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}
