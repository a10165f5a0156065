//! Pages with `cache`: an answer is kept for other visitors only if it cannot depend on the visitor.

mod bounds;
mod hosts;
mod visitors;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::harness::{Answer, Request, Server, ServerOptions, TestSite};
use crate::http_calls::{Remote, response};

/// A brand.toml with one cached page.
fn cached(path: &str, settings: &str) -> String {
    format!("default = true\n[[page]]\npath = \"{path}\"\ncache = {{ {settings} }}\n")
}

/// A page whose answers differ from run to run. Time may be cached: that is what `ttl` is for.
const NOW: &str = "<script scope=\"backend\">
    const end = Date.now() + 2;
    while (Date.now() < end) {}
    setVariable('now', Date.now());
</script><p>{{ var.now }} {{ request.path }} {{ request.query.q }}</p>";

fn start(site: &TestSite) -> Server {
    ServerOptions::of(site.path()).start()
}

/// How many requests for cached pages had this result.
fn count(server: &Server, result: &str) -> f64 {
    server.metric("sluice_page_cache_requests_total", &[&format!("result=\"{result}\"")])
}

fn runs(server: &Server) -> f64 {
    server.metric("sluice_runs_total", &[])
}

fn get(server: &Server, path: &str) -> Answer {
    server.get("localhost", path)
}

#[test]
fn answer_is_served_again_without_a_run() {
    let site = TestSite::with(&[("pages/index.html", NOW), ("brand.toml", &cached("/", "ttl = \"1h\""))]);
    let server = start(&site);
    let first = get(&server, "/");
    assert_eq!(first.status, 200, "{first:?}");
    assert_eq!(first.header("age"), None);
    assert_eq!(first.header("cache-control").as_deref(), Some("no-cache"));
    thread::sleep(Duration::from_secs(1));
    let again = get(&server, "/");
    assert_eq!(again.body, first.body);
    assert!(again.header("age").unwrap().parse::<u32>().unwrap() >= 1, "{again:?}");
    let etag = first.header("etag").unwrap();
    assert!(etag.starts_with("W/\"") && again.header("etag").as_ref() == Some(&etag), "{etag}");
    assert_eq!((runs(&server), count(&server, "miss"), count(&server, "hit")), (1.0, 1.0, 1.0));
    let known = Request::get("/").header("if-none-match", &etag).send(server.address);
    assert_eq!((known.status, known.body.as_str()), (304, ""));
    assert_eq!(known.header("etag"), Some(etag));
    let head = Request::new("HEAD", "/").send(server.address);
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.header("content-length"), Some(first.body.len().to_string()));
    let part = Request::get("/").header("range", "bytes=0-4").send(server.address);
    assert_eq!((part.status, part.bytes.as_slice()), (206, &first.bytes[..5]));
    assert_eq!(part.header("content-range"), Some(format!("bytes 0-4/{}", first.body.len())));
    let outside = Request::get("/").header("range", "bytes=9999-").send(server.address);
    assert_eq!(outside.status, 416);
    assert_eq!(runs(&server), 1.0);
}

#[test]
fn every_part_of_the_key_has_its_own_answer() {
    let settings = "ttl = \"1h\", vary = [\"accept-language\"]";
    let page = format!("{NOW}{{{{ request.headers['accept-language'] }}}}");
    let toml = cached("/p/{slug}", settings);
    let site = TestSite::with(&[("pages/p/{slug}.html", &page), ("brand.toml", &toml)]);
    let server =
        ServerOptions::of(site.path()).env("SLUICE_SERVER__TRUSTED_PROXIES", "[\"127.0.0.1\"]").start();
    let ask = |path: &str, host: &str, headers: &[(&str, &str)]| {
        let request = Request::get(path).host(host);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        request.send(server.address).body
    };
    let answers = || {
        vec![
            ask("/p/a", "one", &[]),
            ask("/p/b", "one", &[]),
            ask("/p/a", "two", &[]),
            ask("/p/a?q=1", "one", &[]),
            ask("/p/a?q=2", "one", &[]),
            ask("/p/a?q=1&r", "one", &[]),
            ask("/p/a", "one", &[("accept-language", "de")]),
            ask("/p/a", "one", &[("accept-language", "en")]),
            ask("/p/a", "one", &[("x-forwarded-proto", "https")]),
        ]
    };
    let first = answers();
    assert_eq!(runs(&server), 9.0);
    assert_eq!(answers(), first);
    assert_eq!(runs(&server), 9.0);
    assert!(first[6].ends_with("de") && first[7].ends_with("en"), "{first:?}");
    let varied = Request::get("/p/a").host("one").send(server.address);
    assert_eq!(varied.header("vary").as_deref(), Some("accept-language"));
    // Headers that are not in the key make no difference.
    let visitor =
        [("user-agent", "x"), ("referer", "http://x/"), ("cookie", "a=b"), ("x-forwarded-for", "9.9.9.9")];
    assert_eq!(ask("/p/a", "one", &visitor), first[0]);
    // Other methods bypass the cache.
    for _ in 0..2 {
        assert_eq!(Request::new("POST", "/p/a").host("one").send(server.address).status, 200);
    }
    assert_eq!(runs(&server), 11.0);
}

#[test]
fn one_run_makes_the_answer_for_all_who_ask_at_once() {
    let remote = Remote::start(|_, _| {
        thread::sleep(Duration::from_millis(300));
        response("200 OK", "", "done")
    });
    let slow = format!(
        "<script scope=\"backend\">
           const text = await (await fetch('{}/')).text();
           response.send(text + ' ' + Date.now());
         </script>",
        remote.url()
    );
    let allowed = format!("{}[http]\nallow = [\"{}\"]\n", cached("/", "ttl = \"1h\""), remote.address);
    let site = TestSite::with(&[("pages/index.html", &slow), ("brand.toml", &allowed)]);
    let private = "[\"127.0.0.9/32\"]";
    let server = ServerOptions::of(site.path()).env("SLUICE_HTTP__PRIVATE_NETWORKS", private).start();
    let answers: Vec<String> = thread::scope(|scope| {
        let clients: Vec<_> = (0..20).map(|_| scope.spawn(|| get(&server, "/").body)).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|answer| *answer == answers[0] && answer.starts_with("done")), "{answers:?}");
    assert_eq!((runs(&server), count(&server, "miss"), count(&server, "hit")), (1.0, 1.0, 19.0));
}

#[test]
fn requests_whose_answers_cannot_be_kept_do_not_wait_for_each_other() {
    // A run ends when as many have begun as the storage says.
    let meeting = "<script scope=\"backend\">
        storage.increment('here');
        const end = Date.now() + 20_000;
        while (storage.get('here') < (storage.get('least') ?? 0) && Date.now() < end) {}
        response.send(String(storage.get('here')));
    </script>";
    let expects = "<script scope=\"backend\">storage.set('least', 4); response.send('ok');</script>";
    let limits = "storage_calls_max = 1_000_000\nfuel = 1_000_000_000_000\n";
    let toml = format!("{}[limits]\n{limits}", cached("/", "ttl = \"1h\""));
    let site = TestSite::with(&[
        ("pages/index.html", meeting),
        ("pages/expect.html", expects),
        ("brand.toml", &toml),
    ]);
    site.write("sluice.toml", &format!("[limits.max]\n{limits}"));
    let server = start(&site);
    assert_eq!([get(&server, "/").body, get(&server, "/").body], ["1", "2"]);
    // The host knows now that the answer is not kept.
    assert_eq!(get(&server, "/expect").body, "ok");
    thread::scope(|scope| {
        let clients = [(); 2].map(|()| scope.spawn(|| get(&server, "/").body));
        for client in clients {
            assert_eq!(client.join().unwrap(), "4", "both run at the same time");
        }
    });
    assert_eq!(server.wait_told("this answer is not kept").len(), 1, "said once");
}

#[test]
fn old_answer_is_served_if_the_page_fails() {
    let page = "<script scope=\"backend\">
        if (storage.get('broken')) throw new Error('broken');
        setVariable('at', Date.now());
    </script><p>fine {{ var.at }}</p>";
    let breaks = "<script scope=\"backend\">storage.set('broken', true); response.send('ok');</script>";
    let site = TestSite::with(&[
        ("pages/index.html", page),
        ("pages/break.html", breaks),
        ("brand.toml", &cached("/", "ttl = \"1s\", stale = \"1h\"")),
    ]);
    let server = start(&site);
    let first = get(&server, "/");
    assert!(first.body.contains("fine"), "{first:?}");
    get(&server, "/break");
    // The answer is old then.
    server.wait_until("the page runs again", || {
        let answer = get(&server, "/");
        assert_eq!((answer.status, answer.body.as_str()), (200, first.body.as_str()));
        count(&server, "stale") >= 1.0
    });
}

#[test]
fn no_visitor_waits_while_an_old_answer_is_replaced() {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (asked, released) = (AtomicUsize::new(0), Mutex::new(released));
    let remote = Remote::start(move |_, _| {
        if asked.fetch_add(1, Ordering::Relaxed) > 0 {
            let _ = released.lock().unwrap().recv();
            return response("200 OK", "", "new");
        }
        response("200 OK", "", "old")
    });
    let page = format!(
        "<script scope=\"backend\">response.send(await (await fetch('{}/')).text());</script>",
        remote.url()
    );
    let cached = cached("/", "ttl = \"1s\", stale = \"1h\"");
    let allowed = format!("{cached}[http]\nallow = [\"{}\"]\n", remote.address);
    let site = TestSite::with(&[("pages/index.html", &page), ("brand.toml", &allowed)]);
    let private = "[\"127.0.0.9/32\"]";
    let server = ServerOptions::of(site.path()).env("SLUICE_HTTP__PRIVATE_NETWORKS", private).start();
    assert_eq!(get(&server, "/").body, "old");
    server.wait_until("the page runs again", || {
        assert_eq!(get(&server, "/").body, "old");
        remote.requests().len() == 2
    });
    // The run waits for the other server, and visitors do not.
    for _ in 0..3 {
        let answer = get(&server, "/");
        assert_eq!((answer.status, answer.body.as_str()), (200, "old"));
        assert!(answer.header("age").unwrap().parse::<u32>().unwrap() >= 1, "{answer:?}");
    }
    assert_eq!(count(&server, "refreshed"), 0.0);
    release.send(()).unwrap();
    server.wait_until("the new answer is there", || get(&server, "/").body == "new");
    assert_eq!((count(&server, "miss"), count(&server, "refreshed"), runs(&server)), (1.0, 1.0, 2.0));
}

#[test]
fn reload_forgets_all_answers() {
    let page = |text: &str| {
        format!("<script scope=\"backend\">setVariable('t', Date.now());</script>{text} {{{{ var.t }}}}")
    };
    let site =
        TestSite::with(&[("pages/index.html", &page("old")), ("brand.toml", &cached("/", "ttl = \"1h\""))]);
    let server = start(&site);
    assert!(get(&server, "/").body.contains("old"));
    site.write("brands/demo/pages/index.html", &page("new"));
    assert!(get(&server, "/").body.contains("old"));
    server.reload();
    let new = get(&server, "/").body;
    assert!(new.contains("new"), "{new}");
    assert_eq!(get(&server, "/").body, new);
    server.reload();
    assert_ne!(get(&server, "/").body, new, "a reload without a change forgets, too");
}

#[test]
fn redirects_and_missing_pages_are_kept_and_other_statuses_are_not() {
    let page = "<script scope=\"backend\">
        const { s } = request.query;
        if (s === 'r') redirect('/elsewhere', 301);
        if (s === 'private') setHeader('Cache-Control', 'private, max-age=10');
        else response.status(Number(s));
        response.send(String(Date.now()));
    </script>";
    let missing = "<script scope=\"backend\">setVariable('t', Date.now())</script>nothing {{ var.t }}";
    let toml =
        format!("{}[[page]]\npath = \"/404\"\ncache = {{ ttl = \"1h\" }}\n", cached("/", "ttl = \"1h\""));
    let site =
        TestSite::with(&[("pages/index.html", page), ("pages/404.html", missing), ("brand.toml", &toml)]);
    let server = start(&site);
    for (path, is_kept) in [
        ("/?s=200", true),
        ("/?s=404", true),
        ("/?s=r", true),
        ("/nothing/here", true),
        ("/?s=201", false),
        ("/?s=410", false),
        ("/?s=503", false),
        ("/?s=private", false),
    ] {
        let before = runs(&server);
        let [first, second] = [(); 2].map(|()| get(&server, path));
        assert_eq!(first.status, second.status, "{path}");
        assert_eq!(runs(&server) - before, if is_kept { 1.0 } else { 2.0 }, "{path}: {first:?}");
        if is_kept {
            assert_eq!((&first.body, first.header("location")), (&second.body, second.header("location")));
        }
    }
}

#[test]
fn tools_say_whether_an_answer_would_be_kept() {
    let page = "<script scope=\"backend\">
        if (request.query.who) setVariable('who', request.cookies.who);
    </script>{{ var.who }}";
    let site = TestSite::with(&[("pages/index.html", page), ("brand.toml", &cached("/", "ttl = \"1h\""))]);
    let run = |arguments: &[&str]| {
        let ran = crate::author_run::sluice(site.path(), arguments).output().unwrap();
        serde_json::from_str::<serde_json::Value>(&crate::author_run::out(&ran)).unwrap()
    };
    let kept = run(&["run", "/", "--json"]);
    assert_eq!(kept["cache"], serde_json::json!({ "result": "miss", "reason": null }));
    let refused = run(&["run", "/", "--query", "who=1", "--json"]);
    assert_eq!(refused["cache"]["result"], "refused");
    assert_eq!(refused["cache"]["reason"], "the script reads `request.cookies`");
}
