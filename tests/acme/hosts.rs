//! Several hosts on one database.

use std::io::Read as _;
use std::net::TcpListener;
use std::process::Command;

use super::world::{Kept, NAME, World, certificate, handshake, serve_domains, site};
use crate::harness::Server;

fn orders(hosts: &[&Server], outcome: &str) -> f64 {
    let outcome = format!("outcome=\"{outcome}\"");
    hosts.iter().map(|host| host.metric("sluice_acme_orders_total", &[&outcome])).sum()
}

#[test]
fn two_hosts_get_one_certificate_and_renew_it_once_without_dropping_a_connection() {
    let (world, site) = (World::new(), site("[\"shop.test\"]"));
    let http = world.http.to_string();
    let [mut one, mut other] = std::thread::scope(|scope| {
        let one = scope.spawn(|| world.host(&site).env("SLUICE_SERVER__HTTP_LISTEN", &http).start());
        // The authority's question never reaches this one.
        let other = scope.spawn(|| world.host(&site).start());
        [one, other].map(|start| start.join().unwrap())
    });
    let first = world.wait_certificate(&[&one, &other], NAME, None);
    assert_eq!(world.pebble.issued(), 1);
    assert_eq!(world.pebble.logged("accounts in memory"), 1, "both hosts use one account");
    for host in [&one, &other] {
        let answer = world.get(host, NAME);
        assert!(answer.starts_with("HTTP/2 200") && answer.contains("host shop.test"), "{answer}");
        assert_eq!(host.metric("sluice_acme_names", &["state=\"certified\""]), 1.0);
        assert!(host.metric("sluice_tls_certificate_expiry_seconds", &["shop.test"]) > 1.7e9);
    }
    let mut kept = [Kept::open(&one), Kept::open(&other)];
    assert!(kept.iter_mut().all(Kept::asks));
    world.grow_old();
    world.wait_certificate(&[&one, &other], NAME, Some(&first));
    [&one, &other].into_iter().for_each(Server::reload);
    assert_eq!(world.pebble.issued(), 2);
    assert!(kept.iter_mut().all(Kept::asks), "the connections are still open");
    let both = [&one, &other];
    assert_eq!(
        [orders(&both, "issued"), orders(&both, "renewed"), orders(&both, "refused")],
        [1.0, 1.0, 0.0]
    );
    // A host that starts has the certificate before it accepts connections.
    let third = world.host(&site).start();
    assert_eq!(certificate(&third, NAME), certificate(&one, NAME));
    // A connection to the address for HTTP that asks for something else is redirected.
    let plain = format!("http://{http}/.well-known/acme-challenge/unknown");
    let answer =
        Command::new("curl").args(["--silent", "--include", "--header", "host: shop.test", &plain]).output();
    let answer = String::from_utf8(answer.unwrap().stdout).unwrap();
    assert!(answer.starts_with("HTTP/1.1 308"), "{answer}");
    for host in [&mut one, &mut other] {
        assert!(host.terminate().success());
    }
}

#[test]
fn names_follow_the_brands_and_are_proved_in_a_handshake() {
    let (world, site) = (World::new(), site("[\"shop.test\", \"*.wild.test\"]"));
    let over_tls = || world.host(&site).env("SLUICE_ACME__CHALLENGE", "tls-alpn-01");
    let one = over_tls().listen(world.tls, "127.0.0.1:0".parse().unwrap()).start();
    let other =
        over_tls().env("SLUICE_ACME__ALLOW", "[\"shop.test\", \"new.test\", \"*.wild.test\"]").start();
    world.wait_certificate(&[&one, &other], NAME, None);
    assert!(world.get(&other, NAME).starts_with("HTTP/2 200"));
    // The answer is gone, and nobody else gets a certificate with this protocol.
    let asked = handshake(&one, NAME, &["-alpn", "acme-tls/1"]);
    assert!(asked.contains("no application protocol") && !asked.contains("BEGIN CERTIFICATE"), "{asked}");
    assert!(one.metric("sluice_tls_handshakes_total", &["outcome=\"answered\""]) >= 1.0);
    one.wait_told("there is no certificate for this name");

    serve_domains(&site, "[\"new.test\"]");
    [&one, &other].into_iter().for_each(Server::reload);
    world.wait_certificate(&[&one, &other], "new.test", None);
    one.wait_until("the name of no brand has no certificate", || certificate(&one, NAME).is_none());
    let refused = handshake(&one, NAME, &[]);
    assert!(refused.contains("alert"), "{refused}");
    assert!(one.metric("sluice_tls_handshakes_total", &["outcome=\"no_certificate\""]) >= 1.0);
    assert!(world.get(&one, "new.test").starts_with("HTTP/2 200"));
    // It is in the database, if a brand serves it again.
    serve_domains(&site, "[\"shop.test\"]");
    one.reload();
    world.wait_certificate(&[&one], NAME, None);
    assert_eq!(world.pebble.issued(), 2);
}

#[test]
fn another_host_continues_when_one_is_killed_or_stopped_during_an_order() {
    for is_killed in [true, false] {
        let (world, site) = (World::new(), site("[\"shop.test\"]"));
        // The authority's question is never answered, so the order does not end.
        let silent = TcpListener::bind(world.http).unwrap();
        let mut first = world.host(&site).start();
        let (mut asked, _) = silent.accept().unwrap();
        assert!(asked.read(&mut [0; 16]).unwrap() > 0);
        let leased = || world.database.sql("SELECT count(*) FROM acme_name WHERE lease_until > 0");
        assert_eq!(leased(), "1");
        if is_killed {
            first.kill();
        } else {
            assert!(first.terminate().success());
            assert_eq!(leased(), "0", "it gave the order back");
        }
        drop((asked, silent));
        let second = world.host(&site).env("SLUICE_SERVER__HTTP_LISTEN", &world.http.to_string()).start();
        if is_killed {
            second.reload();
            assert_eq!(leased(), "1", "nobody takes it away from a host that may be alive");
            // Eight minutes later.
            world.pass_time("lease_until = 0");
        }
        world.wait_certificate(&[&second], NAME, None);
        assert_eq!(world.pebble.issued(), 1);
        assert_eq!(world.pebble.logged("accounts in memory"), 1, "the account is the same");
    }
}
