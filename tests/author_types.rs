//! `sluice types`, checked with the TypeScript compiler.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::author_run::{err, out, plain_site, sample_site, sluice};
use crate::harness::TestSite;

fn types(site: &TestSite) -> Output {
    sluice(site.path(), &["types"]).output().unwrap()
}

fn written(site: &TestSite) {
    let done = types(site);
    assert!(done.status.success(), "{}{}", out(&done), err(&done));
}

/// The compiler's messages about a brand, one line for each mistake.
fn tsc(site: &TestSite, brand: &str) -> Vec<String> {
    let tsc = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/typescript/node_modules/.bin/tsc");
    assert!(tsc.exists(), "typescript is missing: run .ci/setup");
    let project = format!("brands/{brand}/jsconfig.json");
    let done = std::process::Command::new(tsc)
        .args(["--pretty", "false", "-p", &project])
        .current_dir(site.path())
        .output()
        .unwrap();
    let text = out(&done);
    assert_eq!(done.status.success(), text.is_empty(), "{text}{}", err(&done));
    text.lines().filter(|line| !line.starts_with(' ')).map(str::to_owned).collect()
}

#[test]
fn compiler_finds_no_mistakes_in_the_sample_site() {
    let site = sample_site();
    written(&site);
    for brand in ["millrace", "tailrace"] {
        assert_eq!(tsc(&site, brand), Vec::<String>::new());
    }
}

#[test]
fn compiler_finds_mistakes() {
    let site = plain_site();
    written(&site);
    assert_eq!(tsc(&site, "demo"), Vec::<String>::new());

    let checkin = site.brand_dir("demo").join("pages/weight/checkin.html");
    let page = std::fs::read_to_string(&checkin).unwrap();
    let broken = page
        .replace(
            "const ok = setCrmFields({ slug: \"pattern-tracker\"",
            "const ok = setCrmFields({ slug: \"pattern-trackr\"",
        )
        .replace("setVariable(\"page_title\"", "setVarable(\"page_title\"");
    site.write("brands/demo/pages/weight/checkin.html", &broken);
    site.write(
        "brands/demo/modules/own.js",
        "import { GoalSchema, Gaol } from \"validators\";\naxios(\"/x\");\ncustomer.email;\nGoalSchema.validate({}).value.wieght;\n",
    );
    site.write("brands/demo/pages/own.test.js", "expect(visit(\"/\")).toCost(1);\ncrm.entries(\"x\");\n");
    written(&site);
    let found = tsc(&site, "demo");
    for (place, said) in [
        ("brands/demo/modules/own.js(4,", "Property 'wieght' does not exist"),
        (".sluice/types/demo/pages/weight/checkin.js(14,", "'\"pattern-trackr\"' is not assignable"),
        (
            ".sluice/types/demo/pages/weight/checkin.js(20,3)",
            "Cannot find name 'setVarable'. Did you mean 'setVariable'?",
        ),
        ("brands/demo/modules/own.js(1,22)", "has no exported member 'Gaol'"),
        ("brands/demo/modules/own.js(2,1)", "Cannot find name 'axios'"),
        ("brands/demo/modules/own.js(3,1)", "'customer' is possibly 'null'"),
        ("brands/demo/pages/own.test.js(1,", "Property 'toCost' does not exist"),
        ("brands/demo/pages/own.test.js(2,", "'\"x\"' is not assignable"),
    ] {
        assert!(
            found.iter().any(|line| line.starts_with(place) && line.contains(said)),
            "{place} {said}: {found:#?}"
        );
    }
    assert_eq!(found.len(), 8, "{found:#?}");
}

#[test]
fn allows_entities_that_a_script_creates() {
    let script = "export const make = () => ensureCrmEntity({ slug: 'own', fields: [{ key: 'a' }] });
        setCrmField({ slug: 'own', fieldKey: 'a', value: 1 });\n";
    let site = TestSite::with(&[
        ("modules/own.js", script),
        ("crm.toml", "[[entity]]\nslug = \"a\"\nname = \"A */\"\nmode = \"data\"\n"),
    ]);
    written(&site);
    assert_eq!(tsc(&site, "demo"), Vec::<String>::new());
    site.write("brands/demo/modules/own.js", "setCrmField({ slug: 'own', fieldKey: 'a', value: 1 });\n");
    written(&site);
    assert_eq!(tsc(&site, "demo").len(), 1);
}

#[test]
fn does_not_replace_files_of_the_author() {
    let site = TestSite::with(&[("pages/index.html", "x"), ("jsconfig.json", "{}\n")]);
    let done = types(&site);
    assert_eq!(done.status.code(), Some(1));
    let said = err(&done);
    assert!(said.contains("jsconfig.json: this file was not written by `sluice types`"), "{said}");
    let file = |name: &str| site.brand_dir("demo").join(name);
    assert_eq!(std::fs::read_to_string(file("jsconfig.json")).unwrap(), "{}\n");
    assert!(!file("sluice.d.ts").exists());

    std::fs::remove_file(file("jsconfig.json")).unwrap();
    written(&site);
    let first = std::fs::read_to_string(file("sluice.d.ts")).unwrap();
    std::fs::write(file("sluice.d.ts"), format!("{first}// mine\n")).unwrap();
    written(&site);
    assert_eq!(std::fs::read_to_string(file("sluice.d.ts")).unwrap(), first);
}

#[test]
fn compiler_resolves_imports_as_sluice_does() {
    let site = TestSite::with(&[
        ("modules/app.js", "export const app = 1;\n"),
        ("modules/utils/text.js", "import { app } from \"app\";\nexport const text = String(app);\n"),
        ("modules/page.html", "<p>\n<script scope=\"backend\">export const shared = 2;</script>"),
        ("pages/shop/index.html", "<script scope=\"backend\">export const shop = 3;</script>"),
        (
            "pages/index.html",
            "<script scope=\"backend\">\n  import { app } from \"app.js\";\n  import * as text from \"utils/text\";\n  \
             import { shared } from \"./page\";\n  import { shop } from \"shop/index\";\n  \
             setVariable(\"all\", [app, text.text, shared, shop]);\n  const top = await Promise.resolve(1);\n</script>\n\
             <script scope=\"backend\">\n  setVariable(\"top\", top);\n</script>",
        ),
    ]);
    written(&site);
    assert_eq!(tsc(&site, "demo"), Vec::<String>::new());
    let pages: Vec<PathBuf> = ["pages/index.js", "pages/shop/index.js", "modules/page.js"]
        .map(|file| site.path().join(".sluice/types/demo").join(file))
        .into();
    assert!(pages.iter().all(|page| page.exists()));
    std::fs::remove_file(site.brand_dir("demo").join("pages/index.html")).unwrap();
    written(&site);
    assert!(!pages[0].exists());
}

fn declarations(site: &TestSite) -> String {
    std::fs::read_to_string(site.brand_dir("demo").join("sluice.d.ts")).unwrap()
}

/// The names that a declaration file declares at its top level.
fn declared(text: &str) -> Vec<&str> {
    let name = |line: &'_ str| {
        let rest = ["const ", "function ", "class "]
            .iter()
            .find_map(|kind| line.strip_prefix("declare ")?.strip_prefix(kind))?;
        Some(rest.len())
    };
    text.lines()
        .filter_map(|line| {
            let rest = &line[line.len() - name(line)?..];
            Some(&rest[..rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap()])
        })
        .collect()
}

/// The names of an interface's members.
fn members<'a>(text: &'a str, interface: &str) -> Vec<&'a str> {
    let start = text.find(&format!("interface {interface}")).unwrap_or_else(|| panic!("no {interface}"));
    let body = &text[start..];
    let body = &body[..body.find("\n}\n").unwrap()];
    let member = |line: &'a str| {
        let line = line.strip_prefix("  ").filter(|line| !line.starts_with([' ', '/', '*', '}']))?;
        let line = line.strip_prefix("readonly ").unwrap_or(line);
        let end = line.find(|c: char| !(c.is_alphanumeric() || c == '_'))?;
        Some(&line[..end]).filter(|name| !name.is_empty())
    };
    body.lines().skip(1).filter_map(member).collect()
}

/// The JSON response of a page with this script.
fn answer(site: &TestSite, script: &str) -> Value {
    site.write("brands/demo/pages/ask.html", &format!("<script scope=\"backend\">{script}</script>"));
    let done = sluice(site.path(), &["run", "/ask", "--json"]).output().unwrap();
    let ran: Value = serde_json::from_str(&out(&done)).unwrap();
    let body = ran["response"]["body"].as_str().unwrap();
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{ran:#}"))
}

const OBJECTS: [(&str, &str); 6] = [
    ("session", "SluiceSession"),
    ("cookie", "SluiceCookie"),
    ("response", "SluiceResponse"),
    ("console", "SluiceConsole"),
    ("request", "SluiceRequest"),
    ("Schema", "SluiceSchemas"),
];

/// Every schema object has the methods of all types, and throws if one is of another type.
const SCHEMAS: [&str; 5] = [
    "SluiceSchema<",
    "SluiceStringSchema<",
    "SluiceNumberSchema<",
    "SluiceArraySchema<",
    "SluiceObjectSchema<",
];

#[test]
fn declares_every_global_of_the_engine() {
    let site = TestSite::with(&[("pages/index.html", "x")]);
    let names = answer(&site, "response.json(Object.getOwnPropertyNames(globalThis))");
    let objects: Vec<&str> = OBJECTS.iter().map(|(object, _)| *object).collect();
    let keys = format!(
        "const own = (o) => [...new Set([...Object.keys(o), ...Object.getOwnPropertyNames(Object.getPrototypeOf(o))])];
         const plain = new Set(Object.getOwnPropertyNames(Object.prototype));
         response.json([{}].map((o) => own(o).filter((key) => !plain.has(key))))",
        objects.join(", ")
    );
    let keys = answer(&site, &keys);
    let mut uses = String::new();
    for name in names.as_array().unwrap() {
        uses.push_str(&format!("void {};\n", name.as_str().unwrap()));
    }
    for (object, keys) in objects.iter().zip(keys.as_array().unwrap()) {
        for key in keys.as_array().unwrap() {
            uses.push_str(&format!("void ({object}).{};\n", key.as_str().unwrap()));
        }
    }
    assert!(uses.lines().count() > 100, "{uses}");
    site.write("brands/demo/modules/uses.js", &uses);
    written(&site);
    let lines: Vec<&str> = uses.lines().collect();
    let undeclared: Vec<&str> = tsc(&site, "demo")
        .iter()
        .map(|line| line.split_once('(').unwrap().1.split(',').next().unwrap().parse::<usize>().unwrap())
        .map(|line| lines[line - 1])
        .collect();
    assert_eq!(undeclared, Vec::<&str>::new());
}

#[test]
fn engine_has_every_declared_global() {
    let site = TestSite::with(&[("pages/index.html", "x")]);
    written(&site);
    let text = declarations(&site);
    let (globals, tests) = text.split_once("// --- tests:").unwrap();
    let all = declared(globals);
    assert!(all.len() > 30, "{all:?}");
    let mut asked: Vec<String> =
        all.iter().map(|name| format!("typeof {name} === 'undefined' && '{name}'")).collect();
    for (object, interface) in OBJECTS {
        let names = members(&text, &format!("{interface} "));
        assert!(names.len() > 1, "{interface}");
        asked.extend(names.iter().map(|name| format!("!('{name}' in {object}) && '{object}.{name}'")));
    }
    let missing = answer(&site, &format!("response.json([{}].filter(Boolean))", asked.join(", ")));
    assert_eq!(missing, serde_json::json!([]));

    let methods =
        answer(&site, "response.json(Object.getOwnPropertyNames(Object.getPrototypeOf(Schema.any())))");
    let methods: BTreeSet<&str> =
        methods.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let declared_methods: BTreeSet<&str> =
        SCHEMAS.iter().flat_map(|interface| members(&text, interface)).collect();
    assert_eq!(
        methods.into_iter().filter(|name| *name != "constructor").collect::<BTreeSet<_>>(),
        declared_methods
    );

    // The globals of tests exist only in a test.
    let names = declared(tests);
    assert!(names.contains(&"visit") && names.contains(&"expect"), "{names:?}");
    let mut file = String::from("test(\"all\", () => {\n");
    for name in names {
        file.push_str(&format!("  expect(typeof {name}).not.toBe(\"undefined\");\n"));
    }
    for name in members(tests, "SluiceMatchers") {
        file.push_str(&format!("  expect(expect(1)).toHaveProperty(\"{name}\");\n"));
    }
    for name in members(tests, "SluiceVisit ") {
        file.push_str(&format!("  expect(\"{name}\" in visit(\"/\")).toBe(true);\n"));
    }
    for name in members(tests, "SluiceTest ") {
        file.push_str(&format!("  expect(typeof test.{name}).toBe(\"function\");\n"));
    }
    file.push_str("});\n");
    site.write("brands/demo/pages/all.test.js", &file);
    let done = sluice(site.path(), &["test"]).output().unwrap();
    assert!(done.status.success(), "{}{}\n{file}", out(&done), err(&done));
}
