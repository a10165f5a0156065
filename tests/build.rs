//! `sluice build`: what it writes and prints.

use std::path::Path;
use std::process::{Command, Output};

use crate::harness::TestSite;

fn build(site: &Path, out: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sluice"))
        .arg("build")
        .arg(site)
        .arg("--out")
        .arg(out)
        .env("SLUICE_LOG", "off")
        .output()
        .unwrap()
}

#[test]
fn builds_valid_components_of_the_sample_site() {
    let out = tempfile::tempdir().unwrap();
    let site = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts");
    let done = build(&site, out.path());
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let lines = String::from_utf8(done.stdout).unwrap();
    for page in ["index", "shop/{slug}", "api/price", "weight/checkin"] {
        let line = lines.lines().find(|line| line.starts_with(&format!("pages/{page}.html"))).unwrap();
        assert!(line.contains(" bytes ") && line.ends_with(" ms"), "{line}");
        let component = std::fs::read(out.path().join(format!("millrace/pages/{page}.wasm"))).unwrap();
        wasmparser::Validator::new().validate_all(&component).unwrap();
    }
}

#[test]
fn reports_mistakes_with_file_line_and_column() {
    let site = TestSite::with(&[
        ("pages/script.html", "<p>\n<script scope=\"backend\">\n  let x = 1 +* 2;\n</script>"),
        ("pages/template.html", "<p>\n  {{ var.name | uper }}</p>"),
        ("pages/fine.html", "<script scope=\"backend\">setVariable('a', 1)</script>"),
        ("modules/unused.js", "export const a = 1;\nexport const a = 2;\n"),
    ]);
    let out = tempfile::tempdir().unwrap();
    let done = build(site.path(), out.path());
    assert_eq!(done.status.code(), Some(1));
    let errors = String::from_utf8(done.stderr).unwrap();
    for expected in [
        "pages/script.html:3:14: error: unexpected `*` [syntax]",
        "pages/template.html:2:17: ",
        "upper",
        "modules/unused.js:2:",
        "4 errors found",
    ] {
        assert!(errors.contains(expected), "{expected:?} is not in:\n{errors}");
    }
    assert!(out.path().join("demo/pages/fine.wasm").exists());
    assert!(!out.path().join("demo/pages/script.wasm").exists());
}

#[test]
fn explains_why_a_site_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let done = build(folder.path(), folder.path());
    assert_eq!(done.status.code(), Some(1));
    let errors = String::from_utf8(done.stderr).unwrap();
    assert!(errors.contains("this is not a site: it has no folder `brands`"), "{errors}");
}
