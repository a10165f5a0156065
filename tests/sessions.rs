//! Sessions across requests.

use crate::harness::{Request, Server, TestSite};

#[test]
fn parallel_requests_of_a_visitor_keep_each_others_keys() {
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
                assert_eq!(answer.session_cookie(), None, "the id stays");
            });
        }
    });
    let answer = Request::get("/").header("cookie", &cookie).send(server.address);
    let keys: Vec<usize> = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(keys, (0..REQUESTS).collect::<Vec<_>>());
}

#[test]
fn a_login_changes_the_id_and_ends_the_old_one() {
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
    assert_eq!(visit("/", &anonymous).body, "[null,null]", "the old id is dead");

    let logout = visit("/?out=1", &customer);
    let after = logout.session_cookie().unwrap();
    assert_eq!(visit("/", &after).body, r#"[null,"1"]"#);
    assert_eq!(visit("/", &customer).body, "[null,null]", "the customer's id is dead");
}

#[test]
fn a_visitor_with_nothing_to_remember_gets_no_cookie() {
    let page = "<script scope=\"backend\">session.get('a'); session.delete('b'); response.json(is_customer)</script>";
    let site = TestSite::with(&[("pages/index.html", page)]);
    let server = Server::start(site.path());
    for cookie in ["", "sluice_session=made-up", "sluice_session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
    {
        let answer = Request::get("/").header("cookie", cookie).send(server.address);
        assert_eq!((answer.body.as_str(), answer.header("set-cookie")), ("false", None), "{cookie}");
    }
}
