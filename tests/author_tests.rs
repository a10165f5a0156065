//! `sluice test`: runs authors' tests in the sandbox.

use std::process::Output;

use crate::author_run::{err, out, plain_site, sample_site, sluice};
use crate::harness::{Server, TestSite};

fn test(site: &TestSite, args: &[&str]) -> Output {
    sluice(site.path(), &[&["test"], args].concat()).output().unwrap()
}

fn assert_says(done: &Output, code: i32, expected: &[&str]) {
    let text = format!("{}{}", out(done), err(done));
    assert_eq!(done.status.code(), Some(code), "{text}");
    for expected in expected {
        assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
    }
}

#[test]
fn sample_sites_pass_their_own_tests() {
    let done = test(&sample_site(), &[]);
    assert_says(
        &done,
        0,
        &["millrace/pages/weight/checkin.test.js\n", "tailrace/pages/index.test.js\n", " passed in"],
    );
    let done = test(&plain_site(), &[]);
    assert_says(
        &done,
        0,
        &["demo/modules/validators.test.js\n", "demo/pages/weight/checkin.test.js\n", "9 passed in"],
    );
}

const COUNTER: &str = "<script scope=\"backend\">
  session.set('visits', (session.get('visits') ?? 0) + 1);
  setVariable('visits', session.get('visits'));
  cookie.set('seen', 'a b');
  console.log('hello', request.query.name ?? 'nobody');
</script>{{ var.visits }}";

#[test]
fn tests_see_and_run_the_jobs_that_pages_push() {
    let site = TestSite::with(&[
        (
            "pages/cart.html",
            "<script scope=\"backend\">response.json(queue.push('mail', { cart: 7 }, { fn: request.query.fn, delay: 3600, tag: 'cart' }).ok)</script>",
        ),
        (
            "modules/mail.js",
            "export const remind = ({ cart }, { attempt }) => {
               storage.set('reminded', [cart, attempt]);
               queue.push('mail', null, { fn: 'done' });
             };
             export const done = () => setCrmField({ slug: 'orders', referenceId: '7', fieldKey: 'total', value: 5, async: true });
             export const fails = () => { throw new Error('no server'); };
             export const again = () => queue.push('mail', null, { fn: 'again' });",
        ),
        ("crm.toml", "[[entity]]\nslug = \"orders\"\n"),
        (
            "pages/cart.test.js",
            r#"
          test("a reminder is sent after an hour", () => {
            expect(visit("/cart", { query: { fn: "remind" } }).json()).toBe(true);
            const [job] = queue.pushed();
            expect(job).toMatchObject({ module: "mail", fn: "remind", payload: { cart: 7 }, tag: "cart", key: null });
            expect(job.at).toBe(Date.now() + 3_600_000);
            expect(queue.run()).toBe(0);
            clock.advance(3599);
            expect(queue.run()).toBe(0);
            clock.advance("1s");
            expect(queue.run()).toBe(2);
            expect(storage.get("reminded")).toEqual([7, 1]);
            expect(getCrmField({ slug: "orders", referenceId: "7", fieldKey: "total" })).toBe(5);
            expect(queue.pushed()).toHaveLength(0);
          });
          test("a cancelled reminder is not sent", () => {
            visit("/cart", { query: { fn: "remind" } });
            expect(queue.cancel("cart").cancelled).toBe(1);
            clock.advance("1h");
            expect(queue.run()).toBe(0);
          });
          test("a job that fails is told, and tried again", () => {
            queue.push("mail", { cart: 7 }, { fn: "fails" });
            for (const attempt of [1, 2, 3]) {
              expect(queue.pushed()).toHaveLength(1);
              expect(() => queue.run()).toThrow("the job mail.fails failed: modules/mail.js:6:");
            }
            expect(queue.pushed()).toHaveLength(0);
            expect(queue.run()).toBe(0);
          });
          test("jobs without an end are told", () => {
            queue.push("mail", null, { fn: "again" });
            expect(() => queue.run()).toThrow("does a job push itself?");
          });
          test("a job that a test pushes is stored at once", () => {
            const { jobId } = queue.push("mail", { cart: 8 }, { fn: "remind", at: "2026-01-01T02:00:00Z" });
            expect(queue.status(jobId).state).toBe("pending");
            clock.set("2026-01-01T02:00:00Z");
            expect(queue.run()).toBe(2);
            expect(queue.status(jobId).state).toBe("done");
          });
          test("run takes no time", () => {
            expect(() => queue.run({ within: 60 })).toThrow("queue.run takes no arguments; clock.advance moves the time");
          });
        "#,
        ),
    ]);
    let done = test(&site, &[]);
    assert_says(&done, 0, &["6 passed"]);
}

#[test]
fn test_moves_the_time_that_scripts_see() {
    let site = TestSite::with(&[
        (
            "pages/now.html",
            "<script scope=\"backend\">
               if (request.query.keep) storage.set('code', 1, { ttl: 60 });
               session.set('visited', true);
               response.json([Date.now(), storage.has('code')]);
             </script>",
        ),
        (
            "pages/now.test.js",
            r#"
          const START = Date.parse("2026-01-01T00:00:00Z");
          test("time stands still until it is moved", () => {
            expect(visit("/now", { query: { keep: 1 } }).json()).toEqual([START, true]);
            expect(clock.advance("59s")).toBe(START + 59_000);
            expect(Date.now()).toBe(START + 59_000);
            expect(visit("/now").json()).toEqual([START + 59_000, true]);
            clock.advance(1);
            expect(visit("/now").json()).toEqual([START + 60_000, false]);
          });
          test("each test starts at the same time", () => {
            expect(Date.now()).toBe(START);
            expect(clock.set("2026-07-01T09:00:00+02:00")).toBe(Date.parse("2026-07-01T07:00:00Z"));
            expect(clock.set(new Date(START))).toBe(START);
            expect(clock.advance("2h")).toBe(START + 7_200_000);
            expect(clock.advance("30d")).toBe(START + 2_599_200_000);
          });
          test("times that cannot be are refused", () => {
            for (const wrong of ["soon", -1, 1.5, "-3h", "2 h", null, undefined, {}]) {
              expect(() => clock.advance(wrong)).toThrow("clock.advance needs a duration such as");
            }
            for (const wrong of ["soon", 1.5, null, undefined, new Date(NaN)]) {
              expect(() => clock.set(wrong)).toThrow("clock.set needs a time such as");
            }
            expect(() => clock.set(-1)).toThrow("from 1970 to 9999");
            expect(() => clock.advance("99999999d")).toThrow("from 1970 to 9999");
            expect(Date.now()).toBe(START);
          });
          test("sessions expire", () => {
            const ann = visitor({ session: { cart: 1 } });
            expect(ann.visit("/now").session.cart).toBe(1);
            clock.advance("400d");
            expect(ann.visit("/now").session.cart).toBeUndefined();
          });
        "#,
        ),
    ]);
    let done = test(&site, &[]);
    assert_says(&done, 0, &["4 passed"]);
}

#[test]
fn each_test_has_its_own_visitor_database_and_clock() {
    let site = TestSite::with(&[
        ("pages/index.html", COUNTER),
        (
            "pages/login.html",
            "<script scope=\"backend\">if (request.method === 'POST') { session.setCustomer(request.body); redirect('/'); }</script>",
        ),
        (
            "pages/form.html",
            "<script scope=\"backend\">response.json([request.body, request.query, request.headers['user-agent'], request.cookies])</script>",
        ),
        (
            "pages/queue.html",
            "<script scope=\"backend\">response.json(setCrmField({ slug: 'orders', referenceId: '7', fieldKey: 'total', value: 5, async: true }))</script>",
        ),
        ("crm.toml", "[[entity]]\nslug = \"orders\"\nname = \"Orders\"\nmode = \"data\"\n"),
        (
            "pages/index.test.js",
            r#"
          import { test as named } from "sluice:testing";

          let ran = 0;
          beforeEach(() => { ran += 1; });

          for (const round of [1, 2]) {
            test("a visitor is counted, round " + round, () => {
              expect(ran).toBe(1);
              expect(visit("/").text).toBe("1");
              const second = visit("/", { query: { name: "Ann & Bob" } });
              expect(second.text).toBe("2");
              expect(second.session).toEqual({ visits: 2 });
              expect(second.variables).toEqual({ visits: 2 });
              expect(second.console).toEqual([{ level: "log", text: "hello Ann & Bob" }]);
              expect(second.cookies).toEqual({ seen: "a b" });
              expect(second.outcome).toBe("ok");
              expect(second.fuel).toBeGreaterThan(0);
              expect(visitor().visit("/").text).toBe("1");
              expect(visitor({ session: { visits: 9 } }).visit("/").text).toBe("10");
            });
          }

          test("a login stays with its visitor", async () => {
            const answer = await visit("/login", { json: { email: "ann@example.com" } });
            expect([answer.status, answer.location]).toEqual([302, "/"]);
            expect(visit("/").customer.email).toBe("ann@example.com");
            expect(visitor().visit("/").customer).toBeNull();
          });

          test("requests are what the page sees", () => {
            const [body, query, agent, cookies] = visit("/form?a=1", {
              body: "[1, 2]", headers: { "content-type": "application/json", "User-Agent": "me" },
              query: { b: 2 }, cookies: { c: "3" },
            }).json();
            expect([body, query, agent, cookies]).toEqual([[1, 2], { a: "1", b: "2" }, "me", { c: "3" }]);
          });

          test("background writes are done when visit gives its answer", () => {
            expect(crm.entries("orders")).toHaveLength(0);
            expect(visit("/queue").json()).toBe(true);
            expect(crm.entries("orders")[0]).toMatchObject({ reference_id: "7", values_flat: { total: 5 } });
            expect(getCrmField({ slug: "orders", referenceId: "7", fieldKey: "total" })).toBe(5);
          });

          named("time and chance repeat", () => {
            expect(new Date().toISOString()).toBe("2026-01-01T00:00:00.000Z");
            throw new Error("chance " + Math.random());
          });
        "#,
        ),
    ]);
    let done = test(&site, &["--filter", "is counted"]);
    assert_says(&done, 0, &["2 passed in"]);
    let done = test(&site, &["--filter", "time and chance"]);
    assert_says(&done, 1, &["1 failed"]);
    let chance = || {
        let text = out(&test(&site, &["--filter", "time and chance"]));
        let line = text.lines().find(|line| line.contains("Error: chance 0."));
        line.unwrap_or_else(|| panic!("{text}")).to_owned()
    };
    let (one, two) = (chance(), chance());
    assert_eq!(one, two);
    let done = test(&site, &[]);
    assert_says(&done, 1, &["5 passed, 1 failed in"]);
}

const FAILURES: &str = r#"import { double } from "numbers";

test("a wrong sum", () => {
  const sum = double(2) + 1;
  expect(sum).toBe(6);
});

test("an exception in a module", () => {
  double(null);
});

test("one that never ends", () => {
  while (true);
});

test("one that waits for ever", async () => {
  await new Promise(() => {});
});

test("one that fills its memory", () => {
  const all = [];
  while (true) all.push("x".repeat(10_000) + all.length);
});

test("one that ends the page", () => {
  response.json({});
});

test("one that asks for what is not there", () => {
  visit("/", { metod: "POST" });
});

test("one that misspells an entity", () => {
  crm.entries("order");
});

test("a page that costs too much", () => {
  expect(visit("/")).toUseFuelBelow(10);
});

test("a rejected promise", async () => {
  await Promise.reject(new RangeError("too far"));
});

test.skip("not yet", () => {});

test("the last one", () => {
  console.log("still here");
  expect(double(2)).not.toBe(5);
});
"#;

fn failing() -> TestSite {
    TestSite::with(&[
        ("pages/index.html", COUNTER),
        (
            "modules/numbers.js",
            "export function double(x) {\n  if (x === null) throw new TypeError(\"no number\");\n  return 2 * x;\n}\n",
        ),
        ("modules/numbers.test.js", FAILURES),
        ("crm.toml", "[[entity]]\nslug = \"orders\"\nname = \"Orders\"\nmode = \"data\"\n"),
    ])
}

#[test]
fn reports_place_and_reason_of_each_failure_and_runs_the_other_tests() {
    let done = test(&failing(), &[]);
    assert_says(
        &done,
        1,
        &[
            "FAIL a wrong sum\n       modules/numbers.test.js:5:",
            "AssertionError: expect(…).toBe does not hold",
            "           expect(sum).toBe(6);\n",
            "       expected: 6\n       received: 5\n",
            "FAIL an exception in a module\n       modules/numbers.js:2:",
            "TypeError: no number",
            "(modules/numbers.test.js:9:",
            "FAIL one that never ends\n       modules/numbers.test.js:13:",
            "FuelLimit: the script used more than its ",
            "FAIL one that waits for ever\n       modules/numbers.test.js:16:",
            "AwaitError: a top-level await never settles",
            "FAIL one that fills its memory",
            "out of memory",
            "FAIL one that ends the page\n       modules/numbers.test.js:25:",
            "make the request with visit()",
            "visit has no option `metod`; it has method, ",
            "crm.entries: there is no entity \"order\" (did you mean \"orders\"?)",
            "expected: less than 10 units of fuel\n       received: ",
            "RangeError: too far",
            "skip not yet\n",
            "ok   the last one",
            "log: still here",
            "\n1 passed, 10 failed, 1 skipped in ",
        ],
    );
}

#[test]
fn prints_valid_tap() {
    let done = test(&failing(), &["--format", "tap"]);
    let text = out(&done);
    assert_eq!(done.status.code(), Some(1), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "TAP version 14");
    assert_eq!(lines.last(), Some(&"1..12"));
    let points: Vec<&&str> =
        lines.iter().filter(|line| line.starts_with("ok ") || line.starts_with("not ok ")).collect();
    assert_eq!(points.len(), 12);
    for (index, point) in points.iter().enumerate() {
        assert!(point.contains(&format!("ok {} - demo/modules/numbers.test.js: ", index + 1)), "{point}");
    }
    assert_eq!(*points[10], "ok 11 - demo/modules/numbers.test.js: not yet # SKIP");
    for expected in [
        "  ---\n  message: \"AssertionError: ",
        "  at: \"modules/numbers.test.js:5:",
        "  expected: \"6\"\n  received: \"5\"\n",
        "  ...\n",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
    }
}

#[test]
fn reports_files_that_cannot_be_run_and_runs_the_others() {
    let site = TestSite::with(&[
        ("pages/index.html", "x"),
        ("pages/a.test.js", "test('a', () => {\n  let x = 1 +* 2;\n});\n"),
        ("pages/b.test.js", "import { double } from \"nubers\";\ntest('b', () => {});\n"),
        ("pages/c.test.js", "// nothing yet\n"),
        ("pages/d.test.js", "test('d', () => {});\nthrow new Error('while declaring');\n"),
        ("pages/e.test.js", "test('same', () => {});\ntest('same', () => {});\n"),
        ("pages/f.test.js", "test.only('this one', () => {});\ntest('not this one', () => { throw 1; });\n"),
        ("modules/numbers.js", "export const double = (x) => 2 * x;\n"),
    ]);
    let done = test(&site, &[]);
    assert_says(
        &done,
        1,
        &[
            "pages/a.test.js:2:",
            "pages/b.test.js:1:24: ImportError: there is no module \"nubers\"; did you mean \"numbers\"?",
            "pages/c.test.js",
            "this file has no test",
            "pages/d.test.js:2:",
            "while declaring",
            "pages/e.test.js:2:",
            "there are two tests with the name \"same\"",
            "ok   this one",
            "skip not this one",
            "\n1 passed, 1 skipped, 5 files cannot be run in ",
        ],
    );
    let empty = TestSite::with(&[("pages/index.html", "x")]);
    assert_says(&test(&empty, &[]), 1, &["no test: tests are in files such as pages/index.test.js"]);
    assert_says(&test(&site, &["--filter", "zzz"]), 1, &["files cannot be run"]);
}

#[test]
fn test_files_are_not_pages_modules_or_public_files() {
    let site = TestSite::with(&[
        ("pages/index.html", COUNTER),
        ("pages/index.test.js", "test('x', () => {});\n"),
        ("modules/numbers.test.js", "export const x = 1;\n"),
        ("pages/imports.html", "<script scope=\"backend\">import { x } from 'numbers.test';</script>"),
        (
            "pages/asks.html",
            "<script scope=\"backend\">response.json([getVariable('sluice:test {\"call\":\"plan\"}'), typeof test, typeof expect, typeof visit, typeof crm])</script>",
        ),
        ("pages/library.html", "<script scope=\"backend\">import { test } from 'sluice:testing';</script>"),
    ]);
    site.write("brands/demo/brand.toml", "default = true\non_error = \"error\"\n");
    let server = Server::start(site.path());
    for path in ["/index.test", "/index.test.js", "/pages/index.test.js", "/numbers.test.js"] {
        assert_eq!(server.get("localhost", path).status, 404, "{path}");
    }
    for page in ["/imports", "/library"] {
        assert_eq!(server.get("localhost", page).status, 500, "{page}");
    }
    let undefined = "\"undefined\"";
    let answer = server.get("localhost", "/asks").body;
    assert_eq!(answer, format!("[null,{undefined},{undefined},{undefined},{undefined}]"));
}

#[test]
fn matchers_pass_and_fail_correctly() {
    // Each of these must pass, and must fail with `.not`.
    let holds = [
        "expect(1).toBe(1)",
        "expect(NaN).toBe(NaN)",
        "expect({ a: [1, { b: null }], c: undefined }).toEqual({ a: [1, { b: null }] })",
        "expect(new Map([[1, { a: 1 }]])).toEqual(new Map([[1, { a: 1 }]]))",
        "expect(new Date(5)).toEqual(new Date(5))",
        "expect({ a: 1, b: { c: 2, d: 3 } }).toMatchObject({ b: { c: 2 } })",
        "expect('abc').toContain('b')",
        "expect([1, 2]).toContain(2)",
        "expect([{ a: 1 }]).toContainEqual({ a: 1 })",
        "expect('abc').toMatch(/^a.c$/)",
        "expect(() => { throw new RangeError('too far') }).toThrow('far')",
        "expect(() => { throw new RangeError('too far') }).toThrow(RangeError)",
        "expect(() => { throw new RangeError('too far') }).toThrow(/too/)",
        "expect('x').toBeTruthy()",
        "expect(0).toBeFalsy()",
        "expect(null).toBeNull()",
        "expect(undefined).toBeUndefined()",
        "expect(0).toBeDefined()",
        "expect(new Date()).toBeInstanceOf(Date)",
        "expect(2).toBeGreaterThan(1)",
        "expect(2).toBeGreaterThanOrEqual(2)",
        "expect(1).toBeLessThan(2)",
        "expect(2).toBeLessThanOrEqual(2)",
        "expect(0.1 + 0.2).toBeCloseTo(0.3)",
        "expect([1, 2]).toHaveLength(2)",
        "expect({ a: { b: 1 } }).toHaveProperty('a.b', 1)",
    ];
    let turned = |text: &str| {
        let at = text.rfind(").to").unwrap();
        format!("{}).not.to{}", &text[..at], &text[at + 4..])
    };
    let differs = [
        "expect(0).toBe(-0)",
        "expect([1]).toEqual({ 0: 1, length: 1 })",
        "expect(new Date(5)).toEqual(new Date(6))",
        "expect({ a: 1 }).toMatchObject({ a: 2 })",
        "expect(new Set([1])).toEqual(new Set([2]))",
        "expect(() => {}).toThrow()",
        "expect(() => { throw new Error('a') }).toThrow('b')",
    ];
    let mut file = String::new();
    for (index, text) in holds.iter().enumerate() {
        file.push_str(&format!("test('holds {index}', () => {{ {text} }});\n"));
        file.push_str(&format!("test('turned {index}', () => {{ {} }});\n", turned(text)));
    }
    for (index, text) in differs.iter().enumerate() {
        file.push_str(&format!("test('differs {index}', () => {{ {text} }});\n"));
        file.push_str(&format!("test('differs, turned {index}', () => {{ {} }});\n", turned(text)));
    }
    let site = TestSite::with(&[("pages/index.html", "x"), ("pages/m.test.js", &file)]);
    let text = out(&test(&site, &["--format", "tap"]));
    for line in text.lines().filter(|line| line.contains("ok ") && line.contains(": ")) {
        let passes = line.contains(": holds") || line.contains(": differs, turned");
        assert_eq!(!line.starts_with("not ok"), passes, "{line}");
    }
    assert!(text.ends_with(&format!("1..{}\n", 2 * (holds.len() + differs.len()))), "{text}");
}
