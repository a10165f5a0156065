//! What must not be reached is not.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::atomic::Ordering;

use super::server::{Server, response};
use super::*;
use crate::{Denied, ErrorKind};

const URLS: &str = include_str!("../../../../../tests/attacks/http-urls.txt");

/// The URLs of the table, without those that are relative.
fn absolute(port: u16) -> Vec<String> {
    let (absolute, _) = URLS.split_once("# Not URLs.").unwrap();
    urls(absolute, port)
}

fn urls(text: &str, port: u16) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.replace("PORT", &port.to_string())).collect()
}

/// Servers at every address of this machine, on one port.
fn canaries() -> [Server; 2] {
    let answer = |_: &server::Request, stream: &mut std::net::TcpStream| {
        use std::io::Write as _;
        drop(stream.write_all(response("200 OK", "", "reached").as_bytes()));
    };
    let v4 = Server::at((Ipv4Addr::UNSPECIFIED, 0), answer);
    let v6 = Server::at((Ipv6Addr::LOCALHOST, v4.port()), answer);
    [v4, v6]
}

fn untouched(canaries: &[Server; 2]) -> bool {
    canaries.iter().all(|canary| canary.connections() == 0)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_address_and_no_trick_reaches_a_server() {
    let canaries = canaries();
    let port = canaries[0].port();
    let (client, rules) = (client(), open_rules(port));
    let urls = urls(URLS, port);
    assert!(urls.len() >= 80, "{}", urls.len());
    for url in urls {
        let result = send(&client, &rules, get(&url)).await;
        let error = result.expect_err(&url);
        assert_eq!(error.kind(), ErrorKind::Mistake, "{url}: {error}");
    }
    assert!(untouched(&canaries));
    // The same server is reached if the operator says so: nothing else kept the calls away.
    let operator =
        OperatorRules { private_networks: vec!["127.0.0.0/8".parse().unwrap()], ..OperatorRules::default() };
    let operator = Arc::new(operator);
    let rules = |allow: &str| Arc::new(Rules::new(Arc::clone(&operator), patterns(&[allow])));
    let url = format!("http://127.1:{port}/");
    // `*` stands for public hosts only.
    let error = send(&client, &rules(&format!("*:{port}")), get(&url)).await.unwrap_err();
    assert!(matches!(error, CallError::Denied(Denied::NotPublic { .. })), "{error}");
    assert!(untouched(&canaries));
    let reached = send(&client, &rules(&format!("127.0.0.1:{port}")), get(&url)).await.unwrap();
    assert_eq!(reached.body, b"reached");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_redirect_reaches_such_an_address() {
    let canaries = canaries();
    let port = canaries[0].port();
    let targets = absolute(port);
    let in_server = targets.clone();
    let server = Server::at((ALLOWED, 0), move |request, stream| {
        use std::io::Write as _;
        let number: usize = request.head.split(['/', ' ']).nth(2).unwrap().parse().unwrap();
        let location = format!("location: {}\r\n", in_server[number]);
        drop(stream.write_all(response("302 Found", &location, "").as_bytes()));
    });
    let own = format!("127.0.0.9:{}", server.port());
    let rules = rules(&["*", &format!("*:{port}"), "localhost", &format!("localhost:{port}"), &own]);
    let client = client();
    for (number, target) in targets.iter().enumerate() {
        let result = send(&client, &rules, get(&server.url(&format!("/{number}")))).await;
        let error = result.expect_err(target);
        assert_eq!(error.kind(), ErrorKind::Mistake, "{target}: {error}");
    }
    assert!(untouched(&canaries));
    assert_eq!(server.requests.lock().len(), targets.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_one_private_address_is_not_called() {
    let canaries = canaries();
    let port = canaries[0].port();
    for answer in [
        &["127.0.0.1"][..],
        &["127.0.0.9", "127.0.0.1"],
        &["127.0.0.1", "127.0.0.9"],
        &["1.1.1.1", "10.0.0.1"],
        &["1.1.1.1", "::ffff:10.0.0.1"],
        &["2606:4700::1", "fd00::1"],
    ] {
        let (resolver, _) = names(&[answer]);
        let (client, rules) = (with_resolver(resolver), open_rules(port));
        let error = send(&client, &rules, get(&format!("http://api.example:{port}/"))).await.unwrap_err();
        assert!(matches!(error, CallError::Denied(Denied::NotPublic { .. })), "{answer:?}: {error}");
    }
    assert!(untouched(&canaries));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_changes_is_looked_up_once_and_checked_each_time() {
    let canaries = canaries();
    let server = Server::saying(response("200 OK", "connection: close\r\n", "allowed"));
    let port = server.port();
    let (resolver, asked) = names(&[&["127.0.0.9"], &["127.0.0.1"]]);
    let client = with_resolver(resolver);
    let url = format!("http://api.example:{port}/");
    let rules = open_rules(port);
    // Between the check and the connection, the name is not looked up again.
    assert_eq!(send(&client, &rules, get(&url)).await.unwrap().body, b"allowed");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let error = send(&client, &rules, get(&url)).await.unwrap_err();
    assert!(matches!(error, CallError::Denied(Denied::NotPublic { .. })), "{error}");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    assert!(untouched(&canaries));
}

#[tokio::test(flavor = "multi_thread")]
async fn own_addresses_of_the_machine_are_not_called() {
    // An address of this machine that others may be able to reach.
    let probe = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let Ok(own) = probe.connect("1.1.1.1:9").and_then(|()| probe.local_addr()) else { return };
    let canaries = canaries();
    let port = canaries[0].port();
    let error =
        send(&client(), &open_rules(port), get(&format!("http://{}:{port}/", own.ip()))).await.unwrap_err();
    assert!(matches!(error, CallError::Denied(Denied::NotPublic { .. })), "{error}");
    assert!(untouched(&canaries));
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_brand_and_operator_decide() {
    let server = Server::saying(response("200 OK", "", "ok"));
    let port = server.port();
    let client = client();
    let own = format!("127.0.0.9:{port}");
    let with = |allow: &[&str], allow_max: Option<&[&str]>, deny: &[&str]| {
        let operator = OperatorRules {
            allow_max: allow_max.map(patterns),
            deny: patterns(deny),
            private_networks: vec!["127.0.0.9/32".parse().unwrap()],
        };
        Arc::new(Rules::new(Arc::new(operator), patterns(allow)))
    };
    for (rules, expected) in [
        (
            with(&[], None, &[]),
            "no host can be called yet: write `[http]` and `allow = [\"127.0.0.9:PORT\"]` into brand.toml",
        ),
        (
            with(&["127.0.0.9"], None, &[]),
            "127.0.0.9:PORT is not allowed: add it to `allow` in `[http]` of brand.toml",
        ),
        (
            with(&[&own], Some(&["api.example"]), &[]),
            "127.0.0.9:PORT cannot be called: the operator of the host does not allow it",
        ),
        (
            with(&[&own], None, &["127.0.0.9"]),
            "127.0.0.9:PORT cannot be called: the operator of the host does not allow it",
        ),
    ] {
        let error = send(&client, &rules, get(&server.url("/"))).await.unwrap_err();
        assert_eq!(error.to_string().replace(&port.to_string(), "PORT"), expected);
    }
    assert_eq!(server.connections(), 0);
    let rules = with(&[&own], Some(&[&format!("*:{port}")]), &["other.example"]);
    assert_eq!(send(&client, &rules, get(&server.url("/"))).await.unwrap().body, b"ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_address_is_not_reached_by_a_name() {
    let canaries = canaries();
    let port = canaries[0].port();
    let to_name = format!("location: http://api.example:{port}/\r\n");
    let redirecting = Server::saying(response("302 Found", &to_name, ""));
    let networks = ["127.0.0.0/8", "::ffff:0:0/96"].map(|network| network.parse().unwrap());
    let call = async |deny: &str, answer: &[&str], url: &str| {
        let operator = OperatorRules {
            deny: patterns(&[deny]),
            private_networks: networks.to_vec(),
            ..OperatorRules::default()
        };
        let allow = patterns(&[&format!("api.example:{port}"), &redirecting.address.to_string()]);
        let (resolver, _) = names(&[answer]);
        let rules = Arc::new(Rules::new(Arc::new(operator), allow));
        send(&with_resolver(resolver), &rules, get(url)).await
    };
    let named = format!("http://api.example:{port}/");
    let with_port = format!("127.0.0.1:{port}");
    for (deny, answer) in [
        ("127.0.0.1", &["127.0.0.1"][..]),
        (with_port.as_str(), &["127.0.0.1"]),
        ("127.0.0.1", &["127.0.0.9", "127.0.0.1"]),
        ("127.0.0.1", &["::ffff:127.0.0.1"]),
        ("[::ffff:127.0.0.1]", &["127.0.0.1"]),
    ] {
        for url in [&named, &redirecting.url("/")] {
            let error = call(deny, answer, url).await.unwrap_err();
            let expected = Denied::ByOperator(format!("api.example:{port}"));
            assert_eq!(error, CallError::Denied(expected), "{deny} {answer:?} {url}");
        }
    }
    assert!(untouched(&canaries));
    // Another address and another port are not denied: nothing else kept the calls away.
    for deny in ["127.0.0.2", "127.0.0.1:1"] {
        assert_eq!(call(deny, &["127.0.0.1"], &named).await.unwrap().body, b"reached");
    }
}
