//! Handoff tokens: across domains, hosts and restarts, and made by another program.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Answer, Request, Server, ServerOptions, TestSite};

/// 32 bytes, 0 to 31.
const APP_KEY: &str = "base64:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OTHER_KEY: &str = "base64://///////////////////////////////////////w8=";

/// `?in=EMAIL` logs in, `?mint=SECONDS` makes a token, and a POST of `{token}` uses one.
const PAGE: &str = "<script scope=\"backend\">
    if (request.query.in) session.setCustomer({ email: request.query.in, name: 'Ann', id: 7 });
    if (request.query.set) { session.set('cart', 'kept'); session.set('note', 'dropped'); }
    if (request.query.mint) response.send(session.getToken(Number(request.query.mint)) ?? 'none');
    let took = null;
    if (request.method === 'POST') took = session.setFromToken(request.body.token);
    response.json({ took, customer, is_customer, query: request.query, cart: session.get('cart'), note: session.get('note') });
</script>";

fn site() -> TestSite {
    let site = TestSite::with(&[("pages/index.html", PAGE), ("pages/shop/index.html", PAGE)]);
    site.write("brands/other/brand.toml", "domains = [\"other.test\"]\n");
    site.write("brands/other/pages/index.html", PAGE);
    site
}

fn start(site: &TestSite, data: &Path) -> Server {
    ServerOptions::of(site.path()).data(data).env("APP_KEY", APP_KEY).start()
}

fn token(server: &Server, host: &str, seconds: &str) -> String {
    let visit = |path: &str, cookie: &str| {
        Request::get(path).host(host).header("cookie", cookie).send(server.address)
    };
    let cookie = visit("/?in=ann@example.com", "").session_cookie().unwrap();
    visit(&format!("/?mint={seconds}"), &cookie).body
}

/// Whether a script could log in with the token.
fn took(server: &Server, token: &str) -> Value {
    let body = json!({ "token": token }).to_string();
    let answer = Request::new("POST", "/")
        .header("content-type", "application/json")
        .body(body.as_bytes())
        .send(server.address);
    let seen: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(
        seen["took"] == true,
        answer.session_cookie().is_some(),
        "only a successful login gets a new session id"
    );
    seen["took"].clone()
}

/// Requests a page with the token in its address.
fn visited(server: &Server, token: &str) -> Answer {
    server.get("localhost", &format!("/shop?a=1&ef_session={token}&b=%20"))
}

fn seen(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"))
}

/// A few lines of the `cryptography` package: an independent implementation of the
/// documented envelope. `what` is `open TOKEN` or `seal JSON`.
fn python(what: &str, brand: &str, argument: &str) -> String {
    const PROGRAM: &str = r#"
import base64, os, sys
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.hashes import SHA256
what, brand, argument = sys.argv[1:]
key = HKDF(SHA256(), 32, brand.encode(), b"ef-session-handoff-v1").derive(bytes(range(32)))
if what == "open":
    version, text = argument.split(".")
    assert version == "v1" and "=" not in text
    box = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    print(AESGCM(key).decrypt(box[:12], box[12:], None).decode())
else:
    nonce = os.urandom(12)
    box = nonce + AESGCM(key).encrypt(nonce, argument.encode(), None)
    print("v1." + base64.urlsafe_b64encode(box).decode().rstrip("="))
"#;
    let with_package = |python: &&&str| {
        let tried = Command::new(python).args(["-c", "import cryptography"]).output();
        tried.is_ok_and(|output| output.status.success())
    };
    let python = ["/usr/bin/python3", "python3"];
    let python = python.iter().find(with_package).expect("make setup installs python3-cryptography");
    let output = Command::new(python).args(["-c", PROGRAM, what, brand, argument]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn tokens_are_compatible_with_an_independent_implementation() {
    let (site, data) = (site(), tempfile::tempdir().unwrap());
    let server = start(&site, data.path());
    let made = token(&server, "localhost", "90");
    let payload: Value = serde_json::from_str(&python("open", "demo", &made)).unwrap();
    assert_eq!(payload["brand"], "demo");
    assert_eq!(payload["exp"].as_i64().unwrap() - payload["iat"].as_i64().unwrap(), 90);
    assert_eq!((&payload["email"], &payload["customer_id"]), (&json!("ann@example.com"), &json!("7")));
    assert_eq!(payload["customer"], json!({"email": "ann@example.com", "name": "Ann", "id": 7}));
    let jti = payload["jti"].as_str().unwrap();
    assert!(jti.len() == 36 && jti.as_bytes()[14] == b'4' && b"89ab".contains(&jti.as_bytes()[19]), "{jti}");

    let iat = sluice_kit::clock::now_ms() / 1000;
    let theirs = json!({
        "jti": "5f0c2f57-59c9-4b0c-8a66-0a1df1c2b9a4", "brand": "demo", "iat": iat, "exp": iat + 60,
        "email": "bob@example.com", "customer_id": "9", "customer": {"email": "bob@example.com", "name": "Bob"},
    });
    let theirs = python("seal", "demo", &theirs.to_string());
    assert_eq!(took(&server, &theirs), true);
    assert_eq!(took(&server, &theirs), false, "once");
}

#[test]
fn token_in_the_address_logs_in_and_is_removed() {
    let (site, data) = (site(), tempfile::tempdir().unwrap());
    let server = start(&site, data.path());
    let anonymous = server.get("localhost", "/?set=1").session_cookie().unwrap();
    for parameter in ["ef_session", "setSessionToken"] {
        let token = token(&server, "localhost", "60");
        let path = format!("/shop?a=1&{parameter}={token}&b=%20");
        // A HEAD request does not use up the token.
        let head = Request::new("HEAD", &path).header("cookie", &anonymous).send(server.address);
        assert_eq!((head.status, head.session_cookie()), (200, None));
        // Neither does a POST, whose body a redirect would lose.
        let post = Request::new("POST", &path).header("cookie", &anonymous).send(server.address);
        assert_eq!((post.header("location"), post.session_cookie()), (None, None));
        let unknown = path.replace("/shop", "/nowhere");
        assert_eq!(server.get("localhost", &unknown).status, 404);

        let answer = Request::get(&path).header("cookie", &anonymous).send(server.address);
        assert_eq!(answer.status, 303);
        assert_eq!(answer.header("location").unwrap(), "/shop?a=1&b=%20");
        let cookie = answer.session_cookie().unwrap();
        assert_ne!(cookie, anonymous);
        let after = seen(&Request::get("/").header("cookie", &cookie).send(server.address));
        assert_eq!(after["customer"]["email"], "ann@example.com");
        let again = seen(&Request::get(&path).send(server.address));
        assert_eq!((&again["customer"], &again["query"]), (&Value::Null, &json!({"a": "1", "b": " "})));
    }
    let before = seen(&Request::get("/").header("cookie", &anonymous).send(server.address));
    assert_eq!(before["cart"], Value::Null, "the session id from before the login is invalid");
}

#[test]
fn login_by_token_keeps_only_values_without_an_owner() {
    let (site, data) = (site(), tempfile::tempdir().unwrap());
    let server = start(&site, data.path());
    let anonymous = server.get("localhost", "/?set=1").session_cookie().unwrap();
    let path = format!("/?ef_session={}", token(&server, "localhost", "60"));
    let cookie =
        Request::get(&path).header("cookie", &anonymous).send(server.address).session_cookie().unwrap();
    let after = seen(&Request::get("/").header("cookie", &cookie).send(server.address));
    assert_eq!((&after["cart"], &after["note"]), (&json!("kept"), &Value::Null));
}

#[test]
fn ignores_invalid_tokens() {
    let (site, data) = (site(), tempfile::tempdir().unwrap());
    let server = start(&site, data.path());
    let good = token(&server, "localhost", "60");
    let mut tampered = good.clone();
    let last = if good.ends_with('A') { "B" } else { "A" };
    tampered.replace_range(
        good.len() / 2..=good.len() / 2,
        if &good[good.len() / 2..=good.len() / 2] == last { "C" } else { last },
    );
    let iat = sluice_kit::clock::now_ms() / 1000;
    let sealed = |brand: &str, iat: i64, exp: i64| {
        let payload = json!({"jti": "0b7e2c8e-7f43-4f6e-9a57-6a1a2d9c4e11", "brand": brand, "iat": iat, "exp": exp,
            "email": "eve@example.com", "customer_id": "1", "customer": {}});
        python("seal", "demo", &payload.to_string())
    };
    let used = token(&server, "localhost", "60");
    assert_eq!(took(&server, &used), true);
    let wrong = [
        ("nothing", String::new()),
        ("text", "v1.AAAA".into()),
        ("another version", good.replacen("v1.", "v2.", 1)),
        ("truncated", good[..good.len() - 4].to_owned()),
        ("tampered", tampered),
        ("oversized", format!("v1.{}", "A".repeat(7000))),
        ("another brand's", token(&server, "other.test", "60")),
        ("of a brand that it names wrongly", sealed("other", iat, iat + 60)),
        ("expired", sealed("demo", iat - 100, iat - 40)),
        ("too long valid", sealed("demo", iat, iat + 601)),
        ("used", used),
    ];
    let plain = seen(&server.get("localhost", "/shop?a=1&b=%20"));
    for (what, token) in wrong {
        assert_eq!(took(&server, &token), false, "{what}");
        let answer = visited(&server, &token);
        assert_eq!((answer.status, seen(&answer)), (200, plain.clone()), "{what}");
        assert_eq!(answer.session_cookie(), None, "{what}");
    }
    let odd = Request::new("POST", "/").header("content-type", "application/json");
    let odd = odd.body(br#"{"token": {"toString": 1}}"#).send(server.address);
    assert_eq!(seen(&odd)["took"], false, "a value that is not text is rejected without an exception");
    assert_eq!(took(&server, &good), true, "none of these used up the valid token");
}

#[test]
fn token_works_once_across_processes_and_restarts() {
    let (site, data) = (site(), tempfile::tempdir().unwrap());
    let (mut one, two) = (start(&site, data.path()), start(&site, data.path()));
    let first = token(&one, "localhost", "600");
    assert_eq!(took(&two, &first), true, "one process made the token, the other accepts it");
    assert_eq!(took(&one, &first), false);
    let second = token(&one, "localhost", "600");
    assert_eq!(took(&one, &second), true);
    one.terminate();
    let restarted = start(&site, data.path());
    for (server, token) in [(&restarted, &first), (&restarted, &second), (&two, &second)] {
        assert_eq!(took(server, token), false);
        assert_eq!(visited(server, token).status, 200);
    }
}

#[test]
fn only_one_of_many_concurrent_requests_can_use_a_token() {
    let (site, data) = (site(), tempfile::tempdir().unwrap());
    let servers = [start(&site, data.path()), start(&site, data.path())];
    let token = token(&servers[0], "localhost", "60");
    let got_in: usize = std::thread::scope(|scope| {
        let visit = |index: usize| {
            let (server, token) = (&servers[index % 2], &token);
            scope.spawn(move || usize::from(visited(server, token).status == 303))
        };
        let all: Vec<_> = (0..16).map(visit).collect();
        all.into_iter().map(|one| one.join().unwrap()).sum()
    });
    assert_eq!(got_in, 1);
}

#[test]
fn previous_key_is_used_for_opening_only() {
    let (site, data) = (site(), tempfile::tempdir().unwrap());
    let mut old = start(&site, data.path());
    let cookie = old.get("localhost", "/?in=ann@example.com").session_cookie().unwrap();
    let made = token(&old, "localhost", "600");
    old.terminate();
    let rotated = ServerOptions::of(site.path()).data(data.path());
    let rotated = rotated.env("APP_KEY", OTHER_KEY).env("APP_KEYS_PREVIOUS", APP_KEY).start();
    let known = seen(&Request::get("/").header("cookie", &cookie).send(rotated.address));
    assert_eq!(known["customer"]["email"], "ann@example.com", "old sessions are still valid");
    assert_eq!(took(&rotated, &made), true, "old tokens are still valid");
    let fresh = token(&rotated, "localhost", "600");
    drop(rotated);
    let forgotten = start(&site, data.path());
    assert_eq!(took(&forgotten, &fresh), false, "the old key cannot open a token of the new key");
}
