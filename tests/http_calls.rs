//! Scripts that call other servers. The servers have the address 127.0.0.9, which the operator of the tests calls
//! private; what must not be reached is tested in the crate `fetch`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use serde_json::{Value, json};

use crate::author_run::{err, out, sluice};
use crate::harness::otlp::OtlpReceiver;
use crate::harness::{Request, ServerOptions, TestSite};

/// A server that scripts may call.
pub(crate) struct Remote {
    pub(crate) address: SocketAddr,
    /// Heads and bodies of the requests.
    requests: Arc<Mutex<Vec<(String, String)>>>,
}

impl Remote {
    /// Answers each request with what `answer` makes of its head and its body.
    pub(crate) fn start(answer: impl Fn(&str, &str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 9), 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let requests: Arc<Mutex<Vec<_>>> = Arc::default();
        let (seen, answer) = (Arc::clone(&requests), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                thread::spawn(move || serve(stream.unwrap(), &seen, answer.as_ref()));
            }
        });
        Self { address, requests }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<(String, String)> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(
    stream: TcpStream,
    seen: &Mutex<Vec<(String, String)>>,
    answer: &(impl Fn(&str, &str) -> String + ?Sized),
) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let body = String::from_utf8(body).unwrap();
        seen.lock().unwrap().push((head.clone(), body.clone()));
        if writer.write_all(answer(&head, &body).as_bytes()).is_err() {
            return;
        }
    }
}

pub(crate) fn response(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

/// A site whose pages may call a server. `URL/` in a page is the server's.
pub(crate) fn site(remote: &Remote, settings: &str, pages: &[(&str, &str)]) -> TestSite {
    let site = TestSite::new();
    let brand =
        format!("default = true\n{settings}\n[http]\nallow = [\"{}\", \"*.example\"]\n", remote.address);
    site.write("brands/demo/brand.toml", &brand);
    for (file, text) in pages {
        site.write(&format!("brands/demo/{file}"), &text.replace("URL/", &format!("{}/", remote.url())));
    }
    site
}

pub(crate) fn options(site: &TestSite) -> ServerOptions {
    ServerOptions::of(site.path()).env("SLUICE_HTTP__PRIVATE_NETWORKS", "[\"127.0.0.9/32\"]")
}

pub(crate) fn page(script: &str) -> String {
    format!("<script scope=\"backend\">\n{script}\n</script>\n")
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn scripts_call_other_servers() {
    let remote = Remote::start(|head, body| match head.split(' ').nth(1).unwrap() {
        "/json" => response(
            "200 OK",
            "content-type: application/json\r\nX-A: 1\r\nset-cookie: a=b\r\n",
            "{\"n\":[1,2]}",
        ),
        "/echo" => response("201 Created", "", body),
        "/moved" => response("302 Found", "location: /json\r\n", ""),
        "/bytes" => response("200 OK", "", "\u{1}\u{7f}"),
        _ => response("404 Not Found", "", "none"),
    });
    let script = r#"
      const got = await fetch("URL/json", { headers: { "X-Own": "1", accept: "application/json" } });
      const posted = await fetch(new URL("URL/echo"), { method: "post", body: JSON.stringify({ a: 1 }), headers: new Headers([["content-type", "application/json"]]) });
      const moved = await fetch("URL/moved");
      const stays = await fetch("URL/moved", { redirect: "manual" });
      const bytes = await (await fetch("URL/bytes")).bytes();
      let again;
      try { await got.json(); await got.text(); } catch (error) { again = String(error); }
      response.json({
        got: [got.ok, got.status, got.statusText, got.url.endsWith("/json"), got.redirected, got.headers.get("X-a"), got.headers.getSetCookie()],
        posted: [posted.status, await posted.json()],
        moved: [moved.redirected, (await moved.json()).n],
        stays: [stays.status, stays.headers.get("location")],
        bytes: [...bytes], again,
      });"#;
    let waits = r#"
      const got = http.get("URL/json");
      const posted = http.post("URL/echo", { a: 1 });
      const text = http.put("URL/echo", "text", { "x-own": "2" });
      const both = http.post("URL/echo", { headers: { "x-own": "3" }, body: "both" });
      const none = http.delete("URL/none");
      response.json({ got, posted: posted.body, text: text.body, both: both.body, none: [none.status, none.body] });"#;
    let pages = [("pages/fetch.html", &*page(script)), ("pages/http.html", &*page(waits))];
    let site = site(&remote, "", &pages);
    let server = options(&site).env("SLUICE_LIMITS__HTTP_CALLS_MAX", "10").start();
    let answer = server.get("localhost", "/fetch");
    assert_eq!(
        json_of(&answer.body),
        json!({
            "got": [true, 200, "OK", true, false, "1", ["a=b"]],
            "posted": [201, { "a": 1 }],
            "moved": [true, [1, 2]],
            "stays": [302, "/json"],
            "bytes": [1, 127],
            "again": "TypeError: Response: the body was read already",
        })
    );
    let requests = remote.requests();
    assert!(requests[0].0.contains("x-own: 1\r\n") && requests[0].0.contains("accept: application/json\r\n"));
    assert!(requests[1].0.contains("content-type: application/json\r\n"), "{}", requests[1].0);
    let answer = server.get("localhost", "/http");
    let mut seen = json_of(&answer.body);
    let got = seen["got"].take();
    assert_eq!((&got["status"], &got["body"]), (&json!(200), &json!("{\"n\":[1,2]}")));
    assert_eq!((&got["headers"]["x-a"], &got["headers"]["set-cookie"]), (&json!("1"), &json!(["a=b"])));
    assert_eq!(
        seen,
        json!({ "got": null, "posted": "{\"a\":1}", "text": "text", "both": "both", "none": [404, "none"] })
    );
    // The log has what operators need, and no path.
    let lines = format!("{:?}", server.wait_told(&format!("GET {}: 200 in ", remote.address)));
    assert!(!lines.contains("/json"), "{lines}");
    server.wait_for_metric(
        "http_client_request_duration_seconds_count",
        &["sluice_brand=\"demo\"", "sluice_status=\"2xx\""],
        7.0,
    );
}

#[test]
fn calls_of_a_run_are_under_way_at_the_same_time() {
    // The server answers none of three calls before it has all of them.
    let all = Barrier::new(3);
    let remote = Remote::start(move |head, _| {
        all.wait();
        response("200 OK", "", head.split(' ').nth(1).unwrap())
    });
    let script = r#"
      const answers = await Promise.all(["a", "b", "c"].map(async (path) => (await fetch("URL/" + path)).text()));
      response.json(answers);"#;
    let site = site(&remote, "", &[("pages/index.html", &page(script))]);
    let server = options(&site).start();
    assert_eq!(server.get("localhost", "/").body, "[\"/a\",\"/b\",\"/c\"]");
}

#[test]
fn refused_calls_and_quotas_throw_what_to_do() {
    let remote = Remote::start(|_, _| response("200 OK", "", &"a".repeat(101)));
    let script = r#"
      const tried = [];
      const attempt = async (call) => {
        try { await call(); tried.push("done"); } catch (error) { tried.push(String(error)); }
      };
      await attempt(() => fetch("https://other.test/"));
      await attempt(() => http.get("http://127.0.0.1/"));
      await attempt(() => fetch("URL/", { headers: { host: "evil" } }));
      await attempt(() => fetch("URL/", { method: "GET", body: "x" }));
      await attempt(() => fetch("URL/", { body: {}, method: "POST" }));
      await attempt(() => fetch("URL/"));
      await attempt(() => http.post("URL/", "x".repeat(11)));
      await attempt(() => fetch("URL/"));
      response.json(tried);"#;
    let site = site(
        &remote,
        "[limits]\nhttp_calls_max = 6\nhttp_request_bytes_max = 10\nhttp_response_bytes_max = 100",
        &[("pages/index.html", &page(script))],
    );
    let server = options(&site).start();
    let tried = json_of(&server.get("localhost", "/").body);
    let expected = [
        "TypeError: fetch: other.test is not allowed: add it to `allow` in `[http]` of brand.toml",
        "TypeError: http.get: 127.0.0.1 is not allowed: add it to `allow` in `[http]` of brand.toml",
        "TypeError: fetch: the header host cannot be set: the host sends it itself, or it would change the connection",
        "TypeError: fetch: a GET request cannot have a body",
        "TypeError: fetch: the body must be a string, bytes or URLSearchParams; for JSON, use JSON.stringify",
        "RangeError: fetch: the response of 127.0.0.9 is larger than 100 bytes (http_response_bytes_max)",
        "RangeError: http.post: the body of a request may have 10 bytes (http_request_bytes_max)",
        "RangeError: fetch: a run may make 6 calls (http_calls_max)",
    ];
    assert_eq!(tried, json!(expected));
}

#[test]
fn a_script_sees_that_there_was_no_answer() {
    let free = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 9), 0)).unwrap();
    let nobody = free.local_addr().unwrap();
    drop(free);
    let remote = Remote { address: nobody, requests: Arc::default() };
    let script = r#"
      const answer = http.get("URL/");
      let thrown;
      try { await fetch("URL/"); } catch (error) { thrown = String(error); }
      response.json([answer, thrown]);"#;
    let site = site(&remote, "", &[("pages/index.html", &page(script))]);
    let server = options(&site).start();
    let error = "127.0.0.9 cannot be reached: connection refused";
    assert_eq!(
        json_of(&server.get("localhost", "/").body),
        json!([{ "status": 0, "headers": {}, "body": "", "error": error }, format!("TypeError: fetch: {error}")])
    );
}

#[test]
fn a_call_ends_at_its_time_and_with_its_run() {
    let (closed, is_closed) = std::sync::mpsc::channel();
    let closed = Mutex::new(closed);
    let remote = Remote::start(move |_, _| {
        closed.lock().unwrap().send(()).unwrap();
        loop {
            thread::park();
        }
    });
    let signal = r#"
      let thrown;
      try { await fetch("URL/", { signal: AbortSignal.timeout(50) }); } catch (error) { thrown = [error.name, error.message]; }
      response.json(thrown);"#;
    let quota = r#"response.json(http.get("URL/").error);"#;
    let forgotten = r#"fetch("URL/"); setVariable("a", 1);"#;
    let pages = [
        ("pages/signal.html", &*page(signal)),
        ("pages/quota.html", &*page(quota)),
        ("pages/forgotten.html", &*(page(forgotten) + "shown")),
        ("pages/late.html", &*page("\nhttp.get(\"URL/\");\nfor (;;) {}")),
    ];
    let settings =
        "[limits]\nhttp_wall_ms_max = 300\n[[page]]\npath = \"/late\"\nlimits = { wall_ms_max = 100 }";
    let site = site(&remote, settings, &pages);
    let server = options(&site).start();
    assert_eq!(
        json_of(&server.get("localhost", "/signal").body),
        json!(["TimeoutError", "fetch: 127.0.0.9 did not answer within 50 ms"])
    );
    assert_eq!(
        server.get("localhost", "/quota").body,
        "\"127.0.0.9 did not answer within 300 ms (http_wall_ms_max)\""
    );
    let answer = server.get("localhost", "/forgotten");
    assert!(answer.body.contains("shown"), "{}", answer.body);
    server.wait_told("write `await` before `fetch`");
    // A run whose time ends meanwhile is stopped at the line that waits. This host is not the cause.
    assert_eq!(server.get("localhost", "/late").status, 500);
    let told = format!("{:?}", server.wait_told("the run took longer than 100 ms"));
    assert!(told.contains("pages/late.html:3"), "{told}");
    drop(is_closed);
}

#[test]
fn pages_are_served_while_runs_wait_for_a_slow_server() {
    let (arrived, has_arrived) = std::sync::mpsc::channel();
    let (arrived, is_first) = (Mutex::new(arrived), Mutex::new(true));
    let remote = Remote::start(move |_, _| {
        if !std::mem::take(&mut *is_first.lock().unwrap()) {
            arrived.lock().unwrap().send(()).unwrap();
            loop {
                thread::park();
            }
        }
        response("200 OK", "", "")
    });
    let slow = r#"response.json(http.get("URL/").status);"#;
    let stored = r#"session.set("n", (session.get("n") ?? 0) + 1); response.json(session.get("n"));"#;
    let pages = [
        ("pages/slow.html", &*page(slow)),
        ("pages/plain.html", &*page("response.json(1);")),
        ("pages/stored.html", &*page(stored)),
    ];
    let site = site(&remote, "[limits]\nhttp_wall_ms_max = 60_000\nwall_ms_max = 60_000", &pages);
    let server = options(&site).env("SLUICE_LIMITS__MAX__CONCURRENT_RUNS", "8").start();
    // From its first run on, a page is known to wait for servers.
    assert_eq!(server.get("localhost", "/slow").body, "200");
    let waiting: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address).unwrap();
            stream.write_all(b"GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
            stream
        })
        .collect();
    for _ in 0..4 {
        has_arrived.recv().unwrap();
    }
    server.wait_for_metric("sluice_sandbox_waiting", &[], 190.0);
    for _ in 0..5 {
        assert_eq!(server.get("localhost", "/plain").body, "1");
        assert_eq!(server.get("localhost", "/stored").body, "1");
    }
    let health = Request::get("/healthz").send(server.admin_address);
    assert_eq!(health.status, 200);
    // A run that waits has a sandbox, and neither a thread nor a connection of the database.
    assert!(server.metric("sluice_sandbox_running", &[]) >= 4.0);
    drop(waiting);
}

#[test]
fn proxies_of_the_environment_are_not_used() {
    let proxy = Remote::start(|_, _| response("200 OK", "", "from the proxy"));
    let remote = Remote::start(|_, _| response("200 OK", "", "from the server"));
    let site = site(&remote, "", &[("pages/index.html", &page("response.json(http.get(\"URL/\").body);"))]);
    let mut options = options(&site);
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        options = options.env(name, &proxy.url());
    }
    let server = options.start();
    assert_eq!(server.get("localhost", "/").body, "\"from the server\"");
    assert_eq!(proxy.requests().len(), 0);
}

#[test]
fn a_hidden_secret_is_sent_and_never_seen() {
    const SECRET: &str = "s3cr3t-of-stripe-9f8e";
    let remote = Remote::start(|_, _| response("200 OK", "", "paid"));
    let script = r#"
      const key = secrets.ref("STRIPE_KEY");
      console.log(key, secrets.get("STRIPE_KEY"), secrets.get("stripe_key"));
      const paid = await fetch("URL/pay?x=1", { headers: { authorization: `Bearer ${key}` } });
      let refused;
      try { await fetch("https://other.example/", { headers: { authorization: key } }); } catch (error) { refused = String(error); console.error(error); }
      let missing;
      try { secrets.ref("NONE"); } catch (error) { missing = String(error); }
      setVariable("shown", key);
      response.json([await paid.text(), refused, missing, request, key]);"#;
    let settings = format!("[secrets.STRIPE_KEY]\nhosts = [\"{}\"]", remote.address);
    let site = site(&remote, &settings, &[("pages/index.html", &page(script))]);
    let receiver = OtlpReceiver::start();
    let server = options(&site)
        .env("SLUICE_SECRET_DEMO_STRIPE_KEY", SECRET)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint())
        .start();
    let answer = server.get("localhost", "/");
    let seen = json_of(&answer.body);
    assert_eq!(seen[0], "paid", "{seen}");
    assert_eq!(
        seen[1],
        "TypeError: fetch: the secret STRIPE_KEY may not be sent to other.example: `[secrets.STRIPE_KEY] hosts` in \
         brand.toml does not name it"
    );
    assert!(
        seen[2].as_str().unwrap().starts_with("TypeError: secrets.ref: there is no secret \"NONE\""),
        "{seen}"
    );
    let requests = remote.requests();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].0.contains(&format!("authorization: Bearer {SECRET}\r\n")), "{}", requests[0].0);
    // Wherever somebody could look.
    let runs = server.runs("demo", 1);
    let console = server.admin("/api/v1/brands/demo/runs").body;
    let log = format!("{:?}", server.log_entries(&[]));
    server
        .wait_until("the spans arrive", || format!("{:?}", receiver.received().spans).contains("http.call"));
    let traces = format!("{:?}", receiver.received());
    for (place, text) in [
        ("the response", answer.body),
        ("the runs", format!("{runs:?}")),
        ("the console", console),
        ("the log", log),
        ("the traces", traces),
    ] {
        assert!(!text.contains(SECRET), "{place} has the secret");
        assert!(place == "the response" || !text.contains("/pay"), "{place} has the path");
    }
    server.wait_told("scripts cannot read STRIPE_KEY");
}

#[test]
fn tests_of_authors_pretend_servers() {
    let remote = Remote::start(|_, _| response("200 OK", "", "must not be called"));
    let login = r#"
      const token = "t0k3n";
      const sent = http.post("https://mail.example/send", { to: request.body.email, link: `/login?token=${token}` }, { authorization: "Bearer x" });
      response.json(sent);"#;
    let test = r#"
      test("sends a link", () => {
        http.fake("https://mail.example/*", { status: 202, body: { queued: true } });
        const answer = visit("/", { json: { email: "ann@example.com" } });
        expect(answer.json()).toMatchObject({ status: 202, body: '{"queued":true}' });
        const [call] = http.calls();
        expect(call).toMatchObject({ method: "POST", url: "https://mail.example/send" });
        expect(call.headers.authorization).toBe("Bearer x");
        expect(JSON.parse(call.body).link).toBe("/login?token=t0k3n");
      });
      test("says that the mail service is down", () => {
        http.fake("https://mail.example/send", { error: "connection refused" });
        expect(visit("/", { json: { email: "a@b" } }).json()).toMatchObject({ status: 0 });
      });
      test("has no fakes of another test", () => {
        expect(http.calls()).toEqual([]);
        const answer = visit("/", { json: { email: "a@b" } });
        expect(answer.failure.message).toMatch("a test calls no server");
      });
      test("may not call what brand.toml does not allow", () => {
        http.fake("*", {});
        expect(() => http.get("https://other.test/")).toThrow("other.test is not allowed");
      });"#;
    let site = site(&remote, "", &[("pages/index.html", &page(login)), ("pages/index.test.js", test)]);
    let run = sluice(site.path(), &["test"]).output().unwrap();
    assert!(run.status.success(), "{}{}", out(&run), err(&run));
}

#[test]
fn run_makes_calls_unless_it_is_offline() {
    let remote = Remote::start(|_, _| response("200 OK", "", "called"));
    let site = site(&remote, "", &[("pages/index.html", &page("response.json(http.get(\"URL/\").body);"))]);
    // A private network that the site itself names does not count.
    site.write("sluice.toml", "[http]\nprivate_networks = [\"127.0.0.0/8\"]\n");
    let refused = sluice(site.path(), &["run", "/"]).output().unwrap();
    assert!(
        out(&refused).contains("its address is not public (loopback)"),
        "{}{}",
        out(&refused),
        err(&refused)
    );
    let offline = sluice(site.path(), &["run", "/", "--offline"]).output().unwrap();
    assert!(
        out(&offline).contains("calls to other servers are switched off (--offline)"),
        "{}",
        out(&offline)
    );
    assert_eq!(remote.requests().len(), 0);
}
