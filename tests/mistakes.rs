//! The messages that authors get: `tests/mistakes/<name>/` is a brand with a mistake, and the
//! snapshot `expected.snap` is what `sluice check` prints about it. For `run-…` it is what the log
//! says about the run of `/`. A new mistake needs a folder and its name in the list below.
//!
//! `INSTA_UPDATE=always` writes each snapshot. Read the difference before you commit it: would an
//! author know what is wrong, where, and what to do?

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use sluice_page::diagnostic::Rule;
use sluice_page::globals;

use crate::harness::folders::{self, folder_tests};
use crate::harness::{Server, ServerOptions, TestSite};

folder_tests! { "mistakes", is_told_as_expected:
    argument_cookie argument_customer argument_digest argument_queue argument_redirect argument_redirect_script
    argument_status argument_storage argument_variable await_missing await_missing_crm browser_script crm_entity crm_field
    crm_no_entity crm_options crm_stage file_not_text file_same_path form_encoding guard http_unallowed import_dynamic import_no_default import_nothing_exported
    import_package import_too_deep import_too_many import_unknown_export import_unknown_module
    misplaced_in_layout misplaced_in_public misplaced_in_textarea name_fetch name_cookies name_global_misspelt
    name_header name_header_of_page name_member name_other_servers name_platform name_property name_schema name_standard_member
    name_undeclared name_undefined no_uploads null_body option_unknown raw_body read_only reserved_cookie reserved_header reserved_session run_closure_property
    run_destructuring run_fuel run_memory run_memory_in_a_call run_memory_of_copies run_never_settles run_not_a_function
    run_not_a_function_given run_not_iterable run_null_property run_property_in_function
    run_read_only run_stack run_thrown run_thrown_as_import run_undefined settings_access settings_brand
    settings_brand_keys settings_crm settings_crm_values settings_goes_on settings_page settings_page_cache settings_page_cache_values settings_paths settings_schedule settings_syntax
    syntax_assign_to_call syntax_await_in_function syntax_bad_regex syntax_block_halves
    syntax_const_without_value syntax_curly_quotes syntax_declared_twice syntax_extra_bracket
    syntax_html_in_script syntax_in_module syntax_missing_bracket syntax_missing_comma
    syntax_missing_operator syntax_python_words syntax_reserved_word syntax_return_outside
    syntax_template_in_script syntax_two_mistakes syntax_unclosed_backtick syntax_unclosed_block
    syntax_unclosed_text template_comment template_directives template_directives_misspelt template_extends
    template_filter template_function template_includes template_other_tags template_translation
    template_unclosed_output template_unused_component template_variable test_file test_syntax uncached_page unknown_function unreachable
}

/// Compares what an author is told about the brand in `folder` with the snapshot in it.
fn is_told_as_expected(folder: &Path) {
    let name = folders::name(folder);
    let site = TestSite::new();
    folders::copy(folder, &site.brand_dir(&name));
    let told = if name.starts_with("run-") { logged(&site, &name) } else { checked(&site, &name) };
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path(folder);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("expected", told));
}

/// What `sluice check` prints about a brand, with files relative to its folder.
fn checked(site: &TestSite, brand: &str) -> String {
    let output = check(site.path(), &[]);
    // If code that comes with a site were run, it would run outside of every sandbox.
    assert!(!site.path().join(".sluice").exists(), "the check keeps no machine code in the site");
    let text = out(&output);
    let mut told = String::new();
    for block in text.split("\n\n").filter_map(|block| block.strip_prefix(&format!("brands/{brand}/"))) {
        writeln!(told, "{block}\n").unwrap();
    }
    assert!(!told.is_empty(), "the check finds no mistake: {text}");
    for block in told.split("\n\n").filter(|block| !block.trim().is_empty()) {
        let message = block.lines().next().unwrap_or_default();
        let says_what_to_do = block.contains("\n  help: ") || message.contains("; ");
        assert!(says_what_to_do, "it says what to do:\n{block}");
    }
    let has_errors = told.lines().any(|line| line.contains(": error: "));
    assert_eq!(output.status.code(), Some(i32::from(has_errors)));
    told
}

/// What the log says about the run of a brand's `/`.
fn logged(site: &TestSite, brand: &str) -> String {
    let file = site.brand_dir(brand).join("brand.toml");
    let settings = fs::read_to_string(&file).unwrap_or_default();
    fs::write(file, format!("domains = [\"{brand}.example\"]\n{settings}")).unwrap();
    let server = ServerOptions::of(site.path()).start();
    server.get(&format!("{brand}.example"), "/");
    let run = server.runs(brand, 1).remove(0);
    let field = |field: &str| run[field].as_str().unwrap_or_default().replace("\\n", "\n");
    let message = field("message");
    assert!(message.starts_with("pages/") || message.starts_with("modules/"), "it says where: {message}");
    // What an author throws, the author explains.
    let says_what_to_do = message.contains("; ") || brand.starts_with("run-thrown");
    assert!(says_what_to_do, "it says what to do: {message}");
    format!("{}: {}\n{}\n", field("outcome"), field("message"), field("stack"))
}

fn check(site: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.args(["check", "--quiet"]).args(args).current_dir(site).env("SLUICE_LOG", "off").output().unwrap()
}

fn out(output: &Output) -> String {
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "the check prints nothing to standard error");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn checks_all_brands_of_a_site_at_once() {
    let site = TestSite::new();
    for name in ["name-fetch", "settings-syntax"] {
        folders::copy(&folders::parent("mistakes").join(name), &site.brand_dir(name));
    }
    let output = check(site.path(), &[]);
    assert_eq!(output.status.code(), Some(1));
    let told = out(&output);
    assert!(told.contains("brands/name-fetch/pages/index.html:2:24: error"), "{told}");
    assert!(told.contains("brands/settings-syntax/brand.toml:2:14: error"), "{told}");
    assert!(told.ends_with("\n\n2 errors found\n"), "{told}");
}

#[test]
fn every_rule_has_a_mistake_that_shows_it() {
    let mut texts = String::new();
    for entry in fs::read_dir(folders::parent("mistakes")).unwrap() {
        texts += &fs::read_to_string(entry.unwrap().path().join("expected.snap")).unwrap();
    }
    // A mistake against these rules needs a large file.
    let others = [Rule::Html, Rule::CompileLimit, Rule::Nesting];
    let shown = |rule: &&Rule| texts.contains(&format!("[{}]", rule.code()));
    let missing: Vec<&Rule> =
        Rule::ALL.iter().filter(|rule| !others.contains(rule)).filter(|rule| !shown(rule)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn json_and_annotations_have_the_same_mistakes() {
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
fn the_tables_of_globals_match_the_engine() {
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
    // `request.headers` only has the headers that the visitor sent.
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
