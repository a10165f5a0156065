//! Several hosts on one database.

use std::thread;

use serde_json::{Value, json};

use sluice_test_support::postgres::Database;

use super::host;
use crate::harness::{Request, Server, TestSite};

const PAGE: &str = "<script scope=\"backend\">
    const { key, login, logout, token, line, n } = request.query;
    const own = { slug: 'log', referenceType: 'line', referenceId: line, fieldKey: 'n' };
    if (key) session.set(key, 1);
    if (login) session.setCustomer({ email: login });
    if (logout) session.clearCustomer();
    if (token) response.json(session.getToken());
    if (n) response.json(addCrmFieldValue({ ...own, value: Number(n), async: true }));
    if (line) response.json(getCrmFieldValues({ ...own, limit: 200 }));
    response.json([getUser().email, session.get('a'), session.get('b')]);
</script>";

fn site() -> TestSite {
    TestSite::with(&[("pages/index.html", PAGE), ("crm.toml", "[[entity]]\nslug = 'log'\n")])
}

fn get(server: &Server, path: &str, cookie: &str) -> Value {
    let answer = Request::get(path).header("cookie", cookie).send(server.address);
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{path}: {error}: {answer:?}"))
}

/// Starts two hosts at the same moment on an empty database.
fn two_hosts(site: &TestSite, database: &Database) -> [Server; 2] {
    thread::scope(|scope| {
        let start = || host(site.path(), &database.url());
        let starts = [scope.spawn(start), scope.spawn(start)];
        starts.map(|start| start.join().unwrap())
    })
}

#[test]
fn hosts_share_sessions() {
    let (site, database) = (site(), Database::create());
    let [here, there] = two_hosts(&site, &database);
    assert_eq!(database.sql("SELECT count(*) FROM crm_entity"), "1", "the entity was created once");

    let anonymous = here.get("localhost", "/?key=a").session_cookie().unwrap();
    assert_eq!(get(&there, "/?key=b", &anonymous), json!([null, 1, 1]));
    assert_eq!(get(&here, "/", &anonymous), json!([null, 1, 1]));

    let login = Request::get("/?login=ann@example.com").header("cookie", &anonymous).send(there.address);
    let customer = login.session_cookie().unwrap();
    assert_eq!(get(&here, "/", &customer), json!(["ann@example.com", 1, 1]));
    assert_eq!(
        get(&here, "/", &anonymous),
        json!([null, null, null]),
        "the old session id is invalid on all hosts"
    );
    let logout = Request::get("/?logout=1").header("cookie", &customer).send(here.address);
    assert!(logout.session_cookie().is_some());
    assert_eq!(get(&there, "/", &customer), json!([null, null, null]));
}

#[test]
fn token_works_once_in_the_whole_cluster() {
    let (site, database) = (site(), Database::create());
    let [here, there] = two_hosts(&site, &database);
    let customer = here.get("localhost", "/?login=ann@example.com").session_cookie().unwrap();
    let token = get(&here, "/?token=1", &customer);
    let path = format!("/?ef_session={}", token.as_str().unwrap());
    let first = Request::get(&path).send(there.address);
    assert_eq!(first.status, 303);
    assert_eq!(get(&here, "/", &first.session_cookie().unwrap()), json!(["ann@example.com", null, null]));
    for server in [&here, &there] {
        let again = Request::get(&path).send(server.address);
        assert_eq!(again.session_cookie(), None, "the token is used up");
    }
}

#[test]
fn hosts_apply_each_others_jobs_once() {
    const JOBS: u64 = 60;
    let (site, database) = (site(), Database::create());
    let [here, there] = two_hosts(&site, &database);
    // Either host may apply a job. The jobs of one line are applied in order.
    for n in 0..JOBS {
        let host = if n % 2 == 0 { &here } else { &there };
        assert_eq!(get(host, &format!("/?line={}&n={n}", n % 3), ""), json!(true));
    }
    // One host is stopped while its jobs are still queued.
    here.kill();
    for line in 0..3 {
        let expected: Vec<u64> = (0..JOBS).filter(|n| n % 3 == line).rev().collect();
        let read = || get(&there, &format!("/?line={line}"), "");
        there.wait_until("all jobs are done", || read().as_array().unwrap().len() >= expected.len());
        assert_eq!(read(), json!(expected), "each once, in order");
    }
}
