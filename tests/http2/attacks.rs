//! Clients that break the rules of HTTP/2, or keep them and exhaust the server.

use bytes::Bytes;

use super::raw::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, NO_ERROR, Outcome, PING,
    PROTOCOL_ERROR, REFUSED_STREAM, RESET, Raw, SETTINGS, WINDOW_UPDATE, block, frame,
};
use super::{Client, LARGE, get, options, serve, site};
use crate::harness::Server;
use crate::https::Authority;

const PLAIN: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "https"), (":path", "/plain"), (":authority", "shop.test")];

/// The request for the page `plain`, with another value for one header.
fn with<'a>(name: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    PLAIN.into_iter().map(|pair| if pair.0 == name { (name, value) } else { pair }).collect()
}

fn without(name: &str) -> Vec<(&'static str, &'static str)> {
    PLAIN.into_iter().filter(|pair| pair.0 != name).collect()
}

fn and<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&PLAIN[..], more].concat()
}

fn still_serves(authority: &Authority, server: &Server) {
    assert_eq!(Client::connect(authority, server).get("/plain").0, 200);
}

/// Whether the server's side of the connection from this port is open, by the system's list of connections: 01 is
/// the state of an established one.
fn is_open(port: u16) -> bool {
    let connections = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let theirs = format!(":{port:04X}");
    connections.lines().any(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        fields[2].ends_with(&theirs) && fields[3] == "01"
    })
}

#[test]
fn ambiguous_requests_reach_no_page() {
    let site = site();
    let (authority, server) = serve(&site);
    let ask = |headers: &[(&str, &str)]| Raw::connect(&authority, &server).ask(1, headers);
    for valid in [
        PLAIN.to_vec(),
        [&without(":authority")[..], &[("host", "shop.test")]].concat(),
        and(&[("host", "SHOP.test")]),
        and(&[("te", "trailers")]),
        and(&[("content-length", "0")]),
        with(":path", "/plain?a"),
    ] {
        assert_eq!(ask(&valid), Outcome::Answered(200), "{valid:?}");
    }
    for answered in [
        and(&[("host", "other.test")]),
        and(&[("host", "shop.test:443")]),
        and(&[("host", "shop.test"), ("host", "shop.test")]),
        [&without(":authority")[..], &[("host", "shop.test"), ("host", "other.test")]].concat(),
        without(":authority"),
        with(":authority", "user@shop.test"),
        with(":path", "*"),
        with(":scheme", ""),
        with(":scheme", "ftp"),
        vec![(":method", "CONNECT"), (":authority", "shop.test:443")],
    ] {
        assert_eq!(ask(&answered), Outcome::Answered(400), "{answered:?}");
    }
    let target = [(":path", "/plain")];
    for malformed in [
        without(":path"),
        without(":method"),
        without(":scheme"),
        and(&target),
        and(&[("x", "y"), (":path", "/plain")]),
        [&[("x", "y")], &PLAIN[..]].concat(),
        and(&[(":status", "200")]),
        and(&[(":protocol", "websocket")]),
        and(&[(":other", "x")]),
        with(":path", ""),
        with(":path", "plain"),
        with(":path", "https://shop.test/plain"),
        with(":path", "/plain HTTP/1.1\r\nx: y"),
        with(":path", "/pl\0ain"),
        with(":path", "/pl ain"),
        with(":method", "GET / HTTP/1.1\r\n"),
        with(":method", ""),
        with(":authority", ""),
        with(":authority", "shop.test/plain"),
        with(":authority", "shop.test\r\nx: y"),
        with(":authority", "shop.test other.test"),
        and(&[("X-Upper", "y")]),
        and(&[("", "y")]),
        and(&[("a b", "y")]),
        and(&[("a:b", "y")]),
        and(&[("a\r\nb", "y")]),
        and(&[("x", "y\r\nz: w")]),
        and(&[("x", "y\nz")]),
        and(&[("x", "y\0z")]),
        and(&[("connection", "close")]),
        and(&[("keep-alive", "5")]),
        and(&[("proxy-connection", "close")]),
        and(&[("upgrade", "websocket")]),
        and(&[("transfer-encoding", "chunked")]),
        and(&[("te", "gzip")]),
        and(&[("content-length", "5")]),
        and(&[("content-length", "+0")]),
        and(&[("content-length", "0"), ("content-length", "5")]),
    ] {
        let outcome = ask(&malformed);
        let is_rejected = matches!(
            outcome,
            Outcome::Answered(400 | 0) | Outcome::Reset(PROTOCOL_ERROR) | Outcome::Ended(Some(1..))
        );
        assert!(is_rejected, "{malformed:?}: {outcome:?}");
    }
    still_serves(&authority, &server);
}

#[test]
fn body_of_another_length_than_announced_is_rejected() {
    let site = site();
    let (authority, server) = serve(&site);
    for (announced, sent) in [("5", "[1]"), ("2", "[1]"), ("0", "[1]")] {
        let mut raw = Raw::connect(&authority, &server);
        let headers = [
            (":method", "POST"),
            (":scheme", "https"),
            (":path", "/"),
            (":authority", "shop.test"),
            ("content-type", "application/json"),
            ("content-length", announced),
        ];
        raw.send(HEADERS, END_HEADERS, 1, &block(&headers)).unwrap();
        raw.send(DATA, END_STREAM, 1, sent.as_bytes()).unwrap();
        let outcome = raw.outcome(1);
        assert_eq!(outcome, Outcome::Reset(PROTOCOL_ERROR), "{announced}");
    }
    let answer = Client::connect(&authority, &server).get("/");
    assert!(answer.2.contains("\"method\":\"GET\""), "{answer:?}");
    let runs = server.runs("demo", 1);
    assert!(runs.iter().all(|run| run["method"] == "GET"), "{runs:?}");
}

#[test]
fn heads_have_limits() {
    let site = site();
    let (authority, server) = serve(&site);
    let client = Client::connect(&authority, &server);
    let many = |count: usize| {
        let mut request = get("/plain");
        for n in 0..count {
            request.headers_mut().append("x-many", n.to_string().parse().unwrap());
        }
        request
    };
    let large = |bytes: usize| {
        let mut request = get("/plain");
        request.headers_mut().append("x-large", "a".repeat(bytes).parse().unwrap());
        request
    };
    assert_eq!(client.ask(many(96)).0, 200);
    assert_eq!(client.ask(many(97)).0, 431);
    assert_eq!(client.ask(large(65_000)).0, 200);
    assert_eq!(client.ask(large(66_000)).0, 431);
    // Many of them, none of which ends.
    let mut raw = Raw::connect(&authority, &server);
    let resident = server.resident_bytes();
    let mut sent = raw.send(HEADERS, END_STREAM, 1, &block(&PLAIN));
    let more = block(&[("x-more", &"a".repeat(16_000))]);
    for _ in 0..10_000 {
        sent = sent.and_then(|()| raw.send(CONTINUATION, 0, 1, &more));
    }
    assert!(sent.is_err() || raw.reason().is_some_and(|reason| reason != NO_ERROR), "{sent:?}");
    let mut raw = Raw::connect(&authority, &server);
    let mut sent = raw.send(HEADERS, END_STREAM, 1, &block(&PLAIN));
    for _ in 0..10_000 {
        sent = sent.and_then(|()| raw.send(CONTINUATION, 0, 1, &[]));
    }
    assert!(sent.is_err() || raw.reason().is_some_and(|reason| reason != NO_ERROR), "{sent:?}");
    let more = server.resident_bytes().saturating_sub(resident);
    assert!(more < 16 << 20, "{more} bytes more are in memory");
    still_serves(&authority, &server);
}

#[test]
fn client_that_resets_requests_at_once_is_disconnected() {
    let site = site();
    let (authority, server) = serve(&site);
    let mut raw = Raw::connect(&authority, &server);
    let block = block(&PLAIN);
    let cancel = 8_u32.to_be_bytes();
    let mut sent = Ok(());
    for batch in 0..100 {
        let streams = (0..100).map(|n| 2 * (batch * 100 + n) + 1);
        let frames: Vec<_> = streams
            .flat_map(|n| [frame(HEADERS, END_HEADERS | END_STREAM, n, &block), frame(RESET, 0, n, &cancel)])
            .collect();
        sent = sent.and_then(|()| raw.send_all(&frames));
    }
    assert!(matches!(raw.reason(), Some(ENHANCE_YOUR_CALM) | None));
    assert!(sent.is_err() || raw.round_trip().is_err());
    still_serves(&authority, &server);
}

#[test]
fn client_that_resets_requests_whose_scripts_run_is_disconnected() {
    let site = site();
    let (authority, server) = serve(&site);
    let mut raw = Raw::connect(&authority, &server);
    let slow = block(&with(":path", "/loop"));
    let mut ended = None;
    for n in 0..200 {
        let stream = 2 * n + 1;
        let sent = raw.send(HEADERS, END_HEADERS | END_STREAM, stream, &slow);
        let ping = sent.map_err(|_| raw.reason()).and_then(|()| raw.round_trip());
        let reset = ping.and_then(|()| {
            let sent = raw.send(RESET, 0, stream, &8_u32.to_be_bytes());
            sent.map_err(|_| raw.reason())
        });
        if let Err(reason) = reset {
            ended = Some((n, reason));
            break;
        }
    }
    // The answer to the last ping can come before the end.
    let (count, reason) = ended.expect("resetting a request does not end its run");
    assert!((96..100).contains(&count) && reason == Some(ENHANCE_YOUR_CALM), "{count} {reason:?}");
    still_serves(&authority, &server);
}

#[test]
fn streams_beyond_the_announced_number_are_refused() {
    let site = site();
    let (authority, server) = serve(&site);
    let client = Client::connect(&authority, &server);
    assert_eq!(client.get("/plain").0, 200);
    assert_eq!(client.requests.current_max_send_streams(), 32);
    let mut raw = Raw::connect(&authority, &server);
    let body_follows = block(&[
        (":method", "POST"),
        (":scheme", "https"),
        (":path", "/"),
        (":authority", "shop.test"),
        ("content-type", "application/json"),
    ]);
    for n in 0..32 {
        raw.send(HEADERS, END_HEADERS, 2 * n + 1, &body_follows).unwrap();
    }
    assert_eq!(raw.ask(65, &PLAIN), Outcome::Reset(REFUSED_STREAM));
    raw.send(DATA, END_STREAM, 1, b"[1]").unwrap();
    assert_eq!(raw.outcome(1), Outcome::Answered(200));
    // A client that does not give up is disconnected.
    let refused = (0..2_000).map(|n| raw.ask(67 + 2 * n, &PLAIN)).find(|o| matches!(o, Outcome::Ended(_)));
    assert!(refused.is_some() || raw.round_trip().is_ok());
    still_serves(&authority, &server);
}

#[test]
fn client_that_takes_nothing_of_its_responses_keeps_no_memory() {
    let site = site();
    let (authority, options) = options(&site);
    let server = options.env("SLUICE_SERVER__WRITE_TIMEOUT", "1s").start();
    still_serves(&authority, &server);
    let base = server.metric("sluice_memory_reserved_bytes", &[]);
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(0);
    let client = Client::with(&authority, &server, &builder);
    for path in ["/large.bin", "/long", "/plain"] {
        let stalled: Vec<_> = (0..32).map(|_| client.send(get(path))).collect();
        for response in stalled {
            let error = client.answer(response).unwrap_err();
            assert!(error.is_reset() && error.is_remote(), "{path}: {error}");
        }
    }
    server.wait_until("the memory of the responses is free", || {
        server.metric("sluice_memory_reserved_bytes", &[]) <= base
    });
    // Without flow control in its way, but with a socket that is full.
    let settings = [&[0, 4][..], &0x7fff_ffff_u32.to_be_bytes()].concat();
    let mut raw = Raw::with_settings(&authority, &server, &settings);
    raw.send(WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes()).unwrap();
    for n in 0..8 {
        raw.send(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &block(&with(":path", "/large.bin"))).unwrap();
    }
    assert!(is_open(raw.port()));
    server.wait_until("the connection is closed", || !is_open(raw.port()));
    server.wait_until("the memory of the responses is free", || {
        server.metric("sluice_memory_reserved_bytes", &[]) <= base
    });
    let client = Client::connect(&authority, &server);
    assert_eq!(client.get("/large.bin").2.len(), LARGE, "a client that reads gets the whole file");
}

#[test]
fn floods_of_frames_take_no_memory() {
    let site = site();
    let (authority, options) = options(&site);
    let server = options.env("SLUICE_SERVER__WRITE_TIMEOUT", "1s").start();
    still_serves(&authority, &server);
    let resident = server.resident_bytes();
    // Each asks for an answer that the client does not read.
    let settings = [&[0, 4][..], &65_535_u32.to_be_bytes()].concat();
    for frame in [frame(PING, 0, 0, &[7; 8]), frame(SETTINGS, 0, 0, &settings)] {
        let mut raw = Raw::connect(&authority, &server);
        let frames = vec![frame; 1_000];
        let mut batches = 0;
        while batches < 100_000 && raw.send_all(&frames).is_ok() {
            batches += 1;
        }
        assert!(batches < 100_000, "the connection is closed when its socket is full");
    }
    // Bodies in frames of a byte, and of none.
    for byte in [&b"x"[..], b""] {
        let mut raw = Raw::connect(&authority, &server);
        let headers =
            [(":method", "POST"), (":scheme", "https"), (":path", "/"), (":authority", "shop.test")];
        raw.send(HEADERS, END_HEADERS, 1, &block(&headers)).unwrap();
        let frames = vec![frame(DATA, 0, 1, byte); 1_000];
        for _ in 0..100 {
            // The server may reject it at any time.
            if raw.send_all(&frames).is_err() {
                break;
            }
        }
    }
    let more = server.resident_bytes().saturating_sub(resident);
    assert!(more < 16 << 20, "{more} bytes more are in memory");
    still_serves(&authority, &server);
}

#[test]
fn request_whose_body_nothing_reads_is_ended() {
    let site = site();
    let (authority, server) = serve(&site);
    let client = Client::connect(&authority, &server);
    // Nothing reads the body of a GET request.
    let (response, mut sender) = client.begin(get("/plain"));
    assert_eq!(client.answer(response).unwrap().0, 200);
    // The server ends the request, so the client cannot send its body.
    let ended = client.runtime.block_on(std::future::poll_fn(|context| sender.poll_reset(context)));
    assert_eq!(ended.unwrap(), h2::Reason::NO_ERROR);
    assert!(sender.send_data(Bytes::from_static(b"x"), true).is_err());
    assert_eq!(client.get("/plain").0, 200);
}
