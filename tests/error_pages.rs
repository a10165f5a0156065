//! Checks every example in `docs/errors/`: a bad example must give exactly its code, and a
//! good example must give no mistakes.
//!
//! The first line of a code block is `<language> bad:<code> <file>`, `<language> good <file>`,
//! or `<language> file <file>` for a file that all examples of the page share.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use sluice_page::diagnostic::Rule;

use crate::harness::{Server, TestSite};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors")
}

struct Example {
    /// The code that the example must give. `None` for a good example.
    bad: Option<String>,
    file: String,
    text: String,
}

/// The examples of a page, and the files that all of them share.
fn examples(page: &str) -> (Vec<Example>, Vec<(String, String)>) {
    let text = fs::read_to_string(folder().join(page)).unwrap();
    let (mut examples, mut shared) = (Vec::new(), Vec::new());
    for block in text.split("\n```").skip(1).step_by(2) {
        let (head, text) = block.split_once('\n').unwrap();
        let words: Vec<&str> = head.split(' ').collect();
        let text = format!("{text}\n");
        match words.as_slice() {
            [_, "file", file] => shared.push(((*file).to_owned(), text)),
            [_, "good", file] => examples.push(Example { bad: None, file: (*file).to_owned(), text }),
            [_, bad, file] => {
                let code = bad.strip_prefix("bad:").unwrap().to_owned();
                examples.push(Example { bad: Some(code), file: (*file).to_owned(), text });
            }
            _ => {}
        }
    }
    (examples, shared)
}

/// A site with a brand for each example of these pages.
fn site(pages: &[String]) -> (TestSite, BTreeMap<String, Example>) {
    let site = TestSite::new();
    let mut brands = BTreeMap::new();
    for page in pages {
        let (examples, shared) = examples(page);
        for (index, example) in examples.into_iter().enumerate() {
            let brand = format!("{}-{index}", page.trim_end_matches(".md"));
            for (file, text) in &shared {
                site.write(&format!("brands/{brand}/{file}"), text);
            }
            site.write(&format!("brands/{brand}/{}", example.file), &example.text);
            brands.insert(brand, example);
        }
    }
    (site, brands)
}

fn pages() -> Vec<String> {
    let names = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.to_str().unwrap().to_owned());
    names.filter(|name| !matches!(name.as_str(), "README.md" | "outcomes.md")).collect()
}

#[test]
fn examples_of_mistakes_give_their_codes() {
    let (site, brands) = site(&pages());
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    let output = command
        .args(["check", "--format", "json"])
        .current_dir(site.path())
        .env("SLUICE_LOG", "off")
        .output();
    let told: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
    let mut codes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for one in told["diagnostics"].as_array().unwrap() {
        let brand = one["file"].as_str().unwrap().split('/').nth(1).unwrap();
        codes.entry(brand.to_owned()).or_default().insert(one["code"].as_str().unwrap().to_owned());
    }
    for (brand, example) in &brands {
        let expected: BTreeSet<String> = example.bad.iter().cloned().collect();
        assert_eq!(codes.remove(brand).unwrap_or_default(), expected, "{brand}:\n{}", example.text);
    }
    assert!(brands.len() > 30 && codes.is_empty(), "{} examples, {codes:?}", brands.len());
}

#[test]
fn examples_of_outcomes_end_as_documented() {
    let (site, brands) = site(&["outcomes.md".to_owned()]);
    for (brand, example) in &brands {
        assert!(example.file.starts_with("pages/"));
        site.write(&format!("brands/{brand}/brand.toml"), &format!("domains = [\"{brand}.example\"]\n"));
    }
    let server = Server::start(site.path());
    for (brand, example) in &brands {
        server.get(&format!("{brand}.example"), "/");
        let expected = example.bad.as_deref().unwrap_or("ok");
        assert_eq!(server.runs(brand, 1)[0]["outcome"], expected, "{}", example.text);
    }
}

#[test]
fn every_rule_and_outcome_is_explained() {
    let index = fs::read_to_string(folder().join("README.md")).unwrap();
    for rule in Rule::ALL {
        let page = format!("{}.md", rule.kind().name());
        let row = index.lines().find(|line| line.starts_with(&format!("| `{}` |", rule.code())));
        assert!(row.is_some_and(|row| row.contains(&page)), "{}", rule.code());
        let text = fs::read_to_string(folder().join(&page)).unwrap();
        assert!(text.contains(&format!("## {}\n", rule.code())), "{page} explains {}", rule.code());
    }
    let outcomes = fs::read_to_string(folder().join("outcomes.md")).unwrap();
    for outcome in ["ok", "stopped", "error", "compile", "fuel", "memory", "timeout", "stack", "host"] {
        assert!(outcomes.contains(&format!("| `{outcome}` |")), "{outcome}");
    }
}
