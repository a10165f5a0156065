//! What visitors get if the script of a page fails.

use crate::harness::{Answer, Request, Server, ServerOptions, TestSite};
use crate::memory::send;

fn script(source: &str) -> String {
    format!("<script scope=\"backend\">{source}</script><p>shown</p>")
}

/// The page of the attack: markup that only a script guards.
const GUARDED: &str =
    "<script scope=\"backend\">if (!is_customer) redirect('/login');</script><p>MEMBERS</p>";

fn get(server: &Server, path: &str) -> Answer {
    server.get("localhost", path)
}

/// Asserts that the visitor got an error without details.
fn assert_error(answer: &Answer, status: u16, what: &str) {
    assert_eq!(answer.status, status, "{what}: {}", answer.body);
    for part in ["shown", "DETAIL", "MEMBERS"] {
        assert!(!answer.body.contains(part), "{what}: {}", answer.body);
    }
}

#[test]
fn page_is_shown_after_an_exception_only_to_browsers_that_get_it() {
    let site = TestSite::with(&[
        ("pages/index.html", &script("setVariable('a', 1); throw new Error('DETAIL')")),
        ("pages/bare.html", "<script scope=\"backend\">throw new Error('DETAIL')</script>\n"),
        ("pages/broken.html", &script("let let = DETAIL")),
    ]);
    let server = Server::start(site.path());
    assert_eq!((get(&server, "/").status, get(&server, "/").body.as_str()), (200, "<p>shown</p>"));
    assert_eq!(Request::new("HEAD", "/").send(server.address).status, 200);
    assert_error(&Request::new("POST", "/").send(server.address), 500, "a POST");
    assert_error(&get(&server, "/bare"), 500, "a page without markup");
    assert_error(&get(&server, "/broken"), 500, "a page that does not compile");
    let json = Request::get("/").header("accept", "application/json, */*").send(server.address);
    assert_error(&json, 500, "JSON");
    assert_eq!(json.body, "{\"error\":\"Something went wrong\"}");
    assert_eq!(json.header("content-type").as_deref(), Some("application/json; charset=utf-8"));
    let html = Request::get("/").header("accept", "text/html,*/*;q=0.8").send(server.address);
    assert_eq!(html.status, 200);
}

#[test]
fn brand_has_its_own_page_for_failures() {
    let site = TestSite::with(&[
        ("pages/index.html", "<script scope=\"backend\">throw new Error('DETAIL')</script>\n"),
        ("pages/template.html", "{{ getCrmField({}) }}"),
        ("public/500.html", "<h1>Sorry</h1>{{ request.path }}"),
    ]);
    let server = Server::start(site.path());
    for path in ["/", "/template"] {
        let answer = get(&server, path);
        assert_error(&answer, 500, path);
        assert_eq!(answer.body, "<h1>Sorry</h1>{{ request.path }}");
        assert_eq!(answer.header("content-type").as_deref(), Some("text/html; charset=utf-8"));
    }
    let json = Request::get("/").header("accept", "application/json").send(server.address);
    assert_eq!((json.status, json.body.as_str()), (500, "{\"error\":\"Something went wrong\"}"));
    // It follows a reload. A page that is too large, or not text, is named in the log and not used.
    for (page, told) in [("x".repeat((64 << 10) + 1), "more than 65536 bytes"), ("\0".into(), "500.html")] {
        site.write("brands/demo/public/500.html", &page);
        server.reload();
        server.wait_told(told);
        assert!(get(&server, "/").body.contains("Something went wrong"));
    }
}

#[test]
fn page_is_not_shown_after_a_run_that_a_visitor_can_end() {
    let runs_out = "const all = []; for (;;) all.push(new Uint8Array(1e5).fill(1));";
    let cases = [
        ("memory", runs_out.to_owned(), "memory"),
        ("promise", format!("(async () => {{ await null; {runs_out} }})();"), "memory"),
        ("stack", "const deep = () => deep() + 1; deep();".to_owned(), "stack"),
        ("stack-promise", "const deep = () => deep() + 1; (async () => deep())();".to_owned(), "stack"),
        ("parser", "JSON.parse('['.repeat(1e5))".to_owned(), "stack"),
        ("fuel", "for (;;);".to_owned(), "fuel"),
        ("never", "await new Promise(() => {})".to_owned(), "error"),
        (
            "quota",
            "for (;;) getCrmField({ slug: 'a', referenceId: '1', fieldKey: 'b' });".to_owned(),
            "error",
        ),
    ];
    let site = TestSite::new();
    site.write("brands/demo/brand.toml", "default = true\n");
    site.write(
        "brands/demo/crm.toml",
        "[[entity]]\nslug = \"a\"\nname = \"A\"\nmode = \"data\"\n[[entity.field]]\nkey = \"b\"\n",
    );
    for (name, source, _) in &cases {
        site.write(&format!("brands/demo/pages/{name}.html"), &script(source));
    }
    let caught = "const deep = () => deep() + 1; try { deep() } catch {}";
    site.write("brands/demo/pages/caught.html", &script(caught));
    let server = Server::start(site.path());
    for (index, (name, _, outcome)) in cases.iter().enumerate() {
        assert_error(&get(&server, &format!("/{name}")), 500, name);
        let run = server.runs("demo", index + 1).pop().unwrap();
        assert_eq!(run["outcome"], *outcome, "{name}: {run}");
    }
    assert_eq!(get(&server, "/caught").body, "<p>shown</p>");
}

/// A POST with 65 KB of query, 55 KB of cookies and 21,800 empty arrays.
fn attack(path: &str) -> Request {
    let query = "a&".repeat(32_500);
    let cookies = "b=;".repeat(18_300);
    let body = format!("[{}[]]", "[],".repeat(21_799));
    Request::new("POST", &format!("{path}?{query}"))
        .header("cookie", &cookies)
        .header("content-type", "application/json")
        .body(body.as_bytes())
}

#[test]
fn requests_with_too_many_parts_do_not_reach_the_script() {
    let site = TestSite::with(&[("pages/members.html", GUARDED)]);
    site.write("brands/demo/brand.toml", "default = true\nform_bodies = true\n");
    let server = Server::start(site.path());
    let post = |body: &str, kind: &str| {
        Request::new("POST", "/members")
            .header("content-type", kind)
            .body(body.as_bytes())
            .send(server.address)
    };
    let json = |nodes: usize| post(&format!("[{}0]", "0,".repeat(nodes - 2)), "application/json");
    let form = |fields: usize| post(&"a&".repeat(fields), "application/x-www-form-urlencoded");
    let query = |count: usize| get(&server, &format!("/members?{}", "a=1&".repeat(count)));
    let cookies =
        |count: usize| Request::get("/members").header("cookie", &"a=1;".repeat(count)).send(server.address);
    let at_most = [(256, query(256)), (64, cookies(64)), (20_000, json(20_000)), (20_000, form(20_000))];
    for (count, answer) in &at_most {
        assert_eq!((answer.status, answer.header("location").as_deref()), (302, Some("/login")), "{count}");
    }
    for (count, answer) in
        [(257, query(257)), (65, cookies(65)), (20_001, json(20_001)), (20_001, form(20_001))]
    {
        assert_error(&answer, 400, &count.to_string());
    }
    assert_error(&attack("/members").send(server.address), 400, "all of them");
    server.runs("demo", at_most.len());
}

#[test]
fn run_that_a_request_makes_too_large_does_not_show_the_guarded_page() {
    // The script reads what was sent before it looks who sent it.
    let reads = "<script scope=\"backend\">
        const sent = Object.entries(request.query).concat(Object.entries(request.cookies));
        if (!is_customer) redirect('/login');
        setVariable('count', sent.length + request.body.length);
    </script><p>MEMBERS</p>";
    let site = TestSite::with(&[("pages/members.html", reads), ("pages/careless.html", reads)]);
    // The operator lets such requests through.
    site.write(
        "sluice.toml",
        "[limits]\nquery_parameters_max = 100_000\nrequest_cookies_max = 100_000\nbody_nodes_max = 100_000\n",
    );
    site.write(
        "brands/demo/brand.toml",
        "default = true\n[limits]\nheap_bytes_max = 4_000_000\n[[page]]\npath = \"/careless\"\non_error = \"page\"\n",
    );
    let server = Server::start(site.path());
    assert_error(&attack("/members").send(server.address), 500, "auto");
    assert_eq!(server.runs("demo", 1)[0]["outcome"], "memory");
    let careless = attack("/careless").send(server.address);
    assert!(careless.status == 200 && careless.body.contains("MEMBERS"), "the page asks for it");
}

#[test]
fn visitor_is_asked_to_come_back_if_the_database_does_not_answer() {
    let call = "setCrmField({ slug: 'a', referenceId: '1', fieldKey: 'b', value: 'c' });";
    let site = TestSite::with(&[("pages/index.html", &script(call))]);
    site.write(
        "brands/demo/crm.toml",
        "[[entity]]\nslug = \"a\"\nname = \"A\"\nmode = \"data\"\n[[entity.field]]\nkey = \"b\"\n",
    );
    let server = ServerOptions::of(site.path()).start();
    assert_eq!(get(&server, "/").body, "<p>shown</p>");
    // Another process holds the database's write lock.
    let lock = rusqlite::Connection::open(server.data_dir().join("sluice.db")).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answer = get(&server, "/");
    lock.execute_batch("ROLLBACK").unwrap();
    assert_error(&answer, 503, "the database");
    assert!(answer.header("retry-after").is_some());
    assert_eq!(get(&server, "/").body, "<p>shown</p>");
}

/// Keeps every thread for long renderings busy, and then lets the time of another rendering run out.
#[test]
fn request_that_is_asked_to_try_again_leaves_nothing_behind() {
    let endless = "@foreach(a in var.rows)".repeat(5) + &" @endforeach ".repeat(5);
    let long = "@foreach(a in var.rows)".repeat(2) + &" @endforeach ".repeat(2);
    let rows = "<script scope=\"backend\">setVariable('rows', Array(1000).fill(1));";
    let order = "session.set('orders', (session.get('orders') ?? 0) + 1);
        setCrmField({ slug: 'shop', referenceId: '1', fieldKey: 'order', value: 1, async: true });";
    let site = TestSite::with(&[
        ("pages/endless.html", &format!("{rows}</script>{endless}")),
        ("pages/order.html", &format!("{rows}{order}</script>{long}thanks")),
        ("pages/begin.html", "<script scope=\"backend\">response.json(session.set('orders', 0))</script>"),
        ("pages/orders.html", "<script scope=\"backend\">response.json(session.get('orders'))</script>"),
        ("crm.toml", "[[entity]]\nslug = \"shop\"\n"),
    ]);
    site.write(
        "brands/demo/brand.toml",
        "default = true\n[[page]]\npath = \"/endless\"\n\
         limits = { template_fuel = 1_000_000_000_000_000, wall_ms_max = 600_000 }\n\
         [[page]]\npath = \"/order\"\nlimits = { wall_ms_max = 500 }\n",
    );
    site.write("sluice.toml", "[limits.max]\ntemplate_fuel = 1_000_000_000_000_000\nwall_ms_max = 600_000\n");
    let server = ServerOptions::of(site.path()).start();
    let cookie = get(&server, "/begin").session_cookie().unwrap();
    let visit = |path: &str| Request::get(path).header("cookie", &cookie).send(server.address);
    let threads = std::thread::available_parallelism().unwrap().get();
    let _endless: Vec<_> = (0..=threads).map(|_| send(server.address, "/endless")).collect();
    let refused = |server: &Server| server.metric("sluice_requests_rejected_total", &["reason=\"overload\""]);
    // The first visits may find a thread that is free.
    server.wait_until("renderings take all threads", || {
        let (before, refused_before) = (visit("/orders").body, refused(&server));
        let answer = visit("/order");
        if answer.status == 200 {
            return false;
        }
        assert_eq!((answer.status, answer.header("retry-after").as_deref()), (503, Some("1")));
        assert_eq!(answer.header("set-cookie"), None);
        assert_eq!(visit("/orders").body, before, "the order is not stored");
        assert_eq!(refused(&server), refused_before + 1.0, "operators see the refusal");
        true
    });
}

/// Holds the database so that a call of the script waits for it until its time is up.
#[test]
fn run_that_waits_for_the_database_names_the_line_of_the_call() {
    let page = "<script scope=\"backend\">
  const slug = 'a';
  setCrmField({ slug, referenceId: '1', fieldKey: 'b', value: 1 });
  response.json('saved');
</script>";
    let site = TestSite::with(&[("pages/index.html", page)]);
    site.write("brands/demo/brand.toml", "default = true\n[limits]\nwall_ms_max = 300\n");
    site.write("brands/demo/crm.toml", "[[entity]]\nslug = \"a\"\n");
    let server = Server::start(site.path());
    let database = rusqlite::Connection::open(server.data_dir().join("sluice.db")).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(get(&server, "/").status, 503);
    let run = server.runs("demo", 1).pop().unwrap();
    assert_eq!(run["outcome"], "timeout", "{run}");
    server.wait_told("pages/index.html:3:");
    database.execute_batch("ROLLBACK").unwrap();
    assert_eq!(get(&server, "/").body, "\"saved\"");
}
