//! Scripts on two hosts use the same keys at the same time. Calls on one key happen one after the other.

use std::thread;

use serde_json::{Value, json};

use sluice_test_support::postgres::Database;

use crate::harness::{Request, Server, ServerOptions, TestSite};

const PAGE: &str = "<script scope=\"backend\">
    const { op, n } = request.query;
    const ops = {
        absent: () => storage.setIfAbsent('absent', n),
        compare: () => storage.compareAndSet('compare', null, n),
        increment: () => storage.increment('increment') > 0,
        cached: () => cache.increment('cached') > 0,
        mutate: () => storage.mutate('mutate', (value) => (value ?? 0) + 1) > 0,
        read: () => [storage.get('absent'), storage.get('compare'), storage.get('increment'),
            cache.get('cached'), storage.get('mutate')],
    };
    let answer;
    try { answer = ops[op](); } catch (error) { answer = error.message; }
    response.json(answer);
</script>";

/// So many clients ask each of two hosts at the same time.
const CLIENTS: usize = 25;

fn get(server: &Server, path: &str) -> Value {
    let answer = Request::get(path).send(server.address);
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{path}: {error}: {answer:?}"))
}

/// The answers of all clients to one request.
fn at_once(hosts: &[Server; 2], op: &str) -> Vec<Value> {
    thread::scope(|scope| {
        let clients: Vec<_> = (0..2 * CLIENTS)
            .map(|n| scope.spawn(move || get(&hosts[n % 2], &format!("/?op={op}&n={n}"))))
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    })
}

fn calls_of_two_hosts_do_not_interfere(hosts: &[Server; 2]) {
    let count = |answers: &[Value]| answers.iter().filter(|answer| **answer == json!(true)).count();
    assert_eq!(count(&at_once(hosts, "absent")), 1, "one caller of setIfAbsent wins");
    assert_eq!(count(&at_once(hosts, "compare")), 1, "one caller of compareAndSet wins");
    assert_eq!(count(&at_once(hosts, "increment")), 2 * CLIENTS);
    assert_eq!(count(&at_once(hosts, "cached")), 2 * CLIENTS);
    // A caller that has lost five races is told, and has changed nothing.
    let mutated = at_once(hosts, "mutate");
    for answer in &mutated {
        let lost = json!("storage.mutate: others changed the value 5 times in a row");
        assert!(*answer == json!(true) || *answer == lost, "{answer}");
    }
    let read = hosts.each_ref().map(|host| get(host, "/?op=read"));
    assert_eq!(read[0], read[1], "both hosts see the same values");
    assert_eq!(read[0][2], json!(2 * CLIENTS));
    assert_eq!(read[0][3], json!(2 * CLIENTS));
    assert_eq!(read[0][4], json!(count(&mutated)), "each acknowledged change is there once");
    assert!(read[0][0].is_string() && read[0][1].is_string());
}

fn site() -> TestSite {
    TestSite::with(&[("pages/index.html", PAGE)])
}

#[test]
fn calls_of_two_hosts_on_postgres_do_not_interfere() {
    let (site, database) = (site(), Database::create());
    let hosts = [(); 2].map(|()| ServerOptions::of(site.path()).postgres(&database.url()).start());
    calls_of_two_hosts_do_not_interfere(&hosts);
}

#[test]
fn calls_of_two_hosts_on_sqlite_do_not_interfere() {
    let (site, data) = (site(), tempfile::tempdir().unwrap());
    let hosts = [(); 2].map(|()| ServerOptions::of(site.path()).data(data.path()).start());
    calls_of_two_hosts_do_not_interfere(&hosts);
}
