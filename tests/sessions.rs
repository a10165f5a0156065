//! Sessions across requests.

use crate::harness::{Request, Server, ServerOptions, TestSite};

#[test]
fn concurrent_requests_keep_each_others_keys() {
    const REQUESTS: usize = 50;
    let page = "<script scope=\"backend\">
        if (request.query.key) session.set(request.query.key, 1);
        const keys = [];
        for (let i = 0; i < 50; i++) if (session.get('k' + i)) keys.push(i);
        response.json(keys);
    </script>";
    let site = TestSite::with(&[("pages/index.html", page)]);
    let server = Server::start(site.path());
    let cookie = server.get("localhost", "/?key=first").session_cookie().unwrap();
    std::thread::scope(|scope| {
        for index in 0..REQUESTS {
            let (cookie, address) = (&cookie, server.address);
            scope.spawn(move || {
                let answer = Request::get(&format!("/?key=k{index}")).header("cookie", cookie).send(address);
                assert_eq!(answer.status, 200);
                assert_eq!(answer.session_cookie(), None, "the session id is kept");
            });
        }
    });
    let answer = Request::get("/").header("cookie", &cookie).send(server.address);
    let keys: Vec<usize> = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(keys, (0..REQUESTS).collect::<Vec<_>>());
}

#[test]
fn login_replaces_the_session_id() {
    let page = "<script scope=\"backend\">
        if (request.query.in) session.setCustomer({ email: request.query.in });
        if (request.query.out) session.clearCustomer();
        if (request.query.set) session.set('a', request.query.set);
        response.json([getUser().email, session.get('a')]);
    </script>";
    let site = TestSite::with(&[("pages/index.html", page)]);
    let server = Server::start(site.path());
    let visit = |path: &str, cookie: &str| Request::get(path).header("cookie", cookie).send(server.address);

    let anonymous = server.get("localhost", "/?set=1").session_cookie().unwrap();
    let login = visit("/?in=ann@example.com", &anonymous);
    let customer = login.session_cookie().unwrap();
    assert_ne!(customer, anonymous);
    assert_eq!(visit("/", &customer).body, r#"["ann@example.com","1"]"#);
    assert_eq!(visit("/", &anonymous).body, "[null,null]", "the old id is invalid");

    let logout = visit("/?out=1", &customer);
    let after = logout.session_cookie().unwrap();
    assert_eq!(visit("/", &after).body, r#"[null,"1"]"#);
    assert_eq!(visit("/", &customer).body, "[null,null]", "the customer's id is invalid");
}

#[test]
fn visitor_without_session_values_gets_no_cookie() {
    let page = "<script scope=\"backend\">session.get('a'); session.delete('b'); response.json(is_customer)</script>";
    let site = TestSite::with(&[("pages/index.html", page)]);
    let server = Server::start(site.path());
    for cookie in ["", "sluice_session=made-up", "sluice_session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
    {
        let answer = Request::get("/").header("cookie", cookie).send(server.address);
        assert_eq!((answer.body.as_str(), answer.header("set-cookie")), ("false", None), "{cookie}");
    }
}

#[test]
fn answers_503_without_cookies_when_the_session_cannot_be_saved() {
    let page = |call: &str| {
        format!(
            "<script scope=\"backend\">cookie.set('theme', 'dark'); {call}; response.json({{ ok: true }})</script>"
        )
    };
    let site = TestSite::with(&[
        ("pages/login.html", &page("session.setCustomer({ email: request.query.who })")),
        ("pages/logout.html", &page("session.clearCustomer()")),
        ("pages/set.html", &page("session.set('n', 1)")),
        ("pages/who.html", "<script scope=\"backend\">response.json(getUser().email)</script>"),
    ]);
    let server = Server::start(site.path());
    let visit = |path: &str, cookie: &str| Request::get(path).header("cookie", cookie).send(server.address);
    let cookie = visit("/login?who=ann@example.com", "").session_cookie().unwrap();
    assert_eq!(visit("/who", &cookie).body, r#""ann@example.com""#);

    // Another process holds the database's write lock.
    let lock = rusqlite::Connection::open(server.data_dir().join("sluice.db")).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = std::thread::scope(|scope| {
        let requests = [
            ("/logout", cookie.as_str()),
            ("/login?who=bob@example.com", cookie.as_str()),
            ("/login?who=bob@example.com", ""),
            ("/set", ""),
        ];
        let sent = requests.map(|(path, cookie)| scope.spawn(move || visit(path, cookie)));
        sent.map(|sent| sent.join().unwrap())
    });
    for answer in refused {
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1".into())));
        assert_eq!(answer.header("set-cookie"), None, "no effect of the run is sent");
        assert!(!answer.body.contains("ok"), "{}", answer.body);
    }
    assert_eq!(server.metric("sluice_sessions_not_saved_total", &[]), 4.0);
    // The log has one of the lines, and then how many more there were.
    server.wait_until("each failure is logged or counted", || {
        let lines = server.told("the session could not be saved");
        lines.iter().map(|line| line["fields"]["dropped"].as_u64().unwrap_or(1)).sum::<u64>() == 4
    });
    lock.execute_batch("ROLLBACK").unwrap();
    drop(lock);

    assert_eq!(
        visit("/who", &cookie).body,
        r#""ann@example.com""#,
        "a request with the status 503 changed nothing"
    );
    assert_eq!(visit("/logout", &cookie).status, 200);
    assert_eq!(visit("/who", &cookie).body, "null", "a request with the status 200 logged out");
}

#[test]
fn failed_save_queues_no_writes_and_keeps_tokens_usable() {
    let page = "<script scope=\"backend\">
        const { who, mint, token, n } = request.query;
        if (who) session.setCustomer({ email: who });
        if (mint) response.send(session.getToken());
        if (token) session.setFromToken(token);
        if (n) setCrmField({ slug: 'leads', referenceId: n, fieldKey: 'n', value: n, async: true });
        response.json(getUser().email);
    </script>";
    let site = TestSite::with(&[("pages/index.html", page), ("crm.toml", "[[entity]]\nslug = 'leads'\n")]);
    let server = Server::start(site.path());
    let visit = |path: &str, cookie: &str| Request::get(path).header("cookie", cookie).send(server.address);
    let ann = visit("/?who=ann@example.com", "").session_cookie().unwrap();
    let bob = visit("/?who=bob@example.com", "").session_cookie().unwrap();
    let token = || visit("/?mint=1", &ann).body;
    let by_url = format!("/?ef_session={}", token());
    let in_script = token();
    let by_script = format!("/?token={in_script}&n=1");
    let database = rusqlite::Connection::open(server.data_dir().join("sluice.db")).unwrap();
    let rows = |table: &str| -> u32 {
        database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };

    // Another process holds the database's write lock.
    let lock = rusqlite::Connection::open(server.data_dir().join("sluice.db")).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = std::thread::scope(|scope| {
        let requests = [(&*by_url, &*bob), (&*by_script, &*bob), ("/?n=2", "")];
        let sent = requests.map(|(path, cookie)| scope.spawn(move || visit(path, cookie)));
        sent.map(|sent| sent.join().unwrap())
    });
    for answer in refused {
        assert_eq!((answer.status, answer.header("set-cookie")), (503, None), "{}", answer.body);
    }
    lock.execute_batch("ROLLBACK").unwrap();
    drop(lock);
    assert_eq!((rows("job"), rows("used_token")), (0, 0), "nothing of the three requests is stored");
    assert_eq!(visit("/", &bob).body, r#""bob@example.com""#, "bob's session is as it was");

    let login = visit(&by_url, &bob);
    let cookie = login.session_cookie().unwrap();
    assert_eq!((login.status, &*visit("/", &cookie).body), (303, r#""ann@example.com""#));
    assert_eq!(visit("/", &bob).body, "null", "the login ended bob's session");
    assert_eq!(visit(&by_script, "").body, r#""ann@example.com""#, "the script's token works, too");
    assert_eq!((rows("job"), rows("used_token")), (1, 2));
    assert_eq!(visit(&by_url, "").session_cookie(), None, "a token works once");
    assert_eq!(visit(&format!("/?token={in_script}"), "").body, "null", "a token works once");
}

/// The contents of the database and the browser after a step.
#[derive(Debug, PartialEq)]
struct Owner {
    /// The customer who is logged in.
    email: Option<&'static str>,
    /// The number of rows in the database.
    rows: usize,
    /// Whether the response set a new cookie.
    new_cookie: bool,
    /// Whether the row is the same as after the previous step.
    same_row: bool,
    /// Whether the id from before the step is still valid.
    old_id_opens: bool,
    /// The session value `note`.
    note: Option<&'static str>,
    /// The customer's CRM field `score`.
    score: Option<i64>,
}

/// Follows one visitor through several logins.
#[test]
fn login_decides_the_owner_of_session_and_crm_data() {
    let page = "<script scope=\"backend\">
        const { email, id, out, note, score, mint, token } = request.query;
        if (email) session.setCustomer(id ? { email, id } : { email });
        if (out) session.clearCustomer();
        if (token) session.setFromToken(token);
        if (note) session.set('note', note);
        if (score) setCrmField({ slug: 'leads', fieldKey: 'score', value: Number(score) });
        if (mint) response.send(session.getToken());
        response.json([getUser().email, session.get('note'), is_customer ? getCrmField({ slug: 'leads', fieldKey: 'score' }) : null]);
    </script>";
    let site = TestSite::with(&[("pages/index.html", page), ("crm.toml", "[[entity]]\nslug = \"leads\"\n")]);
    let server = Server::start(site.path());
    let visit = |path: &str, cookie: &str| Request::get(path).header("cookie", cookie).send(server.address);
    let rows = || -> Vec<Vec<u8>> {
        let database = rusqlite::Connection::open(server.data_dir().join("sluice.db")).unwrap();
        let mut query = database.prepare("SELECT row_id FROM session").unwrap();
        query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    // A token of another customer, made in another browser.
    let cora = visit("/?email=cora@x.test&id=c3&score=30", "").session_cookie().unwrap();
    let token = visit("/?mint=1", &cora).body;
    let cora_row = rows();
    let own_rows = || rows().into_iter().filter(|row| !cora_row.contains(row)).collect::<Vec<_>>();

    let (mut cookie, mut row) = (String::new(), Vec::new());
    let mut step = |path: &str| {
        let answer = visit(path, &cookie);
        let issued = answer.session_cookie();
        let old = cookie.clone();
        cookie = issued.clone().unwrap_or(cookie.clone());
        let now = own_rows();
        let same_row = now == row;
        row = now;
        let seen: (Option<String>, Option<String>, Option<i64>) = serde_json::from_str(&answer.body).unwrap();
        let leak = |text: Option<String>| text.map(|text| &*text.leak());
        Owner {
            email: leak(seen.0),
            rows: row.len(),
            new_cookie: issued.is_some(),
            same_row,
            old_id_opens: !old.is_empty() && old != cookie && visit("/", &old).body != "[null,null,null]",
            note: leak(seen.1),
            score: seen.2,
        }
    };
    let owner = |email, note, score| Owner {
        email,
        rows: 1,
        new_cookie: true,
        same_row: true,
        old_id_opens: false,
        note,
        score,
    };
    let (ann, bob, cora) = (Some("ann@x.test"), Some("bob@x.test"), Some("cora@x.test"));

    let nobody = Owner { rows: 0, new_cookie: false, ..owner(None, None, None) };
    assert_eq!(step("/"), nobody, "a visitor without session values");
    let first = Owner { same_row: false, ..owner(None, Some("n"), None) };
    assert_eq!(step("/?note=n"), first, "the first session value");
    assert_eq!(step("/?email=ann@x.test&score=1"), owner(ann, Some("n"), Some(1)), "login without an id");
    let same = Owner { new_cookie: false, ..owner(ann, Some("n"), Some(1)) };
    assert_eq!(step("/"), same, "a visit changes nothing");
    assert_eq!(
        step("/?email=ANN@x.test&id=a1"),
        Owner { email: Some("ANN@x.test"), ..owner(ann, Some("n"), Some(1)) },
        "a login with the same email and an id keeps the CRM data"
    );
    assert_eq!(
        step("/?email=bob@x.test&score=2"),
        owner(bob, Some("n"), Some(2)),
        "a login as another customer"
    );
    assert_eq!(step("/?out=1"), owner(None, Some("n"), None), "logout");
    assert_eq!(
        step("/?email=ann@x.test&id=a1"),
        owner(ann, Some("n"), Some(1)),
        "the customer logs in again with her id"
    );
    assert_eq!(
        step(&format!("/?token={token}")),
        owner(cora, None, Some(30)),
        "a login by token deletes values that belonged to the earlier customer"
    );
    let again = Owner { new_cookie: false, ..owner(cora, None, Some(30)) };
    assert_eq!(
        step(&format!("/?token={token}")),
        again,
        "the token is rejected the second time and changes nothing"
    );
    assert_eq!(
        step("/?email=bob@x.test&id=b2"),
        owner(bob, None, Some(2)),
        "what bob left under his email is his id's now"
    );
}

#[test]
fn bots_cannot_fill_the_database_or_log_customers_out() {
    let page = "<script scope=\"backend\">
        if (request.query.in) session.setCustomer({ email: request.query.in });
        else session.set('seen', (session.get('seen') ?? 0) + 1);
        response.json([getUser().email, session.get('seen')]);
    </script>";
    let site = TestSite::with(&[("pages/index.html", page)]);
    site.write("brands/other/brand.toml", "domains = [\"other.test\"]\n");
    site.write("brands/other/pages/index.html", page);
    let server = ServerOptions::of(site.path()).env("SLUICE_SESSION__ROWS_MAX", "20").start();
    let visit = |cookie: &str| Request::get("/").header("cookie", cookie).send(server.address);
    let customer = server.get("localhost", "/?in=ann@example.com").session_cookie().unwrap();
    let person = server.get("localhost", "/").session_cookie().unwrap();
    assert_eq!(visit(&person).body, "[null,2]");
    let other = server.get("other.test", "/").session_cookie().unwrap();
    for _ in 0..100 {
        server.get("localhost", "/");
    }
    server.wait_told("the brand had more sessions than session.rows_max");
    assert_eq!(visit(&customer).body, r#"["ann@example.com",1]"#);
    assert_eq!(visit(&person).body, "[null,3]", "a visitor who came back is not a bot");
    let answer = Request::get("/").host("other.test").header("cookie", &other).send(server.address);
    assert_eq!(answer.body, "[null,2]", "the other brand has a quota of its own");
}
