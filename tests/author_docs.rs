//! Runs every example of the documents for authors.
//!
//! The words after the language of a fenced block say what the block is. With `file=`, it is a
//! file in the brand's folder. A `js` block without `file=` is the script of a page; each line
//! must log the text after its `// →`. `query=`, `method=`, `body=` and `customer` describe the
//! request, `answers=` is the status with which the script stops, `fails=` the outcome of a
//! failure. Lines of `sh` blocks that begin with `sluice` must succeed in the document's site.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, json};

use sluice_app::request::Method;
use sluice_app::request::described::Described;
use sluice_author::scratch::{Fixed, Scratch};
use sluice_author::visit::Visit;
use sluice_author::visitor::Visitor;
use sluice_journey::JourneyService;
use sluice_limits::KINDS;

use crate::author_run::{err, out, sluice};
use crate::harness::TestSite;
use crate::sandbox::block_on;

struct Example {
    line: usize,
    language: String,
    attributes: Vec<(String, String)>,
    text: String,
}

impl Example {
    fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// What the lines of the example must log.
    fn logged(&self) -> Vec<&str> {
        self.text.lines().filter_map(|line| Some(line.split_once("// → ")?.1.trim())).collect()
    }
}

fn document(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)).unwrap()
}

fn examples(text: &str) -> Vec<Example> {
    let mut found = Vec::new();
    let mut open: Option<Example> = None;
    for (index, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(""), Some(_)) => found.extend(open.take()),
            (Some(info), None) => {
                let mut words = info.split_whitespace().map(str::to_owned);
                let language = words.next().expect("a block has a language");
                let attribute = |word: String| match word.split_once('=') {
                    Some((name, value)) => (name.to_owned(), value.to_owned()),
                    None => (word, String::new()),
                };
                let attributes = words.map(attribute).collect();
                open = Some(Example { line: index + 1, language, attributes, text: String::new() });
            }
            (_, Some(example)) => {
                example.text.push_str(line);
                example.text.push('\n');
            }
            (_, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    found
}

/// The site of a document: its files, and a page for each of its scripts.
fn site_of(examples: &[Example]) -> TestSite {
    let brand = "default = true\n[variables]\nsite_name = \"Shop\"\n";
    let site = TestSite::with(&[("brand.toml", brand), ("pages/index.html", "start")]);
    for (index, example) in examples.iter().enumerate() {
        match (example.get("file"), example.language.as_str()) {
            (Some(file), _) => site.write(&format!("brands/demo/{file}"), &example.text),
            (None, "js") => {
                let page = format!("<script scope=\"backend\">\n{}</script>\n", example.text);
                site.write(&format!("brands/demo/pages/{index}/example.html"), &page);
            }
            (None, "sh") => {}
            (None, language) => panic!("line {}: a {language} block needs file=", example.line),
        }
    }
    site
}

async fn visit(scratch: &Scratch, example: &Example, address: &str) -> Visit {
    let brand = scratch.brand(None).unwrap();
    let mut visitor = Visitor::new(scratch.host().await.unwrap(), Arc::clone(&brand)).unwrap();
    if example.get("customer").is_some() {
        let ann = json!({"email": "ann@example.com", "id": "7"});
        visitor.remember(&Map::new(), Some(&ann)).await.unwrap();
    }
    let query = example.get("query").map(|query| format!("?{query}")).unwrap_or_default();
    let asked = Described {
        method: if example.get("method") == Some("POST") { Method::Post } else { Method::Get },
        address: format!("{address}{query}"),
        headers: vec![("content-type".into(), "application/json".into())],
        body: example.get("body").map(|body| body.as_bytes().to_vec()),
        ..Described::default()
    };
    visitor.visit(asked).await.unwrap()
}

fn check(name: &str, example: &Example, index: usize, visit: &Visit) {
    let at = format!("docs/{name}:{}", example.line);
    let run = visit.run.as_ref().unwrap();
    let failure = run.failure.as_ref().map(ToString::to_string).unwrap_or_default();
    let logged: Vec<String> = run
        .report
        .effects
        .console
        .lines
        .iter()
        // Rejected calls leave warnings in the log, which examples do not show.
        .filter(|line| example.text.contains("console.warn") || line.level.name() == "log")
        .map(|line| line.text.replace(&format!("/{index}/example"), "/example"))
        .collect();
    assert_eq!(logged, example.logged(), "{at} {failure}");
    match (example.get("answers"), example.get("fails")) {
        (Some(status), _) => {
            assert_eq!(
                (run.outcome, visit.status.to_string().as_str()),
                ("stopped", status),
                "{at} {failure}"
            );
        }
        (None, Some(outcome)) => assert_eq!(run.outcome, outcome, "{at} {failure}"),
        (None, None) => assert_eq!(run.outcome, "ok", "{at} {failure}"),
    }
}

fn run_document(name: &str) -> usize {
    let all = examples(&document(name));
    let site = site_of(&all);
    block_on(async {
        let scratch = Scratch::load(
            site.path(),
            Fixed::default(),
            Default::default(),
            Arc::new(JourneyService::default()),
        )
        .await
        .unwrap();
        let mut count = 0;
        for (index, example) in all.iter().enumerate() {
            if example.language == "js" && example.get("file").is_none() {
                let visit = visit(&scratch, example, &format!("/{index}/example")).await;
                check(name, example, index, &visit);
                count += 1;
            }
        }
        count
    })
}

#[test]
fn examples_of_the_script_reference_work() {
    assert_eq!(run_document("scripts.md"), 23);
}

#[test]
fn examples_of_the_limits_document_work() {
    assert_eq!(run_document("limits.md"), 3);
    let text = document("limits.md");
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| `")).collect();
    let names: Vec<&str> = rows.iter().map(|row| row.split('`').nth(1).unwrap()).collect();
    assert_eq!(names, KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>());
    for (row, kind) in rows.iter().zip(KINDS) {
        let given = row.split('|').nth(2).unwrap().trim().replace(',', "");
        let (number, unit) = given.split_once(' ').unwrap_or((&given, ""));
        let factor = match unit {
            "" => 1,
            "KB" => 1 << 10,
            "MB" => 1 << 20,
            "GB" => 1 << 30,
            "s" => 1_000,
            unit => panic!("{}: {unit}", kind.name),
        };
        assert_eq!(number.parse::<u64>().unwrap() * factor, kind.default, "{}", kind.name);
    }
}

#[test]
fn examples_of_the_testing_document_work() {
    let all = examples(&document("testing.md"));
    let site = site_of(&all);
    let mut count = 0;
    for line in all.iter().filter(|example| example.language == "sh").flat_map(|example| example.text.lines())
    {
        let Some(rest) = line.strip_prefix("sluice ") else { panic!("{line} is not run") };
        let shell = format!("exec \"$0\" {rest}");
        let done = std::process::Command::new("sh")
            .args(["-c", &shell, env!("CARGO_BIN_EXE_sluice")])
            .current_dir(site.path())
            .env_remove("APP_KEY")
            .output()
            .unwrap();
        assert!(done.status.success(), "{line}\n{}{}", out(&done), err(&done));
        count += 1;
    }
    assert_eq!(count, 10);
    let done = sluice(site.path(), &["test"]).output().unwrap();
    assert!(out(&done).contains("8 passed in"), "{}", out(&done));
}

#[test]
fn worked_examples_pass_their_tests() {
    let all = examples(&document("flows.md"));
    let site = site_of(&all);
    let secrets = [
        ("LOGIN_KEY", "0123456789abcdef0123456789abcdef"),
        ("MAIL_KEY", "key-of-the-mail-service"),
        ("OIDC_BASIC", "c2hvcDpzZWNyZXQ="),
        ("PARTNER_REFRESH", "first-refresh-token"),
        ("STRIPE_WEBHOOK", "whsec_test"),
        ("GITHUB_WEBHOOK", "It's a Secret to Everybody"),
    ];
    let lines: Vec<&str> = all
        .iter()
        .filter(|example| example.language == "sh")
        .flat_map(|example| example.text.lines())
        .collect();
    assert_eq!(lines, ["sluice check", "sluice test"]);
    for command in ["check", "test"] {
        let mut asked = sluice(site.path(), &[command]);
        asked.envs(secrets.map(|(name, value)| (format!("SLUICE_SECRET_DEMO_{name}"), value)));
        let done = asked.output().unwrap();
        assert!(done.status.success(), "{command}\n{}{}", out(&done), err(&done));
        let is_clean = out(&done).contains("no mistakes found") || out(&done).contains("17 passed in");
        assert!(is_clean, "{command}\n{}{}", out(&done), err(&done));
    }
}

#[test]
fn script_reference_names_every_global() {
    let text = document("scripts.md");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/author/src/types");
    let files = ["globals.d.ts", "web_globals.d.ts"];
    let types = files.map(|file| std::fs::read_to_string(folder.join(file)).unwrap()).concat();
    let (_, all) = text.split_once("## All globals").unwrap();
    let listed: Vec<&str> =
        all.split('`').skip(1).step_by(2).take_while(|name| !name.contains(' ')).collect();
    let mut declared: Vec<&str> = types
        .lines()
        .filter_map(|line| {
            let rest = line.strip_prefix("declare ")?.split_once(' ')?.1;
            rest.split(|c: char| !(c.is_alphanumeric() || c == '_')).next()
        })
        .collect();
    declared.sort_unstable();
    let mut listed = listed;
    listed.sort_unstable();
    assert_eq!(listed, declared);
}
