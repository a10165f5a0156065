//! Paths in all spellings, and the access rules that apply to them.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use crate::harness::{Request, Server, TestSite};

const LOGIN: &str = r#"<script scope="backend">
session.setCustomer({ email: "ann@example.com" });
response.send(session.getToken());
</script>"#;

fn site() -> TestSite {
    let site = TestSite::with(&[
        ("pages/index.html", "start"),
        ("pages/login.html", LOGIN),
        ("pages/members/index.html", "members"),
        ("pages/members/area.html", "area"),
        ("pages/blog/{slug}.html", "blog {{ route_params.slug }}"),
        ("pages/both.txt.html", "the page"),
        ("public/both.txt", "the file"),
        ("public/open.txt", "open"),
        ("public/members/file.txt", "file"),
        ("public/Members/file.txt", "another folder"),
        ("public/a b/ü.txt", "decoded"),
    ]);
    site.write(
        "brands/demo/brand.toml",
        "default = true\n\
         [[access]]\npath = \"/members/**\"\nrequire = \"customer\"\nredirect = \"/login\"\n\
         [[access]]\npath = \"/blog/secret\"\nrequire = \"customer\"\nstatus = 403\n",
    );
    site
}

/// Returns the status, the `Location` and the body. The path is sent without any encoding.
fn raw(to: SocketAddr, path: &[u8], cookie: &str) -> (u16, Option<String>, String) {
    let mut stream = TcpStream::connect(to).unwrap();
    let tail = format!(" HTTP/1.1\r\nhost: localhost\r\ncookie: {cookie}\r\nconnection: close\r\n\r\n");
    stream.write_all(&[b"GET ".as_slice(), path, tail.as_bytes()].concat()).unwrap();
    let mut text = Vec::new();
    stream.read_to_end(&mut text).unwrap();
    let text = String::from_utf8_lossy(&text).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let location = head.lines().find_map(|line| line.strip_prefix("location: ")).map(str::to_owned);
    (status, location, body.to_owned())
}

#[test]
fn applies_access_rules_to_every_spelling_of_a_path() {
    let site = site();
    let server = Server::start(site.path());
    let login = server.get("localhost", "/login");
    let cookie = login.session_cookie().unwrap();
    // Path, status for anonymous visitors, status for a customer, and what the customer gets.
    let table: &[(&str, u16, u16, &str)] = &[
        ("/", 200, 200, "start"),
        ("/members", 303, 200, "members"),
        ("/members?a=b", 303, 200, "members"),
        ("/%6dembers", 303, 200, "members"),
        ("/m%65mbers/%61rea", 303, 200, "area"),
        ("/members/area", 303, 200, "area"),
        ("/members/file.txt", 303, 200, "file"),
        ("/members/%66ile.txt", 303, 200, "file"),
        ("/members/none", 303, 404, ""),
        ("/members/", 308, 308, ""),
        ("/members/area/", 308, 308, ""),
        ("/members/file.txt/", 308, 308, ""),
        ("/Members", 404, 404, ""),
        ("/MEMBERS/area", 404, 404, ""),
        ("/Members/file.txt", 200, 200, "another folder"),
        ("/membersx", 404, 404, ""),
        ("/members;a", 404, 404, ""),
        ("/members%3Fa", 404, 404, ""),
        ("/members%20", 404, 404, ""),
        ("/members%2Farea", 400, 400, ""),
        ("/members%2farea", 400, 400, ""),
        ("/members%5Carea", 400, 400, ""),
        ("/members\\area", 400, 400, ""),
        ("/members//area", 400, 400, ""),
        ("//members", 400, 400, ""),
        ("//members/", 400, 400, ""),
        ("/./members", 400, 400, ""),
        ("/members/.", 400, 400, ""),
        ("/x/../members", 400, 400, ""),
        ("/x/%2e%2e/members", 400, 400, ""),
        ("/x/.%2E/members", 400, 400, ""),
        ("/members/..", 400, 400, ""),
        ("/members%00", 400, 400, ""),
        ("/members/area%00.txt", 400, 400, ""),
        ("/members%0A", 400, 400, ""),
        ("/members%C2%85", 400, 400, ""),
        ("/members%FF", 400, 400, ""),
        ("/members%", 400, 400, ""),
        ("/%256dembers", 404, 404, ""),
        ("/%252e%252e/members", 404, 404, ""),
        ("/open.txt", 200, 200, "open"),
        ("/open%2Etxt", 200, 200, "open"),
        ("/OPEN.txt", 404, 404, ""),
        ("/open.txt/", 308, 308, ""),
        ("/open.txt%00", 400, 400, ""),
        ("/x/../open.txt", 400, 400, ""),
        ("/a%20b/%C3%BC.txt", 200, 200, "decoded"),
        ("/both.txt", 200, 200, "the page"),
        ("/public/open.txt", 404, 404, ""),
        ("/pages/index.html", 404, 404, ""),
        ("/index", 404, 404, ""),
        ("/index.html", 404, 404, ""),
        ("/../brand.toml", 400, 400, ""),
        ("/brand.toml", 404, 404, ""),
        ("/blog/any", 200, 200, "blog any"),
        ("/blog/a%20b", 200, 200, "blog a b"),
        ("/blog/secret", 403, 200, "blog secret"),
        ("/blog/%73ecret", 403, 200, "blog secret"),
        ("/blog/Secret", 200, 200, "blog Secret"),
        ("/blog/secret/", 308, 308, ""),
        ("/blog/a%2Fb", 400, 400, ""),
        ("/blog/..", 400, 400, ""),
        ("/blog", 404, 404, ""),
        ("/blog/a/b", 404, 404, ""),
    ];
    let mut wrong = Vec::new();
    for (path, anybody, customer, text) in table {
        let (status, location, body) = raw(server.address, path.as_bytes(), "");
        if status != *anybody {
            wrong.push(format!("{path}: {status}, not {anybody}"));
        }
        match status {
            303 => assert_eq!(location.as_deref(), Some("/login"), "{path}"),
            308 => {
                let location = location.unwrap();
                assert!(location.starts_with('/') && !location.starts_with("//"), "{path}: {location}");
                assert_eq!(location, path.trim_end_matches('/'), "{path}");
            }
            _ => assert_eq!(location, None, "{path}"),
        }
        assert!(status == 200 || !body.contains(text) || text.is_empty(), "{path} leaks: {body}");
        let (status, _, body) = raw(server.address, path.as_bytes(), &cookie);
        if status != *customer || !body.contains(text) {
            wrong.push(format!("{path} of a customer: {status}, not {customer}: {body}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for bytes in [&b"/members\0"[..], b"/mem\x01bers", b"members", b"/\xff"] {
        let (status, _, body) = raw(server.address, bytes, &cookie);
        assert!(matches!(status, 0 | 400 | 404) && !body.contains("area"), "{bytes:?}: {status}");
    }
}

#[test]
fn handoff_token_in_the_address_opens_a_guarded_page() {
    let site = site();
    let server = Server::start(site.path());
    let token = || server.get("localhost", "/login").body;
    for path in ["//evil.example/", "/\\evil.example", "/x/../members", "/members%2F"] {
        let (status, location, _) =
            raw(server.address, format!("{path}?ef_session={}", token()).as_bytes(), "");
        assert_eq!((status, location), (400, None), "{path}");
    }
    let (status, location, _) =
        raw(server.address, format!("/members/?ef_session={}&a=b", token()).as_bytes(), "");
    assert_eq!(status, 308);
    let location = location.unwrap();
    let handed = server.get("localhost", &location);
    assert_eq!((handed.status, handed.header("location").as_deref()), (303, Some("/members?a=b")));
    let cookie = handed.session_cookie().unwrap();
    let seen = Request::get("/members?a=b").header("cookie", &cookie).send(server.address);
    assert_eq!((seen.status, seen.body.as_str()), (200, "members"));
    // The token was used already, so the rule decides as without a token.
    let again = server.get("localhost", &location);
    assert_eq!((again.status, again.header("location").as_deref()), (303, Some("/login")));
    assert_eq!(again.session_cookie(), None);
}
