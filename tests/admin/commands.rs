//! Commands that change something leave lines in the log of changes.

use std::process::Output;

use super::changes::changes;
use super::*;
use crate::author_run::{err, out, sluice};

const MODULE: &str = "export default function () {}\nexport function nightly() {}";
const CRM: &str =
    "[[entity]]\nslug = 'deals'\nname = 'Deals'\n[[entity.field]]\nkey = 'name'\nlabel = 'Name'\n";

#[test]
fn commands_say_what_they_have_changed() {
    let brand = "default = true\n[[schedule]]\nname = 'nightly'\ncron = '0 3 1 1 *'\nmodule = 'mail'\nfn = 'nightly'\n";
    let site = TestSite::with(&[("modules/mail.js", MODULE), ("crm.toml", CRM)]);
    site.write("brands/demo/brand.toml", brand);
    let data = tempfile::tempdir().unwrap();
    let [first, second] = park_two(data.path())[..] else { panic!("two jobs must be parked") };
    let first = first.to_string();
    let run = |args: &[&str]| -> Output {
        let mut command = sluice(site.path(), args);
        command.args(["--data", data.path().to_str().unwrap()]).env("USER", "ann").env_remove("SUDO_USER");
        command.output().unwrap()
    };
    let works = |args: &[&str]| {
        let done = run(args);
        assert!(done.status.success(), "{args:?}: {}", err(&done));
        out(&done)
    };
    works(&["jobs", "retry", &first, "."]);
    works(&["jobs", "drop", "parked", ".", "--brand", "demo"]);
    assert!(!run(&["jobs", "drop", "999999", "."]).status.success());
    works(&["jobs", "list", "."]);
    let ticked = works(&["jobs", "run-schedule", "nightly", "."]);
    let pushed = works(&["hook", "demo", "mail", "."]);
    works(&["jobs", "drop", pushed.trim(), "."]);
    works(&["crm", "apply", "."]);
    site.write("deals.csv", "reference type,reference id,name\ncustomer,1,Ann\ncustomer,2,Bob\n");
    works(&["crm", "import-entries", "deals", "deals.csv", ".", "--dry-run"]);
    works(&["crm", "import-entries", "deals", "deals.csv", "."]);

    let server = ServerOptions::of(site.path()).data(data.path()).start();
    let lines = changes(&server, "?operator=command%20line");
    let told = |line: &Value| {
        assert!(line["client"].as_str().unwrap().starts_with("ann on "), "{line}");
        assert_eq!(line["outcome"], "done", "{line}");
        ["action", "brand", "target", "item"].map(|part| line[part].as_str().unwrap_or_default().to_owned())
    };
    let lines: Vec<[String; 4]> = lines.iter().rev().map(told).collect();
    let of = |line: &[&str; 4]| line.map(str::to_owned);
    let job = ticked.split(' ').nth(1).unwrap();
    let expected = [
        ["write.retry", "", &first, ""],
        ["write.drop", "demo", "all parked", &format!("jobs: 1 ({second} moveCrmToStage deals)")],
        ["schedule.run", "demo", "nightly", &format!("job {job}")],
        ["job.push", "demo", "mail.default", &format!("job {}", pushed.trim())],
        ["job.drop", "demo", pushed.trim(), ""],
        ["entry.import", "demo", "deals", "created: 2, changed: 0"],
    ];
    assert_eq!(lines, expected.iter().map(of).collect::<Vec<_>>());
}
