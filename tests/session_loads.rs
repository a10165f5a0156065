//! When sessions are loaded and written. The metrics count the loads, and SQLite the transactions that
//! change its file.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use sluice_test_support::postgres::OwnServer;

use crate::harness::{Answer, Request, Server, ServerOptions, TestSite};

/// A script that answers with the result of an expression.
fn script(expression: &str) -> String {
    format!("<script scope=\"backend\">response.json({expression})</script>")
}

/// Gives the customer, the session and the CRM something to show.
const LOGIN: &str = "<script scope=\"backend\">
    session.setCustomer({ email: 'ann@example.com' });
    session.set('n', 1);
    setCrmField({ slug: 'leads', fieldKey: 'a', value: 'x' });
    setCrmField({ slug: 'leads', referenceId: '1', fieldKey: 'a', value: 'x' });
</script>";

fn visit(server: &Server, path: &str, cookie: &str) -> Answer {
    Request::get(path).header("cookie", cookie).send(server.address)
}

/// How many sessions the server has loaded.
fn loads(server: &Server) -> f64 {
    let name = "db_client_operation_duration_seconds_count";
    server.metric(name, &["db_operation_name=\"session.load\""])
}

/// How many transactions have changed the database: the counter in the header of SQLite's index of the log.
fn writes(server: &Server) -> u32 {
    let mut header = [0; 12];
    File::open(server.data_dir().join("sluice.db-shm")).unwrap().read_exact(&mut header).unwrap();
    u32::from_ne_bytes(header[8..].try_into().unwrap())
}

/// The loads and writes that one request causes.
fn costs(server: &Server, path: &str, cookie: &str) -> (f64, u32) {
    let before = (loads(server), writes(server));
    let answer = visit(server, path, cookie);
    assert!(matches!(answer.status, 200 | 303 | 404), "{path}: {answer:?}");
    (loads(server) - before.0, writes(server) - before.1)
}

#[test]
fn session_is_loaded_once_if_something_asks_for_it_and_never_otherwise() {
    let unasked = [
        ("empty", String::new()),
        ("plain", script("'plain'")),
        ("template", "<p>{{ var.customer }} {{ request.query.customer }} {{ 'customer' }}".to_owned()),
        ("stopped", format!("{}<p>{{{{ customer.email }}}}", script("1"))),
        ("reference", script("getCrmField({ slug: 'leads', referenceId: '1', fieldKey: 'a' })")),
        ("lead", "{{ t('hello') }}".to_owned()),
    ];
    let asking = [
        ("get", script("session.get('n')")),
        ("twice", script("[session.get('n'), customer, is_customer, getUser().email]")),
        ("customer", script("customer")),
        ("is_customer", script("is_customer")),
        ("token", script("session.getToken() !== null")),
        ("removed", script("session.delete('nothing')")),
        ("own", script("getCrmField({ slug: 'leads', fieldKey: 'a' })")),
        ("shown", "{{ customer.email }}".to_owned()),
        ("tested", "@if(is_customer)yes@endif".to_owned()),
        ("both", format!("<script scope=\"backend\">session.get('n')</script>{}", "{{ getUser().email }}")),
        ("item", "{{ getSessionItem('n') }}".to_owned()),
        ("translated", "{{ t('hello') }}".to_owned()),
        ("members", "for members".to_owned()),
    ];
    let site = TestSite::with(&[
        ("pages/login.html", LOGIN),
        ("public/file.txt", "a file"),
        ("crm.toml", "[[entity]]\nslug = 'leads'\n"),
    ]);
    for (name, page) in unasked.iter().chain(&asking) {
        site.write(&format!("brands/demo/pages/{name}.html"), page);
    }
    site.write(
        "brands/demo/brand.toml",
        "default = true\n[translations.en]\nhello = 'Hello'\n[translations.de]\nhello = 'Hallo'\n\
         [[access]]\npath = '/members'\nrequire = 'customer'\nstatus = 403\n",
    );
    let server = Server::start(site.path());
    let cookie = server.get("localhost", "/login").session_cookie().unwrap();
    for path in
        ["/empty", "/plain", "/template", "/stopped", "/reference", "/lead?lang=de", "/file.txt", "/none"]
    {
        assert_eq!(costs(&server, path, &cookie), (0.0, 0), "{path}");
    }
    for (name, _) in &asking {
        assert_eq!(costs(&server, &format!("/{name}"), &cookie), (1.0, 0), "{name}");
        let answer = visit(&server, &format!("/{name}"), &cookie);
        assert!(!answer.body.contains("null"), "{name} sees the session: {}", answer.body);
    }
    for (name, _) in asking.iter().filter(|(name, _)| *name != "members") {
        assert_eq!(costs(&server, &format!("/{name}"), ""), (0.0, 0), "{name}: a visitor without a cookie");
    }
}

#[test]
fn unchanged_session_is_not_written_and_a_changed_one_once() {
    let site = TestSite::with(&[
        ("pages/get.html", &script("session.get('n')")),
        (
            "pages/set.html",
            &script("[session.set('n', request.query.n), session.set('m', 1), session.delete('gone')]"),
        ),
        ("pages/template.html", "@setSessionItem('n', 'template')"),
        (
            "pages/both.html",
            "<script scope=\"backend\">session.set('n', 'script')</script>@setSessionItem('m', 1)",
        ),
        (
            "pages/failing.html",
            "<script scope=\"backend\">session.set('n', 'failed'); throw new Error('no')</script>",
        ),
        ("pages/login.html", &script("session.setCustomer({ email: 'ann@example.com' })")),
        ("pages/logout.html", &script("session.clearCustomer()")),
    ]);
    let server = Server::start(site.path());
    let before = writes(&server);
    let cookie = server.get("localhost", "/set?n=first").session_cookie().unwrap();
    assert_eq!(writes(&server) - before, 1, "a new session");
    assert_eq!(costs(&server, "/set?n=second", &cookie), (1.0, 1), "the write confirms the session, too");
    for path in ["/get", "/set?n=second"] {
        assert_eq!(costs(&server, path, &cookie), (1.0, 0), "{path} changes nothing");
    }
    for (path, stored) in [("/set?n=third", "third"), ("/template", "template"), ("/both", "script")] {
        assert_eq!(costs(&server, path, &cookie), (1.0, 1), "{path}");
        assert_eq!(visit(&server, "/get", &cookie).body, format!("\"{stored}\""), "{path}");
    }
    // A script that fails has still changed the session.
    let before = (loads(&server), writes(&server));
    assert_eq!(visit(&server, "/failing", &cookie).status, 500);
    assert_eq!((loads(&server) - before.0, writes(&server) - before.1), (1.0, 1));
    assert_eq!(visit(&server, "/get", &cookie).body, "\"failed\"");
    let mut cookie = cookie;
    for path in ["/login", "/logout"] {
        let before = writes(&server);
        cookie = visit(&server, path, &cookie).session_cookie().unwrap();
        assert_eq!(writes(&server) - before, 1, "{path}");
    }
}

/// A script asks for the session, and then fails in every way.
#[test]
fn failed_script_neither_loses_the_session_nor_hides_it() {
    let ways = [
        ("throw", "throw new Error('no')"),
        ("fuel", "for (;;) {}"),
        ("memory", "const kept = []; for (;;) kept.push(new Array(1000).fill(kept.length))"),
        ("stack", "const again = () => [again(), again()]; again()"),
    ];
    let site = TestSite::with(&[
        (
            "pages/login.html",
            &script("[session.setCustomer({ email: 'ann@example.com' }), session.set('n', 1)]"),
        ),
        ("pages/who.html", &script("[getUser().email, session.get('n')]")),
    ]);
    for (name, fails) in ways {
        let page = format!("<script scope=\"backend\">customer; {fails}</script><p>{{{{ customer.email }}}}");
        site.write(&format!("brands/demo/pages/{name}.html"), &page);
    }
    site.write("brands/demo/brand.toml", "default = true\non_error = 'page'\n");
    let server = Server::start(site.path());
    let cookie = server.get("localhost", "/login").session_cookie().unwrap();
    for (name, _) in ways {
        let answer = visit(&server, &format!("/{name}"), &cookie);
        assert_eq!((answer.status, answer.session_cookie()), (200, None), "{name}: {answer:?}");
        assert!(answer.body.contains("ann@example.com"), "{name}: {}", answer.body);
        assert_eq!(visit(&server, "/who", &cookie).body, r#"["ann@example.com",1]"#, "{name}");
    }
}

/// The cookie comes back only to pages that do not ask for the session.
#[test]
fn visitor_whose_cookie_came_back_is_kept_although_no_page_asks_for_the_session() {
    let site = TestSite::with(&[
        ("pages/set.html", &script("session.set('n', 1)")),
        ("pages/plain.html", &script("'plain'")),
    ]);
    let server = Server::start(site.path());
    let set = || server.get("localhost", "/set").session_cookie().unwrap();
    let (person, _bot) = (set(), set());
    assert_eq!(visit(&server, "/plain", &person).body, "\"plain\"");
    let database = rusqlite::Connection::open(server.data_dir().join("sluice.db")).unwrap();
    let kinds = || -> Vec<(u8, bool)> {
        let sql = "SELECT kind, expires_at > created_at + 3600000 FROM session ORDER BY kind";
        let mut query = database.prepare(sql).unwrap();
        query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    };
    server
        .wait_until("the person's session is kept, and not the bot's", || kinds() == [(0, false), (1, true)]);
    assert_eq!(loads(&server), 0.0);
    let before = writes(&server);
    for _ in 0..3 {
        visit(&server, "/plain", &person);
    }
    server.wait_until("the cookies are looked at again", || {
        set();
        writes(&server) > before + 2
    });
    assert!(kinds().iter().filter(|(kind, _)| *kind == 1).count() == 1);
}

/// The server has one thread for requests, so that it would answer nothing if one of them waited there.
fn one_worker(site: &TestSite) -> ServerOptions {
    ServerOptions::of(site.path()).env("SLUICE_SERVER__WORKERS", "1")
}

/// Visitors whose cookie is `cookie` ask for `/session`, which cannot be answered. Meanwhile, they ask for
/// `/plain`. Then `unlock` lets the database answer.
fn pages_without_a_session_are_answered(server: &Server, cookie: &str, unlock: impl FnOnce()) {
    const VISITORS: usize = 4;
    let loaded = loads(server);
    let answered = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..VISITORS)
            .map(|_| {
                scope.spawn(|| {
                    let answer = visit(server, "/session", cookie);
                    answered.fetch_add(1, Ordering::SeqCst);
                    answer
                })
            })
            .collect();
        server.wait_until("all visitors wait in their runs", || {
            server.metric("sluice_sandbox_running", &[]) >= VISITORS as f64
        });
        for _ in 0..10 {
            assert_eq!(visit(server, "/plain", cookie).body, "\"plain\"");
        }
        assert_eq!(answered.load(Ordering::SeqCst), 0, "nobody got the session meanwhile");
        unlock();
        for answer in waiting {
            assert_eq!(answer.join().unwrap().body, "\"ann@example.com\"");
        }
    });
    assert_eq!(loads(server) - loaded, VISITORS as f64, "only these requests asked for the session");
}

fn session_and_plain() -> TestSite {
    TestSite::with(&[
        ("pages/login.html", &script("session.setCustomer({ email: 'ann@example.com' })")),
        ("pages/session.html", &script("getUser().email")),
        ("pages/plain.html", &script("'plain'")),
    ])
}

/// Another process that repairs the index of the log, and stopped in the middle. Until it ends, nobody can
/// read the database.
struct Locked(Child);

/// Locks the bytes that SQLite's processes lock for this, and leaves the header as an unfinished change does.
const LOCK: &str = "
import fcntl, sys
index = open(sys.argv[1], 'r+b', buffering=0)
fcntl.lockf(index, fcntl.LOCK_EX, 1, 120)
fcntl.lockf(index, fcntl.LOCK_EX, 1, 122)
index.seek(8)
index.write(bytes(4))
print('locked', flush=True)
sys.stdin.read()
";

impl Locked {
    fn new(server: &Server) -> Self {
        let mut command = Command::new("python3");
        command.args(["-c", LOCK]).arg(server.data_dir().join("sluice.db-shm"));
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "locked\n");
        Self(process)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

#[test]
fn locked_sqlite_delays_no_page_that_asks_for_no_session() {
    let site = session_and_plain();
    let server = one_worker(&site).start();
    let cookie = server.get("localhost", "/login").session_cookie().unwrap();
    // Reads use the worker's thread once it has a connection.
    for _ in 0..5 {
        assert_eq!(visit(&server, "/session", &cookie).body, "\"ann@example.com\"");
    }
    let locked = Locked::new(&server);
    pages_without_a_session_are_answered(&server, &cookie, || drop(locked));
}

#[test]
fn stopped_postgres_delays_no_page_that_asks_for_no_session() {
    let database = OwnServer::start();
    let site = session_and_plain();
    let server = one_worker(&site).postgres(&database.url()).start();
    let cookie = server.get("localhost", "/login").session_cookie().unwrap();
    assert_eq!(visit(&server, "/session", &cookie).body, "\"ann@example.com\"");
    database.signal("STOP");
    pages_without_a_session_are_answered(&server, &cookie, || database.signal("CONT"));
}
