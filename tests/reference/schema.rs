//! The JSON schemas of the settings files, in the form that editors of TOML need.

use serde_json::{Map, Value, json};

use sluice_limits::{CONCURRENT_RUNS_MAX, KINDS, MEMORY_BYTES_MAX};
use sluice_site::config::{BrandConfig, SiteConfig};

/// The schema of `sluice.toml`.
pub(crate) fn site() -> Value {
    let mut schema = simplified(schemars::schema_for!(SiteConfig).to_value());
    let limits = &mut schema["$defs"]["SiteLimits"]["properties"];
    for kind in KINDS {
        limits[kind.name]["default"] = json!(kind.default);
    }
    let max = &mut schema["$defs"]["MaxLimits"]["properties"];
    for kind in KINDS {
        max[kind.name]["default"] = json!(kind.default_max());
    }
    max["memory"]["default"] = json!(MEMORY_BYTES_MAX);
    max["concurrent_runs"]["default"] = json!(CONCURRENT_RUNS_MAX);
    schema
}

/// The schema of `brand.toml`.
pub(crate) fn brand() -> Value {
    simplified(schemars::schema_for!(BrandConfig).to_value())
}

/// A schema without `null`, which TOML does not have, without the formats of Rust's numbers, and
/// with one line for each paragraph of a description.
fn simplified(schema: Value) -> Value {
    match schema {
        Value::Object(object) => simplified_object(object),
        Value::Array(values) => Value::Array(values.into_iter().map(simplified).collect()),
        other => other,
    }
}

fn simplified_object(mut object: Map<String, Value>) -> Value {
    if object.get("default").is_some_and(Value::is_null) {
        object.shift_remove("default");
    }
    let is_number =
        |format: &str| format.starts_with("uint") || format.starts_with("int") || format == "double";
    if object.get("format").and_then(Value::as_str).is_some_and(is_number) {
        object.shift_remove("format");
    }
    if let Some(Value::String(text)) = object.get_mut("description") {
        let paragraphs = text.split("\n\n").map(|paragraph| paragraph.replace('\n', " "));
        *text = paragraphs.collect::<Vec<_>>().join("\n\n");
    }
    if let Some(Value::Array(types)) = object.get("type")
        && let [only] = types.iter().filter(|name| *name != "null").collect::<Vec<_>>().as_slice()
    {
        let only = (*only).clone();
        object.insert("type".into(), only);
    }
    if let Some(Value::Array(choices)) = object.get("anyOf")
        && let [only] = choices
            .iter()
            .filter(|choice| **choice != json!({ "type": "null" }))
            .collect::<Vec<_>>()
            .as_slice()
        && let Value::Object(only) = (*only).clone()
    {
        object.shift_remove("anyOf");
        object.extend(only);
    }
    let simplify = |(key, value): (String, Value)| {
        let value = match (key.as_str(), value) {
            // The keys in these are names.
            ("properties" | "$defs", Value::Object(named)) => {
                Value::Object(named.into_iter().map(|(name, schema)| (name, simplified(schema))).collect())
            }
            ("default" | "examples", value) => value,
            (_, value) => simplified(value),
        };
        (key, value)
    };
    Value::Object(object.into_iter().map(simplify).collect())
}
