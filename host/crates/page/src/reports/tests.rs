use serde_json::Value;

use super::*;
use sluice_text::source::Source;

fn all() -> Vec<Diagnostic> {
    let source = Source { file: "pages/ü {id}.html".into(), text: "<p>\n\tsesion.get(1)\n".into() };
    let error = Diagnostic::at(Rule::UnknownGlobal, &source, 5..11, "`sesion` is < defined &\u{1b}");
    let warning = Diagnostic::of_file(Rule::IneffectiveLimit, "brand.toml", "too much");
    vec![error.help("did you mean `session`?"), warning]
}

#[test]
fn sarif_has_what_its_schema_requires() {
    let log: Value = serde_json::from_str(&sarif_of_diagnostics(&all())).unwrap();
    // The required properties of the log, its run, the tool and a result.
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    assert_eq!(run["tool"]["driver"]["name"], "sluice check");
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), Rule::ALL.len());
    assert!(rules.iter().all(|rule| !rule["shortDescription"]["text"].as_str().unwrap().is_empty()));
    for result in run["results"].as_array().unwrap() {
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
    }
    let first = &run["results"][0];
    assert_eq!(first["level"], "error");
    let place = &first["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "pages/%C3%BC%20%7Bid%7D.html");
    assert_eq!(
        place["region"],
        serde_json::json!({ "startLine": 2, "startColumn": 2, "endLine": 2, "endColumn": 8 })
    );
    let second = &run["results"][1];
    assert_eq!(second["level"], "warning");
    assert!(second["locations"][0]["physicalLocation"].get("region").is_none());
}

#[test]
fn junit_counts_and_escapes() {
    let xml = junit_of_diagnostics(&all(), false);
    assert!(xml.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"sluice check\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"1\""), "{xml}");
    assert!(xml.contains("name=\"2:2 unknown-global\""), "{xml}");
    assert!(xml.contains("file=\"pages/ü {id}.html\" line=\"2\""), "{xml}");
    assert!(xml.contains("message=\"`sesion` is &lt; defined &amp;\\u{1b}\""), "{xml}");
    assert!(xml.contains("<skipped message=\"too much\"/>"), "{xml}");
    assert!(!xml.contains('\u{1b}'), "{xml}");
    assert!(junit_of_diagnostics(&all(), true).contains("failures=\"2\""));
    assert!(junit_of_diagnostics(&[], false).contains("tests=\"1\" failures=\"0\""));
}
