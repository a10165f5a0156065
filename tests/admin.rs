//! The admin listener: access control and the JSON API.

mod changes;
mod commands;
mod entries;
mod failures;
mod limits;
mod operators;
mod reload_changes;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::crm::jobs::park_two;
use crate::harness::{ADMIN_TOKEN, Answer, Request, Server, ServerOptions, TestSite};

/// Brands `shop` (the default) and `other`, each with a page that fails.
fn site() -> TestSite {
    let site = TestSite::new();
    for (brand, settings) in
        [("shop", "# Ours.\ndefault = true\n"), ("other", "domains = [\"other.test\"]\n")]
    {
        site.write(&format!("brands/{brand}/brand.toml"), settings);
        site.write(
            &format!("brands/{brand}/pages/{brand}.html"),
            &format!("<script scope=\"backend\">console.log('of {brand}'); throw new Error('{brand} broke')</script>"),
        );
    }
    site
}

fn json(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

fn put(path: &str, body: &Value) -> Request {
    Request::new("PUT", path).header("content-type", "application/json").body(body.to_string().as_bytes())
}

fn set_fuel(value: u64) -> Value {
    json!({"page": "/shop", "limit": "fuel", "value": value})
}

/// All requests that need the token.
const CLOSED: [(&str, &str); 12] = [
    ("GET", "/"),
    ("GET", "/brands/shop"),
    ("GET", "/brands/shop/page?path=/shop"),
    ("GET", "/brands/shop/runs"),
    ("GET", "/brands/shop/runs/1"),
    ("POST", "/brands/shop/limits"),
    ("POST", "/logout"),
    ("GET", "/api/overview"),
    ("GET", "/api/brands/shop/pages"),
    ("GET", "/api/brands/shop/runs/1"),
    ("PUT", "/api/brands/shop/limits"),
    ("DELETE", "/anything"),
];

#[test]
fn rejects_every_request_without_the_token() {
    let site = site();
    let server = Server::start(site.path());
    let before = std::fs::read_to_string(site.brand_dir("shop").join("brand.toml")).unwrap();
    let body = b"page=/shop&limit=fuel&value=5";
    for (method, path) in CLOSED {
        for credentials in ["", "Bearer wrong", "Bearer ", "Basic YTpi"] {
            let request = Request::new(method, path).header("authorization", credentials);
            let request = if method == "GET" {
                request
            } else {
                request.header("content-type", "application/x-www-form-urlencoded").body(body)
            };
            let answer = request.send(server.admin_address);
            // 429: too many wrong tokens.
            assert!(
                matches!(answer.status, 401 | 303 | 429),
                "{method} {path} {credentials}: {}",
                answer.status
            );
            assert!(!answer.body.contains("shop"), "{path} {}", answer.body);
        }
        let made_up = Request::new(method, path).header("cookie", "sluice_console=99999999999.00");
        assert!(matches!(made_up.send(server.admin_address).status, 401 | 303), "{method} {path}");
    }
    assert_eq!(std::fs::read_to_string(site.brand_dir("shop").join("brand.toml")).unwrap(), before);
    for open in ["/healthz", "/readyz", "/metrics", "/login"] {
        assert_eq!(Request::get(open).send(server.admin_address).status, 200, "{open}");
    }
}

#[test]
fn visitors_port_does_not_serve_the_admin_api() {
    let site = site();
    let server = Server::start(site.path());
    for path in
        ["/api/overview", "/login", "/metrics", "/readyz", "/healthz", "/brands/shop", "/assets/console.js"]
    {
        let answer = Request::get(path).operator().send(server.address);
        assert_eq!(answer.status, 404, "{path}");
    }
}

#[test]
fn rejects_foreign_hosts_and_origins() {
    let site = site();
    let server = ServerOptions::of(site.path()).env("SLUICE_ADMIN__HOSTS", "[\"ops.example\"]").start();
    let ask = |host: &str, path: &str| Request::get(path).operator().host(host).send(server.admin_address);
    for path in ["/healthz", "/metrics", "/api/overview", "/login"] {
        assert_eq!(ask("rebound.example", path).status, 421, "{path}");
        assert_eq!(ask("ops.example:9090", path).status, 200, "{path}");
    }
    let change = |origin: &str| {
        put("/api/brands/shop/limits", &set_fuel(5_000_000)).operator().header("origin", origin)
    };
    for origin in ["http://evil.example", "null", "https://localhost.evil.example"] {
        assert_eq!(change(origin).send(server.admin_address).status, 403, "{origin}");
    }
    assert_eq!(change("http://localhost").send(server.admin_address).status, 200);
}

#[test]
fn console_cookie_is_protected_and_needs_an_origin() {
    let site = site();
    let server = Server::start(site.path());
    let form = |path: &str, body: &str| {
        Request::new("POST", path)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.as_bytes())
    };
    let login = form("/login", &format!("token={ADMIN_TOKEN}")).header("origin", "http://localhost");
    let login = login.send(server.admin_address);
    assert_eq!((login.status, login.header("location").as_deref()), (303, Some("/")));
    let cookie = login.header("set-cookie").unwrap();
    assert!(cookie.contains("; HttpOnly; SameSite=Strict") && !cookie.contains(ADMIN_TOKEN), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let page = Request::get("/").header("cookie", &cookie).send(server.admin_address);
    assert_eq!(page.status, 200);
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'self'"));
    assert_eq!(page.header("x-frame-options").as_deref(), Some("DENY"));

    let set = || form("/brands/shop/limits", "page=/shop&limit=fuel&value=5000000").header("cookie", &cookie);
    assert_eq!(set().send(server.admin_address).status, 403, "no Origin");
    assert_eq!(set().header("origin", "http://evil.example").send(server.admin_address).status, 403);
    assert_eq!(set().header("origin", "http://localhost").send(server.admin_address).status, 303);

    let logout = form("/logout", "").header("cookie", &cookie).header("origin", "http://localhost");
    assert_eq!(logout.send(server.admin_address).status, 303);
    let copied = Request::get("/api/overview").header("cookie", &cookie).send(server.admin_address);
    assert_eq!(copied.status, 401, "a copy of the cookie is invalid after the logout");

    let wrong = form("/login", "token=wrong").header("origin", "http://localhost").send(server.admin_address);
    assert_eq!((wrong.status, wrong.header("set-cookie")), (401, None));
}

fn log_in(token: &str) -> Request {
    Request::new("POST", "/login")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("origin", "http://localhost")
        .body(format!("token={token}").as_bytes())
}

#[test]
fn throttles_wrong_tokens_without_locking_operators_out() {
    let site = site();
    site.write("sluice.toml", "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n");
    let server = Server::start(site.path());
    let from =
        |request: Request, client: &str| request.header("x-forwarded-for", client).send(server.admin_address);
    let api = |token: &str| Request::get("/api/overview").header("authorization", &format!("Bearer {token}"));
    let session = from(log_in(ADMIN_TOKEN), "192.0.2.1").header("set-cookie").unwrap();
    let session = session.split(';').next().unwrap().to_owned();
    for number in 0..10 {
        let wrong = if number % 2 == 0 { api("wrong") } else { log_in("wrong") };
        assert_eq!(from(wrong, "192.0.2.1").status, 401);
    }
    // Not even the right token is looked at now, so that guessing stays slow.
    for attempt in [api(ADMIN_TOKEN), log_in(ADMIN_TOKEN), api("wrong")] {
        let answer = from(attempt, "192.0.2.1");
        assert_eq!((answer.status, answer.header("set-cookie")), (429, None));
        let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=7).contains(&seconds), "{seconds}");
    }
    // The operator's session continues, and others are not affected.
    let page = Request::get("/").header("cookie", &session);
    assert_eq!(from(page, "192.0.2.1").status, 200);
    assert_eq!(from(api(ADMIN_TOKEN), "192.0.2.2").status, 200);
    // Many clients together are slowed down, but not an address that had the right token before.
    for number in 0..100 {
        from(api("wrong"), &format!("198.51.100.{number}"));
    }
    assert_eq!(from(api(ADMIN_TOKEN), "192.0.2.2").status, 200);
    // One line stands for all of them.
    let lines = server.wait_told("a wrong token was sent to the admin listener");
    assert!(lines.len() < 20, "{} lines", lines.len());
    assert!(!format!("{lines:?}").contains("Bearer"), "{lines:?}");
    // It is over by itself.
    server.wait_until("an attempt is allowed again", || from(api(ADMIN_TOKEN), "192.0.2.1").status == 200);
}

#[test]
fn console_sessions_are_secure_over_https_and_end_for_good() {
    let site = site();
    site.write("sluice.toml", "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n");
    let data = tempfile::tempdir().unwrap();
    let start = || ServerOptions::of(site.path()).data(data.path()).start();
    let mut server = start();
    let cookie_of = |server: &Server, scheme: &str| {
        let login = log_in(ADMIN_TOKEN).header("x-forwarded-proto", scheme);
        login.send(server.admin_address).header("set-cookie").unwrap()
    };
    assert!(cookie_of(&server, "https").ends_with("; HttpOnly; SameSite=Strict; Secure"));
    assert!(cookie_of(&server, "http").ends_with("; HttpOnly; SameSite=Strict"));
    let session = |server: &Server| cookie_of(server, "http").split(';').next().unwrap().to_owned();
    // Even in one second, each login has its own session.
    let (one, other) = (session(&server), session(&server));
    assert_ne!(one, other);
    let status = |server: &Server, session: &str| {
        Request::get("/api/overview").header("cookie", session).send(server.admin_address).status
    };
    let logout = Request::new("POST", "/logout")
        .header("cookie", &one)
        .header("origin", "http://localhost")
        .header("x-forwarded-proto", "https")
        .send(server.admin_address);
    assert!(logout.header("set-cookie").unwrap().ends_with("; Max-Age=0; HttpOnly; SameSite=Strict; Secure"));
    assert_eq!((status(&server, &one), status(&server, &other)), (401, 200));
    assert!(server.terminate().success());
    let server = start();
    assert_eq!((status(&server, &one), status(&server, &other)), (401, 200), "after a restart");
}

#[test]
fn api_reports_errors_as_json() {
    let site = site();
    let server = Server::start(site.path());
    for (request, status) in [
        (Request::get("/api/overview?hours=abc").operator(), 400),
        (Request::get("/api/brands/shop/page").operator(), 400),
        (Request::get("/api/brands/shop/runs?limit=abc").operator(), 400),
        (Request::get("/api/brands/shop/runs/abc").operator(), 404),
        (Request::new("POST", "/api/brands/shop/jobs/abc/retry").operator(), 404),
        (
            Request::new("PUT", "/api/brands/shop/limits")
                .operator()
                .header("content-type", "application/json")
                .body(b"{"),
            400,
        ),
        (Request::get("/api/overview").host("evil.example").operator(), 421),
        (Request::new("POST", "/api/reload").operator().header("origin", "http://evil.example"), 403),
        (Request::get("/api/overview"), 401),
    ] {
        let answer = request.send(server.admin_address);
        let told = serde_json::from_str::<Value>(&answer.body).unwrap_or_default();
        assert!(told["error"].is_string(), "{status}: {}", answer.body);
        assert_eq!(answer.status, status, "{}", answer.body);
    }
}

#[test]
fn api_separates_brands() {
    let site = site();
    let server = Server::start(site.path());
    server.get("localhost", "/shop");
    server.get("other.test", "/other");
    server.wait_for_metric("sluice_execution_log_runs_total", &["result=\"written\""], 2.0);
    for (brand, other) in [("shop", "other"), ("other", "shop")] {
        let runs = json(&server.admin(&format!("/api/brands/{brand}/runs")));
        assert_eq!(runs.as_array().unwrap().len(), 1);
        assert_eq!(runs[0]["console"][0]["text"], format!("of {brand}"));
        let id = &runs[0]["id"];
        assert_eq!(json(&server.admin(&format!("/api/brands/{brand}/runs/{id}")))["brand"], brand);
        for path in [
            format!("/api/brands/{other}/runs/{id}"),
            format!("/brands/{other}/runs/{id}"),
            format!("/api/brands/{other}/page?path=/{brand}"),
            format!("/api/brands/{other}/limits?path=/{brand}"),
            format!("/api/brands/{other}/runs?page=/{brand}"),
        ] {
            let answer = server.admin(&path);
            assert_eq!(answer.status, 404, "{path}");
            assert!(!answer.body.contains("broke"), "{path}");
        }
        let pages = server.admin(&format!("/api/brands/{brand}/pages")).body;
        assert!(pages.contains(&format!("pages/{brand}.html")) && !pages.contains(&format!("{other}.html")));
    }
    assert_eq!(server.admin("/api/brands/nobody/pages").status, 404);
}

#[test]
fn reload_that_fails_names_the_invalid_file() {
    let site = site();
    let server = Server::start(site.path());
    site.write("sluice.toml", "[serverr]\n");
    let answer = Request::new("POST", "/api/reload").operator().send(server.admin_address);
    assert_eq!(answer.status, 409, "{}", answer.body);
    assert!(answer.body.contains("sluice.toml") && answer.body.contains("serverr"), "{}", answer.body);
}

#[test]
fn creates_the_token_once_and_logs_its_file() {
    let site = site();
    let data = tempfile::tempdir().unwrap();
    let start = || ServerOptions::of(site.path()).env_remove("SLUICE_ADMIN__TOKEN").data(data.path()).start();
    let file = data.path().join("admin.token");
    let ask = |server: &Server| {
        let token = std::fs::read_to_string(&file).unwrap();
        let request = Request::get("/api/overview").header("authorization", &format!("Bearer {token}"));
        request.send(server.admin_address).status
    };
    let server = start();
    assert_eq!(ask(&server), 200);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let named = server.wait_log_entries(&[("file", file.to_str().unwrap())], 1);
    assert_eq!(named.len(), 1);
    assert!(
        !format!("{named:?}").contains(&std::fs::read_to_string(&file).unwrap()),
        "the token is not logged"
    );
    drop(server);
    assert_eq!(ask(&start()), 200);
}

#[test]
fn probes_can_have_their_own_address() {
    let site = site();
    let server = ServerOptions::of(site.path()).env("SLUICE_ADMIN__PROBES", "127.0.0.1:0").start();
    let told = server.wait_told("probes and metrics are also served on this address");
    let address: SocketAddr = told[0]["fields"]["address"].as_str().unwrap().parse().unwrap();
    for (path, status) in [
        ("/healthz", 200),
        ("/readyz", 200),
        ("/metrics", 200),
        ("/login", 404),
        ("/api/overview", 404),
        ("/", 404),
    ] {
        // Probes use the IP address, so every Host is allowed.
        let answer = Request::get(path).operator().host("10.1.2.3:9091").send(address);
        assert_eq!(answer.status, status, "{path}");
    }
}

#[test]
fn retries_and_drops_only_jobs_of_the_named_brand() {
    let site = TestSite::with(&[("pages/index.html", "here")]);
    site.write("brands/other/brand.toml", "domains = [\"other.test\"]\n");
    let data = tempfile::tempdir().unwrap();
    let [first, second] = park_two(data.path())[..] else { panic!("two jobs must be parked") };
    let server = ServerOptions::of(site.path()).data(data.path()).start();
    let jobs = |brand: &str| json(&server.admin(&format!("/api/brands/{brand}/jobs")));
    let act = |path: &str| Request::new("POST", path).operator().send(server.admin_address);
    let parked = jobs("demo");
    assert_eq!(parked.as_array().unwrap().len(), 2);
    assert_eq!((&parked[0]["id"], &parked[0]["state"]), (&json!(first), &json!("parked")));
    assert_eq!(jobs("other"), json!([]));
    server.wait_for_metric("sluice_jobs", &["state=\"parked\""], 2.0);

    for action in ["retry", "drop"] {
        assert_eq!(act(&format!("/api/brands/other/jobs/{first}/{action}")).status, 404, "{action}");
        assert_eq!(json(&act(&format!("/api/brands/other/jobs/parked/{action}")))["jobs"], 0);
    }
    assert_eq!(act(&format!("/api/brands/demo/jobs/{first}/mend")).status, 404);
    assert_eq!(jobs("demo").as_array().unwrap().len(), 2, "the jobs are unchanged");
    assert_eq!(act(&format!("/api/brands/demo/jobs/{first}/drop")).status, 200);
    assert_eq!(act(&format!("/api/brands/demo/jobs/{second}/retry")).status, 200);
    // The entry is still missing, so the job is parked again.
    server.wait_until("it has been tried", || {
        let left = jobs("demo");
        left.as_array().unwrap().len() == 1 && left[0]["state"] == "parked" && left[0]["is_late"] == true
    });
    assert_eq!(json(&act("/api/brands/demo/jobs/parked/drop"))["jobs"], 1);
    assert_eq!(jobs("demo"), json!([]));
}

#[test]
fn api_shows_only_the_brands_own_crm_data() {
    let site = TestSite::new();
    for brand in ["one", "two"] {
        site.write(&format!("brands/{brand}/brand.toml"), &format!("domains = [\"{brand}.test\"]\n"));
        site.write(
            &format!("brands/{brand}/crm.toml"),
            "[[entity]]\nslug = 'leads'\nvisible_to_team_ids = [1]\n[[entity.field]]\nkey = 'of'\ntype = 'tel'\n\
             options = { a = 1 }\nui_editable = false\n",
        );
        site.write(
            &format!("brands/{brand}/pages/index.html"),
            &format!(
                "<script scope=\"backend\">setCrmField({{ slug: 'leads', referenceId: request.query.id, fieldKey: 'of', value: '{brand}' }})</script>"
            ),
        );
    }
    let server = Server::start(site.path());
    for n in 0..52 {
        server.get("one.test", &format!("/?id={n}"));
    }
    server.get("two.test", "/?id=7");
    let entries =
        |brand: &str, query: &str| json(&server.admin(&format!("/api/brands/{brand}/crm/leads{query}")));
    let entity = json(&server.admin("/api/brands/two/crm"))[0].clone();
    assert_eq!((&entity["slug"], &entity["visible_to_team_ids"]), (&json!("leads"), &json!([1])));
    let field = json!({"key": "of", "label": "of", "type": "tel", "options": {"a": 1}, "ui_editable": false});
    assert_eq!(entity["fields"], json!([field]));
    let of_two = entries("two", "");
    assert_eq!((of_two.as_array().unwrap().len(), &of_two[0]["values"]["of"]), (1, &json!("two")));
    // Two pages show each entry once. Entries of different references that were made in the same
    // millisecond stand in any order, so only the ids tell what is newer.
    let newest = entries("one", "");
    let newest = newest.as_array().unwrap();
    let older = entries("one", &format!("?before={}", newest[49]["id"].as_str().unwrap()));
    let older = older.as_array().unwrap();
    assert_eq!((newest.len(), older.len()), (50, 2));
    let of_all = |key: &str| -> Vec<String> {
        newest.iter().chain(older).map(|entry| entry[key].as_str().unwrap().to_owned()).collect()
    };
    assert!(of_all("id").is_sorted_by(|newer, older| newer > older));
    let mut references: Vec<u32> = of_all("reference_id").iter().map(|id| id.parse().unwrap()).collect();
    references.sort_unstable();
    assert_eq!(references, (0..52).collect::<Vec<_>>());
    let id = of_two[0]["id"].as_str().unwrap();
    let one = |brand: &str| server.admin(&format!("/api/brands/{brand}/crm/leads/{id}"));
    assert_eq!((one("one").status, one("two").status), (404, 200));
    assert_eq!(json(&one("two"))["stage_history"], json!([]));
    assert_eq!(server.admin("/api/brands/one/crm/nothing").status, 404);
    assert_eq!(server.admin("/api/brands/one/crm/leads?before=x").status, 400);
}
