//! What authors are told: `tests/mistakes/<name>/` is a brand with a mistake in it, and
//! `expected.txt` what `sluice check` says of it; for `run-…` what the log says when `/` is
//! asked for. A new mistake needs no Rust.
//!
//! `SLUICE_UPDATE=1` writes every `expected.txt` anew; read the difference before it is
//! committed: would an author know what to do?

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use sluice_page::diagnostic::Rule;
use sluice_page::globals;

use crate::harness::{Server, TestSite};

/// Fewer would mean that some got lost.
const MISTAKES_MIN: usize = 40;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/mistakes")
}

fn check(site: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.args(["check", "--quiet"]).args(args).current_dir(site).env("SLUICE_LOG", "off").output().unwrap()
}

fn out(output: &Output) -> String {
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "nothing is told on standard error");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A site with a brand for each case; `run-…` or all the others.
fn site_of_cases(runs: bool) -> (TestSite, Vec<String>) {
    let site = TestSite::new();
    let mut names = Vec::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.starts_with("run-") == runs {
            copy(&path, &site.brand_dir(&name));
            names.push(name);
        }
    }
    names.sort();
    (site, names)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else if entry.file_name() != "expected.txt" {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Compares what was said with what is expected, of all cases before it fails.
fn compare(said: &BTreeMap<String, String>) {
    let update = std::env::var_os("SLUICE_UPDATE").is_some();
    let mut wrong = String::new();
    for (name, text) in said {
        let file = folder().join(name).join("expected.txt");
        if update {
            fs::write(&file, text).unwrap();
            continue;
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        if expected != *text {
            writeln!(wrong, "--- {name}: expected\n{expected}\n+++ {name}: said\n{text}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}\nSLUICE_UPDATE=1 accepts what is said now");
}

#[test]
fn every_mistake_is_told_as_expected() {
    let (site, names) = site_of_cases(false);
    assert!(names.len() >= MISTAKES_MIN, "{} cases", names.len());
    let output = check(site.path(), &[]);
    assert_eq!(output.status.code(), Some(1));
    // Machine code that came with a site would run outside of every sandbox.
    assert!(!site.path().join(".sluice").exists(), "nothing compiled is kept in the site");
    let text = out(&output);
    let mut said: BTreeMap<String, String> = BTreeMap::new();
    for block in text.split("\n\n").filter(|block| block.starts_with("brands/")) {
        let (name, block) = block.trim_start_matches("brands/").split_once('/').unwrap();
        writeln!(said.entry(name.to_owned()).or_default(), "{block}\n").unwrap();
    }
    let silent: Vec<&String> = names.iter().filter(|name| !said.contains_key(*name)).collect();
    assert!(silent.is_empty(), "nothing is said of {silent:?}");
    compare(&said);
}

#[test]
fn every_failure_is_logged_as_expected() {
    let (site, names) = site_of_cases(true);
    for name in &names {
        let file = site.brand_dir(name).join("brand.toml");
        let settings = fs::read_to_string(&file).unwrap_or_default();
        fs::write(file, format!("domains = [\"{name}.example\"]\n{settings}")).unwrap();
    }
    let server = Server::start(site.path());
    let mut said = BTreeMap::new();
    for name in &names {
        server.get(&format!("{name}.example"), "/");
        let run = server.runs(name, 1).remove(0);
        let field = |field: &str| run[field].as_str().unwrap_or_default().replace("\\n", "\n");
        said.insert(
            name.clone(),
            format!("{}: {}\n{}\n", field("outcome"), field("message"), field("stack")),
        );
    }
    compare(&said);
}

#[test]
fn every_rule_has_a_mistake_that_shows_it() {
    let mut texts = String::new();
    for entry in fs::read_dir(folder()).unwrap() {
        texts += &fs::read_to_string(entry.unwrap().path().join("expected.txt")).unwrap();
    }
    // These need more than a small file.
    let others = [Rule::Html, Rule::CompileLimit, Rule::Nesting];
    let shown = |rule: &&Rule| texts.contains(&format!("[{}]", rule.code()));
    let missing: Vec<&Rule> =
        Rule::ALL.iter().filter(|rule| !others.contains(rule)).filter(|rule| !shown(rule)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn programs_are_told_the_same() {
    let site = TestSite::with(&[
        ("pages/index.html", "<script scope=\"backend\">\n  sesion.get(\"a\");\n</script>"),
        ("brand.toml", "default = true\n[[page]]\npath = \"/a,b:c%\"\n"),
    ]);
    let json = check(site.path(), &["--format", "json"]);
    assert_eq!(json.status.code(), Some(1));
    let told: Value = serde_json::from_str(&out(&json)).unwrap();
    assert_eq!((&told["errors"], &told["warnings"]), (&1.into(), &1.into()));
    let expected = serde_json::json!({
        "severity": "error", "code": "unknown-global", "file": "brands/demo/pages/index.html",
        "line": 2, "column": 3, "end": { "line": 2, "column": 9 },
        "message": "`sesion` is not defined", "help": "did you mean `session`?",
        "excerpt": "  sesion.get(\"a\");\n  ^",
    });
    assert_eq!(told["diagnostics"][1], expected, "{told:#}");
    let github = out(&check(site.path(), &["--format", "github"]));
    let lines: Vec<&str> = github.lines().collect();
    assert_eq!(lines.len(), 2, "{github}");
    assert!(lines[0].starts_with(
        "::warning file=brands/demo/brand.toml,line=3,col=8,endColumn=17,title=unmatched-path::"
    ));
    assert!(lines[0].contains("`/a,b:c%25`"), "{github}");
    assert_eq!(
        lines[1],
        "::error file=brands/demo/pages/index.html,line=2,col=3,endColumn=9,title=unknown-global::\
         `sesion` is not defined%0Adid you mean `session`?"
    );
}

#[test]
fn exit_codes_are_stable() {
    let warned = TestSite::with(&[
        ("pages/index.html", "<p>a</p>"),
        ("brand.toml", "default = true\n[[page]]\npath = \"/nowhere\"\n"),
    ]);
    let code = |args: &[&str]| check(warned.path(), args).status.code();
    assert_eq!(code(&[]), Some(0));
    assert_eq!(code(&["--deny-warnings"]), Some(1));
    assert_eq!(code(&["--brand", "nobody"]), Some(1));
    assert_eq!(code(&["--format", "yaml"]), Some(2));
    let empty = tempfile::tempdir().unwrap();
    let missing = check(empty.path(), &[]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(out(&missing).contains("a folder for each brand"));
}

#[test]
fn the_sample_site_is_clean() {
    let site = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts");
    let output = check(&site, &["--deny-warnings"]);
    assert_eq!(out(&output), "no mistakes found\n");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn the_tables_of_globals_are_the_engine_s() {
    let script = "
      const own = (of) => Object.getOwnPropertyNames(of).sort();
      const at = (path) => path.split('.').reduce((of, name) => of[name], globalThis);
      const paths = request.query.paths.split(',');
      const members = paths.map((path) => own(at(path)).filter((name) => !['length', 'name', 'prototype'].includes(name)));
      const readOnly = own(globalThis).filter((name) => {
        const found = Object.getOwnPropertyDescriptor(globalThis, name);
        return !found.writable && !found.set;
      });
      response.json({
        names: own(globalThis), members, readOnly,
        schema: own(Object.getPrototypeOf(Schema.string())).filter((name) => name !== 'constructor'),
      });";
    let site =
        TestSite::with(&[("pages/index.html", &format!("<script scope=\"backend\">{script}</script>"))]);
    let server = Server::start(site.path());
    // Of headers a script sees those that the visitor sent.
    let objects = globals::OBJECTS.iter().chain(globals::STANDARD_OBJECTS);
    let objects: Vec<_> = objects.filter(|(path, _)| *path != "request.headers").collect();
    let paths: Vec<&str> = objects.iter().map(|(path, _)| *path).collect();
    let answer = server.get("localhost", &format!("/?paths={}", paths.join(",")));
    let told: Value = serde_json::from_str(&answer.body).unwrap();
    let sorted = |names: &mut dyn Iterator<Item = &str>| {
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort();
        serde_json::json!(names)
    };
    assert_eq!(told["names"], sorted(&mut globals::all()));
    assert_eq!(told["readOnly"], sorted(&mut globals::all().filter(|name| globals::is_read_only(name))));
    assert_eq!(told["schema"], sorted(&mut globals::SCHEMA_METHODS.iter().map(|(name, _)| *name)));
    for (index, (path, members)) in objects.iter().enumerate() {
        assert_eq!(told["members"][index], sorted(&mut members.iter().copied()), "{path}");
    }
}
