//! PostgreSQL stops under load and starts again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use sluice_test_support::postgres::OwnServer;

use super::host;
use crate::harness::{Request, Server, TestSite};

const PAGE: &str = "<script scope=\"backend\">
    const { line, n } = request.query;
    const own = { slug: 'log', referenceType: 'line', referenceId: line, fieldKey: 'n' };
    let state;
    if (line !== 'probe') session.set('n', n);
    try {
        setCrmField({ ...own, slug: 'last', value: Number(n) });
        state = addCrmFieldValue({ ...own, value: Number(n), async: true }) ? 'ok' : 'refused';
    } catch (error) {
        state = error instanceof Error && error.message.includes('CRM') ? 'caught' : 'other';
    }
    setVariable('state', state);
</script><p>{{ var.state }}</p>";

const READ: &str = "<script scope=\"backend\">
    const own = { referenceType: 'line', referenceId: request.query.line };
    response.json([
        getCrmField({ ...own, slug: 'last', fieldKey: 'n' }),
        getCrmFieldValues({ ...own, slug: 'log', fieldKey: 'n', limit: 200 }),
    ]);
</script>";

/// A template cannot catch the error.
const TEMPLATE: &str =
    "{{ getCrmField({slug: 'last', referenceType: 'line', referenceId: 'probe', fieldKey: 'n'}) }}";

const SESSION_NOT_LOADED: &str = "the session could not be loaded; the page is served without it";

const CLIENTS: usize = 6;
/// How many values a page can read.
const WRITES_MAX: u64 = 200;

/// Writes until `stop` is set. Returns the acknowledged values.
fn client(server: &Server, line: usize, stop: &AtomicBool) -> Vec<u64> {
    let mut acknowledged = Vec::new();
    for n in 0..WRITES_MAX {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let answer = Request::get(&format!("/?line={line}&n={n}")).send(server.address);
        if answer.status == 503 {
            assert_eq!(answer.header("set-cookie"), None, "the session could not be saved");
            thread::sleep(Duration::from_millis(30));
            continue;
        }
        assert_eq!(answer.status, 200, "the page is served although the database is down");
        match answer.body.trim() {
            "<p>ok</p>" => acknowledged.push(n),
            "<p>caught</p>" => {}
            other => panic!("{other}"),
        }
        thread::sleep(Duration::from_millis(30));
    }
    acknowledged
}

fn is_ok(server: &Server) -> bool {
    server.get("localhost", "/?line=probe&n=0").body.contains("ok")
}

#[test]
fn pages_render_during_an_outage_and_the_pool_recovers() {
    let database = OwnServer::start();
    let site = TestSite::with(&[
        ("pages/index.html", PAGE),
        ("pages/read.html", READ),
        ("pages/template.html", TEMPLATE),
        ("crm.toml", "[[entity]]\nslug = 'log'\n[[entity]]\nslug = 'last'\n"),
    ]);
    let server = host(site.path(), &database.url());
    let stop = AtomicBool::new(false);
    let acknowledged: Vec<Vec<u64>> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|line| {
                let (server, stop) = (&server, &stop);
                scope.spawn(move || client(server, line, stop))
            })
            .collect();
        server.wait_until("writes are acknowledged", || is_ok(&server));
        thread::sleep(Duration::from_millis(500));
        database.kill();
        server.wait_until("a script catches the error", || {
            server.get("localhost", "/?line=probe&n=0").body.contains("caught")
        });
        let answer = server.get("localhost", "/template");
        assert_eq!((answer.status, answer.header("retry-after").as_deref()), (503, Some("1")), "{answer:?}");
        database.restart();
        let back = Instant::now();
        while !is_ok(&server) {
            assert!(back.elapsed() < Duration::from_secs(5), "the pool recovers by itself");
            thread::sleep(Duration::from_millis(20));
        }
        thread::sleep(Duration::from_millis(500));
        stop.store(true, Ordering::SeqCst);
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    for (line, acknowledged) in acknowledged.iter().enumerate() {
        let read = || -> (Option<u64>, Vec<u64>) {
            let answer = server.get("localhost", &format!("/read?line={line}"));
            let found: Value = serde_json::from_str(&answer.body).unwrap();
            let mut values: Vec<u64> = serde_json::from_value(found[1].clone()).unwrap();
            values.reverse();
            (found[0].as_u64(), values)
        };
        let has_all = || acknowledged.iter().all(|n| read().1.contains(n));
        server.wait_until("what was acknowledged is applied", has_all);
        let (last, values) = read();
        assert!(last >= acknowledged.last().copied(), "{last:?} after {acknowledged:?}");
        assert!(values.is_sorted_by(|a, b| a < b), "each once, in order: {values:?}");
    }
    assert!(acknowledged.iter().any(|line| !line.is_empty()));
}

#[test]
fn outage_does_not_replace_or_delete_sessions() {
    let count = "<script scope=\"backend\">
        const took = session.set('n', (session.get('n') ?? 0) + 1);
        setVariable('state', [session.get('n'), is_customer, took].join(' '));
    </script><p>{{ var.state }}</p>";
    let login = "<script scope=\"backend\">
        response.json(session.setCustomer({ email: 'ann@example.com' }));
    </script>";
    let logout = "<script scope=\"backend\">session.clearCustomer(); response.json({ ok: true });</script>";
    let rule = "default = true\n[[access]]\npath = '/members'\nrequire = 'customer'\nredirect = '/login'\n";
    let database = OwnServer::start();
    let site = TestSite::with(&[
        ("pages/index.html", count),
        ("pages/login.html", login),
        ("pages/logout.html", logout),
        ("pages/members.html", "<p>members</p>"),
        ("brand.toml", rule),
    ]);
    let server = host(site.path(), &database.url());
    let cookie = server.get("localhost", "/login").session_cookie().unwrap();
    let visit = |path: &str| Request::get(path).header("cookie", &cookie).send(server.address);
    assert_eq!(visit("/").body.trim(), "<p>1 true true</p>");

    database.kill();
    let began = Instant::now();
    for _ in 0..30 {
        let answer = visit("/");
        assert_eq!((answer.status, answer.body.trim()), (200, "<p> false false</p>"));
        assert_eq!(answer.header("set-cookie"), None, "the visitor keeps the session");
    }
    assert_eq!(visit("/login").body, "false");
    let logout = visit("/logout");
    assert_eq!((logout.status, logout.header("retry-after")), (503, Some("1".into())), "{}", logout.body);
    assert_eq!(server.get("localhost", "/logout").body, r#"{"ok":true}"#, "nobody is logged in");
    let refused = visit("/members");
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1".into())));
    let stranger = server.get("localhost", "/members");
    assert_eq!(stranger.status, 303, "a visitor without a session needs no database");

    // Shorter failures are not called an outage.
    thread::sleep(Duration::from_millis(1_100));
    database.restart();
    server.wait_until("the database is found again", || visit("/members").status == 200);
    let seconds = began.elapsed().as_secs();
    server.wait_told("the database answers again after");
    let lines = server.log_entries(&[("message", SESSION_NOT_LOADED)]).len();
    // One for each of the ways in which connections fail, and one a second after that.
    assert!((1..=seconds as usize + 4).contains(&lines), "{lines} lines in {seconds} s");
    // The log says how many lines are missing.
    server.wait_told(&format!("more records like this one were not logged: {SESSION_NOT_LOADED}"));
    assert_eq!(visit("/").body.trim(), "<p>2 true true</p>", "nothing was lost");
}
