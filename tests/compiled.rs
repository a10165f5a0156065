//! Scripts that are compiled to WebAssembly functions: who gets them, and that nothing else changes.

use serde_json::Value;

use crate::author_run::{err, out, sluice};
use crate::harness::{ServerOptions, TestSite};

const TIER: &str = "SLUICE_COMPILE__TIER";

/// Computes, catches an exception, uses the host, and answers.
const COMPUTES: &str = "<script scope=\"backend\">
function fib(n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
let caught = 0;
for (const value of [1, null, 'text', { a: 1 }]) {
  try { caught += value.length ?? 10; } catch (error) { caught += error instanceof TypeError ? 100 : 0; }
}
const names = ['b', 'a', 'c'].sort((a, b) => (a < b ? -1 : 1)).map((name, index) => `${name}${index}`);
session.set('visits', (session.get('visits') ?? 0) + 1);
response.json({ fib: fib(15), caught, names, float: 0.1 + 0.2, visits: session.get('visits') });
</script>";

fn site() -> TestSite {
    TestSite::with(&[
        ("pages/computes.html", COMPUTES),
        ("pages/straight.html", "<script scope=\"backend\">setVariable('a', 1 + 1)</script>{{ var.a }}"),
        ("pages/static.html", "no script"),
        (
            "pages/endless.html",
            "<script scope=\"backend\">\nlet n = 0;\nfunction spin() {\n  while (true) n += 1;\n}\nspin();\n</script>",
        ),
        (
            "pages/deep.html",
            "<script scope=\"backend\">function deep(n) { return 1 + deep(n + 1); }\n\
             let name = 'none';\ntry { deep(0); } catch (error) { name = error.name; }\nresponse.send(name);</script>",
        ),
        (
            "pages/greedy.html",
            "<script scope=\"backend\">const kept = [];\nfunction keep() { while (true) kept.push('x'.repeat(1000) + kept.length); }\n\
             let message = 'none';\ntry { keep(); } catch (error) { kept.length = 0; message = error.message; }\nresponse.send(message);</script>",
        ),
        (
            "pages/throws.html",
            "<script scope=\"backend\">function outer(value) {\n  return inner(value) + 1;\n}\nfunction inner(value) {\n  \
             return value.missing.name;\n}\nouter({});</script>",
        ),
    ])
}

/// What a run without visitors says about itself.
fn run(site: &TestSite, tier: &str, path: &str) -> Value {
    let done = sluice(site.path(), &["run", path, "--json"]).env(TIER, tier).output().unwrap();
    serde_json::from_str(&out(&done)).unwrap_or_else(|_| panic!("{}", err(&done)))
}

#[test]
fn compiled_pages_do_the_same_with_less_fuel() {
    let site = site();
    for path in ["/computes", "/straight", "/deep", "/greedy", "/throws"] {
        let [interpreted, compiled] = ["interpreter", "compiled"].map(|tier| run(&site, tier, path));
        assert_eq!(interpreted["run"]["tier"], "interpreter");
        assert_eq!(compiled["run"]["tier"], "compiled", "{path}");
        for part in ["outcome", "failure"] {
            assert_eq!(interpreted["run"][part], compiled["run"][part], "{path}");
        }
        for part in ["/response/status", "/response/body", "/variables", "/session", "/console"] {
            assert_eq!(interpreted.pointer(part), compiled.pointer(part), "{path}{part}");
        }
        assert!(compiled.pointer("/response/body").is_some());
    }
    let fuel = |tier| run(&site, tier, "/computes")["run"]["fuel"].as_u64().unwrap();
    assert!(fuel("compiled") * 2 < fuel("interpreter"));
    // The choice does not depend on how often a page is used.
    assert_eq!(fuel("compiled"), fuel("compiled"));
}

#[test]
fn auto_compiles_scripts_that_can_repeat_something() {
    let site = site();
    for (path, tier) in [("/computes", "compiled"), ("/endless", "compiled"), ("/straight", "interpreter")] {
        assert_eq!(run(&site, "auto", path)["run"]["tier"], tier, "{path}");
    }
}

#[test]
fn limits_hold_for_compiled_functions() {
    let site = site();
    let endless = run(&site, "compiled", "/endless");
    assert_eq!(endless["run"]["outcome"], "fuel");
    assert_eq!(endless["run"]["failure"]["file"], "pages/endless.html");
    assert_eq!(endless["run"]["failure"]["line"], 4);
    assert!(endless["run"]["failure"]["stack"].to_string().contains("spin"), "{endless}");
    assert_eq!(run(&site, "compiled", "/deep")["response"]["body"], "RangeError");
    assert_eq!(run(&site, "compiled", "/greedy")["response"]["body"], "out of memory");
}

#[test]
fn operators_see_which_runs_were_compiled() {
    let site = site();
    let server = ServerOptions::of(site.path()).env(TIER, "auto").env("SLUICE_LOG__SAMPLE", "1").start();
    for path in ["/computes", "/static", "/straight", "/throws"] {
        server.get("localhost", path);
    }
    let stored = || -> Vec<Value> {
        let answer: Value = serde_json::from_str(&server.admin("/api/brands/demo/runs").body).unwrap();
        answer.as_array().or_else(|| answer["runs"].as_array()).cloned().unwrap_or_default()
    };
    server.wait_until("the runs are stored", || stored().len() == 3);
    let runs = stored();
    let of = |path: &str| runs.iter().find(|run| run["path"] == path).unwrap_or_else(|| panic!("{runs:?}"));
    let tier = |path: &str| of(path)["tier"].clone();
    assert_eq!(tier("/computes"), "compiled");
    assert_eq!(tier("/straight"), "interpreter");
    let failed = of("/throws");
    assert_eq!(failed["error"]["line"], 5);
    let page = server.admin(&format!("/brands/demo/runs/{}", failed["id"])).body;
    assert!(page.contains("by compiled functions"), "{page}");
    assert!((server.metric("sluice_runs_compiled_total", &["sluice_brand=\"demo\""]) - 2.0).abs() < 0.1);
}

#[test]
fn pages_of_another_tier_are_compiled_again() {
    let site = site();
    let data = tempfile::tempdir().unwrap();
    for (tier, compiled) in [("interpreter", 0.0), ("compiled", 1.0), ("interpreter", 0.0), ("compiled", 1.0)]
    {
        let server = ServerOptions::of(site.path()).env(TIER, tier).data(data.path()).start();
        assert_eq!(server.get("localhost", "/straight").body, "2");
        let counted = server.metric("sluice_runs_compiled_total", &["sluice_brand=\"demo\""]);
        assert!((counted - compiled).abs() < 0.1, "{tier}: {counted}");
    }
}

#[test]
fn setting_is_checked_and_needs_a_restart() {
    let site = site();
    site.write("sluice.toml", "[compile]\ntier = \"fast\"\n");
    let error = ServerOptions::of(site.path()).start_error();
    assert!(error.contains("tier") && error.contains("fast") && error.contains("interpreter"), "{error}");
    site.write("sluice.toml", "");
    let server = ServerOptions::of(site.path()).start();
    site.write("sluice.toml", "[compile]\ntier = \"compiled\"\n");
    server.ask_to_reload();
    server.wait_told("sluice.toml: [compile] changed, which needs a restart");
}
