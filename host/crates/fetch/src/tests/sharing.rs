//! What calls of one brand, and of several, share: time, connections and secrets.

use std::io::Write as _;
use std::sync::{Barrier, Condvar, Mutex};

use super::server::{Server, response};
use super::*;

fn allowing(servers: &[&Server]) -> Arc<Rules> {
    let own: Vec<String> = servers.iter().map(|server| server.address.to_string()).collect();
    rules(&own.iter().map(String::as_str).collect::<Vec<_>>())
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_under_way_at_the_same_time() {
    // The server answers none of three calls before it has all of them.
    let all = Barrier::new(3);
    let server = Server::at((ALLOWED, 0), move |_, stream| {
        all.wait();
        drop(stream.write_all(response("200 OK", "", "together").as_bytes()));
    });
    let (client, rules) = (client(), allowing(&[&server]));
    let secrets: Arc<dyn Placeholders> = Arc::new(NoSecrets);
    let begin = || client.begin("demo", &rules, get(&server.url("/")), LIMITS, &secrets).unwrap();
    for call in [begin(), begin(), begin()] {
        assert_eq!(call.await.result.unwrap().body, b"together");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_brand_makes_eight_calls_to_a_host_at_a_time() {
    let state = Arc::new((Mutex::new((0, 0, 0)), Condvar::new()));
    let in_server = Arc::clone(&state);
    let server = Server::at((ALLOWED, 0), move |_, stream| {
        let (counts, changed) = &*in_server;
        let mut now = counts.lock().unwrap();
        now.0 += 1;
        now.1 += 1;
        now.2 = now.2.max(now.0);
        changed.notify_all();
        // The first eight wait for one another, so there is time for a ninth.
        while now.1 < 8 {
            now = changed.wait(now).unwrap();
        }
        now.0 -= 1;
        drop(now);
        drop(stream.write_all(response("200 OK", "", "").as_bytes()));
    });
    let (client, rules) = (client(), allowing(&[&server]));
    let secrets: Arc<dyn Placeholders> = Arc::new(NoSecrets);
    let calls: Vec<_> = (0..24)
        .map(|_| client.begin("demo", &rules, get(&server.url("/")), LIMITS, &secrets).unwrap())
        .collect();
    for call in calls {
        assert_eq!(call.await.result.unwrap().status, 200);
    }
    assert_eq!(state.0.lock().unwrap().2, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_used_again_but_not_by_another_brand() {
    let server = Server::saying(response("200 OK", "", "ok"));
    let (client, rules) = (client(), allowing(&[&server]));
    let secrets: Arc<dyn Placeholders> = Arc::new(NoSecrets);
    for (brand, connections) in [("a", 1), ("a", 1), ("b", 2), ("a", 2), ("b", 2)] {
        let call = client.begin(brand, &rules, get(&server.url("/")), LIMITS, &secrets).unwrap();
        assert_eq!(call.await.result.unwrap().body, b"ok");
        assert_eq!(server.connections(), connections, "{brand}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_server_closed_meanwhile_is_replaced() {
    let server = Server::at((ALLOWED, 0), |_, stream| {
        drop(stream.write_all(response("200 OK", "", "ok").as_bytes()));
        drop(stream.shutdown(std::net::Shutdown::Both));
    });
    let (client, rules) = (client(), allowing(&[&server]));
    for _ in 0..5 {
        assert_eq!(send(&client, &rules, get(&server.url("/"))).await.unwrap().body, b"ok");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_dropped_ends() {
    let (closed, is_closed) = std::sync::mpsc::channel();
    let server = Server::at((ALLOWED, 0), move |_, stream| {
        // Ends when the other side closes the connection.
        while stream.write_all(b"H").is_ok() {
            std::thread::sleep(Duration::from_millis(5));
        }
        closed.send(()).unwrap();
    });
    let secrets: Arc<dyn Placeholders> = Arc::new(NoSecrets);
    let pending =
        client().begin("demo", &allowing(&[&server]), get(&server.url("/")), LIMITS, &secrets).unwrap();
    // The server has the request, and so begins to answer.
    while server.requests.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    drop(pending);
    tokio::task::spawn_blocking(move || is_closed.recv().unwrap()).await.unwrap();
}

/// One secret, for one host and some of its ports.
struct OneSecret(&'static str, Vec<u16>);

impl Placeholders for OneSecret {
    fn filled(&self, value: &str, host: &str, port: u16) -> Result<Option<String>, String> {
        match value.contains("<KEY>") {
            false => Ok(None),
            true if host == self.0 && self.1.contains(&port) => {
                Ok(Some(value.replace("<KEY>", "hidden-value")))
            }
            true => Err("KEY".into()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_reach_only_their_host() {
    let (own, other) =
        (Server::saying(response("200 OK", "", "")), Server::saying(response("200 OK", "", "")));
    let redirecting = |to: String| Server::saying(response("302 Found", &format!("location: {to}\r\n"), ""));
    let to_other = redirecting(format!("http://localhost:{}/", other.port()));
    let to_other_port = redirecting(other.url("/"));
    let operator = OperatorRules {
        private_networks: vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
        ..OperatorRules::default()
    };
    let allow: Vec<String> = [&own, &other, &to_other, &to_other_port]
        .iter()
        .flat_map(|server| [server.address.to_string(), format!("localhost:{}", server.port())])
        .collect();
    let rules = Arc::new(Rules::new(
        Arc::new(operator),
        patterns(&allow.iter().map(String::as_str).collect::<Vec<_>>()),
    ));
    let secrets: Arc<dyn Placeholders> =
        Arc::new(OneSecret("127.0.0.9", vec![own.port(), to_other.port(), to_other_port.port()]));
    let client = client();
    let call = |url: String| Call { headers: vec![header("x-key", "Bearer <KEY>")], ..get(&url) };
    let begun = client.begin("demo", &rules, call(own.url("/")), LIMITS, &secrets).unwrap();
    begun.await.result.unwrap();
    assert!(own.request(0).head.contains("x-key: bearer hidden-value\r\n"));
    // To another host or port, nothing is sent, neither at once nor after a redirect.
    let elsewhere = [
        (format!("http://localhost:{}/", other.port()), &to_other, "localhost"),
        (other.url("/"), &to_other_port, "127.0.0.9"),
    ];
    for (url, redirecting, host) in elsewhere {
        let expected =
            CallError::SecretHost { secret: "KEY".into(), host: format!("{host}:{}", other.port()) };
        let refused = client.begin("demo", &rules, call(url), LIMITS, &secrets);
        assert_eq!(refused.err().unwrap(), expected);
        let redirected = client.begin("demo", &rules, call(redirecting.url("/")), LIMITS, &secrets).unwrap();
        let error = redirected.await.result.unwrap_err();
        assert_eq!(error, expected);
        assert!(!error.to_string().contains("hidden"));
        assert_eq!(redirecting.requests.lock().len(), 1);
    }
    assert_eq!(other.requests.lock().len(), 0);
}
