//! SARIF 2.1.0, which code hosts and editors read.

use serde_json::{Map, Value, json};

use sluice_text::printable::printable_json;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// A rule of the program that made the report.
pub struct RuleOfTool {
    /// Its name.
    pub id: &'static str,
    /// One sentence.
    pub description: &'static str,
    /// Where it is explained.
    pub help: String,
    /// How serious it is to break it.
    pub level: Level,
}

/// How serious a result is.
#[derive(Clone, Copy)]
pub enum Level {
    /// It cannot work like this.
    Error,
    /// It probably does not do what its author wants.
    Warning,
}

/// A mistake at a place.
pub struct SarifResult {
    /// The name of the rule, one of the tool's.
    pub rule: &'static str,
    /// How serious it is.
    pub level: Level,
    /// What is wrong and what to do.
    pub message: String,
    /// The file; empty if it is unknown.
    pub file: String,
    /// Line and column, 1-based and in characters; 0 if unknown.
    pub start: (u32, u32),
    /// The place after the last character.
    pub end: Option<(u32, u32)>,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// A log with one run of `tool`.
pub fn sarif(tool: &str, rules: Vec<RuleOfTool>, results: &[SarifResult]) -> String {
    let ids: Vec<&str> = rules.iter().map(|rule| rule.id).collect();
    let rules: Vec<Value> = rules.iter().map(rule).collect();
    let results: Vec<Value> = results.iter().map(|one| result(one, &ids)).collect();
    let driver = json!({ "name": tool, "semanticVersion": env!("CARGO_PKG_VERSION"), "rules": rules });
    let run = json!({
        "tool": { "driver": driver },
        "columnKind": "unicodeCodePoints",
        "results": results,
    });
    let log = json!({ "$schema": SCHEMA, "version": "2.1.0", "runs": [run] });
    printable_json(&serde_json::to_string_pretty(&log).unwrap_or_default())
}

fn rule(rule: &RuleOfTool) -> Value {
    json!({
        "id": rule.id,
        "shortDescription": { "text": rule.description },
        "help": { "text": format!("See {}", rule.help) },
        "defaultConfiguration": { "level": rule.level.name() },
    })
}

fn result(one: &SarifResult, ids: &[&str]) -> Value {
    let mut found = json!({
        "ruleId": one.rule,
        "level": one.level.name(),
        "message": { "text": one.message },
    });
    if let Some(index) = ids.iter().position(|id| *id == one.rule) {
        put(&mut found, "ruleIndex", index.into());
    }
    if !one.file.is_empty() {
        let mut place = json!({ "artifactLocation": { "uri": uri(&one.file) } });
        if let Some(region) = region(one) {
            put(&mut place, "region", region);
        }
        put(&mut found, "locations", json!([{ "physicalLocation": place }]));
    }
    found
}

fn region(one: &SarifResult) -> Option<Value> {
    let (line, column) = one.start;
    let mut region = Map::new();
    let places = [("startLine", line), ("startColumn", column)];
    let (end_line, end_column) = one.end.unwrap_or_default();
    let ends = [("endLine", end_line), ("endColumn", end_column)];
    for (name, number) in places.into_iter().chain(ends).filter(|(_, number)| *number > 0) {
        region.insert(name.to_owned(), number.into());
    }
    (line > 0).then_some(Value::Object(region))
}

fn put(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

/// A path as a reference: relative paths stay relative.
fn uri(path: &str) -> String {
    let scheme = if path.starts_with('/') { "file://" } else { "" };
    let mut out = scheme.to_owned();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                out.push(char::from(byte))
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}
