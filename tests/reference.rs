//! Keeps the reference of the settings equal to the types that parse them.
//!
//! `docs/configuration.md` and the schemas in `docs/schema/` are generated from the types in
//! `sluice_site::config` and their comments. If they differ, run this test with `SLUICE_UPDATE=1`,
//! which writes the files.

mod markdown;
mod schema;

use std::path::{Path, PathBuf};

use serde_json::Value;

use sluice_site::config::{BrandConfig, SiteConfig};

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

/// Compares a file below `docs/` with the generated text, or writes it.
fn check(name: &str, text: &str) {
    let path = docs().join(name);
    if std::env::var_os("SLUICE_UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        return std::fs::write(path, text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let line = committed.lines().zip(text.lines()).position(|(old, new)| old != new);
    assert!(
        committed == text,
        "docs/{name} differs from the types, from line {}: run this test with SLUICE_UPDATE=1",
        line.unwrap_or_else(|| committed.lines().count().min(text.lines().count())) + 1
    );
}

fn pretty(schema: &Value) -> String {
    format!("{}\n", serde_json::to_string_pretty(schema).unwrap())
}

#[test]
fn schemas_match_the_types() {
    check("schema/sluice.schema.json", &pretty(&schema::site()));
    check("schema/brand.schema.json", &pretty(&schema::brand()));
}

#[test]
fn reference_matches_the_types() {
    check("configuration.md", &markdown::reference(&schema::site(), &schema::brand()));
}

#[test]
fn examples_of_the_reference_are_valid() {
    let text = markdown::reference(&schema::site(), &schema::brand());
    let (site, brand) = text.split_once("\n## brand.toml\n").unwrap();
    let site = markdown::toml_blocks(site);
    toml::from_str::<SiteConfig>(&site).unwrap_or_else(|error| panic!("{error}\n{site}"));
    let brand = markdown::toml_blocks(brand);
    toml::from_str::<BrandConfig>(&brand).unwrap_or_else(|error| panic!("{error}\n{brand}"));
}

/// Every settings file that names a schema for editors names one that exists and rejects
/// unknown keys.
#[test]
fn sample_files_name_their_schema() {
    let root = docs().join("..");
    for (file, schema) in [
        ("scripts/sluice.toml", "sluice"),
        ("scripts/brands/millrace/brand.toml", "brand"),
        ("scripts/brands/tailrace/brand.toml", "brand"),
    ] {
        let path = root.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let named = text.lines().next().and_then(|line| line.strip_prefix("#:schema ")).unwrap();
        let named = path.parent().unwrap().join(named).canonicalize().unwrap();
        let expected = docs().join(format!("schema/{schema}.schema.json")).canonicalize().unwrap();
        assert_eq!(named, expected, "{file}");
        let text = std::fs::read_to_string(expected).unwrap();
        let schema: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(schema["additionalProperties"], Value::Bool(false));
    }
}
